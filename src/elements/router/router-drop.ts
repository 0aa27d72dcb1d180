/**
 * Why frames end in a router.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const RouterDrop = declareDrops('router', {
  noInterface: 'The port has no interface: nothing is known of its network.',
  runt: 'The frame is shorter than an Ethernet header (14 bytes).',
  notForUs: 'The destination MAC is that of another station; the bridge flooded the frame.',
  ownSource: "The source MAC is the interface's own: a loop in the network, or a forgery.",
  unknownType: 'The EtherType is neither ARP nor IPv4 nor IPv6.',
  malformed: 'A header is cut off or contradicts itself (ARP, IP, ICMP, UDP or TCP).',
  badChecksum: 'The checksum of the IP header or of the transport does not match.',
  martianSource: 'No station may send from this source address: 0/8, loopback, a group, a broadcast address, or our own.',
  martianDestination: 'The destination is in 0/8, is loopback, or unspecified: no packet to it leaves a host.',
  sourceRoute: 'The packet asks for a way of its own (source route), which is refused (RFC 7126, RFC 5095).',
  badOption: 'An IPv4 option is cut off or contradicts itself.',
  group: 'The destination is a group that the router does not listen to; groups are not routed.',
  broadcast: 'The destination is a broadcast address; directed broadcasts are not forwarded (RFC 2644).',
  linkBroadcast: 'A packet to one station came in a frame to all: not forwarded (RFC 1812 5.3.4).',
  linkLocal: 'A link-local address is no further than its link: not forwarded (RFC 4007).',
  noRoute: 'No route leads to the destination.',
  ttlExpired: 'The TTL or hop limit is used up.',
  tooBig: 'The packet, or a segment of the super-frame, is longer than the MTU of the way out and may not be cut.',
  noFragments:
    'The packet had to be cut and could not: no frame is left, the MTU has no room for payload, or headers and offload fields disagree.',
  fragment: 'A fragment for the router itself: it reassembles nothing (the NAT before it does).',
  portClosed: 'Nothing listens on this port of the router; the sender was told.',
  unknownProtocol: 'Nothing here speaks this IP protocol or ICMP type.',
  notAnswered: "A kernel interface shares the interface's addresses and answers in its place.",
  unexpected: 'An answer that the router does not wait for: an echo reply, an ICMP error, or a segment of no connection.',
  neighborUnresolved: 'The neighbor did not answer ARP or neighbor solicitations, or failed to a moment ago.',
  neighborQueueFull: 'Too many frames wait for the MAC of one neighbor, or of all: the one that waited longest went.',
  neighborTableFull: 'No room for one more neighbor: all known ones are in use.',
  neighborConflict: "The station claims an address that is ours, or another station's by the control plane's word.",
  neighborLocked: 'Another MAC for a neighbor whose own was confirmed or changed less than a second ago.',
  neighborElsewhere: 'A MAC for an address that is not on this link.',
  neighborInvalid: 'An ARP or neighbor discovery message breaks the rules of its RFC: hop limit, group addresses, missing options.',
  interfaceGone: 'The interface was removed while the frame waited for a neighbor there.'
})
