/**
 * `fastDecap` for datagrams over IPv6: whole, finished, from a VTEP that was seen to be believed in their VNI. Their UDP checksum is
 * verified here unless it is zero or was verified before.
 */
import { FrameFlag, type FramePool } from '../../engine/frame-pool.ts'
import { onesComplementSumView } from '../../wire/checksum.ts'

const unusual = FrameFlag.traced | FrameFlag.csum | FrameFlag.gso | FrameFlag.reassembled
const verified = FrameFlag.csumValid
const spent = ~(FrameFlag.captured | FrameFlag.csumValid)
const OUTER = 70
/** With an inner Ethernet header. */
const SHORTEST = 84
/** What of a packet is no UDP datagram. */
const HEADER = 40
const UDP = 17
const slots = 64
const slotWords = 8
const PORT = 5

/** Sources and VNIs that were judged, by hash; `slotWords` words each: source, VNI + 1, port. */
export const JUDGED6_WORDS = slots * slotWords

/** Notes that frames of a source and VNI may take the short way, to `port`. */
export function judge6(judged: Int32Array, source: Int32Array, vni: number, port: number): void {
  const at = placeOf(source[0], source[1], source[2], source[3], vni)
  for (let word = 0; word < 4; word++) judged[at + word] = source[word]
  judged[at + 4] = vni + 1
  judged[at + PORT] = port
}

function placeOf(w0: number, w1: number, w2: number, w3: number, vni: number): number {
  return (Math.imul(w0 ^ (w1 << 1) ^ (w2 << 2) ^ w3 ^ (vni << 8), 0x9e3779b1) >>> 26) * slotWords
}

/** What all frames have in common: the VTEP's own MAC, IPv6 address (four words, big-endian as numbers) and UDP port. */
export interface OwnStation6 {
  readonly macFirst: number
  readonly macLast: number
  readonly address: Int32Array
  readonly port: number
}

/**
 * Takes the outer headers off `batch[from..count-1]` up to the first frame that is not of this kind, or goes elsewhere than the first
 * one, and returns its index. `result[0]` is the port that all of them leave by.
 */
export type FastDecap6 = (from: number, count: number, own: OwnStation6, judged: Int32Array) => number

const made = new WeakMap<FramePool, FastDecap6>()

/** The one for VTEPs on this pool; `batch` and `result` are the same for all. */
export function fastDecap6For(frames: FramePool, batch: Int32Array, result: Int32Array): FastDecap6 {
  let decap = made.get(frames)
  if (decap === undefined) made.set(frames, (decap = makeFastDecap6(frames, batch, result)))
  return decap
}

function makeFastDecap6(frames: FramePool, batch: Int32Array, result: Int32Array): FastDecap6 {
  const { start, length, flags } = frames

  return function fastDecap6(from, count, own, judged): number {
    const view = frames.view(batch[from])
    const chunk = frames.chunkOf(batch[from])
    const { macFirst, macLast, port } = own
    const own0 = own.address[0]
    const own1 = own.address[1]
    const own2 = own.address[2]
    const own3 = own.address[3]
    let egress = -1
    let i = from | 0
    for (; i < count; i = (i + 1) | 0) {
      const frame = batch[i]
      const at = start[frame]
      const size = length[frame]
      const had = flags[frame]
      if ((had & unusual) !== 0 || size < SHORTEST || frames.chunkOf(frame) !== chunk) break
      if (view.getInt32(at) !== macFirst || view.getUint16((at + 4) | 0) !== macLast) break
      // IPv6, not marked for congestion, UDP, for us.
      const w12 = view.getInt32((at + 12) | 0)
      if ((w12 & 0xfffff000) !== (0x86dd6000 | 0) || (w12 & 0x30) === 0x30) break
      const w18 = view.getInt32((at + 18) | 0)
      if (((w18 >>> 8) & 0xff) !== UDP) break
      if (view.getInt32((at + 38) | 0) !== own0 || view.getInt32((at + 42) | 0) !== own1) break
      if (view.getInt32((at + 46) | 0) !== own2 || view.getInt32((at + 50) | 0) !== own3) break
      const udpLength = w18 >>> 16
      const w58 = view.getInt32((at + 58) | 0)
      if (udpLength > size - HEADER - 14 || udpLength < SHORTEST - HEADER - 14 || w58 >>> 16 !== udpLength) break
      if (view.getUint16((at + 56) | 0) !== port || (view.getUint8((at + 62) | 0) & 0x08) === 0) break
      const vni = view.getInt32((at + 66) | 0) >>> 8
      const s0 = view.getInt32((at + 22) | 0)
      const s1 = view.getInt32((at + 26) | 0)
      const s2 = view.getInt32((at + 30) | 0)
      const s3 = view.getInt32((at + 34) | 0)
      const seen = (Math.imul(s0 ^ (s1 << 1) ^ (s2 << 2) ^ s3 ^ (vni << 8), 0x9e3779b1) >>> 26) * slotWords
      if (judged[seen] !== s0 || judged[seen + 1] !== s1 || judged[seen + 2] !== s2 || judged[seen + 3] !== s3) break
      if (judged[seen + 4] !== vni + 1) break
      const inner = view.getInt32((at + 76) | 0)
      if ((inner & 0x01000000) !== 0 || (inner | view.getUint16((at + 80) | 0)) === 0) break
      // Addresses and datagram stand one behind the other.
      if ((w58 & 0xffff) !== 0 && (had & verified) === 0) {
        if (onesComplementSumView(view, (at + 22) | 0, (udpLength + 32) | 0, (udpLength + UDP) | 0) !== 0xffff) break
      }
      const to = judged[seen + PORT]
      if (to !== egress) {
        if (egress >= 0) break
        egress = to
      }
      start[frame] = at + OUTER
      length[frame] = udpLength - 16
      if (had !== 0) flags[frame] = had & spent
    }
    result[0] = egress
    return i
  }
}
