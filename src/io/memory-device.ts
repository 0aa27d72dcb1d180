/**
 * Two devices joined by a cable in memory: what one end writes, the other reads. For tests and for joining two engines of
 * one thread. The ends may have different pools; frames are copied, since the writer goes on owning what it wrote.
 */
import { FrameFlag, type FramePool, NO_FRAME } from '../engine/frame-pool.ts'
import { ALL_OFFLOADS, type FrameDevice, noDeviceCounters } from './frame-device.ts'

export interface MemoryDeviceOptions {
  readonly name?: string
  /** Default 1500. */
  readonly mtu?: number
  /** Offload bits taken on write. Default: all. */
  readonly offloads?: number
  /** Frames in flight towards the peer. Default 1024. */
  readonly capacity?: number
}

export class MemoryDevice implements FrameDevice {
  readonly kind = 'memory'
  readonly name: string
  mtu: number
  readonly offloads: number
  readonly pollFd = -1
  readonly counters = noDeviceCounters()
  readonly lastError = 0
  alive = true
  private readonly pool: FramePool
  private peer!: MemoryDevice
  /** Frames of this end's pool that the peer has sent: a ring. */
  private readonly queue: Int32Array
  private head = 0
  private size = 0
  private onReadable: (() => void) | null = null

  private constructor(pool: FramePool, name: string, options: MemoryDeviceOptions) {
    this.pool = pool
    this.name = options.name ?? name
    this.mtu = options.mtu ?? 1500
    this.offloads = options.offloads ?? ALL_OFFLOADS
    this.queue = new Int32Array(options.capacity ?? 1024)
  }

  /** Both ends of a new cable. */
  static pair(
    poolA: FramePool,
    poolB: FramePool = poolA,
    a: MemoryDeviceOptions = {},
    b: MemoryDeviceOptions = a
  ): [MemoryDevice, MemoryDevice] {
    const ends = [new MemoryDevice(poolA, 'memory-a', a), new MemoryDevice(poolB, 'memory-b', b)] as [MemoryDevice, MemoryDevice]
    ends[0].peer = ends[1]
    ends[1].peer = ends[0]
    return ends
  }

  read(out: Int32Array, max: number): number {
    const count = Math.min(max, this.size)
    for (let i = 0; i < count; i++) {
      out[i] = this.queue[this.head]
      if (++this.head === this.queue.length) this.head = 0
    }
    this.size -= count
    return count
  }

  write(frames: Int32Array, from: number, count: number): number {
    const { peer } = this
    let done = 0
    for (; done < count; done++) {
      // A cable whose far end is gone swallows frames, as a wire does.
      if (peer.alive && !peer.accept(this.pool, frames[from + done])) break
    }
    if (done > 0) peer.onReadable?.()
    return done
  }

  listen(onReadable: () => void): void {
    this.onReadable = onReadable
  }

  close(): void {
    this.alive = false
    this.onReadable = null
    for (; this.size > 0; this.size--) {
      this.pool.free(this.queue[this.head])
      if (++this.head === this.queue.length) this.head = 0
    }
  }

  /** False when the queue is full: the peer offers the frame again. */
  private accept(from: FramePool, frame: number): boolean {
    if (this.size === this.queue.length) return false
    const copy = this.copyIn(from, frame)
    if (copy === NO_FRAME) {
      this.counters.rxNoBuffer++
      return true
    }
    this.queue[(this.head + this.size++) % this.queue.length] = copy
    return true
  }

  private copyIn(from: FramePool, frame: number): number {
    const { pool } = this
    const length = from.length[frame]
    const copy = pool.allocate(length)
    if (copy === NO_FRAME) return NO_FRAME
    pool.bytes(copy).set(from.bytes(frame).subarray(from.start[frame], from.start[frame] + length), pool.start[copy])
    // Only what a cable carries goes over; ingress, time and identity begin anew at the other end.
    pool.flags[copy] = from.flags[frame] & (FrameFlag.csum | FrameFlag.csumValid | FrameFlag.gso)
    pool.gsoType[copy] = from.gsoType[frame]
    pool.gsoSize[copy] = from.gsoSize[frame]
    pool.hdrLen[copy] = from.hdrLen[frame]
    pool.csumStart[copy] = from.csumStart[frame]
    pool.csumOffset[copy] = from.csumOffset[frame]
    return copy
  }
}
