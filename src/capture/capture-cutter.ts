import { CaptureFormatError } from './capture-error.ts'
import { MAX_BLOCK } from './capture-reader.ts'
import { PCAP_NANOSECOND_MAGIC } from './pcap-writer.ts'
import { Block, BYTE_ORDER_MAGIC } from './pcapng-format.ts'

/** A part of a capture that begins and ends between blocks. */
export interface CapturePiece {
  /**
   * head: a block without which those behind it mean nothing (section, interface, names, or the header of a pcap); every file begins
   * with all of them. frames: one or more. rest: statistics, and blocks unknown.
   */
  readonly kind: 'head' | 'frames' | 'rest'
  readonly bytes: Uint8Array
  /** Number of frames in it. */
  readonly frames: number
}

const NOTHING = new Uint8Array(0)
const PCAP_HEADER = 24
const PCAP_RECORD = 16
/** With so many bytes of a block its length is known. */
const KNOWN = 12
const HEAD_BLOCKS = new Set<number>([Block.section, Block.interface, Block.nameResolution])

/**
 * Cuts a capture that comes in pieces of any size where it may be cut: between blocks. What it reads is what netloom writes, one
 * section of pcapng or a pcap of nanoseconds, little-endian; nothing is copied but the block that two chunks share.
 *
 *     cutter.push(chunk)
 *     for (let piece = cutter.next(); piece !== null; piece = cutter.next()) write(piece.bytes)
 */
export class CaptureCutter {
  private bytes: Uint8Array = NOTHING
  private view: DataView = new DataView(NOTHING.buffer)
  private at = 0
  /** Behind them. */
  private later: Uint8Array = NOTHING
  /** Of `bytes` within the capture, for errors. */
  private offset = 0
  private format: 'pcapng' | 'pcap' | null = null

  /** Adds what comes next, when `next` has given all that it could. Throws CaptureFormatError as `next` does. */
  push(chunk: Uint8Array): void {
    let block = this.bytes.subarray(this.at)
    let used = 0
    // Only the block that two chunks share is copied.
    while (block.length > 0 && used < chunk.length) {
      this.use(block)
      const missing = this.blockSize(0) - block.length
      if (missing <= 0) break
      const taken = chunk.subarray(used, used + missing)
      block = Buffer.concat([block, taken])
      used += taken.length
    }
    if (block.length > 0) this.use(block)
    else this.use(chunk)
    this.later = block.length > 0 ? chunk.subarray(used) : NOTHING
  }

  /** Bytes that are no whole block yet. */
  get pending(): number {
    return this.bytes.length - this.at + this.later.length
  }

  /**
   * The next piece; null when no whole block is left. Frames that follow one another come together, `maxFrames` and `maxBytes` of them at
   * most, but always one. Throws CaptureFormatError for what is no capture of ours.
   */
  next(maxFrames = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY): CapturePiece | null {
    if (this.at === this.bytes.length && this.later.length > 0) {
      this.use(this.later)
      this.later = NOTHING
    }
    const start = this.at
    let length = this.blockLength(start)
    if (length === 0) return null
    const kind = this.kindAt(start)
    this.at += length
    if (kind !== 'frames') return { kind, bytes: this.bytes.subarray(start, this.at), frames: 0 }
    let frames = 1
    while (frames < maxFrames) {
      length = this.blockLength(this.at)
      if (length === 0 || this.kindAt(this.at) !== 'frames' || this.at + length - start > maxBytes) break
      this.at += length
      frames++
    }
    return { kind, bytes: this.bytes.subarray(start, this.at), frames }
  }

  private kindAt(at: number): CapturePiece['kind'] {
    if (this.format === 'pcap') return this.offset + at === 0 ? 'head' : 'frames'
    const type = this.view.getUint32(at, true)
    return type === Block.enhancedPacket ? 'frames' : HEAD_BLOCKS.has(type) ? 'head' : 'rest'
  }

  /** Goes on with these bytes, which follow on what has been given. */
  private use(bytes: Uint8Array): void {
    this.offset += this.at
    this.at = 0
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Of the block at `at`; 0 when it is not whole. */
  private blockLength(at: number): number {
    const length = this.blockSize(at)
    return length <= this.bytes.length - at ? length : 0
  }

  /** What the block at `at` says that it has; where that is not there yet, the bytes that are needed to know. */
  private blockSize(at: number): number {
    if (this.bytes.length - at < KNOWN) return KNOWN
    this.format ??= this.formatAt(at)
    let length: number
    if (this.format === 'pcapng') length = this.view.getUint32(at + 4, true)
    else if (this.offset + at === 0) length = PCAP_HEADER
    else length = PCAP_RECORD + this.view.getUint32(at + 8, true)
    if (length < KNOWN || length > MAX_BLOCK) throw new CaptureFormatError(`a block of ${length} bytes`, this.offset + at)
    return length
  }

  private formatAt(at: number): 'pcapng' | 'pcap' {
    const magic = this.view.getUint32(at, true)
    if (magic === PCAP_NANOSECOND_MAGIC) return 'pcap'
    if (magic === Block.section && this.view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC) return 'pcapng'
    throw new CaptureFormatError(`neither pcap nor pcapng: it begins with 0x${magic.toString(16)}`, this.offset + at)
  }
}
