/**
 * Free small slots in the order of their place, for a pool with so many frames out that no cache holds them.
 *
 * Last in, first out keeps few slots warm. With a million frames under way nothing is warm, and where they overtake each other (a
 * jitter) each slot comes back behind another one than it left: after some seconds every new frame lies in a random place, a miss of
 * caches and TLB in each array that is indexed by handle. So slots rest here, a bit each, until a hand that goes round
 * comes by: neighbors are taken together, and those under the hand have had the longest time to become free.
 *
 *   | 1 1 0 1 0 0 0 1 | 0 0 0 0 1 0 0 0 | 1 1 1 1 0 1 1 1 |      1: rests here
 *                                         <-- hand
 */
import type { FrameHandle } from './frame-pool.ts'

export class RestingSlots {
  /** Whether slots that are freed in batches come here: their pool decides. */
  isUsed = false
  /** Slots that rest. */
  count = 0
  private readonly bits: Int32Array
  /** The word of `bits` that is looked at next. */
  private hand = 0

  /** @param slots how many there may be: handles 0 to slots - 1 */
  constructor(slots: number) {
    this.bits = new Int32Array(slots >> 5)
  }

  /** Not one that rests already. */
  add(frame: FrameHandle): void {
    this.bits[frame >> 5] |= 1 << (frame & 31)
    this.count++
  }

  /** Puts `wanted` slots (all where there are fewer, and up to 31 more) on a stack of `height`, the lowest on top; returns how many. */
  take(stack: Int32Array, height: number, wanted: number): number {
    const { bits } = this
    const least = Math.min(wanted, this.count)
    let taken = 0
    let word = this.hand
    while (taken < least) {
      let left = bits[word]
      bits[word] = 0
      while (left !== 0) {
        const bit = 31 - Math.clz32(left)
        left &= ~(1 << bit)
        stack[height + taken++] = (word << 5) | bit
      }
      word = word === 0 ? bits.length - 1 : word - 1
    }
    this.hand = word
    this.count -= taken
    return taken
  }
}
