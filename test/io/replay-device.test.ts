import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readCapture } from '../../src/capture/read-capture.ts'
import { DEVICE_COUNTERS, DeviceElement } from '../../src/io/device-element.ts'
import { type RecordedFrame, ReplayDevice } from '../../src/io/replay-device.ts'
import { TestBench } from '../engine/test-bench.ts'
import { frameDeviceSuite, rigPool } from './frame-device-suite.ts'
import { pcapOf } from './super-frame.ts'

const EPOCH = 1_700_000_000_000_000_000n

/** Frames of `length` at these nanoseconds after the first. */
function recorded(...at: number[]): RecordedFrame[] {
  return at.map((ns, i) => ({ timestampNs: EPOCH + BigInt(ns), data: Buffer.alloc(60, i), originalLength: 60 }))
}

describe('a played capture', () => {
  // The rig's "far end" is the file: what is injected before the first read is what the file has.
  frameDeviceSuite(() => {
    const pool = rigPool()
    const file: RecordedFrame[] = []
    let device: ReplayDevice | null = null
    const opened = (): ReplayDevice => (device ??= new ReplayDevice(pool, { frames: file, speed: Number.POSITIVE_INFINITY }))
    return {
      get device() {
        return opened()
      },
      pool,
      inject(frames) {
        for (const { bytes } of frames) file.push({ timestampNs: EPOCH, data: bytes, originalLength: bytes.length })
      },
      arrived: null,
      close: () => opened().close()
    }
  })

  test('frames are due at their own distances, faster or slower if asked, and never out of order', () => {
    const dueTimes = (options: { startNs?: number; speed?: number }): number[] => {
      const pool = rigPool()
      const device = new ReplayDevice(pool, { frames: recorded(0, 1000, 500, 5000), ...options })
      const due: number[] = []
      const out = new Int32Array(4)
      while (Number.isFinite(device.nextDue)) {
        due.push(device.nextDue)
        assert.equal(device.read(out, 4, device.nextDue - 1), 0, 'not before its time')
        assert.equal(device.read(out, 1, device.nextDue), 1)
      }
      return due
    }
    assert.deepEqual(dueTimes({}), [0, 1000, 1000, 5000])
    assert.deepEqual(dueTimes({ startNs: 70, speed: 2 }), [70, 570, 570, 2570])
    assert.deepEqual(dueTimes({ speed: Number.POSITIVE_INFINITY }), [0, 0, 0, 0])
  })

  test('frames that the snap length cut are counted and left out, and a damaged file ends there', () => {
    function* damaged(): Generator<RecordedFrame> {
      yield* recorded(0)
      yield { timestampNs: EPOCH, data: Buffer.alloc(96), originalLength: 1514 }
      yield { timestampNs: EPOCH, data: Buffer.alloc(0), originalLength: 0 }
      throw new Error('damaged')
    }
    const pool = rigPool()
    const device = new ReplayDevice(pool, { frames: damaged() })
    const out = new Int32Array(9)
    assert.equal(device.read(out, 9, 0), 1)
    assert.deepEqual(device.counters, { rxMalformed: 2, rxTruncated: 1, rxNoBuffer: 0, txErrors: 0 })
  })

  test('under a virtual clock the engine is woken for each frame, also of a real file', () => {
    const frames = [Buffer.alloc(60, 1), Buffer.alloc(61, 2), Buffer.alloc(62, 3)]
    const file = pcapOf(frames) // time stamps one microsecond apart
    const bench = new TestBench({
      types: [
        {
          type: 'replay',
          maxPorts: 1,
          counters: DEVICE_COUNTERS,
          create: (context) => new DeviceElement(context, new ReplayDevice(context.frames, { frames: readCapture(file), startNs: 1e6 }))
        }
      ]
    })
    bench.configure({ replay: { type: 'replay' }, port: { type: 'test-port' } }, [{ a: ['replay', 0], b: ['port', 0] }])
    bench.advance(1)
    const { arrived } = bench.port('port')
    assert.deepEqual(
      arrived.map(({ bytes, timestamp }) => [Buffer.from(bytes), timestamp]),
      frames.map((bytes, i) => [bytes, 1e6 + i * 1000])
    )
    assert.equal(bench.engine.nextDeadline, Number.POSITIVE_INFINITY)
  })
})
