/**
 * Entry of the writer thread: drains the rings of all captures into their files and streams. It blocks at one doorbell and has no event
 * loop; commands are taken from their port between two rounds, so that an interface is known before its first frame.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { ByteSink } from './block-buffer.ts'
import { CaptureFileError } from './capture-error.ts'
import type { CaptureCommand, CaptureReport, CaptureWorkerData } from './capture-protocol.ts'
import { CaptureRecorder } from './capture-recorder.ts'
import { CaptureRingConsumer } from './capture-ring.ts'
import { Doorbell } from './doorbell.ts'
import { FifoSink } from './fifo-sink.ts'
import { FileSink } from './file-sink.ts'

/** A live reader of the file is at most this far behind, in ms. */
const FLUSH_INTERVAL = 50
/** Between two looks when there is nothing to write, in ms: whoever brings something rings. */
const IDLE_INTERVAL = 1000
/** The same when a FIFO has not taken all that it should: its reader may be quick. */
const PUSH_INTERVAL = 2
/** Bytes under way to a stream's reader, from which on its ring is left to fill up. */
const STREAM_CREDIT = 4 << 20

/** Pieces that the main thread hands on. */
class StreamSink implements ByteSink {
  /** Bytes that the reader has not taken yet. */
  outstanding = 0
  private readonly id: number

  constructor(id: number) {
    this.id = id
  }

  write(bytes: Uint8Array): void {
    const copy = bytes.slice()
    this.outstanding += copy.length
    parentPort!.postMessage({ type: 'piece', id: this.id, bytes: copy } satisfies CaptureReport, [copy.buffer])
  }
}

class Output {
  readonly id: number
  readonly ring: CaptureRingConsumer
  readonly recorder: CaptureRecorder
  private readonly sink: FileSink | FifoSink | StreamSink
  private readonly visit: CaptureRecorder['write']
  private readonly define: CaptureRecorder['defineComment']
  private closing = false
  private head = 0
  private isMarked = false
  private failed = false
  private isFinished = false
  /** What has come to its place for certain: a FIFO keeps what its reader has not taken. */
  private reached = { frames: 0, bytes: 0 }

  /** Throws CaptureFileError. */
  constructor({ id, path, options, ring }: Extract<CaptureCommand, { type: 'open' }>) {
    this.id = id
    this.sink = path === undefined ? new StreamSink(id) : FifoSink.isFifo(path) ? new FifoSink(path) : new FileSink(path)
    this.ring = new CaptureRingConsumer(ring)
    this.recorder = new CaptureRecorder(this.sink, options)
    this.visit = this.recorder.write.bind(this.recorder)
    this.define = this.recorder.defineComment.bind(this.recorder)
  }

  /** What is in the ring by now, and whether that is all: before the commands are taken. */
  mark(): void {
    this.closing = this.ring.closing
    this.head = this.ring.published()
    this.isMarked = true
  }

  /** Writes what was marked. True when that was the end. */
  work(): boolean {
    const { ring, recorder } = this
    if (!this.isMarked) return false
    this.push()
    if (!this.isFinished && (!this.isStuck || this.closing)) {
      ring.drain(this.head, this.visit, this.define)
      if (this.closing) recorder.finish(ring)
      else recorder.flush()
      this.isFinished = this.closing
    }
    if (recorder.failure === undefined && !this.keeps) this.reached = { frames: recorder.frames, bytes: recorder.bytes }
    if (recorder.failure !== undefined && !this.failed) {
      this.failed = true
      if (this.sink instanceof FifoSink) recorder.fail(recorder.failure, this.reached)
      report({ type: 'failed', id: this.id, ...describe(recorder.failure) })
    }
    const isEnd = this.isFinished && !this.keeps
    if (isEnd) this.end()
    return isEnd
  }

  /** The reader took so many bytes. */
  credit(bytes: number): void {
    if (this.sink instanceof StreamSink) this.sink.outstanding -= bytes
  }

  get isUrgent(): boolean {
    return (this.ring.closing && !this.isFinished) || (this.ring.isUrgent && !this.isStuck)
  }

  /** Whether a FIFO has to be pushed again. */
  get keeps(): boolean {
    return this.sink instanceof FifoSink && this.sink.isStuck
  }

  /** The reader has more than it takes: copies are lost in the ring from now on, and counted there. */
  private get isStuck(): boolean {
    if (this.recorder.failure !== undefined) return false
    return this.sink instanceof StreamSink ? this.sink.outstanding >= STREAM_CREDIT : this.keeps
  }

  private push(): void {
    try {
      if (this.sink instanceof FifoSink) this.sink.push()
    } catch (error) {
      this.recorder.fail(error as CaptureFileError)
    }
  }

  private end(): void {
    if (!(this.sink instanceof StreamSink)) this.sink.close()
    const { frames, bytes } = this.recorder
    report({ type: 'closed', id: this.id, counts: { frames, bytes, dropped: this.ring.recorded + this.ring.dropped - frames } })
  }
}

class CaptureThread {
  private readonly outputs = new Map<number, Output>()
  private readonly data: CaptureWorkerData
  private readonly words: Int32Array
  private readonly bell: Doorbell
  private taken = 0
  private ends = false

  constructor(data: CaptureWorkerData) {
    this.data = data
    this.words = new Int32Array(data.bell)
    this.bell = new Doorbell(this.words)
  }

  run(): void {
    while (!this.ends || this.outputs.size > 0) {
      // The order matters: what was recorded before the end, and commanded before the record, is seen in this round.
      for (const output of this.outputs.values()) output.mark()
      this.takeCommands()
      for (const output of this.outputs.values()) if (output.work()) this.outputs.delete(output.id)
      if (!this.ends || this.outputs.size > 0) this.bell.sleep(this.interval, () => this.isBusy)
    }
  }

  private get interval(): number {
    if (this.outputs.size === 0) return IDLE_INTERVAL
    for (const output of this.outputs.values()) if (output.keeps) return PUSH_INTERVAL
    return FLUSH_INTERVAL
  }

  private get isBusy(): boolean {
    if (Atomics.load(this.words, 1) !== this.taken) return true
    for (const output of this.outputs.values()) if (output.isUrgent) return true
    return false
  }

  private takeCommands(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.data.commands)
      if (received === undefined) return
      this.taken = (this.taken + 1) | 0
      this.obey(received.message as CaptureCommand)
    }
  }

  private obey(command: CaptureCommand): void {
    if (command.type === 'open') this.open(command)
    else if (command.type === 'end') this.ends = true
    else {
      // Of one that has ended: too late.
      const output = this.outputs.get(command.id)
      if (output === undefined) return
      if (command.type === 'interface') output.recorder.addInterface(command.info)
      else if (command.type === 'comment') output.recorder.addComment(command.text)
      else if (command.type === 'names') output.recorder.addNames(command.entries)
      else if (command.type === 'credit') output.credit(command.bytes)
      else output.recorder.fail(new CaptureFileError(command.message, 'EPIPE', ''))
    }
  }

  private open(command: Extract<CaptureCommand, { type: 'open' }>): void {
    try {
      const output = new Output(command)
      output.recorder.flush()
      this.outputs.set(output.id, output)
      report({ type: 'opened', id: command.id })
    } catch (error) {
      report({ type: 'failed', id: command.id, ...describe(error) })
    }
  }
}

/** Errors lose their class between threads: the parts go over. */
function describe(error: unknown): { code: string; message: string } {
  return error instanceof CaptureFileError ? { code: error.code, message: error.message } : { code: 'EIO', message: String(error) }
}

function report(message: CaptureReport): void {
  parentPort!.postMessage(message)
}

new CaptureThread(workerData as CaptureWorkerData).run()
