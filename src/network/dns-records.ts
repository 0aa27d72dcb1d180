/**
 * What the DNS service is told of networks and endpoints. Zones go by network id, stations by endpoint id.
 */
import type { DnsAsker, DnsChange, DnsStation } from '../dns/dns-options.ts'
import type { Endpoint } from './endpoint.ts'
import { compareNetworks, type Network } from './network.ts'
import type { RemoteEndpoint } from './remote-endpoint.ts'

/** One network of a sandbox. */
export interface Membership {
  readonly network: Network
  readonly endpoint: Endpoint
}

/** The endpoint's record, or its end, where the network has names. */
export function dnsStations(network: Network, endpoint: Endpoint, ends: boolean): DnsChange {
  return network.dns ? { stations: { [endpoint.id]: ends ? null : dnsStation(network, endpoint) } } : {}
}

/** Under which names the endpoint is found. */
export function dnsStation(network: Network, { names, address, address6 }: Endpoint): DnsStation {
  return { zone: network.id, names, addresses: address6 === '' ? [address] : [address, address6] }
}

/** What each endpoint of a sandbox may ask, by port: the names of all its networks, whichever interface the question leaves by. */
export function dnsAskers(memberships: readonly Membership[]): Record<number, DnsAsker> {
  const ordered = memberships.filter(({ network }) => network.dns).sort((a, b) => compareNetworks(a.network, b.network))
  const asker: DnsAsker = {
    zones: [...new Set(ordered.map(({ network }) => network.id))],
    links: Object.fromEntries(ordered.map(({ network, endpoint }) => [network.id, endpoint.links])),
    // A sandbox has a way out as long as one of its networks has.
    forward: memberships.some(({ network }) => !network.internal)
  }
  return Object.fromEntries(memberships.map(({ endpoint }) => [endpoint.dnsPort, asker]))
}

/** Names of stations on other hosts, where the network has names. */
export function remoteStations(network: Network, come: readonly RemoteEndpoint[], gone: readonly RemoteEndpoint[]): DnsChange {
  if (!network.dns) return {}
  const stations: Record<string, DnsStation | null> = {}
  for (const { id } of gone) stations[id] = null
  for (const { id, names, address, address6 } of come) {
    stations[id] = { zone: network.id, names, addresses: address6 === '' ? [address] : [address, address6] }
  }
  return { stations }
}
