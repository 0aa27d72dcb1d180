/**
 * What the bulk transfer carries: every byte is known, so that the receiver can tell a wrong one.
 */

/** One period. A prime modulus keeps it from lining up with segments and pages. */
export const pattern = Buffer.from(Uint8Array.from({ length: 256 * 1024 }, (_, index) => (index * 31 + (index >>> 8)) % 251))

/** True when `chunk` is what stands at `offset` of the endless pattern. */
export function matchesPattern(chunk: Buffer, offset: number): boolean {
  for (let done = 0; done < chunk.length; ) {
    const from = (offset + done) % pattern.length
    const length = Math.min(chunk.length - done, pattern.length - from)
    if (pattern.compare(chunk, done, done + length, from, from + length) !== 0) return false
    done += length
  }
  return true
}
