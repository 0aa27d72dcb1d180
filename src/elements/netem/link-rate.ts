/**
 * When the link is free again, and how long each frame takes: a token bucket, computed and not ticked.
 *
 * `free` is when the link will have sent all that it was given; an idle link saves up to `burst` bytes of sending. Where the rate
 * changes, the bytes that are left to be sent, or saved, stay the same, and `free` moves.
 */
import type { FrameHandle, FramePool } from '../../engine/frame-pool.ts'
import { headersOf, segmentsOf } from './cut-super-frame.ts'
import type { RateSettings } from './link-settings.ts'

export class LinkRate {
  private readonly frames: FramePool
  private nsPerByte: number
  private readonly burstBytes: number
  private readonly overheadBytes: number
  private readonly cellBytes: number
  private readonly cellOverheadBytes: number
  /** Nanoseconds since the engine's start. */
  free = 0

  constructor(frames: FramePool, { bitsPerSecond, burstBytes = 0, overheadBytes = 0, cellBytes = 0, cellOverheadBytes = 0 }: RateSettings) {
    this.frames = frames
    this.burstBytes = burstBytes
    this.overheadBytes = overheadBytes
    this.cellBytes = cellBytes
    this.cellOverheadBytes = cellOverheadBytes
    this.nsPerByte = 8e9 / bitsPerSecond
  }

  /** From `now` on; what is left of the frame that is being sent goes on at the new rate. */
  setRate(bitsPerSecond: number, now: number): void {
    const before = this.nsPerByte
    this.nsPerByte = 8e9 / bitsPerSecond
    this.free = this.rescaled(this.free, before, now)
  }

  /** Takes the place of another rate at `now`. */
  inherit({ free, nsPerByte }: LinkRate, now: number): void {
    this.free = this.rescaled(free, nsPerByte, now)
  }

  /** Nanoseconds that so many bytes take. */
  timeOf(bytes: number): number {
    return bytes * this.nsPerByte
  }

  /** When the link is free that would have been so at `free`, at `before` nanoseconds per byte. */
  private rescaled(free: number, before: number, now: number): number {
    // A link without a limit has nothing left to send, and saved nothing.
    return before === 0 ? now : now + ((free - now) / before) * this.nsPerByte
  }

  /** Bytes that the frame takes on the link: of each of its segments, with headers, overhead and cells. */
  lengthOf(frame: FrameHandle): number {
    const { frames } = this
    const length = frames.length[frame]
    const segments = segmentsOf(frames, frame)
    if (segments === 1) return this.onLink(length)
    const headers = headersOf(frames, frame)
    const size = frames.gsoSize[frame]
    return (segments - 1) * this.onLink(headers + size) + this.onLink(length - (segments - 1) * size)
  }

  /** Bytes that each segment of a super-frame takes, the last one at most. */
  segmentLength(frame: FrameHandle): number {
    return this.onLink(headersOf(this.frames, frame) + this.frames.gsoSize[frame])
  }

  /** The link begins with `length` bytes at `now`, not before `free`; returns when the last of them has left. */
  send(length: number, now: number): number {
    const { nsPerByte } = this
    const finish = Math.max(this.free, now - this.burstBytes * nsPerByte) + length * nsPerByte
    this.free = finish
    return Math.max(now, finish)
  }

  private onLink(length: number): number {
    const whole = Math.max(0, length + this.overheadBytes)
    if (this.cellBytes === 0) return whole
    return Math.ceil(whole / this.cellBytes) * (this.cellBytes + this.cellOverheadBytes)
  }
}
