/**
 * Turns networks into the graph that the engine runs.
 *
 *   device or host -- capture? -- dns-tap -- driver's port
 *                                   |
 *                              dns-service (one per network)
 *
 * Elements are named `network/endpoint`, `network/endpoint/dns-tap`, `network/bridge`: traces, counters and captures show
 * these names.
 */

import type { DnsServiceOptions } from '../dns/dns-options.ts'
import type { Plain, Topology, TopologyElement, TopologyLink } from '../engine/index.ts'
import type { Endpoint } from './endpoint.ts'
import { compareNetworks, type Network } from './network.ts'

export function dnsElement(network: Network): string {
  return `${network.element}/dns`
}

/** Options of the capture element for one endpoint's port; undefined where it is not captured. */
export type CapturePlan = (network: Network, endpoint: Endpoint) => Plain | undefined

/** `behavior` is the same for all networks. */
export function buildTopology(
  networks: Iterable<Network>,
  capture: CapturePlan,
  behavior: Pick<DnsServiceOptions, 'edns' | 'unanswered'> = {}
): Topology {
  const all = [...networks]
  const elements: Record<string, TopologyElement> = {}
  const links: TopologyLink[] = []
  const names = new Map(all.map((network) => [network, namesOf(network)]))
  const bySandbox = networksBySandbox(all)
  for (const network of all) {
    const part = network.driver.network(network)
    Object.assign(elements, part.elements)
    links.push(...part.links)
    if (network.dns) {
      elements[dnsElement(network)] = { type: 'dns-service', options: { ...dnsOptions(network, names, bySandbox), ...behavior } }
    }
    const withGateways = { gateways: gatewaysOf(network) }
    for (const endpoint of network.endpoints.values()) {
      const name = endpoint.element
      elements[name] = endpoint.attachment
      let end: readonly [string, number] = [name, 0]
      const captured = capture(network, endpoint)
      if (captured !== undefined) {
        elements[`${name}/capture`] = { type: 'capture', options: captured }
        links.push({ a: end, b: [`${name}/capture`, 0] })
        end = [`${name}/capture`, 1]
      }
      if (!network.dns) {
        links.push({ a: end, b: network.driver.port(network, endpoint) })
        continue
      }
      const tap = `${name}/dns-tap`
      elements[tap] = { type: 'dns-tap', options: endpoint.gatewayDns ? withGateways : NO_GATEWAYS }
      links.push({ a: end, b: [tap, 0] })
      links.push({ a: [tap, 2], b: [dnsElement(network), endpoint.slot] })
      links.push({ a: [tap, 1], b: network.driver.port(network, endpoint) })
    }
  }
  return { elements, links }
}

const NO_GATEWAYS = { gateways: [] }

/** Names that the network's askers may see: those of every network their sandbox is on, the asked network's first, then in its order. */
function dnsOptions(
  network: Network,
  names: ReadonlyMap<Network, Names>,
  bySandbox: ReadonlyMap<string, Set<Network>>
): { zones: Plain; askers: Plain } {
  const zones: Record<string, { names: Names; pointers: Record<string, string> }> = { [network.name]: zone(network, names) }
  const askers: Record<number, Plain> = {}
  for (const endpoint of network.endpoints.values()) {
    const others = [...bySandbox.get(endpoint.sandbox)!].filter((other) => other !== network && other.dns).sort(compareNetworks)
    for (const other of others) zones[other.name] ??= zone(other, names)
    askers[endpoint.slot] = {
      zones: [network.name, ...others.map(({ name }) => name)],
      own: ownNames(endpoint.sandbox, [network, ...others], names),
      // A sandbox has a way out as long as one of its networks has.
      forward: [...bySandbox.get(endpoint.sandbox)!].some(({ internal }) => !internal)
    }
  }
  return { zones, askers }
}

function zone(network: Network, names: ReadonlyMap<Network, Names>): { names: Names; pointers: Record<string, string> } {
  const pointers: Record<string, string> = {}
  for (const { address, address6, names: own } of network.endpoints.values()) {
    if (own.length === 0) continue
    pointers[address] = own[0]
    if (address6 !== '') pointers[address6] = own[0]
  }
  return { names: names.get(network)!, pointers }
}

/** The links of a sandbox on all its networks. */
function ownNames(sandbox: string, networks: readonly Network[], names: ReadonlyMap<Network, Names>): Names {
  const own: Names = {}
  for (const network of networks) {
    for (const endpoint of network.endpoints.values()) {
      if (endpoint.sandbox !== sandbox) continue
      for (const [alias, target] of Object.entries(endpoint.links)) {
        const addresses = names.get(network)![target.toLowerCase()]
        if (addresses !== undefined) own[alias] = own[`${alias}.${network.name}`] = addresses
      }
    }
  }
  return own
}

/** The gateway's addresses: DNS answers there too, for stations that know nothing of 127.0.0.11. */
export function gatewaysOf(network: Network): string[] {
  return [network.pool.gateway, network.pool6?.gateway].filter((address) => typeof address === 'string')
}

/** The networks that each sandbox is on, in the order of networks. */
function networksBySandbox(networks: readonly Network[]): Map<string, Set<Network>> {
  const bySandbox = new Map<string, Set<Network>>()
  for (const network of networks) {
    for (const { sandbox } of network.endpoints.values()) {
      const its = bySandbox.get(sandbox)
      if (its === undefined) bySandbox.set(sandbox, new Set([network]))
      else its.add(network)
    }
  }
  return bySandbox
}

/** Addresses by name. */
type Names = Record<string, string[]>

function namesOf(network: Network): Names {
  const names: Names = {}
  for (const endpoint of network.endpoints.values()) {
    for (const name of endpoint.names) {
      const addresses = (names[name.toLowerCase()] ??= [])
      addresses.push(endpoint.address)
      if (endpoint.address6 !== '') addresses.push(endpoint.address6)
    }
  }
  return names
}
