/** The graph of a whole control plane, made at once from the parts that the controller makes one by one. */
import type { Topology } from '../../src/engine/index.ts'
import { dnsAskers, dnsStation } from '../../src/network/dns-records.ts'
import type { Network } from '../../src/network/network.ts'
import { type CapturePlan, DNS_ELEMENT, dnsPart, endpointPart } from '../../src/network/topology-builder.ts'

/** The DNS service's records stand in its options. Every endpoint is taken for a sandbox of its own. */
export function wholeTopology(networks: readonly Network[], capture: CapturePlan): Topology {
  const dns = dnsPart({})
  const parts: Topology[] = [dns]
  const records = { zones: {}, stations: {}, askers: {} }
  for (const network of networks) {
    parts.push(network.driver.network(network))
    if (network.dns) Object.assign(records.zones, { [network.id]: { name: network.name } })
    for (const endpoint of network.endpoints.values()) {
      parts.push(endpointPart(network, endpoint, capture(network, endpoint)))
      if (network.dns) Object.assign(records.stations, { [endpoint.id]: dnsStation(network, endpoint) })
      Object.assign(records.askers, dnsAskers([{ network, endpoint }]))
    }
  }
  const elements = Object.assign({}, ...parts.map((part) => part.elements)) as Topology['elements']
  const { type, options } = elements[DNS_ELEMENT]
  return {
    elements: { ...elements, [DNS_ELEMENT]: { type, options: { ...(options as object), ...records } } },
    links: parts.flatMap(({ links }) => links)
  }
}
