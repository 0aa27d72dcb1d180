import { completeChecksum } from '../wire/checksum.ts'
import { type ByteSink, optionText } from './block-buffer.ts'
import type { FrameRecord } from './frame-record.ts'
import { PcapWriter } from './pcap-writer.ts'
import { type AddressNames, type InterfaceInfo, PcapngWriter, type SectionOptions } from './pcapng-writer.ts'
import { SuperFrameCutter } from './super-frame-cutter.ts'

export interface CaptureOptions {
  /** pcapng when absent. */
  format?: 'pcapng' | 'pcap'
  /** Bytes kept per frame; all of any frame when absent. */
  snapLength?: number
  /** ns since 1970 at timestamp 0 of the frames (the engine's start); 0 when absent. */
  baseTime?: bigint
  /** pcapng only. Nothing is filled in by itself. */
  section?: SectionOptions
  /** Cut super-frames into the packets that a device would make of them, as far as they were captured; default false. */
  segment?: boolean
}

/** What became of the frames offered to a capture. */
export interface CaptureCounts {
  /** Frames in the file. */
  frames: number
  /** Frames offered that are not in the file. */
  dropped: number
  /** Bytes in the file. */
  bytes: number
}

/** Where the closing statistics come from: frames of an interface by what became of them. */
export interface InterfaceCounters {
  recordedOf(port: number): number
  droppedOf(port: number): number
  refusedOf(port: number): number
}

/**
 * What the writer thread and the inline file share: interfaces, comments, frames and closing statistics go in, encoded
 * bytes go to a sink. The sink's first failure ends the writing: it is kept in `failure`, nothing is thrown.
 */
export class CaptureRecorder {
  /** Frames that the sink has taken; a super-frame that was cut is one. */
  frames = 0
  /** Bytes that the sink has taken. */
  bytes = 0
  failure: Error | undefined
  private readonly pcapng: PcapngWriter | undefined
  private readonly encoder: PcapngWriter | PcapWriter
  private readonly sink: ByteSink
  /** Where super-frames are cut. */
  private readonly cutter: SuperFrameCutter | undefined
  private readonly encode = (record: FrameRecord): void => this.encoder.writeFrame(record, this.comments.get(record.comment))
  private readonly comments = new Map<number, Uint8Array>()
  /** Of each interface, whether frames are chosen by a filter. */
  private readonly filtered: boolean[] = []
  private added = 0
  private encoded = 0
  private first = -1
  private last = -1

  constructor(sink: ByteSink, options: CaptureOptions) {
    this.sink = sink
    const out: ByteSink = { write: (bytes) => this.pass(bytes) }
    this.pcapng = options.format === 'pcap' ? undefined : new PcapngWriter(out, options)
    this.encoder = this.pcapng ?? new PcapWriter(out, options)
    this.cutter = options.segment ? new SuperFrameCutter() : undefined
  }

  addInterface(info: InterfaceInfo): void {
    this.filtered.push(info.filter !== undefined)
    this.pcapng?.addInterface(info)
  }

  /** The next text of those that are numbered from 0 on. */
  addComment(text: string): void {
    this.defineComment(this.added++, text)
  }

  /** A text under a number of its author's choice. */
  defineComment(number: number, text: string): void {
    this.comments.set(number, optionText(text))
  }

  addNames(entries: AddressNames[]): void {
    this.pcapng?.writeNames(entries)
  }

  /**
   * Encodes one frame. A partial checksum is completed in the record's own bytes when the whole frame is there, so these
   * must be a copy. A frame of an interface that was never added is left out: it would spoil the file.
   */
  write(record: FrameRecord): void {
    if (this.failure !== undefined || record.port >>> 0 >= this.filtered.length) return
    if (this.first === -1) this.first = record.timestamp
    this.last = record.timestamp
    this.encoded++
    if (this.cutter?.cut(record, this.encode)) return
    if (record.checksum !== 0 && record.captured === record.original) {
      completeChecksum(record.bytes, record.at, record.checksum >>> 16, record.checksum & 0xffff, record.at + record.captured)
    }
    this.encode(record)
  }

  flush(): void {
    this.encoder.flush()
  }

  /** Nothing more can be written: what comes is counted as dropped. `reached`: of what the sink had taken, what came to its place. */
  fail(error: Error, reached?: Pick<CaptureCounts, 'frames' | 'bytes'>): void {
    this.failure ??= error
    if (reached !== undefined) Object.assign(this, reached)
  }

  /**
   * Ends the capture: a statistics block for each interface, from the frames that it recorded, refused and dropped, and over the
   * time from the first to the last frame of the file (not of the clock: there may be none that runs).
   */
  finish(counters: InterfaceCounters): void {
    const times = this.first === -1 ? {} : { start: this.first, end: this.last }
    for (const [port, isFiltered] of this.filtered.entries()) {
      const recorded = counters.recordedOf(port)
      const dropped = counters.droppedOf(port)
      this.pcapng?.writeStatistics(port, {
        ...times,
        received: recorded + dropped + counters.refusedOf(port),
        dropped,
        ...(isFiltered && { accepted: recorded + dropped }),
        delivered: recorded
      })
    }
    this.flush()
  }

  private pass(bytes: Uint8Array): void {
    if (this.failure !== undefined) return
    try {
      this.sink.write(bytes)
      this.bytes += bytes.length
      this.frames = this.encoded
    } catch (error) {
      this.failure = error as Error
    }
  }
}
