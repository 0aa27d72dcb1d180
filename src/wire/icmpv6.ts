/**
 * ICMPv6, RFC 4443: echo and errors. Neighbor Discovery, which ICMPv6 carries, is in neighbor-discovery.ts.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +---------------+---------------+-------------------------------+
 *   |     type      |     code      |           checksum            |
 *   +---------------+---------------+-------------------------------+
 *   | echo: identifier, sequence;  too big: MTU;  parameter problem:|
 *   | pointer;  other errors: unused;  the rest by type             |
 *   +---------------------------------------------------------------+
 *   | echo: data; error: as much of the packet as fits in 1280      |
 *   +---------------------------------------------------------------+
 *
 * Types below 128 are errors. The checksum has a pseudo-header, so the functions for it take the offset of the IPv6 header.
 */
import { get16, get32, put16, put32 } from './big-endian.ts'
import { fillTransport, verifyTransport } from './checksum.ts'
import { IpProtocol } from './ipv4.ts'

export const ICMPV6_HEADER_LENGTH = 8
/** Offsets from the start of the message. */
export const ICMPV6_TYPE = 0
export const ICMPV6_CODE = 1
export const ICMPV6_CHECKSUM = 2
export const ICMPV6_ID = 4
export const ICMPV6_SEQUENCE = 6
export const ICMPV6_WORD = 4

export const Icmpv6Type = {
  unreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echoRequest: 128,
  echoReply: 129,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighborSolicitation: 135,
  neighborAdvertisement: 136,
  redirect: 137,
  /** MLDv2, RFC 3810: known by its number only. */
  multicastReport: 143
} as const

/** Codes of Icmpv6Type.unreachable: RFC 4443 section 3.1. */
export const Icmpv6Unreachable = { noRoute: 0, administratively: 1, beyondScope: 2, address: 3, port: 4 } as const

/** Whether [at, end) holds 8 bytes: every message that is defined has at least these. */
export function checkIcmpv6(_bytes: Uint8Array, at: number, end: number): boolean {
  return at + ICMPV6_HEADER_LENGTH <= end
}

export function icmpv6Type(bytes: Uint8Array, at: number): number {
  return bytes[at + ICMPV6_TYPE]
}

export function icmpv6Code(bytes: Uint8Array, at: number): number {
  return bytes[at + ICMPV6_CODE]
}

export function icmpv6Checksum(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ICMPV6_CHECKSUM)
}

/** Identifier of an echo message. */
export function icmpv6Id(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ICMPV6_ID)
}

/** Sequence number of an echo message. */
export function icmpv6Sequence(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ICMPV6_SEQUENCE)
}

/** The second word, int32: MTU of "packet too big", pointer of "parameter problem". */
export function icmpv6Word(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + ICMPV6_WORD)
}

/** Whether the message quotes the packet that caused it, from offset ICMPV6_HEADER_LENGTH on: RFC 4443 section 2.1. */
export function icmpv6IsError(bytes: Uint8Array, at: number): boolean {
  return bytes[at] < 128
}

/** `end` is the end of the IPv6 packet, `ipAt` the offset of its header. */
export function verifyIcmpv6Checksum(bytes: Uint8Array, at: number, end: number, ipAt: number): boolean {
  return verifyTransport(bytes, at, end, ipAt, IpProtocol.icmpv6)
}

/** Computes the checksum over [at, end) and the pseudo-header of the IPv6 header at `ipAt`. */
export function fillIcmpv6Checksum(bytes: Uint8Array, at: number, end: number, ipAt: number): void {
  fillTransport(bytes, at, end, ipAt, IpProtocol.icmpv6, at + ICMPV6_CHECKSUM)
}

export interface Icmpv6EchoRepr {
  kind: 'echo-request' | 'echo-reply'
  id: number
  sequence: number
  data: Uint8Array
}

export interface Icmpv6ErrorRepr {
  kind: 'unreachable' | 'packet-too-big' | 'time-exceeded' | 'parameter-problem'
  code: number
  /** MTU, pointer or 0, int32. */
  word: number
  /** The packet that caused it, as far as it is quoted. */
  quoted: Uint8Array
}

export type Icmpv6Repr = Icmpv6EchoRepr | Icmpv6ErrorRepr

const KINDS: ReadonlyMap<number, Icmpv6Repr['kind']> = new Map<number, Icmpv6Repr['kind']>([
  [Icmpv6Type.unreachable, 'unreachable'],
  [Icmpv6Type.packetTooBig, 'packet-too-big'],
  [Icmpv6Type.timeExceeded, 'time-exceeded'],
  [Icmpv6Type.parameterProblem, 'parameter-problem'],
  [Icmpv6Type.echoRequest, 'echo-request'],
  [Icmpv6Type.echoReply, 'echo-reply']
])
const TYPES: ReadonlyMap<Icmpv6Repr['kind'], number> = new Map([...KINDS].map(([type, kind]) => [kind, type]))

/** null when truncated, wrong in its checksum, or of a type not in Icmpv6Repr. Data is a copy. */
export function parseIcmpv6(bytes: Uint8Array, at: number, end: number, ipAt: number): Icmpv6Repr | null {
  if (!checkIcmpv6(bytes, at, end) || !verifyIcmpv6Checksum(bytes, at, end, ipAt)) return null
  const kind = KINDS.get(icmpv6Type(bytes, at))
  const rest = bytes.slice(at + ICMPV6_HEADER_LENGTH, end)
  if (kind === undefined) return null
  if (kind === 'echo-request' || kind === 'echo-reply') {
    return { kind, id: icmpv6Id(bytes, at), sequence: icmpv6Sequence(bytes, at), data: rest }
  }
  return { kind, code: icmpv6Code(bytes, at), word: icmpv6Word(bytes, at), quoted: rest }
}

/** Writes the message and its checksum under the IPv6 header already emitted at `ipAt`; returns its length. */
export function emitIcmpv6(repr: Icmpv6Repr, bytes: Uint8Array, at: number, ipAt: number): number {
  const isEcho = 'data' in repr
  const rest = isEcho ? repr.data : repr.quoted
  const end = at + ICMPV6_HEADER_LENGTH + rest.length
  bytes[at + ICMPV6_TYPE] = TYPES.get(repr.kind)!
  bytes[at + ICMPV6_CODE] = isEcho ? 0 : repr.code
  if (isEcho) {
    put16(bytes, at + ICMPV6_ID, repr.id)
    put16(bytes, at + ICMPV6_SEQUENCE, repr.sequence)
  } else {
    put32(bytes, at + ICMPV6_WORD, repr.word)
  }
  bytes.set(rest, at + ICMPV6_HEADER_LENGTH)
  fillIcmpv6Checksum(bytes, at, end, ipAt)
  return end - at
}
