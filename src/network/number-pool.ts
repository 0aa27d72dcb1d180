/**
 * Small numbers, the lowest free one first: ports of elements that come and go.
 */
export class NumberPool {
  private readonly limit: number
  /** Numbers from here on were never taken. */
  private fresh = 0
  /** A binary heap of numbers below `fresh` that are free. */
  private readonly free: number[] = []

  /** Numbers are 0 to `limit` - 1. */
  constructor(limit: number) {
    this.limit = limit
  }

  /** The lowest free number; -1 when all are taken. */
  take(): number {
    const { free } = this
    if (free.length === 0) return this.fresh < this.limit ? this.fresh++ : -1
    const lowest = free[0]
    const last = free.pop()!
    if (free.length > 0) this.sink(last)
    return lowest
  }

  /** Gives back a number that was taken. */
  give(number: number): void {
    const { free } = this
    let at = free.length
    for (let parent = (at - 1) >> 1; at > 0 && free[parent] > number; parent = (at - 1) >> 1) {
      free[at] = free[parent]
      at = parent
    }
    free[at] = number
  }

  /** Puts `number` in the place of the root. */
  private sink(number: number): void {
    const { free } = this
    let at = 0
    for (let child = 1; child < free.length; child = 2 * at + 1) {
      if (child + 1 < free.length && free[child + 1] < free[child]) child++
      if (free[child] >= number) break
      free[at] = free[child]
      at = child
    }
    free[at] = number
  }
}
