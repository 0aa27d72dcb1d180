import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { type CaptureElementOptions, type CapturePlace, captureElement } from '../../src/capture/capture-element.ts'
import { CaptureFile } from '../../src/capture/capture-file.ts'
import { allocateCaptureRing, CaptureRing, MIN_RING_BYTES } from '../../src/capture/capture-ring.ts'
import { type CaptureSink, Direction, Reception } from '../../src/capture/frame-record.ts'
import { InlineCaptureFile } from '../../src/capture/inline-capture-file.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { learningBridge } from '../../src/elements/bridge/learning-bridge.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { FrameFlag } from '../../src/engine/frame-pool.ts'
import { TestBench } from '../engine/test-bench.ts'
import { temporaryFolder } from './judge.ts'
import { MemorySink, sampleFrame } from './sample-capture.ts'

/** A bit of FrameFlag.captured. */
const MARK = 1 << 8

/** device -- capture -- network, and a capture in memory. */
class CaptureBench extends TestBench {
  readonly memory = new MemorySink()
  readonly file: InlineCaptureFile

  constructor(place: Omit<CapturePlace, 'target'> = {}, snapLength = 128) {
    super({ types: [captureElement as ElementType<never>] })
    this.file = InlineCaptureFile.into(this.memory, { snapLength, baseTime: this.clock.epochNs })
    this.file.addInterface({ name: 'device' })
    this.file.addInterface({ name: 'other' })
    this.wire({ places: [{ ...place, target: { sink: this.file } }] })
  }

  wire(options: CaptureElementOptions): void {
    this.configure({ device: { type: 'test-port' }, network: { type: 'test-port' }, tap: { type: 'capture', options } }, [
      { a: ['device', 0], b: ['tap', 0] },
      { a: ['network', 0], b: ['tap', 1] }
    ])
  }

  captured() {
    this.file.close()
    return [...readCapture(this.memory.bytes)]
  }
}

function to(destination: number[], length = 60): Uint8Array {
  const frame = sampleFrame(length)
  frame.set(destination)
  return frame
}

test('frames pass both ways unchanged; those from the device are recorded with what is known of them', () => {
  const bench = new CaptureBench({ interface: 1 })
  const frames = [sampleFrame(60), to([255, 255, 255, 255, 255, 255]), to([1, 0, 0x5e, 0, 0, 1], 1514)]
  bench.clock.advanceTo(5000)
  for (const frame of frames) bench.port('device').send(frame)
  bench.run()
  assert.deepEqual(bench.port('network').take(), frames)
  const got = bench.captured()
  assert.deepEqual(
    got.map(({ data }) => Buffer.from(data)),
    frames.map((frame) => Buffer.from(frame.subarray(0, 128)))
  )
  assert.deepEqual(
    got.map(({ originalLength }) => originalLength),
    [60, 60, 1514]
  )
  assert.deepEqual(
    got.map(({ flags }) => flags),
    [Reception.unicast, Reception.broadcast, Reception.multicast].map((one) => one | Direction.inbound)
  )
  assert.deepEqual(
    got.map(({ packetId }) => packetId),
    [1n, 2n, 3n]
  )
  for (const one of got) {
    assert.equal(one.interface, 1)
    assert.equal(one.timestampNs, bench.clock.epochNs + 5000n)
  }
  assert.deepEqual(bench.counters('tap').counters, { frames: 3, captured: 3, dropped: 0, bytes: 60 + 60 + 128, refused: 0 })
  assert.equal(bench.engine.frames.inUse, 0)
})

test('what was made or rewritten inside the network is recorded where it leaves; what has a record is not', () => {
  for (const everyPort of [false, true]) {
    const bench = new CaptureBench({ mark: everyPort ? 0 : MARK })
    bench.port('network').send(sampleFrame(60, 1))
    bench.port('network').send(sampleFrame(60, 2), { flags: FrameFlag.captured })
    bench.run()
    assert.deepEqual(bench.port('device').take(), [sampleFrame(60, 1), sampleFrame(60, 2)])
    const got = bench.captured()
    const expected = everyPort ? [1, 2] : [1]
    assert.deepEqual(
      got.map(({ data }) => Buffer.from(data)),
      expected.map((seed) => Buffer.from(sampleFrame(60, seed)))
    )
    for (const { flags } of got) assert.equal(flags, Direction.outbound | Reception.unicast)
  }
})

test('a frame flooded by a bridge is recorded once, at ingress', () => {
  const bench = new TestBench({ types: [captureElement, learningBridge] as ElementType<never>[] })
  const memory = new MemorySink()
  const sink = InlineCaptureFile.into(memory)
  const target = { sink }
  const names = ['a', 'b', 'c']
  const elements: Record<string, { type: string; options?: unknown }> = { bridge: { type: 'bridge' } }
  for (const [_port, name] of names.entries()) {
    elements[name] = { type: 'test-port' }
    elements[`capture-${name}`] = { type: 'capture', options: { places: [{ target, interface: sink.addInterface({ name }), mark: MARK }] } }
  }
  bench.configure(
    elements,
    names.flatMap((name, port) => [
      { a: [name, 0] as const, b: [`capture-${name}`, 0] as const },
      { a: [`capture-${name}`, 1] as const, b: ['bridge', port] as const }
    ])
  )
  bench.port('b').send(to([255, 255, 255, 255, 255, 255]))
  bench.run()
  assert.deepEqual(
    names.map((name) => bench.port(name).take().length),
    [1, 0, 1]
  )
  sink.close()
  assert.deepEqual(
    [...readCapture(memory.bytes)].map((one) => one.interface),
    [1]
  )
})

test('a partial checksum: completed in the file, untouched on the way; a super-frame is recorded whole', () => {
  const frame = sampleFrame(60_000)
  const fields = { flags: FrameFlag.csum | FrameFlag.gso, csumStart: 34, csumOffset: 16, gsoType: 1, gsoSize: 1448, hdrLen: 54 }
  const bench = new CaptureBench({}, 1 << 18)
  bench.port('device').send(frame, fields)
  bench.run()
  const [arrived] = bench.port('network').arrived
  assert.deepEqual(arrived.bytes, frame)
  assert.deepEqual([arrived.flags & ~FrameFlag.captured, arrived.csumStart, arrived.gsoSize], [fields.flags, 34, 1448])
  const [one] = bench.captured()
  assert.equal(one.data.length, 60_000)
  // RFC 1071: with the field right, the pseudo-header's sum (what the field held) and all from csumStart on make 0xffff.
  let sum = (frame[50] << 8) | frame[51]
  for (let at = 34; at < one.data.length; at += 2) sum += (one.data[at] << 8) | one.data[at + 1]
  while (sum > 0xffff) sum = (sum >>> 16) + (sum & 0xffff)
  assert.equal(sum, 0xffff)
  const same = Buffer.from(one.data)
  same.set(frame.subarray(50, 52), 50)
  assert.deepEqual(same, Buffer.from(frame), 'nothing but the checksum differs')
})

test('without a sink everything passes and nothing is recorded; start and stop by command', () => {
  const bench = new CaptureBench()
  bench.wire({})
  const round = (seed: number): void => {
    bench.port('device').send(sampleFrame(60, seed))
    bench.port('network').send(sampleFrame(60, seed), { flags: FrameFlag.captured })
    bench.run()
    assert.equal(bench.port('network').take().length, 1)
    assert.equal(bench.port('device').take().length, 1)
  }
  round(0)
  bench.command('tap', 'start', { places: [{ target: { sink: bench.file } }] })
  round(1)
  bench.command('tap', 'stop')
  round(2)
  assert.throws(() => bench.command('tap', 'pause'), /start and stop/)
  assert.deepEqual(
    bench.captured().map(({ data }) => data[20]),
    [21, 21]
  )
  assert.deepEqual(bench.counters('tap').counters, { frames: 6, captured: 2, dropped: 0, bytes: 120, refused: 0 })
})

test('a full ring costs copies, not frames', () => {
  const bench = new CaptureBench()
  const ring = allocateCaptureRing({ size: MIN_RING_BYTES })
  bench.command('tap', 'start', { places: [{ target: { ring, snapLength: 2000 } }] })
  let passed = 0
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 50; i++) bench.port('device').send(sampleFrame(1514))
    bench.run()
    passed += bench.port('network').take().length
  }
  assert.equal(passed, 500)
  const { captured, dropped } = bench.counters('tap').counters
  assert.equal(captured + dropped, 500)
  assert.ok(dropped > 300)
  assert.equal(new CaptureRing(ring).dropped, dropped)
  assert.equal(bench.engine.frames.inUse, 0)
})

test('two elements of one engine record into one file of a writer thread', async (t) => {
  const capture = await CaptureFile.open({ path: path.join(temporaryFolder(t), 'x.pcapng'), snapLength: 64 })
  const bench = new TestBench({ types: [captureElement as ElementType<never>] })
  const { ring, snapLength } = capture
  const target = { ring, snapLength }
  bench.configure(
    {
      a: { type: 'test-port' },
      b: { type: 'test-port' },
      'capture-a': { type: 'capture', options: { places: [{ target, interface: capture.addInterface({ name: 'a' }), mark: MARK }] } },
      'capture-b': { type: 'capture', options: { places: [{ target, interface: capture.addInterface({ name: 'b' }), mark: MARK }] } }
    },
    [
      { a: ['a', 0], b: ['capture-a', 0] },
      { a: ['capture-a', 1], b: ['capture-b', 1] },
      { a: ['capture-b', 0], b: ['b', 0] }
    ]
  )
  for (let i = 0; i < 100; i++) {
    bench.port(i % 3 === 0 ? 'b' : 'a').send(sampleFrame(100, i))
    bench.run()
  }
  bench.command('capture-a', 'stop')
  bench.command('capture-b', 'stop')
  assert.deepEqual((await capture.close()).frames, 100)
  for (const [i, one] of [...readCapture(capture.path)].entries()) {
    assert.equal(one.interface, i % 3 === 0 ? 1 : 0)
    assert.deepEqual(Buffer.from(one.data), Buffer.from(sampleFrame(100, i).subarray(0, 64)))
  }
})

test('a new sink by the topology', () => {
  const bench = new CaptureBench()
  const seen: number[] = []
  const sink: CaptureSink = {
    snapLength: 10,
    record: ({ captured }) => seen.push(captured) > 0,
    refuse() {},
    comment: () => -1,
    publish() {}
  }
  bench.wire({ places: [{ target: { sink } }] })
  bench.port('device').send(sampleFrame(60))
  bench.run()
  assert.deepEqual(seen, [10])
})

test('captures of the same points share a mark, and each has the frame, once', () => {
  const bench = new CaptureBench()
  const memories = [new MemorySink(), new MemorySink(), new MemorySink()]
  const files = memories.map((memory) => InlineCaptureFile.into(memory, { baseTime: bench.clock.epochNs }))
  for (const file of files) file.addInterface({ name: 'device' })
  bench.wire({ places: files.map((sink) => ({ target: { sink }, mark: MARK })) })
  for (const frame of [sampleFrame(60), sampleFrame(90)]) bench.port('device').send(frame)
  bench.run()
  for (const file of files) file.close()
  assert.deepEqual(
    memories.map(({ bytes }) => Array.from(readCapture(bytes)).length),
    [2, 2, 2]
  )
})
