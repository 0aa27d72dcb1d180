/**
 * Frames that wait for their time: a hierarchical timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987).
 *
 *   level 0   1,024 slots of 1 tick   (1.024 us each: the next millisecond)
 *   level 1   1,024 slots of 2^10     (the next second)
 *   level 2   2,048 slots of 2^20     (36 minutes)
 *
 * A slot is a chain of blocks of 32 records: what is under way is read and written in the order in which it lies in memory. (Lists of
 * handles, with a million frames in random order, were a miss of the cache for every link followed.) Nothing is allocated per frame. A
 * slot's frames move down a level when its time comes. Within a tick they leave by exact time, those of the same time in the order in
 * which they came.
 *
 * The wheel has one timer of the engine for all the frames of all elements.
 */
import type { FrameHandle, FramePool } from './frame-pool.ts'
import type { Timer, TimerQueue } from './timer-queue.ts'

/** Nanoseconds of a tick, as a power of two. */
const TICK_BITS = 10
const TICKS_PER_NS = 1 / (1 << TICK_BITS)
/** Slots of levels 0 and 1. */
const SLOT_BITS = 10
const SLOTS = 1 << SLOT_BITS
const MASK = SLOTS - 1
const TOP_SLOTS = 2048
const LEVEL_1 = SLOTS
const LEVEL_2 = 2 * SLOTS
const NONE = -1
/** A record is four words: the time as a double, the frame, target and port. */
const FRAME = 2
const OWNER = 3
/** Records of a block, as a power of two. */
const BLOCK_BITS = 5
const BLOCK_RECORDS = 1 << BLOCK_BITS
const BLOCK_MASK = BLOCK_RECORDS - 1
/** Records that are put into order by moving; more are sorted by merging. */
const FEW = 32

/** Nanoseconds of a slot of level 1, and of level 2. */
const MILLISECOND = 2 ** (SLOT_BITS + TICK_BITS)
const SECOND = 2 ** (2 * SLOT_BITS + TICK_BITS)

/** The longest time that a frame may be held, nanoseconds: half of what the wheel's numbers can tell apart. */
export const HOLD_MAX = 2 ** 30 * 2 ** TICK_BITS

/** Where frames go when their time has come. */
export interface WheelTarget {
  /** Takes the frame; false: there is no room in this turn, and the caller keeps it. `isLast`: take or drop it. */
  release(frame: FrameHandle, port: number, isLast: boolean): boolean
}

export class FrameWheel {
  private readonly pool: FramePool
  private readonly timer: Timer
  private readonly targets: (WheelTarget | null)[] = []
  private readonly freeTargets: number[] = []
  /** First and last record of each slot of all levels; NONE: the slot is empty. */
  private readonly heads = new Int32Array(2 * SLOTS + TOP_SLOTS).fill(NONE)
  private readonly tails = new Int32Array(2 * SLOTS + TOP_SLOTS)
  /** A bit for each slot that has frames. */
  private readonly occupied = new Int32Array((2 * SLOTS + TOP_SLOTS) / 32)
  /** Level 0: the earliest time in the slot, and whether its frames stand in another order. */
  private readonly earliest = new Float64Array(SLOTS)
  private readonly isMixed = new Uint8Array(SLOTS)
  /** The records, made when the first frame is held: enough for all frames of the pool, and a block begun for each slot. */
  private times = new Float64Array(0)
  private words = new Int32Array(0)
  /** By block: the next one of its slot, or of the free ones. */
  private nextBlock = new Int32Array(0)
  private freeBlock = NONE
  /** Blocks from here on were never used: their pages are not there yet. */
  private madeBlocks = 0
  private scratch = new Records(64)
  private merged = new Records(64)
  /** The tick whose slot is the next to be looked at; modulo 2^32. */
  private tick = 0
  private count = 0
  /** When the timer is to fire. */
  private armedFor = Number.POSITIVE_INFINITY
  /** The frame that found no room in the last advance. */
  private blocked: FrameHandle = NONE

  constructor(pool: FramePool, timers: TimerQueue) {
    this.pool = pool
    this.timer = timers.timer((now) => this.advance(now))
  }

  /** Frames that wait. */
  get size(): number {
    return this.count
  }

  /** A number by which a target's frames are known. */
  addTarget(target: WheelTarget): number {
    const number = this.freeTargets.pop() ?? this.targets.length
    this.targets[number] = target
    return number
  }

  /** Takes a target's frames out, and the target; `each` owns them. Costs a look at every frame that waits. */
  removeTarget(number: number, each: (frame: FrameHandle) => void): void {
    this.targets[number] = null
    this.freeTargets.push(number)
    if (this.count === 0) return
    const { times, words } = this
    for (let slot = 0; slot < this.heads.length; slot++) {
      let at = this.heads[slot]
      if (at === NONE) continue
      const last = this.tails[slot]
      this.clear(slot)
      for (; at !== NONE; at = this.pass(at, last)) {
        const frame = words[(at << 2) + FRAME]
        const owner = words[(at << 2) + OWNER]
        if (owner >> 1 !== number) this.append(slot, times[at << 1], frame, owner)
        else {
          this.count--
          each(frame)
        }
      }
    }
    this.blocked = NONE
    this.rearm()
  }

  /** Keeps the frame until `due` (nanoseconds; HOLD_MAX from `now` when that is earlier), then gives it to the target for its port 0 or 1. */
  hold(frame: FrameHandle, due: number, now: number, target: number, port: number): void {
    if (this.words.length === 0) this.prepare()
    const tick = (now * TICKS_PER_NS) | 0
    if (this.count === 0) this.tick = tick
    // The wheel moves when something is due: what comes meanwhile would be put further up than need be.
    else if ((this.tick ^ tick) >>> SLOT_BITS !== 0) this.seek(tick)
    this.count++
    // A time further away would look like one that has passed, and would stand in the way of all that is due.
    const at = this.place(Math.min(due, now + HOLD_MAX), frame, (target << 1) | port)
    if (at < this.armedFor) {
      this.armedFor = at
      this.timer.arm(at)
    }
  }

  /** Puts the frame where its time belongs; returns when the slot has to be looked at. */
  private place(due: number, frame: FrameHandle, owner: number): number {
    let tick = (due * TICKS_PER_NS) | 0
    // What is late goes with what is next.
    if (((tick - this.tick) | 0) < 0) tick = this.tick
    if ((tick ^ this.tick) >>> SLOT_BITS === 0) {
      const slot = tick & MASK
      this.append(slot, due, frame, owner)
      return this.earliest[slot]
    }
    const isFar = (tick ^ this.tick) >>> (2 * SLOT_BITS) !== 0
    const slot = isFar ? LEVEL_2 + ((tick >>> (2 * SLOT_BITS)) & (TOP_SLOTS - 1)) : LEVEL_1 + ((tick >>> SLOT_BITS) & MASK)
    this.append(slot, due, frame, owner)
    return slotStart(due, isFar ? SECOND : MILLISECOND)
  }

  private append(slot: number, due: number, frame: FrameHandle, owner: number): void {
    const { heads, tails, words, times } = this
    let at: number
    if (heads[slot] === NONE) {
      at = this.takeBlock() << BLOCK_BITS
      heads[slot] = at
      this.occupied[slot >> 5] |= 1 << (slot & 31)
      if (slot < SLOTS) {
        this.earliest[slot] = due
        this.isMixed[slot] = 0
      }
    } else {
      const last = tails[slot]
      at = (last + 1) | 0
      if ((at & BLOCK_MASK) === 0) {
        const block = this.takeBlock()
        this.nextBlock[last >> BLOCK_BITS] = block
        at = block << BLOCK_BITS
      }
      if (slot < SLOTS && due < times[last << 1]) {
        this.isMixed[slot] = 1
        if (due < this.earliest[slot]) this.earliest[slot] = due
      }
    }
    tails[slot] = at
    times[at << 1] = due
    words[(at << 2) + FRAME] = frame
    words[(at << 2) + OWNER] = owner
  }

  /** The record behind `at` in its slot, or NONE behind `last`; the block of `at` is free when all of it was passed. */
  private pass(at: number, last: number): number {
    const isEnd = at === last
    if (!isEnd && (at & BLOCK_MASK) !== BLOCK_MASK) return (at + 1) | 0
    const block = at >> BLOCK_BITS
    const next = this.nextBlock[block]
    this.nextBlock[block] = this.freeBlock
    this.freeBlock = block
    return isEnd ? NONE : next << BLOCK_BITS
  }

  private takeBlock(): number {
    const block = this.freeBlock
    if (block === NONE) return this.madeBlocks++
    this.freeBlock = this.nextBlock[block]
    return block
  }

  private clear(slot: number): void {
    this.heads[slot] = NONE
    this.occupied[slot >> 5] &= ~(1 << (slot & 31))
  }

  /** Gives out what is due at `now`. */
  private advance(now: number): void {
    const last = (now * TICKS_PER_NS) | 0
    while (this.count > 0) {
      const slot = this.seek(last)
      if (slot === NONE) break
      this.tick = (this.tick & ~MASK) | slot
      // Something stays: it is later than now, or found no room.
      if (!this.give(slot, now)) break
    }
    if (this.count === 0) this.tick = last
    this.rearm()
  }

  /** The first slot of level 0 with frames, not after the tick `last`; brings frames of the levels above down on the way. */
  private seek(last: number): number {
    for (;;) {
      const slot = this.nextOccupied(0, this.tick & MASK, SLOTS)
      if (slot !== NONE) return ((((this.tick & ~MASK) | slot) - last) | 0) > 0 ? NONE : slot
      const block = ((this.tick | MASK) + 1) | 0
      if (((block - last) | 0) > 0) return NONE
      this.enter(this.skip(block, last))
    }
  }

  /** The first block from `block` on that has something to move down, or the one of `last`. */
  private skip(block: number, last: number): number {
    if ((block & (2 ** (2 * SLOT_BITS) - 1)) === 0) return block
    const found = this.nextOccupied(LEVEL_1, (block >>> SLOT_BITS) & MASK, SLOTS)
    const end = (last & ~MASK) | 0
    // No further than the end of this second, where level 2 comes down.
    const border = ((block | (2 ** (2 * SLOT_BITS) - 1)) + 1) | 0
    const wanted = found === NONE ? border : (block & ~(MASK << SLOT_BITS)) | (found << SLOT_BITS)
    return ((wanted - end) | 0) < 0 ? wanted : end
  }

  /** The wheel stands at the first tick of a block: frames of higher levels that belong to it move down. */
  private enter(block: number): void {
    const isSecond = (block & (2 ** (2 * SLOT_BITS) - 1)) === 0
    this.tick = block
    if (isSecond) this.moveDown(LEVEL_2 + ((block >>> (2 * SLOT_BITS)) & (TOP_SLOTS - 1)))
    this.moveDown(LEVEL_1 + ((block >>> SLOT_BITS) & MASK))
  }

  private moveDown(slot: number): void {
    const { heads, tails, times, words } = this
    let at = heads[slot]
    if (at === NONE) return
    const last = tails[slot]
    this.clear(slot)
    for (; at !== NONE; at = this.pass(at, last)) this.place(times[at << 1], words[(at << 2) + FRAME], words[(at << 2) + OWNER])
  }

  /** Gives out the frames of a slot of level 0 that are due; false where some stay. */
  private give(slot: number, now: number): boolean {
    if (this.isMixed[slot] === 1) this.sort(slot)
    const { words, times, tails, targets } = this
    let at = this.heads[slot]
    while (at !== NONE && times[at << 1] <= now) {
      const frame = words[(at << 2) + FRAME]
      const owner = words[(at << 2) + OWNER]
      if (!targets[owner >> 1]!.release(frame, owner & 1, frame === this.blocked)) {
        // Once more in the next turn, when the consumer had its push.
        this.blocked = frame
        break
      }
      this.count--
      at = this.pass(at, tails[slot])
    }
    if (at === NONE) {
      this.clear(slot)
      return true
    }
    this.heads[slot] = at
    this.earliest[slot] = times[at << 1]
    return false
  }

  /** The first slot of a level from `from` on that has frames; no further than the level's end. */
  private nextOccupied(level: number, from: number, slots: number): number {
    const { occupied } = this
    let word = (level + from) >> 5
    const end = (level + slots) >> 5
    let bits = occupied[word] & (-1 << (from & 31))
    while (bits === 0) {
      if (++word >= end) return NONE
      bits = occupied[word]
    }
    return (word << 5) + (31 - Math.clz32(bits & -bits)) - level
  }

  /** The timer fires when the next slot has something to do. */
  private rearm(): void {
    const at = this.count === 0 ? Number.POSITIVE_INFINITY : this.nextTime()
    this.armedFor = at
    if (at === Number.POSITIVE_INFINITY) this.timer.disarm()
    else this.timer.arm(at)
  }

  private nextTime(): number {
    const { heads, times } = this
    const slot = this.nextOccupied(0, this.tick & MASK, SLOTS)
    if (slot !== NONE) return this.earliest[slot]
    const near = this.nextOccupied(LEVEL_1, (this.tick >>> SLOT_BITS) & MASK, SLOTS)
    if (near !== NONE) return slotStart(times[heads[LEVEL_1 + near] << 1], MILLISECOND)
    // Level 2 goes round: from here to its end, then from its beginning.
    let far = this.nextOccupied(LEVEL_2, (this.tick >>> (2 * SLOT_BITS)) & (TOP_SLOTS - 1), TOP_SLOTS)
    if (far === NONE) far = this.nextOccupied(LEVEL_2, 0, TOP_SLOTS)
    return slotStart(times[heads[LEVEL_2 + far] << 1], SECOND)
  }

  /** Puts a slot's frames into the order of their times; those of one time stay as they came. */
  private sort(slot: number): void {
    const { times, words } = this
    const first = this.heads[slot]
    const last = this.tails[slot]
    this.isMixed[slot] = 0
    // Mostly a tick's frames lie in one block.
    if (first >> BLOCK_BITS === last >> BLOCK_BITS) return insertionSort(times, words, first, last + 1)
    let count = 0
    for (let at = first; ; at = this.following(at)) {
      if (count === this.scratch.size) this.growScratch()
      this.scratch.times[count << 1] = times[at << 1]
      this.scratch.copyFrame(count++, words, at)
      if (at === last) break
    }
    for (let from = 0; from < count; from += FEW) insertionSort(this.scratch.times, this.scratch.words, from, Math.min(from + FEW, count))
    for (let width = FEW; width < count; width *= 2) this.mergeRuns(count, width)
    const { scratch } = this
    for (let at = first, i = 0; i < count; i++, at = this.following(at)) {
      times[at << 1] = scratch.times[i << 1]
      words[(at << 2) + FRAME] = scratch.words[(i << 2) + FRAME]
      words[(at << 2) + OWNER] = scratch.words[(i << 2) + OWNER]
    }
  }

  private following(at: number): number {
    return (at & BLOCK_MASK) === BLOCK_MASK ? this.nextBlock[at >> BLOCK_BITS] << BLOCK_BITS : (at + 1) | 0
  }

  private mergeRuns(count: number, width: number): void {
    const { scratch, merged } = this
    const { times } = scratch
    for (let from = 0; from < count; from += 2 * width) {
      const middle = Math.min(from + width, count)
      const end = Math.min(from + 2 * width, count)
      let left = from
      let right = middle
      for (let at = from; at < end; at++) {
        const takesLeft = left < middle && (right >= end || times[left << 1] <= times[right << 1])
        const taken = takesLeft ? left++ : right++
        merged.times[at << 1] = times[taken << 1]
        merged.copyFrame(at, scratch.words, taken)
      }
    }
    this.scratch = merged
    this.merged = scratch
  }

  private growScratch(): void {
    const bigger = new Records(this.scratch.size * 2)
    bigger.words.set(this.scratch.words)
    this.scratch = bigger
    this.merged = new Records(bigger.size)
  }

  private prepare(): void {
    // Besides full blocks: a block begun in each slot, and those that are being emptied.
    const blocks = (this.pool.start.length >> BLOCK_BITS) + 2 * SLOTS + TOP_SLOTS + 64
    // Address space only: the kernel gives a page when it is first written.
    const { times, words } = new Records(blocks << BLOCK_BITS)
    this.times = times
    this.words = words
    this.nextBlock = new Int32Array(blocks)
  }
}

/** Records in one place, as doubles and as words. */
class Records {
  readonly size: number
  readonly times: Float64Array<ArrayBuffer>
  readonly words: Int32Array<ArrayBuffer>

  constructor(size: number) {
    const bytes = new ArrayBuffer(size * 16)
    this.size = size
    this.times = new Float64Array(bytes)
    this.words = new Int32Array(bytes)
  }

  /** All but the time. */
  copyFrame(to: number, words: Int32Array, from: number): void {
    this.words[(to << 2) + FRAME] = words[(from << 2) + FRAME]
    this.words[(to << 2) + OWNER] = words[(from << 2) + OWNER]
  }
}

/** Records `from` to `end - 1` by time; those of one time stay as they are. */
function insertionSort(times: Float64Array, words: Int32Array, from: number, end: number): void {
  for (let i = from + 1; i < end; i++) {
    const time = times[i << 1]
    const frame = words[(i << 2) + FRAME]
    const owner = words[(i << 2) + OWNER]
    let j = i - 1
    for (; j >= from && times[j << 1] > time; j--) {
      times[(j + 1) << 1] = times[j << 1]
      words[((j + 1) << 2) + FRAME] = words[(j << 2) + FRAME]
      words[((j + 1) << 2) + OWNER] = words[(j << 2) + OWNER]
    }
    times[(j + 1) << 1] = time
    words[((j + 1) << 2) + FRAME] = frame
    words[((j + 1) << 2) + OWNER] = owner
  }
}

/** When the frames of a slot of a higher level, `unit` nanoseconds long, move down. */
function slotStart(due: number, unit: number): number {
  return Math.floor(due / unit) * unit
}
