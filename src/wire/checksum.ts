/**
 * The Internet checksum: RFC 1071 (sum), RFC 1624 (incremental update), pseudo-headers of RFC 793 and RFC 8200 8.1.
 *
 * Two words, kept apart everywhere:
 *   sum       the folded ones-complement sum, 0..0xffff
 *   checksum  its complement, as the header field carries it
 * A *partial* checksum field (CHECKSUM_PARTIAL, virtio NEEDS_CSUM) holds the sum of the pseudo-header, not complemented.
 *
 * Each function that reads a payload comes twice. The one on Uint8Array is the quicker up to about 40 bytes, so it is
 * for headers; the `...View` one takes the DataView of the same chunk, reads 32 bits at a time at any alignment,
 * and is for payloads (over twice as fast on full frames; the README has the figures).
 */
import { get16 } from './big-endian.ts'

/**
 * Folds a sum of up to 2^32 - 1 to 16 bits by end-around carry. Adding two sums: `fold(a + b)`.
 * Sums of 2^31 and more are best passed as int32 (`| 0`): as a double one costs a heap number wherever V8 does not inline this.
 */
export function fold(sum: number): number {
  const once = (sum >>> 16) + (sum & 0xffff)
  return ((once >>> 16) + once) & 0xffff
}

/**
 * Sum over `length` bytes from `at`, added to `initial` (a sum, 0..0xffff).
 * An odd last byte counts as the high half of a word (RFC 1071 section 1), so only the last piece of several may be odd.
 */
export function onesComplementSum(bytes: Uint8Array, at: number, length: number, initial: number): number {
  // High and low bytes are summed apart: 35,000 words of a super-frame then stay far inside int32.
  let high = 0
  let low = 0
  let i = at
  const unrolledEnd = at + (length & ~7)
  for (; i < unrolledEnd; i += 8) {
    high = (high + bytes[i] + bytes[i + 2] + bytes[i + 4] + bytes[i + 6]) | 0
    low = (low + bytes[i + 1] + bytes[i + 3] + bytes[i + 5] + bytes[i + 7]) | 0
  }
  const pairsEnd = at + (length & ~1)
  for (; i < pairsEnd; i += 2) {
    high = (high + bytes[i]) | 0
    low = (low + bytes[i + 1]) | 0
  }
  if ((length & 1) !== 0) high = (high + bytes[i]) | 0
  return fold((initial + (high << 8) + low) | 0)
}

/** The same over a DataView. Lanes are doubles: 32-bit words added exactly up to 2^53, and carries are folded once at the end. */
export function onesComplementSumView(view: DataView, at: number, length: number, initial: number): number {
  let a = initial
  let b = 0
  let c = 0
  let d = 0
  let i = at
  const unrolledEnd = at + (length & ~15)
  for (; i < unrolledEnd; i += 16) {
    a += view.getUint32(i)
    b += view.getUint32(i + 4)
    c += view.getUint32(i + 8)
    d += view.getUint32(i + 12)
  }
  const pairsEnd = at + (length & ~1)
  for (; i < pairsEnd; i += 2) a += view.getUint16(i)
  if ((length & 1) !== 0) a += view.getUint8(i) << 8
  const sum = a + b + c + d
  // 2^32 is 1 modulo 0xffff, so the upper half is simply added.
  return fold(fold(sum | 0) + fold((sum / 4294967296) | 0))
}

/** The header field for a sum. */
export function checksumOf(sum: number): number {
  return ~sum & 0xffff
}

/** Checksum over `length` bytes; the field itself must be zero (to compute) or is included (0 means correct). */
export function checksum(bytes: Uint8Array, at: number, length: number, initial = 0): number {
  return checksumOf(onesComplementSum(bytes, at, length, initial))
}

/**
 * Pseudo-header sum of the IPv4 or IPv6 header at `ipAt` (its version field tells which), for the transport `protocol`
 * and `length` in bytes of the transport header and payload. Addresses are read in place; with a routing header the
 * caller must have the final destination there (RFC 8200 8.1).
 */
export function pseudoHeaderSum(bytes: Uint8Array, ipAt: number, protocol: number, length: number): number {
  const isIpv4 = bytes[ipAt] >> 4 === 4
  const addresses = isIpv4 ? onesComplementSum(bytes, ipAt + 12, 8, 0) : onesComplementSum(bytes, ipAt + 8, 32, 0)
  return fold(addresses + protocol + (length >>> 16) + (length & 0xffff))
}

/** Pseudo-header sum from IPv4 addresses held as int32. */
export function pseudoHeaderSumIpv4(source: number, destination: number, protocol: number, length: number): number {
  return fold((source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length)
}

/** New checksum after a 16-bit field went from `before` to `after`: RFC 1624 equation 3, HC' = ~(~HC + ~m + m'). */
export function updateChecksum16(field: number, before: number, after: number): number {
  return ~fold((~field & 0xffff) + (~before & 0xffff) + after) & 0xffff
}

/** New checksum after a 32-bit field (signed or unsigned) went from `before` to `after`. The field must start at an even offset. */
export function updateChecksum32(field: number, before: number, after: number): number {
  return ~fold((~field & 0xffff) + (~before >>> 16) + (~before & 0xffff) + (after >>> 16) + (after & 0xffff)) & 0xffff
}

/** As `updateChecksum16` for a partial checksum: the field is a sum, so nothing is complemented. Only for fields of the pseudo-header. */
export function updatePartial16(field: number, before: number, after: number): number {
  return fold(field + (~before & 0xffff) + after)
}

/** As `updateChecksum32` for a partial checksum. A port is no part of the pseudo-header: rewriting one leaves a partial checksum alone. */
export function updatePartial32(field: number, before: number, after: number): number {
  return fold(field + (~before >>> 16) + (~before & 0xffff) + (after >>> 16) + (after & 0xffff))
}

/** A UDP checksum that came out as 0 is sent as 0xffff, because 0 says "none" (RFC 768, RFC 8200 8.1). */
export function nonZeroChecksum(field: number): number {
  return field === 0 ? 0xffff : field
}

/**
 * Finishes a partial checksum in place: sums from `csumStart` to `end` with the pseudo-header sum that the field holds,
 * and stores the complement. A result of 0 is stored as 0xffff for every protocol, as Linux does (skb_checksum_help):
 * UDP needs it, and for the others the two are equal.
 * @param frameStart offset of the frame's first byte in `bytes`
 * @param csumStart where summing starts, from the frame's first byte
 * @param csumOffset where the field is, from `csumStart`
 * @param end offset after the last byte to sum, in `bytes`: the end of the IP packet, not of the padding
 * @returns false, with nothing written, when the field is not inside [frameStart, end)
 */
export function completeChecksum(bytes: Uint8Array, frameStart: number, csumStart: number, csumOffset: number, end: number): boolean {
  const from = frameStart + csumStart
  const field = from + csumOffset
  if (csumStart < 0 || csumOffset < 0 || field + 2 > end) return false
  const value = nonZeroChecksum(checksum(bytes, from, end - from))
  bytes[field] = value >>> 8
  bytes[field + 1] = value
  return true
}

/** `completeChecksum` over the chunk's DataView: the one for whole segments. */
export function completeChecksumView(view: DataView, frameStart: number, csumStart: number, csumOffset: number, end: number): boolean {
  const from = frameStart + csumStart
  const field = from + csumOffset
  if (csumStart < 0 || csumOffset < 0 || field + 2 > end) return false
  view.setUint16(field, nonZeroChecksum(checksumOf(onesComplementSumView(view, from, end - from, 0))))
  return true
}

/** Whether a transport checksum at [at, end) is right, given the pseudo-header at `ipAt`. A UDP field of 0 is for the caller to see. */
export function verifyTransport(bytes: Uint8Array, at: number, end: number, ipAt: number, protocol: number): boolean {
  return onesComplementSum(bytes, at, end - at, pseudoHeaderSum(bytes, ipAt, protocol, end - at)) === 0xffff
}

/** Computes a transport checksum over [at, end) into the field at `field`, which may hold anything before. */
export function fillTransport(bytes: Uint8Array, at: number, end: number, ipAt: number, protocol: number, field: number): void {
  const whole = onesComplementSum(bytes, at, end - at, pseudoHeaderSum(bytes, ipAt, protocol, end - at))
  const value = nonZeroChecksum(checksumOf(fold(whole + (~get16(bytes, field) & 0xffff))))
  bytes[field] = value >>> 8
  bytes[field + 1] = value
}

/** `fillTransport` with the DataView of the same bytes: the one for whole segments. */
export function fillTransportView(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  ipAt: number,
  protocol: number,
  field: number
): void {
  view.setUint16(field, 0)
  const sum = onesComplementSumView(view, at, end - at, pseudoHeaderSum(bytes, ipAt, protocol, end - at))
  view.setUint16(field, nonZeroChecksum(checksumOf(sum)))
}
