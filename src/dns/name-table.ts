/**
 * Names to addresses and back, found by the bytes of a question without making a string.
 *
 * Open addressing with linear probing: `slots` holds numbers of entries, at most half of it filled.
 */
import { hashName, lowerCase } from './dns-format.ts'

export interface NameEntry {
  /** Wire form, lower case. */
  readonly key: Uint8Array
  readonly hash: number
  /** IPv4 addresses, 4 bytes each. */
  readonly a: Uint8Array
  /** IPv6 addresses, 16 bytes each. */
  readonly aaaa: Uint8Array
  /** What a PTR question for this name is answered: the wire form of a name, or null. */
  readonly pointer: Uint8Array | null
}

export class NameTable {
  private readonly entries: readonly NameEntry[]
  private readonly slots: Int32Array
  private readonly mask: number

  /** No two entries may have the same key. */
  constructor(entries: readonly NameEntry[]) {
    this.entries = entries
    const size = 2 ** Math.ceil(Math.log2(Math.max(2, entries.length * 2)))
    this.slots = new Int32Array(size).fill(-1)
    this.mask = size - 1
    for (const [number, { hash }] of entries.entries()) {
      let slot = hash & this.mask
      while (this.slots[slot] >= 0) slot = (slot + 1) & this.mask
      this.slots[slot] = number
    }
  }

  get size(): number {
    return this.entries.length
  }

  /** The entry of the name in [at, at + length) whose `hashName` is `hash`; letters of either case are equal. */
  find(bytes: Uint8Array, at: number, length: number, hash: number): NameEntry | null {
    for (let slot = hash & this.mask; this.slots[slot] >= 0; slot = (slot + 1) & this.mask) {
      const entry = this.entries[this.slots[slot]]
      if (entry.hash === hash && matches(entry.key, bytes, at, length)) return entry
    }
    return null
  }
}

function matches(key: Uint8Array, bytes: Uint8Array, at: number, length: number): boolean {
  if (key.length !== length) return false
  for (let i = 0; i < length; i++) if (key[i] !== lowerCase(bytes[at + i])) return false
  return true
}

/** An entry for a name in wire form. */
export function nameEntry(name: Uint8Array, a: Uint8Array, aaaa: Uint8Array, pointer: Uint8Array | null): NameEntry {
  const key = name.map(lowerCase)
  return { key, hash: hashName(key, 0, key.length), a, aaaa, pointer }
}
