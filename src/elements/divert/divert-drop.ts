/**
 * Why frames end in a divert.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const DivertDrop = declareDrops('divert', {
  runt: 'The frame is shorter than an Ethernet header (14 bytes).',
  notOurs: "The destination is not the gateway's MAC: the bridge floods what it does not know, and this is for another station."
})
