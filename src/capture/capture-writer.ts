import { MessageChannel, Worker } from 'node:worker_threads'
import { CaptureOutput, type CaptureOutputOptions } from './capture-output.ts'
import type { CaptureCommand, CaptureReport, CaptureWorkerData } from './capture-protocol.ts'
import { Doorbell } from './doorbell.ts'

interface Thread {
  readonly worker: Worker
  /** See CaptureWorkerData. */
  readonly bell: SharedArrayBuffer
  readonly send: (command: CaptureCommand) => void
  readonly exited: Promise<void>
}

/**
 * The thread that writes captures, one for any number of them: files by itself, streams in pieces that come back to this thread. Each
 * capture has a ring to the engine's thread, so that a slow disk or reader costs copies of that capture, never traffic.
 *
 *     const writer = new CaptureWriter()
 *     const output = await writer.open({ path: 'run.pcapng', snapLength: 256 })
 *     const port = output.addInterface({ name: 'demo-net/web' })
 *     // engine thread: new CaptureTap(output.target)
 *     await output.close()   // once the engine has let go of the ring
 *
 * It begins with the first capture and keeps no process alive. A process that ends without `close` loses at most the last 50 ms.
 */
export class CaptureWriter {
  private readonly outputs = new Map<number, CaptureOutput>()
  private thread: Thread | null = null
  private opened = 0

  /** A file at `path` is replaced. Rejects with CaptureFileError when it cannot be written. */
  async open(options: CaptureOutputOptions): Promise<CaptureOutput> {
    const thread = (this.thread ??= this.begin())
    const id = this.opened++
    const { bell, worker, send } = thread
    worker.ref()
    const output = new CaptureOutput({ ...options, id, bell, send, hold: () => worker.ref() })
    this.outputs.set(id, output)
    const end = (): void => {
      this.outputs.delete(id)
      this.rest(worker)
    }
    output.ended.then(end, end)
    try {
      await output.begun
    } catch (error) {
      this.outputs.delete(id)
      throw error
    } finally {
      this.rest(worker)
    }
    return output
  }

  /** Ends the thread once all captures have been closed. */
  async close(): Promise<void> {
    const { thread } = this
    if (thread === null) return
    this.thread = null
    thread.worker.ref()
    thread.send({ type: 'end' })
    await thread.exited
  }

  /** An open capture is no reason for a process to live on; one that is being opened or closed is. */
  private rest(worker: Worker): void {
    for (const { isWaiting } of this.outputs.values()) if (isWaiting) return
    // Else it is about to end.
    if (this.thread?.worker === worker) worker.unref()
  }

  private begin(): Thread {
    const { port1, port2 } = new MessageChannel()
    const bell = new SharedArrayBuffer(8)
    const words = new Int32Array(bell)
    const doorbell = new Doorbell(words)
    const worker = new Worker(new URL('./capture-worker.js', import.meta.url), {
      workerData: { bell, commands: port2 } satisfies CaptureWorkerData,
      transferList: [port2],
      name: 'capture',
      // Flags of the main thread such as --input-type are not for a worker.
      execArgv: []
    })
    let failure = new Error('its writer ended early')
    worker.on('message', (report: CaptureReport) => this.outputs.get(report.id)?.hear(report))
    worker.on('error', (error) => {
      failure = error as Error
    })
    const exited = new Promise<void>((resolve) => {
      worker.on('exit', () => {
        port1.close()
        if (this.thread?.worker === worker) this.thread = null
        for (const output of this.outputs.values()) output.abandon(failure)
        resolve()
      })
    })
    const send = (command: CaptureCommand): void => {
      port1.postMessage(command)
      // Counted, so that a thread that is about to sleep sees that there is one.
      Atomics.add(words, 1, 1)
      doorbell.ring()
    }
    return { worker, bell, send, exited }
  }
}
