import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { CaptureFileError } from '../../src/capture/capture-error.ts'
import { CaptureFile } from '../../src/capture/capture-file.ts'
import { CaptureRingProducer } from '../../src/capture/capture-ring.ts'
import { CaptureWriter } from '../../src/capture/capture-writer.ts'
import { FifoSink } from '../../src/capture/fifo-sink.ts'
import { FileSink } from '../../src/capture/file-sink.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { missing, temporaryFolder } from './judge.ts'
import { recordOf, sampleFrame } from './sample-capture.ts'

const skip = missing('mkfifo')

function makeFifo(t: TestContext): string {
  const fifo = path.join(temporaryFolder(t), 'fifo')
  execFileSync('mkfifo', [fifo])
  return fifo
}

function failsWith(code: string) {
  return (error: CaptureFileError): boolean => error instanceof CaptureFileError && error.code === code
}

test('an existing file is replaced', (t) => {
  const file = path.join(temporaryFolder(t), 'x')
  writeFileSync(file, 'something long that was there')
  const sink = new FileSink(file)
  sink.write(Buffer.from('new'))
  sink.write(Buffer.from('er'))
  assert.equal(sink.length, 5)
  sink.close()
  assert.equal(readFileSync(file, 'utf8'), 'newer')
})

test('a FIFO that nobody reads is refused at once', { skip }, async (t) => {
  const fifo = makeFifo(t)
  assert.throws(() => new FileSink(fifo), failsWith('ENXIO'))
  await assert.rejects(CaptureFile.open({ path: fifo }), failsWith('ENXIO'))
})

test('a FIFO carries a live capture to its reader', { skip }, async (t) => {
  const fifo = makeFifo(t)
  const copy = path.join(path.dirname(fifo), 'copy')
  // Open for both, so that the reader's open does not wait for the writer's, nor the writer's for the reader's.
  const held = openSync(fifo, 'r+')
  const reader = spawn('cat', [fifo], { stdio: ['ignore', openSync(copy, 'w'), 'ignore'] })
  const capture = await CaptureFile.open({ path: fifo })
  capture.addInterface({ name: 'x' })
  const producer = new CaptureRingProducer(capture.ring, capture.snapLength)
  // More than a pipe holds: the writer has to wait for the reader.
  for (let i = 0; i < 500; i++) assert.ok(producer.record(recordOf(sampleFrame(1514, i))))
  producer.publish()
  assert.equal((await capture.close()).frames, 500)
  closeSync(held)
  await once(reader, 'exit')
  assert.equal([...readCapture(copy)].length, 500)
})

test('a FIFO whose reader goes, and one whose reader is stuck', { skip }, (t) => {
  const fifo = makeFifo(t)
  const reader = openSync(fifo, 'r+')
  const sink = new FileSink(fifo, 2)
  assert.throws(() => sink.write(new Uint8Array(1 << 20)), failsWith('ETIMEDOUT'))
  closeSync(reader)
  assert.throws(() => sink.write(new Uint8Array(1)), failsWith('EPIPE'))
  sink.close()
})

test('a FIFO keeps what its reader has not taken, for so long', { skip }, (t) => {
  const fifo = makeFifo(t)
  assert.throws(() => new FifoSink(fifo), failsWith('ENXIO'))
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  let now = 0
  const sink = new FifoSink(fifo, { clock: { now: () => now, epochNs: 0n }, patienceNs: 1000 })
  const sent = Buffer.from(Uint8Array.from({ length: 400_000 }, (_, at) => at * 7))
  const buffer = Buffer.alloc(100_000)
  for (let at = 0; at < sent.length; at += buffer.length) {
    sent.copy(buffer, 0, at)
    sink.write(buffer) // which is used again
  }
  assert.ok(sink.isStuck)
  const got: Buffer[] = []
  const take = (bytes: number): void => {
    const part = Buffer.alloc(bytes)
    got.push(part.subarray(0, readSync(reader, part)))
    sink.push()
  }
  for (now = 0; sink.isStuck; now += 900) take(50_000)
  while (Buffer.concat(got).length < sent.length) take(50_000)
  assert.equal(Buffer.concat(got).compare(sent), 0)
  sink.write(sent)
  now += 999
  sink.push()
  now += 1
  assert.throws(() => sink.push(), failsWith('ETIMEDOUT'))
  closeSync(reader)
  assert.throws(() => sink.write(new Uint8Array(1)), failsWith('EPIPE'))
  sink.close()
})

test('a FIFO whose reader stands still is in the way of no other capture of its thread', { skip }, async (t) => {
  const fifo = makeFifo(t)
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = new CaptureWriter()
  const [stuck, quick] = [await writer.open({ path: fifo }), await writer.open({ path: path.join(path.dirname(fifo), 'quick') })]
  for (const output of [stuck, quick]) {
    output.addInterface({ name: 'x' })
    const producer = new CaptureRingProducer(output.ring, output.snapLength)
    // More than a pipe holds.
    for (let i = 0; i < 500; i++) assert.ok(producer.record(recordOf(sampleFrame(1514, i))))
    producer.publish()
  }
  assert.equal((await quick.close()).frames, 500)
  assert.equal(stuck.error, undefined, 'its reader still has time')
  const ended = stuck.close()
  const copy = spawn('cat', { stdio: [reader, 'pipe', 'inherit'] })
  closeSync(reader)
  const bytes = await buffer(copy.stdout!)
  assert.deepEqual([(await ended).frames, [...readCapture(bytes)].length], [500, 500])
  await writer.close()
})

test('a FIFO whose reader goes with frames under way: those that may have been lost are in no count', { skip }, async (t) => {
  const fifo = makeFifo(t)
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  const capture = await CaptureFile.open({ path: fifo })
  capture.addInterface({ name: 'x' })
  const producer = new CaptureRingProducer(capture.ring, capture.snapLength)
  for (let i = 0; i < 500; i++) producer.record(recordOf(sampleFrame(1514, i)))
  producer.publish()
  // The pipe is full of the first of them, and closes before anybody reads.
  while (readSync(reader, Buffer.alloc(1)) === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  closeSync(reader)
  const { frames, dropped } = await capture.close()
  assert.deepEqual([frames, dropped, capture.error?.code], [0, 500, 'EPIPE'])
})
