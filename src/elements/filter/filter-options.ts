/**
 * What a filter can be told, checked and made ready for comparison.
 */
import { AddressError, linkLocalFromMac, type Mac, parseIpv4, parseIpv6, parseMac } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import { ipv4Mask } from '../../wire/cidr.ts'
import { IpProtocol } from '../../wire/ipv4.ts'

export interface IccRule {
  /** `out`: the endpoint may reach `address:port`; `in`: `address` may reach the endpoint's `port`. Answers come with it. */
  readonly direction: 'in' | 'out'
  /** Of the other endpoint, IPv4 or IPv6. */
  readonly address: string
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
}

export interface FilterOptions {
  /** MAC of the gateway. */
  readonly gateway?: string | null
  /** MAC of the endpoint. */
  readonly mac?: string | null
  /** Addresses and prefixes that the endpoint may send under; absent: it may send under all. */
  readonly sources?: readonly string[] | null
  /** Judge the sources of what does not go to the gateway, too; default false. */
  readonly strict?: boolean
  /** Inter-container communication is off but for these; absent: it is on. */
  readonly icc?: { readonly allow: readonly IccRule[] } | null
}

/** An option of a filter that cannot be: names the option and the value. */
export class FilterOptionError extends Error {
  readonly code = 'ERR_FILTER_OPTION'
}

/** A prefix: four words (IPv4: the first) that an address must have where the mask has ones. */
export interface Source {
  readonly family: 4 | 6
  readonly words: Int32Array
  readonly masks: Int32Array
}

/** A rule with its address as words. */
export interface ReadyRule {
  readonly isOut: boolean
  readonly family: 4 | 6
  readonly words: Int32Array
  readonly protocol: number
  readonly port: number
}

export interface FilterSettings {
  readonly gateway: Mac | null
  readonly sources: readonly Source[] | null
  /** Link-local addresses that are the gateway's: what follows from its MAC, and fe80::1, which Docker gives its bridges. */
  readonly reserved: readonly Source[]
  readonly strict: boolean
  readonly icc: readonly ReadyRule[] | null
}

/** Throws FilterOptionError. */
export function readFilterOptions(options: FilterOptions | null | undefined): FilterSettings {
  const { gateway = null, mac = null, sources = null, strict = false, icc = null } = options ?? {}
  const linkLocal = mac === null ? [] : [linkLocalSource(named('mac', () => parseMac(mac)))]
  const gatewayMac = gateway === null ? null : named('gateway', () => parseMac(gateway))
  return {
    gateway: gatewayMac,
    reserved: gatewayMac === null ? [] : [linkLocalSource(gatewayMac), readSource('fe80::1')],
    sources: sources === null ? null : [...sources.map((text) => named('sources', () => readSource(text))), ...linkLocal],
    strict,
    icc: icc === null ? null : icc.allow.map(readRule)
  }
}

/** An address is a prefix of its whole length. */
function readSource(text: string): Source {
  const [address, length] = text.split('/')
  const { family, words } = readWords(address)
  const bits = length === undefined ? (family === 4 ? 32 : 128) : Number(length)
  if (!Number.isInteger(bits) || bits < 0 || bits > (family === 4 ? 32 : 128))
    throw new FilterOptionError(`sources: "${text}" has no prefix length`)
  const masks = words.map((_, i) => ipv4Mask(Math.min(32, Math.max(0, bits - 32 * i))))
  return { family, words: words.map((word, i) => word & masks[i]), masks }
}

function linkLocalSource(mac: Mac): Source {
  return { family: 6, words: wordsOf(linkLocalFromMac(mac)), masks: new Int32Array(4).fill(-1) }
}

function readRule(rule: IccRule): ReadyRule {
  const { direction, address, protocol, port } = rule
  if (direction !== 'in' && direction !== 'out') throw new FilterOptionError(`icc: a direction is in or out, not ${direction}`)
  if (protocol !== 'tcp' && protocol !== 'udp') throw new FilterOptionError(`icc: a protocol is tcp or udp, not ${protocol}`)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new FilterOptionError(`icc: ${port} is no port from 1 to 65535`)
  const { family, words } = named('icc', () => readWords(address))
  return { isOut: direction === 'out', family, words, protocol: IpProtocol[protocol], port }
}

function readWords(text: string): { family: 4 | 6; words: Int32Array } {
  if (!text.includes(':')) return { family: 4, words: Int32Array.of(parseIpv4(text)) }
  return { family: 6, words: wordsOf(parseIpv6(text)) }
}

function wordsOf(bytes: Uint8Array): Int32Array {
  return Int32Array.of(get32(bytes, 0), get32(bytes, 4), get32(bytes, 8), get32(bytes, 12))
}

function named<T>(field: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof AddressError) throw new FilterOptionError(`${field}: ${error.message}`)
    throw error
  }
}
