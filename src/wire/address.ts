/**
 * Addresses: text <-> numbers, and the addresses that follow from others.
 *
 *   MAC    { hi, lo }     hi = first 16 bits (0..0xffff), lo = last 32 bits as int32; never one number of 48 bits
 *   IPv4   int32          192.0.2.1 is 0xc0000201 | 0
 *   IPv6   16 bytes       in network order; on the frame path compared in place, see ipv6.ts
 *
 * Parsing is control plane and throws AddressError, naming the value. Prefixes are in cidr.ts.
 */
import { get16, get32, put16, put32 } from './big-endian.ts'

/** An address, prefix or MAC that cannot be read. `value` is the text that was given. */
export class AddressError extends Error {
  readonly code = 'INVALID_ADDRESS'
  readonly value: string

  constructor(value: string, expected: string) {
    super(`invalid address ${JSON.stringify(value)}: expected ${expected}`)
    this.name = 'AddressError'
    this.value = value
  }
}

/** hi: 0..0xffff; lo: int32. */
export interface Mac {
  readonly hi: number
  readonly lo: number
}

export const MAC_LENGTH = 6
export const IPV6_LENGTH = 16
export const MAC_BROADCAST: Mac = { hi: 0xffff, lo: -1 }

const MAC_TEXT = /^[0-9a-f]{1,2}(?:([:-])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2}){4}$/i

/** Reads `02:42:ac:11:00:02`; also with `-`, upper case, or a single digit in a group. */
export function parseMac(text: string): Mac {
  if (!MAC_TEXT.test(text)) throw new AddressError(text, 'a MAC such as 02:42:ac:11:00:02')
  const octets = text.split(/[:-]/).map((part) => Number.parseInt(part, 16))
  return macAt(Uint8Array.from(octets), 0)
}

/** Lower case, two digits, colons. */
export function formatMac(mac: Mac): string {
  const digits = mac.hi.toString(16).padStart(4, '0') + (mac.lo >>> 0).toString(16).padStart(8, '0')
  return digits.match(/../g)!.join(':')
}

/** The MAC at an offset, as an object: control path only, frames use macHi and macLo of ethernet.ts. */
export function macAt(bytes: Uint8Array, at: number): Mac {
  return { hi: get16(bytes, at), lo: get32(bytes, at + 2) }
}

const IPV4_TEXT = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/

function readIpv4(text: string): number | null {
  const parts = IPV4_TEXT.exec(text)
  if (parts === null) return null
  let value = 0
  for (let i = 1; i <= 4; i++) {
    const octet = Number(parts[i])
    if (octet > 255) return null
    value = (value << 8) | octet
  }
  return value
}

/** Four decimal numbers; a leading zero is refused, because some readers take it for octal. */
export function parseIpv4(text: string): number {
  const value = readIpv4(text)
  if (value === null) throw new AddressError(text, 'an IPv4 address such as 192.0.2.1')
  return value
}

/** Takes int32 or unsigned. */
export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`
}

const GROUP = /^[0-9a-f]{1,4}$/i

/** The groups of one side of a `::`, the last possibly dotted; null when one is wrong. */
function readGroups(text: string, dottedAllowed: boolean): number[] | null {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (GROUP.test(part)) {
      groups.push(Number.parseInt(part, 16))
      continue
    }
    const dotted = dottedAllowed && i === parts.length - 1 ? readIpv4(part) : null
    if (dotted === null) return null
    groups.push(dotted >>> 16, dotted & 0xffff)
  }
  return groups
}

function readIpv6(text: string): Uint8Array | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const head = readGroups(halves[0], halves.length === 1)
  const tail = halves.length === 2 ? readGroups(halves[1], true) : []
  if (head === null || tail === null) return null
  const given = head.length + tail.length
  // RFC 4291 2.2: `::` stands for one or more groups.
  if (halves.length === 2 ? given > 7 : given !== 8) return null
  const bytes = new Uint8Array(IPV6_LENGTH)
  for (const [i, group] of head.entries()) put16(bytes, 2 * i, group)
  for (const [i, group] of tail.entries()) put16(bytes, 2 * (8 - tail.length + i), group)
  return bytes
}

/** RFC 4291 section 2.2, all three forms; no zone (`%eth0`). 16 bytes, network order. */
export function parseIpv6(text: string): Uint8Array {
  const bytes = readIpv6(text)
  if (bytes === null) throw new AddressError(text, 'an IPv6 address such as 2001:db8::1, without a zone')
  return bytes
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as `::`; IPv4-mapped ones dotted (section 5). */
export function formatIpv6(bytes: Uint8Array, at = 0): string {
  const groups = Array.from({ length: 8 }, (_, i) => get16(bytes, at + 2 * i))
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return `::ffff:${formatIpv4(get32(bytes, at + 12))}`
  let runStart = 0
  let runLength = 0
  for (let i = 0; i < 8; i++) {
    let length = 0
    while (i + length < 8 && groups[i + length] === 0) length++
    if (length > runLength) [runStart, runLength] = [i, length]
  }
  const text = groups.map((group) => group.toString(16))
  if (runLength < 2) return text.join(':')
  return `${text.slice(0, runStart).join(':')}::${text.slice(runStart + runLength).join(':')}`
}

/** The 16 bytes as one number, for arithmetic on pools. */
export function ipv6ToBigint(bytes: Uint8Array, at = 0): bigint {
  let value = 0n
  for (let i = 0; i < IPV6_LENGTH; i += 4) value = (value << 32n) | BigInt(get32(bytes, at + i) >>> 0)
  return value
}

/** The inverse of `ipv6ToBigint`; 0 <= value < 2^128. */
export function ipv6FromBigint(value: bigint): Uint8Array {
  const bytes = new Uint8Array(IPV6_LENGTH)
  for (let i = 12; i >= 0; i -= 4) {
    put32(bytes, i, Number(BigInt.asUintN(32, value)))
    value >>= 32n
  }
  return bytes
}

/** 4, 6, or 0 when the text is neither. */
export function addressFamily(text: string): 0 | 4 | 6 {
  if (readIpv4(text) !== null) return 4
  return readIpv6(text) !== null ? 6 : 0
}

/** What Docker gives a container: 02:42 and the four bytes of its IPv4 address (libnetwork, netutils.GenerateMACFromIP). */
export function macFromIpv4(address: number): Mac {
  return { hi: 0x0242, lo: address | 0 }
}

/** 01:00:5e and the low 23 bits of the group: RFC 1112 section 6.4. */
export function macForIpv4Multicast(group: number): Mac {
  return { hi: 0x0100, lo: 0x5e000000 | (group & 0x7fffff) }
}

/** 33:33 and the low 32 bits of the group: RFC 2464 section 7. */
export function macForIpv6Multicast(group: Uint8Array, at = 0): Mac {
  return { hi: 0x3333, lo: get32(group, at + 12) }
}

/** fe80::/64 with the modified EUI-64 of a MAC: RFC 4291 appendix A. */
export function linkLocalFromMac(mac: Mac): Uint8Array {
  const bytes = new Uint8Array(IPV6_LENGTH)
  put16(bytes, 0, 0xfe80)
  put16(bytes, 8, mac.hi ^ 0x0200) // the universal/local bit is inverted
  bytes[10] = mac.lo >>> 24
  put16(bytes, 11, 0xfffe)
  bytes[13] = mac.lo >>> 16
  put16(bytes, 14, mac.lo)
  return bytes
}

/** ff02::1:ff00:0/104 with the low 24 bits of an address: RFC 4291 section 2.7.1. */
export function solicitedNode(address: Uint8Array, at = 0): Uint8Array {
  const bytes = parseIpv6('ff02::1:ff00:0')
  bytes.set(address.subarray(at + 13, at + 16), 13)
  return bytes
}

/** 224.0.0.0/4. */
export function isIpv4Multicast(address: number): boolean {
  return address >>> 28 === 0xe
}

/** 127.0.0.0/8. */
export function isIpv4Loopback(address: number): boolean {
  return address >>> 24 === 127
}

/** ff00::/8. */
export function isIpv6Multicast(bytes: Uint8Array, at = 0): boolean {
  return bytes[at] === 0xff
}

/** fe80::/10. */
export function isIpv6LinkLocal(bytes: Uint8Array, at = 0): boolean {
  return bytes[at] === 0xfe && (bytes[at + 1] & 0xc0) === 0x80
}

/** `::`. */
export function isIpv6Unspecified(bytes: Uint8Array, at = 0): boolean {
  return (get32(bytes, at) | get32(bytes, at + 4) | get32(bytes, at + 8) | get32(bytes, at + 12)) === 0
}
