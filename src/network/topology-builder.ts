/**
 * Turns networks and endpoints into the parts of the graph that the engine runs.
 *
 *   device or host -- capture? -- dns-tap -- driver's port
 *                                   |
 *                                  dns (one for the engine, one port per endpoint)
 *
 * Elements are named `network/endpoint`, `network/endpoint/dns-tap`, `network/bridge`: traces, counters and captures show
 * these names.
 */
import type { DnsSettings } from '../dns/dns-options.ts'
import type { Plain, Topology, TopologyElement, TopologyLink } from '../engine/index.ts'
import type { Endpoint } from './endpoint.ts'
import type { Network } from './network.ts'

/** The DNS service of all networks. No network's elements are called so: theirs have a slash. */
export const DNS_ELEMENT = 'dns'

/** Options of the capture element for one endpoint's port; undefined where it is not captured. */
export type CapturePlan = (network: Network, endpoint: Endpoint) => Plain | undefined

/** The service itself. Its records come as updates: see dns-records. */
export function dnsPart(settings: DnsSettings): Topology {
  return { elements: { [DNS_ELEMENT]: { type: 'dns-service', options: settings } }, links: [] }
}

/** An endpoint's chain, from its own end to the driver's port. */
export function endpointPart(network: Network, endpoint: Endpoint, captured: Plain | undefined): Topology {
  const name = endpoint.element
  const tap = `${name}/dns-tap`
  const elements: Record<string, TopologyElement> = {
    [name]: endpoint.attachment,
    [tap]: { type: 'dns-tap', options: { gateways: endpoint.gatewayDns && network.dns ? gatewaysOf(network) : [] } }
  }
  const links: TopologyLink[] = [
    { a: [tap, 2], b: [DNS_ELEMENT, endpoint.dnsPort] },
    { a: [tap, 1], b: network.driver.port(network, endpoint) }
  ]
  if (captured === undefined) links.push({ a: [name, 0], b: [tap, 0] })
  else {
    const capture = `${name}/capture`
    elements[capture] = { type: 'capture', options: captured }
    links.push({ a: [name, 0], b: [capture, 0] }, { a: [capture, 1], b: [tap, 0] })
  }
  return { elements, links }
}

/** The gateway's addresses: DNS answers there too, for stations that know nothing of 127.0.0.11. */
export function gatewaysOf(network: Network): string[] {
  return [network.pool.gateway, network.pool6?.gateway].filter((address) => typeof address === 'string')
}
