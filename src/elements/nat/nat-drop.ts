/**
 * Why frames end in a NAT.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const NatDrop = declareDrops('nat', {
  runt: 'The frame is shorter than an Ethernet header (14 bytes).',
  malformed: 'The IP header or what follows it is cut short or contradicts itself.',
  badChecksum: 'The checksum of the IP header, or of a packet that would begin or end a flow, is wrong.',
  unknownInterface: 'An IP packet came by a port for which the control plane has described no interface.',
  spoofed: 'The source address does not belong to where the packet came in.',
  martian: 'The source or destination address is one that no packet on a wire may have (RFC 1812 5.3.7).',
  land: 'Source and destination are the same, address and port: a land attack.',
  invalidState: 'The packet fits no flow and may begin none: a TCP segment or ICMP answer out of the blue.',
  outOfWindow: 'The TCP segment is outside the windows of its connection.',
  unrelatedError: 'The ICMP error is about a packet that belongs to no known flow.',
  redirect: 'ICMP redirects do not cross a NAT: who follows one would go round it.',
  icmpType: 'The ICMP message is neither query nor error, so it belongs to no flow.',
  tableFull: 'The flow table is full of flows that are worth more than a new one.',
  portsExhausted: 'No source port is free for another flow from this address to that destination.',
  clash: 'Another flow has taken the tuple that this new one would need.',
  flowGone: 'The flow of the packet ended while the packet was on its way through the router.',
  untracked: 'Only the router itself may get this packet, and it would have sent it on, past all flows and rules.',
  noEgress: 'The port by which the packet should leave is not known to the NAT as an interface.'
})

/** The rules about who may open a flow. They are called filter.*: that is what a user asks about. */
export const PolicyDrop = declareDrops('filter', {
  isolated: 'Networks are isolated from each other: the packet is for another network and not for a published port.',
  internal: 'The network is internal: nothing goes in or out by its gateway.',
  icc: 'Inter-container communication is off on this network, and no link allows this.',
  notPublished: 'The packet comes from outside and no port is published for its destination.',
  transit: 'The packet came from outside and would leave to the outside: the gateway is no transit.'
})
