/** The consuming thread of the ring's test: checks the order and the ends of every record, reports at the start and at the end. */
import { parentPort, workerData } from 'node:worker_threads'
import { CaptureRingConsumer } from '../../src/capture/capture-ring.ts'

const ring = new CaptureRingConsumer(workerData.memory)
export interface ConsumerReport {
  count: number
  bytes: number
  lost: number
  disorder: number
  corrupt: number
  sleeps: number
}

const seen: ConsumerReport = { count: 0, bytes: 0, lost: 0, disorder: 0, corrupt: 0, sleeps: 0 }
let last = 0
parentPort!.postMessage('started')
for (;;) {
  const closing = ring.closing
  ring.drain(ring.published(), ({ bytes, at, captured, packetId, lost }) => {
    seen.count++
    seen.bytes += captured
    seen.lost += lost
    if (packetId <= last) seen.disorder++
    last = packetId
    if (captured > 0 && (bytes[at] !== (packetId & 0xff) || bytes[at + captured - 1] !== (packetId & 0xff))) seen.corrupt++
  })
  if (closing) break
  ring.bell.sleep(5, () => ring.isUrgent)
  seen.sleeps++
}
parentPort!.postMessage(seen)
