/**
 * A capture that is played into the engine: its frames come in at their own distances in time, the first one at
 * `startNs`. What is written to it is swallowed.
 *
 * Knows no file format: it takes frames as src/capture's readers give them, one at a time, so that a capture of any size
 * can be played.
 */
import { type FramePool, NO_FRAME } from '../engine/frame-pool.ts'
import { ALL_OFFLOADS, type FrameDevice, noDeviceCounters } from './frame-device.ts'

/** A frame of a capture: ns since 1970, the bytes captured, the length on the wire. */
export interface RecordedFrame {
  readonly timestampNs: bigint
  readonly data: Uint8Array
  readonly originalLength: number
}

export interface ReplayOptions {
  readonly frames: Iterable<RecordedFrame>
  readonly name?: string
  readonly mtu?: number
  /** Engine time of the first frame, nanoseconds. Default 0: at once. */
  readonly startNs?: number
  /** 2 plays twice as fast; Infinity everything at once. Default 1. */
  readonly speed?: number
}

export class ReplayDevice implements FrameDevice {
  readonly kind = 'replay'
  readonly name: string
  mtu: number
  readonly offloads = ALL_OFFLOADS
  readonly pollFd = -1
  readonly counters = noDeviceCounters()
  readonly lastError = 0
  alive = true
  /** Engine time at which the next frame is due. */
  nextDue: number
  private readonly pool: FramePool
  private readonly frames: Iterator<RecordedFrame>
  private readonly speed: number
  private readonly startNs: number
  /** Time stamp of the first frame. */
  private origin: bigint | null = null
  private waiting: RecordedFrame | null = null

  constructor(pool: FramePool, options: ReplayOptions) {
    this.pool = pool
    this.name = options.name ?? 'replay'
    this.mtu = options.mtu ?? 1500
    this.startNs = options.startNs ?? 0
    this.speed = options.speed ?? 1
    this.nextDue = this.startNs
    this.frames = options.frames[Symbol.iterator]()
    this.advance()
  }

  read(out: Int32Array, max: number, now: number): number {
    let count = 0
    // Frames that are left out count against `max` too: a file of nothing but cut frames must not hold up the engine.
    for (let looked = 0; looked < max && this.waiting !== null && this.nextDue <= now; looked++) {
      const { data, originalLength } = this.waiting
      this.advance()
      if (data.length < originalLength) {
        this.counters.rxTruncated++ // the capture's snap length cut it: half a frame would be another frame
        continue
      }
      const frame = data.length === 0 ? NO_FRAME : this.pool.allocate(data.length)
      if (frame === NO_FRAME) {
        if (data.length === 0) this.counters.rxMalformed++
        else this.counters.rxNoBuffer++
        continue
      }
      this.pool.bytes(frame).set(data, this.pool.start[frame])
      out[count++] = frame
    }
    return count
  }

  write(_frames: Int32Array, _from: number, count: number): number {
    return count
  }

  close(): void {
    this.alive = false
    this.waiting = null
    this.nextDue = Number.POSITIVE_INFINITY
    this.frames.return?.() // a reader closes its file
  }

  private advance(): void {
    let next: IteratorResult<RecordedFrame>
    try {
      next = this.frames.next()
    } catch {
      this.counters.rxMalformed++ // the file is damaged from here on; nothing on the data path throws
      next = { done: true, value: undefined }
    }
    this.waiting = next.done ? null : next.value
    if (this.waiting === null) {
      this.nextDue = Number.POSITIVE_INFINITY
      return
    }
    this.origin ??= this.waiting.timestampNs
    const sinceFirst = Number(this.waiting.timestampNs - this.origin)
    // Time stamps of a capture may go back; frames keep their order.
    this.nextDue = Math.max(this.nextDue, this.startNs + Math.round(sinceFirst / this.speed))
  }
}
