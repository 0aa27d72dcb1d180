/** The graph of a whole control plane, made at once from the parts that the controller makes one by one. */
import type { Topology } from '../../src/engine/index.ts'
import { type CapturePlan, endpointPoint } from '../../src/network/capture-point.ts'
import { dnsAskers, dnsStation, type Membership } from '../../src/network/dns-records.ts'
import { gatewayPart } from '../../src/network/gateway-part.ts'
import type { Network } from '../../src/network/network.ts'
import { DNS_ELEMENT, dnsPart, endpointPart } from '../../src/network/topology-builder.ts'
import type { UplinkPart } from '../../src/network/uplink.ts'

/**
 * The DNS service's records stand in its options, where every endpoint is taken for a sandbox of its own.
 * @param uplink undefined: there is no gateway; null: there is one without a way out
 */
export function wholeTopology(networks: readonly Network[], capture: CapturePlan, uplink?: UplinkPart | null): Topology {
  const dns = dnsPart({})
  const parts: Topology[] = uplink === undefined ? [dns] : [dns, gatewayPart(uplink)]
  const sandboxes = new Map<string, Membership[]>()
  for (const network of networks) {
    for (const endpoint of network.endpoints.values()) {
      sandboxes.set(endpoint.sandbox, [...(sandboxes.get(endpoint.sandbox) ?? []), { network, endpoint }])
    }
  }
  const records = { zones: {}, stations: {}, askers: {} }
  for (const network of networks) {
    parts.push(network.driver.network(network))
    if (network.dns) Object.assign(records.zones, { [network.id]: { name: network.name } })
    for (const endpoint of network.endpoints.values()) {
      parts.push(endpointPart(network, endpoint, capture(endpointPoint(network, endpoint)), sandboxes.get(endpoint.sandbox)!))
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
