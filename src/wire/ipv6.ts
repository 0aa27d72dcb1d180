/**
 * IPv6 header and extension headers, RFC 8200; AH RFC 4302.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------+---------------+---------------------------------------+
 *   | ver 6 | traffic class |              flow label               |
 *   +-------+---------------+-------+---------------+---------------+
 *   |        payload length         |  next header  |   hop limit   |
 *   +-------------------------------+---------------+---------------+
 *   |                  source address (128 bits)                    |
 *   +---------------------------------------------------------------+
 *   |                destination address (128 bits)                 |
 *   +---------------------------------------------------------------+
 *
 * Extension headers start with next header and length: in units of 8 bytes beyond the first 8,
 * but 4 bytes beyond the first 8 in AH; the fragment header always has 8 bytes:
 *
 *   +---------------+---------------+-------------------------+---+-+
 *   |  next header  |   reserved    |  offset (units of 8)    |res|M|
 *   +---------------+---------------+-------------------------+---+-+
 *   |                        identification                         |
 *   +---------------------------------------------------------------+
 *
 * On the frame path an address is four int32 words, compared in place. Jumbograms (RFC 2675) are not read.
 */
import { formatIpv6, parseIpv6 } from './address.ts'
import { get16, get32, put16, put32 } from './big-endian.ts'
import { IpProtocol } from './ipv4.ts'

/** Without extension headers. */
export const IPV6_HEADER_LENGTH = 40
/** Offsets from the start of the header. */
export const IPV6_PAYLOAD_LENGTH = 4
export const IPV6_NEXT_HEADER = 6
export const IPV6_HOP_LIMIT = 7
export const IPV6_SOURCE = 8
export const IPV6_DESTINATION = 24
export const IPV6_FRAGMENT_HEADER_LENGTH = 8
/** Every link carries this many bytes: RFC 8200 section 5. */
export const IPV6_MIN_MTU = 1280

/** Whether [at, end) holds version 6, the 40 bytes, and the payload length ends at or before `end`. */
export function checkIpv6(bytes: Uint8Array, at: number, end: number): boolean {
  return checkIpv6Quoted(bytes, at, end) && ipv6End(bytes, at) <= end
}

/** The weaker check for the packet quoted by an ICMPv6 error: the payload length is not looked at. */
export function checkIpv6Quoted(bytes: Uint8Array, at: number, end: number): boolean {
  return at + IPV6_HEADER_LENGTH <= end && bytes[at] >> 4 === 6
}

export function ipv6TrafficClass(bytes: Uint8Array, at: number): number {
  return (get16(bytes, at) >> 4) & 0xff
}

/** 20 bits. */
export function ipv6FlowLabel(bytes: Uint8Array, at: number): number {
  return get32(bytes, at) & 0xfffff
}

/** Everything after the 40 bytes, extension headers included. */
export function ipv6PayloadLength(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + IPV6_PAYLOAD_LENGTH)
}

/** Offset after the packet's last byte. */
export function ipv6End(bytes: Uint8Array, at: number): number {
  return at + IPV6_HEADER_LENGTH + ipv6PayloadLength(bytes, at)
}

/** Of the fixed header: the first extension header or the upper layer. */
export function ipv6NextHeader(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV6_NEXT_HEADER]
}

export function ipv6HopLimit(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV6_HOP_LIMIT]
}

/** Word 0..3 of the address at `addressAt` (header + IPV6_SOURCE or IPV6_DESTINATION, or anywhere else), int32. */
export function ipv6Word(bytes: Uint8Array, addressAt: number, word: number): number {
  return get32(bytes, addressAt + 4 * word)
}

/** Whether two addresses, each somewhere in a chunk, are equal. */
export function ipv6Equal(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  return (
    get32(a, aAt + 12) === get32(b, bAt + 12) &&
    get32(a, aAt + 8) === get32(b, bAt + 8) &&
    get32(a, aAt + 4) === get32(b, bAt + 4) &&
    get32(a, aAt) === get32(b, bAt)
  )
}

export function setIpv6PayloadLength(bytes: Uint8Array, at: number, length: number): void {
  put16(bytes, at + IPV6_PAYLOAD_LENGTH, length)
}

export function setIpv6HopLimit(bytes: Uint8Array, at: number, hopLimit: number): void {
  bytes[at + IPV6_HOP_LIMIT] = hopLimit
}

/** Copies an address of 16 bytes to `addressAt`. */
export function setIpv6Address(bytes: Uint8Array, addressAt: number, from: Uint8Array, fromAt = 0): void {
  for (let i = 0; i < 16; i++) bytes[addressAt + i] = from[fromAt + i]
}

/** Slots of the result of `walkIpv6Extensions`, an Int32Array of IPV6_WALK_LENGTH that the caller keeps and passes in. */
export const IPV6_WALK_PROTOCOL = 0
export const IPV6_WALK_OFFSET = 1
export const IPV6_WALK_FRAGMENT = 2
export const IPV6_WALK_LENGTH = 3

/** More extension headers than anyone sends; a limit, so that a 64 KiB packet of empty ones costs little (RFC 8504 5.3). */
const MAX_EXTENSION_HEADERS = 8

/**
 * Walks hop-by-hop, routing, fragment, destination options and AH headers to the upper layer. `checkIpv6` (or the
 * quoted one) must have held; nothing is read outside [at, end). Writes:
 *   IPV6_WALK_PROTOCOL  the protocol that ended the walk: an upper layer, ESP, none, or one unknown
 *   IPV6_WALK_OFFSET    offset in `bytes` of its first byte; may equal `end`
 *   IPV6_WALK_FRAGMENT  offset of the fragment header, or -1. In a later fragment the walk ends after it, and the
 *                       bytes at IPV6_WALK_OFFSET are from the middle of something
 * @returns false, with the result unspecified, when a header is cut off, there are too many, a second fragment header
 *   is met, or a hop-by-hop header is not the first (RFC 8200 section 4.1)
 */
export function walkIpv6Extensions(bytes: Uint8Array, at: number, end: number, result: Int32Array): boolean {
  let protocol = ipv6NextHeader(bytes, at)
  let offset = at + IPV6_HEADER_LENGTH
  let fragment = -1
  for (let count = 0; isExtension(protocol); count++) {
    if (count === MAX_EXTENSION_HEADERS || offset + 8 > end) return false
    if (protocol === IpProtocol.hopByHop && count > 0) return false
    const next = bytes[offset]
    const header = offset
    if (protocol === IpProtocol.fragment) {
      if (fragment >= 0) return false
      fragment = offset
      offset += IPV6_FRAGMENT_HEADER_LENGTH
    } else if (protocol === IpProtocol.ah) {
      offset += (bytes[offset + 1] + 2) << 2
    } else {
      offset += (bytes[offset + 1] + 1) << 3
    }
    if (offset > end) return false
    const isLaterFragment = protocol === IpProtocol.fragment && ipv6FragmentOffset(bytes, header) > 0
    protocol = next
    if (isLaterFragment) break
  }
  result[IPV6_WALK_PROTOCOL] = protocol
  result[IPV6_WALK_OFFSET] = offset
  result[IPV6_WALK_FRAGMENT] = fragment
  return true
}

/** Whether the walk goes on past a header of this protocol. */
function isExtension(protocol: number): boolean {
  return (
    protocol === IpProtocol.hopByHop ||
    protocol === IpProtocol.routing ||
    protocol === IpProtocol.fragment ||
    protocol === IpProtocol.ah ||
    protocol === IpProtocol.destinationOptions
  )
}

/** In bytes, a multiple of 8; `fragmentAt` is IPV6_WALK_FRAGMENT. */
export function ipv6FragmentOffset(bytes: Uint8Array, fragmentAt: number): number {
  return get16(bytes, fragmentAt + 2) & 0xfff8
}

export function ipv6MoreFragments(bytes: Uint8Array, fragmentAt: number): boolean {
  return (bytes[fragmentAt + 3] & 1) !== 0
}

/** int32. */
export function ipv6FragmentId(bytes: Uint8Array, fragmentAt: number): number {
  return get32(bytes, fragmentAt + 4)
}

/** Addresses as text. Left out, hop limit is 64, the others 0. */
export interface Ipv6Repr {
  source: string
  destination: string
  /** Protocol of what follows the fixed header. */
  nextHeader: number
  /** Bytes after the fixed header. */
  payloadLength: number
  hopLimit?: number
  trafficClass?: number
  flowLabel?: number
}

/** The fixed header, all fields present; null when `checkIpv6` fails. */
export function parseIpv6Header(bytes: Uint8Array, at: number, end: number): Required<Ipv6Repr> | null {
  if (!checkIpv6(bytes, at, end)) return null
  return {
    source: formatIpv6(bytes, at + IPV6_SOURCE),
    destination: formatIpv6(bytes, at + IPV6_DESTINATION),
    nextHeader: ipv6NextHeader(bytes, at),
    payloadLength: ipv6PayloadLength(bytes, at),
    hopLimit: ipv6HopLimit(bytes, at),
    trafficClass: ipv6TrafficClass(bytes, at),
    flowLabel: ipv6FlowLabel(bytes, at)
  }
}

/** Writes the fixed header and returns its length. Throws AddressError, or RangeError on a length over 65535. */
export function emitIpv6(repr: Ipv6Repr, bytes: Uint8Array, at: number): number {
  if (repr.payloadLength > 0xffff) throw new RangeError(`IPv6 payload of ${repr.payloadLength} bytes does not fit in 65535`)
  put32(bytes, at, 0x60000000 | ((repr.trafficClass ?? 0) << 20) | ((repr.flowLabel ?? 0) & 0xfffff))
  setIpv6PayloadLength(bytes, at, repr.payloadLength)
  bytes[at + IPV6_NEXT_HEADER] = repr.nextHeader
  setIpv6HopLimit(bytes, at, repr.hopLimit ?? 64)
  setIpv6Address(bytes, at + IPV6_SOURCE, parseIpv6(repr.source))
  setIpv6Address(bytes, at + IPV6_DESTINATION, parseIpv6(repr.destination))
  return IPV6_HEADER_LENGTH
}
