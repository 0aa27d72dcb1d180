import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { CaptureFileError } from './capture-error.ts'
import type { CaptureCounts, CaptureOptions } from './capture-recorder.ts'
import { allocateCaptureRing, CaptureRing } from './capture-ring.ts'
import type { CaptureCommand, CaptureReport, CaptureWorkerData } from './capture-worker.ts'
import { type AddressNames, DEFAULT_SNAP_LENGTH, type InterfaceInfo } from './pcapng-writer.ts'

export interface CaptureFileOptions extends CaptureOptions {
  path: string
  /** Bytes of the ring between the engine and the writer; a power of two (rounded up). 16 MiB when absent. */
  ringSize?: number
  /** Interfaces that the capture can have; 65,536 when absent. */
  maxInterfaces?: number
  /** Hears once of a failure while running (disk full ...): writing has stopped, traffic has not. */
  onError?: (error: CaptureFileError) => void
}

/**
 * A capture file that a thread of its own writes, fed through a shared ring: a slow disk drops copies, never traffic.
 *
 *     const capture = await CaptureFile.open({ path: 'run.pcapng', snapLength: 256 })
 *     const port = capture.addInterface({ name: 'demo-net/web' })
 *     // engine thread: new CaptureRingProducer(capture.ring, capture.snapLength)
 *     await capture.close()   // once the engine has let go of the ring
 *
 * Until `close` the file is at most 50 ms behind. A process that ends without `close` loses at most that.
 */
export class CaptureFile {
  readonly path: string
  readonly snapLength: number
  /** The shared memory for the engine's `CaptureRingProducer`. */
  readonly ring: SharedArrayBuffer
  /** The failure that ended the writing, if one did. */
  error: CaptureFileError | undefined
  private readonly view: CaptureRing
  private readonly worker: Worker
  private readonly commands: MessagePort
  private interfaces = 0
  private comments = 0
  private readonly opened: Promise<void>
  private readonly closed: Promise<CaptureCounts>

  /** Replaces the file at `path`. Rejects with CaptureFileError when it cannot be written. */
  static async open(options: CaptureFileOptions): Promise<CaptureFile> {
    const file = new CaptureFile(options)
    await file.opened
    // An open capture is no reason for a process to live on.
    file.worker.unref()
    return file
  }

  private constructor(options: CaptureFileOptions) {
    const { path, ringSize, maxInterfaces, onError, ...rest } = options
    this.path = path
    this.snapLength = options.snapLength ?? DEFAULT_SNAP_LENGTH
    this.ring = allocateCaptureRing({ size: ringSize, interfaces: maxInterfaces })
    this.view = new CaptureRing(this.ring)
    const { port1, port2 } = new MessageChannel()
    this.commands = port1
    const workerData: CaptureWorkerData = { path, options: rest, ring: this.ring, commands: port2 }
    this.worker = new Worker(new URL('./capture-worker.js', import.meta.url), {
      workerData,
      transferList: [port2],
      name: 'capture',
      // Flags of the main thread such as --input-type are not for a worker.
      execArgv: []
    })
    const opened = deferred<void>()
    const closed = deferred<CaptureCounts>()
    this.opened = opened.promise
    this.closed = closed.promise
    const fail = (error: CaptureFileError): void => {
      opened.reject(error)
      if (this.error !== undefined) return
      this.error = error
      onError?.(error)
    }
    this.worker.on('message', (report: CaptureReport) => {
      if (report.type === 'opened') opened.resolve()
      else if (report.type === 'closed') closed.resolve(report.counts)
      else fail(new CaptureFileError(report.message, report.code, path))
    })
    this.worker.on('error', (error) => fail(CaptureFileError.from('write', path, error)))
    this.worker.on('exit', () => {
      port1.close()
      closed.resolve({ frames: 0, dropped: this.recorded + this.dropped, bytes: 0 })
      opened.reject(CaptureFileError.from('open', path, new Error('its writer ended early')))
    })
  }

  /** Frames that went into the ring by now. */
  get recorded(): number {
    return this.view.recorded
  }

  /** Copies that found no room in the ring by now. */
  get dropped(): number {
    return this.view.dropped
  }

  /** The interface's number for `FrameRecord.port`, usable at once. Throws RangeError beyond `maxInterfaces`. */
  addInterface(info: InterfaceInfo): number {
    if (this.interfaces === this.view.interfaces)
      throw new RangeError(`the capture ${this.path} has its ${this.interfaces} interfaces already`)
    this.send({ type: 'interface', info })
    return this.interfaces++
  }

  /** The text's number for `FrameRecord.comment`, usable at once. */
  addComment(text: string): number {
    this.send({ type: 'comment', text })
    return this.comments++
  }

  addNames(entries: AddressNames[]): void {
    this.send({ type: 'names', entries })
  }

  /**
   * Ends the file and its thread; further calls give the same counts. The engine must have let go of the ring before:
   * what it records later is lost uncounted. Never rejects: a failed capture has `error` and its frames are in `dropped`.
   */
  close(): Promise<CaptureCounts> {
    this.worker.ref()
    this.view.close()
    return this.closed
  }

  private send(command: CaptureCommand): void {
    this.commands.postMessage(command)
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
