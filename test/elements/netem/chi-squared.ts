/** Pearson's test: how far counts are from what a formula says. */

/** Sum of (observed - expected)^2 / expected. `shares` are those of the formula and add up to 1. */
export function chiSquared(observed: readonly number[], shares: readonly number[]): number {
  const total = observed.reduce((sum, count) => sum + count, 0)
  return observed.reduce((sum, count, index) => sum + (count - total * shares[index]!) ** 2 / (total * shares[index]!), 0)
}

/** What a right formula exceeds once in 10,000 times, by degrees of freedom. */
export const CRITICAL: Readonly<Record<number, number>> = {
  1: 15.14,
  2: 18.42,
  3: 21.11,
  7: 29.88,
  9: 33.72,
  15: 44.26,
  19: 50.8,
  63: 115.5
}
