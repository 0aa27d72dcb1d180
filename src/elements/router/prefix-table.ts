/**
 * Longest prefix match: a hash table of prefixes of all lengths, asked once per length that occurs, longest first.
 *
 *   entry, 32 bytes  | four words of the network | length + 1 (0: empty) | value | - | - |
 *
 * One Int32Array, open addressing with linear probing, at most half full; a removed entry is filled by its followers. Networks
 * of a lab have few lengths (32, 24 or 16, 0), so a look-up is two or three probes; with a table of each length apart the memory
 * would not be one block. The cache in front of it takes what comes often.
 */
import { maskWord, type Words } from './address-words.ts'

export const NO_VALUE = -1

const LENGTH = 4
const VALUE = 5
const WORDS = 8
const SMALLEST = 16

export class PrefixTable {
  private table = new Int32Array(SMALLEST * WORDS)
  private mask = SMALLEST - 1
  private count = 0
  /** How many prefixes there are of each length. */
  private readonly ofLength = new Int32Array(129)
  /** The lengths that occur, longest first. */
  private lengths = new Int32Array(0)

  get size(): number {
    return this.count
  }

  /** Value of the longest prefix that holds an IPv6 address, or NO_VALUE. */
  lookup(w0: number, w1: number, w2: number, w3: number): number {
    const { lengths } = this
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i]
      const value = this.find(
        w0 & maskWord(length, 0),
        w1 & maskWord(length, 1),
        w2 & maskWord(length, 2),
        w3 & maskWord(length, 3),
        length
      )
      if (value !== NO_VALUE) return value
    }
    return NO_VALUE
  }

  /** The same for an IPv4 address. */
  lookup4(address: number): number {
    const { lengths } = this
    for (let i = 0; i < lengths.length; i++) {
      const value = this.find4(address & maskWord(lengths[i], 0), lengths[i])
      if (value !== NO_VALUE) return value
    }
    return NO_VALUE
  }

  /** Value of exactly this prefix (host bits cleared), or NO_VALUE. */
  find(w0: number, w1: number, w2: number, w3: number, length: number): number {
    const { table, mask } = this
    for (let slot = hash(w0, w1, w2, w3, length) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * WORDS
      const found = table[at + LENGTH]
      if (found === 0) return NO_VALUE
      if (found === length + 1 && table[at] === w0 && table[at + 1] === w1 && table[at + 2] === w2 && table[at + 3] === w3) {
        return table[at + VALUE]
      }
    }
  }

  /** The same for an IPv4 prefix, whose other words are 0. */
  find4(network: number, length: number): number {
    const { table, mask } = this
    for (let slot = hash4(network, length) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * WORDS
      const found = table[at + LENGTH]
      if (found === 0) return NO_VALUE
      if (found === length + 1 && table[at] === network) return table[at + VALUE]
    }
  }

  /** Enters a prefix or gives it another value (0 or more); true when it was not there. */
  set(words: Words, length: number, value: number): boolean {
    const slot = this.slotOf(words[0], words[1], words[2], words[3], length)
    const at = slot * WORDS
    const isNew = this.table[at + LENGTH] === 0
    if (isNew) {
      this.table.set(words, at)
      this.table[at + LENGTH] = length + 1
      this.count++
      if (this.ofLength[length]++ === 0) this.listLengths()
    }
    this.table[at + VALUE] = value
    if (this.count * 2 > this.mask) this.double()
    return isNew
  }

  /** False when it was not there. */
  delete(words: Words, length: number): boolean {
    const { table, mask } = this
    let hole = this.slotOf(words[0], words[1], words[2], words[3], length)
    if (table[hole * WORDS + LENGTH] === 0) return false
    this.count--
    if (--this.ofLength[length] === 0) this.listLengths()
    for (let next = (hole + 1) & mask; table[next * WORDS + LENGTH] !== 0; next = (next + 1) & mask) {
      const home = this.homeOf(next)
      // Stays when its home lies cyclically between the hole and its place: the hole is not on its way.
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      table.copyWithin(hole * WORDS, next * WORDS, (next + 1) * WORDS)
      hole = next
    }
    table.fill(0, hole * WORDS, (hole + 1) * WORDS)
    return true
  }

  /** Where the prefix is, or the empty place where it would be. */
  private slotOf(w0: number, w1: number, w2: number, w3: number, length: number): number {
    const { table, mask } = this
    let slot = hash(w0, w1, w2, w3, length) & mask
    for (; ; slot = (slot + 1) & mask) {
      const at = slot * WORDS
      const found = table[at + LENGTH]
      if (found === 0) return slot
      if (found === length + 1 && table[at] === w0 && table[at + 1] === w1 && table[at + 2] === w2 && table[at + 3] === w3) return slot
    }
  }

  private homeOf(slot: number): number {
    const at = slot * WORDS
    const { table } = this
    return hash(table[at], table[at + 1], table[at + 2], table[at + 3], table[at + LENGTH] - 1) & this.mask
  }

  private double(): void {
    const old = this.table
    this.table = new Int32Array(old.length * 2)
    this.mask = this.table.length / WORDS - 1
    for (let at = 0; at < old.length; at += WORDS) {
      if (old[at + LENGTH] === 0) continue
      const slot = this.slotOf(old[at], old[at + 1], old[at + 2], old[at + 3], old[at + LENGTH] - 1)
      this.table.set(old.subarray(at, at + WORDS), slot * WORDS)
    }
  }

  private listLengths(): void {
    const lengths: number[] = []
    for (let length = 128; length >= 0; length--) if (this.ofLength[length] > 0) lengths.push(length)
    this.lengths = Int32Array.from(lengths)
  }
}

function hash(w0: number, w1: number, w2: number, w3: number, length: number): number {
  // IPv6 addresses of a lab differ in two words at most; a table of IPv4 has nothing in these three.
  let rest = Math.imul(w1 ^ (w1 >>> 15), 0xc2b2ae35)
  rest = Math.imul(rest ^ w2 ^ (rest >>> 13), 0x27d4eb2f)
  rest = Math.imul(rest ^ w3 ^ (rest >>> 15), 0x9e3779b1)
  return hash4(w0 ^ rest ^ (rest >>> 16), length)
}

function hash4(network: number, length: number): number {
  const mixed = Math.imul(network ^ (network >>> 15) ^ length, 0x85ebca6b)
  return mixed ^ (mixed >>> 15)
}
