/**
 * The flows: what passes through, in both directions, in tables of typed arrays.
 *
 *   flow, 64 bytes in `core`   | original: a b c d  translation  path  believed  packets | reply: the same |
 *   by flow in arrays          | expires | status | places | began | tcp (16 words) |
 *   slots, 4 bytes             | low bits of a tuple's hash | flow << 1 | direction, + 1 |     both tuples of a flow, linear probing
 *
 * The tuple of a direction is what its frames have when they come in; what they have when they leave is the opposite of the other
 * direction's tuple (Linux's nf_conntrack keeps the same two). A flow is *tentative* until its first frame leaves: it is found by
 * its original tuple only, so that a second frame finds the first one's decisions, and goes soon when no frame ever leaves.
 *
 * The slots are at most half full and grow while they are few; the rest has its full size from the start, which costs address space only.
 * Time is in ticks (1/16 s) and compared by difference.
 */
import { type InternedAddresses, NO_ADDRESS } from './interned-addresses.ts'
import { SourceMappings } from './source-mappings.ts'
import { IPV6_KIND, Tuple } from './tuple.ts'

/** Words of a flow in `core`, and of one direction. */
export const FLOW_WORDS = 16
export const DIRECTION_WORDS = 8
/** Words of a direction behind a, b, c and d. */
export const TRANSLATION = 4
export const PATH = 5
export const BELIEVED = 6
export const PACKETS = 7
/** Words of a flow in `tcp`. */
export const TCP_WORDS = 16

export const TICKS_PER_SECOND = 16
export const NO_FLOW = -1
export const FLOWS_MAX = 1 << 24

/** Bits of `status`; the TCP state is at STATE_SHIFT, the time-out that the next frame restarts at TIMEOUT_SHIFT. */
export const FlowStatus = {
  used: 1,
  /** A frame has left: both tuples are in the table. */
  confirmed: 2,
  seenReply: 4,
  /** Worth more than a newcomer: not evicted. */
  assured: 8,
  /** The original direction leaves with another source, or another destination. */
  snat: 16,
  dnat: 32,
  /** Ended; goes when its last frame has left. */
  dying: 64,
  /** Frames of the original and the reply direction need nothing but translation and a new time-out. */
  fastOriginal: 128,
  fastReply: 256,
  /** Its source stands in SourceMappings. */
  mapped: 512,
  /** Its answers come from the gateway of the client's network. */
  proxied: 1024
} as const
export const STATE_SHIFT = 12
export const STATE_MASK = 0xf
export const TIMEOUT_SHIFT = 16
export const TIMEOUT_MASK = 0x1f

const SMALLEST_SLOTS = 512
/** Slots from which a table is large. */
export const LARGE_TABLE = 65_536
/** Flows that a sweep looks at, some 50 us: a table of millions where nothing is too old must not keep frames waiting either. */
export const SWEPT_AT_ONCE = 65_536

export class Conntrack {
  readonly capacity: number
  readonly core: Int32Array
  /** Tick at which the flow is too old. */
  readonly expires: Int32Array
  readonly status: Int32Array
  /** Interface where the original direction comes in << 16 | where it leaves. */
  readonly places: Int32Array
  readonly tcp: Int32Array
  /** Tick of the first frame. */
  readonly began: Int32Array
  readonly addresses: InternedAddresses
  readonly mappings: SourceMappings
  slots = new Int32Array(SMALLEST_SLOTS)
  /** Low bits of a slot, which say whose it is; the others are the hash's lowest. */
  readonly referenceBits: number
  /** Leaves as many bits of a hash as there are slots. */
  shift = 32 - Math.log2(SMALLEST_SLOTS)
  /** Odd secret multipliers of the hash. */
  readonly k1: number
  readonly k2: number
  readonly k3: number
  readonly k4: number
  /** Now, in ticks. */
  tick = 0
  /** Ticks that a flow is kept, by TimeoutIndex. */
  timeouts: Int32Array
  private entries = 0
  private count = 0
  private high = 0
  private free = NO_FLOW
  private readonly scratch = new Tuple()

  /** `random` gives 32 random bits. */
  constructor(capacity: number, timeouts: Int32Array, addresses: InternedAddresses, random: () => number) {
    this.capacity = capacity
    this.timeouts = timeouts
    this.addresses = addresses
    this.mappings = new SourceMappings(random)
    this.referenceBits = 32 - Math.clz32(capacity * 2)
    this.core = new Int32Array(capacity * FLOW_WORDS)
    this.expires = new Int32Array(capacity)
    this.status = new Int32Array(capacity)
    this.places = new Int32Array(capacity)
    this.tcp = new Int32Array(capacity * TCP_WORDS)
    this.began = new Int32Array(capacity)
    this.k1 = random() | 1
    this.k2 = random() | 1
    this.k3 = random() | 1
    this.k4 = random() | 1
  }

  /** Flows, tentative ones too. */
  get size(): number {
    return this.count
  }

  /** Numbers of flows are below this. */
  get end(): number {
    return this.high
  }

  /** Bytes of all arrays, of which pages that were never written are not in memory. */
  get byteLength(): number {
    const { core, expires, status, places, tcp, began, slots } = this
    return [core, expires, status, places, tcp, began, slots].reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  /**
   * flow << 1 | direction of a tuple, or NO_FLOW. Multilinear hashing with secret multipliers: nobody outside can choose
   * tuples that meet, and it costs four multiplications that do not wait for each other.
   */
  find(a: number, b: number, c: number, d: number): number {
    const { slots, core, referenceBits } = this
    const mask = slots.length - 1
    const hash = this.hash(a, b, c, d)
    for (let at = hash >>> this.shift; ; at = (at + 1) & mask) {
      const entry = slots[at]
      if (entry === 0) return NO_FLOW
      if ((entry ^ (hash << referenceBits)) >>> referenceBits !== 0) continue
      const reference = (entry & ((1 << referenceBits) - 1)) - 1
      const word = reference << 3
      if (core[word] === a && core[word + 1] === b && core[word + 2] === c && core[word + 3] === d) return reference
    }
  }

  hash(a: number, b: number, c: number, d: number): number {
    const sum = (Math.imul(a, this.k1) + Math.imul(b, this.k2) + Math.imul(c, this.k3) + Math.imul(d, this.k4)) | 0
    return Math.imul(sum ^ (sum >>> 16), 0x9e3779b1)
  }

  /** As `find`; what is too old or ended is removed and not found. */
  look(tuple: Tuple): number {
    const reference = this.find(tuple.a, tuple.b, tuple.c, tuple.d)
    if (reference === NO_FLOW || this.isAlive(reference >> 1)) return reference
    this.remove(reference >> 1)
    return NO_FLOW
  }

  /**
   * Whether a tuple may become that of answers to the flow `own` (NO_FLOW: to one that is yet to begin). A tentative flow that has it goes:
   * nothing of it has left, and where the router has refused its packet nothing ever will.
   */
  vacate(tuple: Tuple, own: number): boolean {
    const reference = this.find(tuple.a, tuple.b, tuple.c, tuple.d)
    if (reference === NO_FLOW) return true
    const flow = reference >> 1
    // `own` may be too old by now, and is not removed while it is worked on.
    if (flow === own || (this.isAlive(flow) && !this.isTentative(flow))) return false
    this.remove(flow)
    return true
  }

  isTentative(flow: number): boolean {
    return (this.status[flow] & FlowStatus.confirmed) === 0
  }

  isAlive(flow: number): boolean {
    return ((this.expires[flow] - this.tick) | 0) > 0 && (this.status[flow] & FlowStatus.dying) === 0
  }

  /** The flow is kept for one time-out more, a TimeoutIndex. */
  refresh(flow: number, timeout: number): void {
    this.expires[flow] = (this.tick + this.timeouts[timeout]) | 0
  }

  /** Which of two TimeoutIndexes is the shorter one. */
  shorter(a: number, b: number): number {
    return this.timeouts[b] < this.timeouts[a] ? b : a
  }

  /** Tuple of a direction, into `into`. */
  tuple(flow: number, direction: number, into: Tuple): Tuple {
    const word = flow * FLOW_WORDS + direction * DIRECTION_WORDS
    into.a = this.core[word]
    into.b = this.core[word + 1]
    into.c = this.core[word + 2]
    into.d = this.core[word + 3]
    return into
  }

  /**
   * A tentative flow, which is found by `original` from now on; `reply` is kept and not found yet. For IPv6 both hold numbers that the
   * caller has references to: they are the flow's now. NO_FLOW when the table is full.
   */
  begin(original: Tuple, reply: Tuple, ingress: number, expires: number): number {
    const flow = this.newFlow()
    if (flow === NO_FLOW) return NO_FLOW
    const word = flow * FLOW_WORDS
    for (let i = TRANSLATION; i < DIRECTION_WORDS; i++) this.core[word + i] = this.core[word + DIRECTION_WORDS + i] = 0
    this.setTuple(flow, 0, original)
    this.setTuple(flow, 1, reply)
    this.began[flow] = this.tick
    this.makeRoom()
    this.status[flow] = FlowStatus.used
    this.expires[flow] = expires
    this.places[flow] = ingress << 16
    this.count++
    this.enter(this.hash(original.a, original.b, original.c, original.d), flow << 1)
    return flow
  }

  /** Replaces the reply tuple of a tentative flow; for IPv6 takes over the caller's references. */
  setReply(flow: number, reply: Tuple): void {
    this.release(flow, 1)
    this.setTuple(flow, 1, reply)
  }

  /** The first frame leaves by interface `egress`: answers are found from now on. */
  confirm(flow: number, egress: number): void {
    const reply = this.tuple(flow, 1, this.scratch)
    this.makeRoom()
    this.status[flow] |= FlowStatus.confirmed
    this.places[flow] |= egress
    this.enter(this.hash(reply.a, reply.b, reply.c, reply.d), (flow << 1) | 1)
  }

  remove(flow: number): void {
    const { status } = this
    if ((status[flow] & FlowStatus.mapped) !== 0) this.unmap(flow)
    this.leave(flow << 1)
    if ((status[flow] & FlowStatus.confirmed) !== 0) this.leave((flow << 1) | 1)
    this.release(flow, 0)
    this.release(flow, 1)
    status[flow] = 0
    this.core[flow * FLOW_WORDS] = this.free
    this.free = flow
    this.count--
  }

  /** Notes which port stands for the source of a confirmed flow; SourceMappings forgets it with the flow. */
  map(flow: number): void {
    const original = this.tuple(flow, 0, this.scratch)
    const { source, sourcePort, d } = original
    const reply = this.tuple(flow, 1, this.scratch)
    this.mappings.take(source, sourcePort, d, reply.destination, reply.destinationPort)
    this.status[flow] |= FlowStatus.mapped
  }

  /** Endpoint-independent mapping begins or ends: whether the external port of a mapped flow is nobody else's. */
  set arePortsExclusive(exclusive: boolean) {
    const { mappings, status } = this
    if (exclusive === mappings.areExclusive) return
    mappings.areExclusive = exclusive
    if (!exclusive) return
    for (let flow = 0; flow < this.high; flow++) {
      if ((status[flow] & FlowStatus.mapped) === 0) continue
      const { d } = this.tuple(flow, 0, this.scratch)
      const { destination, destinationPort } = this.tuple(flow, 1, this.scratch)
      mappings.noteExternal(d, destination, destinationPort)
    }
  }

  private unmap(flow: number): void {
    const original = this.tuple(flow, 0, this.scratch)
    const { source, sourcePort, d } = original
    const reply = this.tuple(flow, 1, this.scratch)
    this.mappings.release(source, sourcePort, d, reply.destination, reply.destinationPort)
  }

  /**
   * Removes what is too old among the flows from `from` on: looks at SWEPT_AT_ONCE of them and removes `limit` at most. Returns the
   * number to go on from; `end` when all were seen. `soonest` is told of those that stay.
   */
  sweep(from: number, limit: number): number {
    const { status, expires, tick } = this
    const last = Math.min(this.high, from + SWEPT_AT_ONCE)
    let removed = 0
    let flow = from
    for (; flow < last && removed < limit; flow++) {
      if (status[flow] === 0) continue
      const left = (expires[flow] - tick) | 0
      if (left <= 0) {
        this.remove(flow)
        removed++
      } else if (left < this.soonest) {
        this.soonest = left
      }
    }
    this.swept += removed
    return flow
  }

  /** Ticks until the next flow ends, of those that `sweep` has seen since the owner reset it. */
  soonest = 0x7fffffff
  /** Flows that `sweep` has removed, ever. */
  swept = 0

  private newFlow(): number {
    if (this.free !== NO_FLOW) {
      const flow = this.free
      this.free = this.core[flow * FLOW_WORDS]
      return flow
    }
    return this.high < this.capacity ? this.high++ : NO_FLOW
  }

  private setTuple(flow: number, direction: number, tuple: Tuple): void {
    const word = flow * FLOW_WORDS + direction * DIRECTION_WORDS
    this.core[word] = tuple.a
    this.core[word + 1] = tuple.b
    this.core[word + 2] = tuple.c
    this.core[word + 3] = tuple.d
  }

  /** Gives back the references of a direction's tuple. */
  private release(flow: number, direction: number): void {
    const tuple = this.tuple(flow, direction, this.scratch)
    if ((tuple.d & IPV6_KIND) === 0) return
    if (tuple.source !== NO_ADDRESS) this.addresses.release(tuple.source)
    if (tuple.destination !== NO_ADDRESS) this.addresses.release(tuple.destination)
  }

  private enter(hash: number, reference: number): void {
    this.entries++
    this.put(hash, reference)
  }

  private put(hash: number, reference: number): void {
    const { slots } = this
    const mask = slots.length - 1
    let at = hash >>> this.shift
    while (slots[at] !== 0) at = (at + 1) & mask
    slots[at] = (hash << this.referenceBits) | (reference + 1)
  }

  private hashOf(reference: number): number {
    const { core } = this
    const word = reference << 3
    return this.hash(core[word], core[word + 1], core[word + 2], core[word + 3])
  }

  /** Takes a tuple out of the slots and moves up the followers that would no longer be found. */
  private leave(reference: number): void {
    const { slots } = this
    const mask = slots.length - 1
    const references = (1 << this.referenceBits) - 1
    let hole = this.hashOf(reference) >>> this.shift
    while ((slots[hole] & references) !== reference + 1) hole = (hole + 1) & mask
    for (let next = (hole + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const home = this.hashOf((slots[next] & references) - 1) >>> this.shift
      // Stays when its home lies cyclically between the hole and its place: the hole is not on its way.
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      slots[hole] = slots[next]
      hole = next
    }
    slots[hole] = 0
    this.entries--
  }

  /**
   * For one more tuple. A small table grows by four and stays dense; a large one gets its last size at once, so that growing never
   * takes long. All flows are entered anew, in their order in memory.
   */
  private makeRoom(): void {
    const { slots, status, high } = this
    if ((this.entries + 1) * 2 <= slots.length) return
    const last = Math.ceil(Math.log2(this.capacity * 4))
    const bits = slots.length < LARGE_TABLE ? 2 : Math.max(1, last - Math.log2(slots.length))
    this.slots = new Int32Array(slots.length << bits)
    this.shift -= bits
    for (let flow = 0; flow < high; flow++) {
      if (status[flow] === 0) continue
      this.put(this.hashOf(flow << 1), flow << 1)
      if ((status[flow] & FlowStatus.confirmed) !== 0) this.put(this.hashOf((flow << 1) | 1), (flow << 1) | 1)
    }
  }
}
