/**
 * Entries by name, found by the bytes of a question without making a string.
 *
 * Buckets by hash; names of one hash are chained. Coming and going cost the same at any size.
 */
import { hashName, lowerCase } from './dns-format.ts'

/** What a name table keeps: a name and what belongs to it. */
export interface NamedEntry {
  /** Wire form, lower case. */
  readonly key: Uint8Array
  readonly hash: number
}

/** A name in wire form as tables compare it. */
export function tableKey(name: Uint8Array): NamedEntry {
  const key = name.map(lowerCase)
  return { key, hash: hashName(key, 0, key.length) }
}

interface Chained<Entry> {
  readonly entry: Entry
  next: Chained<Entry> | undefined
}

export class NameTable<Entry extends NamedEntry> {
  private readonly buckets = new Map<number, Chained<Entry>>()
  private count = 0

  get size(): number {
    return this.count
  }

  /** The entry of the name in [at, at + length) whose `hashName` is `hash`; letters of either case are equal. */
  find(bytes: Uint8Array, at: number, length: number, hash: number): Entry | null {
    for (let place = this.buckets.get(hash); place !== undefined; place = place.next) {
      if (matches(place.entry.key, bytes, at, length)) return place.entry
    }
    return null
  }

  get({ key, hash }: NamedEntry): Entry | null {
    return this.find(key, 0, key.length, hash)
  }

  /** No entry of the same name may be there. */
  add(entry: Entry): void {
    this.buckets.set(entry.hash, { entry, next: this.buckets.get(entry.hash) })
    this.count++
  }

  delete(entry: Entry): void {
    let before: Chained<Entry> | undefined
    for (let place = this.buckets.get(entry.hash); place !== undefined; before = place, place = place.next) {
      if (place.entry !== entry) continue
      if (before !== undefined) before.next = place.next
      else if (place.next !== undefined) this.buckets.set(entry.hash, place.next)
      else this.buckets.delete(entry.hash)
      this.count--
      return
    }
  }
}

function matches(key: Uint8Array, bytes: Uint8Array, at: number, length: number): boolean {
  if (key.length !== length) return false
  for (let i = 0; i < length; i++) if (key[i] !== lowerCase(bytes[at + i])) return false
  return true
}

/** Whether the bytes before `end` are `suffix`, letter for letter. */
export function endsWith(bytes: Uint8Array, end: number, suffix: Uint8Array): boolean {
  const at = end - suffix.length
  for (let i = 0; i < suffix.length; i++) if (bytes[at + i] !== suffix[i]) return false
  return true
}
