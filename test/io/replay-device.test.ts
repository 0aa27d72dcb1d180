import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readCapture } from '../../src/capture/read-capture.ts'
import { GsoTunnel } from '../../src/engine/frame-pool.ts'
import { type ReplayBatch, ReplayBatchBuilder } from '../../src/io/replay-batch.ts'
import { ReplayDevice, type ReplayOptions } from '../../src/io/replay-device.ts'
import { REPLAY_COUNTERS, type ReplayElementOptions, replayElement } from '../../src/io/replay-element.ts'
import { outer } from '../elements/vxlan/vtep-bench.ts'
import { TestBench } from '../engine/test-bench.ts'
import { frameDeviceSuite, rigPool } from './frame-device-suite.ts'
import { bytesOfFrame, frameAt, payloadOf, pcapOf, place, superFrame } from './super-frame.ts'

/** `[bytes, due]`. */
function batchOf(...frames: (readonly [Uint8Array, number])[]): ReplayBatch {
  const builder = new ReplayBatchBuilder()
  for (const [bytes, due] of frames) builder.add(bytes, due)
  return builder.take()
}

/** Frames of 60 bytes, due at these nanoseconds. */
function dueAt(...due: number[]): ReplayBatch {
  return batchOf(...due.map((ns, i) => [Buffer.alloc(60, i), ns] as const))
}

describe('a replay device', () => {
  // The rig's "far end" is who feeds it.
  frameDeviceSuite(() => {
    const pool = rigPool()
    const device = new ReplayDevice(pool)
    return {
      device,
      pool,
      inject(frames) {
        device.feed(batchOf(...frames.map(({ bytes }) => [bytes, 0] as const)), 0, () => {})
      },
      arrived: null,
      close: () => device.close()
    }
  })

  test('frames are due from the start that was given, or from when the first batch came', () => {
    const dueTimes = (options: ReplayOptions, fedAt: number): number[] => {
      const device = new ReplayDevice(rigPool(), options)
      device.feed(dueAt(0, 1000), fedAt, () => {})
      device.feed(dueAt(1000, 5000), fedAt + 400, () => {})
      const due: number[] = []
      const out = new Int32Array(4)
      while (Number.isFinite(device.nextDue)) {
        due.push(device.nextDue)
        assert.equal(device.read(out, 4, device.nextDue - 1), 0, 'not before its time')
        assert.equal(device.read(out, 1, device.nextDue), 1)
      }
      return due
    }
    assert.deepEqual(dueTimes({}, 70), [70, 1070, 1070, 5070])
    assert.deepEqual(dueTimes({ startNs: 500 }, 70), [500, 1500, 1500, 5500])
  })

  test('a batch is told when its last frame has been read, and what waits when the device is closed', () => {
    const pool = rigPool()
    const device = new ReplayDevice(pool)
    const told: string[] = []
    for (const name of ['one', 'none', 'two', 'three']) device.feed(name === 'none' ? dueAt() : dueAt(0, 0), 0, () => told.push(name))
    const out = new Int32Array(9)
    device.read(out, 1, 0)
    assert.deepEqual(told, [])
    device.read(out, 3, 0)
    assert.deepEqual(told, ['one', 'none', 'two'])
    device.close()
    assert.deepEqual(told, ['one', 'none', 'two', 'three'])
    assert.equal(device.read(out, 9, 0), 0)
  })

  test('frames of every length come in byte by byte', () => {
    const pool = rigPool()
    const device = new ReplayDevice(pool, { mtu: 70_000 })
    const lengths = [14, 15, 16, 17, 255, 256, 257, 1514, 1985, 65_550]
    device.feed(batchOf(...lengths.map((length, i) => [payloadOf(length).fill(i + 1, 0, 3), 0] as const)), 0, () => {})
    const out = new Int32Array(lengths.length)
    assert.equal(device.read(out, lengths.length, 0), lengths.length)
    for (const [i, frame] of out.entries()) {
      const bytes = pool.bytes(frame).subarray(pool.start[frame], pool.start[frame] + pool.length[frame])
      assert.deepEqual(Buffer.from(bytes), Buffer.from(payloadOf(lengths[i]).fill(i + 1, 0, 3)))
    }
    device.feed(batchOf([new Uint8Array(70_000), 0]), 0, () => {})
    assert.equal(device.read(out, 1, 0), 0)
    assert.deepEqual(device.counters, { rxMalformed: 0, rxTruncated: 1, rxNoBuffer: 0, txErrors: 0 })
  })

  test('a captured TCP super-frame gets its offload fields back; others stay as they are', () => {
    const pool = rigPool()
    for (const family of [4, 6] as const) {
      const header = family === 4 ? 20 : 40
      const wanted = superFrame({
        transport: 'tcp',
        family,
        payload: payloadOf(20_000),
        gsoSize: 1500 - header - 32,
        tcpOptions: 12,
        tags: 1
      })
      // As a capture has it: the checksum completed.
      const captured = Buffer.from(wanted.bytes)
      captured.writeUInt16BE(0xbeef, wanted.csumStart + wanted.csumOffset)
      const device = new ReplayDevice(pool)
      device.feed(batchOf([captured, 0]), 0, () => {})
      const out = new Int32Array(1)
      assert.equal(device.read(out, 1, 0), 1)
      const [frame] = out
      const expected = place(pool, wanted)
      for (const field of ['flags', 'gsoType', 'gsoSize', 'hdrLen', 'csumStart', 'csumOffset'] as const) {
        assert.equal(pool[field][frame], pool[field][expected], field)
      }
      const bytes = (handle: number): Buffer =>
        Buffer.from(pool.bytes(handle).subarray(pool.start[handle], pool.start[handle] + pool.length[handle]))
      assert.deepEqual(bytes(frame), bytes(expected))
    }
    const udp = superFrame({ transport: 'udp', family: 4, payload: payloadOf(9000), gsoSize: 1400 })
    const device = new ReplayDevice(pool)
    device.feed(batchOf([udp.bytes, 0], [payloadOf(9000), 0]), 0, () => {})
    const out = new Int32Array(2)
    assert.equal(device.read(out, 2, 0), 2)
    for (const frame of out) assert.equal(pool.flags[frame], 0)
  })

  test('so does one inside VXLAN, as the VTEP that sent it had marked it', () => {
    const pool = rigPool()
    for (const [source, destination, overhead, tunnel] of [
      ['192.0.2.2', '192.0.2.1', 50, GsoTunnel.ipv4],
      ['2001:db8::2', '2001:db8::1', 70, GsoTunnel.ipv6]
    ] as const) {
      const inside = superFrame({
        transport: 'tcp',
        family: 4,
        payload: payloadOf(9000),
        gsoSize: 1500 - overhead - 20 - 32,
        tcpOptions: 12
      })
      const captured = Buffer.from(inside.bytes)
      captured.writeUInt16BE(0xbeef, inside.csumStart + inside.csumOffset)
      const [wanted, completed] = [inside.bytes, captured].map((bytes) => outer(bytes, { source, destination }))
      const before = wanted.length - inside.bytes.length
      const device = new ReplayDevice(pool, { vxlanPort: 4789 })
      // Of another port, and what is no VXLAN, stay as they are.
      const others = [
        outer(captured, { source, destination, port: 4790 }),
        outer(captured.subarray(0, 1600), { source, destination, raw: true })
      ]
      device.feed(batchOf(...[completed, ...others].map((bytes) => [bytes, 0] as const)), 0, () => {})
      const out = new Int32Array(3)
      assert.equal(device.read(out, 3, 0), 3)
      const { bytes, ...fields } = frameAt(pool, out[0])
      assert.deepEqual(fields, {
        flags: inside.flags,
        gsoType: inside.gsoType | tunnel,
        gsoSize: inside.gsoSize,
        hdrLen: inside.hdrLen + before,
        csumStart: inside.csumStart + before,
        csumOffset: inside.csumOffset
      })
      assert.deepEqual(bytes.subarray(before), inside.bytes)
      for (const frame of out.subarray(1)) assert.equal(pool.flags[frame], 0)
      assert.deepEqual(bytesOfFrame(pool, out[1]), Buffer.from(others[0]))
    }
  })
})

function benchWith(name: string, options: ReplayElementOptions): TestBench {
  const bench = new TestBench({ types: [replayElement as never] })
  if (options.isEndpoint)
    bench.configure({ [name]: { type: 'replay', options }, port: { type: 'test-port' } }, [{ a: [name, 0], b: ['port', 0] }])
  else {
    bench.configure({ lan: { type: 'test-port' }, [name]: { type: 'replay', options }, port: { type: 'test-port' } }, [
      { a: ['lan', 0], b: ['port', 0] }
    ])
  }
  return bench
}

/** Feeds; the answers come into the list. */
function play(bench: TestBench, name: string, batch: ReplayBatch): boolean[] {
  const answers: boolean[] = []
  bench.engine.command(name, 'play', batch, (error, value) => {
    assert.equal(error, null)
    answers.push(value as boolean)
  })
  return answers
}

describe('the replay element', () => {
  test('under a virtual clock the engine is woken for each frame of a real file', () => {
    const frames = [Buffer.alloc(60, 1), Buffer.alloc(61, 2), Buffer.alloc(62, 3)]
    const captured = [...readCapture(pcapOf(frames))] // time stamps one microsecond apart
    const origin = captured[0].timestampNs
    const bench = benchWith('replay', { isEndpoint: true, startNs: 1e6 })
    const answers = play(
      bench,
      'replay',
      batchOf(...captured.map(({ data, timestampNs }) => [data, Number(timestampNs - origin)] as const))
    )
    bench.advance(1)
    assert.deepEqual(
      bench.port('port').arrived.map(({ bytes, timestamp }) => [Buffer.from(bytes), timestamp]),
      frames.map((bytes, i) => [bytes, 1e6 + i * 1000])
    )
    assert.deepEqual(answers, [true])
    assert.equal(bench.engine.nextDeadline, Number.POSITIVE_INFINITY)
    assert.equal(bench.counters('replay').counters['rxFrames'], 3)
    assert.deepEqual(Object.keys(bench.counters('replay').counters).sort(), [...REPLAY_COUNTERS].sort())
  })

  test('into a port: the frames leave as those of the element that it is called after, and others go on', () => {
    const bench = benchWith('lan/replay-1', {})
    play(bench, 'lan/replay-1', dueAt(0, 10, 20))
    bench.port('lan').send(Buffer.alloc(60, 9))
    bench.advance(1)
    assert.deepEqual(
      bench
        .port('port')
        .arrived.map(({ bytes }) => bytes[20])
        .sort(),
      [0, 1, 2, 9]
    )
    assert.equal(bench.counters('lan/replay-1').counters['rxBytes'], 180)
    assert.equal(bench.engine.frames.inUse, 0)
  })

  test('a replay into a port that goes ends, and is told so', () => {
    const bench = benchWith('lan/replay-1', {})
    const answers = play(bench, 'lan/replay-1', dueAt(0, 1e9))
    bench.run()
    bench.engine.patch({ removed: ['lan'] })
    bench.advance(2)
    assert.deepEqual(answers, [false])
    const more = play(bench, 'lan/replay-1', dueAt(0))
    bench.advance(1)
    assert.deepEqual(more, [false])
    const late = benchWith('lan/replay-1', {})
    assert.throws(() => late.command('lan/replay-1', 'stop'), /knows the command play, not 'stop'/)
    const waiting = play(late, 'lan/replay-1', dueAt(1e9))
    late.engine.patch({ removed: ['lan/replay-1'] })
    assert.deepEqual(waiting, [false])
  })

  test('as fast as possible is never faster than the engine: nothing is lost to a full link or pool', () => {
    const bench = benchWith('lan/replay-1', { paced: false })
    const count = 40_000
    const answers = play(bench, 'lan/replay-1', dueAt(...new Array<number>(count).fill(0)))
    bench.advance(1)
    assert.deepEqual(answers, [true])
    assert.equal(bench.port('port').arrived.length, count)
    assert.equal(bench.counters('lan/replay-1').counters['rxNoBuffer'], 0)
    assert.equal(
      bench.total(({ drops }) => Object.values(drops).reduce((sum, value) => sum + value, 0)),
      0
    )
  })

  test('what is sent to a replay that is an endpoint ends there, counted', () => {
    const bench = benchWith('replay', { isEndpoint: true })
    bench.port('port').send(Buffer.alloc(77))
    bench.run()
    const { counters } = bench.counters('replay')
    assert.deepEqual([counters['txFrames'], counters['txBytes']], [1, 77])
    assert.equal(bench.engine.frames.inUse, 0)
  })
})
