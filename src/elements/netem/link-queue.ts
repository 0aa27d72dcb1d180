/** What waits until the link is free. */
import { type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'

/** A queue owns the frames in it. A super-frame counts as its segments. */
export interface LinkQueue {
  /** Segments and their bytes on the link. */
  readonly packets: number
  readonly bytes: number
  /** Whether it would take a frame of so many segments, `length` bytes on the link together. */
  fits(segments: number, length: number): boolean
  /** How many segments of `length` bytes each it would take. */
  room(length: number): number
  /** Takes the frame. One that has no room, it or another, goes to `refused`. `length`: its bytes on the link. */
  enqueue(frame: FrameHandle, segments: number, length: number, now: number): void
  /** The next frame to be sent at `now`, or NO_FRAME; those that waited too long go to `refused` meanwhile. */
  dequeue(now: number): FrameHandle
  /** Bytes on the link of the frame that `dequeue` gave last. */
  readonly length: number
}

export interface QueueLimits {
  readonly packets: number
  /** Infinity: none. */
  readonly bytes: number
  /** Ends a frame that the queue does not keep. */
  readonly refused: (frame: FrameHandle, isDelay: boolean) => void
}

/** Frames in the order in which they came, with their time and length: a ring that grows. */
export class FrameFifo {
  private handles = new Int32Array(16)
  private times = new Float64Array(16)
  private lengths = new Int32Array(16)
  private segments = new Int32Array(16)
  private head = 0
  /** Frames. */
  count = 0
  /** Their segments. */
  packets = 0
  bytes = 0

  push(frame: FrameHandle, segments: number, length: number, now: number): void {
    if (this.count === this.handles.length) this.grow()
    const at = (this.head + this.count++) & (this.handles.length - 1)
    this.handles[at] = frame
    this.times[at] = now
    this.lengths[at] = length
    this.segments[at] = segments
    this.packets += segments
    this.bytes += length
  }

  /** When the oldest frame came, and its length. Only when count > 0. */
  get since(): number {
    return this.times[this.head]
  }

  get length(): number {
    return this.lengths[this.head]
  }

  /** The oldest. Only when count > 0. */
  shift(): FrameHandle {
    const { head } = this
    this.head = (head + 1) & (this.handles.length - 1)
    this.count--
    this.packets -= this.segments[head]
    this.bytes -= this.lengths[head]
    return this.handles[head]
  }

  private grow(): void {
    const size = this.handles.length
    const [handles, times] = [new Int32Array(2 * size), new Float64Array(2 * size)]
    const [lengths, segments] = [new Int32Array(2 * size), new Int32Array(2 * size)]
    for (let i = 0; i < this.count; i++) {
      const from = (this.head + i) & (size - 1)
      handles[i] = this.handles[from]
      times[i] = this.times[from]
      lengths[i] = this.lengths[from]
      segments[i] = this.segments[from]
    }
    this.handles = handles
    this.times = times
    this.lengths = lengths
    this.segments = segments
    this.head = 0
  }
}

/** A queue that refuses what comes when it is full. */
export abstract class TailQueue implements LinkQueue {
  protected readonly fifo = new FrameFifo()
  private readonly limits: QueueLimits
  abstract readonly length: number

  constructor(limits: QueueLimits) {
    this.limits = limits
  }

  get packets(): number {
    return this.fifo.packets
  }

  get bytes(): number {
    return this.fifo.bytes
  }

  fits(segments: number, length: number): boolean {
    const { fifo, limits } = this
    return fifo.packets + segments <= limits.packets && fifo.bytes + length <= limits.bytes
  }

  room(length: number): number {
    const { fifo, limits } = this
    return Math.min(limits.packets - fifo.packets, Math.floor((limits.bytes - fifo.bytes) / length))
  }

  enqueue(frame: FrameHandle, segments: number, length: number, now: number): void {
    if (this.fits(segments, length)) this.fifo.push(frame, segments, length, now)
    else this.limits.refused(frame, false)
  }

  abstract dequeue(now: number): FrameHandle
}

/** First in, first out. */
export class DropTail extends TailQueue {
  length = 0

  dequeue(): FrameHandle {
    const { fifo } = this
    if (fifo.count === 0) return NO_FRAME
    this.length = fifo.length
    return fifo.shift()
  }
}
