/**
 * IPv4 fragmentation, RFC 791 section 3.2.
 *
 *   | Ethernet | header | payload               |   ->   | Ethernet | header, MF | part 1 |   | Ethernet | header' | part 2 |
 *
 * Parts are multiples of 8 bytes; the header of later fragments keeps its length, with options that may not be copied turned
 * into "no operation", as Linux's ip_options_fragment does.
 */
import { FrameFlag, type FrameHandle, type FramePool, SMALL_CAPACITY } from '../../engine/frame-pool.ts'
import { get16, put16 } from '../../wire/big-endian.ts'
import { completeChecksumView } from '../../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import {
  checkIpv4,
  fillIpv4Checksum,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT,
  IPV4_HEADER_LENGTH,
  IPV4_MORE_FRAGMENTS,
  IPV4_TOTAL_LENGTH,
  Ipv4Option,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4MoreFragments,
  ipv4TotalLength
} from '../../wire/ipv4.ts'

/** Bit of an option's kind: it stands in every fragment. */
const OPTION_COPIED = 0x80

/**
 * Cuts the IPv4 packet of a frame, behind 14 bytes of Ethernet, into fragments of at most `mtu` bytes, and of at most the length
 * of the fragments it came in (FrameFlag.reassembled). A partial checksum is finished first. DF is not looked at and carried over.
 * The fragments are finished frames with the Ethernet header, ingress, time, packet id and mark of the packet. A packet that is
 * short enough comes out as it is.
 * @param emit takes the fragments in order and owns them
 * @returns how many there were, and the frame has a new owner or is gone; 0 when it cannot be cut, and the frame is still the caller's: it is no
 *   IPv4 packet or a super-frame, `mtu` has no room for 8 bytes of payload, or the pool has not enough frames
 */
export function fragmentIpv4(frames: FramePool, frame: FrameHandle, mtu: number, emit: (fragment: FrameHandle) => void): number {
  const bytes = frames.bytes(frame)
  const start = frames.start[frame]
  const ipAt = start + ETHERNET_HEADER_LENGTH
  const flags = frames.flags[frame]
  if ((flags & FrameFlag.gso) !== 0 || !checkIpv4(bytes, ipAt, start + frames.length[frame])) return 0
  const headerLength = ipv4HeaderLength(bytes, ipAt)
  const size = ipv4TotalLength(bytes, ipAt) - headerLength
  const limit = (flags & FrameFlag.reassembled) !== 0 ? Math.min(mtu, frames.gsoSize[frame]) : mtu
  if (headerLength + size <= limit) {
    frames.flags[frame] = flags & ~FrameFlag.reassembled
    emit(frame)
    return 1
  }
  const part = (limit - headerLength) & ~7
  if (part < 8) return 0
  const count = Math.ceil(size / part)
  if (!hasRoom(frames, count, ETHERNET_HEADER_LENGTH + headerLength + part)) return 0
  if ((flags & FrameFlag.csum) !== 0) {
    const { csumStart, csumOffset } = frames
    if (!completeChecksumView(frames.view(frame), start, csumStart[frame], csumOffset[frame], ipAt + headerLength + size)) return 0
  }
  const base = ipv4FragmentOffset(bytes, ipAt)
  const more = ipv4MoreFragments(bytes, ipAt)
  for (let i = 0; i < count; i++) {
    const from = i * part
    const length = Math.min(part, size - from)
    const fragment = frames.allocate(ETHERNET_HEADER_LENGTH + headerLength + length)
    const into = frames.bytes(fragment)
    const at = frames.start[fragment]
    const headerAt = at + ETHERNET_HEADER_LENGTH
    into.set(bytes.subarray(start, ipAt + headerLength), at)
    into.set(bytes.subarray(ipAt + headerLength + from, ipAt + headerLength + from + length), headerAt + headerLength)
    frames.copyMetadata(frame, fragment)
    frames.flags[fragment] = flags & FrameFlag.traced
    const kept = get16(into, headerAt + IPV4_FRAGMENT) & IPV4_DONT_FRAGMENT
    const follows = more || i < count - 1 ? IPV4_MORE_FRAGMENTS : 0
    put16(into, headerAt + IPV4_TOTAL_LENGTH, headerLength + length)
    put16(into, headerAt + IPV4_FRAGMENT, kept | follows | ((base + from) >> 3))
    fillIpv4Checksum(into, headerAt)
    emit(fragment)
    if (i === 0 && headerLength > IPV4_HEADER_LENGTH) blankUncopiedOptions(bytes, ipAt + IPV4_HEADER_LENGTH, ipAt + headerLength)
  }
  frames.free(frame)
  return count
}

/** Whether the pool has `count` frames of `length` bytes: half a packet is of no use to anybody. */
function hasRoom(frames: FramePool, count: number, length: number): boolean {
  const large = length > SMALL_CAPACITY ? 1 : 0
  // The last one may be a small frame where the others are large.
  frames.reserve(large ? 1 : count, large ? count : 0)
  return frames.tops[large] >= count && frames.tops[0] > 0
}

/** Turns options that only the first fragment has into "no operation". The list was the sender's: a malformed one is left alone. */
function blankUncopiedOptions(bytes: Uint8Array, from: number, end: number): void {
  for (let at = from; at < end; ) {
    const kind = bytes[at]
    if (kind === Ipv4Option.end) return
    const length = kind === Ipv4Option.noOperation ? 1 : at + 1 < end ? bytes[at + 1] : 0
    if (length === 0 || (kind !== Ipv4Option.noOperation && length < 2) || at + length > end) return
    if ((kind & OPTION_COPIED) === 0) bytes.fill(Ipv4Option.noOperation, at, at + length)
    at += length
  }
}
