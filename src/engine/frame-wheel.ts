/**
 * Frames that wait for their time: a hierarchical timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987).
 *
 *   level 0   1,024 slots of 1 tick   (1.024 us each: this millisecond)
 *   level 1   1,024 slots of 2^10     (this second)
 *   level 2   2,048 slots of 2^20     (36 minutes)
 *
 * A slot's frames stand as they came (see HeldFrames). When its second begins they move down a level; when its millisecond begins, they
 * are put into order where they stand and given out from there: most never see level 0, which has what is held for less than a
 * millisecond. Frames leave by exact time, those of the same time in the order in which they came.
 *
 * The wheel has one timer of the engine for all the frames of all elements.
 */
import type { FrameHandle, FramePool } from './frame-pool.ts'
import { type DueTimes, HeldFrames } from './held-frames.ts'
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
const END = 2 * SLOTS + TOP_SLOTS
/** Ticks of a second, less one. */
const SECOND_MASK = 2 ** (2 * SLOT_BITS) - 1
const NONE = -1

/** Nanoseconds of a slot of level 1, and of level 2. */
const MILLISECOND = 2 ** (SLOT_BITS + TICK_BITS)
const SECOND = 2 ** (2 * SLOT_BITS + TICK_BITS)

/** The longest time that a frame may be held, nanoseconds: half of what the wheel's numbers can tell apart. */
export const HOLD_MAX = 2 ** 30 * 2 ** TICK_BITS

/** Where frames go when their time has come. */
export interface WheelTarget {
  /**
   * Takes `frames[0..count-1]`, in order, as many as there is room for in this turn; returns how many, and the caller keeps the others.
   * `isLast`: takes or drops one at least.
   */
  release(frames: Int32Array, count: number, port: number, isLast: boolean): number
}

/** What goes to one target at once. */
const batch = new Int32Array(256)
/** What is held alone: times stand in arrays, V8 would make an object of a double that is an argument. */
const oneFrame = new Int32Array(1)
const oneDue = new Float64Array(1)

export class FrameWheel {
  private readonly pool: FramePool
  private readonly timer: Timer
  private readonly targets: (WheelTarget | null)[] = []
  private readonly freeTargets: number[] = []
  private readonly held = new HeldFrames(END)
  /** The tick whose slot is the next to be looked at; modulo 2^32. */
  private tick = 0
  private count = 0
  /** When the timer is to fire. */
  private armedFor = Number.POSITIVE_INFINITY
  /** What is given out at the moment. */
  private readonly due: DueTimes = { until: 0, before: 0 }
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
    const { held } = this
    for (let slot = held.nextOccupied(0, END); slot !== NONE; slot = slot + 1 === END ? NONE : held.nextOccupied(slot + 1, END)) {
      const last = held.last(slot)
      for (let at = held.detach(slot); at !== NONE; at = held.pass(at, last)) {
        const frame = held.frameAt(at)
        const owner = held.ownerAt(at)
        if (owner >> 1 !== number) held.copyTo(slot, at)
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
  hold(frame: FrameHandle, due: number, time: { readonly now: number }, target: number, port: number): void {
    oneFrame[0] = frame
    oneDue[0] = due
    this.holdAll(oneFrame, oneDue, 1, time, target, port)
  }

  /** The same for `frames[0..count-1]`, each until the time in its place in `dues`, which may be changed. */
  holdAll(frames: Int32Array, dues: Float64Array, count: number, time: { readonly now: number }, target: number, port: number): void {
    const { now } = time
    this.follow(now)
    // A time further away would look like one that has passed, and would stand in the way of all that is due.
    const longest = now + HOLD_MAX
    const owner = (target << 1) | port
    for (let i = 0; i < count; i++) {
      if (dues[i] > longest) dues[i] = longest
      this.place(dues, i, frames[i], owner)
    }
    this.count += count
  }

  /** Before a frame is placed: the wheel moves when something is due, what comes meanwhile would be put further up than need be. */
  private follow(now: number): void {
    const tick = (now * TICKS_PER_NS) | 0
    if (this.count === 0) {
      this.held.reserve(this.pool.start.length)
      this.tick = tick
    } else if ((this.tick ^ tick) >>> SLOT_BITS !== 0) this.seek(tick)
  }

  /** Puts the frame where its time belongs, and has the timer fire when the slot has to be looked at. */
  private place(dues: Float64Array, index: number, frame: FrameHandle, owner: number): void {
    const due = dues[index]
    let tick = (due * TICKS_PER_NS) | 0
    // What is late goes with what is next.
    if (((tick - this.tick) | 0) < 0) tick = this.tick
    const ahead = tick ^ this.tick
    let slot: number
    if (ahead >>> SLOT_BITS === 0) {
      slot = tick & MASK
      if (due < this.armedFor) this.arm(due)
    } else if (ahead >>> (2 * SLOT_BITS) === 0) {
      slot = LEVEL_1 + ((tick >>> SLOT_BITS) & MASK)
      if (this.held.isEmpty(slot)) this.armForSlot(due, MILLISECOND)
    } else {
      slot = LEVEL_2 + ((tick >>> (2 * SLOT_BITS)) & (TOP_SLOTS - 1))
      if (this.held.isEmpty(slot)) this.armForSlot(due, SECOND)
    }
    this.held.append(slot, dues, index, frame, owner)
  }

  private armForSlot(due: number, unit: number): void {
    const start = slotStart(due, unit)
    if (start < this.armedFor) this.arm(start)
  }

  private arm(time: number): void {
    this.armedFor = time
    this.timer.arm(time)
  }

  /** Gives out what is due at `now`. */
  private advance(now: number): void {
    const last = (now * TICKS_PER_NS) | 0
    while (this.count > 0 && this.seek(last) && this.giveNext(now));
    if (this.count === 0) this.tick = last
    this.rearm()
  }

  /** Moves on to the first millisecond with frames, not after the tick `last`. False: there is none. */
  private seek(last: number): boolean {
    for (;;) {
      if (!this.held.isEmpty(this.thisMillisecond()) || this.nextNear() !== NONE) return true
      const block = ((this.tick | MASK) + 1) | 0
      if (((block - last) | 0) > 0) return false
      this.enter(this.skip(block, last))
    }
  }

  /** The slot of level 1 from which frames are given out. */
  private thisMillisecond(): number {
    return LEVEL_1 + ((this.tick >>> SLOT_BITS) & MASK)
  }

  /** The next slot of level 0 with frames, or NONE. */
  private nextNear(): number {
    return this.held.nextOccupied(this.tick & MASK, SLOTS)
  }

  /** The first block from `block` on that has something to move down, or the one of `last`. */
  private skip(block: number, last: number): number {
    if ((block & SECOND_MASK) === 0) return block
    const found = this.held.nextOccupied(LEVEL_1 + ((block >>> SLOT_BITS) & MASK), LEVEL_2)
    const end = (last & ~MASK) | 0
    // No further than the end of this second, where level 2 comes down.
    const border = ((block | SECOND_MASK) + 1) | 0
    const wanted = found === NONE ? border : (block & ~(MASK << SLOT_BITS)) | ((found - LEVEL_1) << SLOT_BITS)
    return ((wanted - end) | 0) < 0 ? wanted : end
  }

  /** The wheel stands at the first tick of a block of them: a millisecond begins, and perhaps a second. */
  private enter(block: number): void {
    this.tick = block
    if ((block & SECOND_MASK) === 0) this.moveDown(LEVEL_2 + ((block >>> (2 * SLOT_BITS)) & (TOP_SLOTS - 1)))
    const slot = this.thisMillisecond()
    if (!this.held.isEmpty(slot)) this.held.sort(slot)
  }

  /** Spreads the frames of a second over its milliseconds. */
  private moveDown(slot: number): void {
    const { held } = this
    if (held.isEmpty(slot)) return
    const last = held.last(slot)
    for (let at = held.detach(slot); at !== NONE; at = held.pass(at, last)) {
      held.copyTo(LEVEL_1 + (((held.timeAt(at) * TICKS_PER_NS) >>> SLOT_BITS) & MASK), at)
    }
  }

  /** Gives out the frames that are the next to be due; false where none is at `now`, or they found no room. */
  private giveNext(now: number): boolean {
    const { held, due } = this
    const slot = this.thisMillisecond()
    const near = this.nextNear()
    const time = held.firstTime(slot)
    const nearTime = near === NONE ? Number.POSITIVE_INFINITY : held.firstTime(near)
    // Of those of the same time the ones that were held before this millisecond began are older.
    if (time <= nearTime) {
      if (time > now) return false
      due.until = Math.min(now, nearTime)
      due.before = Number.POSITIVE_INFINITY
      return this.give(slot)
    }
    if (nearTime > now) return false
    this.tick = (this.tick & ~MASK) | near
    held.sort(near)
    due.until = now
    due.before = time
    return this.give(near)
  }

  /** Gives out frames of a slot to one target; false where not all of them found room. */
  private give(slot: number): boolean {
    const { held } = this
    const owner = held.firstOwner(slot)
    const count = held.firstDue(slot, this.due, batch)
    const taken = this.targets[owner >> 1]!.release(batch, count, owner & 1, batch[0] === this.blocked)
    held.removeFirst(slot, taken)
    this.count -= taken
    if (taken === count) return true
    // Once more in the next turn, when the consumer had its push.
    this.blocked = batch[taken]
    return false
  }

  /** The timer fires when the next slot has something to do. */
  private rearm(): void {
    const at = this.count === 0 ? Number.POSITIVE_INFINITY : this.nextTime()
    this.armedFor = at
    if (at === Number.POSITIVE_INFINITY) this.timer.disarm()
    else this.timer.arm(at)
  }

  private nextTime(): number {
    const { held } = this
    const slot = this.nextNear()
    const time = held.firstTime(this.thisMillisecond())
    if (slot !== NONE) return Math.min(held.firstTime(slot), time)
    if (time !== Number.POSITIVE_INFINITY) return time
    const near = held.nextOccupied(this.thisMillisecond(), LEVEL_2)
    if (near !== NONE) return slotStart(held.firstTime(near), MILLISECOND)
    // Level 2 goes round: from here to its end, then from its beginning.
    let far = held.nextOccupied(LEVEL_2 + ((this.tick >>> (2 * SLOT_BITS)) & (TOP_SLOTS - 1)), END)
    if (far === NONE) far = held.nextOccupied(LEVEL_2, END)
    return slotStart(held.firstTime(far), SECOND)
  }
}

/** When the frames of a slot of a higher level, `unit` nanoseconds long, move down. */
function slotStart(due: number, unit: number): number {
  return Math.floor(due / unit) * unit
}
