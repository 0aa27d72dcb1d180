/**
 * Why frames end in the probe.
 */
import { declareDrops } from '../../engine/drop-reason.ts'

export const ProbeDrop = declareDrops('probe', {
  fault: 'A fault script dropped it.',
  cut: 'A fault script has cut the link of this endpoint.',
  partition: 'A fault script keeps the sender and this endpoint apart.'
})
