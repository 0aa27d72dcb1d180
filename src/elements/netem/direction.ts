/**
 * The way of frames in one direction of an emulated link.
 *
 *   in --> | down, mtu | loss, duplicate, corrupt | --> queue --> wire (rate) --> | delay, reorder | --> out
 */
import { EngineDrop } from '../../engine/drop-reason.ts'
import type { ElementContext } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import { HOLD_MAX } from '../../engine/frame-wheel.ts'
import type { Link } from '../../engine/link.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { completeChecksum } from '../../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import { Chance } from './chance.ts'
import { CODEL_INTERVAL, CODEL_TARGET, CodelQueue } from './codel.ts'
import { cutSuperFrame, headersOf, segmentsOf } from './cut-super-frame.ts'
import { DelayModel } from './delay-model.ts'
import { markCongestion } from './ecn-mark.ts'
import { FlowQueue, FQ_FLOWS, FQ_QUANTUM } from './flow-queue.ts'
import { type FilterCompiler, FrameMatcher } from './frame-match.ts'
import { DropTail, type LinkQueue } from './link-queue.ts'
import { LinkRate } from './link-rate.ts'
import { DEFAULT_QUEUE_PACKETS, type LinkSettings, type SchedulePoint } from './link-settings.ts'
import { type LossModel, lossModel } from './loss-model.ts'
import { NetemDrop } from './netem-drop.ts'

/** Offsets of a direction's counters in its block. */
export const DirectionCounter = { lost: 0, duplicated: 1, corrupted: 2, reordered: 3, queueDrops: 4, delayed: 5 } as const
export const DIRECTION_COUNTERS = Object.keys(DirectionCounter)

/** What becomes of a segment. */
const Fate = { passes: 0, lost: 1, doubled: 2, corrupted: 4 } as const
const TAG_LENGTH = 4

/** Fates of the segments of the frame at hand: 65,536 bytes hold no more. */
const fates = new Uint8Array(65_536)
const batch = new Int32Array(256)

/** They belong to the element: a direction comes and goes with its settings. */
export interface DirectionTimers {
  /** Calls `drain`. */
  readonly free: Timer
  /** Calls `followSchedule`. */
  readonly schedule: Timer
}

export class Direction {
  private readonly context: ElementContext
  /** The port by which frames leave. */
  private readonly out: number
  private readonly firstCounter: number
  private readonly settings: LinkSettings
  private readonly since: number
  private readonly loss: LossModel | null
  private readonly lossMatch: FrameMatcher | null
  private readonly duplicate: Chance | null
  private readonly corrupt: Chance | null
  private readonly reorder: Chance | null
  private readonly delay: DelayModel | null
  private readonly rate: LinkRate | null
  private readonly queue: LinkQueue
  private readonly timers: DirectionTimers
  private readonly isUnshaped: boolean
  private readonly longest: number
  private isDown: boolean
  /** The frame that is being sent: its last byte leaves when the rate is free. */
  private onWire: FrameHandle = NO_FRAME
  /** Frames since one overtook. */
  private sinceReorder = 0
  /** When the queue got its first frame. */
  private backlogSince = 0
  private schedulePoint = 0
  private scheduleRound = 0

  /** `settings` are checked, those with a filter only where there is something to compile it. */
  constructor(context: ElementContext, out: number, settings: LinkSettings, timers: DirectionTimers, compile?: FilterCompiler) {
    const { random, frames } = context
    const { loss, duplicate, corrupt, reorder, delay, rate, schedule, mtu } = settings
    this.context = context
    this.out = out
    this.firstCounter = (1 - out) * DIRECTION_COUNTERS.length
    this.settings = settings
    this.since = context.now
    const has = (key: keyof SchedulePoint): boolean => schedule?.points.some((point) => point[key] !== undefined) === true
    const chance = <T>(value: T | undefined, make: (value: T) => Chance): Chance | null => (value === undefined ? null : make(value))
    this.loss = loss !== undefined ? lossModel(random, loss) : has('lossProbability') ? new Chance(random, { probability: 0 }) : null
    this.lossMatch = loss?.match === undefined ? null : new FrameMatcher(loss.match, compile)
    this.duplicate = chance(duplicate, (value) => new Chance(random, value))
    this.corrupt = chance(corrupt, (value) => new Chance(random, value))
    this.reorder = chance(reorder, (value) => new Chance(random, value))
    this.delay = delay !== undefined || has('delayNs') ? new DelayModel(random, delay ?? { meanNs: 0 }) : null
    this.rate =
      rate !== undefined || has('bitsPerSecond') ? new LinkRate(frames, rate ?? { bitsPerSecond: Number.POSITIVE_INFINITY }) : null
    this.queue = this.makeQueue()
    this.isDown = settings.down === true
    this.longest = mtu === undefined ? Number.POSITIVE_INFINITY : mtu + ETHERNET_HEADER_LENGTH
    this.timers = timers
    if (schedule !== undefined) timers.schedule.arm(this.since + schedule.points[0].atNs)
    this.isUnshaped = Object.keys(settings).every((key) => key === 'queue')
  }

  /** Frames and bytes that wait for the rate. */
  get backlog(): { packets: number; bytes: number } {
    return { packets: this.queue.packets, bytes: this.queue.bytes }
  }

  /** Handles what waits in `rx`. */
  push(rx: Link): void {
    if (this.isUnshaped) return this.pass(rx)
    const { context } = this
    if (this.isDown || this.isFlapped(context.now)) {
      while (!rx.empty) context.drop(rx.receive(), NetemDrop.down)
      return
    }
    const isPlain = this.loss === null && this.duplicate === null && this.corrupt === null && this.longest === Number.POSITIVE_INFINITY
    while (!rx.empty) {
      const frame = rx.receive()
      if (isPlain) this.admit(frame)
      else this.impair(frame)
    }
  }

  /** Takes over what is on the wire and in the queue of the direction that this one replaces. */
  inherit(before: Direction): void {
    const { now } = this.context
    if (this.rate !== null && before.rate !== null) this.rate.inherit(before.rate, now)
    const sending = before.onWire
    before.onWire = NO_FRAME
    if (sending !== NO_FRAME) {
      if (this.rate === null) this.travel(sending, now)
      else {
        this.onWire = sending
        this.awaitWire()
      }
    }
    for (let frame = before.queue.dequeue(this.context.now); frame !== NO_FRAME; frame = before.queue.dequeue(this.context.now))
      this.admit(frame)
  }

  /** The end: what waits is dropped. */
  close(): void {
    this.stop()
    if (this.onWire !== NO_FRAME) this.context.drop(this.onWire, EngineDrop.reconfigured)
    this.onWire = NO_FRAME
    for (let frame = this.queue.dequeue(this.context.now); frame !== NO_FRAME; frame = this.queue.dequeue(this.context.now)) {
      this.context.drop(frame, EngineDrop.reconfigured)
    }
  }

  /** No timer of this direction fires any more. */
  stop(): void {
    this.timers.free.disarm()
    this.timers.schedule.disarm()
  }

  private pass(rx: Link): void {
    const port = this.context.ports[this.out]
    while (!rx.empty) {
      if (port === null || port === undefined) this.context.transmit(this.out, rx.receive())
      else port.tx.transmitAll(batch, rx.receiveAll(batch))
    }
  }

  private isFlapped(now: number): boolean {
    const { flap } = this.settings
    return flap !== undefined && (now - this.since) % (flap.upNs + flap.downNs) >= flap.upNs
  }

  /** MTU, loss, duplication, corruption. */
  private impair(frame: FrameHandle): void {
    const { context } = this
    const { frames } = context
    const segments = segmentsOf(frames, frame)
    if (this.isTooLong(frame, segments)) return context.drop(frame, NetemDrop.mtu)
    const at = frames.start[frame]
    const canBeLost = this.lossMatch === null || this.lossMatch.matches(frames.bytes(frame), at, at + frames.length[frame])
    let all = -1
    for (let i = 0; i < segments; i++) {
      const fate = this.drawFate(canBeLost)
      fates[i] = fate
      all = i === 0 || fate === all ? fate : -1
    }
    if (all === Fate.passes) this.admit(frame)
    else if (all === Fate.lost) this.lose(frame, segments)
    else this.divide(frame, segments)
  }

  private isTooLong(frame: FrameHandle, segments: number): boolean {
    const { frames } = this.context
    const length = segments === 1 ? frames.length[frame] : headersOf(frames, frame) + frames.gsoSize[frame]
    if (length <= this.longest) return false
    // A tag is no part of the packet.
    const at = frames.start[frame] + ETHERNET_HEADER_LENGTH - 2
    const bytes = frames.bytes(frame)
    const isTagged = bytes[at] === 0x81 && bytes[at + 1] === 0
    return length - (isTagged ? TAG_LENGTH : 0) > this.longest
  }

  private drawFate(canBeLost: boolean): number {
    if (canBeLost && this.loss?.next()) return Fate.lost
    let fate: number = Fate.passes
    if (this.duplicate?.next()) fate |= Fate.doubled
    if (this.corrupt?.next()) fate |= Fate.corrupted
    return fate
  }

  private lose(frame: FrameHandle, segments: number): void {
    this.count(DirectionCounter.lost, segments)
    this.context.drop(frame, NetemDrop.loss)
  }

  /** Each run of segments with one fate goes its own way; a corrupted segment goes alone. */
  private divide(frame: FrameHandle, segments: number): void {
    const { context } = this
    const { frames } = context
    if (segments === 1) return this.meet(frame, fates[0], 1)
    let lost = 0
    for (let first = 0; first < segments; ) {
      const fate = fates[first]
      let end = first + 1
      if ((fate & Fate.corrupted) === 0) while (end < segments && fates[end] === fate) end++
      if (fate === Fate.lost) lost += end - first
      else {
        const part = cutSuperFrame(frames, frame, first, end - first)
        if (part === NO_FRAME) return context.drop(frame, EngineDrop.poolExhausted)
        this.meet(part, fate, end - first)
      }
      first = end
    }
    if (lost > 0) this.lose(frame, lost)
    else frames.free(frame)
  }

  /** A frame whose segments have one fate, and are not lost. */
  private meet(frame: FrameHandle, fate: number, segments: number): void {
    const { frames } = this.context
    let copy: FrameHandle = NO_FRAME
    if ((fate & Fate.doubled) !== 0) {
      copy = frames.copy(frame)
      if (copy !== NO_FRAME) this.count(DirectionCounter.duplicated, segments)
    }
    if ((fate & Fate.corrupted) !== 0) this.flipBit(frame)
    if (fate !== Fate.passes && (frames.flags[frame] & FrameFlag.traced) !== 0) this.context.trace(frame, fateText(fate))
    this.admit(frame)
    if (copy !== NO_FRAME) this.admit(copy)
  }

  /** One bit of the frame behind its Ethernet header. */
  private flipBit(frame: FrameHandle): void {
    const { frames, random } = this.context
    const bytes = frames.bytes(frame)
    const start = frames.start[frame]
    const length = frames.length[frame]
    if (length <= ETHERNET_HEADER_LENGTH) return
    if ((frames.flags[frame] & FrameFlag.csum) !== 0) {
      // Whoever finished it later would make the mistake right.
      completeChecksum(bytes, start, frames.csumStart[frame], frames.csumOffset[frame], start + length)
    }
    frames.flags[frame] &= ~(FrameFlag.csum | FrameFlag.csumValid | FrameFlag.captured)
    const bit = random.below((length - ETHERNET_HEADER_LENGTH) * 8)
    bytes[start + ETHERNET_HEADER_LENGTH + (bit >>> 3)] ^= 1 << (bit & 7)
    this.count(DirectionCounter.corrupted, 1)
  }

  /** To the queue, or on its way where there is no rate. */
  private admit(frame: FrameHandle): void {
    const { rate, context } = this
    const { now } = context
    if (rate === null) return this.travel(frame, now)
    const length = rate.lengthOf(frame)
    const { queue } = this
    if (queue.packets === 0) {
      if (Math.round(rate.free) <= now) {
        this.finish()
        return this.begin(frame, length, now)
      }
      this.backlogSince = now
    }
    const segments = segmentsOf(context.frames, frame)
    const room = segments === 1 || queue.fits(segments, length) ? segments : queue.room(rate.segmentLength(frame))
    if (room > 0 && (context.frames.flags[frame] & FrameFlag.traced) !== 0) this.traceWait(frame, length)
    if (room >= segments || room <= 0) queue.enqueue(frame, segments, length, now)
    else this.enqueuePart(frame, segments, room, rate)
  }

  private traceWait(frame: FrameHandle, length: number): void {
    const { packets, bytes } = this.queue
    const rate = this.rate!
    this.context.trace(frame, `waits for the rate, ${packets} before it`, rate.free + rate.timeOf(bytes + length))
  }

  /** There is room for the first segments of a super-frame: the others find the queue full. */
  private enqueuePart(frame: FrameHandle, segments: number, room: number, rate: LinkRate): void {
    const { context } = this
    const part = cutSuperFrame(context.frames, frame, 0, room)
    if (part === NO_FRAME) return context.drop(frame, EngineDrop.poolExhausted)
    this.queue.enqueue(part, room, rate.lengthOf(part), context.now)
    this.count(DirectionCounter.queueDrops, segments - room)
    context.drop(frame, NetemDrop.queueFull)
  }

  /** The link is free: the next frames are sent, those for which it was free earlier at their own times. */
  drain(now: number): void {
    const { queue } = this
    const rate = this.rate!
    while (Math.round(rate.free) <= now) {
      this.finish()
      if (queue.packets === 0) return
      const at = Math.max(rate.free, this.backlogSince)
      const frame = queue.dequeue(at)
      if (frame === NO_FRAME) return // the rest waited too long
      this.begin(frame, queue.length, at)
    }
    // The rate has changed since the timer was set.
    if (this.onWire !== NO_FRAME) this.awaitWire()
  }

  /** The link begins with the frame at `at`, not later than now. */
  private begin(frame: FrameHandle, length: number, at: number): void {
    const { context } = this
    const end = this.rate!.send(length, at)
    if (Math.round(end) <= context.now) return this.travel(frame, end)
    if ((context.frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, `takes ${(end - at) / 1e6} ms to be sent`, end)
    if (this.delay === null) context.counters[this.firstCounter + DirectionCounter.delayed]++
    this.onWire = frame
    this.awaitWire()
  }

  /** The frame on the wire has left, when the link became free. */
  private finish(): void {
    const frame = this.onWire
    if (frame === NO_FRAME) return
    this.onWire = NO_FRAME
    this.travel(frame, this.rate!.free)
  }

  /** Whole nanoseconds: what leaves the link has a time stamp. */
  private awaitWire(): void {
    this.timers.free.arm(Math.round(this.rate!.free))
  }

  /** The frame has left the sender at `departure`: its time on the way. */
  private travel(frame: FrameHandle, departure: number): void {
    const { context, delay } = this
    let due = departure
    if (delay !== null) {
      if (this.reorder !== null && this.sinceReorder >= (this.settings.reorder!.gap ?? 1) - 1 && this.reorder.next()) {
        this.sinceReorder = 0
        this.count(DirectionCounter.reordered, 1)
      } else {
        this.sinceReorder++
        due += delay.next()
      }
    }
    // Beyond it the engine keeps no frame; a jitter's tail may lead there.
    due = Math.min(Math.round(due), context.now + HOLD_MAX)
    if (due <= context.now) return context.transmit(this.out, frame)
    if ((context.frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, `delayed by ${(due - context.now) / 1e6} ms`, due)
    context.counters[this.firstCounter + DirectionCounter.delayed]++
    context.hold(this.out, frame, due)
  }

  private makeQueue(): LinkQueue {
    const { packets = DEFAULT_QUEUE_PACKETS, bytes = Number.POSITIVE_INFINITY, discipline, ecn, ...queue } = this.settings.queue ?? {}
    const { context } = this
    const refused = (frame: FrameHandle, isDelay: boolean): void => {
      this.count(DirectionCounter.queueDrops, segmentsOf(context.frames, frame))
      context.drop(frame, isDelay ? NetemDrop.queueDelay : NetemDrop.queueFull)
    }
    const limits = { packets, bytes, refused }
    if (discipline === undefined || discipline === 'drop-tail') return new DropTail(limits)
    const { targetNs = CODEL_TARGET, intervalNs = CODEL_INTERVAL, flows = FQ_FLOWS, quantumBytes = FQ_QUANTUM } = queue
    const tooLong = (frame: FrameHandle): boolean => {
      if (ecn === true && markCongestion(context.frames, frame)) return true
      refused(frame, true)
      return false
    }
    const settings = { targetNs, intervalNs, tooLong }
    if (discipline === 'codel') return new CodelQueue(limits, settings)
    return new FlowQueue(context.frames, limits, settings, flows, quantumBytes, context.random.int32())
  }

  /** The next point of the schedule has come. */
  followSchedule(): void {
    const { points, repeatNs } = this.settings.schedule!
    const { bitsPerSecond, delayNs, lossProbability, down } = points[this.schedulePoint]
    if (down !== undefined) this.isDown = down
    if (bitsPerSecond !== undefined) {
      this.rate!.setRate(bitsPerSecond, this.context.now)
      if (this.onWire !== NO_FRAME) this.awaitWire()
    }
    if (delayNs !== undefined) this.delay!.setMean(delayNs)
    if (lossProbability !== undefined && this.loss instanceof Chance) this.loss.setProbability(lossProbability)
    this.schedulePoint++
    if (this.schedulePoint === points.length) {
      if (repeatNs === undefined) return
      this.schedulePoint = 0
      this.scheduleRound++
    }
    this.timers.schedule.arm(this.since + this.scheduleRound * (repeatNs ?? 0) + points[this.schedulePoint].atNs)
  }

  private count(counter: number, by: number): void {
    this.context.counters[this.firstCounter + counter] += by
  }
}

/** Of a packet that is damaged, or goes twice. */
function fateText(fate: number): string {
  const texts = []
  if ((fate & Fate.doubled) !== 0) texts.push('duplicated')
  if ((fate & Fate.corrupted) !== 0) texts.push('one bit flipped')
  return texts.join(', ')
}
