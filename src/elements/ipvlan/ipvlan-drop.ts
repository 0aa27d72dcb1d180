/**
 * Why frames end in an ipvlan.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const IpvlanDrop = declareDrops('ipvlan', {
  runt: 'The frame is shorter than an Ethernet header (14 bytes).',
  parent: "The frame is for the parent's own stack, which is not here: the kernel of a real parent has the frame already.",
  noWire: 'The frame is to leave by the parent, and the network has none (it is internal).',
  oversize: 'The frame is longer than the MTU of the parent with header and one tag, and is no super-frame.',
  isPrivate: 'The packet is for another child, and with the flag private children do not reach each other.',
  group: 'The frame is for a group: in modes l3 and l3s nothing is broadcast or multicast.',
  notIp: 'The frame is neither IPv4 nor IPv6, which is all that modes l3 and l3s send on: they have no ARP.',
  noRoute: "The packet is for the parent's stack to route, and there is none here (the network is internal)."
})
