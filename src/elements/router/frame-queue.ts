/**
 * Frames that wait for the MAC of their next hop: one queue per neighbor, all from one store of fixed size, so that unanswered
 * questions hold a known number of frames and no more.
 */
import { type FrameHandle, type FramePool, NO_FRAME } from '../../engine/frame-pool.ts'

/** Frames that wait, in all queues. */
export const WAITING_FRAMES_MAX = 4096
/** A quarter of them for one interface: who asks for neighbors that are not there leaves room for the questions of others. */
export const INTERFACE_FRAMES_MAX = WAITING_FRAMES_MAX / 4
/** Frames of one queue. */
export const QUEUE_FRAMES_MAX = 128
/** Bytes of one queue: Linux's unres_qlen_bytes, which counts memory where we count frames. */
export const QUEUE_BYTES_MAX = 212_992

const NONE = -1

export class FrameQueues {
  private readonly frames: FramePool
  private readonly drop: (frame: FrameHandle) => void
  /** By queue. */
  private readonly head: Int32Array
  private readonly tail: Int32Array
  private readonly count: Uint8Array
  private readonly bytes: Int32Array
  /** Interface of the frames in it; of use while there are any. */
  private readonly interface: Int32Array
  /** Frames that wait by interface. */
  private onInterface = new Int32Array(16)
  /** By place in the store. */
  private readonly frame = new Int32Array(WAITING_FRAMES_MAX)
  private readonly next = new Int32Array(WAITING_FRAMES_MAX)
  private free = 0
  private held = 0

  /** `queues`: how many there are. `drop` ends a frame for which there is no room. */
  constructor(frames: FramePool, queues: number, drop: (frame: FrameHandle) => void) {
    this.frames = frames
    this.drop = drop
    this.head = new Int32Array(queues).fill(NONE)
    this.tail = new Int32Array(queues).fill(NONE)
    this.count = new Uint8Array(queues)
    this.bytes = new Int32Array(queues)
    this.interface = new Int32Array(queues)
    for (let place = 0; place < WAITING_FRAMES_MAX; place++) this.next[place] = place + 1 < WAITING_FRAMES_MAX ? place + 1 : NONE
  }

  /** Frames in all queues. */
  get size(): number {
    return this.held
  }

  length(queue: number): number {
    return this.count[queue]
  }

  /**
   * Takes a frame of interface `number`, the same for all in a queue. What waited longest in the queue makes room; where the store or the
   * interface's share of it is full, the queue's own oldest or this frame.
   */
  put(queue: number, frame: FrameHandle, number: number): void {
    if (number >= this.onInterface.length) this.countMore(number)
    const length = this.frames.length[frame]
    while (this.count[queue] > 0 && (this.count[queue] >= QUEUE_FRAMES_MAX || this.bytes[queue] + length > QUEUE_BYTES_MAX)) {
      this.drop(this.take(queue))
    }
    if (this.isFull(number) && this.count[queue] > 0) this.drop(this.take(queue))
    if (this.isFull(number)) return this.drop(frame)
    const place = this.free
    this.free = this.next[place]
    this.frame[place] = frame
    this.next[place] = NONE
    if (this.tail[queue] === NONE) this.head[queue] = place
    else this.next[this.tail[queue]] = place
    this.tail[queue] = place
    this.count[queue]++
    this.bytes[queue] += length
    this.interface[queue] = number
    this.onInterface[number]++
    this.held++
  }

  /** The frame that waited longest; the caller owns it. NO_FRAME: none waits. */
  take(queue: number): FrameHandle {
    const place = this.head[queue]
    if (place === NONE) return NO_FRAME
    const frame = this.frame[place]
    this.head[queue] = this.next[place]
    if (this.head[queue] === NONE) this.tail[queue] = NONE
    this.next[place] = this.free
    this.free = place
    this.count[queue]--
    this.bytes[queue] -= this.frames.length[frame]
    this.onInterface[this.interface[queue]]--
    this.held--
    return frame
  }

  private isFull(number: number): boolean {
    return this.free === NONE || this.onInterface[number] >= INTERFACE_FRAMES_MAX
  }

  private countMore(number: number): void {
    const counts = new Int32Array(2 * (number + 1))
    counts.set(this.onInterface)
    this.onInterface = counts
  }
}
