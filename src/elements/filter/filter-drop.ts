/**
 * Why frames end in a filter.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const FilterDrop = declareDrops('filter', {
  runt: 'The frame is shorter than an Ethernet header (14 bytes).',
  malformed: 'The frame says that it is ARP, IPv4 or IPv6 and holds no sound packet of that kind.',
  spoofedSource: "The source address is none of the endpoint's own.",
  falseClaim: "ARP or neighbor discovery claims an address that is none of the endpoint's own.",
  gatewayMac: 'The endpoint sends under the MAC of the gateway.',
  rogueRouter: 'The endpoint sends router advertisements or redirects and is no router of this network.',
  notLinked: 'Inter-container communication is off on this network, and no link allows this.'
})
