import { Doorbell } from './doorbell.ts'
import { type CaptureSink, FrameRecord } from './frame-record.ts'

/*
 * The shared memory between the engine thread (the one producer) and the capture's writer thread (the one consumer):
 *
 *   0     control: published | consumed | doorbell | closing | head, tail seen     Int32; `|` parts cache lines
 *   320   totals:  recorded, dropped, bytes; number of interfaces                  Float64, written by the producer
 *   384   counters of each interface: recorded, dropped, lost, refused             Float64, written by the producer
 *   ...   data: a power of two of bytes
 *
 * What the producer knows (head, the tail it saw last, frames lost since the last recorded one) stands in the memory too:
 * several elements of one engine then record through the same ring, each with a `CaptureRingProducer` of its own.
 *
 * Positions count 8-byte units and run on past the end (int32, wrapping): `position & mask` is the place in the data.
 * A record never wraps: where it does not fit before the end, a skip mark fills the rest and it starts at the front.
 *
 *   record:  | size 4 | port 4 | timestamp 8 | original 4 | captured, skew 4 | flags 4 | packet id 4 |
 *            | verdict 4 | comment 4 | lost 4 | checksum 4 | gso size, type 4 | header length 4 |
 *            | skew: 0-3 bytes | captured bytes | up to a unit |
 *
 * `size` is in units, negative for a skip mark. A record of port COMMENT_PORT is the text of a comment, for the frames behind it that
 * name it. The doorbell stands in the ring, or apart from it where one consumer waits for several rings. The skew gives the copy the alignment of its source, so that it is made
 * by whole words: up to 256 bytes a loop of words beats a view and `set`, and allocates nothing.
 */
const CONTROL_PUBLISHED = 0
const CONTROL_CONSUMED = 16
const CONTROL_DOORBELL = 32
const CONTROL_CLOSING = 48
const CONTROL_HEAD = 64
const CONTROL_TAIL_SEEN = 65
const TOTALS_AT = 320
const TOTAL_RECORDED = 0
const TOTAL_DROPPED = 1
const TOTAL_BYTES = 2
const TOTAL_INTERFACES = 3
const COUNTERS_AT = 384
const COUNTERS = 4
const COUNTER_RECORDED = 0
const COUNTER_DROPPED = 1
const COUNTER_LOST = 2
const COUNTER_REFUSED = 3
const UNIT = 8
const HEADER_WORDS = 14
/** Of records that are no frames. */
const COMMENT_PORT = -1
/** Comments of one producer: more texts than this would be a leak in both threads. */
const COMMENTS_MAX = 4096
const HEADER_UNITS = (HEADER_WORDS * 4) / UNIT
/** Above this many bytes `set` and the view that it needs cost less than the loop of words (see README). */
const WORD_COPY_LIMIT = 256

export const MIN_RING_BYTES = 1 << 18
export const DEFAULT_RING_BYTES = 1 << 24
/** Sixteen networks with all their 4,095 endpoints: 2 MiB of counters, of which the machine backs what is touched. */
export const DEFAULT_INTERFACES = 1 << 16

/** What `claim` gives when the ring is full. */
const NO_ROOM = -1

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export interface CaptureRingOptions {
  /** Bytes for frames; rounded up to a power of two, at least MIN_RING_BYTES (a frame of 64 KiB has to fit twice). */
  size?: number
  /** Interfaces that get counters, DEFAULT_INTERFACES when absent; frames of others are dropped. */
  interfaces?: number
}

/** Makes the shared memory of a ring; both sides and every counter reader take it. */
export function allocateCaptureRing(options: CaptureRingOptions = {}): SharedArrayBuffer {
  const interfaces = options.interfaces ?? DEFAULT_INTERFACES
  const bytes = 2 ** Math.ceil(Math.log2(Math.max(options.size ?? DEFAULT_RING_BYTES, MIN_RING_BYTES)))
  const memory = new SharedArrayBuffer(dataOffset(interfaces) + bytes)
  new Float64Array(memory, TOTALS_AT, 8)[TOTAL_INTERFACES] = interfaces
  return memory
}

/** Where the data begin: after the counters, on a cache line. */
function dataOffset(interfaces: number): number {
  return COUNTERS_AT + Math.ceil((interfaces * COUNTERS * 8) / 64) * 64
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
  /** Where the consumer sleeps. */
  readonly bell: Doorbell

  /** `bell`: of a consumer that waits for several rings; default: the ring has its own. */
  constructor(memory: SharedArrayBuffer, bell?: SharedArrayBuffer) {
    this.memory = memory
    this.control = new Int32Array(memory, 0, TOTALS_AT / 4)
    this.bell = bell === undefined ? new Doorbell(this.control, CONTROL_DOORBELL) : new Doorbell(new Int32Array(bell))
    this.totals = new Float64Array(memory, TOTALS_AT, 8)
    this.interfaces = this.totals[TOTAL_INTERFACES]
    this.counters = new Float64Array(memory, COUNTERS_AT, this.interfaces * COUNTERS)
    const dataAt = dataOffset(this.interfaces)
    this.bytes = new Uint8Array(memory, dataAt)
    this.words = new Int32Array(memory, dataAt)
    this.doubles = new Float64Array(memory, dataAt)
    this.capacity = this.bytes.length / UNIT
  }

  /** Frames taken into the ring. */
  get recorded(): number {
    return this.totals[TOTAL_RECORDED]
  }

  /** Copies that found no room. Exact when the producer is at rest. */
  get dropped(): number {
    return this.totals[TOTAL_DROPPED]
  }

  recordedOf(port: number): number {
    return this.counters[port * COUNTERS + COUNTER_RECORDED] ?? 0
  }

  droppedOf(port: number): number {
    return this.counters[port * COUNTERS + COUNTER_DROPPED] ?? 0
  }

  /** Bytes of frames taken into the ring. */
  get recordedBytes(): number {
    return this.totals[TOTAL_BYTES]
  }

  /** Frames that the capture's filter did not want. */
  refusedOf(port: number): number {
    return this.counters[port * COUNTERS + COUNTER_REFUSED] ?? 0
  }

  /** Tells the consumer that it is to end once it has drained the ring. */
  close(): void {
    Atomics.store(this.control, CONTROL_CLOSING, 1)
    this.bell.ring()
  }

  get closing(): boolean {
    return Atomics.load(this.control, CONTROL_CLOSING) === 1
  }
}

/** Word views of the buffers that frames come from: as many as the frame pool has chunks. */
const wordViews = new WeakMap<Uint8Array, Int32Array>()

/** The engine's end: copies frames in, drops and counts them when there is no room, never waits. */
export class CaptureRingProducer extends CaptureRing implements CaptureSink {
  readonly snapLength: number
  private source: Uint8Array = new Uint8Array(0)
  private sourceWords: Int32Array = new Int32Array(0)
  private readonly comments = new Map<string, number>()

  constructor(memory: SharedArrayBuffer, snapLength: number, bell?: SharedArrayBuffer) {
    super(memory, bell)
    this.snapLength = snapLength
  }

  refuse(port: number): void {
    if (port >>> 0 < this.interfaces) this.counters[port * COUNTERS + COUNTER_REFUSED]++
  }

  /** Its number, -1 when there is no room. The text goes into the ring once, before the first frame that has it. */
  comment(text: string): number {
    let number = this.comments.get(text)
    if (number !== undefined) return number
    if (this.comments.size === COMMENTS_MAX) return -1
    // Numbers of `addComment` count up from 0, these down from -2.
    number = -2 - this.comments.size
    const bytes = encoder.encode(text)
    const unit = this.claim(HEADER_UNITS + ((bytes.length + 7) >>> 3))
    if (unit < 0) return -1
    const at = unit << 1
    this.words[at + 1] = COMMENT_PORT
    this.words[at + 5] = bytes.length << 2
    this.words[at + 9] = number
    this.bytes.set(bytes, (at + HEADER_WORDS) * 4)
    this.comments.set(text, number)
    return number
  }

  record(frame: FrameRecord): boolean {
    const { port, bytes, captured } = frame
    const { words, totals, counters } = this
    const skew = (bytes.byteOffset + frame.at) & 3
    const unit = port >>> 0 >= this.interfaces ? NO_ROOM : this.claim(HEADER_UNITS + ((skew + captured + 7) >>> 3))
    if (unit === NO_ROOM) return this.drop(port)
    const at = unit << 1
    const counter = port * COUNTERS
    words[at + 1] = port
    this.doubles[unit + 1] = frame.timestamp
    words[at + 4] = frame.original
    words[at + 5] = (captured << 2) | skew
    words[at + 6] = frame.flags
    words[at + 7] = frame.packetId
    words[at + 8] = frame.verdict
    words[at + 9] = frame.comment
    words[at + 10] = frame.lost + counters[counter + COUNTER_LOST]
    words[at + 11] = frame.checksum
    words[at + 12] = (frame.gsoType << 16) | frame.gsoSize
    words[at + 13] = frame.headerLength
    this.copy(bytes, frame.at, captured, at + HEADER_WORDS, skew)
    counters[counter + COUNTER_LOST] = 0
    counters[counter + COUNTER_RECORDED]++
    totals[TOTAL_RECORDED]++
    totals[TOTAL_BYTES] += captured
    return true
  }

  /** Room for a record of `size` units, which is in the ring from here on: its unit in the data, or NO_ROOM. */
  private claim(size: number): number {
    const { words, control } = this
    const mask = this.capacity - 1
    let head = control[CONTROL_HEAD]
    // A record that would wrap also needs the rest of the data before the front.
    const rest = this.capacity - (head & mask)
    if (!this.hasRoom(head, size > rest ? rest + size : size)) return NO_ROOM
    if (size > rest) {
      words[(head & mask) << 1] = -rest
      head = (head + rest) | 0
    }
    const unit = head & mask
    words[unit << 1] = size
    control[CONTROL_HEAD] = (head + size) | 0
    return unit
  }

  publish(): void {
    const { control } = this
    const head = control[CONTROL_HEAD]
    if (head === control[CONTROL_PUBLISHED]) return
    Atomics.store(control, CONTROL_PUBLISHED, head)
    // The consumer looks by itself often enough for a live view; a call to the kernel is worth it only when it is late.
    if (!this.bell.isAsleep) return
    const used = (head - Atomics.load(control, CONTROL_CONSUMED)) | 0
    if (used >= this.capacity >>> 2) this.bell.ring()
  }

  private hasRoom(head: number, need: number): boolean {
    const { control } = this
    if (((head - control[CONTROL_TAIL_SEEN]) | 0) + need <= this.capacity) return true
    this.publish()
    control[CONTROL_TAIL_SEEN] = Atomics.load(control, CONTROL_CONSUMED)
    return ((head - control[CONTROL_TAIL_SEEN]) | 0) + need <= this.capacity
  }

  private drop(port: number): false {
    this.totals[TOTAL_DROPPED]++
    if (port >>> 0 < this.interfaces) {
      this.counters[port * COUNTERS + COUNTER_DROPPED]++
      this.counters[port * COUNTERS + COUNTER_LOST]++
    }
    return false
  }

  /** Copies by words from the word that holds the first byte on; the last, partial word by bytes. */
  private copy(bytes: Uint8Array, from: number, length: number, toWord: number, skew: number): void {
    if (length > WORD_COPY_LIMIT) {
      this.bytes.set(bytes.subarray(from, from + length), toWord * 4 + skew)
      return
    }
    if (bytes !== this.source) this.useSource(bytes)
    const { words, sourceWords } = this
    const whole = skew + length
    let word = ((bytes.byteOffset & 3) + from) >>> 2
    let to = toWord
    // Eight at a time: twice as fast as one by one.
    for (const end = word + ((whole >>> 2) & ~7); word < end; word = (word + 8) | 0, to = (to + 8) | 0) {
      words[to] = sourceWords[word]
      words[to + 1] = sourceWords[word + 1]
      words[to + 2] = sourceWords[word + 2]
      words[to + 3] = sourceWords[word + 3]
      words[to + 4] = sourceWords[word + 4]
      words[to + 5] = sourceWords[word + 5]
      words[to + 6] = sourceWords[word + 6]
      words[to + 7] = sourceWords[word + 7]
    }
    for (let rest = (whole >>> 2) & 7; rest > 0; rest--) words[to++] = sourceWords[word++]
    const end = from + length
    for (let at = end - (whole & 3), byte = to * 4; at < end; at++, byte++) {
      if (at >= 0) this.bytes[byte] = bytes[at]
    }
  }

  private useSource(bytes: Uint8Array): void {
    let view = wordViews.get(bytes)
    if (view === undefined) {
      const base = bytes.byteOffset & ~3
      view = new Int32Array(bytes.buffer, base, (bytes.byteOffset + bytes.byteLength - base) >>> 2)
      wordViews.set(bytes, view)
    }
    this.source = bytes
    this.sourceWords = view
  }
}

/** The writer thread's end. */
export class CaptureRingConsumer extends CaptureRing {
  private readonly record = new FrameRecord()
  private tail: number

  constructor(memory: SharedArrayBuffer, bell?: SharedArrayBuffer) {
    super(memory, bell)
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
   * not throw. `define` hears the texts of comments by their numbers. Gives the number of frames.
   */
  drain(head: number, visit: (record: FrameRecord) => void, define?: (comment: number, text: string) => void): number {
    const { record, words } = this
    const step = this.capacity >>> 3
    let released = this.tail
    let count = 0
    while (this.tail !== head) {
      const unit = this.tail & (this.capacity - 1)
      const at = unit << 1
      const size = words[at]
      if (size < 0) {
        this.tail = (this.tail - size) | 0
        continue
      }
      if (words[at + 1] === COMMENT_PORT) {
        const from = (at + HEADER_WORDS) * 4
        // A decoder takes no shared memory.
        define?.(words[at + 9], decoder.decode(this.bytes.slice(from, from + (words[at + 5] >>> 2))))
        this.tail = (this.tail + size) | 0
        continue
      }
      record.port = words[at + 1]
      record.timestamp = this.doubles[unit + 1]
      record.original = words[at + 4]
      record.captured = words[at + 5] >>> 2
      record.flags = words[at + 6]
      record.packetId = words[at + 7]
      record.verdict = words[at + 8]
      record.comment = words[at + 9]
      record.lost = words[at + 10]
      record.checksum = words[at + 11]
      record.gsoSize = words[at + 12] & 0xffff
      record.gsoType = words[at + 12] >>> 16
      record.headerLength = words[at + 13]
      record.at = (at + HEADER_WORDS) * 4 + (words[at + 5] & 3)
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

  /** True when it is no time to sleep: the end has been told, or a quarter of the ring is full. */
  get isUrgent(): boolean {
    return this.closing || ((this.published() - this.tail) | 0) >= this.capacity >>> 2
  }

  /** True when there is something to drain. */
  get hasWork(): boolean {
    return this.published() !== this.tail
  }
}
