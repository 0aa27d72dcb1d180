/**
 * Entry of the capture's writer thread: drains the ring into the file. It blocks on the ring and has no event loop;
 * commands are taken from their port between two rounds, so that an interface is known before its first frame.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { CaptureFileError } from './capture-error.ts'
import { type CaptureCounts, type CaptureOptions, CaptureRecorder } from './capture-recorder.ts'
import { CaptureRingConsumer } from './capture-ring.ts'
import { FileSink } from './file-sink.ts'
import type { AddressNames, InterfaceInfo } from './pcapng-writer.ts'

export interface CaptureWorkerData {
  path: string
  options: CaptureOptions
  ring: SharedArrayBuffer
  commands: MessagePort
}

export type CaptureCommand =
  | { type: 'interface'; info: InterfaceInfo }
  | { type: 'comment'; text: string }
  | { type: 'names'; entries: AddressNames[] }

/** `failed` before `opened`: there is no capture. After it: nothing more is written, the frames are still drained. */
export type CaptureReport =
  | { type: 'opened' }
  | { type: 'failed'; code: string; message: string }
  | { type: 'closed'; counts: CaptureCounts }

/** A live reader of the file is at most this far behind, in ms. */
const FLUSH_INTERVAL = 50

function main({ path, options, ring: memory, commands }: CaptureWorkerData): void {
  let file: FileSink
  try {
    file = new FileSink(path)
  } catch (error) {
    return report(failure(error))
  }
  const ring = new CaptureRingConsumer(memory)
  const recorder = new CaptureRecorder(file, options)
  recorder.flush()
  report({ type: 'opened' })
  let failed = false
  const visit = recorder.write.bind(recorder)
  for (;;) {
    // The order matters: what was recorded before the end, and commanded before the record, is seen in this round.
    const closing = ring.closing
    const head = ring.published()
    takeCommands(commands, recorder)
    ring.drain(head, visit)
    if (closing) recorder.finish(ring.recordedOf.bind(ring), ring.droppedOf.bind(ring))
    else recorder.flush()
    if (recorder.failure !== undefined && !failed) {
      failed = true
      report(failure(recorder.failure))
    }
    if (closing) break
    ring.sleep(FLUSH_INTERVAL)
  }
  file.close()
  const { frames, bytes } = recorder
  report({ type: 'closed', counts: { frames, bytes, dropped: ring.recorded + ring.dropped - frames } })
}

function takeCommands(commands: MessagePort, recorder: CaptureRecorder): void {
  for (;;) {
    const received = receiveMessageOnPort(commands)
    if (received === undefined) return
    const command = received.message as CaptureCommand
    if (command.type === 'interface') recorder.addInterface(command.info)
    else if (command.type === 'comment') recorder.addComment(command.text)
    else recorder.addNames(command.entries)
  }
}

/** Errors lose their class between threads: the parts go over. */
function failure(error: unknown): CaptureReport {
  const { code, message } = error instanceof CaptureFileError ? error : { code: 'EIO', message: String(error) }
  return { type: 'failed', code, message }
}

function report(message: CaptureReport): void {
  parentPort!.postMessage(message)
}

main(workerData as CaptureWorkerData)
