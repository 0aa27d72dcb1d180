import { type CaptureSink, FrameRecord } from './frame-record.ts'

/*
 * The shared memory between the engine thread (the one producer) and the capture's writer thread (the one consumer):
 *
 *   0     control: published | consumed | doorbell | closing     one Int32 each, each on a cache line of its own
 *   256   totals:  recorded, dropped, bytes                      Float64, written by the producer
 *   320   counters: recorded, dropped of each interface          Float64, written by the producer
 *   ...   data: a power of two of bytes
 *
 * Positions count 8-byte units and run on past the end (int32, wrapping): `position & mask` is the place in the data.
 * A record never wraps: where it does not fit before the end, a skip mark fills the rest and it starts at the front.
 *
 *   record:  | size 4 | port 4 | timestamp 8 | original 4 | captured, skew 4 | flags 4 | packet id 4 |
 *            | verdict 4 | comment 4 | lost 4 | checksum 4 | skew: 0-3 bytes | captured bytes | up to a unit |
 *
 * `size` is in units, negative for a skip mark. The skew gives the copy the alignment of its source, so that it is made
 * by whole words: a loop of words beats a view and `set` up to some KiB, and allocates nothing.
 */
const CONTROL_PUBLISHED = 0
const CONTROL_CONSUMED = 16
const CONTROL_DOORBELL = 32
const CONTROL_CLOSING = 48
const TOTALS_AT = 256
const COUNTERS_AT = 320
const UNIT = 8
const HEADER_WORDS = 12
const HEADER_UNITS = (HEADER_WORDS * 4) / UNIT
/** From this many bytes on, `set` is faster than the loop of words (see README). */
const WORD_COPY_LIMIT = 4096

export const MIN_RING_BYTES = 1 << 18
export const DEFAULT_RING_BYTES = 1 << 24

/** What the doorbell holds while the consumer sleeps. */
const ASLEEP = 1
const AWAKE = 0

export interface CaptureRingOptions {
  /** Bytes for frames; rounded up to a power of two, at least MIN_RING_BYTES (a frame of 64 KiB has to fit twice). */
  size?: number
  /** Interfaces that get counters; frames of others are dropped. */
  interfaces?: number
}

/** Makes the shared memory of a ring; both sides and every counter reader take it. */
export function allocateCaptureRing(options: CaptureRingOptions = {}): SharedArrayBuffer {
  const interfaces = options.interfaces ?? 1024
  const bytes = 2 ** Math.ceil(Math.log2(Math.max(options.size ?? DEFAULT_RING_BYTES, MIN_RING_BYTES)))
  const dataAt = COUNTERS_AT + Math.ceil((interfaces * 16) / 64) * 64
  const memory = new SharedArrayBuffer(dataAt + bytes)
  new Float64Array(memory, TOTALS_AT, 8)[4] = interfaces
  return memory
}

/** Views of a ring's memory, and the counters that any thread may read. */
export class CaptureRing {
  readonly memory: SharedArrayBuffer
  readonly interfaces: number
  /** Units of data; a power of two. */
  readonly capacity: number
  readonly control: Int32Array
  readonly totals: Float64Array
  readonly counters: Float64Array
  readonly bytes: Uint8Array
  readonly words: Int32Array
  readonly doubles: Float64Array

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory
    this.control = new Int32Array(memory, 0, TOTALS_AT / 4)
    this.totals = new Float64Array(memory, TOTALS_AT, 8)
    this.interfaces = this.totals[4]!
    this.counters = new Float64Array(memory, COUNTERS_AT, this.interfaces * 2)
    const dataAt = COUNTERS_AT + Math.ceil((this.interfaces * 16) / 64) * 64
    this.bytes = new Uint8Array(memory, dataAt)
    this.words = new Int32Array(memory, dataAt)
    this.doubles = new Float64Array(memory, dataAt)
    this.capacity = this.bytes.length / UNIT
  }

  /** Frames taken into the ring. */
  get recorded(): number {
    return this.totals[0]!
  }

  /** Copies that found no room. Exact once the producer has published. */
  get dropped(): number {
    return this.totals[1]!
  }

  recordedOf(port: number): number {
    return this.counters[port * 2] ?? 0
  }

  droppedOf(port: number): number {
    return this.counters[port * 2 + 1] ?? 0
  }

  /** Wakes the consumer when it sleeps: after a message to it, not per frame. */
  wake(): void {
    if (Atomics.exchange(this.control, CONTROL_DOORBELL, AWAKE) === ASLEEP) Atomics.notify(this.control, CONTROL_DOORBELL)
  }

  /** Tells the consumer that it is to end once it has drained the ring. */
  close(): void {
    Atomics.store(this.control, CONTROL_CLOSING, 1)
    this.wake()
  }

  get closing(): boolean {
    return Atomics.load(this.control, CONTROL_CLOSING) === 1
  }
}

/** The engine's end: copies frames in, drops and counts them when there is no room, never waits. */
export class CaptureRingProducer extends CaptureRing implements CaptureSink {
  readonly snapLength: number
  private head: number
  private published: number
  private tail: number
  /** Copies dropped since the last one recorded, by interface. */
  private readonly lost: Float64Array
  private source: Uint8Array = new Uint8Array(0)
  private sourceWords: Int32Array = new Int32Array(0)
  private readonly sourceViews = new WeakMap<Uint8Array, Int32Array>()

  constructor(memory: SharedArrayBuffer, snapLength: number) {
    super(memory)
    this.snapLength = snapLength
    this.lost = new Float64Array(this.interfaces)
    this.head = this.published = Atomics.load(this.control, CONTROL_PUBLISHED)
    this.tail = Atomics.load(this.control, CONTROL_CONSUMED)
  }

  record(frame: FrameRecord): boolean {
    const { port, bytes, captured } = frame
    const skew = (bytes.byteOffset + frame.at) & 3
    const size = HEADER_UNITS + ((skew + captured + 7) >>> 3)
    const mask = this.capacity - 1
    const rest = this.capacity - (this.head & mask)
    // A record that would wrap also needs the rest of the data before the front.
    const need = size > rest ? rest + size : size
    if (port >>> 0 >= this.interfaces || !this.hasRoom(need)) return this.drop(port)
    if (size > rest) {
      this.words[(this.head & mask) << 1] = -rest
      this.head = (this.head + rest) | 0
    }
    const unit = this.head & mask
    const { words } = this
    let at = unit << 1
    words[at] = size
    words[at + 1] = port
    this.doubles[unit + 1] = frame.timestamp
    words[at + 4] = frame.original
    words[at + 5] = (captured << 2) | skew
    words[at + 6] = frame.flags
    words[at + 7] = frame.packetId
    words[at + 8] = frame.verdict
    words[at + 9] = frame.comment
    words[at + 10] = frame.lost + this.lost[port]!
    words[at + 11] = frame.checksum
    at += HEADER_WORDS
    this.copy(bytes, frame.at, captured, at, skew)
    this.head = (this.head + size) | 0
    this.lost[port] = 0
    this.totals[0]! += 1
    this.totals[2]! += captured
    this.counters[port * 2]! += 1
    return true
  }

  publish(): void {
    if (this.head === this.published) return
    this.published = this.head
    Atomics.store(this.control, CONTROL_PUBLISHED, this.head)
    // The consumer looks by itself often enough for a live view; a call to the kernel is worth it only when it is late.
    if (Atomics.load(this.control, CONTROL_DOORBELL) !== ASLEEP) return
    this.tail = Atomics.load(this.control, CONTROL_CONSUMED)
    if (((this.head - this.tail) | 0) >= this.capacity >>> 2) this.wake()
  }

  private hasRoom(need: number): boolean {
    if (((this.head - this.tail) | 0) + need <= this.capacity) return true
    this.publish()
    this.tail = Atomics.load(this.control, CONTROL_CONSUMED)
    return ((this.head - this.tail) | 0) + need <= this.capacity
  }

  private drop(port: number): false {
    this.totals[1]! += 1
    if (port >>> 0 < this.interfaces) {
      this.counters[port * 2 + 1]! += 1
      this.lost[port]! += 1
    }
    return false
  }

  /** Copies by words from the word that holds the first byte on; the last, partial word by bytes. */
  private copy(bytes: Uint8Array, from: number, length: number, toWord: number, skew: number): void {
    if (length >= WORD_COPY_LIMIT) {
      this.bytes.set(bytes.subarray(from, from + length), toWord * 4 + skew)
      return
    }
    if (bytes !== this.source) this.useSource(bytes)
    const { words, sourceWords } = this
    const base = bytes.byteOffset & 3
    const first = (base + from) >>> 2
    const count = (skew + length) >>> 2
    for (let word = 0; word < count; word++) words[toWord + word] = sourceWords[first + word]!
    const end = from + length
    for (let at = end - ((skew + length) & 3), to = (toWord + count) * 4; at < end; at++, to++) {
      if (at >= 0) this.bytes[to] = bytes[at]!
    }
  }

  private useSource(bytes: Uint8Array): void {
    let view = this.sourceViews.get(bytes)
    if (view === undefined) {
      const base = bytes.byteOffset & ~3
      view = new Int32Array(bytes.buffer, base, (bytes.byteOffset + bytes.byteLength - base) >>> 2)
      this.sourceViews.set(bytes, view)
    }
    this.source = bytes
    this.sourceWords = view
  }
}

/** The writer thread's end. */
export class CaptureRingConsumer extends CaptureRing {
  private readonly record = new FrameRecord()
  private tail: number

  constructor(memory: SharedArrayBuffer) {
    super(memory)
    this.tail = Atomics.load(this.control, CONTROL_CONSUMED)
    this.record.bytes = this.bytes
  }

  /** Where the producer has published to. Messages sent before a record was are there once this has been read. */
  published(): number {
    return Atomics.load(this.control, CONTROL_PUBLISHED)
  }

  /**
   * Hands every record before the position `head` (of `published`) to `visit`, in order, and gives the room back, now and
   * then on the way too. The record and its bytes are the visitor's only until it returns; it may change them, and must
   * not throw. Gives the number of records.
   */
  drain(head: number, visit: (record: FrameRecord) => void): number {
    const { record, words } = this
    const step = this.capacity >>> 3
    let released = this.tail
    let count = 0
    while (this.tail !== head) {
      const unit = this.tail & (this.capacity - 1)
      const at = unit << 1
      const size = words[at]!
      if (size < 0) {
        this.tail = (this.tail - size) | 0
        continue
      }
      record.port = words[at + 1]!
      record.timestamp = this.doubles[unit + 1]!
      record.original = words[at + 4]!
      record.captured = words[at + 5]! >>> 2
      record.flags = words[at + 6]!
      record.packetId = words[at + 7]!
      record.verdict = words[at + 8]!
      record.comment = words[at + 9]!
      record.lost = words[at + 10]!
      record.checksum = words[at + 11]!
      record.at = (at + HEADER_WORDS) * 4 + (words[at + 5]! & 3)
      visit(record)
      this.tail = (this.tail + size) | 0
      count++
      if (((this.tail - released) | 0) >= step) {
        released = this.tail
        Atomics.store(this.control, CONTROL_CONSUMED, released)
      }
    }
    Atomics.store(this.control, CONTROL_CONSUMED, this.tail)
    return count
  }

  /** Sleeps up to `milliseconds`, or until a wake; not at all when the ring is closing or a quarter full. */
  sleep(milliseconds: number): void {
    Atomics.store(this.control, CONTROL_DOORBELL, ASLEEP)
    const used = (this.published() - this.tail) | 0
    if (!this.closing && used < this.capacity >>> 2) Atomics.wait(this.control, CONTROL_DOORBELL, ASLEEP, milliseconds)
    Atomics.store(this.control, CONTROL_DOORBELL, AWAKE)
  }
}
