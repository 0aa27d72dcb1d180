// Datagrams that are written as one super-frame: on a seqpacket socket, which shows what a TAP would be given, and which a
// function of this file parts again.
import assert from 'node:assert/strict'
import { readSync } from 'node:fs'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { FrameFlag, type FrameHandle, FramePool } from '../../src/engine/frame-pool.ts'
import { Random } from '../../src/engine/random.ts'
import { arenaOf } from '../../src/io/frame-arena.ts'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { Joins, type NativeArena } from '../../src/io/native-binding.ts'
import { fuzzSeed } from '../fuzz/fuzz-seed.ts'
import { frameAt, payloadOf, place, type SuperFrame, slowSum, superFrame } from './super-frame.ts'

const native = tryLoadNative()!
const VNET = 12
const IP = 14
const BOTH = Joins.ipv4 | Joins.ipv6

interface DatagramOptions {
  readonly length: number
  readonly family?: 4 | 6
  readonly ipId?: number
  /** Bytes of the finished frame, by place. */
  readonly change?: Readonly<Record<number, number>>
  /** Whether the IPv4 header's checksum is right in the end. Default true. */
  readonly isRight?: boolean
}

function datagram({ length, family = 4, ipId = 4242, change = {}, isRight = true }: DatagramOptions): SuperFrame {
  const frame = superFrame({ transport: 'udp', family, payload: payloadOf(length).map((byte) => byte ^ ipId), gsoSize: 0, ipId })
  for (const [at, value] of Object.entries(change)) frame.bytes[Number(at)] = value
  if (family === 4 && isRight) {
    frame.bytes.writeUInt16BE(0, IP + 10)
    frame.bytes.writeUInt16BE(65535 - slowSum(frame.bytes.subarray(IP, IP + 20)), IP + 10)
  }
  return frame
}

const DF = { [IP + 6]: 0x40 }
const MAY_FRAGMENT = { [IP + 6]: 0 }

/** The frames that the kernel makes of a super-frame: lengths, identification and checksums anew, the rest as in the first. */
function parted(written: Buffer): Buffer[] {
  const frame = written.subarray(VNET)
  if (written[1] === 0) return [frame]
  assert.deepEqual([written[0], written[1]], [1, 5], 'NEEDS_CSUM, GSO_UDP_L4')
  const [header, size, start, offset] = [2, 4, 6, 8].map((at) => written.readUInt16LE(at))
  assert.deepEqual([header, offset], [start + 8, 6])
  const isFour = frame.readUInt16BE(12) === 0x0800
  assert.equal(frame.readUInt16BE(start + 4), frame.length - start, 'length of the joined datagram')
  if (isFour) {
    assert.equal(frame.readUInt16BE(IP + 2), frame.length - IP)
    assert.equal(slowSum(frame.subarray(IP, IP + 20)), 0, 'its header is right: sums to 65,535')
  } else assert.equal(frame.readUInt16BE(IP + 4), frame.length - start)
  const frames: Buffer[] = []
  for (let at = header; at < frame.length; at += size) {
    const payload = frame.subarray(at, Math.min(frame.length, at + size))
    const one = Buffer.concat([frame.subarray(0, header), payload])
    one.writeUInt16BE(8 + payload.length, start + 4)
    if (isFour) {
      one.writeUInt16BE(20 + 8 + payload.length, IP + 2)
      one.writeUInt16BE((frame.readUInt16BE(IP + 4) + frames.length) & 0xffff, IP + 4)
      one.writeUInt16BE(0, IP + 10)
      one.writeUInt16BE(65535 - slowSum(one.subarray(IP, IP + 20)), IP + 10)
    } else one.writeUInt16BE(8 + payload.length, IP + 4)
    // Partial checksums hold the pseudo-header's sum: less by what the length is less.
    const joined = frame.readUInt16BE(start + 6)
    one.writeUInt16BE((((joined - (frame.length - start) + 8 + payload.length) % 65535) + 65535) % 65535, start + 6)
    frames.push(one)
  }
  return frames
}

describe('datagrams written as one', { skip: native === null && 'the addon is not built' }, () => {
  let pool: FramePool
  let arena: NativeArena
  let near: number
  let far: number
  const result = new Int32Array(4)

  beforeEach(() => {
    pool = new FramePool({ checked: true })
    arena = arenaOf(pool, native)
    ;[near, far] = native.socketpairSeqpacket()
    native.setNonblocking(near, true)
    native.setNonblocking(far, true)
  })
  afterEach(() => {
    native.closeFd(near)
    native.closeFd(far)
  })

  const got = Buffer.alloc(70_000)
  /** What each write gave the device. */
  function write(frames: readonly SuperFrame[], joins = BOTH): Buffer[] {
    const handles = Int32Array.from(frames, (frame) => place(pool, frame))
    const writes: Buffer[] = []
    for (let done = 0; done < handles.length; ) {
      done += native.writeFrames(arena, near, VNET, handles, done, handles.length - done, result, joins)
      assert.equal(result[1], 0, 'none is refused')
      for (;;) {
        try {
          writes.push(Buffer.from(got.subarray(0, readSync(far, got))))
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN')
          break
        }
      }
    }
    for (const [i, handle] of handles.entries()) assert.deepEqual(frameAt(pool, handle), frames[i], 'the frames stay as they are')
    for (const handle of handles) pool.free(handle as FrameHandle)
    return writes
  }
  /** How many frames each write held. */
  const runs = (frames: readonly SuperFrame[], joins?: number): number[] => write(frames, joins).map((each) => parted(each).length)
  const many = (count: number, options: (i: number) => DatagramOptions): SuperFrame[] =>
    Array.from({ length: count }, (_, i) => datagram(options(i)))

  for (const family of [4, 6] as const) {
    test(`IPv${family}: a bulk transfer's go together and come apart as they were`, () => {
      const frames = many(40, (i) => ({ family, length: 1400, ipId: (65_530 + i) & 0xffff }))
      const writes = write(frames)
      assert.deepEqual(
        writes.map((each) => parted(each).length),
        [40]
      )
      assert.deepEqual(
        writes.flatMap(parted),
        frames.map(({ bytes }) => bytes)
      )
    })
  }

  test('the last may be shorter, and ends the run', () => {
    const lengths = [100, 100, 100, 100, 40, 100, 100, 100, 100]
    assert.deepEqual(runs(many(9, (i) => ({ length: lengths[i], ipId: i }))), [5, 4])
  })

  test('a longer one begins anew, and three are left alone', () => {
    assert.deepEqual(runs(many(8, (i) => ({ length: i < 4 ? 100 : 101, ipId: i }))), [4, 4])
    assert.deepEqual(runs(many(3, (i) => ({ length: 100, ipId: i }))), [1, 1, 1])
  })

  test('64 datagrams and 65,535 bytes are the most', () => {
    assert.deepEqual(runs(many(70, (i) => ({ length: 10, ipId: i }))), [64, 6])
    assert.deepEqual(runs(many(50, (i) => ({ length: 1400, ipId: i }))), [46, 4], '46 * 1,400 + 28 = 64,428')
  })

  test('identifications count up, or mean nothing where fragmentation is forbidden', () => {
    assert.deepEqual(runs(many(4, () => ({ length: 100, ipId: 7, change: DF }))), [4])
    assert.deepEqual(runs(many(4, () => ({ length: 100, ipId: 7, change: MAY_FRAGMENT }))), [1, 1, 1, 1])
    assert.deepEqual(runs(many(4, (i) => ({ length: 100, ipId: i, change: MAY_FRAGMENT }))), [4])
  })

  const ALONE: Record<string, Partial<DatagramOptions>> = {
    'of another sender': { change: { [IP + 15]: 9 } },
    'to another host': { change: { [IP + 19]: 9 } },
    'to another station': { change: { 5: 9 } },
    'of another port': { change: { [IP + 20]: 9 } },
    'to another port': { change: { [IP + 23]: 7 } },
    'with another TTL': { change: { [IP + 8]: 9 } },
    'with another DSCP': { change: { [IP + 1]: 4 } },
    'that is a fragment': { change: { [IP + 6]: 0x20 } },
    'of TCP': { change: { [IP + 9]: 6 } },
    'with a wrong header checksum': { change: { [IP + 10]: 1 }, isRight: false },
    'whose lengths disagree': { change: { [IP + 25]: 9 } },
    'without a payload': { length: 0 }
  }
  for (const [what, options] of Object.entries(ALONE)) {
    test(`one ${what} goes alone`, () => {
      const frames = many(9, (i) => ({ length: 100, ipId: i, ...(i === 4 ? options : {}) }))
      const writes = write(frames)
      assert.deepEqual(
        writes.map((each) => each.length === VNET + frames[4].bytes.length),
        [false, true, false]
      )
      assert.deepEqual(writes[1].subarray(VNET), frames[4].bytes)
    })
  }

  test('to a group, finished, of a family that the device does not take: all alone', () => {
    const four = many(4, (i) => ({ length: 100, ipId: i }))
    assert.deepEqual(runs(many(4, (i) => ({ length: 100, ipId: i, change: { 0: 3 } }))), [1, 1, 1, 1])
    assert.deepEqual(runs(four.map((frame) => ({ ...frame, flags: FrameFlag.csumValid }))), [1, 1, 1, 1])
    assert.deepEqual(runs(four, Joins.ipv6), [1, 1, 1, 1])
    assert.deepEqual(runs(four, 0), [1, 1, 1, 1])
    assert.deepEqual(
      runs(
        many(4, () => ({ family: 6, length: 100 })),
        Joins.ipv4
      ),
      [1, 1, 1, 1]
    )
  })

  test('whatever is written comes apart as it was', (context) => {
    const seed = fuzzSeed()
    context.diagnostic(`NETLOOM_FUZZ_SEED=${seed} repeats this run`)
    const random = new Random(seed)
    for (let round = 0; round < 300; round++) {
      let id = random.below(65536)
      const frames = many(1 + random.below(64), () => {
        id = random.below(10) === 0 ? random.below(65536) : (id + 1) & 0xffff
        const change = random.below(12) === 0 ? { [random.below(42)]: random.below(256) } : {}
        return { length: 60 + 40 * random.below(2), family: round % 2 === 0 ? 4 : 6, ipId: id, change, isRight: random.below(20) > 0 }
      })
      // A segment's header says nothing of a changed partial checksum: it is made anew, as the kernel makes it.
      const plain = (frame: Buffer): Buffer => {
        const copy = Buffer.from(frame)
        const start = copy.readUInt16BE(12) === 0x0800 ? 34 : 54
        if (copy.length > start + 8) copy.writeUInt16BE(0, start + 6)
        // Identifications of what may not be fragmented are counted anew.
        if (start === 34 && (copy[IP + 6] & 0x40) !== 0) copy.fill(0, IP + 4, IP + 6).fill(0, IP + 10, IP + 12)
        return copy
      }
      assert.deepEqual(
        write(frames).flatMap(parted).map(plain),
        frames.map(({ bytes }) => plain(bytes)),
        `round ${round} of seed ${seed}`
      )
    }
  })
})
