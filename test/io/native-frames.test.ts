// The addon's batched reads and writes, on seqpacket sockets: they keep frame boundaries as a TAP does, need no privilege,
// and let a test send virtio_net_hdr bytes that no kernel would.
import assert from 'node:assert/strict'
import { readSync, writeSync } from 'node:fs'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { FrameFlag, FramePool, HEADROOM, LARGE_CAPACITY, SMALL_CAPACITY } from '../../src/engine/frame-pool.ts'
import { arenaOf } from '../../src/io/frame-arena.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { Errno, type NativeArena, ReadResult, WriteResult } from '../../src/io/native-binding.ts'

const native = tryLoadNative()!
const VNET = 12

/** virtio_net_hdr_v1, little endian. */
function vnetHeader(fields: { flags?: number; gso?: number; hdrLen?: number; gsoSize?: number; start?: number; offset?: number }): Buffer {
  const header = Buffer.alloc(VNET)
  header[0] = fields.flags ?? 0
  header[1] = fields.gso ?? 0
  header.writeUInt16LE(fields.hdrLen ?? 0, 2)
  header.writeUInt16LE(fields.gsoSize ?? 0, 4)
  header.writeUInt16LE(fields.start ?? 0, 6)
  header.writeUInt16LE(fields.offset ?? 0, 8)
  return header
}

function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 7 + length) & 255))
}

describe('batched frame I/O', { skip: native === null && 'the addon is not built' }, () => {
  let pool: FramePool
  let arena: NativeArena
  let near: number
  let far: number
  const out = new Int32Array(64)
  const result = new Int32Array(4)

  beforeEach(() => {
    pool = new FramePool({ checked: true })
    arena = arenaOf(pool, native)
    pool.reserve(64, 64)
    ;[near, far] = native.socketpairSeqpacket()
    native.setNonblocking(near, true)
  })
  afterEach(() => {
    native.closeFd(near)
    native.closeFd(far)
  })

  const send = (header: Buffer, frame: Buffer): void => {
    writeSync(far, Buffer.concat([header, frame]))
  }
  const read = (max = 64): number => native.readFrames(arena, near, VNET, out, max, result)
  const bytesOf = (frame: number): Buffer => Buffer.from(pool.bytes(frame).slice(pool.start[frame], pool.start[frame] + pool.length[frame]))

  test('a frame that fits goes to a small slot, a longer one to a large slot, each behind the headroom', () => {
    for (const length of [1, 60, SMALL_CAPACITY, SMALL_CAPACITY + 1, 65_550]) send(vnetHeader({}), pattern(length))
    assert.equal(read(), 5)
    assert.equal(result[ReadResult.errno], Errno.EAGAIN)
    for (let i = 0; i < 5; i++) {
      const frame = out[i]
      const length = [1, 60, SMALL_CAPACITY, SMALL_CAPACITY + 1, 65_550][i]
      assert.equal(frame >= pool.largeBase, length > SMALL_CAPACITY, `class of a frame of ${length}`)
      assert.equal(pool.start[frame] - pool.slotStart(frame), HEADROOM)
      assert.equal(pool.flags[frame], 0)
      assert.deepEqual(bytesOf(frame), pattern(length))
    }
    assert.equal(pool.inUse, 5)
  })

  test('max bounds the batch and the rest stays in the kernel', () => {
    for (let i = 0; i < 5; i++) send(vnetHeader({}), pattern(60 + i))
    assert.equal(read(3), 3)
    assert.equal(result[ReadResult.errno], 0)
    assert.equal(read(), 2)
    assert.deepEqual(bytesOf(out[0]), pattern(63))
  })

  test('bytes bound the batch too', () => {
    // 198,000 bytes: more than a batch, and all that the socket holds.
    for (let i = 0; i < 3; i++) send(vnetHeader({}), pattern(66_000))
    assert.equal(read(), 3)
    assert.equal(result[ReadResult.errno], 0, 'it did not look for a fourth')
    assert.equal(read(), 0)
    assert.equal(result[ReadResult.errno], Errno.EAGAIN)
  })

  test('offload fields come from the header', () => {
    send(vnetHeader({ flags: 1, gso: 0x81, hdrLen: 66, gsoSize: 1448, start: 34, offset: 16 }), pattern(20_000))
    send(vnetHeader({ flags: 2 }), pattern(60))
    assert.equal(read(), 2)
    const [frame, valid] = out
    assert.equal(pool.flags[frame], FrameFlag.csum | FrameFlag.gso)
    assert.deepEqual(
      [pool.gsoType[frame], pool.hdrLen[frame], pool.gsoSize[frame], pool.csumStart[frame], pool.csumOffset[frame]],
      [0x81, 66, 1448, 34, 16]
    )
    assert.equal(pool.flags[valid], FrameFlag.csumValid)
  })

  for (const [name, header, length] of [
    ['a checksum field that ends behind the frame', { flags: 1, start: 58, offset: 1 }, 60],
    ['a checksum start that wraps', { flags: 1, start: 65535, offset: 65535 }, 60],
    ['an unknown GSO type', { gso: 2, gsoSize: 1000, hdrLen: 54 }, 4000],
    ['a tunnel GSO type that was not negotiated', { gso: 0x21, gsoSize: 1000, hdrLen: 54 }, 4000],
    ['segments of no bytes', { gso: 1, gsoSize: 0, hdrLen: 54 }, 4000],
    ['headers longer than the frame', { gso: 1, gsoSize: 100, hdrLen: 4001 }, 4000],
    ['an empty frame', {}, 0]
  ] as const) {
    test(`${name}: dropped, counted, and no slot lost`, () => {
      send(vnetHeader(header), pattern(length))
      send(vnetHeader({}), pattern(61))
      assert.equal(read(), 1)
      assert.equal(result[ReadResult.malformed], 1)
      assert.deepEqual(bytesOf(out[0]), pattern(61))
      assert.equal(pool.inUse, 1)
    })
  }

  test('a message shorter than the vnet header is malformed', () => {
    writeSync(far, Buffer.alloc(VNET - 1))
    assert.equal(read(), 0)
    assert.equal(result[ReadResult.malformed], 1)
  })

  test('a checksum field that ends with the frame is sound', () => {
    send(vnetHeader({ flags: 1, start: 50, offset: 8 }), pattern(60))
    assert.equal(read(), 1)
    assert.equal(pool.flags[out[0]], FrameFlag.csum)
  })

  test('a frame longer than a large slot is counted as truncated', () => {
    send(vnetHeader({}), pattern(LARGE_CAPACITY + 10))
    assert.equal(read(), 0)
    assert.equal(result[ReadResult.truncated], 1)
    assert.equal(pool.inUse, 0)
  })

  test('an exhausted pool leaves the frames in the kernel, and discardFrames takes them away', () => {
    const tiny = new FramePool({ maxSmallChunks: 1, maxLargeChunks: 1, checked: true })
    const tinyArena = arenaOf(tiny, native)
    send(vnetHeader({}), pattern(60))
    assert.equal(native.readFrames(tinyArena, near, VNET, out, 64, result), 0, 'nothing was reserved')
    assert.equal(result[ReadResult.errno], Errno.ENOBUFS)
    tiny.reserve(1, 1)
    assert.equal(native.readFrames(tinyArena, near, VNET, out, 64, result), 1)
    for (let i = 0; i < 3; i++) send(vnetHeader({}), pattern(60))
    assert.equal(native.discardFrames(near, 2), 2)
    assert.equal(native.discardFrames(near, 9), 1)
  })

  test('written frames carry their offload fields', () => {
    const plain = pool.allocate(60)
    pool.bytes(plain).set(pattern(60), pool.start[plain])
    const large = pool.allocate(5000)
    pool.bytes(large).set(pattern(5000), pool.start[large])
    pool.flags[large] = FrameFlag.csum | FrameFlag.gso
    pool.gsoType[large] = 4
    pool.gsoSize[large] = 1428
    pool.hdrLen[large] = 86
    pool.csumStart[large] = 54
    pool.csumOffset[large] = 16
    assert.equal(native.writeFrames(arena, near, VNET, Int32Array.of(99, plain, large), 1, 2, result, 0), 2)
    assert.deepEqual([...result.subarray(0, 3)], [0, 0, 0])
    const got = Buffer.alloc(70_000)
    assert.deepEqual(got.subarray(0, readSync(far, got)), Buffer.concat([vnetHeader({}), pattern(60)]))
    const header = vnetHeader({ flags: 1, gso: 4, hdrLen: 86, gsoSize: 1428, start: 54, offset: 16 })
    assert.deepEqual(got.subarray(0, readSync(far, got)), Buffer.concat([header, pattern(5000)]))
    assert.equal(pool.inUse, 2, 'the caller still owns them')
  })

  test('a frame without headroom left is written all the same, and its slot neighbor is not touched', () => {
    const neighbor = pool.allocate(SMALL_CAPACITY)
    const frame = pool.allocate(SMALL_CAPACITY)
    const [low, high] = neighbor < frame ? [neighbor, frame] : [frame, neighbor]
    pool.start[high] = pool.slotStart(high) + 4
    pool.length[high] = 100
    pool.bytes(high).set(pattern(100), pool.start[high])
    pool.bytes(low).fill(0xa5, pool.start[low], pool.start[low] + SMALL_CAPACITY)
    assert.equal(native.writeFrames(arena, near, VNET, Int32Array.of(high), 0, 1, result, 0), 1)
    const got = Buffer.alloc(2000)
    assert.deepEqual(got.subarray(0, readSync(far, got)), Buffer.concat([vnetHeader({}), pattern(100)]))
    assert.ok(bytesOf(low).every((byte) => byte === 0xa5))
  })

  test('EAGAIN ends a write and names how far it came', () => {
    const frames = Int32Array.from({ length: 64 }, () => pool.allocate(60_000))
    let written = 0
    do {
      written = native.writeFrames(arena, near, 0, frames, 0, 64, result, 0)
    } while (written === 64)
    assert.equal(result[WriteResult.errno], Errno.EAGAIN)
    assert.equal(result[WriteResult.failed], 0)
  })

  test('frames refused for another reason are done and failed', () => {
    const [pipeNear, pipeFar] = native.socketpairSeqpacket()
    native.closeFd(pipeFar)
    const frames = Int32Array.of(pool.allocate(60), pool.allocate(61))
    const handles = [...frames]
    assert.equal(native.writeFrames(arena, pipeNear, VNET, frames, 0, 2, result, 0), 2)
    assert.deepEqual(
      [...frames],
      handles.map((handle) => ~handle)
    )
    assert.deepEqual([...result.subarray(0, 3)], [0, 2, 32], 'EPIPE twice')
    native.closeFd(pipeNear)
  })
})
