/**
 * The bridge driver: one learning bridge per network, what stands for the gateway on its port 0, endpoints from port 1 on.
 *
 *   endpoint chain --- 1 |        | 0 --- the engine's gateway (gateway-part.ts), or
 *   endpoint chain --- 2 | bridge |       without one a virtual host that answers ARP and echo
 */
import { formatMac, macFromIpv4, parseIpv4 } from '../../wire/address.ts'
import type { Driver, PortReference, TopologyPart } from '../driver.ts'
import type { Endpoint } from '../endpoint.ts'
import { joinGateway } from '../gateway-part.ts'
import type { Network } from '../network.ts'

export const bridgeDriver: Driver = {
  name: 'bridge',
  isRouted: true,

  network(network: Network): TopologyPart {
    const bridge = this.element(network)
    const options = {
      // Where single ports can be opened, the endpoints' filters judge.
      ...(!network.icc && !(network.iccRules && network.gateway !== null) && { isolatedFrom: 1 }),
      // Nobody can draw the gateway's frames to another port by sending under its MAC.
      ...(network.gateway !== null && { staticEntries: [{ mac: network.gateway.mac, port: 0 }] })
    }
    const part: TopologyPart = { elements: { [bridge]: { type: 'bridge', options } }, links: [] }
    const { gateway, prefix } = network.pool
    if (network.gateway !== null) joinGateway(part, network, network.gateway, [bridge, 0])
    else if (gateway !== null) {
      const name = `${network.element}/gateway`
      const addresses = [`${gateway}/${prefix.length}`]
      if (network.pool6?.gateway) addresses.push(`${network.pool6.gateway}/${network.pool6.prefix.length}`)
      part.elements[name] = { type: 'host', options: { mac: formatMac(macFromIpv4(parseIpv4(gateway))), addresses, mtu: network.mtu } }
      part.links.push({ a: [name, 0], b: [bridge, 0] })
    }
    return part
  },

  element(network: Network): string {
    return `${network.element}/bridge`
  },

  port(network: Network, endpoint: Endpoint): PortReference {
    return [this.element(network), endpoint.slot + 1]
  }
}
