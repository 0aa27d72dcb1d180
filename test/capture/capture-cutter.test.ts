import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { CaptureCutter, type CapturePiece } from '../../src/capture/capture-cutter.ts'
import { CaptureFormatError } from '../../src/capture/capture-error.ts'
import { readCapture } from '../../src/capture/read-capture.ts'

const GOLDEN = path.resolve(import.meta.dirname, '../../../captures')
const files = readdirSync(GOLDEN, { recursive: true, encoding: 'utf8' })
  .filter((name) => /out\.[^/]+\.pcapng$/.test(name))
  .map((name) => readFileSync(path.join(GOLDEN, name)))
const capture = files.reduce((longest, file) => (file.length > longest.length ? file : longest))

/** A pcap of nanoseconds with frames of these lengths. */
function pcap(...lengths: number[]): Uint8Array {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b23c4d)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(262_144, 16)
  header.writeUInt32LE(1, 20)
  const records = lengths.map((length) => {
    const record = Buffer.alloc(16 + length, 0xab)
    record.fill(0, 0, 8)
    record.writeUInt32LE(length, 8)
    record.writeUInt32LE(length, 12)
    return record
  })
  return Buffer.concat([header, ...records])
}

function cut(bytes: Uint8Array, chunk: number, maxFrames?: number, maxBytes?: number): CapturePiece[] {
  const cutter = new CaptureCutter()
  const pieces: CapturePiece[] = []
  for (let at = 0; at < bytes.length; at += chunk) {
    cutter.push(bytes.subarray(at, at + chunk))
    for (let piece = cutter.next(maxFrames, maxBytes); piece !== null; piece = cutter.next(maxFrames, maxBytes)) pieces.push(piece)
  }
  assert.equal(cutter.pending, 0)
  assert.ok(Buffer.concat(pieces.map((piece) => piece.bytes)).equals(bytes), 'nothing is lost or moved')
  return pieces
}

const frames = (pieces: readonly CapturePiece[]): number => pieces.reduce((sum, piece) => sum + piece.frames, 0)

test('chunks of any size give the same blocks', () => {
  assert.ok(files.length > 5)
  for (const file of files) {
    const expected = Array.from(readCapture(file)).length
    for (const chunk of [1, 7, 33, 4096, file.length]) assert.equal(frames(cut(file, chunk)), expected)
  }
})

test('what describes the capture is told apart', () => {
  const pieces = cut(capture, capture.length, 1)
  assert.equal(pieces[0]!.kind, 'head')
  const heads = pieces.filter(({ kind }) => kind === 'head').map(({ bytes }) => bytes)
  for (const piece of pieces.filter(({ kind }) => kind === 'frames')) {
    const alone = readCapture(Buffer.concat([...heads, piece.bytes]))
    assert.equal(Array.from(alone).length, 1)
    assert.equal(alone.truncatedAt, undefined)
  }
})

test('a pcap; limits of frames and bytes', () => {
  const bytes = pcap(60, 60, 60, 60, 3000, 60)
  for (const chunk of [1, 50, bytes.length]) {
    const pieces = cut(bytes, chunk, 2, 200)
    assert.deepEqual([pieces[0]!.kind, pieces[0]!.bytes.length, frames(pieces)], ['head', 24, 6])
    assert.ok(pieces.every((piece) => piece.frames <= 2 && (piece.frames < 2 || piece.bytes.length <= 200)))
  }
  // Two fit; of the one that fits nowhere there is one.
  assert.deepEqual(
    cut(bytes, bytes.length, undefined, 160).map((piece) => piece.frames),
    [0, 2, 2, 1, 1]
  )
})

test('what is no capture', () => {
  const says = (bytes: Uint8Array): unknown => {
    const cutter = new CaptureCutter()
    cutter.push(bytes)
    try {
      while (cutter.next() !== null);
      return null
    } catch (error) {
      return error
    }
  }
  const bad = Uint8Array.from(capture)
  bad.set([3, 0, 0, 0], 4)
  for (const bytes of [Buffer.from('HTTP/1.1 200 OK'), bad, pcap(60).fill(0xff, 32, 36)])
    assert.ok(says(bytes) instanceof CaptureFormatError)
  assert.equal(says(capture.subarray(0, 20)), null)
})
