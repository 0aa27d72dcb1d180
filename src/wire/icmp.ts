/**
 * ICMP for IPv4, RFC 792; next-hop MTU RFC 1191.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +---------------+---------------+-------------------------------+
 *   |     type      |     code      |           checksum            |
 *   +---------------+---------------+-------------------------------+
 *   | echo:     identifier          |        sequence number        |
 *   | error:    unused              |  next-hop MTU (type 3 code 4) |
 *   +-------------------------------+-------------------------------+
 *   | echo: data; error: the IP header that caused it and at least  |
 *   | 8 bytes of its payload                                        |
 *   +---------------------------------------------------------------+
 *
 * There is no pseudo-header: the checksum covers [at, end) alone, so `end` must be the end of the IP packet.
 */
import { get16, put16, put32 } from './big-endian.ts'
import { checksum, onesComplementSum } from './checksum.ts'

export const ICMP_HEADER_LENGTH = 8
/** Offsets from the start of the message. */
export const ICMP_TYPE = 0
export const ICMP_CODE = 1
export const ICMP_CHECKSUM = 2
export const ICMP_ID = 4
export const ICMP_SEQUENCE = 6
export const ICMP_MTU = 6

export const IcmpType = {
  echoReply: 0,
  unreachable: 3,
  sourceQuench: 4,
  redirect: 5,
  echoRequest: 8,
  timeExceeded: 11,
  parameterProblem: 12,
  timestampRequest: 13,
  timestampReply: 14
} as const

/** Codes of IcmpType.unreachable: RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1. */
export const IcmpUnreachable = { net: 0, host: 1, protocol: 2, port: 3, fragmentationNeeded: 4, administratively: 13 } as const

/** Whether [at, end) holds the 8 bytes that every message has. */
export function checkIcmp(_bytes: Uint8Array, at: number, end: number): boolean {
  return at + ICMP_HEADER_LENGTH <= end
}

export function icmpType(bytes: Uint8Array, at: number): number {
  return bytes[at + ICMP_TYPE]
}

export function icmpCode(bytes: Uint8Array, at: number): number {
  return bytes[at + ICMP_CODE]
}

export function icmpChecksum(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ICMP_CHECKSUM)
}

/** Identifier of an echo or timestamp message. */
export function icmpId(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ICMP_ID)
}

/** Sequence number of an echo or timestamp message. */
export function icmpSequence(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ICMP_SEQUENCE)
}

/** Next-hop MTU of "fragmentation needed"; 0 from routers older than RFC 1191. */
export function icmpMtu(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ICMP_MTU)
}

/** Whether the message has an identifier that tells flows apart: echo and timestamp, either way. */
export function icmpIsQuery(bytes: Uint8Array, at: number): boolean {
  const type = bytes[at]
  return (
    type === IcmpType.echoRequest || type === IcmpType.echoReply || type === IcmpType.timestampRequest || type === IcmpType.timestampReply
  )
}

/** Whether the message quotes the packet that caused it, from offset ICMP_HEADER_LENGTH on: RFC 1122 3.2.2. */
export function icmpIsError(bytes: Uint8Array, at: number): boolean {
  const type = bytes[at]
  return type === IcmpType.timeExceeded || type === IcmpType.parameterProblem || (type >= IcmpType.unreachable && type <= IcmpType.redirect)
}

export function verifyIcmpChecksum(bytes: Uint8Array, at: number, end: number): boolean {
  return onesComplementSum(bytes, at, end - at, 0) === 0xffff
}

/** Computes the checksum over [at, end). */
export function fillIcmpChecksum(bytes: Uint8Array, at: number, end: number): void {
  put16(bytes, at + ICMP_CHECKSUM, 0)
  put16(bytes, at + ICMP_CHECKSUM, checksum(bytes, at, end - at))
}

export interface IcmpEchoRepr {
  kind: 'echo-request' | 'echo-reply'
  id: number
  sequence: number
  data: Uint8Array
}

export interface IcmpErrorRepr {
  kind: 'unreachable' | 'redirect' | 'time-exceeded' | 'parameter-problem'
  code: number
  /** Second word of the header: MTU of code 4 in the low 16 bits, gateway of a redirect, pointer of a parameter problem in the top 8. int32. */
  word: number
  /** The packet that caused it, as far as it is quoted. */
  quoted: Uint8Array
}

export type IcmpRepr = IcmpEchoRepr | IcmpErrorRepr

const KINDS: ReadonlyMap<number, IcmpRepr['kind']> = new Map<number, IcmpRepr['kind']>([
  [IcmpType.echoReply, 'echo-reply'],
  [IcmpType.unreachable, 'unreachable'],
  [IcmpType.redirect, 'redirect'],
  [IcmpType.echoRequest, 'echo-request'],
  [IcmpType.timeExceeded, 'time-exceeded'],
  [IcmpType.parameterProblem, 'parameter-problem']
])
const TYPES: ReadonlyMap<IcmpRepr['kind'], number> = new Map([...KINDS].map(([type, kind]) => [kind, type]))

/** null when truncated, wrong in its checksum, or of a type not in IcmpRepr. Data is a copy. */
export function parseIcmp(bytes: Uint8Array, at: number, end: number): IcmpRepr | null {
  if (!checkIcmp(bytes, at, end) || !verifyIcmpChecksum(bytes, at, end)) return null
  const kind = KINDS.get(icmpType(bytes, at))
  const rest = bytes.slice(at + ICMP_HEADER_LENGTH, end)
  if (kind === undefined) return null
  if (kind === 'echo-request' || kind === 'echo-reply') {
    return { kind, id: icmpId(bytes, at), sequence: icmpSequence(bytes, at), data: rest }
  }
  return { kind, code: icmpCode(bytes, at), word: (get16(bytes, at + ICMP_ID) << 16) | get16(bytes, at + ICMP_SEQUENCE), quoted: rest }
}

/** Writes the message, checksum included, and returns its length. */
export function emitIcmp(repr: IcmpRepr, bytes: Uint8Array, at: number): number {
  const isEcho = 'data' in repr
  const rest = isEcho ? repr.data : repr.quoted
  const end = at + ICMP_HEADER_LENGTH + rest.length
  bytes[at + ICMP_TYPE] = TYPES.get(repr.kind)!
  bytes[at + ICMP_CODE] = isEcho ? 0 : repr.code
  if (isEcho) {
    put16(bytes, at + ICMP_ID, repr.id)
    put16(bytes, at + ICMP_SEQUENCE, repr.sequence)
  } else {
    put32(bytes, at + ICMP_ID, repr.word)
  }
  bytes.set(rest, at + ICMP_HEADER_LENGTH)
  fillIcmpChecksum(bytes, at, end)
  return end - at
}
