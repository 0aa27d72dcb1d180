/**
 * What the way to an IPv4 destination came to, last time: a direct-mapped table that the fast path asks once per frame.
 *
 *   entry, 32 bytes, one read of the cache
 *   | destination | epoch | until | egress | MACs: 3 words as they stand in a frame | mtu, no-decrement |
 *
 * Words are those of this machine (little endian), addresses and MACs with their bytes in the frame's order. An entry holds while
 * nothing has changed that it rests on: `epoch` counts changes of routes, interfaces and MACs; `until` is when the neighbor must be
 * looked at again.
 */
import type { Mac } from '../../wire/address.ts'

export const CACHE_ENTRIES = 8192
export const CACHE_WORDS = 8
// Words of an entry.
export const CACHE_DESTINATION = 0
export const CACHE_EPOCH = 1
export const CACHE_UNTIL = 2
export const CACHE_EGRESS = 3
export const CACHE_MACS = 4
export const CACHE_LIMIT = 7
/** In CACHE_LIMIT, above the MTU: TTL is not counted down on this way. */
export const CACHE_NO_DECREMENT = 1 << 16

/** 16 a second: an int32 of them lasts for four years. */
const TICK_NS = 62.5e6

export class ForwardingCache {
  readonly entries = new Int32Array(CACHE_ENTRIES * CACHE_WORDS)
  /** Never 0, which is an empty entry. */
  epoch = 1

  /** Something changed that entries rest on: all of them end. */
  invalidate(): void {
    this.epoch = (this.epoch + 1) | 0 || 1
  }

  /**
   * Enters a way.
   * @param destination int32, network order
   * @param until ns
   */
  put(destination: number, egress: number, to: Mac, from: Mac, mtu: number, noDecrement: boolean, until: number): void {
    const key = swap32(destination)
    const at = cacheIndex(key)
    const { entries } = this
    entries[at + CACHE_DESTINATION] = key
    entries[at + CACHE_EPOCH] = this.epoch
    entries[at + CACHE_UNTIL] = tickOf(until)
    entries[at + CACHE_EGRESS] = egress
    entries[at + CACHE_MACS] = macWord(to)
    entries[at + CACHE_MACS + 1] = macTail(to) | (swap16(from.hi) << 16)
    entries[at + CACHE_MACS + 2] = swap32(from.lo)
    entries[at + CACHE_LIMIT] = mtu | (noDecrement ? CACHE_NO_DECREMENT : 0)
  }

  /** Entries that hold. */
  size(now: number): number {
    let count = 0
    for (let at = 0; at < this.entries.length; at += CACHE_WORDS) {
      if (this.entries[at + CACHE_EPOCH] === this.epoch && this.entries[at + CACHE_UNTIL] > tickOf(now)) count++
    }
    return count
  }
}

/** Time as the cache counts it. */
export function tickOf(now: number): number {
  return (now / TICK_NS) | 0
}

/**
 * Offset of the entry of a destination, given as a word of the frame. The stations of one network stand side by side: its last 12
 * bits choose the place, the others where the row begins.
 */
export function cacheIndex(key: number): number {
  const station = (key >>> 24) | ((key >>> 8) & 0xf00)
  return (((station ^ (Math.imul(key & 0xf0ffff, 0x9e3779b1 | 0) >>> 19)) & (CACHE_ENTRIES - 1)) * CACHE_WORDS) | 0
}

/** The first four bytes of a MAC as a word of a frame. */
export function macWord({ hi, lo }: Mac): number {
  return swap32((hi << 16) | (lo >>> 16))
}

/** The last two bytes of a MAC as the lower half of a word of a frame. */
export function macTail({ lo }: Mac): number {
  return swap16(lo & 0xffff)
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff)
}

/** A word with its bytes in the other order. */
export function swap32(value: number): number {
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)
}
