/**
 * What names one direction of a flow: addresses, ports, protocol.
 *
 *   a   source, first half   | destination port << 16
 *   b   source, second half  | destination, first half << 16
 *   c   destination, second half | source port << 16
 *   d   protocol | IPV6_KIND | ICMP type << 16
 *
 * a, b and c are what a little-endian machine finds in the words of an IPv4 frame that begins at a multiple of four (the IP header
 * is two bytes off): the fast path compares and writes a tuple by three words, with no field taken apart. Everybody else uses
 * the getters. So a field here has its bytes in the frame's order: read it with `readAddress` and `readPort`.
 *
 * An address is 32 bits: an IPv4 address itself, or the number of an IPv6 address (InternedAddresses). An ICMP query has its
 * identifier for both ports. Protocols without ports have 0.
 */
import { put16 } from '../../wire/big-endian.ts'
import { IpProtocol } from '../../wire/ipv4.ts'

/** In `d`: addresses are numbers of IPv6 addresses. */
export const IPV6_KIND = 0x100
const ICMP_TYPE_SHIFT = 16
/** By type: the type of the answer, or of the request that it answers; -1 for what is neither. ICMP and ICMPv6: RFC 792, 950, 4443. */
const ICMP_ANSWERS = answers([8, 0], [13, 14], [15, 16], [17, 18])
const ICMPV6_ANSWERS = answers([128, 129])

function answers(...pairs: readonly (readonly [request: number, answer: number])[]): Int16Array {
  const table = new Int16Array(256).fill(-1)
  for (const [request, answer] of pairs) {
    table[request] = answer
    table[answer] = request
  }
  return table
}

/** Four bytes as they stand in a frame. */
export function readAddress(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}

export function writeAddress(bytes: Uint8Array, at: number, address: number): void {
  bytes[at] = address
  bytes[at + 1] = address >>> 8
  bytes[at + 2] = address >>> 16
  bytes[at + 3] = address >>> 24
}

/** Two bytes as they stand in a frame; 0..65535. */
export function readPort(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8)
}

/** A number of people's into a field of a tuple and back: 16 bits with their bytes exchanged. */
export function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff)
}

/** The same for 32 bits, int32. */
export function swap32(value: number): number {
  return (swap16(value & 0xffff) << 16) | swap16(value >>> 16)
}

/** The type of an answer to an ICMP query of `type`; -1 when it is no query. */
export function icmpAnswerType(type: number, isIpv6: boolean): number {
  return (isIpv6 ? ICMPV6_ANSWERS : ICMP_ANSWERS)[type & 0xff]
}

/** Whether an ICMP query of this type may begin a flow: a request, no answer. */
export function icmpBegins(type: number, isIpv6: boolean): boolean {
  return isIpv6 ? type === 128 : type === 8 || type === 13 || type === 15 || type === 17
}

/** `d` of the opposite direction. */
export function oppositeKind(d: number): number {
  const protocol = d & 0xff
  if (protocol !== IpProtocol.icmp && protocol !== IpProtocol.icmpv6) return d
  return (d & 0xffff) | (icmpAnswerType(d >>> ICMP_TYPE_SHIFT, (d & IPV6_KIND) !== 0) << ICMP_TYPE_SHIFT)
}

/** One tuple, written anew for every frame: nothing is allocated. */
export class Tuple {
  a = 0
  b = 0
  c = 0
  d = 0

  set(source: number, destination: number, sourcePort: number, destinationPort: number, kind: number): void {
    this.a = (source & 0xffff) | (destinationPort << 16)
    this.b = (source >>> 16) | (destination << 16)
    this.c = (destination >>> 16) | (sourcePort << 16)
    this.d = kind
  }

  get source(): number {
    return (this.a & 0xffff) | (this.b << 16)
  }

  get destination(): number {
    return (this.b >>> 16) | (this.c << 16)
  }

  get sourcePort(): number {
    return this.c >>> 16
  }

  get destinationPort(): number {
    return this.a >>> 16
  }

  get protocol(): number {
    return this.d & 0xff
  }

  get isIpv6(): boolean {
    return (this.d & IPV6_KIND) !== 0
  }

  /** Meaningful for ICMP. */
  get icmpType(): number {
    return this.d >>> ICMP_TYPE_SHIFT
  }

  /** Becomes the tuple of an answer to what `other` names, were nothing translated. */
  setOpposite(other: Tuple): void {
    this.set(other.destination, other.source, other.destinationPort, other.sourcePort, oppositeKind(other.d))
  }

  copy(other: Tuple): void {
    this.a = other.a
    this.b = other.b
    this.c = other.c
    this.d = other.d
  }

  equals(other: Tuple): boolean {
    return this.a === other.a && this.b === other.b && this.c === other.c && this.d === other.d
  }
}

/** `kind` of a tuple. */
export function tupleKind(protocol: number, isIpv6: boolean, icmpType = 0): number {
  return protocol | (isIpv6 ? IPV6_KIND : 0) | (icmpType << ICMP_TYPE_SHIFT)
}

/** A port in a frame from a field of a tuple. */
export function writePort(bytes: Uint8Array, at: number, port: number): void {
  put16(bytes, at, swap16(port))
}
