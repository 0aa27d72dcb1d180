/**
 * Network byte order, RFC 791 appendix B: the most significant byte first.
 *
 * Bytes are read one by one: a header sits at any offset of a chunk, and V8 turns these into plain loads.
 * Nothing here checks bounds; the `check...` function of each protocol does that once for all its getters.
 */

/** 16 bits, 0..65535. */
export function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1]
}

/** 32 bits as int32: what V8 keeps unboxed. `>>> 0` makes it unsigned. */
export function get32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}

/** Stores the low 16 bits of `value`. */
export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

/** Stores the low 32 bits of `value`, signed or unsigned. */
export function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
