/**
 * CoDel, RFC 8289: a queue is bad when its packets wait longer than the target for a whole interval; then packets are dropped (or
 * marked) at the head, ever more often, until the wait is short again.
 */
import { type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import { type FrameFifo, type QueueLimits, TailQueue } from './link-queue.ts'

/** RFC 8289 section 4.4. */
export const CODEL_TARGET = 5e6
export const CODEL_INTERVAL = 100e6
/** A queue of less than a packet is none (MAXPACKET of the RFC's pseudocode). */
const MAX_PACKET = 1514

export interface CodelSettings {
  readonly targetNs: number
  readonly intervalNs: number
  /** Ends a frame that waited too long; true when it was marked instead and goes on. */
  readonly tooLong: (frame: FrameHandle) => boolean
}

/** The state of one queue. The names are those of the RFC's pseudocode, section 5. */
export class Codel {
  private readonly settings: CodelSettings
  private firstAboveTime = 0
  private dropNext = 0
  private count = 0
  private lastCount = 0
  private isDropping = false
  /** Length of the frame that `dequeue` gave last. */
  length = 0
  private okToDrop = false

  constructor(settings: CodelSettings) {
    this.settings = settings
  }

  /** The next frame of `fifo` at `now`; NO_FRAME when there is none left. */
  dequeue(fifo: FrameFifo, now: number): FrameHandle {
    let frame = this.take(fifo, now)
    if (this.isDropping) {
      if (!this.okToDrop) this.isDropping = false
      while (this.isDropping && frame !== NO_FRAME && now >= this.dropNext) {
        this.count++
        const isMarked = this.settings.tooLong(frame)
        if (!isMarked) {
          frame = this.take(fifo, now)
          if (!this.okToDrop) this.isDropping = false
        }
        if (this.isDropping) this.dropNext = this.controlLaw(this.dropNext)
        if (isMarked) break
      }
    } else if (frame !== NO_FRAME && this.okToDrop) {
      if (!this.settings.tooLong(frame)) frame = this.take(fifo, now)
      this.isDropping = true
      // A queue that was bad lately goes on where it stopped.
      const delta = this.count - this.lastCount
      this.count = delta > 1 && now - this.dropNext < 16 * this.settings.intervalNs ? delta : 1
      this.dropNext = this.controlLaw(now)
      this.lastCount = this.count
    }
    return frame
  }

  private take(fifo: FrameFifo, now: number): FrameHandle {
    this.okToDrop = false
    if (fifo.count === 0) {
      this.firstAboveTime = 0
      return NO_FRAME
    }
    const { targetNs, intervalNs } = this.settings
    const waited = now - fifo.since
    this.length = fifo.length
    const frame = fifo.shift()
    if (waited < targetNs || fifo.bytes <= MAX_PACKET) this.firstAboveTime = 0
    else if (this.firstAboveTime === 0) this.firstAboveTime = now + intervalNs
    else this.okToDrop = now >= this.firstAboveTime
    return frame
  }

  private controlLaw(time: number): number {
    return time + this.settings.intervalNs / Math.sqrt(this.count)
  }
}

/** One queue under CoDel. */
export class CodelQueue extends TailQueue {
  private readonly codel: Codel

  constructor(limits: QueueLimits, settings: CodelSettings) {
    super(limits)
    this.codel = new Codel(settings)
  }

  get length(): number {
    return this.codel.length
  }

  dequeue(now: number): FrameHandle {
    return this.codel.dequeue(this.fifo, now)
  }
}
