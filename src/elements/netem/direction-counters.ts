/** What one direction of a link counts, in its part of the element's block. */

/** Offsets from the direction's first counter. */
export const DirectionCounter = { lost: 0, duplicated: 1, corrupted: 2, reordered: 3, queueDrops: 4, delayed: 5 } as const
export const DIRECTION_COUNTERS = Object.keys(DirectionCounter)

export class DirectionCounters {
  private readonly block: Float64Array
  private readonly first: number

  /** @param direction 0 forward, 1 backward */
  constructor(block: Float64Array, direction: number) {
    this.block = block
    this.first = direction * DIRECTION_COUNTERS.length
  }

  /** @param counter of DirectionCounter */
  add(counter: number, by: number): void {
    this.block[this.first + counter] += by
  }
}
