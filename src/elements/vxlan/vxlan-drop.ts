/**
 * Why frames end in a VTEP.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const VxlanDrop = declareDrops('vxlan', {
  runt: 'The inner frame is shorter than an Ethernet header (14 bytes).',
  noSegment: 'The port belongs to no segment: no VNI has been set up for it.',
  broadcast: 'A broadcast or multicast frame stays on its own host: the segment does not replicate them (bum is drop).',
  unknownDestination: 'The destination is no known remote endpoint, and the segment does not replicate unknown unicast (bum is drop).',
  noVtep: 'The frame was to be replicated and the segment has no other VTEP.',
  hairpin: 'The destination is said to be behind this VTEP itself, where its segment would have found it.',
  noUnderlay: 'This VTEP has no address of the family of the remote one.',
  tooBig: 'The inner packet does not fit the path to the remote VTEP; its sender was told the size that does.',
  oversize: 'The inner frame does not fit the path to the remote VTEP, and is of a kind whose sender cannot be told.',
  headroom: 'The frame has no room for another outer header: it is encapsulated too deeply.',
  badHeaders: 'The headers contradict the offload fields, so that the frame cannot be encapsulated.',
  notForUs: 'The underlay frame is for another station or another address.',
  notVxlan: 'The underlay frame is no UDP datagram for the port of this VTEP.',
  malformed: 'The underlay frame has an IP or UDP header that contradicts itself or the length of the frame.',
  congestion: 'The outer packet is marked "congestion experienced" and the inner transport cannot be told (RFC 6040 4.2).',
  badChecksum: 'The checksum of the outer IP or UDP header is wrong.',
  truncated: 'The datagram ends before the VXLAN header and an inner Ethernet header do.',
  noVniFlag: 'The VXLAN header lacks the I flag: its VNI is not valid (RFC 7348 5).',
  wrongVni: 'No segment of this VTEP has the VNI.',
  unknownVtep: 'The outer source is no known VTEP, and the segment does not learn.',
  ownSource: 'The outer source is an address of this VTEP itself: the frame runs in a loop or is forged.',
  groupSource: 'The inner source address is a group or zero, which no station may send from.',
  falseVtep: 'The inner source is an endpoint that is known to be behind another VTEP.',
  heard: 'A message of the underlay to the VTEP itself, such as "packet too big", which was heeded or concerns nobody here.'
})
