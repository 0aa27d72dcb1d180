import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FrameFlag } from '../../src/engine/frame-pool.ts'
import { MemoryDevice } from '../../src/io/memory-device.ts'
import { frameDeviceSuite, rigPool } from './frame-device-suite.ts'
import { frameAt, place } from './super-frame.ts'

describe('a memory pair', () => {
  frameDeviceSuite(() => {
    const pool = rigPool()
    const farPool = rigPool()
    const [device, far] = MemoryDevice.pair(pool, farPool)
    const out = new Int32Array(128)
    return {
      device,
      pool,
      inject(frames) {
        const handles = Int32Array.from(frames, (frame) => place(farPool, frame))
        assert.equal(far.write(handles, 0, handles.length), handles.length)
        for (const handle of handles) farPool.free(handle)
      },
      arrived() {
        const handles = [...out.subarray(0, far.read(out, 128))]
        const frames = handles.map((handle) => frameAt(farPool, handle))
        for (const handle of handles) farPool.free(handle)
        return frames
      },
      close() {
        device.close()
        far.close()
        assert.equal(farPool.inUse, 0)
      }
    }
  })

  test('a full cable takes no more until it is read; a cable with no far end swallows', () => {
    const pool = rigPool()
    const [a, b] = MemoryDevice.pair(pool, pool, { capacity: 3 })
    const frames = Int32Array.from({ length: 5 }, (_, i) => pool.allocate(60 + i))
    assert.equal(a.write(frames, 0, 5), 3)
    const out = new Int32Array(8)
    assert.equal(b.read(out, 2), 2)
    assert.equal(a.write(frames, 3, 2), 2)
    assert.equal(b.read(out, 8), 3)
    assert.equal(pool.length[out[2]], 64)
    b.close()
    assert.equal(a.write(frames, 0, 5), 5)
  })

  test('identity and trace stay behind: the far end is another engine', () => {
    const pool = rigPool()
    const [a, b] = MemoryDevice.pair(pool)
    const frame = pool.allocate(60)
    pool.flags[frame] = FrameFlag.traced | FrameFlag.csumValid
    pool.packetId[frame] = 9
    a.write(Int32Array.of(frame), 0, 1)
    const out = new Int32Array(1)
    b.read(out, 1)
    assert.equal(pool.flags[out[0]], FrameFlag.csumValid)
    assert.equal(pool.packetId[out[0]], 0)
  })

  test('the far end is told when frames wait', () => {
    const pool = rigPool()
    const [a, b] = MemoryDevice.pair(pool)
    let told = 0
    b.listen(() => told++)
    a.write(Int32Array.of(pool.allocate(60)), 0, 1)
    a.write(new Int32Array(1), 0, 0)
    assert.equal(told, 1)
  })
})
