import { BlockBuffer, type ByteSink } from './block-buffer.ts'
import type { FrameRecord } from './frame-record.ts'
import { LINKTYPE_ETHERNET } from './pcapng-format.ts'
import { DEFAULT_SNAP_LENGTH } from './pcapng-writer.ts'

export interface PcapWriterOptions {
  snapLength?: number
  /** LINKTYPE_ number of every frame; Ethernet when absent. */
  linkType?: number
  /** ns since 1970 at timestamp 0 of the records. */
  baseTime?: bigint
  bufferSize?: number
}

/** File magic of a classic pcap with nanoseconds. */
export const PCAP_NANOSECOND_MAGIC = 0xa1b2_3c4d
const SECOND = 1e9
const HEADER = 16

/**
 * Writes a classic pcap file (draft-ietf-opsawg-pcap), little-endian, nanoseconds, one link type.
 *
 *   record:  | seconds 4 | nanoseconds 4 | captured 4 | original 4 | captured bytes |
 *
 * It has no place for interface, direction, comment, verdict or counts: those of a record are left out.
 * Seconds are 32 bits: the year 2106 ends it.
 */
export class PcapWriter {
  readonly snapLength: number
  private readonly out: BlockBuffer
  private readonly baseSeconds: number
  private readonly baseNanoseconds: number

  constructor(sink: ByteSink, options: PcapWriterOptions = {}) {
    this.snapLength = options.snapLength ?? DEFAULT_SNAP_LENGTH
    this.out = new BlockBuffer(sink, options.bufferSize ?? 1 << 20)
    const base = options.baseTime ?? 0n
    this.baseSeconds = Number(base / 1_000_000_000n)
    this.baseNanoseconds = Number(base % 1_000_000_000n)
    const { out } = this
    out.reserve(24)
    out.u32(PCAP_NANOSECOND_MAGIC)
    out.u16(2)
    out.u16(4)
    out.u32(0)
    out.u32(0)
    out.u32(this.snapLength)
    out.u32(options.linkType ?? LINKTYPE_ETHERNET)
  }

  writeFrame(frame: FrameRecord): void {
    const { out } = this
    const captured = Math.min(frame.captured, this.snapLength)
    out.reserve(HEADER + captured)
    const whole = Math.floor(frame.timestamp)
    let seconds = Math.floor(whole / SECOND)
    let nanoseconds = whole - seconds * SECOND + this.baseNanoseconds
    seconds += this.baseSeconds
    if (nanoseconds >= SECOND) {
      nanoseconds -= SECOND
      seconds++
    }
    out.u32(seconds)
    out.u32(nanoseconds)
    out.u32(captured)
    out.u32(frame.original)
    out.bytes.set(frame.bytes.subarray(frame.at, frame.at + captured), out.end)
    out.end += captured
  }

  flush(): void {
    this.out.flush()
  }
}
