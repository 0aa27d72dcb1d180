/**
 * Filtering database, IEEE 802.1Q 8.8: which port a station was last heard on.
 *
 *   entry, 16 bytes  | last 32 bits of the MAC | place: static, used, port (14), first 16 bits | second last heard | - |
 *
 * Open addressing with linear probing in one Int32Array, at most a third full (a small one an eighth): a look-up reads two words
 * of one cache line, and one comparison says that a station is where it was. A removed entry is filled by its followers, so
 * that chains do not grow with time. Nothing is allocated except when the table doubles.
 *
 * Who owns the table sweeps it in time: `lookup` does not look at ages.
 */
import { formatMac } from '../../wire/address.ts'

/** What `lookup` returns for an address that is not in the table. */
export const NOT_FOUND = -1
// What a module exports V8 looks up at every use; this is part of the code.
const notFound = NOT_FOUND

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

// Words of an entry.
const LOW = 0
const PLACE = 1
const SEEN = 2
const WORDS = 4
// Bits of PLACE; 0 is an empty entry.
const HI_MASK = 0xffff
const PORT_SHIFT = 16
const PORT_MASK = 0x3fff
const USED = 1 << 30
const STATIC = 1 << 31
/** Everything that names the address. */
const NAME_MASK = USED | HI_MASK

/** Ports that an entry can name. */
export const FDB_PORTS_MAX = PORT_MASK + 1
/** Entries per address at least: chains so short that the processor guesses their end (at 2, look-ups among 4,000 cost 40 % more). */
const SPARSE = 3
/** Entries per address at least in a table that fits the first cache: nearly every address is where its search begins. */
const SPARSE_SMALL = 8
const SMALL_TABLE = 1024
const SMALLEST_TABLE = 64

export class Fdb {
  /** Seconds; see `LearningBridgeOptions`. */
  ageing: number
  /** Learned entries at most. */
  capacity: number
  private table = new Int32Array(SMALLEST_TABLE * WORDS)
  /** Keeps an index inside the table. */
  private mask = this.table.length - 1
  /** Leaves as many bits of a hash as an index has. */
  private shift = Math.clz32(this.mask)
  private learnedCount = 0
  private staticCount = 0
  private agedCount = 0
  /** When a full table was last swept: at most once a second, however many new addresses ask for room. */
  private sweptWhenFull = -1

  constructor(ageing: number, capacity: number) {
    this.ageing = ageing
    this.capacity = capacity
  }

  /** Learned entries. */
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

  /** Port of the address, or NOT_FOUND. `hi` and `lo` as in `Mac`. */
  lookup(hi: number, lo: number): number {
    const { table, mask, shift } = this
    const name = hi | USED
    for (let at = home(hi, lo, shift); ; at = (at + WORDS) & mask) {
      const place = table[at + PLACE]
      if ((place & NAME_MASK) === name && table[at + LOW] === lo) return (place >>> PORT_SHIFT) & PORT_MASK
      if (place === 0) return notFound
    }
  }

  /** Whether the address is there as a static entry. */
  isStatic(hi: number, lo: number): boolean {
    const { table, mask, shift } = this
    for (let at = home(hi, lo, shift); table[at + PLACE] !== 0; at = (at + WORDS) & mask) {
      if ((table[at + PLACE] & NAME_MASK) === (hi | USED) && table[at + LOW] === lo) return (table[at + PLACE] & STATIC) !== 0
    }
    return false
  }

  /** True when the address is known on this port, learned or static: its time begins anew. */
  refresh(hi: number, lo: number, port: number, seconds: number): boolean {
    const { table, mask, shift } = this
    const expected = hi | (port << PORT_SHIFT) | USED
    for (let at = home(hi, lo, shift); ; at = (at + WORDS) & mask) {
      const place = table[at + PLACE]
      if ((place & ~STATIC) === expected && table[at + LOW] === lo) {
        table[at + SEEN] = seconds
        return true
      }
      if (place === 0) return false
    }
  }

  /**
   * One frame between known stations: refreshes its source on `port` and returns the port of its destination. NOT_FOUND when
   * either is not known or both are on one port.
   */
  relay(sourceHi: number, sourceLo: number, hi: number, lo: number, port: number, seconds: number): number {
    if (!this.refresh(sourceHi, sourceLo, port, seconds)) return notFound
    const egress = this.lookup(hi, lo)
    return egress === port ? notFound : egress
  }

  /**
   * The same without a search, for loops, which V8 keeps flat so: NOT_FOUND also when an address is neither where its search begins
   * nor in the entry behind it.
   */
  relayNear(sourceHi: number, sourceLo: number, hi: number, lo: number, port: number, seconds: number): number {
    const { table, mask, shift } = this
    let from = home(sourceHi, sourceLo, shift)
    let to = home(hi, lo, shift)
    if (table[from] !== sourceLo) from = (from + WORDS) & mask
    if (table[to] !== lo) to = (to + WORDS) & mask
    if ((table[(from + PLACE) | 0] & ~STATIC) !== (sourceHi | (port << PORT_SHIFT) | USED) || table[from] !== sourceLo) return notFound
    const place = table[(to + PLACE) | 0]
    const egress = (place >>> PORT_SHIFT) & PORT_MASK
    if ((place & NAME_MASK) !== (hi | USED) || table[to] !== lo || egress === port) return notFound
    table[(from + SEEN) | 0] = seconds
    return egress
  }

  /** Enters, refreshes or moves the address; one of `Learned`. Not for group addresses. `seconds` is the time. */
  learn(hi: number, lo: number, port: number, seconds: number): number {
    const { table, mask, shift } = this
    for (let at = home(hi, lo, shift); ; at = (at + WORDS) & mask) {
      const place = table[at + PLACE]
      if (place === 0) return this.add(at, hi, lo, port, seconds)
      if ((place & NAME_MASK) !== (hi | USED) || table[at + LOW] !== lo) continue
      if ((place & STATIC) !== 0) return Learned.refreshed
      table[at + SEEN] = seconds
      if (this.portAt(at) === port) return Learned.refreshed
      table[at + PLACE] = hi | (port << PORT_SHIFT) | USED
      return Learned.moved
    }
  }

  private add(at: number, hi: number, lo: number, port: number, seconds: number): number {
    if (this.learnedCount >= this.capacity) {
      // Room may be held by entries whose time is up.
      if (this.sweptWhenFull === seconds) return Learned.refused
      this.sweptWhenFull = seconds
      this.sweep(seconds)
      return this.learn(hi, lo, port, seconds)
    }
    this.learnedCount++
    this.put(at, hi | (port << PORT_SHIFT) | USED, lo, seconds)
    return Learned.added
  }

  /** Enters an address that neither ages nor moves, in place of a learned one. */
  addStatic(hi: number, lo: number, port: number): void {
    this.remove(hi, lo)
    this.staticCount++
    this.put(this.freeAt(hi, lo), hi | (port << PORT_SHIFT) | USED | STATIC, lo, 0)
  }

  /** False when the address was not there. */
  remove(hi: number, lo: number): boolean {
    const { table, mask, shift } = this
    for (let at = home(hi, lo, shift); table[at + PLACE] !== 0; at = (at + WORDS) & mask) {
      if (table[at + LOW] !== lo || (table[at + PLACE] & HI_MASK) !== hi) continue
      this.clear(at)
      return true
    }
    return false
  }

  /** Forgets what was learned on a port, or on all; returns how many entries. */
  flush(port: number | null): number {
    return this.removeLearned((at) => port === null || this.portAt(at) === port)
  }

  /** Forgets all static entries. */
  removeStatics(): void {
    for (let at = 0; at < this.table.length; at += WORDS) while ((this.table[at + PLACE] & STATIC) !== 0) this.clear(at)
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
      if ((table[at + PLACE] & (USED | STATIC)) === USED && table[at + SEEN] < oldest) oldest = table[at + SEEN]
    }
    return oldest
  }

  /** All entries, for people: allocates. */
  entries(seconds: number): FdbEntry[] {
    const { table } = this
    const entries: FdbEntry[] = []
    for (let at = 0; at < table.length; at += WORDS) {
      const place = table[at + PLACE]
      if (place === 0) continue
      const isStatic = (place & STATIC) !== 0
      const mac = formatMac({ hi: place & HI_MASK, lo: table[at + LOW] })
      entries.push({ mac, port: this.portAt(at), static: isStatic, age: isStatic ? 0 : seconds - table[at + SEEN] })
    }
    return entries.sort((a, b) => a.port - b.port || (a.mac < b.mac ? -1 : 1))
  }

  private portAt(at: number): number {
    return (this.table[at + PLACE] >>> PORT_SHIFT) & PORT_MASK
  }

  /** The first empty entry on the way of an address that is not in the table. */
  private freeAt(hi: number, lo: number): number {
    let at = home(hi, lo, this.shift)
    while (this.table[at + PLACE] !== 0) at = (at + WORDS) & this.mask
    return at
  }

  private put(at: number, place: number, lo: number, seconds: number): void {
    this.table[at + LOW] = lo
    this.table[at + PLACE] = place
    this.table[at + SEEN] = seconds
    const sparse = this.table.length <= SMALL_TABLE * WORDS ? SPARSE_SMALL : SPARSE
    if ((this.learnedCount + this.staticCount) * sparse * WORDS > this.table.length) this.double()
  }

  private removeLearned(chosen: (at: number) => boolean): number {
    let removed = 0
    for (let at = 0; at < this.table.length; at += WORDS) {
      // Clearing an entry may move another one into its place.
      while ((this.table[at + PLACE] & (USED | STATIC)) === USED && chosen(at)) {
        this.clear(at)
        removed++
      }
    }
    return removed
  }

  /** Empties an entry and moves up the followers that would no longer be found. */
  private clear(at: number): void {
    const { table, mask, shift } = this
    if ((table[at + PLACE] & STATIC) !== 0) this.staticCount--
    else this.learnedCount--
    let hole = at
    for (let next = (at + WORDS) & mask; table[next + PLACE] !== 0; next = (next + WORDS) & mask) {
      const first = home(table[next + PLACE] & HI_MASK, table[next + LOW], shift)
      // Stays when its home lies cyclically between the hole and its place: the hole is not on its way.
      if (((next - first) & mask) < ((next - hole) & mask)) continue
      table.copyWithin(hole, next, next + WORDS)
      hole = next
    }
    table.fill(0, hole, hole + WORDS)
  }

  private double(): void {
    const old = this.table
    this.table = new Int32Array(old.length * 2)
    this.mask = this.table.length - 1
    this.shift = Math.clz32(this.mask)
    for (let from = 0; from < old.length; from += WORDS) {
      if (old[from + PLACE] === 0) continue
      this.table.set(old.subarray(from, from + WORDS), this.freeAt(old[from + PLACE] & HI_MASK, old[from + LOW]))
    }
  }
}

/**
 * The entry where the search begins: multiplicative hashing (Knuth, TAOCP volume 3, 6.4) with the golden ratio. Its high
 * bits spread counted-up addresses, which is what Docker gives, without any collision, and random ones as well as any hash.
 */
function home(hi: number, lo: number, shift: number): number {
  return (Math.imul(lo ^ (hi << 15) ^ hi, 0x9e3779b1) >>> shift) & -WORDS
}
