/**
 * Median and an interval for it that assumes nothing about the distribution: two order statistics, between which the true
 * median lies with the stated probability (binomial; D. B. Owen, Handbook of Statistical Tables, 1962, section 12).
 */

export interface Estimate {
  readonly median: number
  readonly low: number
  readonly high: number
  /** Probability that the median is between low and high, 0 to 1. */
  readonly coverage: number
  readonly samples: number
}

const WANTED_COVERAGE = 0.95

/** The narrowest symmetric pair of order statistics with at least 95 %; the extremes where the samples are too few. */
export function estimate(samples: readonly number[]): Estimate {
  const sorted = [...samples].sort((a, b) => a - b)
  const count = sorted.length
  if (count === 0) return { median: Number.NaN, low: Number.NaN, high: Number.NaN, coverage: 0, samples: 0 }
  const median = (sorted[(count - 1) >> 1] + sorted[count >> 1]) / 2
  let rank = 0
  while (rank + 1 < (count - 1) / 2 && coverage(count, rank + 1) >= WANTED_COVERAGE) rank++
  return { median, low: sorted[rank], high: sorted[count - 1 - rank], coverage: coverage(count, rank), samples: count }
}

/** Chance that the median lies between the order statistics `rank` and `count - 1 - rank`, counted from 0. */
function coverage(count: number, rank: number): number {
  let tail = 0
  let binomial = 1
  for (let i = 0; i <= rank; i++) {
    tail += binomial
    binomial = (binomial * (count - i)) / (i + 1)
  }
  return 1 - (2 * tail) / 2 ** count
}

/** Ratios round by round, so that what slows the machine for a while cancels out; rounds without both figures are left out. */
export function pairedRatios(numerators: readonly (number | null)[], denominators: readonly (number | null)[]): number[] {
  return numerators.flatMap((numerator, round) => {
    const denominator = denominators[round]
    return numerator === null || denominator === null || denominator === undefined || denominator === 0 ? [] : [numerator / denominator]
  })
}
