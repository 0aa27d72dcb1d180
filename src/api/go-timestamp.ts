/**
 * Times in queries (`since`, `until`): seconds since 1970 with up to nine digits behind the point, '1795204548.196144182'.
 * Returns nanoseconds since 1970. Throws with the words of Go's strconv for anything else.
 */
export function parseGoTimestamp(text: string): bigint {
  const point = text.indexOf('.')
  const seconds = parseGoInteger(point === -1 ? text : text.slice(0, point))
  if (point === -1) return seconds * 1_000_000_000n
  const fraction = text.slice(point + 1)
  return seconds * 1_000_000_000n + (parseGoInteger(fraction) * 1_000_000_000n) / 10n ** BigInt(fraction.length)
}

const INT64_LIMIT = 1n << 63n

/** As strconv.ParseInt(text, 10, 64). */
export function parseGoInteger(text: string): bigint {
  if (!/^[+-]?\d+$/.test(text)) throw new RangeError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`)
  const value = BigInt(text.replace(/^\+/, ''))
  if (value >= INT64_LIMIT || value < -INT64_LIMIT) {
    throw new RangeError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`)
  }
  return value
}
