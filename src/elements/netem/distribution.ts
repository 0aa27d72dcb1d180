/**
 * Tables of deviations, in units of the standard deviation: entry k is the quantile of (k + 1/2) / SIZE, so that a random index
 * draws from the distribution. Made from sums, products, quotients and square roots alone, which IEEE 754 rounds the same way on any
 * machine.
 */

/** Entries of a table. */
export const TABLE_SIZE = 4096

let normal: Float64Array | undefined
let pareto: Float64Array | undefined

/** The standard normal distribution. */
export function normalTable(): Float64Array {
  normal ??= makeNormal()
  return normal
}

/** The Pareto distribution with exponent 3 (mean 3/2, variance 3/4), shifted and scaled to mean 0 and deviation 1. */
export function paretoTable(): Float64Array {
  pareto ??= makePareto()
  return pareto
}

const STEP = 1 / 1024
/** Where the tail is smaller than half an entry of the table. */
const NORMAL_END = 5

/** Walks the density from its middle outwards with Simpson's rule, and notes where the area passes the next quantile. */
function makeNormal(): Float64Array {
  const table = new Float64Array(TABLE_SIZE)
  const half = TABLE_SIZE / 2
  let area = 0
  let index = 0
  for (let x = 0; x < NORMAL_END && index < half; x += STEP) {
    const slice = (STEP / 6) * (density(x) + 4 * density(x + STEP / 2) + density(x + STEP))
    while (index < half && (index + 0.5) / TABLE_SIZE <= area + slice) {
      const value = x + (((index + 0.5) / TABLE_SIZE - area) / slice) * STEP
      table[half + index] = value
      table[half - 1 - index] = -value
      index++
    }
    area += slice
  }
  return table
}

/** e^(-x^2/2) / sqrt(2 pi) */
function density(x: number): number {
  return exponential((-x * x) / 2) * 0.3989422804014327
}

/** e^x for x <= 0: the series of e^(x/1024), squared ten times. */
function exponential(x: number): number {
  const small = x / 1024
  let term = 1
  let sum = 1
  for (let n = 1; n < 8; n++) {
    term *= small / n
    sum += term
  }
  for (let square = 0; square < 10; square++) sum *= sum
  return sum
}

function makePareto(): Float64Array {
  const deviation = Math.sqrt(0.75)
  return Float64Array.from({ length: TABLE_SIZE }, (_, index) => {
    const left = 1 - (index + 0.5) / TABLE_SIZE
    return (1 / cubeRoot(left) - 1.5) / deviation
  })
}

/** Newton's method. */
function cubeRoot(value: number): number {
  let root = 1
  for (let round = 0; round < 60; round++) root -= (root - value / (root * root)) / 3
  return root
}
