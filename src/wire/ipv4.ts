/**
 * IPv4 header, RFC 791 section 3.1.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------+-------+-----------+---+-------------------------------+
 *   | ver 4 |  IHL  |   DSCP    |ECN|         total length          |
 *   +-------+-------+-----------+---+-+-+-+-------------------------+
 *   |        identification         |0|D|M|    fragment offset      |
 *   +---------------+---------------+-+-+-+-------------------------+
 *   |      TTL      |   protocol    |        header checksum        |
 *   +---------------+---------------+-------------------------------+
 *   |                        source address                         |
 *   +---------------------------------------------------------------+
 *   |                      destination address                      |
 *   +---------------------------------------------------------------+
 *   |            options, 0 to 40 bytes, padded with 0              |
 *   +---------------------------------------------------------------+
 *
 * IHL in units of 4 bytes, fragment offset in units of 8. Addresses are int32.
 * The packet ends at `ipv4End`, not at the end of the frame: short frames are padded.
 */

import { formatIpv4, parseIpv4 } from './address.ts'
import { get16, get32, put16, put32 } from './big-endian.ts'
import { checksum, onesComplementSum, updateChecksum16 } from './checksum.ts'
import { findHeaderOption } from './header-options.ts'

/** Without options. */
export const IPV4_HEADER_LENGTH = 20
/** Offsets from the start of the header. */
export const IPV4_TOS = 1
export const IPV4_TOTAL_LENGTH = 2
export const IPV4_ID = 4
export const IPV4_FRAGMENT = 6
export const IPV4_TTL = 8
export const IPV4_PROTOCOL = 9
export const IPV4_CHECKSUM = 10
export const IPV4_SOURCE = 12
export const IPV4_DESTINATION = 16

/** Upper-layer protocols and IPv6 extension headers share one registry: IANA "Protocol Numbers". */
export const IpProtocol = {
  hopByHop: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  none: 59,
  destinationOptions: 60
} as const

export const IPV4_DONT_FRAGMENT = 0x4000
export const IPV4_MORE_FRAGMENTS = 0x2000
const FRAGMENT_OFFSET_MASK = 0x1fff

export const Ipv4Option = {
  end: 0,
  noOperation: 1,
  recordRoute: 7,
  timestamp: 68,
  looseRoute: 131,
  strictRoute: 137,
  routerAlert: 148
} as const

/**
 * Whether [at, end) holds version 4, a header of at least 20 bytes wholly inside, and a total length that covers the
 * header and ends at or before `end`. The header checksum is not part of it: see `verifyIpv4Checksum`.
 */
export function checkIpv4(bytes: Uint8Array, at: number, end: number): boolean {
  if (at + IPV4_HEADER_LENGTH > end || bytes[at] < 0x45 || bytes[at] > 0x4f) return false
  const total = ipv4TotalLength(bytes, at)
  return total >= ipv4HeaderLength(bytes, at) && at + total <= end
}

/**
 * The weaker check for the packet quoted by an ICMP error, which ends early (RFC 792 quotes header plus 8 bytes):
 * the header is inside, the total length is not looked at.
 */
export function checkIpv4Quoted(bytes: Uint8Array, at: number, end: number): boolean {
  return at + IPV4_HEADER_LENGTH <= end && bytes[at] >= 0x45 && bytes[at] <= 0x4f && at + ipv4HeaderLength(bytes, at) <= end
}

/** In bytes, 20..60. */
export function ipv4HeaderLength(bytes: Uint8Array, at: number): number {
  return (bytes[at] & 0xf) << 2
}

/** DSCP in the upper 6 bits, ECN in the lower 2. */
export function ipv4Tos(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV4_TOS]
}

/** Header and payload, in bytes. */
export function ipv4TotalLength(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + IPV4_TOTAL_LENGTH)
}

/** Offset after the packet's last byte. */
export function ipv4End(bytes: Uint8Array, at: number): number {
  return at + ipv4TotalLength(bytes, at)
}

/** Offset of the payload. */
export function ipv4Payload(bytes: Uint8Array, at: number): number {
  return at + ipv4HeaderLength(bytes, at)
}

export function ipv4Id(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + IPV4_ID)
}

export function ipv4DontFragment(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + IPV4_FRAGMENT] & 0x40) !== 0
}

export function ipv4MoreFragments(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + IPV4_FRAGMENT] & 0x20) !== 0
}

/** In bytes, a multiple of 8, 0..65528. */
export function ipv4FragmentOffset(bytes: Uint8Array, at: number): number {
  return (get16(bytes, at + IPV4_FRAGMENT) & FRAGMENT_OFFSET_MASK) << 3
}

/** Whether this is one of several fragments. */
export function ipv4IsFragment(bytes: Uint8Array, at: number): boolean {
  return (get16(bytes, at + IPV4_FRAGMENT) & (IPV4_MORE_FRAGMENTS | FRAGMENT_OFFSET_MASK)) !== 0
}

/** Whether the payload starts with the upper-layer header: not so in later fragments. */
export function ipv4HasTransportHeader(bytes: Uint8Array, at: number): boolean {
  return (get16(bytes, at + IPV4_FRAGMENT) & FRAGMENT_OFFSET_MASK) === 0
}

export function ipv4Ttl(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV4_TTL]
}

export function ipv4Protocol(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV4_PROTOCOL]
}

export function ipv4Checksum(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + IPV4_CHECKSUM)
}

/** int32. */
export function ipv4Source(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + IPV4_SOURCE)
}

/** int32. */
export function ipv4Destination(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + IPV4_DESTINATION)
}

/** Offset of the first option of this kind, or -1; also -1 when the options before it are malformed. Bounded by the header's length. */
export function ipv4FindOption(bytes: Uint8Array, at: number, kind: number): number {
  return findHeaderOption(bytes, at + IPV4_HEADER_LENGTH, at + ipv4HeaderLength(bytes, at), kind)
}

/** Whether the header checksum is right. */
export function verifyIpv4Checksum(bytes: Uint8Array, at: number): boolean {
  return onesComplementSum(bytes, at, ipv4HeaderLength(bytes, at), 0) === 0xffff
}

/** Computes the header checksum. */
export function fillIpv4Checksum(bytes: Uint8Array, at: number): void {
  put16(bytes, at + IPV4_CHECKSUM, 0)
  put16(bytes, at + IPV4_CHECKSUM, checksum(bytes, at, ipv4HeaderLength(bytes, at)))
}

/** Sets the total length and updates the checksum. */
export function setIpv4TotalLength(bytes: Uint8Array, at: number, length: number): void {
  setWord(bytes, at, IPV4_TOTAL_LENGTH, length)
}

/** Sets the identification and updates the checksum. */
export function setIpv4Id(bytes: Uint8Array, at: number, id: number): void {
  setWord(bytes, at, IPV4_ID, id)
}

/** Sets flags and offset and updates the checksum. @param offset in bytes, a multiple of 8; @param flags IPV4_DONT_FRAGMENT | IPV4_MORE_FRAGMENTS */
export function setIpv4Fragment(bytes: Uint8Array, at: number, flags: number, offset: number): void {
  setWord(bytes, at, IPV4_FRAGMENT, flags | (offset >> 3))
}

/** Takes one from the TTL, which must not be 0, and updates the checksum. @returns what is left; at 0 the packet must not be forwarded. */
export function decrementIpv4Ttl(bytes: Uint8Array, at: number): number {
  setWord(bytes, at, IPV4_TTL, get16(bytes, at + IPV4_TTL) - 0x0100)
  return ipv4Ttl(bytes, at)
}

/** Sets the source, int32, and updates the header checksum. A transport checksum covers it too: that one is the caller's. */
export function setIpv4Source(bytes: Uint8Array, at: number, address: number): void {
  setWord(bytes, at, IPV4_SOURCE, address >>> 16)
  setWord(bytes, at, IPV4_SOURCE + 2, address & 0xffff)
}

/** Sets the destination, int32, and updates the header checksum. A transport checksum covers it too: that one is the caller's. */
export function setIpv4Destination(bytes: Uint8Array, at: number, address: number): void {
  setWord(bytes, at, IPV4_DESTINATION, address >>> 16)
  setWord(bytes, at, IPV4_DESTINATION + 2, address & 0xffff)
}

function setWord(bytes: Uint8Array, at: number, offset: number, value: number): void {
  const field = updateChecksum16(ipv4Checksum(bytes, at), get16(bytes, at + offset), value & 0xffff)
  put16(bytes, at + offset, value)
  put16(bytes, at + IPV4_CHECKSUM, field)
}

/** Addresses as text. Left out, the optional ones are 0, false and empty; `ttl` 64. The checksum is computed. */
export interface Ipv4Repr {
  source: string
  destination: string
  protocol: number
  /** Bytes after the header. */
  payloadLength: number
  ttl?: number
  tos?: number
  id?: number
  dontFragment?: boolean
  moreFragments?: boolean
  /** In bytes, a multiple of 8. */
  fragmentOffset?: number
  /** A multiple of 4 bytes, at most 40. */
  options?: Uint8Array
}

/** All fields present. null when `checkIpv4` or the header checksum fails. The options are a copy. */
export function parseIpv4Header(bytes: Uint8Array, at: number, end: number): Required<Ipv4Repr> | null {
  if (!checkIpv4(bytes, at, end) || !verifyIpv4Checksum(bytes, at)) return null
  return {
    source: formatIpv4(ipv4Source(bytes, at)),
    destination: formatIpv4(ipv4Destination(bytes, at)),
    protocol: ipv4Protocol(bytes, at),
    payloadLength: ipv4TotalLength(bytes, at) - ipv4HeaderLength(bytes, at),
    ttl: ipv4Ttl(bytes, at),
    tos: ipv4Tos(bytes, at),
    id: ipv4Id(bytes, at),
    dontFragment: ipv4DontFragment(bytes, at),
    moreFragments: ipv4MoreFragments(bytes, at),
    fragmentOffset: ipv4FragmentOffset(bytes, at),
    options: bytes.slice(at + IPV4_HEADER_LENGTH, ipv4Payload(bytes, at))
  }
}

/** Writes the header, checksum included, and returns its length. Throws AddressError, or RangeError on options or a length that do not fit. */
export function emitIpv4(repr: Ipv4Repr, bytes: Uint8Array, at: number): number {
  const options = repr.options ?? new Uint8Array(0)
  const length = IPV4_HEADER_LENGTH + options.length
  if ((length & 3) !== 0 || length > 60)
    throw new RangeError(`IPv4 options of ${options.length} bytes: expected a multiple of 4, at most 40`)
  if (length + repr.payloadLength > 0xffff) throw new RangeError(`IPv4 payload of ${repr.payloadLength} bytes does not fit in 65535`)
  const flags = (repr.dontFragment ? IPV4_DONT_FRAGMENT : 0) | (repr.moreFragments ? IPV4_MORE_FRAGMENTS : 0)
  bytes[at] = 0x40 | (length >> 2)
  bytes[at + IPV4_TOS] = repr.tos ?? 0
  put16(bytes, at + IPV4_TOTAL_LENGTH, length + repr.payloadLength)
  put16(bytes, at + IPV4_ID, repr.id ?? 0)
  put16(bytes, at + IPV4_FRAGMENT, flags | ((repr.fragmentOffset ?? 0) >> 3))
  bytes[at + IPV4_TTL] = repr.ttl ?? 64
  bytes[at + IPV4_PROTOCOL] = repr.protocol
  put32(bytes, at + IPV4_SOURCE, parseIpv4(repr.source))
  put32(bytes, at + IPV4_DESTINATION, parseIpv4(repr.destination))
  bytes.set(options, at + IPV4_HEADER_LENGTH)
  fillIpv4Checksum(bytes, at)
  return length
}
