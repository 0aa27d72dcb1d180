import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CaptureFileError } from '../../src/capture/capture-error.ts'
import { CaptureFile } from '../../src/capture/capture-file.ts'
import { CaptureRingProducer } from '../../src/capture/capture-ring.ts'
import { Direction } from '../../src/capture/frame-record.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { missing, run, temporaryFolder, tsharkFields } from './judge.ts'
import { BASE_TIME, recordOf, sampleFrame } from './sample-capture.ts'

test('a thousand frames on two interfaces through the writer thread', async (t) => {
  const file = path.join(temporaryFolder(t), 'run.pcapng')
  const capture = await CaptureFile.open({ path: file, snapLength: 256, baseTime: BASE_TIME, section: { application: 'netloom' } })
  assert.equal(capture.addInterface({ name: 'demo-net/web' }), 0)
  const producer = new CaptureRingProducer(capture.ring, capture.snapLength)
  const comment = capture.addComment('first of its kind')
  for (let i = 0; i < 500; i++) producer.record(recordOf(sampleFrame(60 + i), { timestamp: i, comment: i === 0 ? comment : -1 }))
  producer.publish()
  // An interface that comes while the capture runs is in the file before its frames.
  assert.equal(capture.addInterface({ name: 'demo-net/client' }), 1)
  for (let i = 0; i < 500; i++) producer.record(recordOf(sampleFrame(60 + i), { port: 1, timestamp: 500 + i, flags: Direction.outbound }))
  producer.publish()
  const counts = await capture.close()
  assert.deepEqual(counts, { frames: 1000, dropped: 0, bytes: readFileSync(file).length })
  assert.deepEqual(await capture.close(), counts, 'closing twice is harmless')
  const reader = readCapture(file)
  const frames = [...reader]
  assert.equal(frames.length, 1000)
  assert.equal(frames[0].comment, 'first of its kind')
  assert.equal(frames[1].comment, undefined)
  assert.deepEqual(
    reader.interfaces.map((one) => [one.name, one.snapLength]),
    [
      ['demo-net/web', 256],
      ['demo-net/client', 256]
    ]
  )
  for (const [i, frame] of frames.entries()) {
    assert.equal(frame.timestampNs, BASE_TIME + BigInt(i))
    assert.equal(frame.interface, i < 500 ? 0 : 1)
    assert.equal(frame.originalLength, 60 + (i % 500))
    assert.deepEqual(Buffer.from(frame.data), Buffer.from(sampleFrame(60 + (i % 500)).subarray(0, 256)))
  }
  assert.deepEqual(reader.interfaces[1].statistics, {
    start: BASE_TIME,
    end: BASE_TIME + 999n,
    received: 500n,
    dropped: 0n,
    delivered: 500n
  })
})

test('a live reader sees the frames before the end', async (t) => {
  const file = path.join(temporaryFolder(t), 'live.pcapng')
  const capture = await CaptureFile.open({ path: file })
  capture.addInterface({ name: 'x' })
  const producer = new CaptureRingProducer(capture.ring, capture.snapLength)
  for (let i = 1; i <= 3; i++) {
    producer.record(recordOf(sampleFrame(60)))
    producer.publish()
    // Not the time is tested, only that nothing but time is needed.
    while ([...readCapture(file)].length < i) await sleep(5)
  }
  assert.equal((await capture.close()).frames, 3)
})

test('what the ring dropped is in the counts, the statistics and the next frame', { skip: missing('tshark') }, async (t) => {
  const file = path.join(temporaryFolder(t), 'loss.pcapng')
  const capture = await CaptureFile.open({ path: file, ringSize: 1 << 18 })
  capture.addInterface({ name: 'x' })
  const producer = new CaptureRingProducer(capture.ring, capture.snapLength)
  const offered = 40_000
  for (let i = 0; i < offered; i++) producer.record(recordOf(sampleFrame(1514), { packetId: i + 1 }))
  producer.publish()
  while (!producer.record(recordOf(sampleFrame(60), { packetId: offered + 1 }))) await sleep(1)
  producer.publish()
  const counts = await capture.close()
  assert.ok(counts.dropped > 0, 'a ring of 256 KiB cannot take 60 MB at once')
  assert.equal(counts.frames + counts.dropped, producer.recorded + producer.dropped)
  assert.equal(counts.frames, producer.recorded)
  const reader = readCapture(file)
  const frames = [...reader]
  assert.equal(frames.length, counts.frames)
  assert.equal(
    frames.reduce((sum, frame) => sum + Number(frame.dropCount ?? 0n), 0),
    counts.dropped
  )
  const { statistics } = reader.interfaces[0]
  assert.equal(statistics!.received, BigInt(counts.frames + counts.dropped))
  assert.equal(statistics!.dropped, BigInt(counts.dropped))
  assert.equal(tsharkFields(file, 'frame.number').length, counts.frames)
})

test('classic pcap through the writer thread', { skip: missing('tcpdump') }, async (t) => {
  const file = path.join(temporaryFolder(t), 'run.pcap')
  const capture = await CaptureFile.open({ path: file, format: 'pcap', baseTime: BASE_TIME })
  const port = capture.addInterface({ name: 'x' })
  const producer = new CaptureRingProducer(capture.ring, capture.snapLength)
  for (let i = 0; i < 10; i++) producer.record(recordOf(sampleFrame(60), { port, timestamp: i }))
  producer.publish()
  assert.equal((await capture.close()).frames, 10)
  assert.deepEqual(
    [...readCapture(file)].map((frame) => frame.timestampNs),
    Array.from({ length: 10 }, (_, i) => BASE_TIME + BigInt(i))
  )
  assert.equal(run('tcpdump', ['-nn', '-e', '-r', file]).match(/02:cc:00:00:00:02 > /g)!.length, 10)
})

test('a path that cannot be written rejects, saying what to do', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(path.join(folder, 'folder'))
  const cases = [
    [path.join(folder, 'none', 'x.pcapng'), 'ENOENT', /its folder does not exist.*make the folder/],
    [path.join(folder, 'folder'), 'EISDIR', /it is a folder/]
  ] as const
  for (const [file, code, message] of cases) {
    await assert.rejects(CaptureFile.open({ path: file }), (error: CaptureFileError) => {
      assert.ok(error instanceof CaptureFileError)
      assert.equal(error.code, code)
      assert.equal(error.path, file)
      assert.match(error.message, message)
      assert.ok(error.message.includes(file))
      return true
    })
  }
})

// Every write to /dev/full fails with ENOSPC, as on a full disk.
test('a disk that is full is reported once, copies are counted as dropped, traffic goes on', {
  skip: existsSync('/dev/full') ? false : 'there is no /dev/full'
}, async () => {
  const errors: CaptureFileError[] = []
  const capture = await CaptureFile.open({ path: '/dev/full', onError: (error) => errors.push(error), ringSize: 1 << 18 })
  capture.addInterface({ name: 'x' })
  const producer = new CaptureRingProducer(capture.ring, capture.snapLength)
  let offered = 0
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 50; i++, offered++) producer.record(recordOf(sampleFrame(60)))
    producer.publish()
    await sleep(10)
  }
  assert.equal(producer.dropped, 0, 'the ring is still drained')
  assert.deepEqual(await capture.close(), { frames: 0, dropped: offered, bytes: 0 })
  assert.equal(errors.length, 1)
  assert.equal(errors[0].code, 'ENOSPC')
  assert.match(errors[0].message, /cannot write the capture file \/dev\/full: no space left/)
  assert.equal(capture.error, errors[0])
})

test('frames of an interface that was never added are left out and counted', async (t) => {
  const file = path.join(temporaryFolder(t), 'x.pcapng')
  const capture = await CaptureFile.open({ path: file, maxInterfaces: 2 })
  capture.addInterface({ name: 'x' })
  const producer = new CaptureRingProducer(capture.ring, capture.snapLength)
  for (const port of [0, 1, 2]) producer.record(recordOf(sampleFrame(60), { port }))
  producer.publish()
  assert.equal(capture.recorded, 2)
  assert.equal(capture.dropped, 1)
  const counts = await capture.close()
  assert.equal(counts.frames, 1)
  assert.equal(counts.dropped, 2)
  assert.equal([...readCapture(file)].length, 1)
})

test('more interfaces than the capture has counters for are refused', async (t) => {
  const capture = await CaptureFile.open({ path: path.join(temporaryFolder(t), 'x.pcapng'), maxInterfaces: 1 })
  capture.addInterface({ name: 'x' })
  assert.throws(() => capture.addInterface({ name: 'y' }), RangeError)
  await capture.close()
})

test('an open capture does not keep a process alive', () => {
  const script = `
    import { CaptureFile } from '${new URL('../../src/capture/capture-file.js', import.meta.url)}'
    await CaptureFile.open({ path: '/dev/null' })
    process.on('exit', () => console.log('ended'))`
  assert.equal(run(process.execPath, ['--input-type=module', '-e', script]).trim(), 'ended')
})

test('by default a capture has an interface for every endpoint of several full networks', async (t) => {
  const file = path.join(temporaryFolder(t), 'x.pcapng')
  const capture = await CaptureFile.open({ path: file })
  let last = 0
  for (let i = 0; i < 3 * 4095; i++) last = capture.addInterface({ name: `n/${i}` })
  const producer = new CaptureRingProducer(capture.ring, capture.snapLength)
  producer.record(recordOf(sampleFrame(60), { port: last }))
  producer.publish()
  const { frames, dropped } = await capture.close()
  assert.deepEqual([frames, dropped], [1, 0])
})
