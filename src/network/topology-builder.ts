/**
 * Turns networks and endpoints into the parts of the graph that the engine runs.
 *
 *   device or host -- capture? -- probe? -- dns-tap -- filter? -- link? -- driver's port
 *                                 |           |
 *                                 one of each for the engine: two ports of the probe, one of the dns service per endpoint
 *
 * Elements are named `network/endpoint`, `network/endpoint/dns-tap`, `network/bridge`: traces, counters and captures show
 * these names. A filter is there on networks that the engine's gateway routes, an emulated link where one was set.
 */
import type { DnsSettings } from '../dns/dns-options.ts'
import { NetemPort } from '../elements/netem/netem.ts'
import type { Plain, Topology, TopologyElement, TopologyLink } from '../engine/index.ts'
import type { Membership } from './dns-records.ts'
import type { Endpoint } from './endpoint.ts'
import { netemOptions } from './link-shape.ts'
import type { Network } from './network.ts'

/** The DNS service of all networks. No network's elements are called so: theirs have a slash. */
export const DNS_ELEMENT = 'dns'

/** Watches and breaks the links of all endpoints, in labs that ask for it: elements/probe. */
export const PROBE_ELEMENT = 'probe'

/** The service itself. Its records come as updates: see dns-records. */
export function dnsPart(settings: DnsSettings): Topology {
  return { elements: { [DNS_ELEMENT]: { type: 'dns-service', options: settings } }, links: [] }
}

/**
 * An endpoint's chain, from its own end to the driver's port.
 * @param sandbox all endpoints of its sandbox, itself among them
 */
export function endpointPart(network: Network, endpoint: Endpoint, captured: Plain | undefined, sandbox: readonly Membership[]): Topology {
  const name = endpoint.element
  const tap = `${name}/dns-tap`
  const elements: Record<string, TopologyElement> = {
    [name]: endpoint.attachment,
    [tap]: { type: 'dns-tap', options: { gateways: endpoint.gatewayDns && network.dns ? gatewaysOf(network) : [] } }
  }
  const links: TopologyLink[] = [{ a: [tap, 2], b: [DNS_ELEMENT, endpoint.dnsPort] }]
  let end: TopologyLink['a'] = [tap, 1]
  if (network.gateway !== null) {
    const filter = filterName(endpoint)
    Object.assign(elements, sandboxFilters([{ network, endpoint }], sandbox))
    links.push({ a: end, b: [filter, 0] })
    end = [filter, 1]
  }
  if (endpoint.link !== null) {
    const link = linkName(endpoint)
    elements[link] = { type: 'netem', options: netemOptions(endpoint.link) }
    links.push({ a: end, b: [link, NetemPort.near] })
    end = [link, NetemPort.far]
  }
  links.push({ a: end, b: network.driver.port(network, endpoint) })
  let near: TopologyLink['a'] = [tap, 0]
  if (endpoint.probed) {
    links.push({ a: [PROBE_ELEMENT, 2 * endpoint.dnsPort + 1], b: near })
    near = [PROBE_ELEMENT, 2 * endpoint.dnsPort]
  }
  if (captured === undefined) links.push({ a: [name, 0], b: near })
  else {
    const capture = `${name}/capture`
    elements[capture] = { type: 'capture', options: captured }
    links.push({ a: [name, 0], b: [capture, 0] }, { a: [capture, 1], b: near })
  }
  return { elements, links }
}

/**
 * Filters of some endpoints of a sandbox. Each may send under the addresses of all: a sandbox sends by its default route what it
 * answers under another network's address.
 */
export function sandboxFilters(some: readonly Membership[], all: readonly Membership[]): Record<string, TopologyElement> {
  const sources = all.flatMap(({ endpoint: { address, address6 } }) => (address6 === '' ? [address] : [address, address6])).sort()
  const filters: Record<string, TopologyElement> = {}
  for (const { network, endpoint } of some) {
    if (network.gateway === null) continue
    const icc = !network.icc && network.iccRules ? { icc: { allow: endpoint.allow } } : {}
    const options = { gateway: network.gateway.mac, mac: endpoint.mac, sources, ...icc }
    filters[filterName(endpoint)] = { type: 'filter', options }
  }
  return filters
}

/** The emulated link of an endpoint that has one. */
export function linkName({ element }: Endpoint): string {
  return `${element}/link`
}

/** Of an endpoint on a network that the gateway routes. */
export function filterName({ element }: Endpoint): string {
  return `${element}/filter`
}

/**
 * The gateway's addresses: DNS answers there too, for stations that know nothing of 127.0.0.11. None where the gateway is somebody
 * outside of the engine, who may answer himself.
 */
export function gatewaysOf(network: Network): string[] {
  if (!network.driver.isRouted) return []
  return [network.pool.gateway, network.pool6?.gateway].filter((address) => typeof address === 'string')
}
