import { CaptureFileError } from './capture-error.ts'
import type { CaptureCommand, CaptureReport } from './capture-protocol.ts'
import type { CaptureCounts, CaptureOptions } from './capture-recorder.ts'
import { allocateCaptureRing, CaptureRing } from './capture-ring.ts'
import type { CaptureTarget } from './capture-tap.ts'
import { type AddressNames, DEFAULT_SNAP_LENGTH, type InterfaceInfo } from './pcapng-writer.ts'

export interface CaptureOutputOptions extends CaptureOptions {
  /** The file. Without one, a stream: `onPiece` takes it. */
  path?: string
  /**
   * Of a stream: takes the next piece, whole blocks, which is its own from here on. As long as what it returned is pending its capture may be
   * left to lose copies. What it throws or rejects with ends the writing.
   */
  onPiece?: (bytes: Uint8Array) => void | Promise<void>
  /** Bytes of the ring between the engine and the writer; a power of two (rounded up). 16 MiB when absent. */
  ringSize?: number
  /** Interfaces that the capture can have; 65,536 when absent. */
  maxInterfaces?: number
  /** Hears once of a failure while running (disk full ...): writing has stopped, traffic has not. */
  onError?: (error: CaptureFileError) => void
}

/** What its writer gives it. */
interface Link {
  readonly id: number
  readonly bell: SharedArrayBuffer
  readonly send: (command: CaptureCommand) => void
  /** Has the process live until the end of the capture. */
  readonly hold: () => void
}

/** One capture of a `CaptureWriter`, as the thread that opened it sees it. */
export class CaptureOutput {
  /** '' of a stream. */
  readonly path: string
  readonly snapLength: number
  /** The shared memory for the engine's `CaptureRingProducer`. */
  readonly ring: SharedArrayBuffer
  /** The failure that ended the writing, if one did. */
  error: CaptureFileError | undefined
  /** Resolves when the file has begun. */
  readonly begun: Promise<void>
  /** Resolves after `close`, or when the thread has ended. */
  readonly ended: Promise<CaptureCounts>
  private readonly options: CaptureOutputOptions
  private readonly link: Link
  private readonly view: CaptureRing
  private readonly settle: { begun: () => void; refused: (error: Error) => void; ended: (counts: CaptureCounts) => void }
  private interfaces = 0
  private comments = 0
  /** True while somebody waits for the thread: for the beginning, or for the end. */
  isWaiting = true

  constructor({ id, bell, send, hold, ...options }: CaptureOutputOptions & Link) {
    const { path, onPiece, ringSize, maxInterfaces, onError, ...encoding } = options
    if ((path === undefined) === (onPiece === undefined)) throw new TypeError('a capture has a path or takes pieces')
    this.options = options
    this.link = { id, bell, send, hold }
    this.path = path ?? ''
    this.snapLength = options.snapLength ?? DEFAULT_SNAP_LENGTH
    this.ring = allocateCaptureRing({ size: ringSize, interfaces: maxInterfaces })
    this.view = new CaptureRing(this.ring, bell)
    const begun = deferred<void>()
    const ended = deferred<CaptureCounts>()
    this.begun = begun.promise
    this.ended = ended.promise
    this.settle = { begun: begun.resolve, refused: begun.reject, ended: ended.resolve }
    send({ type: 'open', id, path, options: encoding, ring: this.ring })
  }

  /** What the engine is told: where copies go. */
  get target(): CaptureTarget {
    return { ring: this.ring, bell: this.link.bell, snapLength: this.snapLength }
  }

  /** Frames that went into the ring by now. */
  get recorded(): number {
    return this.view.recorded
  }

  /** Bytes of those. */
  get recordedBytes(): number {
    return this.view.recordedBytes
  }

  /** Copies that found no room in the ring by now. */
  get dropped(): number {
    return this.view.dropped
  }

  /** The interface's number for `FrameRecord.port`, usable at once. Throws RangeError beyond `maxInterfaces`. */
  addInterface(info: InterfaceInfo): number {
    if (this.interfaces === this.view.interfaces)
      throw new RangeError(`the capture ${this.path} has its ${this.interfaces} interfaces already`)
    this.link.send({ type: 'interface', id: this.link.id, info })
    return this.interfaces++
  }

  /** The text's number for `FrameRecord.comment`, usable at once. */
  addComment(text: string): number {
    this.link.send({ type: 'comment', id: this.link.id, text })
    return this.comments++
  }

  addNames(entries: AddressNames[]): void {
    this.link.send({ type: 'names', id: this.link.id, entries })
  }

  /**
   * Ends the file; further calls give the same counts. The engine must have let go of the ring before: what it records later is
   * lost uncounted. Never rejects: a failed capture has `error` and its frames are in `dropped`.
   */
  close(): Promise<CaptureCounts> {
    this.isWaiting = true
    this.link.hold()
    this.view.close()
    return this.ended
  }

  /** What the thread reports. */
  hear(report: CaptureReport): void {
    switch (report.type) {
      case 'opened':
        this.isWaiting = false
        this.settle.begun()
        break
      case 'piece':
        this.give(report.bytes)
        break
      case 'failed':
        this.fail(new CaptureFileError(report.message, report.code, this.path))
        break
      case 'closed':
        this.settle.ended(report.counts)
        break
    }
  }

  /** The thread has ended. */
  abandon(cause: Error): void {
    const error = CaptureFileError.from('write', this.path, cause)
    if (this.error === undefined) this.fail(error)
    this.settle.ended({ frames: 0, dropped: this.recorded + this.dropped, bytes: 0 })
  }

  private give(bytes: Uint8Array): void {
    const { id, send } = this.link
    const { length } = bytes
    const abort = (error: Error): void => send({ type: 'abort', id, message: error.message })
    try {
      const taken = this.options.onPiece!(bytes)
      if (taken === undefined) send({ type: 'credit', id, bytes: length })
      else taken.then(() => send({ type: 'credit', id, bytes: length }), abort)
    } catch (error) {
      abort(error as Error)
    }
  }

  private fail(error: CaptureFileError): void {
    this.settle.refused(error)
    if (this.error !== undefined) return
    this.error = error
    this.options.onError?.(error)
  }
}

/** A promise and its two ends (Promise.withResolvers comes with Node 22). */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
