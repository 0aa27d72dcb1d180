/**
 * A wire with a rate, and the queue before it: one frame is on the wire at a time.
 *
 *   --> | queue | --> | wire: until the rate is free | -->
 */
import { EngineDrop } from '../../engine/drop-reason.ts'
import type { ElementContext } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { CODEL_INTERVAL, CODEL_TARGET, CodelQueue } from './codel.ts'
import { cutSuperFrame, segmentsOf } from './cut-super-frame.ts'
import { DirectionCounter, type DirectionCounters } from './direction-counters.ts'
import { markCongestion } from './ecn-mark.ts'
import type { Flight } from './flight.ts'
import { FlowQueue, FQ_FLOWS, FQ_QUANTUM } from './flow-queue.ts'
import { DropTail, type LinkQueue } from './link-queue.ts'
import { LinkRate } from './link-rate.ts'
import { DEFAULT_QUEUE_PACKETS, type QueueSettings, type RateSettings } from './link-settings.ts'
import type { LinkStage } from './link-stage.ts'
import { NetemDrop } from './netem-drop.ts'

export class RatedWire implements LinkStage {
  private readonly context: ElementContext
  private readonly counters: DirectionCounters
  private readonly rate: LinkRate
  private readonly queue: LinkQueue
  /** Calls `drain`. */
  private readonly timer: Timer
  private readonly next: Flight
  /** What is on the wire is nowhere else: it is counted as delayed here, where no delay counts it. */
  private readonly countsDelayed: boolean
  /** The frame that is being sent: its last byte leaves when the rate is free. */
  private onWire: FrameHandle = NO_FRAME
  /** When the queue got its first frame. */
  private backlogSince = 0

  constructor(
    context: ElementContext,
    counters: DirectionCounters,
    { rate, queue = {} }: { readonly rate: RateSettings; readonly queue: QueueSettings | undefined },
    { timer, next, countsDelayed }: { readonly timer: Timer; readonly next: Flight; readonly countsDelayed: boolean }
  ) {
    this.context = context
    this.counters = counters
    this.rate = new LinkRate(context.frames, rate)
    this.queue = this.makeQueue(queue)
    this.timer = timer
    this.next = next
    this.countsDelayed = countsDelayed
  }

  /** Segments and bytes that wait. */
  get backlog(): { packets: number; bytes: number } {
    return { packets: this.queue.packets, bytes: this.queue.bytes }
  }

  admit(frame: FrameHandle): void {
    const { rate, context, queue } = this
    const { now } = context
    const length = rate.lengthOf(frame)
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
    else this.enqueuePart(frame, segments, room)
  }

  /** The link is free: the next frames are sent, those for which it was free earlier at their own times. */
  drain(now: number): void {
    const { queue, rate } = this
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

  setRate(bitsPerSecond: number): void {
    this.rate.setRate(bitsPerSecond, this.context.now)
    if (this.onWire !== NO_FRAME) this.awaitWire()
  }

  /** Takes over the frame on another wire, and what is left to be sent of it. What waited there is the caller's to admit. */
  inherit(before: RatedWire): void {
    this.rate.inherit(before.rate, this.context.now)
    this.onWire = before.takeOnWire()
    if (this.onWire !== NO_FRAME) this.awaitWire()
  }

  /** The frame on the wire, or NO_FRAME; the caller owns it. */
  takeOnWire(): FrameHandle {
    const frame = this.onWire
    this.onWire = NO_FRAME
    return frame
  }

  /** The next frame that waits, or NO_FRAME; the caller owns it. */
  takeWaiting(): FrameHandle {
    return this.queue.dequeue(this.context.now)
  }

  private traceWait(frame: FrameHandle, length: number): void {
    const { packets, bytes } = this.queue
    this.context.trace(frame, `waits for the rate, ${packets} before it`, this.rate.free + this.rate.timeOf(bytes + length))
  }

  /** There is room for the first segments of a super-frame: the others find the queue full. */
  private enqueuePart(frame: FrameHandle, segments: number, room: number): void {
    const { context } = this
    const part = cutSuperFrame(context.frames, frame, 0, room)
    if (part === NO_FRAME) return context.drop(frame, EngineDrop.poolExhausted)
    this.queue.enqueue(part, room, this.rate.lengthOf(part), context.now)
    this.counters.add(DirectionCounter.queueDrops, segments - room)
    context.drop(frame, NetemDrop.queueFull)
  }

  /** The wire begins with the frame at `at`, not later than now. */
  private begin(frame: FrameHandle, length: number, at: number): void {
    const { context } = this
    const end = this.rate.send(length, at)
    if (Math.round(end) <= context.now) return this.next.depart(frame, end)
    if ((context.frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, `takes ${(end - at) / 1e6} ms to be sent`, end)
    if (this.countsDelayed) this.counters.add(DirectionCounter.delayed, 1)
    this.onWire = frame
    this.awaitWire()
  }

  /** The frame on the wire has left, when the rate became free. */
  private finish(): void {
    const frame = this.takeOnWire()
    if (frame !== NO_FRAME) this.next.depart(frame, this.rate.free)
  }

  /** Whole nanoseconds: what leaves the link has a time stamp. */
  private awaitWire(): void {
    this.timer.arm(Math.round(this.rate.free))
  }

  private makeQueue(settings: QueueSettings): LinkQueue {
    const { packets = DEFAULT_QUEUE_PACKETS, bytes = Number.POSITIVE_INFINITY, discipline, ecn } = settings
    const { context } = this
    const refused = (frame: FrameHandle, isDelay: boolean): void => {
      this.counters.add(DirectionCounter.queueDrops, segmentsOf(context.frames, frame))
      context.drop(frame, isDelay ? NetemDrop.queueDelay : NetemDrop.queueFull)
    }
    const limits = { packets, bytes, refused }
    if (discipline === undefined || discipline === 'drop-tail') return new DropTail(limits)
    const { targetNs = CODEL_TARGET, intervalNs = CODEL_INTERVAL, flows = FQ_FLOWS, quantumBytes = FQ_QUANTUM } = settings
    const tooLong = (frame: FrameHandle): boolean => {
      if (ecn === true && markCongestion(context.frames, frame)) return true
      refused(frame, true)
      return false
    }
    const codel = { targetNs, intervalNs, tooLong }
    if (discipline === 'codel') return new CodelQueue(limits, codel)
    return new FlowQueue(context.frames, limits, codel, flows, quantumBytes, context.random.int32())
  }
}
