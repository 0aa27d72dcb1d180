/**
 * Why frames end on an emulated link.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const NetemDrop = declareDrops('netem', {
  loss: 'The emulated link lost it, as its loss model says.',
  queueFull: 'The queue before the emulated link had reached its limit.',
  queueDelay: 'Packets waited too long in the queue before the emulated link (CoDel).',
  down: 'The emulated link is down.',
  mtu: 'The packet is longer than the MTU of the emulated link.'
})
