/** A generator of integers 0..bound-1 (bound up to 2^32), the same for the same seed (xorshift32). */
export function seededRandom(seed: number): (bound: number) => number {
  let state = seed | 0 || 1
  return (bound) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return Math.floor(((state >>> 0) / 4294967296) * bound)
  }
}
