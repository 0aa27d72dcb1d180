/**
 * Prefixes in CIDR notation (RFC 4632, RFC 4291 section 2.3) and the arithmetic that address pools need.
 *
 * Values here are not on the frame path, so they are what is handy to calculate with:
 * IPv4 an unsigned number, IPv6 a bigint. `>>> 0` and `| 0` convert from and to the int32 of frames.
 */
import { AddressError, formatIpv4, formatIpv6, ipv6FromBigint, ipv6ToBigint, parseIpv4, parseIpv6 } from './address.ts'

/** address: as written, host bits included; network: with host bits cleared; both 0..2^32-1. length: 0..32. */
export interface Ipv4Prefix {
  readonly family: 4
  readonly address: number
  readonly network: number
  readonly length: number
}

/** As Ipv4Prefix; 0 <= value < 2^128, length 0..128. */
export interface Ipv6Prefix {
  readonly family: 6
  readonly address: bigint
  readonly network: bigint
  readonly length: number
}

export type Prefix = Ipv4Prefix | Ipv6Prefix

/** A prefix from its parts; family 4 when the address is a number (int32 or unsigned). Throws RangeError on a bad length. */
export function prefixOf(address: number, length: number): Ipv4Prefix
export function prefixOf(address: bigint, length: number): Ipv6Prefix
export function prefixOf(address: number | bigint, length: number): Prefix {
  const bits = typeof address === 'number' ? 32 : 128
  if (!Number.isInteger(length) || length < 0 || length > bits) throw new RangeError(`prefix length ${length} is not in 0..${bits}`)
  if (typeof address === 'number') {
    return { family: 4, address: address >>> 0, network: (address & ipv4Mask(length)) >>> 0, length }
  }
  const hostBits = BigInt(128 - length)
  return { family: 6, address, network: (address >> hostBits) << hostBits, length }
}

/** Reads `172.25.0.0/16` or `2001:db8::/64`. Host bits may be set, as `docker network create --subnet` allows: see `address`. */
export function parseCidr(text: string): Prefix {
  const slash = text.indexOf('/')
  const digits = text.slice(slash + 1)
  const length = /^(0|[1-9]\d{0,2})$/.test(digits) ? Number(digits) : Number.NaN
  const isIpv6 = text.includes(':')
  if (slash < 0 || !(length <= (isIpv6 ? 128 : 32))) throw new AddressError(text, 'a prefix such as 172.25.0.0/16 or 2001:db8::/64')
  try {
    const address = text.slice(0, slash)
    return isIpv6 ? prefixOf(ipv6ToBigint(parseIpv6(address)), length) : prefixOf(parseIpv4(address), length)
  } catch (cause) {
    if (cause instanceof AddressError) throw new AddressError(text, 'a prefix such as 172.25.0.0/16 or 2001:db8::/64')
    throw cause
  }
}

/** An address as prefix arithmetic wants it: a number for IPv4, a bigint for IPv6. Throws AddressError. */
export function parseAddress(text: string): number | bigint {
  return text.includes(':') ? ipv6ToBigint(parseIpv6(text)) : parseIpv4(text) >>> 0
}

/** The inverse of `parseAddress`. */
export function formatAddress(address: number | bigint): string {
  return typeof address === 'number' ? formatIpv4(address) : formatIpv6(ipv6FromBigint(address))
}

/** `network/length`, host bits cleared. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.network)}/${prefix.length}`
}

/** Netmask as int32: 24 gives 0xffffff00 | 0. */
export function ipv4Mask(length: number): number {
  return length === 0 ? 0 : -1 << (32 - length)
}

/** The first address: the network itself. */
export function prefixFirst(prefix: Ipv4Prefix): number
export function prefixFirst(prefix: Ipv6Prefix): bigint
export function prefixFirst(prefix: Prefix): number | bigint
export function prefixFirst(prefix: Prefix): number | bigint {
  return prefix.network
}

/** The last address. */
export function prefixLast(prefix: Ipv4Prefix): number
export function prefixLast(prefix: Ipv6Prefix): bigint
export function prefixLast(prefix: Prefix): number | bigint
export function prefixLast(prefix: Prefix): number | bigint {
  if (prefix.family === 4) return (prefix.network | ~ipv4Mask(prefix.length)) >>> 0
  return prefix.network | ((1n << BigInt(128 - prefix.length)) - 1n)
}

/** The directed broadcast address (unsigned), or null: /31 (RFC 3021), /32 and IPv6 have none. */
export function prefixBroadcast(prefix: Prefix): number | null {
  return prefix.family === 4 && prefix.length < 31 ? prefixLast(prefix) : null
}

/** How many addresses, network and broadcast included. */
export function prefixSize(prefix: Prefix): bigint {
  return 1n << BigInt((prefix.family === 4 ? 32 : 128) - prefix.length)
}

/** Whether the address (a number is IPv4, any sign; a bigint is IPv6) is inside. Another family is not. */
export function prefixContains(prefix: Prefix, address: number | bigint): boolean {
  if (prefix.family === 4) return typeof address === 'number' && (address & ipv4Mask(prefix.length)) >>> 0 === prefix.network
  return typeof address === 'bigint' && prefixOf(address, prefix.length).network === prefix.network
}

/** Whether `inner` is wholly inside `outer`; equal prefixes are. */
export function prefixIncludes(outer: Prefix, inner: Prefix): boolean {
  return inner.length >= outer.length && prefixContains(outer, inner.network)
}

/** Whether any address is in both. Prefixes nest or are apart, so one includes the other. */
export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return prefixIncludes(a, b) || prefixIncludes(b, a)
}
