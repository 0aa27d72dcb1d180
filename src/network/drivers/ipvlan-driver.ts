/**
 * The ipvlan driver: endpoints share the MAC of a parent interface and are told apart by their addresses.
 *
 *   endpoint chain --- 2 |        | 0 --- the parent's wire (parents.ts), nothing where the network has no parent
 *   endpoint chain --- 3 | ipvlan | 1 --- the parent's own stack where it is ours; else, in modes l3 and l3s, a router in its place
 *
 * In modes l3 and l3s the parent's stack routes what children send. The kernel of a real parent cannot be asked to: frames that come
 * from here it would take for its own. So a router of ours knows its addresses and routes as they were when the network was made,
 * and asks for neighbors under its address and MAC.
 */
import { FIRST_CHILD } from '../../elements/parent/parent-options.ts'
import type { ElementUpdate } from '../../engine/index.ts'
import { formatMac } from '../../wire/address.ts'
import type { CaptureWire } from '../capture-point.ts'
import type { Driver, PortReference, TopologyPart } from '../driver.ts'
import type { Endpoint } from '../endpoint.ts'
import type { Network } from '../network.ts'
import type { ParentInterfaces } from '../parents.ts'
import { HeldParents } from './held-parents.ts'
import { parentLinks } from './parent-links.ts'
import { ipvlanOptions } from './parent-options.ts'

const ROUTER_PORT = 0

export class IpvlanDriver implements Driver {
  readonly name = 'ipvlan'
  readonly isRouted = false
  readonly reserved: readonly string[]
  private readonly parents: HeldParents

  /** @param parents undefined: networks have none */
  constructor(parents?: ParentInterfaces) {
    this.parents = new HeldParents(parents, 'ipvlan', 'di-')
    this.reserved = parents?.reserved ?? []
  }

  open(network: Network): Promise<void> {
    return this.parents.open(network, ipvlanOptions(network).parent)
  }

  close(network: Network): Promise<void> {
    return this.parents.close(network)
  }

  network(network: Network): TopologyPart {
    const { mode, flag } = ipvlanOptions(network)
    const parent = this.parents.of(network)
    const mac = this.mac(network)
    const { mtu } = network
    const name = this.element(network)
    const part = parentLinks(name, { type: 'ipvlan', options: { mode, flag, mac, mtu } }, parent)
    if (mode === 'l2' || parent === undefined || parent.stack !== undefined) return part
    const { addresses = [], routes = {} } = parent.station ?? {}
    const station = { name: parent.name, mac, addresses, mtu, answers: false, noDecrement: true }
    const ways = Object.entries(routes).map(([prefix, way]) => [prefix, { ...way, interface: ROUTER_PORT }])
    const router = `${network.element}/stack`
    part.elements[router] = {
      type: 'router',
      options: { interfaces: { [ROUTER_PORT]: station }, routes: Object.fromEntries(ways) }
    }
    part.links.push({ a: [name, 1], b: [router, ROUTER_PORT] })
    return part
  }

  element({ element }: Network): string {
    return `${element}/ipvlan`
  }

  port(network: Network, { slot }: Endpoint): PortReference {
    return [this.element(network), FIRST_CHILD + slot]
  }

  endpointUpdates(network: Network, { slot, address, address6 }: Endpoint, gone: boolean): ElementUpdate[] {
    const addresses = address6 === '' ? [address] : [address, address6]
    return [{ element: this.element(network), change: { children: { [FIRST_CHILD + slot]: gone ? null : addresses } } }]
  }

  /** The parent's; without one, one that follows from the network's id and stays. */
  mac(network: Network): string {
    const { id } = network
    const digits = id.slice(0, 8)
    return this.parents.of(network)?.mac ?? formatMac({ hi: 0x02_69, lo: Number.parseInt(digits, 16) | 0 })
  }

  captureWires(network: Network): CaptureWire[] {
    const wire = this.parents.of(network)?.wire
    return wire === undefined ? [] : [wire]
  }

  mtu(network: Network): number | undefined {
    return this.parents.of(network)?.mtu
  }

  hasArp(network: Network): boolean {
    return ipvlanOptions(network).mode === 'l2'
  }
}
