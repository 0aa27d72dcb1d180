/**
 * A set of whole numbers kept as sorted, disjoint, never touching runs [first, last].
 *
 * Addresses are handed out from below, so that a pool of any size is a few runs.
 */
export interface Run {
  readonly first: bigint
  readonly last: bigint
}

export class IntervalSet {
  private readonly runs: Run[] = []

  /** Index of the last run that begins at or before `value`; -1 when all begin later. */
  private before(value: bigint): number {
    let low = 0
    let high = this.runs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.runs[middle].first <= value) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  has(value: bigint): boolean {
    const index = this.before(value)
    return index >= 0 && value <= this.runs[index].last
  }

  /** False when it was there already. */
  add(value: bigint): boolean {
    if (this.has(value)) return false
    this.addRun(value, value)
    return true
  }

  /** Adds every number from `first` to `last`; some may be there. */
  addRun(first: bigint, last: bigint): void {
    const left = this.before(first)
    // A run that touches or overlaps on the left is taken in, and so is every one up to `last + 1`.
    const from = left >= 0 && this.runs[left].last >= first - 1n ? left : left + 1
    let to = from
    for (; to < this.runs.length && this.runs[to].first <= last + 1n; to++) {
      const run = this.runs[to]
      if (run.first < first) first = run.first
      if (run.last > last) last = run.last
    }
    this.runs.splice(from, to - from, { first, last })
  }

  /** False when it was not there. */
  delete(value: bigint): boolean {
    const index = this.before(value)
    if (index < 0 || value > this.runs[index].last) return false
    const { first, last } = this.runs[index]
    const rest: Run[] = []
    if (first < value) rest.push({ first, last: value - 1n })
    if (value < last) rest.push({ first: value + 1n, last })
    this.runs.splice(index, 1, ...rest)
    return true
  }

  /** The lowest number in [from, to] that is not in the set; null when there is none. */
  lowestFree(from: bigint, to: bigint): bigint | null {
    const index = this.before(from)
    const candidate = index >= 0 && from <= this.runs[index].last ? this.runs[index].last + 1n : from
    return candidate <= to ? candidate : null
  }

  /** How many numbers are in the set. */
  get count(): bigint {
    return this.runs.reduce((sum, { first, last }) => sum + last - first + 1n, 0n)
  }

  /** From low to high. */
  [Symbol.iterator](): Iterator<Run> {
    return this.runs[Symbol.iterator]()
  }
}
