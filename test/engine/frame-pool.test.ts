import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  FrameFlag,
  FramePool,
  HEADROOM,
  LARGE_CAPACITY,
  LARGE_CHUNK_SLOTS,
  LARGE_SLOT,
  NO_FRAME,
  SMALL_CAPACITY,
  SMALL_CHUNK_SLOTS,
  SMALL_SLOT
} from '../../src/engine/frame-pool.ts'
import { seededRandom } from '../wire/seeded-random.ts'

const SMALL_POOL = { maxSmallChunks: 2, maxLargeChunks: 1, checked: true }

function contents(pool: FramePool, frame: number): Uint8Array {
  const at = pool.start[frame]
  return pool.bytes(frame).slice(at, at + pool.length[frame])
}

test('a frame goes to the class that its length fits', () => {
  const pool = new FramePool(SMALL_POOL)
  for (const [length, large] of [
    [0, false],
    [1, false],
    [SMALL_CAPACITY, false],
    [SMALL_CAPACITY + 1, true],
    [LARGE_CAPACITY, true]
  ] as const) {
    const frame = pool.allocate(length)
    assert.equal(frame >= pool.largeBase, large, `${length} bytes`)
    assert.equal(pool.length[frame], length)
    assert.equal(pool.start[frame] - pool.slotStart(frame), HEADROOM)
    assert.equal(pool.room(frame), (large ? LARGE_SLOT : SMALL_SLOT) - HEADROOM)
    pool.free(frame)
  }
  assert.equal(pool.allocate(LARGE_CAPACITY + 1), NO_FRAME)
  assert.equal(pool.inUse, 0)
})

test('frames do not overlap, in any chunk, from headroom to end', () => {
  const pool = new FramePool(SMALL_POOL)
  const frames: number[] = []
  for (let i = 0; i < SMALL_CHUNK_SLOTS + 10; i++) frames.push(pool.allocate(SMALL_CAPACITY))
  for (let i = 0; i < 20; i++) frames.push(pool.allocate(LARGE_CAPACITY))
  const marked = frames.filter((_, i) => i < 4 || i > SMALL_CHUNK_SLOTS - 3)
  marked.forEach((frame, i) => {
    const from = pool.slotStart(frame)
    pool.bytes(frame).fill(i + 1, from, pool.start[frame] + pool.length[frame])
  })
  marked.forEach((frame, i) => {
    const whole = pool.bytes(frame).subarray(pool.slotStart(frame), pool.start[frame] + pool.length[frame])
    assert.ok(
      whole.every((byte) => byte === i + 1),
      `frame ${frame}`
    )
  })
  assert.equal(pool.inUse, frames.length)
})

test('bytes and view are the same memory', () => {
  const pool = new FramePool(SMALL_POOL)
  for (const length of [100, 60_000]) {
    const frame = pool.allocate(length)
    pool.view(frame).setUint32(pool.start[frame], 0x01020304)
    assert.deepEqual([...contents(pool, frame).subarray(0, 4)], [1, 2, 3, 4])
  }
})

test('the pool grows chunk by chunk to its limit, then gives no frame, and works again after a free', () => {
  const pool = new FramePool(SMALL_POOL)
  const chunks: number[] = []
  pool.allocate(60)
  pool.onChunk((chunk, bytes) => {
    chunks.push(chunk)
    assert.ok(bytes.buffer instanceof SharedArrayBuffer)
  })
  assert.deepEqual(chunks, [0], 'told of those that exist')
  const seen = new Set<number>()
  for (let i = 1; i < 2 * SMALL_CHUNK_SLOTS; i++) seen.add(pool.allocate(60))
  assert.equal(seen.size, 2 * SMALL_CHUNK_SLOTS - 1)
  assert.deepEqual(chunks, [0, 1])
  assert.equal(pool.allocate(60), NO_FRAME)
  for (let i = 0; i < LARGE_CHUNK_SLOTS; i++) assert.notEqual(pool.allocate(60_000), NO_FRAME)
  assert.equal(pool.allocate(60_000), NO_FRAME)
  assert.deepEqual(chunks, [0, 1, pool.largeChunkBase])
  const [one] = seen
  pool.free(one)
  assert.equal(pool.allocate(60), one)
})

test('last in, first out', () => {
  const pool = new FramePool(SMALL_POOL)
  const [a, b] = [pool.allocate(60), pool.allocate(60)]
  pool.free(a)
  pool.free(b)
  assert.equal(pool.allocate(60), b)
  assert.equal(pool.allocate(60), a)
})

test('a slot that is used again carries nothing over', () => {
  const pool = new FramePool(SMALL_POOL)
  const frame = pool.allocate(60)
  pool.flags[frame] = FrameFlag.traced | FrameFlag.gso
  pool.packetId[frame] = 7
  pool.start[frame] -= 50
  pool.free(frame)
  assert.equal(pool.allocate(80), frame)
  assert.equal(pool.flags[frame], 0)
  assert.equal(pool.packetId[frame], 0)
  assert.equal(pool.start[frame] - pool.slotStart(frame), HEADROOM)
})

test('a copy has the bytes and all that is known, in a slot of its own', () => {
  const pool = new FramePool(SMALL_POOL)
  const random = seededRandom(11)
  for (const length of [0, 1, 13, 64, 65, 1514, SMALL_CAPACITY, 3000, 65_550, LARGE_CAPACITY]) {
    for (const shift of [0, -14, -50, 3]) {
      const frame = pool.allocate(length)
      pool.start[frame] += Math.min(shift, pool.room(frame) - length)
      const at = pool.start[frame]
      for (let i = 0; i < length; i++) pool.bytes(frame)[at + i] = random(256)
      pool.flags[frame] = FrameFlag.gso | FrameFlag.csum | FrameFlag.traced
      pool.gsoType[frame] = 0x81
      pool.gsoSize[frame] = 1448
      pool.hdrLen[frame] = 66
      pool.csumStart[frame] = 34
      pool.csumOffset[frame] = 16
      pool.ingress[frame] = 5
      pool.packetId[frame] = 99
      pool.timestamp[frame] = 1e12 + 1
      const copy = pool.copy(frame)
      assert.notEqual(copy, frame)
      assert.deepEqual(contents(pool, copy), contents(pool, frame), `${length} bytes, shift ${shift}`)
      const fields = ['flags', 'gsoType', 'gsoSize', 'hdrLen', 'csumStart', 'csumOffset', 'ingress', 'packetId', 'timestamp'] as const
      for (const field of fields) assert.equal(pool[field][copy], pool[field][frame], field)
      if (length > 0) {
        pool.bytes(copy)[pool.start[copy]] ^= 0xff
        assert.notDeepEqual(contents(pool, copy), contents(pool, frame))
      }
      pool.free(copy)
      pool.free(frame)
    }
  }
  assert.equal(pool.inUse, 0)
})

test('copying with an exhausted pool gives no frame and harms none', () => {
  const pool = new FramePool({ maxSmallChunks: 1, maxLargeChunks: 1, checked: true })
  const frame = pool.allocate(60)
  while (pool.allocate(60) !== NO_FRAME);
  assert.equal(pool.copy(frame), NO_FRAME)
  assert.equal(pool.inUse, SMALL_CHUNK_SLOTS)
})

test('a checked pool notices a double free and a handle that never was', () => {
  const pool = new FramePool(SMALL_POOL)
  const frame = pool.allocate(60)
  pool.free(frame)
  assert.throws(() => pool.free(frame), /freed twice/)
  assert.throws(() => pool.free(frame + 1), /never allocated/)
  assert.equal(pool.inUse, 0)
})

test('reserve has slots ready for the addon, as many as may be', () => {
  const pool = new FramePool(SMALL_POOL)
  pool.reserve(100, 1)
  assert.equal(pool.tops[0], SMALL_CHUNK_SLOTS)
  assert.equal(pool.tops[1], LARGE_CHUNK_SLOTS)
  pool.reserve(3 * SMALL_CHUNK_SLOTS, 0)
  assert.equal(pool.tops[0], 2 * SMALL_CHUNK_SLOTS, 'the limit')
  // What the addon does: it pops a handle itself and tells.
  const frame = pool.smallFree[--pool.tops[0]]
  pool.adopted(frame)
  pool.free(frame)
  assert.equal(pool.inUse, 0)
})

test('random allocation and freeing never gives one slot twice', () => {
  const pool = new FramePool(SMALL_POOL)
  const random = seededRandom(5)
  const live = new Set<number>()
  for (let step = 0; step < 50_000; step++) {
    if (live.size > 0 && random(2) === 0) {
      const [frame] = live
      live.delete(frame)
      pool.free(frame)
    } else {
      const frame = pool.allocate(random(20) === 0 ? 5000 : 60)
      if (frame === NO_FRAME) continue
      assert.ok(!live.has(frame))
      live.add(frame)
    }
    assert.equal(pool.inUse, live.size)
  }
})

test('allocateAll and freeAll do what allocate and free do one by one, at any count, in both classes', () => {
  for (const count of [0, 1, 3, 4, 5, 8, 11]) {
    const pool = new FramePool(SMALL_POOL)
    const batch = new Int32Array(16)
    assert.equal(pool.allocateAll(batch, count, 60), count)
    assert.equal(new Set(batch.subarray(0, count)).size, count)
    for (const frame of batch.subarray(0, count)) {
      assert.equal(pool.length[frame], 60)
      assert.equal(pool.flags[frame], 0)
      assert.equal(pool.start[frame], pool.slotStart(frame) + HEADROOM)
    }
    for (const large of [0, 2, 6]) {
      const mixed = Int32Array.from(batch)
      if (large < count) mixed[large] = pool.allocate(LARGE_CAPACITY)
      pool.freeAll(mixed, count)
      assert.equal(pool.inUse, large < count ? 1 : 0)
      if (count > 0) assert.throws(() => pool.freeAll(mixed, count), /freed twice/)
      if (large < count) pool.free(batch[large])
      assert.equal(pool.inUse, 0)
      for (let i = 0; i < count; i++) batch[i] = pool.allocate(60)
    }
  }
})

test('allocateAll gives what there is when the pool may not grow', () => {
  const pool = new FramePool({ maxSmallChunks: 1, maxLargeChunks: 1, checked: true })
  const batch = new Int32Array(SMALL_CHUNK_SLOTS + 5)
  assert.equal(pool.allocateAll(batch, SMALL_CHUNK_SLOTS - 3, 60), SMALL_CHUNK_SLOTS - 3)
  assert.equal(pool.allocateAll(batch, 10, 60), 3)
  assert.equal(pool.allocateAll(batch, 10, 60), 0)
})
