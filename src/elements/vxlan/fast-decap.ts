/**
 * The frames that are most, on their way in: whole, finished datagrams over IPv4 without a UDP checksum, from a VTEP that was seen to
 * be believed in their VNI.
 */
import { FrameFlag, type FramePool } from '../../engine/frame-pool.ts'
import { fold } from '../../wire/checksum.ts'

const unusual = FrameFlag.traced | FrameFlag.csum | FrameFlag.gso | FrameFlag.reassembled
const spent = ~(FrameFlag.captured | FrameFlag.csumValid)
const OUTER = 50
/** With an inner Ethernet header. */
const SHORTEST = 64

/** Sources and VNIs that were judged, by hash. Three words each: source, VNI + 1, port. */
export const JUDGED_WORDS = 256

/** Where a pair stands. */
export function judgedAt(source: number, vni: number): number {
  return (Math.imul(source ^ (vni << 8), 0x9e3779b1) >>> 26) << 2
}

/** What all frames have in common: the VTEP's own MAC, IPv4 address and UDP port. */
export interface OwnStation {
  readonly macFirst: number
  readonly macLast: number
  readonly address: number
  readonly port: number
}

/**
 * Takes the outer headers off `batch[from..count-1]` up to the first frame that is not of this kind, or goes elsewhere than the first
 * one, and returns its index. `result[0]` is the port that all of them leave by.
 */
export type FastDecap = (from: number, count: number, own: OwnStation, judged: Int32Array) => number

const made = new WeakMap<FramePool, FastDecap>()

/** The one for VTEPs on this pool; `batch` and `result` are the same for all. */
export function fastDecapFor(frames: FramePool, batch: Int32Array, result: Int32Array): FastDecap {
  let decap = made.get(frames)
  if (decap === undefined) made.set(frames, (decap = makeFastDecap(frames, batch, result)))
  return decap
}

function makeFastDecap(frames: FramePool, batch: Int32Array, result: Int32Array): FastDecap {
  const { start, length, flags } = frames

  return function fastDecap(from, count, own, judged): number {
    const view = frames.view(batch[from])
    const chunk = frames.chunkOf(batch[from])
    const { macFirst, macLast, address, port } = own
    // What is the same in the headers of all.
    const common = (0x4500 + (address >>> 16) + (address & 0xffff)) | 0
    let egress = -1
    // Of the frame before: most of a batch come from one VTEP and for one VNI.
    let lastSource = 0
    let lastVni = -1
    let i = from | 0
    for (; i < count; i = (i + 1) | 0) {
      const frame = batch[i]
      const at = start[frame]
      const size = length[frame]
      const had = flags[frame]
      if ((had & unusual) !== 0 || size < SHORTEST || frames.chunkOf(frame) !== chunk) break
      const w4 = view.getInt32((at + 4) | 0)
      const w12 = view.getInt32((at + 12) | 0)
      const w16 = view.getInt32((at + 16) | 0)
      const w20 = view.getInt32((at + 20) | 0)
      const w24 = view.getInt32((at + 24) | 0)
      const w28 = view.getInt32((at + 28) | 0)
      const w32 = view.getInt32((at + 32) | 0)
      if (view.getInt32(at) !== macFirst || w4 >>> 16 !== macLast) break
      // IPv4 without options, not marked for congestion, whole, UDP, for us.
      if ((w12 & 0xffffff00) !== 0x08004500 || (w12 & 3) === 3 || (w20 & 0x3fff00ff) !== 17) break
      if (((w28 << 16) | (w32 >>> 16)) !== address) break
      const total = w16 >>> 16
      const ends = (common + (w12 & 0xff) + (w24 & 0xffff) + (w28 >>> 16)) | 0
      if (fold((ends + total + (w16 & 0xffff) + (w20 >>> 16) + (w20 & 0xffff) + (w24 >>> 16)) | 0) !== 0xffff) break
      const w36 = view.getInt32((at + 36) | 0)
      const w40 = view.getInt32((at + 40) | 0)
      if (((total + 14) | 0) > size || total < SHORTEST - 14 || w36 >>> 16 !== port || (w36 & 0xffff) !== ((total - 20) | 0)) break
      // No checksum; the I flag.
      if ((w40 & 0xffff0800) !== 0x0800) break
      const vni = view.getInt32((at + 46) | 0) >>> 8
      const source = (w24 << 16) | (w28 >>> 16)
      const inner = view.getInt32((at + 56) | 0)
      if ((inner & 0x01000000) !== 0 || (inner | view.getUint16((at + 60) | 0)) === 0) break
      if (source !== lastSource || vni !== lastVni) {
        const seen = (Math.imul(source ^ (vni << 8), 0x9e3779b1) >>> 26) << 2
        if (judged[seen] !== source || judged[seen + 1] !== vni + 1) break
        const to = judged[seen + 2]
        if (egress >= 0 && to !== egress) break
        egress = to
        lastSource = source
        lastVni = vni
      }
      start[frame] = (at + OUTER) | 0
      length[frame] = (total - 36) | 0
      if (had !== 0) flags[frame] = had & spent
    }
    result[0] = egress
    return i
  }
}
