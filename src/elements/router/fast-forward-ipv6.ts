/**
 * The same as `fast-forward` for IPv6: a plain packet without extension headers, to a destination whose way is in the cache.
 *
 *   word of the frame   3            4              5                  6 - 8     9                 10 - 12   13
 *                       type,ver,.   .flow|length   next,hops|source   source    source|dest.      dest.     dest.|payload
 */
import { FrameFlag, type FrameHandle, type FramePool } from '../../engine/frame-pool.ts'
import type { Link } from '../../engine/link.ts'
import type { FastForward, FastInterface } from './fast-forward.ts'
import {
  CACHE_DESTINATION,
  CACHE_EGRESS,
  CACHE_EPOCH,
  CACHE_LIMIT,
  CACHE_MACS,
  CACHE_NO_DECREMENT,
  CACHE_PREFIX,
  CACHE_UNTIL,
  cacheIndex6,
  type ForwardingCache
} from './forwarding-cache.ts'
import { type SourceFilter, sourceFilterIndex6 } from './source-filter.ts'

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const needsCare = FrameFlag.traced | FrameFlag.gso | FrameFlag.reassembled
const { captured } = FrameFlag
const destinationWord = CACHE_DESTINATION
const epochWord = CACHE_EPOCH
const untilWord = CACHE_UNTIL
const egressWord = CACHE_EGRESS
const macWords = CACHE_MACS
const limitWord = CACHE_LIMIT
const prefixWords = CACHE_PREFIX
const noDecrement = CACHE_NO_DECREMENT
/** EtherType 0x86dd and version 6. */
const TYPE_MASK = 0x00f0ffff
const IPV6 = 0x0060dd86
const TCP = 6
const UDP = 17
const ICMPV6 = 58
/** fe80::/10 and ff00::/8 as the first bytes of a word. */
const LINK_LOCAL_MASK = 0xc0ff
const LINK_LOCAL = 0x80fe
const GROUP = 0xff
const ETHERNET_AND_IPV6 = 54
const IPV6_HEADER = 40
const ETHERNET = 14

/** One for each router. The arguments are those of `makeFastForward`. */
export function makeFastForwardIpv6(
  frames: FramePool,
  cache: ForwardingCache,
  { suspects }: SourceFilter,
  links: readonly (Link | null)[]
): FastForward {
  const { start, length: lengths, flags } = frames
  const { entries6: entries } = cache

  return function fastForwardIpv6(frame: FrameHandle, link: FastInterface, tick: number): boolean {
    const begin = start[frame]
    const size = lengths[frame]
    const flag = flags[frame]
    if ((begin & 3) !== 0 || size < ETHERNET_AND_IPV6 || (flag & needsCare) !== 0) return false
    const words = frames.words(frame)
    const at = begin >> 2
    if ((words[(at + 3) | 0] & TYPE_MASK) !== IPV6) return false
    if (words[at] !== link.macWord || (words[(at + 1) | 0] & 0xffff) !== link.macTail) return false
    const w5 = words[(at + 5) | 0]
    const w9 = words[(at + 9) | 0]
    const w10 = words[(at + 10) | 0]
    const w11 = words[(at + 11) | 0]
    const w12 = words[(at + 12) | 0]

    const d0 = (w9 >>> 16) | (w10 << 16)
    const d1 = (w10 >>> 16) | (w11 << 16)
    const d2 = (w11 >>> 16) | (w12 << 16)
    const d3 = (w12 >>> 16) | (words[(at + 13) | 0] << 16)
    const entry = cacheIndex6(d0, d1, d2, d3)
    if (
      entries[entry | destinationWord] !== d3 ||
      entries[entry | prefixWords] !== d0 ||
      entries[entry | (prefixWords + 1)] !== d1 ||
      entries[entry | (prefixWords + 2)] !== d2 ||
      entries[entry | epochWord] !== cache.epoch ||
      entries[entry | untilWord] <= tick
    ) {
      return false
    }
    const w4 = words[(at + 4) | 0]
    const total = (((w4 >>> 8) & 0xff00) | (w4 >>> 24)) + IPV6_HEADER
    const limit = entries[entry | limitWord]
    if (total + ETHERNET > size || total > (limit & 0xffff) || ((w5 >>> 8) & 0xff) <= 1) return false
    const next = w5 & 0xff
    if (next !== TCP && next !== UDP && next !== ICMPV6) return false

    const w6 = words[(at + 6) | 0]
    const w7 = words[(at + 7) | 0]
    const w8 = words[(at + 8) | 0]
    const s0 = (w5 >>> 16) | (w6 << 16)
    const s1 = (w6 >>> 16) | (w7 << 16)
    const s2 = (w7 >>> 16) | (w8 << 16)
    const s3 = (w8 >>> 16) | (w9 << 16)
    if ((s0 & 0xff) === GROUP || (s0 & LINK_LOCAL_MASK) === LINK_LOCAL || (s0 | s1 | s2) === 0) return false
    if (suspects[sourceFilterIndex6(s0, s1, s2, s3)] !== 0) return false
    const to = links[entries[entry | egressWord]]
    if (to === null || to === undefined) return false

    words[at] = entries[entry | macWords]
    words[(at + 1) | 0] = entries[entry | (macWords + 1)]
    words[(at + 2) | 0] = entries[entry | (macWords + 2)]
    if (!link.noDecrement && (limit & noDecrement) === 0) words[(at + 5) | 0] = (w5 - 0x100) | 0
    lengths[frame] = (total + ETHERNET) | 0
    if ((flag & captured) !== 0) flags[frame] = flag & ~captured
    to.transmit(frame)
    return true
  }
}
