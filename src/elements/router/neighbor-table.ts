/**
 * The neighbors that a router remembers: one slot each in typed arrays, found by hash of interface and address.
 *
 *   hash table --> slot --> address, interface, state, MAC, times, waiting frames, place among those that wait for a timer
 *
 * The table knows no protocol. Slots on a timer stand in one of two lists by how long they wait: all in a list wait equally long,
 * so the oldest is due first, and entering and leaving cost the same however many there are.
 */
import type { Words } from './address-words.ts'

export const NO_NEIGHBOR = -1

/** RFC 4861 section 7.3.2; `failed` is what a removed entry is there, kept to know that it failed. */
export const NeighborState = { free: 0, incomplete: 1, reachable: 2, stale: 3, delay: 4, probe: 5, failed: 6 } as const

/** Which timer a slot waits for. */
export const Waiting = { retransmit: 0, delay: 1 } as const
const NOT_WAITING = 2

/** Slots that are looked at to find one to give away: the price of a new entry in a full table. */
const EVICTION_STEPS = 64

export class NeighborTable {
  readonly capacity: number
  readonly state: Uint8Array
  /** Number of the interface. */
  readonly interface: Int32Array
  /** 4 or 6. */
  readonly family: Uint8Array
  /** Four words a slot. */
  readonly address: Int32Array
  readonly macHi: Int32Array
  readonly macLo: Int32Array
  /** ns: until when `reachable` holds, or `failed` is not asked again. */
  readonly until: Float64Array
  /** ns: when the neighbor was last confirmed; 0: never. */
  readonly confirmed: Float64Array
  /** ns: when the MAC last changed or was confirmed. */
  readonly updated: Float64Array
  /** Questions asked without an answer. */
  readonly requests: Uint8Array
  /** ns: when the slot entered the list that it waits in. */
  readonly since: Float64Array
  private readonly waiting: Uint8Array
  private readonly previous: Int32Array
  private readonly next: Int32Array
  /** First and last slot of each list; NO_NEIGHBOR: empty. */
  private readonly first = new Int32Array(2).fill(NO_NEIGHBOR)
  private readonly last = new Int32Array(2).fill(NO_NEIGHBOR)
  /** Slot + 1; 0: empty. At most a quarter full. */
  private readonly table: Int32Array
  private readonly mask: number
  /** The high bits of a hash are the place: a hash is shifted right by this. */
  private readonly shift: number
  /** Secret odd multipliers of the address's words, and of interface and family. */
  private readonly k0: number
  private readonly k1: number
  private readonly k2: number
  private readonly k3: number
  private readonly k4: number
  /** Slots from here on were never used. */
  private fresh = 0
  private readonly freed: number[] = []
  /** Where the search for a slot to give away goes on. */
  private hand = 0
  private count = 0
  /** Slots in state `incomplete` by interface. */
  private incomplete = new Int32Array(16)

  /** `random` gives 32 random bits. */
  constructor(capacity: number, random: () => number) {
    this.capacity = capacity
    this.state = new Uint8Array(capacity)
    this.interface = new Int32Array(capacity)
    this.family = new Uint8Array(capacity)
    this.address = new Int32Array(capacity * 4)
    this.macHi = new Int32Array(capacity)
    this.macLo = new Int32Array(capacity)
    this.until = new Float64Array(capacity)
    this.confirmed = new Float64Array(capacity)
    this.updated = new Float64Array(capacity)
    this.requests = new Uint8Array(capacity)
    this.since = new Float64Array(capacity)
    this.waiting = new Uint8Array(capacity).fill(NOT_WAITING)
    this.previous = new Int32Array(capacity)
    this.next = new Int32Array(capacity)
    let size = 64
    while (size < capacity * 4) size *= 2
    this.table = new Int32Array(size)
    this.mask = size - 1
    this.shift = Math.clz32(size - 1)
    this.k0 = random() | 1
    this.k1 = random() | 1
    this.k2 = random() | 1
    this.k3 = random() | 1
    this.k4 = random() | 1
  }

  get size(): number {
    return this.count
  }

  /** Slots that were ever used: those in use are below. */
  get used(): number {
    return this.fresh
  }

  /** The slot of an address, or NO_NEIGHBOR. */
  find(number: number, family: number, w0: number, w1: number, w2: number, w3: number): number {
    const place = this.table[this.placeOf(number, family, w0, w1, w2, w3)]
    return place - 1
  }

  /** Makes a slot in state `incomplete` for an address that has none; NO_NEIGHBOR: all are taken. */
  add(number: number, family: number, w0: number, w1: number, w2: number, w3: number): number {
    const slot = this.freed.pop() ?? (this.fresh < this.capacity ? this.fresh++ : NO_NEIGHBOR)
    if (slot === NO_NEIGHBOR) return NO_NEIGHBOR
    this.interface[slot] = number
    this.family[slot] = family
    this.address[4 * slot] = w0
    this.address[4 * slot + 1] = w1
    this.address[4 * slot + 2] = w2
    this.address[4 * slot + 3] = w3
    this.become(slot, NeighborState.incomplete)
    this.confirmed[slot] = this.updated[slot] = this.until[slot] = 0
    this.requests[slot] = 0
    this.table[this.placeOf(number, family, w0, w1, w2, w3)] = slot + 1
    this.count++
    return slot
  }

  /** Gives a slot another state. */
  become(slot: number, state: number): void {
    const number = this.interface[slot]
    if (number >= this.incomplete.length) this.countMore(number)
    if (this.state[slot] === NeighborState.incomplete) this.incomplete[number]--
    if (state === NeighborState.incomplete) this.incomplete[number]++
    this.state[slot] = state
  }

  /** How many neighbors of an interface were asked for and have not answered. */
  incompleteOn(number: number): number {
    return number < this.incomplete.length ? this.incomplete[number] : 0
  }

  /** Of the slots that wait longest, the first that is incomplete, on an interface (-1: on any); or NO_NEIGHBOR. */
  longestIncomplete(number: number): number {
    let slot = this.first[Waiting.retransmit]
    for (let steps = 0; slot !== NO_NEIGHBOR && steps < EVICTION_STEPS; steps++) {
      if (this.state[slot] === NeighborState.incomplete && (number < 0 || this.interface[slot] === number)) return slot
      slot = this.next[slot]
    }
    return NO_NEIGHBOR
  }

  private countMore(number: number): void {
    const counts = new Int32Array(2 * (number + 1))
    counts.set(this.incomplete)
    this.incomplete = counts
  }

  /** Frees a slot. */
  remove(slot: number): void {
    this.stopWaiting(slot)
    this.become(slot, NeighborState.free)
    this.freed.push(slot)
    this.count--
    const { table, mask } = this
    let hole = this.placeOfSlot(slot)
    for (let next = (hole + 1) & mask; table[next] !== 0; next = (next + 1) & mask) {
      const home = this.home(table[next] - 1)
      // Stays when its home lies cyclically between the hole and its place: the hole is not on its way.
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      table[hole] = table[next]
      hole = next
    }
    table[hole] = 0
  }

  /** A slot to give away: one that failed, else the stale one that was confirmed longest ago, of those that the hand passes; or NO_NEIGHBOR. */
  evictable(now: number): number {
    let oldest = NO_NEIGHBOR
    const steps = Math.min(EVICTION_STEPS, this.fresh)
    for (let i = 0; i < steps; i++) {
      const slot = this.hand
      this.hand = slot + 1 === this.fresh ? 0 : slot + 1
      const state = this.state[slot]
      if (state === NeighborState.failed) return slot
      const isIdle = state === NeighborState.stale || (state === NeighborState.reachable && now > this.until[slot])
      if (isIdle && (oldest === NO_NEIGHBOR || this.confirmed[slot] < this.confirmed[oldest])) oldest = slot
    }
    return oldest
  }

  /** Puts a slot at the end of a list (see Waiting), out of the one that it is in. */
  wait(slot: number, list: number, now: number): void {
    this.stopWaiting(slot)
    const { first, last } = this
    this.waiting[slot] = list
    this.since[slot] = now
    this.previous[slot] = last[list]
    this.next[slot] = NO_NEIGHBOR
    if (last[list] === NO_NEIGHBOR) first[list] = slot
    else this.next[last[list]] = slot
    last[list] = slot
  }

  stopWaiting(slot: number): void {
    const list = this.waiting[slot]
    if (list === NOT_WAITING) return
    this.waiting[slot] = NOT_WAITING
    const before = this.previous[slot]
    const after = this.next[slot]
    if (before === NO_NEIGHBOR) this.first[list] = after
    else this.next[before] = after
    if (after === NO_NEIGHBOR) this.last[list] = before
    else this.previous[after] = before
  }

  /** The slot that waits longest in a list, or NO_NEIGHBOR. */
  longest(list: number): number {
    return this.first[list]
  }

  words(slot: number): Words {
    const { address } = this
    return [address[4 * slot], address[4 * slot + 1], address[4 * slot + 2], address[4 * slot + 3]]
  }

  private placeOfSlot(slot: number): number {
    const { address } = this
    const at = 4 * slot
    return this.placeOf(this.interface[slot], this.family[slot], address[at], address[at + 1], address[at + 2], address[at + 3])
  }

  /** Where the address is in the hash table, or the empty place where it would be. */
  private placeOf(number: number, family: number, w0: number, w1: number, w2: number, w3: number): number {
    const { table, mask, address } = this
    for (let place = this.hash(number, family, w0, w1, w2, w3); ; place = (place + 1) & mask) {
      const slot = table[place] - 1
      if (slot < 0) return place
      const at = 4 * slot
      if (
        address[at] === w0 &&
        address[at + 3] === w3 &&
        address[at + 1] === w1 &&
        address[at + 2] === w2 &&
        this.interface[slot] === number &&
        this.family[slot] === family
      ) {
        return place
      }
    }
  }

  private home(slot: number): number {
    const { address } = this
    const at = 4 * slot
    return this.hash(this.interface[slot], this.family[slot], address[at], address[at + 1], address[at + 2], address[at + 3])
  }

  /**
   * The place where a search begins. Multilinear with secret multipliers, as that of the flows: a station may choose the addresses that
   * it asks for, but not such that they meet.
   */
  private hash(number: number, family: number, w0: number, w1: number, w2: number, w3: number): number {
    const { k0, k1, k2, k3, k4 } = this
    const place = Math.imul((number << 3) ^ family, k4)
    const sum = (Math.imul(w0, k0) + Math.imul(w1, k1) + Math.imul(w2, k2) + Math.imul(w3, k3) + place) | 0
    return Math.imul(sum ^ (sum >>> 16), 0x9e3779b1) >>> this.shift
  }
}
