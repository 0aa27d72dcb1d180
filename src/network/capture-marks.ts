import { FrameFlag } from '../engine/index.ts'

/** The lowest bit of FrameFlag.captured, and how many there are. */
const FIRST_BIT = 8
const BITS = 24

/**
 * The bits by which captures know what they have: those of the same points share one. Where all are taken, a capture records frames at each
 * of its points.
 */
export class CaptureMarks {
  private readonly users = new Map<string, { readonly bit: number; count: number }>()
  private last = 0

  /** A bit of FrameFlag.captured, or 0. `key` is the same for the same points. */
  take(key: string): number {
    const shared = this.users.get(key)
    if (shared !== undefined) {
      shared.count++
      return 1 << shared.bit
    }
    const taken = new Set(Array.from(this.users.values(), ({ bit }) => bit))
    // The one after the last: frames that are still under way may carry those that were given back.
    for (let step = 1; step <= BITS; step++) {
      const bit = FIRST_BIT + ((this.last + step) % BITS)
      if (taken.has(bit)) continue
      this.last = bit - FIRST_BIT
      this.users.set(key, { bit, count: 1 })
      return (1 << bit) & FrameFlag.captured
    }
    return 0
  }

  give(key: string): void {
    const shared = this.users.get(key)
    if (shared !== undefined && --shared.count === 0) this.users.delete(key)
  }
}
