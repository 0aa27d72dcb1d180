/**
 * Numbers for IPv6 addresses, so that a tuple has 32 bits for an address of either family.
 *
 *   number -> four words, references          hash of the words -> number
 *
 * Flows refer to the addresses of their tuples; an address without references gives its number back. Looking one up never makes
 * an entry, so frames that begin no flow leave nothing behind. Numbers are 0 and up; -1 is no address.
 */
import { get32, put32 } from '../../wire/big-endian.ts'

export const NO_ADDRESS = -1
const WORDS = 4
const SMALLEST = 64
/** Table places per address at least. */
const SPARSE = 2

export class InternedAddresses {
  private words = new Int32Array(SMALLEST * WORDS)
  /** References by number; of a free number -1 - the next free one. */
  private references = new Int32Array(SMALLEST)
  /** Number + 1 by place; 0 is empty. */
  private table = new Int32Array(SMALLEST * SPARSE)
  private readonly secret: number
  private used = 0
  /** Numbers below this were given once. */
  private high = 0
  private free = NO_ADDRESS

  /** `secret`: 32 random bits, so that nobody outside can choose addresses that meet. */
  constructor(secret: number) {
    this.secret = secret | 1
  }

  /** Addresses that are referred to. */
  get size(): number {
    return this.used
  }

  /** Bytes of all arrays. */
  get byteLength(): number {
    return this.words.byteLength + this.references.byteLength + this.table.byteLength
  }

  /** Number of the 16 bytes at `at`, or NO_ADDRESS. */
  find(bytes: Uint8Array, at: number): number {
    const { table, words } = this
    const w0 = get32(bytes, at)
    const w1 = get32(bytes, at + 4)
    const w2 = get32(bytes, at + 8)
    const w3 = get32(bytes, at + 12)
    const mask = table.length - 1
    for (let place = this.hash(w0, w1, w2, w3) & mask; ; place = (place + 1) & mask) {
      const number = table[place] - 1
      if (number < 0) return NO_ADDRESS
      const word = number * WORDS
      if (words[word + 3] === w3 && words[word + 2] === w2 && words[word + 1] === w1 && words[word] === w0) return number
    }
  }

  /** The number of the 16 bytes at `at`, known or new, with one reference more. */
  take(bytes: Uint8Array, at: number): number {
    const known = this.find(bytes, at)
    if (known !== NO_ADDRESS) {
      this.references[known]++
      return known
    }
    const number = this.newNumber()
    for (let i = 0; i < WORDS; i++) this.words[number * WORDS + i] = get32(bytes, at + 4 * i)
    this.references[number] = 1
    this.used++
    this.enter(number)
    if (this.used * SPARSE > this.table.length) this.double()
    return number
  }

  /** One reference more to a number that has some. */
  refer(number: number): void {
    this.references[number]++
  }

  /** One reference less; the last one frees the number. */
  release(number: number): void {
    if (--this.references[number] > 0) return
    this.remove(number)
    this.references[number] = -1 - this.free
    this.free = number
    this.used--
  }

  /** Writes the 16 bytes of an address to `at`. */
  write(number: number, bytes: Uint8Array, at: number): void {
    for (let i = 0; i < WORDS; i++) put32(bytes, at + 4 * i, this.words[number * WORDS + i])
  }

  private newNumber(): number {
    if (this.free !== NO_ADDRESS) {
      const number = this.free
      this.free = -1 - this.references[number]
      return number
    }
    if (this.high === this.references.length) {
      const { words, references } = this
      this.words = new Int32Array(words.length * 2)
      this.words.set(words)
      this.references = new Int32Array(references.length * 2)
      this.references.set(references)
    }
    return this.high++
  }

  private hash(w0: number, w1: number, w2: number, w3: number): number {
    let hash = Math.imul(w0 ^ this.secret, 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 15) ^ w1, 0xc2b2ae35)
    hash = Math.imul(hash ^ (hash >>> 13) ^ w2, 0x9e3779b1)
    hash = Math.imul(hash ^ (hash >>> 16) ^ w3, this.secret)
    return hash ^ (hash >>> 15)
  }

  private hashOf(number: number): number {
    const { words } = this
    const at = number * WORDS
    return this.hash(words[at], words[at + 1], words[at + 2], words[at + 3])
  }

  private enter(number: number): void {
    const { table } = this
    const mask = table.length - 1
    let place = this.hashOf(number) & mask
    while (table[place] !== 0) place = (place + 1) & mask
    table[place] = number + 1
  }

  private double(): void {
    const old = this.table
    this.table = new Int32Array(old.length * 2)
    for (const entry of old) if (entry !== 0) this.enter(entry - 1)
  }

  private remove(number: number): void {
    const { table } = this
    const mask = table.length - 1
    let hole = this.hashOf(number) & mask
    while (table[hole] !== number + 1) hole = (hole + 1) & mask
    // Followers that would no longer be found move up, so that chains do not grow with time.
    for (let next = (hole + 1) & mask; table[next] !== 0; next = (next + 1) & mask) {
      const first = this.hashOf(table[next] - 1) & mask
      if (((next - first) & mask) < ((next - hole) & mask)) continue
      table[hole] = table[next]
      hole = next
    }
    table[hole] = 0
  }
}
