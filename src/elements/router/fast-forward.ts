/**
 * The packets that are most: plain IPv4 in a frame for us, to a destination whose way is in the cache.
 *
 *   word of the frame   0        1          2        3           4          5              6            7            8
 *                       to ....  to|from    from ..  type,ver,.  length,id  frag,ttl,prot  sum|source.. source|dest. dest.|payload
 *
 * Read and written as words of this machine (little endian, which Node.js runs on everywhere it matters here; see `canBeFast`): a
 * frame's start is a multiple of four as devices and pools make it. Sums of 16-bit halves do not depend on their byte order
 * (RFC 1071 section 2), so the header checksum is verified and counted down as it stands.
 */
import { FrameFlag, type FrameHandle, type FramePool } from '../../engine/frame-pool.ts'
import type { Link } from '../../engine/link.ts'
import {
  CACHE_DESTINATION,
  CACHE_EGRESS,
  CACHE_EPOCH,
  CACHE_LIMIT,
  CACHE_MACS,
  CACHE_NO_DECREMENT,
  CACHE_REACH_SHIFT,
  CACHE_UNTIL,
  cacheIndex,
  type ForwardingCache,
  MARK_ANY_SOURCE,
  MARK_REACH_SHIFT
} from './forwarding-cache.ts'
import { type SourceFilter, sourceFilterIndex } from './source-filter.ts'

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const needsCare = FrameFlag.traced | FrameFlag.gso | FrameFlag.reassembled
const { captured } = FrameFlag
const destinationWord = CACHE_DESTINATION
const epochWord = CACHE_EPOCH
const untilWord = CACHE_UNTIL
const egressWord = CACHE_EGRESS
const macWords = CACHE_MACS
const limitWord = CACHE_LIMIT
const noDecrement = CACHE_NO_DECREMENT
const cacheReachShift = CACHE_REACH_SHIFT
const markReachShift = MARK_REACH_SHIFT
const markAnySource = MARK_ANY_SOURCE
/** EtherType 0x0800, version 4, five words of header; the TOS is masked out. */
const TYPE_MASK = 0x00ffffff
const PLAIN_IPV4 = 0x00450008
/** One in the high byte of a checksum. */
const ONE_TTL = 0x0001
const ETHERNET_AND_IPV4 = 34
const ETHERNET = 14

export interface FastInterface {
  /** The MAC as words of a frame: the first four bytes, and the last two in the lower half. */
  readonly macWord: number
  readonly macTail: number
  readonly noDecrement: boolean
}

/** Sends the frame on and returns true, or leaves it as it is. `tick`: the time as the cache counts it. */
export type FastForward = (frame: FrameHandle, link: FastInterface, tick: number) => boolean

/** Whether this machine's words are as this module needs them. */
export const canBeFast = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

/**
 * One for each router. V8 takes what is around it for constants while it is made once in a thread (the engine's README, "Loops").
 * @param links where each interface sends; entries may be missing
 */
export function makeFastForward(
  frames: FramePool,
  cache: ForwardingCache,
  { suspects, octets }: SourceFilter,
  links: readonly (Link | null)[]
): FastForward {
  const { start, length: lengths, flags, mark } = frames
  const { entries } = cache

  return function fastForward(frame: FrameHandle, link: FastInterface, tick: number): boolean {
    const begin = start[frame]
    const size = lengths[frame]
    const flag = flags[frame]
    if ((begin & 3) !== 0 || size < ETHERNET_AND_IPV4 || (flag & needsCare) !== 0) return false
    const words = frames.words(frame)
    const at = begin >> 2
    const w1 = words[(at + 1) | 0]
    const w3 = words[(at + 3) | 0]
    if (words[at] !== link.macWord || (w1 & 0xffff) !== link.macTail || (w3 & TYPE_MASK) !== PLAIN_IPV4) return false
    const w4 = words[(at + 4) | 0]
    const w5 = words[(at + 5) | 0]
    const w6 = words[(at + 6) | 0]
    const w7 = words[(at + 7) | 0]
    const w8 = words[(at + 8) | 0] & 0xffff

    const key = (w7 >>> 16) | (w8 << 16)
    const entry = cacheIndex(key)
    if (entries[entry | destinationWord] !== key || entries[entry | epochWord] !== cache.epoch || entries[entry | untilWord] <= tick) {
      return false
    }
    const limit = entries[entry | limitWord]
    const total = ((w4 & 0xff) << 8) | ((w4 >>> 8) & 0xff)
    if (total < 20 || total + ETHERNET > size || total > (limit & 0xffff) || ((w5 >>> 16) & 0xff) <= 1) return false
    const source = (w6 >>> 16) | (w7 << 16)
    let reach = (limit >>> cacheReachShift) << markReachShift
    const octet = source & 0xff
    if (octets[octet] === 0) reach |= markAnySource
    else if (octet === 0 || octet === 127 || octet >= 224 || suspects[sourceFilterIndex(source)] !== 0) return false

    let sum =
      ((w3 >>> 16) +
        (w4 & 0xffff) +
        (w4 >>> 16) +
        (w5 & 0xffff) +
        (w5 >>> 16) +
        (w6 & 0xffff) +
        (w6 >>> 16) +
        (w7 & 0xffff) +
        (w7 >>> 16) +
        w8) |
      0
    sum = (sum & 0xffff) + (sum >>> 16)
    if (((sum + (sum >>> 16)) & 0xffff) !== 0xffff) return false
    const to = links[entries[entry | egressWord]]
    if (to === null || to === undefined) return false

    words[at] = entries[entry | macWords]
    words[(at + 1) | 0] = entries[(entry | macWords) + 1]
    words[(at + 2) | 0] = entries[(entry | macWords) + 2]
    if (!link.noDecrement && (limit & noDecrement) === 0) {
      words[(at + 5) | 0] = (w5 - 0x10000) | 0
      // RFC 1141, and Linux's ip_decrease_ttl: one more, and the carry around the end.
      let check = (w6 & 0xffff) + ONE_TTL
      if (check >= 0xffff) check = (check + 1) & 0xffff
      words[(at + 6) | 0] = (w6 & ~0xffff) | check
    }
    mark[frame] |= reach
    lengths[frame] = (total + ETHERNET) | 0
    if ((flag & captured) !== 0) flags[frame] = flag & ~captured
    to.transmit(frame)
    return true
  }
}
