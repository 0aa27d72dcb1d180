import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import type { ElementContext, ElementType } from '../../src/engine/element.ts'
import { FrameFlag, type FrameHandle } from '../../src/engine/frame-pool.ts'
import { DEVICE_COUNTERS, DeviceElement } from '../../src/io/device-element.ts'
import { ALL_OFFLOADS, BATCH, type FrameDevice, NO_OFFLOADS, noDeviceCounters, Offload } from '../../src/io/frame-device.ts'
import { TestBench } from '../engine/test-bench.ts'
import { bytesOfFrame, payloadOf, type SuperFrame, slowSum, superFrame } from './super-frame.ts'

/** A device that a test scripts: what it holds to be read, how many frames it takes, which it refuses. */
class ScriptedDevice implements FrameDevice {
  readonly kind = 'scripted'
  readonly name = 'dev0'
  mtu = 1500
  offloads = ALL_OFFLOADS
  readonly pollFd = -1
  readonly counters = noDeviceCounters()
  alive = true
  lastError = 0
  closed = false
  room = Number.POSITIVE_INFINITY
  refuse: (bytes: Buffer) => boolean = () => false
  incoming: Buffer[] = []
  written: Buffer[] = []
  flags: number[] = []
  largestBatch = 0
  context!: ElementContext

  read(out: Int32Array, max: number): number {
    const { frames } = this.context
    const taken = this.incoming.splice(0, max)
    taken.forEach((bytes, i) => {
      out[i] = frames.allocate(bytes.length)
      frames.bytes(out[i]).set(bytes, frames.start[out[i]])
    })
    return taken.length
  }

  write(handles: Int32Array, from: number, count: number): number {
    this.largestBatch = Math.max(this.largestBatch, count)
    let done = 0
    for (; done < count && this.room > 0; done++, this.room--) {
      const frame = handles[from + done]
      const bytes = bytesOfFrame(this.context.frames, frame)
      if (this.refuse(bytes)) handles[from + done] = ~frame
      else {
        this.written.push(bytes)
        this.flags.push(this.context.frames.flags[frame])
      }
    }
    return done
  }

  close(): void {
    this.closed = true
  }
}

const frame = (length: number, mark = 1): Buffer => Buffer.alloc(length, mark)

describe('the device element', () => {
  let device: ScriptedDevice
  let bench: TestBench
  let tooLong: ((frame: FrameHandle) => boolean) | null

  beforeEach(() => {
    device = new ScriptedDevice()
    tooLong = null
    const type: ElementType<never> = {
      type: 'device',
      maxPorts: 1,
      counters: DEVICE_COUNTERS,
      create(context, options) {
        device.context = context
        return new DeviceElement(context, device, options, (handle) => tooLong?.(handle) ?? false)
      }
    }
    bench = new TestBench({ types: [type] })
    bench.configure({ dev: { type: 'device', options: { mtu: 1500, name: 'dev0' } }, port: { type: 'test-port' } }, [
      { a: ['dev', 0], b: ['port', 0] }
    ])
  })

  const send = (...frames: (Buffer | SuperFrame)[]): void => {
    for (const each of frames) {
      if (Buffer.isBuffer(each)) bench.port('port').send(each)
      else bench.port('port').send(each.bytes, each)
    }
    bench.run()
  }
  const drops = (): Record<string, number> => bench.counters('dev').drops
  const count = (name: string): number => bench.counters('dev').counters[name]

  test('frames come in stamped, in batches, and are counted', () => {
    device.incoming = Array.from({ length: BATCH + 5 }, (_, i) => frame(60 + i, i))
    bench.run()
    const { arrived } = bench.port('port')
    assert.deepEqual(
      arrived.map(({ bytes }) => bytes.length),
      Array.from({ length: BATCH + 5 }, (_, i) => 60 + i)
    )
    assert.equal(new Set(arrived.map(({ packetId }) => packetId)).size, BATCH + 5)
    assert.equal(count('rxFrames'), BATCH + 5)
    assert.equal(
      count('rxBytes'),
      arrived.reduce((sum, { bytes }) => sum + bytes.length, 0)
    )
  })

  test('frames that came in with nothing linked are dropped under that name', () => {
    bench.configure({ dev: { type: 'device', options: { mtu: 1500, name: 'dev0' } } }, [])
    device.incoming = [frame(60)]
    bench.run()
    assert.deepEqual(drops(), { 'engine.unlinked': 1 })
  })

  test('frames go out in order, in batches, and are counted and freed', () => {
    send(...Array.from({ length: 200 }, (_, i) => frame(60, i)))
    assert.deepEqual(
      device.written.map((bytes) => bytes[0]),
      Array.from({ length: 200 }, (_, i) => i)
    )
    assert.equal(device.largestBatch, BATCH)
    assert.deepEqual([count('txFrames'), count('txBytes')], [200, 12_000])
    assert.equal(bench.engine.frames.inUse, 0)
  })

  test('a device that is full is asked again later, and the order holds', () => {
    device.room = 10
    send(...Array.from({ length: 100 }, (_, i) => frame(60, i)))
    assert.equal(device.written.length, 10)
    device.room = 70
    bench.advance(0.001)
    assert.equal(device.written.length, 80)
    send(frame(60, 100))
    device.room = Number.POSITIVE_INFINITY
    bench.advance(0.001)
    assert.deepEqual(
      device.written.map((bytes) => bytes[0]),
      Array.from({ length: 101 }, (_, i) => i)
    )
    assert.deepEqual(drops(), {})
    assert.equal(bench.engine.frames.inUse, 0)
    assert.equal(bench.engine.nextDeadline, Number.POSITIVE_INFINITY)
  })

  test('refused frames are dropped by reason, the others go on', () => {
    device.refuse = (bytes) => bytes[0] % 2 === 0
    device.lastError = 5
    send(...Array.from({ length: 5 }, (_, i) => frame(60, i)))
    assert.deepEqual(drops(), { 'device.down': 3 })
    device.lastError = 22
    send(frame(60, 2))
    assert.deepEqual(drops(), { 'device.down': 3, 'device.refused': 1 })
    assert.equal(count('txFrames'), 2)
    assert.equal(bench.engine.frames.inUse, 0)
  })

  test('the MTU is about the packet: Ethernet header and one tag come on top, super-frames are not measured', () => {
    send(frame(1514), frame(1518), frame(1519))
    send(superFrame({ transport: 'tcp', family: 4, payload: payloadOf(30_000), gsoSize: 1400 }))
    assert.deepEqual(
      device.written.map((bytes) => bytes.length),
      [1514, 1518, 30_054]
    )
    assert.deepEqual(drops(), { 'device.tooLong': 1 })
    bench.configure({ dev: { type: 'device', options: { mtu: 9000, name: 'dev0' } }, port: { type: 'test-port' } }, [
      { a: ['dev', 0], b: ['port', 0] }
    ])
    assert.equal(device.closed, false, 'an MTU changes on the running device')
    send(frame(9014))
    assert.equal(device.written.at(-1)!.length, 9014)
  })

  test('the hook for long frames may keep them', () => {
    const kept: number[] = []
    tooLong = (handle) => {
      kept.push(device.context.frames.length[handle])
      device.context.frames.free(handle)
      return true
    }
    send(frame(1600))
    assert.deepEqual(kept, [1600])
    assert.deepEqual(drops(), {})
  })

  test('a partial checksum is finished only where the device cannot', () => {
    const sent = superFrame({ transport: 'udp', family: 4, payload: payloadOf(501), gsoSize: 0 })
    send(sent)
    assert.deepEqual(device.written[0], sent.bytes)
    assert.equal(device.flags[0], FrameFlag.csum)
    device.offloads = NO_OFFLOADS
    send(sent)
    const [, finished] = device.written
    assert.equal(device.flags[1], 0)
    const pseudo = Buffer.concat([finished.subarray(26, 34), Buffer.from([0, 17, 509 >> 8, 509 & 255])])
    assert.equal((slowSum(pseudo) + slowSum(finished.subarray(34))) % 65535, 0)
    finished.writeUInt16BE(sent.bytes.readUInt16BE(40), 40)
    assert.deepEqual(finished, sent.bytes, 'nothing else has changed')
  })

  test('a super-frame is cut only where the device cannot take it, and each kind counts by itself', () => {
    const tcp4 = superFrame({ transport: 'tcp', family: 4, payload: payloadOf(14_000), gsoSize: 1400 })
    const tcp6 = superFrame({ transport: 'tcp', family: 6, payload: payloadOf(2800), gsoSize: 1400 })
    device.offloads = ALL_OFFLOADS & ~Offload.tso6
    send(tcp4, tcp6)
    assert.deepEqual(
      device.written.map((bytes) => bytes.length),
      [14_054, 1474, 1474]
    )
    assert.deepEqual([count('segmented'), count('segments'), count('txFrames')], [1, 2, 3])
    assert.equal(bench.engine.frames.inUse, 0)
  })

  test('a super-frame of more segments than a batch goes out whole; with a full device the rest is dropped as busy', () => {
    device.offloads = NO_OFFLOADS
    const many = superFrame({ transport: 'tcp', family: 4, payload: payloadOf(20_000), gsoSize: 100 })
    send(many)
    assert.equal(device.written.length, 200)
    device.room = 30
    send(many)
    assert.equal(device.written.length, 230)
    assert.deepEqual(drops(), { 'device.busy': 200 - 30 - BATCH })
    device.room = Number.POSITIVE_INFINITY
    bench.advance(0.001)
    assert.equal(device.written.length, 230 + BATCH)
    assert.equal(bench.engine.frames.inUse, 0)
  })

  test('a super-frame whose headers are not what it says is dropped, not sent', () => {
    device.offloads = NO_OFFLOADS
    const bad = superFrame({ transport: 'tcp', family: 4, payload: payloadOf(5000), gsoSize: 1000 })
    send({ ...bad, gsoType: 4 }, { ...bad, gsoType: 3 }, { ...bad, flags: FrameFlag.csum, csumStart: 60_000 })
    assert.equal(device.written.length, 0)
    assert.deepEqual(drops(), { 'device.badHeaders': 2, 'device.tooLong': 1 })
    send({ ...superFrame({ transport: 'udp', family: 4, payload: payloadOf(50), gsoSize: 0 }), csumStart: 90 })
    assert.deepEqual(drops(), { 'device.badHeaders': 3, 'device.tooLong': 1 })
    assert.equal(bench.engine.frames.inUse, 0)
  })

  test('frames that still wait when the device is taken away are dropped by name', () => {
    device.room = 0
    send(frame(60), frame(60))
    bench.configure({ port: { type: 'test-port' } }, [])
    assert.equal(device.closed, true)
    assert.equal(bench.engine.frames.inUse, 0)
  })
})
