/**
 * Why frames end in a trunk.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const VlanDrop = declareDrops('vlan', {
  runt: 'The frame is shorter than its header and tag.',
  unknown: 'Nobody here is on the VLAN that the tag names.',
  reserved: 'The tag names VLAN 4095, which IEEE 802.1Q reserves.',
  serviceTag: 'The outer tag is a service tag (802.1ad, EtherType 0x88a8), which is not taken apart here.',
  noRoom: 'There is no room for a tag in front of the frame: it has been encapsulated too often.',
  parent: "The frame is untagged and the parent's own stack is not here: the kernel of a real parent has the frame already."
})
