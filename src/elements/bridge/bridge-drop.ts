/**
 * Why frames end in a bridge.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const BridgeDrop = declareDrops('bridge', {
  runt: 'The frame is shorter than an Ethernet header (14 bytes).',
  oversize: 'The frame is longer than the MTU of the bridge with header and one tag, and is no super-frame.',
  groupSource: 'The source address is a group address, which no station may send from.',
  zeroSource: 'The source address is 00:00:00:00:00:00, which is no station.',
  reserved: 'The destination is 01:80:c2:00:00:0x, which a bridge must not relay (IEEE 802.1Q 8.6.3).',
  samePort: 'The destination is on the port that the frame came from: it has the frame already.',
  isolated: 'Both ports are isolated: their stations reach only the gateway (inter-container communication is off).',
  noPort: 'The frame was to be flooded and the bridge has no other connected port.'
})
