import type { ByteSink } from './block-buffer.ts'
import { type CaptureCounts, type CaptureOptions, CaptureRecorder } from './capture-recorder.ts'
import { FileSink } from './file-sink.ts'
import { type CaptureSink, FrameRecord } from './frame-record.ts'
import { type AddressNames, DEFAULT_SNAP_LENGTH, type InterfaceInfo } from './pcapng-writer.ts'

export interface InlineCaptureOptions extends CaptureOptions {
  /** Hears of the first failure to write; after it, frames are counted as dropped. */
  onError?: (error: Error) => void
}

/**
 * A capture written by the thread that records it, for an engine in-process under a virtual clock: no ring, no thread,
 * nothing dropped, and the same calls give the same bytes.
 */
export class InlineCaptureFile implements CaptureSink {
  readonly snapLength: number
  /** '' of one that is no file. */
  readonly path: string
  /** Frames encoded by now. */
  recorded = 0
  /** Bytes of those. */
  recordedBytes = 0
  private readonly recorder: CaptureRecorder
  private readonly file: FileSink | undefined
  private readonly onError: ((error: Error) => void) | undefined
  private readonly copy = new FrameRecord()
  private readonly recordedAt: number[] = []
  private readonly droppedAt: number[] = []
  private readonly refusedAt: number[] = []
  /** Numbers of texts that the engine gave. */
  private readonly texts = new Map<string, number>()
  private offered = 0
  private comments = 0
  private reported = false

  private constructor(sink: ByteSink, file: FileSink | undefined, options: InlineCaptureOptions) {
    this.file = file
    this.path = file?.path ?? ''
    this.snapLength = options.snapLength ?? DEFAULT_SNAP_LENGTH
    this.onError = options.onError
    this.recorder = new CaptureRecorder(sink, options)
  }

  /** Replaces the file at `path`. Throws CaptureFileError. */
  static open(path: string, options: InlineCaptureOptions = {}): InlineCaptureFile {
    const file = new FileSink(path)
    return new InlineCaptureFile(file, file, options)
  }

  /** Writes to any sink, such as memory. */
  static into(sink: ByteSink, options: InlineCaptureOptions = {}): InlineCaptureFile {
    return new InlineCaptureFile(sink, undefined, options)
  }

  /** Frames offered that are not in the file. */
  get dropped(): number {
    return this.offered - this.recorded
  }

  /** The interface's number for `FrameRecord.port`. */
  addInterface(info: InterfaceInfo): number {
    this.recorder.addInterface(info)
    this.droppedAt.push(0)
    this.refusedAt.push(0)
    return this.recordedAt.push(0) - 1
  }

  /** The text's number for `FrameRecord.comment`. */
  addComment(text: string): number {
    this.recorder.addComment(text)
    return this.comments++
  }

  addNames(entries: AddressNames[]): void {
    this.recorder.addNames(entries)
  }

  refuse(port: number): void {
    if (port >>> 0 < this.refusedAt.length) this.refusedAt[port] += 1
  }

  comment(text: string): number {
    let number = this.texts.get(text)
    if (number === undefined) {
      // As in the ring: those of `addComment` count up from 0.
      number = -2 - this.texts.size
      this.texts.set(text, number)
      this.recorder.defineComment(number, text)
    }
    return number
  }

  record(frame: FrameRecord): boolean {
    this.offered++
    const { port } = frame
    if (port >>> 0 >= this.recordedAt.length) return false
    this.recorder.write(frame.checksum === 0 ? frame : this.copyOf(frame))
    if (this.recorder.failure === undefined) {
      this.recordedAt[port] += 1
      this.recorded++
      this.recordedBytes += frame.captured
      return true
    }
    this.droppedAt[port] += 1
    this.report()
    return false
  }

  /** Nothing waits: the encoder writes when its buffer is full, and at the end. */
  publish(): void {}

  /** Writes what is gathered, so that the file can be read now. */
  flush(): void {
    this.recorder.flush()
    this.report()
  }

  close(): CaptureCounts {
    this.recorder.finish({
      recordedOf: (port) => this.recordedAt[port],
      droppedOf: (port) => this.droppedAt[port],
      refusedOf: (port) => this.refusedAt[port]
    })
    this.report()
    this.file?.close()
    const { frames, bytes } = this.recorder
    return { frames, dropped: this.offered - frames, bytes }
  }

  private copyOf(frame: FrameRecord): FrameRecord {
    Object.assign(this.copy, frame)
    this.copy.bytes = frame.bytes.slice(frame.at, frame.at + frame.captured)
    this.copy.at = 0
    return this.copy
  }

  private report(): void {
    if (this.recorder.failure === undefined || this.reported) return
    this.reported = true
    this.onError?.(this.recorder.failure)
  }
}
