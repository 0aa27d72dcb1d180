/**
 * Why frames end in a macvlan.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const MacvlanDrop = declareDrops('macvlan', {
  runt: 'The frame is shorter than an Ethernet header (14 bytes).',
  parent: "The frame is for the parent's own stack, which is not here: the kernel of a real parent has the frame already.",
  noWire: 'The frame is to leave by the parent, and the network has none (it is internal).',
  oversize: 'The frame is longer than the MTU of the parent with header and one tag, and is no super-frame.'
})
