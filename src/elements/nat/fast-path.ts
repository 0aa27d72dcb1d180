/**
 * The frames that are most: TCP and UDP over IPv4, of flows that are steady and believe in a path. They are checked, translated and
 * sent off here, a batch at a time; everything else is left to `prerouting`, which decides from scratch.
 *
 * Frames are read and written by words of the machine, so this is for little-endian ones, and for frames that begin at a multiple of
 * four as fresh ones do. The words of a frame that begins at word w:
 *
 *   w+0  destination MAC 0-3             w+5  flags, offset | TTL | protocol     w+10  UDP checksum | ...   (TCP: sequence, acknowledgment)
 *   w+1  destination MAC 4-5, source 0-1 w+6  header checksum | source 0-1       w+11  acknowledgment | offset | flags
 *   w+2  source MAC 2-5                  w+7  source 2-3 | destination 0-1       w+12  window | TCP checksum
 *   w+3  EtherType | 0x45 | TOS          w+8  destination 2-3 | source port      w+13  urgent | options
 *   w+4  total length | identification   w+9  destination port | UDP length
 */
import { FrameFlag } from '../../engine/frame-pool.ts'
import type { NatTables } from './nat-tables.ts'

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const { traced, csum, gso, reassembled, captured } = FrameFlag
const ICMP = 1
const TCP = 6
const UDP = 17
/** EtherType 0x0800, version 4, five words of header, as the first three bytes of a word. */
const PLAIN_IPV4 = 0x450008
/** Everything but DF in the word's first half: a fragment. */
const FRAGMENT_BITS = 0xffbf
const FAST_ORIGINAL = 128
const SHORTEST_UDP = 42
const SHORTEST_TCP = 54
/** ACK, of SYN, FIN, RST and ACK, in the last byte of a word. */
const ACK_ONLY = 0x10
const ENDS_AND_ACK = 0x17
/** Two NOPs and the timestamps option, as Linux writes them. */
const TIMESTAMPS_FIRST = 0x0101
const TIMESTAMPS_SECOND = 0x0a08
/** In place of an egress: TCP or UDP of no flow, and the table is too full for another one. */
export const REFUSED = -1
/** The same for a frame that ends the run: it is sound up to its IP header, and TCP or UDP of no flow, or ICMP. */
export const NEW_FLOW = -2
const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

/**
 * Handles `batch[from..count-1]`, which came in by interface `number`, up to the first frame that is none of this kind, and returns its
 * index. `egress[i]` is the interface by which frame i leaves, and it stands as it is to be sent; or REFUSED, and it is untouched.
 * Of the frame that ends the run `egress` may say NEW_FLOW.
 */
export type FastPath = (from: number, count: number, number: number) => number

/** One in a thread with one engine: V8 then takes the arrays for constants (see the engine's README, "Loops"). */
export function makeFastPath(tables: NatTables, batch: Int32Array, egress: Int32Array): FastPath {
  const { frames, flows, paths, routerMac } = tables
  const { windows } = tables.tcp
  const { start, length, flags, gsoSize, csumStart } = frames
  const { core, expires, status } = flows
  const { words: path, fits } = paths

  return function take(from: number, count: number, number: number): number {
    const ingress = number | 0
    const mac0 = routerMac[ingress << 1]
    const mac1 = routerMac[(ingress << 1) | 1]
    if (mac1 < 0 || !IS_LITTLE_ENDIAN || !tables.settings.fastPath) return from
    const { slots, timeouts } = flows
    const k1 = flows.k1 | 0
    const k2 = flows.k2 | 0
    const k3 = flows.k3 | 0
    const k4 = flows.k4 | 0
    const shift = flows.shift | 0
    const tick = flows.tick | 0
    const epoch = paths.epoch | 0
    const mask = (slots.length - 1) | 0
    const referenceBits = flows.referenceBits | 0
    const references = ((1 << referenceBits) - 1) | 0
    const { isRefusing } = tables.eviction
    const words = frames.words(batch[from])
    const chunk = frames.chunkOf(batch[from])
    let i = from | 0
    for (; i < count; i = (i + 1) | 0) {
      const frame = batch[i]
      const at = start[frame]
      const size = length[frame]
      const flag = flags[frame]
      if ((at & 3) !== 0 || (flag & (traced | reassembled)) !== 0 || size < SHORTEST_UDP || frames.chunkOf(frame) !== chunk) return i
      const w = at >> 2
      const w3 = words[(w + 3) | 0]
      const w5 = words[(w + 5) | 0]
      if (words[w] !== mac0 || (words[(w + 1) | 0] & 0xffff) !== mac1) return i
      if ((w3 & 0xffffff) !== PLAIN_IPV4 || (w5 & FRAGMENT_BITS) !== 0 || ((w5 >>> 16) & 0xff) <= 1) return i
      const w4 = words[(w + 4) | 0]
      const w6 = words[(w + 6) | 0]
      const w7 = words[(w + 7) | 0]
      const w8 = words[(w + 8) | 0]
      const w9 = words[(w + 9) | 0]
      const total = ((w4 & 0xff) << 8) | ((w4 >>> 8) & 0xff)
      if (total > size - 14) return i
      let sum = ((w3 >>> 16) + (w4 & 0xffff) + (w4 >>> 16) + (w5 & 0xffff) + (w5 >>> 16)) | 0
      sum = (sum + (w6 & 0xffff) + (w6 >>> 16) + (w7 & 0xffff) + (w7 >>> 16) + (w8 & 0xffff)) | 0
      sum = (sum & 0xffff) + (sum >>> 16)
      if ((sum & 0xffff) + (sum >>> 16) !== 0xffff) return i

      // The flow.
      const protocol = w5 >>> 24
      const a = (w6 >>> 16) | (w9 << 16)
      const mixed = (Math.imul(a, k1) + Math.imul(w7, k2) + Math.imul(w8, k3) + Math.imul(protocol, k4)) | 0
      const hash = Math.imul(mixed ^ (mixed >>> 16), 0x9e3779b1)
      let slot = hash >>> shift
      let word = -1
      for (let entry = slots[slot]; entry !== 0; entry = slots[slot]) {
        // Few bits of the hash: the tuple is compared below, and who is not meant here is sought again by others.
        if ((entry ^ (hash << referenceBits)) >>> referenceBits === 0) {
          word = ((entry & references) - 1) << 3
          break
        }
        slot = (slot + 1) & mask
      }
      if (word < 0) {
        // What has no ports there may be of a flow all the same: of ICMP's queries `fast-open` looks itself.
        if (protocol !== TCP && protocol !== UDP) {
          if (protocol === ICMP) egress[i] = NEW_FLOW
          return i
        }
        egress[i] = isRefusing ? REFUSED : NEW_FLOW
        if (isRefusing) continue
        return i
      }
      if (core[word] !== a || core[(word + 1) | 0] !== w7 || core[(word + 2) | 0] !== w8 || core[(word + 3) | 0] !== protocol) return i
      const flow = word >> 4
      const direction = (word >> 3) & 1
      const bits = status[flow]
      const reference = core[(word + 5) | 0]
      if ((bits & (FAST_ORIGINAL << direction)) === 0 || ((expires[flow] - tick) | 0) <= 0) return i
      if ((reference & -65_536) !== epoch || ((core[(word + 6) | 0] - tick) | 0) <= 0) return i
      const p = (reference & 0xffff) << 3
      const ports = path[p]
      if (ports >>> 16 !== ingress || ((flag & csum) !== 0 && csumStart[frame] !== 34)) return i

      // State and time-out.
      let timeout = (bits >>> 16) & 0x1f
      let header = 8
      if (protocol === TCP) {
        if (size < SHORTEST_TCP) return i
        const w10 = words[(w + 10) | 0]
        const w11 = words[(w + 11) | 0]
        header = (w11 >>> 18) & 0x3c
        if (((w11 >>> 24) & ENDS_AND_ACK) !== ACK_ONLY || total < 20 + header) return i
        if (header !== 20) {
          const isStamped = words[(w + 13) | 0] >>> 16 === TIMESTAMPS_FIRST && (words[(w + 14) | 0] & 0xffff) === TIMESTAMPS_SECOND
          if (header !== 32 || !isStamped) return i
        }
        if (((flag & gso) !== 0 ? gsoSize[frame] + header + 20 : total) > fits[ports & 0xffff]) return i
        const seq = swapped(w9 >>> 16) | (swapped(w10 & 0xffff) >>> 16)
        const ack = swapped(w10 >>> 16) | (swapped(w11 & 0xffff) >>> 16)
        const window = swapped(words[(w + 12) | 0] & 0xffff) >>> 16
        timeout = windows.advance(flow, direction, seq, ack, (seq + total - 20 - header) | 0, window)
        if (timeout < 0) return i
      } else {
        const udpLength = swapped(w9 >>> 16) >>> 16
        if (protocol !== UDP || udpLength < 8 || udpLength > total - 20) return i
        if (((flag & gso) !== 0 ? gsoSize[frame] + 28 : total) > fits[ports & 0xffff]) return i
      }
      expires[flow] = (tick + timeouts[timeout]) | 0
      core[(word + 7) | 0]++

      // Translation: what leaves is the opposite of the other direction's tuple.
      const other = word ^ 8
      const oa = core[other]
      const ob = core[(other + 1) | 0]
      const oc = core[(other + 2) | 0]
      const change = core[(word + 4) | 0]
      const taken = path[(p + 1) | 0]
      let field = (~w6 & 0xffff) + (change & 0xffff) + 0xffff - taken
      field = (field & 0xffff) + (field >>> 16)
      field = ~((field & 0xffff) + (field >>> 16)) & 0xffff
      words[w] = path[(p + 2) | 0]
      words[(w + 1) | 0] = path[(p + 3) | 0]
      words[(w + 2) | 0] = path[(p + 4) | 0]
      words[(w + 5) | 0] = w5 - (taken << 16)
      words[(w + 6) | 0] = field | (ob & -65_536)
      words[(w + 7) | 0] = (oc & 0xffff) | (oa << 16)
      words[(w + 8) | 0] = (ob & 0xffff) | (oa & -65_536)
      words[(w + 9) | 0] = (w9 & -65_536) | (oc >>> 16)
      if (protocol === TCP) {
        const before = words[(w + 12) | 0]
        words[(w + 12) | 0] = (before & 0xffff) | (translated(before >>> 16, change, flag & csum) << 16)
      } else {
        const before = words[(w + 10) | 0]
        // 0 says "no checksum".
        if ((before & 0xffff) !== 0 || (flag & csum) !== 0) {
          const after = translated(before & 0xffff, change, flag & csum)
          words[(w + 10) | 0] = (before & -65_536) | (after === 0 && (flag & csum) === 0 ? 0xffff : after)
        }
      }
      if (total + 14 !== size) length[frame] = total + 14
      if ((flag & captured) !== 0) flags[frame] = flag & ~captured
      egress[i] = ports & 0xffff
    }
    return i
  }
}

/** The upper half of a 32-bit number from 16 bits of a frame as they stand in it. */
function swapped(value: number): number {
  return ((value & 0xff) << 24) | ((value & 0xff00) << 8)
}

/** A transport checksum after the translation that `change` tells (see `translationChange`). */
function translated(field: number, change: number, isPartial: number): number {
  let sum = isPartial !== 0 ? field + (change & 0xffff) : (~field & 0xffff) + (change >>> 16)
  sum = (sum & 0xffff) + (sum >>> 16)
  return isPartial !== 0 ? sum : ~sum & 0xffff
}
