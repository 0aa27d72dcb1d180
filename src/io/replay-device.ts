/**
 * Frames that are played into the engine: they come in at their own distances in time. What is written to it is swallowed.
 *
 *   feed -> [batch][batch] -> read, frame by frame, each when it is due
 *
 * Knows no file format and no pace: whoever feeds it has read, checked and scaled everything. A batch is data that can be sent to the
 * engine's thread.
 */
import { type FrameHandle, type FramePool, LARGE_CAPACITY, NO_FRAME } from '../engine/frame-pool.ts'
import { ALL_OFFLOADS, type FrameDevice, noDeviceCounters } from './frame-device.ts'
import type { ReplayBatch } from './replay-batch.ts'
import { restoreSuperFrame } from './restore-super-frame.ts'

export interface ReplayOptions {
  readonly name?: string
  /** Longer TCP packets come in as super-frames. */
  readonly mtu?: number
  /** UDP port of VXLAN, where frames are outer ones: those with longer TCP packets inside come in as super-frames. */
  readonly vxlanPort?: number
  /** Engine time at which the replay starts, nanoseconds; by default that of the first batch. */
  readonly startNs?: number
}

interface Fed {
  readonly batch: ReplayBatch
  readonly bytes: Uint8Array
  readonly played: () => void
}

/** Up to here a loop over words is quicker than `set` with a view of its own, and allocates nothing. */
const WORD_COPY_MAX = 256

export class ReplayDevice implements FrameDevice {
  readonly kind = 'replay'
  readonly name: string
  mtu: number
  readonly offloads = ALL_OFFLOADS
  readonly pollFd = -1
  readonly counters = noDeviceCounters()
  readonly lastError = 0
  alive = true
  /** Engine time at which the next frame is due; Infinity when there is none. */
  nextDue = Number.POSITIVE_INFINITY
  private readonly pool: FramePool
  private readonly vxlanPort: number
  private startNs: number
  private readonly queue: Fed[] = []
  /** Of the first batch's frames, the next one. */
  private next = 0

  constructor(pool: FramePool, options: ReplayOptions = {}) {
    this.pool = pool
    this.name = options.name ?? 'replay'
    this.mtu = options.mtu ?? 1500
    this.vxlanPort = options.vxlanPort ?? 0
    this.startNs = options.startNs ?? Number.NaN
  }

  /** Adds frames behind those that wait; `played` is called when the last of them has been read. */
  feed(batch: ReplayBatch, now: number, played: () => void): void {
    if (Number.isNaN(this.startNs)) this.startNs = now
    const { words } = batch
    this.queue.push({ batch, bytes: new Uint8Array(words.buffer, words.byteOffset, words.byteLength), played })
    this.arrange()
  }

  read(out: Int32Array, max: number, now: number): number {
    let count = 0
    // Frames that found no slot count too: nothing but those must not hold up the engine.
    for (let looked = 0; looked < max && this.nextDue <= now; looked++) {
      const frame = this.take(this.queue[0], this.next++)
      if (frame !== NO_FRAME) out[count++] = frame
      this.arrange()
    }
    return count
  }

  write(_frames: Int32Array, _from: number, count: number): number {
    return count
  }

  /** What waits is not played any more; whoever fed it is told so. */
  close(): void {
    this.alive = false
    for (const { played } of this.queue.splice(0)) played()
    this.next = 0
    this.nextDue = Number.POSITIVE_INFINITY
  }

  private take({ batch, bytes }: Fed, index: number): FrameHandle {
    const { pool, counters } = this
    const length = batch.lengths[index]
    const frame = pool.allocate(length)
    if (frame === NO_FRAME) {
      if (length > LARGE_CAPACITY) counters.rxTruncated++
      else counters.rxNoBuffer++
      return NO_FRAME
    }
    const from = batch.starts[index]
    if (length <= WORD_COPY_MAX) {
      const to = pool.start[frame] >> 2
      const target = pool.words(frame)
      const count = (length + 3) >> 2
      for (let i = 0; i < count; i++) target[to + i] = batch.words[from + i]
    } else pool.bytes(frame).set(bytes.subarray(from << 2, (from << 2) + length), pool.start[frame])
    if (length > this.mtu) restoreSuperFrame(pool, frame, this.mtu, this.vxlanPort)
    return frame
  }

  /** Finds the next frame, and when it is due. */
  private arrange(): void {
    while (this.queue.length > 0 && this.next === this.queue[0].batch.lengths.length) {
      this.next = 0
      this.queue.shift()!.played()
    }
    this.nextDue = this.queue.length === 0 ? Number.POSITIVE_INFINITY : this.startNs + this.queue[0].batch.due[this.next]
  }
}
