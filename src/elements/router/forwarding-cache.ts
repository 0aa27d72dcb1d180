/**
 * What the way to a destination came to, last time: a direct-mapped table of each family that the fast path asks once per frame.
 *
 *   entry, 32 bytes      | destination | epoch | until | egress | MACs: 3 words as they stand in a frame | mtu, switches |
 *   of IPv6, 64 bytes    the same with the last word of the destination; its first three words; 5 words of nothing
 *
 * Words are those of this machine (little endian), addresses and MACs with their bytes in the frame's order. An entry holds while
 * nothing has changed that it rests on: `epoch` counts changes of routes, interfaces and MACs; `until` is when the neighbor must be
 * looked at again.
 */
import type { Mac } from '../../wire/address.ts'

const ENTRIES = 8192
const ENTRIES_6 = 2048
const WORDS = 8
const WORDS_6 = 16
// Words of an entry.
export const CACHE_DESTINATION = 0
export const CACHE_EPOCH = 1
export const CACHE_UNTIL = 2
export const CACHE_EGRESS = 3
export const CACHE_MACS = 4
export const CACHE_LIMIT = 7
/** First of three words; IPv6 only. */
export const CACHE_PREFIX = 8
/** In CACHE_LIMIT, above the MTU: TTL is not counted down on this way. */
export const CACHE_NO_DECREMENT = 1 << 16
/** In CACHE_LIMIT, from this bit on: Reach, who else goes this way. */
export const CACHE_REACH_SHIFT = 17
/** The same in `frames.mark`, in two bits that the NAT's marks leave free; marks below 0 stay what they are. */
export const MARK_REACH_SHIFT = 25
/** Above them: nobody in the source's /8 is refused as a source. */
export const MARK_ANY_SOURCE = 1 << 27

/** 16 a second: an int32 of them lasts for four years. */
const TICK_NS = 62.5e6

export class ForwardingCache {
  readonly entries = new Int32Array(ENTRIES * WORDS)
  readonly entries6 = new Int32Array(ENTRIES_6 * WORDS_6)
  /** Never 0, which is an empty entry. */
  epoch = 1

  /** Something changed that entries rest on: all of them end. */
  invalidate(): void {
    this.epoch = (this.epoch + 1) | 0 || 1
  }

  /**
   * Enters the way to an IPv4 address.
   * @param destination int32, network order
   * @param until ns
   */
  put(destination: number, way: Way, until: number): void {
    const key = swap32(destination)
    this.write(this.entries, cacheIndex(key), key, way, until)
  }

  /** The same for IPv6; four words, network order. */
  put6(w0: number, w1: number, w2: number, w3: number, way: Way, until: number): void {
    const d0 = swap32(w0)
    const d1 = swap32(w1)
    const d2 = swap32(w2)
    const d3 = swap32(w3)
    const at = cacheIndex6(d0, d1, d2, d3)
    const { entries6 } = this
    entries6[at + CACHE_PREFIX] = d0
    entries6[at + CACHE_PREFIX + 1] = d1
    entries6[at + CACHE_PREFIX + 2] = d2
    this.write(entries6, at, d3, way, until)
  }

  private write(entries: Int32Array, at: number, key: number, { egress, to, from, mtu, noDecrement, reach }: Way, until: number): void {
    entries[at + CACHE_DESTINATION] = key
    entries[at + CACHE_EPOCH] = this.epoch
    entries[at + CACHE_UNTIL] = tickOf(until)
    entries[at + CACHE_EGRESS] = egress
    entries[at + CACHE_MACS] = macWord(to)
    entries[at + CACHE_MACS + 1] = macTail(to) | (swap16(from.hi) << 16)
    entries[at + CACHE_MACS + 2] = swap32(from.lo)
    entries[at + CACHE_LIMIT] = mtu | (noDecrement ? CACHE_NO_DECREMENT : 0) | (reach << CACHE_REACH_SHIFT)
  }

  /** Entries that hold. */
  size(now: number): number {
    let count = 0
    for (const [entries, words] of [[this.entries, WORDS] as const, [this.entries6, WORDS_6] as const]) {
      for (let at = 0; at < entries.length; at += words) {
        if (entries[at + CACHE_EPOCH] === this.epoch && entries[at + CACHE_UNTIL] > tickOf(now)) count++
      }
    }
    return count
  }
}

/** How a packet leaves: by which interface, with which MACs, how long it may be; and who else goes that way (Reach). */
export interface Way {
  readonly egress: number
  readonly to: Mac
  readonly from: Mac
  readonly mtu: number
  readonly noDecrement: boolean
  readonly reach: number
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
  return (((station ^ (Math.imul(key & 0xf0ffff, 0x9e3779b1 | 0) >>> 19)) & (ENTRIES - 1)) * WORDS) | 0
}

/** The same for IPv6. */
export function cacheIndex6(d0: number, d1: number, d2: number, d3: number): number {
  const station = (d3 >>> 24) | ((d3 >>> 8) & 0x700)
  const network = Math.imul(d0 ^ Math.imul(d1, 0xc2b2ae35 | 0) ^ Math.imul(d2, 0x27d4eb2f), 0x9e3779b1 | 0) ^ (d3 & 0xffff)
  return (((station ^ (network >>> 21) ^ network) & (ENTRIES_6 - 1)) * WORDS_6) | 0
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
