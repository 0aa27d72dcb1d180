/**
 * Frames that wait for their time: a hierarchical timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987).
 *
 *   level 0   1,024 slots of 1 tick   (1.024 us each: the next millisecond)
 *   level 1   1,024 slots of 2^10     (the next second)
 *   level 2   2,048 slots of 2^20     (36 minutes)
 *
 * A slot is a list of frames, linked by an array that the handle indexes: holding one costs a few writes however many wait, and
 * nothing is allocated per frame. A slot's frames move down a level when its time comes. Within a tick they leave by exact time, those
 * of the same time in the order in which they came.
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
/** Words of a frame's notes; the first two are its time. */
const NEXT = 2
const OWNER = 3
/** Frames of one tick that are put into order by moving; more are sorted by merging. */
const FEW = 32

/** Nanoseconds of a slot of level 1, and of level 2. */
const BLOCK = 2 ** (SLOT_BITS + TICK_BITS)
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
  /** First and last frame of each slot of all levels. */
  private readonly heads = new Int32Array(2 * SLOTS + TOP_SLOTS).fill(NONE)
  private readonly tails = new Int32Array(2 * SLOTS + TOP_SLOTS)
  /** A bit for each slot that has frames. */
  private readonly occupied = new Int32Array((2 * SLOTS + TOP_SLOTS) / 32)
  /** Level 0: the earliest time in the slot, and whether its frames stand in another order. */
  private readonly earliest = new Float64Array(SLOTS)
  private readonly isMixed = new Uint8Array(SLOTS)
  /**
   * Sixteen bytes by handle, made when the first frame is held: the time as a double, the next frame of the slot, target and port. In one
   * place, because with a million frames every look at one is a miss of the cache.
   */
  private times = new Float64Array(0)
  private words = new Int32Array(0)
  private scratch = new Int32Array(64)
  private merged = new Int32Array(64)
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
    for (let slot = 0; slot < this.heads.length; slot++) {
      let frame = this.heads[slot]
      if (frame === NONE) continue
      this.clear(slot)
      while (frame !== NONE) {
        const following = this.words[(frame << 2) + NEXT]
        if (this.words[(frame << 2) + OWNER] >> 1 === number) {
          this.count--
          each(frame)
        } else {
          this.append(slot, frame)
        }
        frame = following
      }
    }
    this.blocked = NONE
    this.rearm()
  }

  /** Keeps the frame until `due` (nanoseconds, at most HOLD_MAX from `now`) and then gives it to the target for its port 0 or 1. */
  hold(frame: FrameHandle, due: number, now: number, target: number, port: number): void {
    if (this.words.length === 0) this.prepare()
    const tick = (now * TICKS_PER_NS) | 0
    if (this.count === 0) this.tick = tick
    // The wheel moves when something is due: what comes meanwhile would be put further up than need be.
    else if ((this.tick ^ tick) >>> SLOT_BITS !== 0) this.seek(tick)
    this.count++
    this.times[frame << 1] = due
    this.words[(frame << 2) + OWNER] = (target << 1) | port
    const at = this.place(frame)
    if (at < this.armedFor) {
      this.armedFor = at
      this.timer.arm(at)
    }
  }

  /** Puts the frame where its time belongs; returns when the slot has to be looked at. */
  private place(frame: FrameHandle): number {
    const due = this.times[frame << 1]
    let tick = (due * TICKS_PER_NS) | 0
    // What is late goes with what is next.
    if (((tick - this.tick) | 0) < 0) tick = this.tick
    if ((tick ^ this.tick) >>> SLOT_BITS === 0) {
      const slot = tick & MASK
      this.append(slot, frame)
      return this.earliest[slot]
    }
    const isFar = (tick ^ this.tick) >>> (2 * SLOT_BITS) !== 0
    this.append(isFar ? LEVEL_2 + ((tick >>> (2 * SLOT_BITS)) & (TOP_SLOTS - 1)) : LEVEL_1 + ((tick >>> SLOT_BITS) & MASK), frame)
    return slotStart(due, isFar ? SECOND : BLOCK)
  }

  private append(slot: number, frame: FrameHandle): void {
    const { heads, tails, words, times } = this
    words[(frame << 2) + NEXT] = NONE
    if (heads[slot] === NONE) {
      heads[slot] = frame
      this.occupied[slot >> 5] |= 1 << (slot & 31)
      if (slot < SLOTS) {
        this.earliest[slot] = times[frame << 1]
        this.isMixed[slot] = 0
      }
    } else {
      const last = tails[slot]
      words[(last << 2) + NEXT] = frame
      if (slot < SLOTS && times[frame << 1] < times[last << 1]) {
        this.isMixed[slot] = 1
        if (times[frame << 1] < this.earliest[slot]) this.earliest[slot] = times[frame << 1]
      }
    }
    tails[slot] = frame
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
    let frame = this.heads[slot]
    if (frame === NONE) return
    this.clear(slot)
    while (frame !== NONE) {
      const following = this.words[(frame << 2) + NEXT]
      this.place(frame)
      frame = following
    }
  }

  /** Gives out the frames of a slot of level 0 that are due; false where some stay. */
  private give(slot: number, now: number): boolean {
    if (this.isMixed[slot] === 1) this.sort(slot)
    const { words, times, targets } = this
    let frame = this.heads[slot]
    while (frame !== NONE && times[frame << 1] <= now) {
      const following = words[(frame << 2) + NEXT]
      const isOldest = frame === this.blocked
      if (!targets[words[(frame << 2) + OWNER] >> 1]!.release(frame, words[(frame << 2) + OWNER] & 1, isOldest)) {
        // Once more in the next turn, when the consumer had its push.
        this.blocked = frame
        break
      }
      this.count--
      frame = following
    }
    if (frame === NONE) {
      this.clear(slot)
      return true
    }
    this.heads[slot] = frame
    this.earliest[slot] = times[frame << 1]
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
    if (near !== NONE) return slotStart(times[heads[LEVEL_1 + near] << 1], BLOCK)
    // Level 2 goes round: from here to its end, then from its beginning.
    let far = this.nextOccupied(LEVEL_2, (this.tick >>> (2 * SLOT_BITS)) & (TOP_SLOTS - 1), TOP_SLOTS)
    if (far === NONE) far = this.nextOccupied(LEVEL_2, 0, TOP_SLOTS)
    return slotStart(times[heads[LEVEL_2 + far] << 1], SECOND)
  }

  /** Puts a slot's frames into the order of their times; those of one time stay as they came. */
  private sort(slot: number): void {
    let count = 0
    for (let frame = this.heads[slot]; frame !== NONE; frame = this.words[(frame << 2) + NEXT]) {
      if (count === this.scratch.length) this.growScratch()
      this.scratch[count++] = frame
    }
    for (let from = 0; from < count; from += FEW) this.insertionSort(from, Math.min(from + FEW, count))
    for (let width = FEW; width < count; width *= 2) this.mergeRuns(count, width)
    this.clear(slot)
    for (let i = 0; i < count; i++) this.append(slot, this.scratch[i])
  }

  private insertionSort(from: number, end: number): void {
    const { scratch, times } = this
    for (let i = from + 1; i < end; i++) {
      const frame = scratch[i]
      const time = times[frame << 1]
      let j = i - 1
      for (; j >= from && times[scratch[j] << 1] > time; j--) scratch[j + 1] = scratch[j]
      scratch[j + 1] = frame
    }
  }

  private mergeRuns(count: number, width: number): void {
    const { scratch, merged, times } = this
    for (let from = 0; from < count; from += 2 * width) {
      const middle = Math.min(from + width, count)
      const end = Math.min(from + 2 * width, count)
      let left = from
      let right = middle
      for (let at = from; at < end; at++) {
        const takesLeft = left < middle && (right >= end || times[scratch[left] << 1] <= times[scratch[right] << 1])
        merged[at] = takesLeft ? scratch[left++] : scratch[right++]
      }
    }
    this.scratch = merged
    this.merged = scratch
  }

  private growScratch(): void {
    const bigger = new Int32Array(this.scratch.length * 2)
    bigger.set(this.scratch)
    this.scratch = bigger
    this.merged = new Int32Array(bigger.length)
  }

  private prepare(): void {
    const notes = new ArrayBuffer(this.pool.start.length * 16)
    this.times = new Float64Array(notes)
    this.words = new Int32Array(notes)
  }
}

/** When the frames of a slot of a higher level, `unit` nanoseconds long, move down. */
function slotStart(due: number, unit: number): number {
  return Math.floor(due / unit) * unit
}
