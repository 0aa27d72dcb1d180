/**
 * Types of keys and values of maps. The kernel only knows their lengths; the numbers are nft's (its enum datatypes), so that
 * `nft list ruleset` prints what is in a map as a person would write it.
 */
export const DataType = {
  ipv4: { number: 7, length: 4 },
  ipv6: { number: 8, length: 16 },
  protocol: { number: 12, length: 1 },
  port: { number: 13, length: 2 }
} as const
export type DataTypeName = keyof typeof DataType

/** Bits that a type takes in the number of a concatenation. */
const TYPE_BITS = 6
/** Each value of a concatenation begins a new register. */
const WORD = 4

/** Number and length in bytes of several values side by side, or of one. */
export function concatenation(types: readonly DataTypeName[]): { number: number; length: number } {
  if (types.length === 1) return DataType[types[0]]
  return types.reduce(
    (sum, name) => ({ number: (sum.number << TYPE_BITS) | DataType[name].number, length: sum.length + padded(DataType[name].length) }),
    { number: 0, length: 0 }
  )
}

/** Lengths of the values of a concatenation, as the kernel wants to know them; none for one value. */
export function fieldLengths(types: readonly DataTypeName[]): number[] {
  return types.length === 1 ? [] : types.map((name) => DataType[name].length)
}

/** The values as the kernel compares them. */
export function concatenate(values: readonly Uint8Array[]): Uint8Array {
  if (values.length === 1) return values[0]
  const bytes = new Uint8Array(values.reduce((sum, { length }) => sum + padded(length), 0))
  let at = 0
  for (const value of values) {
    bytes.set(value, at)
    at += padded(value.length)
  }
  return bytes
}

function padded(length: number): number {
  return Math.ceil(length / WORD) * WORD
}
