/**
 * Which addresses of a capture stand for which: `10.0.0.1=172.20.0.2`, `10.0.0.0/24=172.20.0.0/24`, `MAC=MAC`, IPv6 likewise.
 */

import { NetworkError } from '../network/network-error.ts'
import { AddressError, addressFamily, IPV6_LENGTH, MAC_LENGTH, parseIpv4, parseIpv6, parseMac } from '../wire/address.ts'
import { put16, put32 } from '../wire/big-endian.ts'

interface Rule {
  readonly from: Uint8Array
  readonly to: Uint8Array
  /** Leading bits that are compared and replaced; the others stay as they are. */
  readonly bits: number
}

const IPV4_LENGTH = 4

export class AddressMap {
  /** By the length of the address in bytes; longest prefixes first. */
  private readonly rules = new Map<number, Rule[]>()

  /** `OLD=NEW` each. Throws NetworkError `invalid` that names the rule. */
  constructor(texts: readonly string[] = []) {
    for (const text of texts) this.add(text)
    for (const rules of this.rules.values()) rules.sort((a, b) => b.bits - a.bits)
  }

  get isEmpty(): boolean {
    return this.rules.size === 0
  }

  /** What stands in place of the address of `length` bytes (6, 4 or 16) at `at`; null: it stays. */
  find(bytes: Uint8Array, at: number, length: number): Uint8Array | null {
    const rule = this.rules.get(length)?.find(({ from, bits }) => hasPrefix(bytes, at, from, bits))
    if (rule === undefined) return null
    const address = bytes.slice(at, at + length)
    const whole = rule.bits >> 3
    address.set(rule.to.subarray(0, whole))
    const mask = (0xff00 >> (rule.bits & 7)) & 0xff
    if (mask !== 0) address[whole] = (rule.to[whole] & mask) | (address[whole] & ~mask)
    return address
  }

  private add(text: string): void {
    const sides = text.split('=')
    if (sides.length !== 2) throw unreadable(text, 'write OLD=NEW')
    const [from, to] = sides.map((side) => readSide(text, side))
    if (from.bytes.length !== to.bytes.length) throw unreadable(text, 'both sides must be of one kind')
    if (from.bits !== to.bits) throw unreadable(text, 'both prefixes must have one length')
    const rules = this.rules.get(from.bytes.length) ?? []
    if (rules.some((rule) => rule.bits === from.bits && hasPrefix(from.bytes, 0, rule.from, rule.bits))) {
      throw unreadable(text, 'another rule says what becomes of it')
    }
    rules.push({ from: from.bytes, to: to.bytes, bits: from.bits })
    this.rules.set(from.bytes.length, rules)
  }
}

function hasPrefix(bytes: Uint8Array, at: number, prefix: Uint8Array, bits: number): boolean {
  const whole = bits >> 3
  for (let i = 0; i < whole; i++) if (bytes[at + i] !== prefix[i]) return false
  const mask = (0xff00 >> (bits & 7)) & 0xff
  return mask === 0 || ((bytes[at + whole] ^ prefix[whole]) & mask) === 0
}

function readSide(text: string, side: string): { bytes: Uint8Array; bits: number } {
  const [address, length, ...more] = side.trim().split('/')
  try {
    const bytes = addressBytes(address)
    const most = bytes.length * 8
    const bits = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN
    const isPrefix = length === undefined || bytes.length !== MAC_LENGTH
    if (more.length === 0 && isPrefix && bits <= most) return { bytes, bits }
  } catch (error) {
    if (!(error instanceof AddressError)) throw error
  }
  throw unreadable(text, `'${side}' is no MAC, no IPv4 or IPv6 address and no prefix`)
}

/** Throws AddressError. */
function addressBytes(text: string): Uint8Array {
  const family = addressFamily(text)
  if (family === 6) return parseIpv6(text).slice(0, IPV6_LENGTH)
  if (family === 4) {
    const bytes = new Uint8Array(IPV4_LENGTH)
    put32(bytes, 0, parseIpv4(text))
    return bytes
  }
  const { hi, lo } = parseMac(text)
  const bytes = new Uint8Array(MAC_LENGTH)
  put16(bytes, 0, hi)
  put32(bytes, 2, lo)
  return bytes
}

function unreadable(text: string, reason: string): NetworkError {
  return new NetworkError('invalid', `map '${text}': ${reason}`, {
    fix: 'write 10.0.0.1=172.20.0.2, 10.0.0.0/24=172.20.0.0/24, 02:cc:00:00:00:01=02:42:ac:14:00:02 or 2001:db8::1=2001:db8::2'
  })
}
