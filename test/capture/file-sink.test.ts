import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { CaptureFileError } from '../../src/capture/capture-error.ts'
import { CaptureFile } from '../../src/capture/capture-file.ts'
import { CaptureRingProducer } from '../../src/capture/capture-ring.ts'
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
