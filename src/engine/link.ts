/**
 * A bounded ring from one element's port to another's, one direction.
 *
 *   transmit -> | tail ... head | -> receive
 *
 * A frame that finds the ring full is dropped and counted: a slow consumer costs frames, never memory. The ring begins small and grows
 * to what it had to hold: in a lab of thousands of hosts whole rings would be a page of memory each, and a miss of the TLB for each hop.
 */
import type { ElementNode } from './element-node.ts'
import type { FrameHandle } from './frame-pool.ts'

/** Frames that a link holds unless the topology says otherwise. */
export const LINK_CAPACITY = 1024
/** Frames for which there is room at first: V8 keeps an array of 64 bytes beside its object. */
const FIRST_SIZE = 16

export class Link {
  private ring: Int32Array
  private mask: number
  /** What the ring may grow to. */
  private readonly capacity: number
  private head = 0
  private tail = 0
  /** 1 while the consumer has this port on its list of ports with frames, else 0 (a boolean costs V8 two more loads per frame). */
  listed = 0
  readonly producer: ElementNode
  readonly consumer: ElementNode
  /** The consumer's port number. */
  readonly port: number

  /** `capacity` is rounded up to a power of two. */
  constructor(producer: ElementNode, consumer: ElementNode, port: number, capacity: number = LINK_CAPACITY) {
    // `| 0`: a power is a double to V8, and a double mask makes every index a conversion.
    this.capacity = (2 ** Math.ceil(Math.log2(Math.max(2, capacity)))) | 0
    const size = Math.min(FIRST_SIZE, this.capacity) | 0
    this.ring = new Int32Array(size)
    this.mask = size - 1
    this.producer = producer
    this.consumer = consumer
    this.port = port
  }

  get empty(): boolean {
    return this.head === this.tail
  }

  /** Frames in the ring. */
  get size(): number {
    return (this.tail - this.head) | 0
  }

  /** Frames that fit before the next is dropped. */
  get space(): number {
    return this.capacity - ((this.tail - this.head) | 0)
  }

  /** Gives the frame to the consumer; drops it when the ring is full. */
  transmit(frame: FrameHandle): void {
    if (this.listed === 0) this.announce()
    if (((this.tail - this.head) | 0) > this.mask && !this.grow(1)) {
      this.producer.dropLinkFull(frame)
      return
    }
    const tail = this.tail
    this.ring[tail & this.mask] = frame
    this.tail = (tail + 1) | 0
  }

  /** Gives `frames[0..count-1]` to the consumer in order; drops those for which there is no room. */
  transmitAll(frames: Int32Array, count: number): void {
    if (count === 0) return
    if (this.listed === 0) this.announce()
    if (((this.tail - this.head + count) | 0) > this.mask + 1) this.grow(count)
    const { ring, mask, tail } = this
    const fitting = Math.min(count, (mask + 1 - tail + this.head) | 0)
    // Four a round: see the README, "Loops".
    let i = 0
    for (; i < ((fitting - 3) | 0); i = (i + 4) | 0) {
      ring[(tail + i) & mask] = frames[i]
      ring[(tail + i + 1) & mask] = frames[(i + 1) | 0]
      ring[(tail + i + 2) & mask] = frames[(i + 2) | 0]
      ring[(tail + i + 3) & mask] = frames[(i + 3) | 0]
    }
    for (; i < fitting; i++) ring[(tail + i) & mask] = frames[i]
    this.tail = (tail + fitting) | 0
    for (let i = fitting; i < count; i++) this.producer.dropLinkFull(frames[i])
  }

  /**
   * Gives all frames to `to`, in order, by giving it the ring: what passes an element that has nothing to do costs no look at each frame. False, and
   * nothing is done, where `to` has frames or may hold another number of them.
   */
  handOver(to: Link): boolean {
    if (to.head !== to.tail || to.capacity !== this.capacity) return false
    if (this.head === this.tail) return true
    if (to.listed === 0) to.announce()
    const { ring, mask } = to
    to.ring = this.ring
    to.mask = this.mask
    to.head = this.head
    to.tail = this.tail
    this.ring = ring
    this.mask = mask
    this.head = this.tail = 0
    return true
  }

  /** Makes room for `count` more frames, as far as the ring may grow; false: it has grown to its end. */
  private grow(count: number): boolean {
    const { ring, mask, head, size, capacity } = this
    if (mask + 1 === capacity) return false
    let length = mask + 1
    while (length < capacity && length < size + count) length *= 4
    length = Math.min(length, capacity) | 0
    const bigger = new Int32Array(length)
    for (let i = 0; i < size; i++) bigger[i] = ring[(head + i) & mask]
    this.ring = bigger
    this.mask = (length - 1) | 0
    this.head = 0
    this.tail = size
    return true
  }

  /** Tells the consumer that frames come. An empty ring begins at its start again: what is used of it stays in the cache. */
  private announce(): void {
    if (this.head === this.tail) this.head = this.tail = 0
    this.listed = 1
    this.consumer.markReady(this.port)
  }

  /** The oldest frame; the caller owns it. Only when not empty. */
  receive(): FrameHandle {
    const head = this.head
    this.head = (head + 1) | 0
    return this.ring[head & this.mask]
  }

  /** The frame that is `index` places from the oldest, left in the ring. Only when index < size. */
  at(index: number): FrameHandle {
    return this.ring[(this.head + index) & this.mask]
  }

  /** Moves the oldest frames to `into`, as many as there are and fit; the caller owns them. Returns how many. */
  receiveAll(into: Int32Array): number {
    const { ring, mask, head } = this
    const count = Math.min((this.tail - head) | 0, into.length)
    let i = 0
    for (; i < ((count - 3) | 0); i = (i + 4) | 0) {
      into[i] = ring[(head + i) & mask]
      into[(i + 1) | 0] = ring[(head + i + 1) & mask]
      into[(i + 2) | 0] = ring[(head + i + 2) & mask]
      into[(i + 3) | 0] = ring[(head + i + 3) & mask]
    }
    for (; i < count; i++) into[i] = ring[(head + i) & mask]
    this.head = (head + count) | 0
    return count
  }

  /** The oldest frame, left in the ring. Only when not empty. */
  peek(): FrameHandle {
    return this.ring[this.head & this.mask]
  }
}

/** One end of a cable: what comes in, what goes out. */
export interface Port {
  readonly rx: Link
  readonly tx: Link
}
