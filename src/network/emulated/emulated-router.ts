/**
 * A router of a lab: one interface on each of several LANs, no NAT, no filter. It answers ARP and echo for its addresses.
 *
 *   lan/a -- router/NAME 0 | 1 -- lan/b
 */

import type { InterfaceSpec, RouterOptions, RouteSpec } from '../../elements/router/router-options.ts'
import type { TopologyElement, TopologyLink } from '../../engine/index.ts'
import { parseAddress, parseCidr, prefixContains } from '../../wire/cidr.ts'
import type { PortReference } from '../driver.ts'
import type { EngineHost } from '../engine-host.ts'
import { NetworkError } from '../network-error.ts'
import { cableWords } from './cable-words.ts'
import type { EmulatedCables } from './emulated-cables.ts'
import { macOf } from './emulated-interface.ts'
import type { EmulatedLan } from './emulated-lan.ts'

export interface RouterInterfaceOptions {
  readonly lan: EmulatedLan
  /** CIDR. */
  readonly addresses: readonly string[]
  readonly mac?: string
}

export interface EmulatedRouterOptions {
  /** In their order: eth0, eth1... */
  readonly interfaces: readonly RouterInterfaceOptions[]
  /** CIDR -> next hop, which is on the link of one of the interfaces. */
  readonly routes?: Readonly<Record<string, string>>
  /** Is told of its cables: `NAME/eth0`, `NAME/eth1`... */
  readonly cables?: EmulatedCables
}

/** Makes and plugs it in; resolves with the name of its element. Throws NetworkError `invalid`; nothing is left then. */
export async function addRouter(
  engine: EngineHost,
  name: string,
  { interfaces, routes = {}, cables }: EmulatedRouterOptions
): Promise<string> {
  const element = `router/${name}`
  const specs: Record<string, InterfaceSpec> = {}
  const ways: Record<string, RouteSpec> = {}
  const elements: Record<string, TopologyElement> = {}
  const links: TopologyLink[] = []
  const plugged: [EmulatedLan, PortReference][] = []
  try {
    for (const [number, { lan, addresses, mac }] of interfaces.entries()) {
      specs[number] = { name: `eth${number}`, mac: macOf(addresses, mac), addresses, mtu: lan.mtu, answers: true }
      const port = lan.plug()
      plugged.push([lan, port])
      links.push({ a: port, b: [element, number] })
    }
    for (const [prefix, via] of Object.entries(routes)) ways[prefix] = { via, interface: interfaceTowards(via, name, interfaces) }
    const options: RouterOptions = { interfaces: specs, routes: ways }
    elements[element] = { type: 'router', options }
    await engine.patch({ elements, linked: links })
  } catch (error) {
    for (const [lan, port] of plugged) lan.unplug(port)
    throw error
  }
  for (const [number, [lan, port]] of plugged.entries()) {
    const { mac, addresses } = specs[number]!
    const words = cableWords({ end: 'router', lan, routes })
    cables?.add({ name: `${name}/eth${number}`, lan, socket: port, station: [element, number], mac, addresses, words })
  }
  return element
}

function interfaceTowards(via: string, name: string, interfaces: readonly RouterInterfaceOptions[]): number {
  const number = interfaces.findIndex(({ addresses }) => addresses.some((address) => isOnLink(address, via)))
  if (number >= 0) return number
  throw new NetworkError('invalid', `router ${name}: the next hop ${via} is on none of its links`)
}

function isOnLink(address: string, via: string): boolean {
  return prefixContains(parseCidr(address), parseAddress(via))
}
