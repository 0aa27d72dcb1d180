// What every FrameDevice has to do. A device's test imports this and gives a rig: the device, and the far end of its cable.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FrameHandle, FramePool, HEADROOM } from '../../src/engine/frame-pool.ts'
import { BATCH, type FrameDevice, Offload } from '../../src/io/frame-device.ts'
import { bytesOfFrame, payloadOf, place, type SuperFrame, superFrame } from './super-frame.ts'

export interface DeviceRig {
  readonly device: FrameDevice
  /** The device's pool, checked. */
  readonly pool: FramePool
  /** Has the far end send frames, which the device can read when it returns. A device that only reads may be made after the first call. */
  inject(frames: readonly SuperFrame[]): void
  /** What has reached the far end since the last call, when there are so many; null for a device that only reads. */
  arrived: ((count: number) => SuperFrame[]) | null
  close(): void
}

/** Frames of the local experimental EtherType (IEEE 802), which no kernel answers. */
function plain(length: number, mark: number): SuperFrame {
  const bytes = Buffer.alloc(length, mark)
  bytes.set([2, 0xcc, 0, 0, 0, 2, 2, 0xcc, 0, 0, 0, 1, 0x88, 0xb5])
  return { bytes, flags: 0, gsoType: 0, gsoSize: 0, hdrLen: 0, csumStart: 0, csumOffset: 0 }
}

const LENGTHS = [14, 60, 61, 1513, 1514]
/** Engine time that is later than any frame of a rig. */
const LATE = 1e18

export function frameDeviceSuite(openRig: () => DeviceRig): void {
  const withRig = (body: (rig: DeviceRig) => void) => () => {
    const rig = openRig()
    try {
      body(rig)
    } finally {
      rig.close()
    }
    assert.equal(rig.pool.inUse, 0, 'every frame has come back to the pool')
  }
  const readAll = ({ device }: DeviceRig, max = BATCH): FrameHandle[] => {
    const out = new Int32Array(max)
    const frames: FrameHandle[] = []
    for (let count = device.read(out, max, LATE); count > 0; count = device.read(out, max, LATE)) frames.push(...out.subarray(0, count))
    return frames
  }
  const freeAll = (pool: FramePool, frames: Iterable<FrameHandle>): void => {
    for (const frame of frames) pool.free(frame)
  }

  test(
    'an idle device reads nothing, and says so without error',
    withRig((rig) => {
      assert.equal(rig.device.alive, true)
      assert.deepEqual(readAll(rig), [])
      assert.deepEqual(rig.device.counters, { rxMalformed: 0, rxTruncated: 0, rxNoBuffer: 0, txErrors: 0 })
    })
  )

  test(
    'frames come in whole and in order, behind the full headroom',
    withRig((rig) => {
      const sent = LENGTHS.map((length, i) => plain(length, i + 1))
      rig.inject(sent)
      const frames = readAll(rig)
      assert.deepEqual(
        frames.map((frame) => bytesOfFrame(rig.pool, frame)),
        sent.map(({ bytes }) => bytes)
      )
      for (const frame of frames) {
        assert.equal(rig.pool.start[frame] - rig.pool.slotStart(frame), HEADROOM)
        assert.equal(rig.pool.flags[frame], 0)
      }
      assert.equal(rig.pool.inUse, frames.length, 'they belong to the reader')
      freeAll(rig.pool, frames)
    })
  )

  test(
    'a read gives at most what was asked for and leaves the rest for the next',
    withRig((rig) => {
      rig.inject(Array.from({ length: 100 }, (_, i) => plain(60, i)))
      const out = new Int32Array(7)
      assert.equal(rig.device.read(out, 7, LATE), 7)
      const rest = readAll(rig)
      assert.equal(rest.length, 93)
      assert.equal(bytesOfFrame(rig.pool, rest[0])[20], 7)
      freeAll(rig.pool, [...out, ...rest])
    })
  )

  test(
    'frames are written whole and in order, from the given window only, and stay the writer’s',
    withRig((rig) => {
      const { device, pool } = rig
      const frames = Int32Array.from(LENGTHS, (length, i) => place(pool, plain(length, i + 1)))
      const before = pool.inUse
      assert.equal(device.write(frames, 1, 3), 3)
      assert.equal(device.write(frames, 4, 1), 1)
      assert.ok(pool.inUse >= before)
      if (rig.arrived !== null) {
        const expected = LENGTHS.slice(1).map((length, i) => plain(length, i + 2).bytes)
        assert.deepEqual(
          rig.arrived(expected.length).map(({ bytes }) => bytes),
          expected
        )
      }
      freeAll(pool, frames)
    })
  )

  test(
    'what is not yet checksummed or cut goes out with its offload fields, as far as the device says so',
    withRig((rig) => {
      if (rig.arrived === null) return
      const { device, pool } = rig
      const wanted: [number, SuperFrame][] = [
        [Offload.csum, superFrame({ transport: 'udp', family: 4, payload: payloadOf(500), gsoSize: 0 })],
        [
          Offload.csum | Offload.tso4,
          superFrame({ transport: 'tcp', family: 4, payload: payloadOf(60_000), gsoSize: 1448, tcpOptions: 12 })
        ],
        [Offload.csum | Offload.tso6, superFrame({ transport: 'tcp', family: 6, payload: payloadOf(30_000), gsoSize: 1428 })],
        [Offload.csum | Offload.uso4, superFrame({ transport: 'udp', family: 4, payload: payloadOf(20_000), gsoSize: 1400 })]
      ]
      const sent = wanted.filter(([needs]) => (needs & ~device.offloads) === 0).map(([, frame]) => frame)
      const frames = Int32Array.from(sent, (frame) => place(pool, frame))
      assert.equal(device.write(frames, 0, frames.length), frames.length)
      // hdrLen is a hint, which the kernel rewrites.
      const essence = ({ bytes, flags, gsoType, gsoSize, csumStart, csumOffset }: SuperFrame) => ({
        bytes: bytes.toString('hex'),
        flags,
        gso: gsoSize > 0 ? [gsoType, gsoSize] : [],
        csumStart,
        csumOffset
      })
      assert.deepEqual(rig.arrived(sent.length).map(essence), sent.map(essence))
      freeAll(pool, frames)
    })
  )

  test(
    'super-frames come in with their offload fields',
    withRig((rig) => {
      const { device, pool } = rig
      if (rig.arrived === null || (device.offloads & Offload.tso4) === 0) return
      const sent = superFrame({ transport: 'tcp', family: 4, payload: payloadOf(60_000), gsoSize: 1448 })
      rig.inject([sent])
      const [frame] = readAll(rig)
      assert.deepEqual(bytesOfFrame(pool, frame), sent.bytes)
      assert.deepEqual(
        [pool.flags[frame], pool.gsoType[frame], pool.gsoSize[frame], pool.csumStart[frame], pool.csumOffset[frame]],
        [sent.flags, sent.gsoType, sent.gsoSize, sent.csumStart, sent.csumOffset]
      )
      pool.free(frame)
    })
  )

  test(
    'a pool without slots costs frames, which are counted, and nothing else',
    withRig((rig) => {
      const { pool } = rig
      const hoard: FrameHandle[] = []
      for (let frame = pool.allocate(60); frame >= 0; frame = pool.allocate(60)) hoard.push(frame)
      rig.inject([plain(60, 1), plain(61, 2)])
      assert.deepEqual(readAll(rig), [])
      assert.equal(rig.device.counters.rxNoBuffer, 2)
      freeAll(pool, hoard)
      if (rig.arrived === null) return
      rig.inject([plain(62, 3)])
      const frames = readAll(rig)
      assert.deepEqual(
        frames.map((frame) => pool.length[frame]),
        [62]
      )
      freeAll(pool, frames)
    })
  )

  test(
    'closing gives back what waits in the device',
    withRig((rig) => {
      rig.inject([plain(60, 1), plain(60, 2)])
    })
  )
}

/** Pools of rigs: small, so that a test can use one up. */
export function rigPool(): FramePool {
  return new FramePool({ checked: true, maxSmallChunks: 1, maxLargeChunks: 1 })
}
