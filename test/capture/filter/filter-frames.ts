/** Frames for filters: recordings of a real kernel, tagged and made-up ones, and damaged copies of them all. */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { readCapture } from '../../../src/capture/read-capture.ts'
import { realFrames } from '../../wire/real-frames.ts'
import { seededRandom } from '../../wire/seeded-random.ts'

/** Recordings of real daemons' networks, from the project's root. */
const RECORDINGS = 'test/oracle/pcaps'
/** Frames of one recording at most: the next ones are of the same kinds. */
const PER_RECORDING = 12

/** Ethernet frames of 1 to 1,600 bytes; the same ones each time. */
export function filterFrames(): Uint8Array[] {
  const whole = [...Object.values(realFrames), ...recordedFrames(), ...madeFrames()].filter((frame) => frame.length <= 1600)
  const random = seededRandom(6)
  const damaged = whole.flatMap((frame) => [truncated(frame, random), scribbled(frame, random), withOtherHeader(frame, random)])
  return [...whole, ...damaged, ...runts()]
}

function recordedFrames(): Uint8Array[] {
  return readdirSync(RECORDINGS)
    .filter((name) => name.endsWith('.pcap'))
    .sort()
    .flatMap((name) => {
      const frames: Uint8Array[] = []
      for (const { data } of readCapture(path.join(RECORDINGS, name))) {
        frames.push(Uint8Array.from(data))
        if (frames.length === PER_RECORDING) break
      }
      return frames
    })
}

/** Frames as one chunk of an engine has them, one right after the other: a read too far would find the next one. */
export interface FrameChunk {
  readonly bytes: Uint8Array
  readonly starts: readonly number[]
}

export function asChunk(frames: readonly Uint8Array[]): FrameChunk {
  const bytes = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 0))
  let end = 0
  const starts = frames.map((frame) => {
    bytes.set(frame, end)
    end += frame.length
    return end - frame.length
  })
  return { bytes, starts }
}

/** A classic pcap of them. */
export function asPcap(frames: readonly Uint8Array[]): Uint8Array {
  const header = new Uint8Array(24)
  new Uint32Array(header.buffer).set([0xa1b2c3d4, 0x00040002, 0, 0, 262_144, 1])
  const records = frames.flatMap((frame, i) => [new Uint8Array(Uint32Array.of(i, 0, frame.length, frame.length).buffer), frame])
  return Buffer.concat([header, ...records])
}

/** The real ones again with tags, IPv4 options, as IPv6 fragments and as later fragments. */
function madeFrames(): Uint8Array[] {
  return Object.values(realFrames)
    .flatMap((frame) => [
      tagged(frame, [0x8100, 5]),
      tagged(frame, [0x88a8, 0x2064], [0x8100, 200]),
      tagged(frame, [0x9100, 100]),
      ...(frame[12] === 0x08 && frame[13] === 0 ? [withOptions(frame), asLaterFragment(frame), withEqualEnds(frame, 26, 4)] : []),
      ...(frame[12] === 0x86 ? [behindFragmentHeader(frame), withEqualEnds(frame, 22, 16)] : []),
      with16(frame, 12, 0x8035),
      with16(frame, 12, 0x88cc)
    ])
    .concat(
      [50, 51, 103, 112, 132, 47].map((protocol) => with8(realFrames.tcpSyn, 23, protocol)),
      [1, 2, 6, 17, 50, 51, 103, 112, 132].map((protocol) => with8(realFrames.echoRequestIpv6, 20, protocol)),
      [9, 22, 67, 123].map((port) => with16(realFrames.tcpSyn, 36, port))
    )
}

function with8(frame: Uint8Array, at: number, value: number): Uint8Array {
  const copy = Uint8Array.from(frame)
  copy[at] = value
  return copy
}

function with16(frame: Uint8Array, at: number, value: number): Uint8Array {
  return with8(with8(frame, at, value >> 8), at + 1, value & 255)
}

/** The first of two neighboring addresses written over the second; the MACs and ports likewise. */
function withEqualEnds(frame: Uint8Array, address: number, length: number): Uint8Array {
  const copy = Uint8Array.from(frame)
  copy.copyWithin(0, 6, 12)
  copy.copyWithin(address + length, address, address + length)
  const ports = address + 2 * length
  return copy.copyWithin(ports + 2, ports, ports + 2)
}

function tagged(frame: Uint8Array, ...tags: [tpid: number, tci: number][]): Uint8Array {
  const words = tags.flatMap(([tpid, tci]) => [tpid >> 8, tpid & 255, tci >> 8, tci & 255])
  return Uint8Array.from([...frame.subarray(0, 12), ...words, ...frame.subarray(12)])
}

function withOptions(frame: Uint8Array): Uint8Array {
  const longer = Uint8Array.from([...frame.subarray(0, 34), 1, 1, 1, 0, 1, 1, 1, 0, ...frame.subarray(34)])
  longer[14] = 0x47
  return longer
}

function asLaterFragment(frame: Uint8Array): Uint8Array {
  const fragment = Uint8Array.from(frame)
  fragment[20] = 0x20
  fragment[21] = 0x10
  return fragment
}

function behindFragmentHeader(frame: Uint8Array): Uint8Array {
  const fragment = Uint8Array.from([...frame.subarray(0, 54), frame[20], 0, 0, 1, 0, 0, 0, 7, ...frame.subarray(54)])
  fragment[20] = 44
  return fragment
}

type Random = (bound: number) => number

function truncated(frame: Uint8Array, random: Random): Uint8Array {
  return frame.slice(0, 1 + random(frame.length))
}

function scribbled(frame: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(frame)
  for (let i = 0; i < 3; i++) copy[random(Math.min(copy.length, 64))] = random(256)
  return copy
}

/** One byte of type, protocol, fragment or header length replaced by a meaningful one. */
function withOtherHeader(frame: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(frame)
  const values = [0, 1, 2, 4, 6, 17, 44, 53, 58, 80, 132, 0x45, 0x46, 0x4f, 0x81, 0x86, 0x08, 0xff]
  const at = [12, 13, 14, 20, 21, 23, 26, 30, 34, 35, 36, 37, 46, 47, 54][random(15)]
  if (at < copy.length) copy[at] = values[random(values.length)]
  return copy
}

/** Shorter than the shortest header. */
function runts(): Uint8Array[] {
  return Array.from({ length: 16 }, (_, i) => Object.values(realFrames)[0].slice(0, i + 1))
}
