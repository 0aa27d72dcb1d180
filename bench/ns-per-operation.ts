/**
 * How long one operation takes, in nanoseconds: the median of slices of a few milliseconds, so that a slice in which the
 * process did not run does not count.
 */
const WARM_UP_NS = 150e6
const SLICE_NS = 4e6
const SLICES = 51

/** What loops return goes here, so that none is optimised away. */
let sink = 0

export function nsPerOperation(loop: (count: number) => number): number {
  let count = 64
  let spent = 0
  // Doubles until a slice is long enough, and goes on until the JIT had its time.
  while (spent < WARM_UP_NS) {
    const took = time(loop, count)
    spent += took
    if (took < SLICE_NS) count *= 2
  }
  const slices = Array.from({ length: SLICES }, () => time(loop, count) / count).sort((a, b) => a - b)
  if (Number.isNaN(sink)) throw new Error('the loop gave no number')
  return slices[SLICES >> 1]
}

function time(loop: (count: number) => number, count: number): number {
  const start = process.hrtime.bigint()
  sink += loop(count)
  return Number(process.hrtime.bigint() - start)
}
