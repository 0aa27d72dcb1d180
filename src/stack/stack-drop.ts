import { declareDrops } from '../engine/drop-reason.ts'

/** Why frames end in a host or a service of this process. */
export const StackDrop = declareDrops('stack', {
  runt: 'Shorter than an Ethernet header.',
  ownSource: 'The source MAC is the own one: a loop in the network, or a forgery.',
  notForUs: 'The destination MAC or IP address is not one of this host.',
  unknownType: 'The EtherType is neither ARP nor IPv4 nor IPv6.',
  malformed: 'A header is cut off or contradicts itself (ARP, IP, ICMP, UDP or TCP).',
  badChecksum: 'The checksum of the IP header or of the transport does not match.',
  unknownProtocol: 'Nothing here speaks this IP protocol or ICMP type.',
  portClosed: 'No socket is bound to the destination port.',
  echoLoop: 'A datagram to the echo service from an echo port or a port below 1024: two services would answer each other for ever.',
  unexpected: 'An answer that nobody waits for: an echo reply, an ICMP error, or a segment of no connection.',
  fragmentOverlap: 'A fragment overlaps another one, or reaches beyond 65,535 bytes (RFC 791, RFC 5722).',
  fragmentUnsupported: 'Fragments are reassembled for IPv4 only, and not by services.',
  reassemblyTimeout: 'The other fragments did not come within 30 s, or had to make room for newer ones.',
  unresolved: 'The neighbor did not answer ARP or neighbor solicitations.',
  neighborQueueFull: 'Too many packets wait for the MAC of one neighbor.'
})
