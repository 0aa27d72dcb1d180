/**
 * Filtering database, IEEE 802.1Q 8.8: which port a station was last heard on.
 *
 *   entry, 16 bytes  | first 16 bits of the MAC, kind | last 32 bits | port | second when last heard |
 *
 * Open addressing with linear probing in one Int32Array, at most half full: a look-up touches one cache line, mostly.
 * A removed entry is filled by its followers, so that chains do not grow with time. Entries are created in the table only;
 * nothing is allocated except when the table doubles.
 */
import { formatMac } from '../../wire/address.ts'

/** What `lookup` returns for an address that is not in the table. */
export const NOT_FOUND = -1

/** What `learn` did. */
export const Learned = {
  /** The address was known on this port. */
  refreshed: 0,
  /** The address is new. */
  added: 1,
  /** The address was on another port. */
  moved: 2,
  /** The table is full. */
  refused: 3
} as const

export interface FdbEntry {
  readonly mac: string
  readonly port: number
  readonly static: boolean
  /** Seconds since the last frame from this address; 0 for static entries. */
  readonly age: number
}

// Words of an entry. The kind stands above the 16 bits of the MAC, so that an empty entry equals no address.
const KEY = 0
const LOW = 1
const PORT = 2
const SEEN = 3
const WORDS = 4
const USED = 0x10000
const STATIC = 0x20000

const SMALLEST_TABLE = 64

export class Fdb {
  /** Seconds; see `LearningBridgeOptions`. */
  ageing: number
  /** Learned entries at most. */
  capacity: number
  private table = new Int32Array(SMALLEST_TABLE * WORDS)
  private mask = SMALLEST_TABLE - 1
  private learnedCount = 0
  private staticCount = 0
  private agedCount = 0
  /** When a full table was last swept: at most once a second, however many new addresses ask for room. */
  private sweptWhenFull = -1

  constructor(ageing: number, capacity: number) {
    this.ageing = ageing
    this.capacity = capacity
  }

  /** Learned entries, those included whose time is up but which were not swept yet. */
  get learned(): number {
    return this.learnedCount
  }

  get statics(): number {
    return this.staticCount
  }

  /** Entries that were removed for their age, ever. */
  get aged(): number {
    return this.agedCount
  }

  /** Port of the address, or NOT_FOUND. `hi` and `lo` as in `Mac`; `seconds` is the time. */
  lookup(hi: number, lo: number, seconds: number): number {
    const { table, mask } = this
    for (let slot = hash(hi, lo) & mask; ; slot = (slot + 1) & mask) {
      const at = slot << 2
      const key = table[at]
      if (key === 0) return NOT_FOUND
      if (table[at + LOW] === lo && (key & 0xffff) === hi) {
        // Swept later; from now on it does not count.
        if (seconds - table[at + SEEN] > this.ageing && (key & STATIC) === 0) return NOT_FOUND
        return table[at + PORT]
      }
    }
  }

  /** Enters, refreshes or moves the address; one of `Learned`. Not for group addresses. */
  learn(hi: number, lo: number, port: number, seconds: number): number {
    const { table, mask } = this
    for (let slot = hash(hi, lo) & mask; ; slot = (slot + 1) & mask) {
      const at = slot << 2
      const key = table[at]
      if (key === 0) return this.add(slot, hi, lo, port, seconds)
      if (table[at + LOW] === lo && (key & 0xffff) === hi) {
        if ((key & STATIC) !== 0) return Learned.refreshed
        table[at + SEEN] = seconds
        if (table[at + PORT] === port) return Learned.refreshed
        table[at + PORT] = port
        return Learned.moved
      }
    }
  }

  private add(slot: number, hi: number, lo: number, port: number, seconds: number): number {
    if (this.learnedCount >= this.capacity) {
      // Room may be held by entries whose time is up.
      if (this.sweptWhenFull === seconds) return Learned.refused
      this.sweptWhenFull = seconds
      this.sweep(seconds)
      return this.learn(hi, lo, port, seconds)
    }
    this.learnedCount++
    this.put(slot, hi | USED, lo, port, seconds)
    return Learned.added
  }

  /** Enters an address that neither ages nor moves, in place of a learned one. */
  addStatic(hi: number, lo: number, port: number): void {
    this.remove(hi, lo)
    let slot = hash(hi, lo) & this.mask
    while (this.table[slot << 2] !== 0) slot = (slot + 1) & this.mask
    this.staticCount++
    this.put(slot, hi | USED | STATIC, lo, port, 0)
  }

  /** False when the address was not there. */
  remove(hi: number, lo: number): boolean {
    const { table, mask } = this
    for (let slot = hash(hi, lo) & mask; table[slot << 2] !== 0; slot = (slot + 1) & mask) {
      const at = slot << 2
      if (table[at + LOW] !== lo || (table[at] & 0xffff) !== hi) continue
      this.clear(slot)
      return true
    }
    return false
  }

  /** Forgets what was learned on a port, or on all; returns how many entries. */
  flush(port: number | null): number {
    return this.removeLearned((at) => port === null || this.table[at + PORT] === port)
  }

  /** Forgets all static entries. */
  removeStatics(): void {
    for (let slot = 0; slot <= this.mask; slot++) while ((this.table[slot << 2] & STATIC) !== 0) this.clear(slot)
  }

  /** Removes what is too old; returns how many entries. */
  sweep(seconds: number): number {
    const removed = this.removeLearned((at) => seconds - this.table[at + SEEN] > this.ageing)
    this.agedCount += removed
    return removed
  }

  /** The second when the oldest learned entry was heard; Infinity when there is none. */
  oldest(): number {
    const { table } = this
    let oldest = Number.POSITIVE_INFINITY
    for (let at = 0; at < table.length; at += WORDS) {
      if ((table[at] & (USED | STATIC)) === USED && table[at + SEEN] < oldest) oldest = table[at + SEEN]
    }
    return oldest
  }

  /** The live entries, for people: allocates. */
  entries(seconds: number): FdbEntry[] {
    const { table } = this
    const entries: FdbEntry[] = []
    for (let at = 0; at < table.length; at += WORDS) {
      if (table[at] === 0) continue
      const isStatic = (table[at] & STATIC) !== 0
      const age = isStatic ? 0 : seconds - table[at + SEEN]
      if (age > this.ageing) continue
      const mac = formatMac({ hi: table[at] & 0xffff, lo: table[at + LOW] })
      entries.push({ mac, port: table[at + PORT], static: isStatic, age })
    }
    return entries.sort((a, b) => a.port - b.port || (a.mac < b.mac ? -1 : 1))
  }

  private put(slot: number, key: number, lo: number, port: number, seconds: number): void {
    const at = slot << 2
    this.table[at + KEY] = key
    this.table[at + LOW] = lo
    this.table[at + PORT] = port
    this.table[at + SEEN] = seconds
    if ((this.learnedCount + this.staticCount) * 2 > this.mask) this.double()
  }

  private removeLearned(chosen: (at: number) => boolean): number {
    let removed = 0
    for (let slot = 0; slot <= this.mask; slot++) {
      // Clearing a slot may move another entry into it.
      while ((this.table[slot << 2] & (USED | STATIC)) === USED && chosen(slot << 2)) {
        this.clear(slot)
        removed++
      }
    }
    return removed
  }

  /** Empties a slot and moves up the followers that would no longer be found. */
  private clear(slot: number): void {
    const { table, mask } = this
    if ((table[slot << 2] & STATIC) !== 0) this.staticCount--
    else this.learnedCount--
    let hole = slot
    for (let next = (slot + 1) & mask; table[next << 2] !== 0; next = (next + 1) & mask) {
      const home = hash(table[next << 2] & 0xffff, table[(next << 2) + LOW]) & mask
      // Stays when its home lies cyclically between the hole and its place: the hole is not on its way.
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      table.copyWithin(hole << 2, next << 2, (next << 2) + WORDS)
      hole = next
    }
    table.fill(0, hole << 2, (hole << 2) + WORDS)
  }

  private double(): void {
    const old = this.table
    this.mask = this.mask * 2 + 1
    this.table = new Int32Array(old.length * 2)
    for (let from = 0; from < old.length; from += WORDS) {
      if (old[from] === 0) continue
      let slot = hash(old[from] & 0xffff, old[from + LOW]) & this.mask
      while (this.table[slot << 2] !== 0) slot = (slot + 1) & this.mask
      for (let word = 0; word < WORDS; word++) this.table[(slot << 2) + word] = old[from + word]
    }
  }
}

/** Spreads vendor prefixes and counted-up addresses alike over the low bits. */
function hash(hi: number, lo: number): number {
  const mixed = Math.imul(lo ^ (hi << 15) ^ hi, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}
