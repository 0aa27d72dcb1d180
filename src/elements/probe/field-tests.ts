/**
 * What a field of a pattern can be compared with. Each test is made once into a check that allocates nothing and never throws; a value
 * that fits no field is a RangeError that names it.
 */
import { ipv6FromBigint, parseMac } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import { parseAddress, parseCidr } from '../../wire/cidr.ts'
import { macHi, macLo } from '../../wire/ethernet.ts'
import { ABSENT, type PacketView } from '../../wire/packet-view.ts'

export type NumberTest = number | readonly number[] | { readonly min?: number; readonly max?: number }
/** An address, a subnet, or several of them: any will do. */
export type AddressTest = string | readonly string[]
export type MacTest = string | readonly string[]
/** Bytes that the payload must contain; a text stands for its UTF-8. */
export type PayloadTest = string | Uint8Array

export type Check = (view: PacketView) => boolean
/** Makes a check of the value in a pattern. Throws RangeError, AddressError. */
export type FieldTest = (value: unknown) => Check

/** `read` gives a number, or ABSENT; `names` are words for some of them. */
export function numberTest(read: (view: PacketView) => number, names: Readonly<Record<string, number>> = {}): FieldTest {
  const numberOf = (value: unknown): number => {
    const number = typeof value === 'string' && Object.hasOwn(names, value) ? names[value] : value
    if (Number.isInteger(number) && (number as number) >= 0) return number as number
    const words = Object.keys(names)
    throw new RangeError(`${JSON.stringify(value)} is not a whole number${words.length > 0 ? `, nor one of ${words.join(', ')}` : ''}`)
  }
  return (value) => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const { min = 0, max = Number.MAX_SAFE_INTEGER, ...rest } = value as { min?: number; max?: number }
      const [unknown] = Object.keys(rest)
      if (unknown !== undefined) throw new RangeError(`a range has min and max, not ${unknown}`)
      const [least, most] = [numberOf(min), numberOf(max)]
      return (view) => {
        const number = read(view)
        return number >= least && number <= most
      }
    }
    const wanted = listOf(value).map(numberOf)
    return (view) => wanted.includes(read(view))
  }
}

export function flagTest(read: (view: PacketView) => boolean): FieldTest {
  return (value) => {
    if (typeof value !== 'boolean') throw new RangeError(`${JSON.stringify(value)} is neither true nor false`)
    return (view) => read(view) === value
  }
}

/** `offset` gives where six bytes are. */
export function macTest(offset: (view: PacketView) => number): FieldTest {
  return (value) => {
    const wanted = listOf(value).map((text) => parseMac(String(text)))
    return (view) => {
      const at = offset(view)
      for (const { hi, lo } of wanted) if (macLo(view.bytes, at) === lo && macHi(view.bytes, at) === hi) return true
      return false
    }
  }
}

/** `offset` gives where the address is; `length` is 4 or 16 bytes. */
export function addressTest(offset: (view: PacketView) => number, length: 4 | 16): FieldTest {
  return (value) => {
    const wanted = listOf(value).map((text) => readPrefix(String(text), length))
    return (view) => {
      const at = offset(view)
      for (const { words, masks } of wanted) if (isWithin(view.bytes, at, words, masks)) return true
      return false
    }
  }
}

/** `range` gives the payload: its first byte, and behind its last; ABSENT: none. */
export function payloadTest(start: (view: PacketView) => number, end: (view: PacketView) => number): FieldTest {
  return (value) => {
    if (typeof value !== 'string' && !(value instanceof Uint8Array)) throw new RangeError('a payload is a text or a Uint8Array')
    const wanted = typeof value === 'string' ? new TextEncoder().encode(value) : value.slice()
    return (view) => {
      const first = start(view)
      return first !== ABSENT && contains(view.bytes, first, end(view), wanted)
    }
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value]
}

/** A prefix as 32-bit words. Throws AddressError, RangeError for one of the other family. */
function readPrefix(text: string, length: 4 | 16): { words: number[]; masks: number[] } {
  const bits = length * 8
  const prefix = text.includes('/') ? parseCidr(text) : null
  const address = prefix === null ? parseAddress(text) : prefix.address
  if ((typeof address === 'number') !== (length === 4)) throw new RangeError(`${text} is not an address of IPv${length === 4 ? 4 : 6}`)
  const bytes = typeof address === 'bigint' ? ipv6FromBigint(address) : null
  const words = Array.from({ length: length / 4 }, (_, word) => (bytes === null ? Number(address) | 0 : get32(bytes, word * 4)))
  const masks = words.map((_, word) => {
    const kept = Math.min(32, Math.max(0, (prefix?.length ?? bits) - word * 32))
    return kept === 0 ? 0 : -1 << (32 - kept)
  })
  return { words: words.map((value, word) => value & masks[word]), masks }
}

function isWithin(bytes: Uint8Array, at: number, words: readonly number[], masks: readonly number[]): boolean {
  for (let word = 0; word < words.length; word++) if ((get32(bytes, at + word * 4) & masks[word]) !== words[word]) return false
  return true
}

function contains(bytes: Uint8Array, from: number, end: number, wanted: Uint8Array): boolean {
  for (let at = from; at + wanted.length <= end; at++) {
    let i = 0
    while (i < wanted.length && bytes[at + i] === wanted[i]) i++
    if (i === wanted.length) return true
  }
  return false
}
