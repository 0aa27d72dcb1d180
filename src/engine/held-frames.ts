/**
 * What a frame wheel keeps of the frames that wait: a chain of blocks for each of its slots.
 *
 *   record   time (double, 8 bytes) | frame (int32) | owner (int32)
 *   block    128 records, one behind the other
 *   slot     head record -> ... end of the block -> next block -> ... tail record
 *
 * What is under way is thus written and read in the order in which it lies in memory. (Lists of handles, with a million frames in
 * random order, were a miss of the cache for every link followed.) Nothing is allocated per frame.
 */
import type { FrameHandle } from './frame-pool.ts'
import { type RecordChain, sortRecords } from './record-sort.ts'

const NONE = -1
const FRAME = 2
const OWNER = 3
/** Records of a block, as a power of two: 2 KiB. With 512 bytes a jittered frame took an eighth more of the CPU, less of it where all wait for microseconds. */
const BLOCK_BITS = 7
const BLOCK_MASK = (1 << BLOCK_BITS) - 1

/** Which frames are due: those up to a time, and before another one. (Doubles as arguments would be objects.) */
export interface DueTimes {
  until: number
  before: number
}

export class HeldFrames {
  /** First and last record of each slot; a head of NONE: the slot is empty. */
  private readonly heads: Int32Array
  private readonly tails: Int32Array
  /** A bit for each slot that has frames. */
  private readonly occupied: Int32Array
  /** By slot: the least and the greatest time, and whether a frame stands behind one with a greater time. */
  private readonly earliest: Float64Array
  private readonly latest: Float64Array
  private readonly isMixed: Uint8Array
  /** The records, for which there is room when `reserve` was called: record r is times[2 r] and words[4 r + 2], words[4 r + 3]. */
  private times = new Float64Array(0)
  private words = new Int32Array(0)
  /** By block: the next one of its slot, or of the free ones. */
  private nextBlock = new Int32Array(0)
  private chain: RecordChain = { records: this.times, nextBlock: this.nextBlock, blockBits: BLOCK_BITS }
  private freeBlock = NONE
  /** Blocks from here on were never used: their pages are not there yet. */
  private madeBlocks = 0

  /** @param slots a multiple of 32 */
  constructor(slots: number) {
    this.heads = new Int32Array(slots).fill(NONE)
    this.tails = new Int32Array(slots)
    this.occupied = new Int32Array(slots / 32)
    this.earliest = new Float64Array(slots)
    this.latest = new Float64Array(slots)
    this.isMixed = new Uint8Array(slots)
  }

  /** Makes room for `frames` once and for all; may be called again. */
  reserve(frames: number): void {
    if (this.words.length > 0) return
    // Besides full blocks: two begun in each slot, at its head and its tail.
    const blocks = (frames >> BLOCK_BITS) + 2 * this.heads.length
    // Address space only: the kernel gives a page when it is first written.
    const bytes = new ArrayBuffer((blocks << BLOCK_BITS) * 16)
    this.times = new Float64Array(bytes)
    this.words = new Int32Array(bytes)
    this.nextBlock = new Int32Array(blocks)
    this.chain = { records: this.times, nextBlock: this.nextBlock, blockBits: BLOCK_BITS }
  }

  isEmpty(slot: number): boolean {
    return this.heads[slot] === NONE
  }

  /** The time of the slot's first frame to be given out; Infinity where there is none. */
  firstTime(slot: number): number {
    return this.heads[slot] === NONE ? Number.POSITIVE_INFINITY : this.earliest[slot]
  }

  /** Puts a frame behind those of the slot; its time is times[index]. */
  append(slot: number, times: Float64Array, index: number, frame: FrameHandle, owner: number): void {
    const { heads, tails, words } = this
    const due = times[index]
    let at: number
    if (heads[slot] === NONE) {
      at = this.takeBlock() << BLOCK_BITS
      heads[slot] = at
      this.occupied[slot >> 5] |= 1 << (slot & 31)
      this.earliest[slot] = due
      this.latest[slot] = due
      this.isMixed[slot] = 0
    } else {
      at = (tails[slot] + 1) | 0
      if ((at & BLOCK_MASK) === 0) at = this.extend(at - 1)
      if (due < this.latest[slot]) {
        this.isMixed[slot] = 1
        if (due < this.earliest[slot]) this.earliest[slot] = due
      } else this.latest[slot] = due
    }
    tails[slot] = at
    this.times[at << 1] = due
    words[(at << 2) + FRAME] = frame
    words[(at << 2) + OWNER] = owner
  }

  /** The first record of a new block behind the one of `last`. */
  private extend(last: number): number {
    const block = this.takeBlock()
    this.nextBlock[last >> BLOCK_BITS] = block
    return block << BLOCK_BITS
  }

  private takeBlock(): number {
    const block = this.freeBlock
    if (block === NONE) return this.madeBlocks++
    this.freeBlock = this.nextBlock[block]
    return block
  }

  /**
   * Copies the slot's first frames that are due and go to one owner into `into`, as many as there are and fit, and leaves them
   * where they are. Returns how many. Not of a slot that has to be put into order.
   */
  firstDue(slot: number, { until, before }: DueTimes, into: Int32Array): number {
    const { times, words } = this
    const last = this.tails[slot]
    let at = this.heads[slot]
    const owner = words[(at << 2) + OWNER]
    let count = 0
    while (times[at << 1] <= until && times[at << 1] < before && words[(at << 2) + OWNER] === owner) {
      into[count] = words[(at << 2) + FRAME]
      count = (count + 1) | 0
      if (at === last || count === into.length) break
      at = this.following(at)
    }
    return count
  }

  /** The owner of the slot's first frame. */
  firstOwner(slot: number): number {
    return this.words[(this.heads[slot] << 2) + OWNER]
  }

  /** The slot's first `count` frames are gone. */
  removeFirst(slot: number, count: number): void {
    const last = this.tails[slot]
    let at = this.heads[slot]
    for (let i = 0; i < count; i++) at = this.pass(at, last)
    this.heads[slot] = at
    if (at === NONE) this.occupied[slot >> 5] &= ~(1 << (slot & 31))
    else this.earliest[slot] = this.times[at << 1]
  }

  /** The slot's last record. Not of an empty one. */
  last(slot: number): number {
    return this.tails[slot]
  }

  /** Empties the slot without a look at its frames; returns its first record. The others follow by `pass`, up to what `last` was. */
  detach(slot: number): number {
    const head = this.heads[slot]
    this.heads[slot] = NONE
    this.occupied[slot >> 5] &= ~(1 << (slot & 31))
    return head
  }

  frameAt(record: number): FrameHandle {
    return this.words[(record << 2) + FRAME]
  }

  ownerAt(record: number): number {
    return this.words[(record << 2) + OWNER]
  }

  /** Puts the record's frame behind those of another slot. */
  copyTo(slot: number, record: number): void {
    this.append(slot, this.times, record << 1, this.frameAt(record), this.ownerAt(record))
  }

  timeAt(record: number): number {
    return this.times[record << 1]
  }

  private following(at: number): number {
    return (at & BLOCK_MASK) === BLOCK_MASK ? this.nextBlock[at >> BLOCK_BITS] << BLOCK_BITS : (at + 1) | 0
  }

  /** The record behind `at` in its slot, or NONE behind `last`; the block of `at` is free when all of it was passed. */
  pass(at: number, last: number): number {
    const isEnd = at === last
    if (!isEnd && (at & BLOCK_MASK) !== BLOCK_MASK) return (at + 1) | 0
    const block = at >> BLOCK_BITS
    const next = this.nextBlock[block]
    this.nextBlock[block] = this.freeBlock
    this.freeBlock = block
    return isEnd ? NONE : next << BLOCK_BITS
  }

  /** Puts the slot's frames into the order of their times; those of one time stay as they came. */
  sort(slot: number): void {
    if (this.isMixed[slot] === 0) return
    this.isMixed[slot] = 0
    sortRecords(this.chain, this.heads[slot], this.tails[slot], this.earliest[slot], this.latest[slot])
  }

  /** The first slot from `from` on, before `end`, that has frames; or NONE. `end` is a multiple of 32. */
  nextOccupied(from: number, end: number): number {
    const { occupied } = this
    let word = from >> 5
    let bits = occupied[word] & (-1 << (from & 31))
    while (bits === 0) {
      if (++word >= end >> 5) return NONE
      bits = occupied[word]
    }
    return (word << 5) + (31 - Math.clz32(bits & -bits))
  }
}
