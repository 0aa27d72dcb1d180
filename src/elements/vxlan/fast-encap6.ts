/**
 * `fastEncap` for VTEPs with IPv6: unicast IP to an endpoint that is known, finished and short enough. A UDP checksum goes over the whole
 * inner frame, so that long frames cost what it costs; loads and stores are written as in `fastEncap`.
 */
import { FrameFlag, type FramePool, SMALL_SLOT } from '../../engine/frame-pool.ts'
import { fold, onesComplementSumView } from '../../wire/checksum.ts'
import { EtherType } from '../../wire/ethernet.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import type { Fdb } from '../bridge/fdb.ts'
import { headerWord } from './fast-encap.ts'
import { flowPort } from './flow-entropy.ts'
import { VTEP_WORDS, Vtep, type VtepTable } from './vtep-table.ts'

const smallSlot = SMALL_SLOT
const slotMask = 8191
const { ipv4, ipv6 } = EtherType
const { icmpv6 } = IpProtocol
const vtepWords = VTEP_WORDS
const { family: familyWord, innerMtu, sum: sumWord } = Vtep
const unusual = FrameFlag.traced | FrameFlag.csum | FrameFlag.gso | FrameFlag.reassembled
const spent = ~(FrameFlag.captured | FrameFlag.csumValid)
const OUTER = 70
const PADDED = 72
/** With an inner IPv4 header: the shortest that a flow is told of. */
const SHORTEST = 34

/**
 * Encapsulates `batch[from..count-1]` up to the first frame that is not of this kind, and returns its index. `mtu`: of the segment;
 * `sums`: 1 with a UDP checksum, 0 without.
 */
export type FastEncap6 = (from: number, count: number, fdb: Fdb, vteps: VtepTable, vni: number, mtu: number, sums: number) => number

const made = new WeakMap<FramePool, FastEncap6>()

/** The one for VTEPs on this pool; `batch` is the same for all. */
export function fastEncap6For(frames: FramePool, batch: Int32Array): FastEncap6 {
  let encap = made.get(frames)
  if (encap === undefined) made.set(frames, (encap = makeFastEncap6(frames, batch)))
  return encap
}

function makeFastEncap6(frames: FramePool, batch: Int32Array): FastEncap6 {
  const { start, length, flags, largeBase } = frames

  return function fastEncap6(from, count, fdb, { words: vteps }, vni, mtu, sums): number {
    if (batch[from] >= largeBase) return from
    const view = frames.view(batch[from])
    const words = frames.words(batch[from])
    const chunk = frames.chunkOf(batch[from])
    const vniSum = (vni >>> 8) + ((vni & 0xff) << 8)
    const vniWord = headerWord(vni >>> 8, (vni & 0xff) << 8)
    const longest = mtu | 0
    let i = from | 0
    for (; i < count; i = (i + 1) | 0) {
      const frame = batch[i]
      const at = start[frame]
      const size = length[frame]
      const had = flags[frame]
      if ((had & unusual) !== 0 || (at & 3) !== 0 || size < SHORTEST || frames.chunkOf(frame) !== chunk) break
      if (at - (frame & slotMask) * smallSlot < PADDED) break
      const first = view.getInt32(at)
      const middle = view.getInt32((at + 4) | 0)
      const last = view.getInt32((at + 12) | 0)
      const type = last >>> 16
      if ((first & 0x01000000) !== 0 || (type !== ipv4 && (type !== ipv6 || view.getUint8(at + 20) === icmpv6))) break
      const vtep = fdb.lookup(first >>> 16, (first << 16) | (middle >>> 16))
      if (vtep < 0) break
      const entry = vtep * vtepWords
      if (vteps[entry + familyWord] !== 6 || size - 14 > longest || size - 14 > vteps[entry + innerMtu]) break
      const ecn = type === ipv4 ? last & 3 : (last >>> 4) & 3
      const source = flowPort(view, at, (at + size) | 0)
      const udpLength = (size + 16) | 0
      let checksum = 0
      if (sums !== 0) {
        const outer = (vteps[entry + sumWord] + 2 * udpLength + source + vniSum) | 0
        // A sum of zero stands for "none" (RFC 768).
        checksum = ~fold((fold(outer) + onesComplementSumView(view, at, size, 0)) | 0) & 0xffff || 0xffff
      }
      const to = (at - PADDED) >> 2
      words[to] = vteps[entry]
      words[to + 1] = vteps[entry + 1]
      words[to + 2] = vteps[entry + 2]
      words[to + 3] = vteps[entry + 3]
      words[to + 4] = headerWord(0x6000 | ((ecn === 3 ? 2 : ecn) << 4), 0)
      words[to + 5] = vteps[entry + 5] | headerWord(udpLength, 0)
      for (let word = 6; word < 14; word = (word + 4) | 0) {
        words[to + word] = vteps[entry + word]
        words[to + word + 1] = vteps[entry + word + 1]
        words[to + word + 2] = vteps[entry + word + 2]
        words[to + word + 3] = vteps[entry + word + 3]
      }
      words[to + 14] = vteps[entry + 14] | headerWord(source, 0)
      words[to + 15] = headerWord(udpLength, checksum)
      words[to + 16] = vteps[entry + 16]
      words[to + 17] = vniWord
      start[frame] = at - OUTER
      length[frame] = size + OUTER
      if (had !== 0) flags[frame] = had & spent
    }
    return i
  }
}
