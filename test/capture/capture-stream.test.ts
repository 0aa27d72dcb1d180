// A capture that comes in pieces gives what the same capture gives as a file, whatever the pieces.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { CaptureFormatError } from '../../src/capture/capture-error.ts'
import type { CapturedFrame } from '../../src/capture/capture-reader.ts'
import { CaptureStream, captureFrames } from '../../src/capture/capture-stream.ts'
import { readCapture } from '../../src/capture/read-capture.ts'
import { Random } from '../../src/engine/random.ts'
import { samplePcapng } from './sample-capture.ts'

const data = path.resolve(import.meta.dirname, '../../../test/capture/data')
const samples = readdirSync(data).filter((name) => name.includes('.pcap'))
const wholes = [samplePcapng(), ...samples.map((name) => readFileSync(path.join(data, name)))]

interface Outcome {
  frames: CapturedFrame[]
  end: string
}

function outcome(read: (frames: CapturedFrame[]) => number | undefined): Outcome {
  const frames: CapturedFrame[] = []
  try {
    const truncatedAt = read(frames)
    return { frames, end: truncatedAt === undefined ? 'whole' : `cut at ${truncatedAt}` }
  } catch (error) {
    if (!(error instanceof CaptureFormatError)) throw error
    return { frames, end: error.message }
  }
}

function asFile(bytes: Uint8Array): Outcome {
  return outcome((frames) => {
    const reader = readCapture(Uint8Array.from(bytes))
    for (const frame of reader) frames.push(frame)
    return reader.truncatedAt
  })
}

function inPieces(bytes: Uint8Array, length: () => number): Outcome {
  return outcome((frames) => {
    const stream = new CaptureStream()
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + length())
      for (const frame of stream.push(Uint8Array.from(bytes.subarray(at, end)))) frames.push(frame)
      at = end
    }
    stream.end()
    return stream.reader!.truncatedAt
  })
}

test('whatever the pieces: the frames of the file, and its end', () => {
  const random = new Random(4)
  for (const whole of wholes) {
    const expected = asFile(whole)
    assert.equal(expected.end, 'whole')
    for (const most of [1, 7, 100, 100_000])
      assert.deepEqual(
        inPieces(whole, () => 1 + random.below(most)),
        expected
      )
  }
})

test('cut anywhere: the frames before, and where it is cut', () => {
  for (const whole of wholes) {
    for (let length = 24; length < whole.length; length += 5) {
      assert.deepEqual(
        inPieces(whole.subarray(0, length), () => 11),
        asFile(whole.subarray(0, length))
      )
    }
  }
})

test('what is no capture is told at the end at the latest', () => {
  const end = (bytes: Uint8Array): string => inPieces(bytes, () => 3).end
  assert.match(end(Buffer.from('<!doctype html> and a page of it')), /neither pcap nor pcapng: it begins with 3c 21/)
  assert.match(end(Buffer.from('hello')), /neither pcap nor pcapng/)
  assert.match(end(new Uint8Array(0)), /it is empty/)
  assert.match(end(wholes[0].subarray(0, 12)), /ends within its first 24 bytes/)
})

test('seeded random changes: in pieces as whole, and only CaptureFormatError', () => {
  const seed = Number(process.env.NETLOOM_SEED ?? 6_202)
  const rounds = process.env.NETLOOM_FUZZ === 'long' ? 200_000 : 4_000
  const random = new Random(seed)
  const ends = new Set<string>()
  for (let round = 0; round < rounds; round++) {
    const bytes = Buffer.from(wholes[random.below(wholes.length)])
    for (let change = random.below(6); change > 0; change--) {
      const at = random.below(bytes.length)
      if (random.below(2) === 0) bytes[at] = random.below(256)
      else bytes.writeUInt32LE([0, 4, 12, 0xffff, 0x7fffffff, 0xffffffff][random.below(6)], at & ~3 & (bytes.length - 4))
    }
    const input = bytes.subarray(0, 24 + random.below(bytes.length - 24))
    const piece = 1 + random.below(200)
    const outcome = inPieces(input, () => piece)
    assert.deepEqual(outcome, asFile(input), `seed ${seed}, round ${round}`)
    ends.add(outcome.end.replace(/\d+/g, 'N'))
  }
  assert.ok(ends.size > 10, [...ends].join('\n'))
})

test('groups of frames of a stream; those before a fault come before it', async () => {
  const whole = readFileSync(path.join(data, 'ping.pcap'))
  async function* pieces(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
    yield* parts
  }
  const groups: number[] = []
  for await (const frames of captureFrames(pieces(whole.subarray(0, 30), whole.subarray(30, 200), whole.subarray(200)))) {
    groups.push(frames.length)
  }
  assert.equal(
    groups.reduce((sum, count) => sum + count, 0),
    6
  )
  assert.ok(groups.length === 2, `${groups}`)
  const bad = Buffer.from(whole)
  bad.writeUInt32LE(0x7fffffff, 24 + 8 + 2 * (16 + 42))
  const before: CapturedFrame[] = []
  await assert.rejects(async () => {
    for await (const frames of captureFrames(pieces(bad))) before.push(...frames)
  }, CaptureFormatError)
  assert.equal(before.length, 2)
})
