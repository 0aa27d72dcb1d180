/**
 * The frames that are most, on their way out: unicast IP to an endpoint that is known behind an IPv4 VTEP, finished and short enough.
 * The arrays of frames are constants to V8 (see the engine's README, "Loops").
 */
import { FrameFlag, type FramePool, SMALL_SLOT } from '../../engine/frame-pool.ts'
import { fold } from '../../wire/checksum.ts'
import { EtherType } from '../../wire/ethernet.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import type { Fdb } from '../bridge/fdb.ts'
import { flowPort } from './flow-entropy.ts'
import { VTEP_WORDS, Vtep } from './vtep-table.ts'

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

/** Whether words in memory have their first byte at the low end. */
const isLittle = new Uint8Array(Int32Array.of(1).buffer)[0] === 1

/** Two 16-bit fields that follow each other in a header, as the word that is stored. */
function word(first: number, second: number): number {
  return isLittle ? ((first & 0xff) << 8) | (first >>> 8) | ((second & 0xff) << 24) | ((second & 0xff00) << 8) : (first << 16) | second
}

/**
 * Encapsulates `batch[from..count-1]` up to the first frame that is not of this kind, and returns its index. `vteps`: the words of the
 * table; `mtu`: of the segment, 0 to leave all frames alone; `id`: identification of the first packet, the others count on.
 */
export type FastEncap = (from: number, count: number, fdb: Fdb, vteps: Int32Array, vni: number, mtu: number, id: number) => number

const made = new WeakMap<FramePool, FastEncap>()

/** The one for VTEPs on this pool; `batch` is the same for all. */
export function fastEncapFor(frames: FramePool, batch: Int32Array): FastEncap {
  let encap = made.get(frames)
  if (encap === undefined) made.set(frames, (encap = makeFastEncap(frames, batch)))
  return encap
}

function makeFastEncap(frames: FramePool, batch: Int32Array): FastEncap {
  const { start, length, flags, largeBase } = frames

  return function fastEncap(from, count, fdb, vteps, vni, mtu, id): number {
    if (batch[from] >= largeBase) return from
    const view = frames.view(batch[from])
    const words = frames.words(batch[from])
    const chunk = frames.chunkOf(batch[from])
    const vniHigh = word(vni >>> 8, (vni & 0xff) << 8)
    const longest = mtu | 0
    let nextId = id | 0
    let i = from
    for (; i < count; i++) {
      const frame = batch[i]
      const at = start[frame]
      const size = length[frame]
      if ((flags[frame] & unusual) !== 0 || (at & 3) !== 0 || size < SHORTEST || frames.chunkOf(frame) !== chunk) break
      if (at - (frame & slotMask) * smallSlot < PADDED) break
      const first = view.getInt32(at)
      const middle = view.getInt32((at + 4) | 0)
      const last = view.getInt32((at + 12) | 0)
      const type = last >>> 16
      if ((first & 0x01000000) !== 0 || (type !== ipv4 && (type !== ipv6 || view.getUint8(at + 20) === icmpv6))) break
      const vtep = fdb.lookup(first >>> 16, (first << 16) | (middle >>> 16))
      if (vtep < 0) break
      const entry = vtep * vtepWords
      if (vteps[entry + familyWord] !== 4 || size - 14 > longest || size - 14 > vteps[entry + innerMtu]) break
      const ecn = type === ipv4 ? last & 3 : (last >>> 4) & 3
      const tos = ecn === 3 ? 2 : ecn
      const source = flowPort(view, at, (at + size) | 0)
      const udpLength = (size + 16) | 0
      nextId = (nextId + 1) & 0xffff
      const to = (at - PADDED) >> 2
      words[to] = vteps[entry]
      words[to + 1] = vteps[entry + 1]
      words[to + 2] = vteps[entry + 2]
      words[to + 3] = vteps[entry + 3]
      words[to + 4] = word(0x4500 | tos, udpLength + 20)
      words[to + 5] = vteps[entry + 5] | word(nextId, 0)
      words[to + 6] = vteps[entry + 6] | word(0, ~fold(vteps[entry + sumWord] + udpLength + 20 + nextId + tos) & 0xffff)
      words[to + 7] = vteps[entry + 7]
      words[to + 8] = vteps[entry + 8]
      words[to + 9] = vteps[entry + 9] | word(source, 0)
      words[to + 10] = word(udpLength, 0)
      words[to + 11] = vteps[entry + 11]
      words[to + 12] = vniHigh
      start[frame] = at - OUTER
      length[frame] = size + OUTER
      flags[frame] &= spent
    }
    return i
  }
}
