import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { CaptureFileError, CaptureFormatError } from '../../src/capture/capture-error.ts'
import type { CapturedFrame } from '../../src/capture/capture-reader.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { Random } from '../../src/engine/random.ts'
import { missing, temporaryFolder, tsharkFields } from './judge.ts'
import { samplePcapng } from './sample-capture.ts'

const data = path.resolve(import.meta.dirname, '../../../test/capture/data')
const samples = readdirSync(data).filter((name) => name.includes('.pcap'))

/** A pcap or pcapng of integers: `[size, value]` pairs in the byte order asked for, texts and bytes as they are. */
function build(little: boolean, ...parts: ([number, number | bigint] | string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(part)
      if (part instanceof Uint8Array) return Buffer.from(part)
      const [size, value] = part
      const bytes = Buffer.alloc(size)
      let rest = BigInt.asUintN(64, BigInt(value))
      for (let i = 0; i < size; i++, rest >>= 8n) bytes[little ? i : size - 1 - i] = Number(rest & 0xffn)
      return bytes
    })
  )
}

function block(little: boolean, type: number, ...body: Parameters<typeof build>[1][]): Buffer {
  const content = build(little, ...body)
  const padded = Buffer.concat([content, Buffer.alloc(-content.length & 3)])
  return build(little, [4, type], [4, padded.length + 12], padded, [4, padded.length + 12])
}

const section = (little: boolean) => block(little, 0x0a0d0d0a, [4, 0x1a2b3c4d], [2, 1], [2, 0], [8, -1])
const frame = Uint8Array.of(1, 2, 3, 4, 5)

test('files of other tools, judged by tshark', { skip: missing('tshark') }, () => {
  assert.equal(samples.length, 4)
  for (const name of samples) {
    const file = path.join(data, name)
    const expected = tsharkFields(file, 'frame.time_epoch', 'frame.cap_len', 'frame.len', 'frame.md5_hash')
    const reader = readCapture(file)
    const seen = [...reader].map(({ timestampNs, data, originalLength }) => [
      `${timestampNs / 1_000_000_000n}.${String(timestampNs % 1_000_000_000n).padStart(9, '0')}`,
      String(data.length),
      String(originalLength)
    ])
    assert.deepEqual(
      seen,
      expected.map((fields) => fields.slice(0, 3)),
      name
    )
    assert.equal(reader.truncatedAt, undefined)
  }
})

test('files of other tools, without a judge', () => {
  const frames = (name: string) => [...readCapture(path.join(data, name))]
  assert.deepEqual(
    frames('ping.pcap').map(({ data }) => data.length),
    [42, 42, 64, 64, 64, 64]
  )
  assert.deepEqual(
    frames('ping.nano.pcap').map(({ originalLength }) => originalLength),
    [42, 42, 98, 98, 98, 98]
  )
  const commented = frames('ping.pcapng')
  assert.equal(commented[0].comment, 'a request')
  assert.deepEqual(
    commented.map(({ data }) => Buffer.from(data)),
    frames('ping.nano.pcap').map(({ data }) => Buffer.from(data))
  )
  const reader = readCapture(path.join(data, 'two-interfaces.pcapng'))
  assert.deepEqual(
    [...reader].map((one) => one.interface),
    [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
  )
  assert.equal(reader.interfaces.length, 2)
  assert.match(reader.sections[0].application!, /^Mergecap/)
  assert.equal(reader.sections[0].os, 'Linux 6.1.0 (example)')
})

test('pcap in both byte orders, micro- and nanoseconds', () => {
  for (const little of [true, false]) {
    for (const [magic, unit] of [
      [0xa1b2c3d4, 1000n],
      [0xa1b23c4d, 1n]
    ] as const) {
      const file = build(little, [4, magic], [2, 2], [2, 4], [8, 0], [4, 512], [4, 1], [4, 10], [4, 999], [4, 5], [4, 60], frame)
      const reader = readCapture(file)
      const [one] = reader
      assert.equal(one.timestampNs, 10_000_000_000n + 999n * unit)
      assert.deepEqual([...one.data], [...frame])
      assert.equal(one.originalLength, 60)
      assert.deepEqual(reader.interfaces, [{ linkType: 1, snapLength: 512 }])
    }
  }
})

test('pcapng in both byte orders, in one file of two sections', () => {
  const file = Buffer.concat(
    [false, true].flatMap((little) => [
      section(little),
      // Nanoseconds, and the time offset of one hour.
      block(little, 1, [2, 1], [2, 0], [4, 0], [2, 9], [2, 1], Uint8Array.of(9, 0, 0, 0), [2, 14], [2, 8], [8, 3600], [4, 0]),
      // No resolution given: microseconds.
      block(little, 1, [2, 1], [2, 0], [4, 3], [2, 2], [2, 3], 'lan', Uint8Array.of(0), [4, 0]),
      // Units of 2^-10 s.
      block(little, 1, [2, 113], [2, 0], [4, 0], [2, 9], [2, 1], Uint8Array.of(0x8a, 0, 0, 0)),
      block(little, 0xbad, 'a block of the future'),
      block(
        little,
        6,
        [4, 0],
        [4, 1],
        [4, 5],
        [4, 5],
        [4, 60],
        frame,
        Uint8Array.of(0, 0, 0),
        [2, 999],
        [2, 2],
        [4, 7],
        [2, 2],
        [2, 4],
        [4, 2]
      ),
      block(little, 6, [4, 1], [4, 0], [4, 7], [4, 5], [4, 5], frame),
      block(little, 6, [4, 2], [4, 0], [4, 1024 + 512], [4, 5], [4, 5], frame),
      // A simple packet is of interface 0; an obsolete packet block names its own in 16 bits.
      block(little, 3, [4, 5], frame),
      block(little, 2, [2, 1], [2, 0], [4, 0], [4, 8], [4, 5], [4, 6], frame)
    ])
  )
  const reader = readCapture(file)
  const frames = [...reader]
  const expected = [
    [0, 3_600_000_000_000n + (1n << 32n) + 5n, 60],
    [1, 7000n, 5],
    [2, 1_500_000_000n, 5],
    [0, 0n, 5],
    [1, 8000n, 6]
  ]
  const again = expected.map(([index, ...rest]) => [(index as number) + 3, ...rest])
  assert.deepEqual(
    frames.map((one) => [one.interface, one.timestampNs, one.originalLength]),
    [...expected, ...again]
  )
  for (const one of frames) assert.deepEqual([...one.data], [...frame])
  assert.deepEqual([frames[0].flags, frames[5].flags], [2, 2], 'the option after an unknown one')
  assert.equal(reader.interfaces[1].name, 'lan')
  assert.equal(reader.interfaces[5].linkType, 113)
  assert.equal(reader.sections.length, 2)
})

test('a simple packet block is as long as the snap length says', () => {
  const file = Buffer.concat([section(true), block(true, 1, [2, 1], [2, 0], [4, 3]), block(true, 3, [4, 5], frame.subarray(0, 3))])
  const [one] = readCapture(file)
  assert.deepEqual([[...one.data], one.originalLength], [[1, 2, 3], 5])
})

/** Everything readable and how it ended. */
function drain(bytes: Uint8Array): { frames: CapturedFrame[]; end: 'whole' | 'truncated' | 'format' } {
  const frames: CapturedFrame[] = []
  try {
    const reader = readCapture(bytes)
    for (const one of reader) frames.push(one)
    return { frames, end: reader.truncatedAt === undefined ? 'whole' : 'truncated' }
  } catch (error) {
    if (!(error instanceof CaptureFormatError)) throw error
    assert.ok(error.offset >= 0 && error.offset <= bytes.length)
    return { frames, end: 'format' }
  }
}

test('cut at every length: everything before the cut, then the truncated flag', () => {
  for (const whole of [samplePcapng(), ...samples.map((name) => readFileSync(path.join(data, name)))]) {
    const complete = drain(whole)
    assert.equal(complete.end, 'whole')
    let most = 0
    for (let length = 0; length < whole.length; length++) {
      const { frames, end } = drain(whole.subarray(0, length))
      if (length < 4) assert.equal(end, 'format', `${length} bytes are no capture`)
      else assert.notEqual(end, 'format', `cut at ${length}`)
      assert.deepEqual(frames, complete.frames.slice(0, frames.length))
      assert.ok(frames.length >= most, 'a longer file has no fewer frames')
      most = frames.length
    }
    assert.ok(most >= complete.frames.length - 1)
  }
})

test('the truncation flag has the offset of what is not whole', () => {
  const whole = readFileSync(path.join(data, 'ping.pcap'))
  const reader = readCapture(whole.subarray(0, whole.length - 1))
  assert.equal([...reader].length, 5)
  assert.equal(reader.truncatedAt, whole.length - 64 - 16)
})

test('malformed captures throw with the place, after the frames before it', () => {
  const good = [section(true), block(true, 1, [2, 1], [2, 0], [4, 0]), block(true, 6, [4, 0], [8, 0], [4, 5], [4, 5], frame)]
  const at = Buffer.concat(good).length
  const cases: [string, Buffer, number, RegExp][] = [
    ['length not of 4', build(true, [4, 6], [4, 33], Buffer.alloc(60)), at + 4, /length of 33/],
    ['length too small', build(true, [4, 6], [4, 8], Buffer.alloc(60)), at + 4, /length of 8/],
    ['huge length', build(true, [4, 6], [4, 0xfffffff0], Buffer.alloc(60)), at + 4, /at most 16777216/],
    ['other trailer', build(true, [4, 0xbad], [4, 16], [4, 0], [4, 20]), at + 12, /16 bytes that ends saying 20/],
    ['unknown interface', block(true, 6, [4, 1], [8, 0], [4, 5], [4, 5], frame), at + 8, /interface 1.*only 1/],
    ['frame longer than its block', block(true, 6, [4, 0], [8, 0], [4, 0x7fffffff], [4, 5], frame), at + 20, /frame of 2147483647/],
    ['short block', block(true, 6, [4, 0]), at + 4, /needs 32/],
    ['option leaves its block', block(true, 1, [2, 1], [2, 0], [4, 0], [2, 2], [2, 9], 'abc'), at + 18, /option 2 of 9 bytes/],
    ['option too short', block(true, 1, [2, 1], [2, 0], [4, 0], [2, 6], [2, 3], 'abc'), at + 18, /option 6 of 3 bytes, 6/],
    ['byte order', block(true, 0x0a0d0d0a, [4, 0x12345678], [2, 1], [2, 0], [8, -1]), at + 8, /byte-order magic/],
    ['version', block(true, 0x0a0d0d0a, [4, 0x1a2b3c4d], [2, 2], [2, 0], [8, -1]), at + 12, /version 2/],
    ['name record', block(true, 4, [2, 1], [2, 99], 'ab'), at + 10, /name record of 99/]
  ]
  for (const [name, bad, offset, message] of cases) {
    const frames: CapturedFrame[] = []
    assert.throws(
      () => {
        for (const one of readCapture(Buffer.concat([...good, bad]))) frames.push(one)
      },
      (error: CaptureFormatError) => {
        assert.ok(error instanceof CaptureFormatError, name)
        assert.match(error.message, message)
        assert.equal(error.offset, offset, name)
        assert.equal(error.code, 'CAPTURE_FORMAT')
        return true
      }
    )
    assert.equal(frames.length, 1, name)
  }
  const pcap = build(true, [4, 0xa1b2c3d4], [2, 2], [2, 4], [8, 0], [4, 512], [4, 1])
  assert.throws(() => [...readCapture(Buffer.concat([pcap, build(true, [8, 0], [4, 0x7fffffff], [4, 5])]))], /record of 2147483647 bytes/)
  assert.throws(() => readCapture(build(true, [4, 0xa1b2c3d4], [2, 9], [2, 4], [16, 0])), /pcap version 9/)
  assert.throws(() => readCapture(Buffer.from('<!doctype html>')), /begins with 3c 21 64 6f/)
  assert.throws(() => readCapture(new Uint8Array(0)), /is empty/)
})

test('seeded random changes: frames, then an end that is named, never anything else', () => {
  const seed = Number(process.env.NETLOOM_SEED ?? 20_261)
  const rounds = process.env.NETLOOM_FUZZ === 'long' ? 500_000 : 20_000
  const random = new Random(seed)
  const wholes = [samplePcapng(), ...samples.map((name) => readFileSync(path.join(data, name)))]
  const ends = { whole: 0, truncated: 0, format: 0 }
  for (let round = 0; round < rounds; round++) {
    const bytes = Buffer.from(wholes[random.below(wholes.length)])
    for (let change = 1 + random.below(8); change > 0; change--) {
      const at = random.below(bytes.length)
      // Lengths are what hurts: extreme words as often as random bytes.
      if (random.below(2) === 0) bytes[at] = random.below(256)
      else bytes.writeUInt32LE([0, 4, 12, 0xffff, 0x7fffffff, 0xffffffff][random.below(6)], at & ~3 & (bytes.length - 4))
    }
    try {
      const { frames, end } = drain(bytes.subarray(0, 1 + random.below(bytes.length)))
      ends[end]++
      for (const one of frames) assert.ok(one.data.length <= bytes.length)
    } catch (error) {
      assert.fail(`seed ${seed}, round ${round}: ${error}`)
    }
  }
  assert.ok(ends.whole > 0 && ends.truncated > 0 && ends.format > 0, JSON.stringify(ends))
})

test('a file is read through a window: frames that lie across its edges', (t) => {
  const file = path.join(temporaryFolder(t), 'large.pcap')
  const parts = [build(true, [4, 0xa1b23c4d], [2, 2], [2, 4], [8, 0], [4, 262_144], [4, 1])]
  for (let i = 0; i < 300; i++) parts.push(build(true, [4, i], [4, 0], [4, 9001], [4, 9001], Buffer.alloc(9001, i)))
  writeFileSync(file, Buffer.concat(parts))
  let count = 0
  for (const { data, timestampNs } of readCapture(file)) {
    assert.equal(timestampNs, BigInt(count) * 1_000_000_000n)
    assert.equal(data.length, 9001)
    assert.ok(data.every((byte) => byte === (count & 0xff)))
    count++
  }
  assert.equal(count, 300)
})

test('a path that cannot be read', (t) => {
  assert.throws(
    () => readCapture('/nowhere/x.pcap'),
    (error: CaptureFileError) => error instanceof CaptureFileError && error.code === 'ENOENT'
  )
  assert.throws(
    () => readCapture(temporaryFolder(t)),
    (error: CaptureFileError) => error.code === 'EISDIR'
  )
})
