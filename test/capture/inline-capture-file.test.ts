import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { CaptureFileError } from '../../src/capture/capture-error.ts'
import { CaptureFile } from '../../src/capture/capture-file.ts'
import { CaptureRingProducer } from '../../src/capture/capture-ring.ts'
import type { CaptureSink } from '../../src/capture/frame-record.ts'
import { InlineCaptureFile } from '../../src/capture/inline-capture-file.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { missing, run, temporaryFolder } from './judge.ts'
import { BASE_TIME, MemorySink, recordOf, sampleFrame } from './sample-capture.ts'

const OPTIONS = { snapLength: 128, baseTime: BASE_TIME, section: { application: 'netloom' } }

/** UDP over IPv4 with a partial checksum: the field at 40 holds the pseudo-header sum. */
function partialUdp(): Uint8Array {
  const frame = new Uint8Array(46)
  frame.set([0x02, 0xcc, 0, 0, 0, 1, 0x02, 0xcc, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0xf6, 0xc9])
  frame.set([192, 0, 2, 1, 192, 0, 2, 2, 0x30, 0x39, 0, 7, 0, 12, 0x84, 0x21, 1, 2, 3, 4], 26)
  return frame
}

function fill(sink: CaptureSink): void {
  for (let i = 0; i < 300; i++) {
    sink.record(recordOf(sampleFrame(60 + i, i), { timestamp: i * 1000, packetId: i + 1, flags: 1, port: i % 2 }))
    if (i % 10 === 0) sink.publish()
  }
  sink.record(recordOf(partialUdp(), { timestamp: 300_000, checksum: (34 << 16) | 6 }))
  sink.publish()
}

test('the same calls give the same bytes, inline and through the thread', async (t) => {
  const folder = temporaryFolder(t)
  const files = ['a', 'b'].map((name) => path.join(folder, name))
  const counts = files.map((file) => {
    const inline = InlineCaptureFile.open(file, OPTIONS)
    inline.addInterface({ name: 'web' })
    inline.addInterface({ name: 'client' })
    fill(inline)
    return inline.close()
  })
  const bytes = readFileSync(files[0])
  assert.deepEqual(readFileSync(files[1]), bytes)
  assert.deepEqual(counts[0], { frames: 301, dropped: 0, bytes: bytes.length })
  const threaded = path.join(folder, 'c')
  const capture = await CaptureFile.open({ ...OPTIONS, path: threaded })
  capture.addInterface({ name: 'web' })
  capture.addInterface({ name: 'client' })
  fill(new CaptureRingProducer(capture.ring, capture.snapLength))
  await capture.close()
  assert.deepEqual(readFileSync(threaded), bytes)
})

test('a partial checksum is completed in the copy, and only there', () => {
  const frame = partialUdp()
  const before = Buffer.from(frame)
  for (const [captured, field] of [
    [46, 0x478c],
    [45, 0x8421]
  ]) {
    const sink = new MemorySink()
    const inline = InlineCaptureFile.into(sink)
    inline.addInterface({})
    assert.ok(inline.record(recordOf(frame, { captured, checksum: (34 << 16) | 6 })))
    inline.close()
    const [{ data }] = readCapture(sink.bytes)
    assert.equal(Buffer.from(data).readUInt16BE(40), field, `captured ${captured}`)
    assert.deepEqual(Buffer.from(frame), before, 'the frame itself goes on as it was')
  }
})

test('tshark finds a completed checksum good', { skip: missing('tshark') }, (t) => {
  const file = path.join(temporaryFolder(t), 'partial.pcapng')
  const inline = InlineCaptureFile.open(file)
  inline.addInterface({})
  for (const checksum of [0, (34 << 16) | 6]) inline.record(recordOf(partialUdp(), { checksum }))
  inline.close()
  const status = run('tshark', ['-n', '-o', 'udp.check_checksum:TRUE', '-r', file, '-T', 'fields', '-e', 'udp.checksum.status'])
  assert.equal(status, '0\n1\n', 'bad without, good with completion')
})

test('the first failure is told once; frames are counted as dropped', {
  skip: existsSync('/dev/full') ? false : 'there is no /dev/full'
}, () => {
  const errors: Error[] = []
  const inline = InlineCaptureFile.open('/dev/full', { onError: (error) => errors.push(error) })
  inline.addInterface({})
  assert.ok(inline.record(recordOf(sampleFrame(60))), 'gathered')
  inline.flush()
  assert.equal(inline.record(recordOf(sampleFrame(60))), false)
  assert.equal(inline.record(recordOf(sampleFrame(60), { port: 9 })), false)
  assert.deepEqual(inline.close(), { frames: 0, dropped: 3, bytes: 0 })
  assert.equal(errors.length, 1)
  assert.equal((errors[0] as CaptureFileError).code, 'ENOSPC')
  assert.throws(() => InlineCaptureFile.open('/nowhere/x.pcap'), CaptureFileError)
})
