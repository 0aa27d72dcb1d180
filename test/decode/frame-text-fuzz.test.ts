/** Damaged frames: a line each time, from the bytes of the frame alone. NETLOOM_FUZZ=long: a hundred times as many. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { readCapture } from '../../src/capture/read-capture.ts'
import { frameText } from '../../src/decode/frame-text.ts'
import { TcpSequences } from '../../src/decode/tcp-sequences.ts'
import { Random } from '../../src/engine/random.ts'
import { fuzzSeed } from '../fuzz/fuzz-seed.ts'

const ROUNDS = process.env.NETLOOM_FUZZ === 'long' ? 4_000_000 : 40_000
const SEEDS = path.resolve(import.meta.dirname, '../../../test/fuzz/seeds')
const seed = fuzzSeed()
const frames = readdirSync(SEEDS)
  .filter((name) => name.endsWith('.pcap'))
  .flatMap((name) => Array.from(readCapture(path.join(SEEDS, name)), ({ data }) => Uint8Array.from(data).subarray(0, 1600)))

/** The same frame in surroundings of another colour reads the same: nothing outside of it is looked at. */
function lineIn(colour: number, frame: Uint8Array, length: number): string {
  const chunk = new Uint8Array(frame.length + 128).fill(colour)
  chunk.set(frame, 64)
  return frameText(chunk, 64, 64 + frame.length, { length, sequences: new TcpSequences() })
}

function check(frame: Uint8Array, length: number): void {
  let line: string
  try {
    line = lineIn(0x00, frame, length)
  } catch (error) {
    throw new Error(`${Buffer.from(frame).toString('hex')} of ${length}, seed ${seed}`, { cause: error })
  }
  assert.ok(/^[\x20-\x7e]+$/.test(line) && line.length < 4000, `${Buffer.from(frame).toString('hex')}: ${line}`)
  assert.equal(lineIn(0xff, frame, length), line, Buffer.from(frame).toString('hex'))
}

test('every frame cut at every length', () => {
  for (const frame of frames) {
    const step = frame.length > 200 ? 7 : 1
    for (let end = 0; end <= frame.length; end += step) check(frame.subarray(0, end), frame.length)
  }
})

test(`${ROUNDS} damaged frames, seed ${seed}`, () => {
  const random = new Random(String(seed))
  for (let round = 0; round < ROUNDS; round++) {
    const frame = Uint8Array.from(frames[random.below(frames.length)]!.subarray(0, 20 + random.below(200)))
    for (let damage = 1 + random.below(4); damage > 0; damage--) frame[12 + random.below(frame.length - 12)] = random.below(256)
    check(frame, frame.length)
  }
})
