/**
 * The frames that are most, on their way out: unicast IP to an endpoint that is known behind an IPv4 VTEP, finished and short enough.
 * The arrays of frames are constants to V8 (see the engine's README, "Loops").
 */
import { FrameFlag, type FramePool, SMALL_SLOT } from '../../engine/frame-pool.ts'
import { fold } from '../../wire/checksum.ts'
import { EtherType } from '../../wire/ethernet.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import type { Fdb } from '../bridge/fdb.ts'
import { flowPort, ipv4Port } from './flow-entropy.ts'
import { VTEP_WORDS, Vtep, type VtepTable } from './vtep-table.ts'

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const smallSlot = SMALL_SLOT
const slotMask = 8191
const { ipv4, ipv6 } = EtherType
const { icmpv6 } = IpProtocol
const vtepWords = VTEP_WORDS
const { family: familyWord, innerMtu, sum: sumWord } = Vtep
const unusual = FrameFlag.traced | FrameFlag.csum | FrameFlag.gso | FrameFlag.reassembled
const spent = ~(FrameFlag.captured | FrameFlag.csumValid)
const OUTER = 50
const PADDED = 52
const SHORTEST = 34
/** Word of the outer destination. */
const DESTINATION = 8

/** Whether words in memory have their first byte at the low end. */
const isLittle = new Uint8Array(Int32Array.of(1).buffer)[0] === 1

/** Two 16-bit fields that follow each other in a header, as the word that is stored. */
export function headerWord(first: number, second: number): number {
  return isLittle ? ((first & 0xff) << 8) | (first >>> 8) | ((second & 0xff) << 24) | ((second & 0xff00) << 8) : (first << 16) | second
}

/** A field in network order as the low half of a word of a little-endian machine; so short that V8 inlines it every time. */
function swapped(field: number): number {
  return ((field & 0xff) << 8) | (field >>> 8)
}

/**
 * Encapsulates `batch[from..count-1]` up to the first frame that is not of this kind, and returns its index. `mtu`: of the segment;
 * `id`: identification of the packet before the first, the others count on.
 */
export type FastEncap = (from: number, count: number, fdb: Fdb, vteps: VtepTable, vni: number, mtu: number, id: number) => number

const made = new WeakMap<FramePool, FastEncap>()

/** The one for VTEPs on this pool; `batch` is the same for all. */
export function fastEncapFor(frames: FramePool, batch: Int32Array): FastEncap {
  let encap = made.get(frames)
  if (encap === undefined) made.set(frames, (encap = makeFastEncap(frames, batch)))
  return encap
}

function makeFastEncap(frames: FramePool, batch: Int32Array): FastEncap {
  // Words are written as little-endian machines have them; on others `encap` makes all headers.
  if (!isLittle) return (from) => from
  const { start, length, flags, largeBase } = frames

  return function fastEncap(from, count, fdb, { words: vteps, common }, vni, mtu, id): number {
    if (batch[from] >= largeBase) return from
    const view = frames.view(batch[from])
    const words = frames.words(batch[from])
    const chunk = frames.chunkOf(batch[from])
    const vniHigh = headerWord(vni >>> 8, (vni & 0xff) << 8)
    // The same for all VTEPs: read once, as nothing in a loop is.
    const c0 = common[0]
    const c1 = common[1]
    const c2 = common[2]
    const c3 = common[3]
    const c5 = common[5]
    const c6 = common[6]
    const c7 = common[7]
    const c9 = common[9]
    const c11 = common[11]
    // Of the VTEP that the frame before went to: most frames of a batch go to the same.
    let last = -1
    let longest = 0
    let sum = 0
    let destination = 0
    let nextId = id | 0
    let i = from | 0
    for (; i < count; i = (i + 1) | 0) {
      const frame = batch[i]
      const at = start[frame]
      const size = length[frame]
      const had = flags[frame]
      if (((had & unusual) | (at & 3)) !== 0 || size < SHORTEST || frames.chunkOf(frame) !== chunk) break
      if (((at - Math.imul(frame & slotMask, smallSlot)) | 0) < PADDED) break
      const w0 = view.getInt32(at)
      const w4 = view.getInt32((at + 4) | 0)
      const w12 = view.getInt32((at + 12) | 0)
      const type = w12 >>> 16
      if ((w0 & 0x01000000) !== 0 || (type !== ipv4 && (type !== ipv6 || view.getUint8((at + 20) | 0) === icmpv6))) break
      const vtep = fdb.lookup(w0 >>> 16, (w0 << 16) | (w4 >>> 16))
      if (vtep !== last) {
        if (vtep < 0) break
        const entry = vtep * vtepWords
        last = vtep
        longest = vteps[entry + familyWord] === 4 ? (Math.min(mtu, vteps[entry + innerMtu]) + 14) | 0 : 0
        sum = vteps[entry + sumWord]
        destination = vteps[entry + DESTINATION]
      }
      if (size > longest) break
      const ecn = type === ipv4 ? w12 & 3 : (w12 >>> 4) & 3
      const tos = ecn === 3 ? 2 : ecn
      const w20 = view.getInt32((at + 20) | 0)
      // TCP or UDP without options, whole; else the way that looks at everything.
      const isPlain =
        (w12 & 0xffffff00) === 0x08004500 && (w20 & 0x3fff0000) === 0 && ((w20 & 0xff) === 17 || (w20 & 0xff) === 6) && size >= 38
      const source = isPlain
        ? ipv4Port(w20 & 0xff, view.getInt32((at + 26) | 0), view.getInt32((at + 30) | 0), view.getInt32((at + 34) | 0))
        : flowPort(view, at, (at + size) | 0)
      const udpLength = (size + 16) | 0
      const total = (size + 36) | 0
      nextId = (nextId + 1) & 0xffff
      const to = (at - PADDED) >> 2
      words[to] = c0
      words[(to + 1) | 0] = c1
      words[(to + 2) | 0] = c2
      words[(to + 3) | 0] = c3
      words[(to + 4) | 0] = 0x45 | (tos << 8) | (swapped(total) << 16)
      words[(to + 5) | 0] = c5 | swapped(nextId)
      words[(to + 6) | 0] = c6 | (swapped(~fold((sum + total + nextId + tos) | 0) & 0xffff) << 16)
      words[(to + 7) | 0] = c7
      words[(to + 8) | 0] = destination
      words[(to + 9) | 0] = c9 | swapped(source)
      words[(to + 10) | 0] = swapped(udpLength)
      words[(to + 11) | 0] = c11
      words[(to + 12) | 0] = vniHigh
      start[frame] = (at - OUTER) | 0
      length[frame] = (size + OUTER) | 0
      if (had !== 0) flags[frame] = had & spent
    }
    return i
  }
}
