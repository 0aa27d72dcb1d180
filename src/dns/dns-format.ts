/**
 * DNS messages as bytes, RFC 1035 section 4: numbers of the protocol, names in wire form.
 *
 *   | id | flags | questions | answers | authorities | additionals |  12 bytes
 *   | question: name, type, class |
 *   | records: name, type, class, TTL (32), length, data | ...
 */
import { formatAddress, parseAddress } from '../wire/cidr.ts'

export const DNS_PORT = 53
export const DNS_HEADER_LENGTH = 12
/** Offsets from the start of the message. */
export const DNS_FLAGS = 2
export const DNS_QUESTIONS = 4
export const DNS_ANSWERS = 6
export const DNS_AUTHORITIES = 8
export const DNS_ADDITIONALS = 10

/** Bits of the flags word. */
export const DnsFlag = {
  response: 0x8000,
  opcode: 0x7800,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  checkingDisabled: 0x0010,
  rcode: 0x000f
} as const

export const DnsType = { a: 1, soa: 6, ptr: 12, mx: 15, txt: 16, aaaa: 28, srv: 33, opt: 41, any: 255 } as const
export const DNS_CLASS_IN = 1

/** RFC 1035 4.1.1; badVersion is of RFC 6891 and needs the OPT record for its upper bits. */
export const Rcode = { noError: 0, formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4, refused: 5, badVersion: 16 } as const

/** What a client without EDNS takes over UDP: RFC 1035 4.2.1. */
export const DNS_UDP_SIZE = 512
/** What we send and take over UDP at most: no fragments on any path (the DNS flag day of 2020). */
export const EDNS_UDP_SIZE = 1232

const LABEL_MAX = 63
const NAME_MAX = 255

/**
 * The wire form of a name: length byte and label, again, and 0. Null when a label is empty or longer than 63 bytes, or all
 * is longer than 255. A final dot is allowed; letters keep their case.
 */
export function encodeName(name: string): Uint8Array | null {
  const text = name.endsWith('.') ? name.slice(0, -1) : name
  if (text === '') return null
  const labels = text.split('.').map((label) => new TextEncoder().encode(label))
  if (labels.some((label) => label.length === 0 || label.length > LABEL_MAX)) return null
  const length = labels.reduce((sum, label) => sum + 1 + label.length, 1)
  if (length > NAME_MAX) return null
  const bytes = new Uint8Array(length)
  let at = 0
  for (const label of labels) {
    bytes[at] = label.length
    bytes.set(label, at + 1)
    at += 1 + label.length
  }
  return bytes
}

/** ASCII to lower case, RFC 4343. A length byte is at most 63 and so is never changed. */
export function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
}

/** FNV-1a over the name in lower case, as int32. */
export function hashName(bytes: Uint8Array, at: number, length: number): number {
  let hash = 0x811c9dc5 | 0
  for (let i = at; i < at + length; i++) hash = Math.imul(hash ^ lowerCase(bytes[i]), 0x01000193)
  return hash
}

/** The name that a PTR question for an address asks: RFC 1035 3.5, RFC 3596 2.5. Throws AddressError. */
export function reverseName(address: string): string {
  const value = parseAddress(address)
  if (typeof value === 'number') return `${formatAddress(value).split('.').reverse().join('.')}.in-addr.arpa`
  const digits = value.toString(16).padStart(32, '0')
  return `${[...digits].reverse().join('.')}.ip6.arpa`
}
