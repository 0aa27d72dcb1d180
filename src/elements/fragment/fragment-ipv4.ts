/**
 * IPv4 fragmentation, RFC 791 section 3.2.
 *
 *   | Ethernet | header | payload               |   ->   | Ethernet | header, MF | part 1 |   | Ethernet | header' | part 2 |
 *
 * Parts are multiples of 8 bytes; the header of later fragments keeps its length, with options that may not be copied turned
 * into "no operation", as Linux's ip_options_fragment does.
 */
import { FrameFlag, type FrameHandle, type FramePool } from '../../engine/frame-pool.ts'
import { get16, put16 } from '../../wire/big-endian.ts'
import { completeChecksumView } from '../../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import {
  checkIpv4,
  fillIpv4Checksum,
  IPV4_FRAGMENT,
  IPV4_HEADER_LENGTH,
  IPV4_MORE_FRAGMENTS,
  IPV4_TOTAL_LENGTH,
  Ipv4Option,
  ipv4HeaderLength,
  ipv4TotalLength
} from '../../wire/ipv4.ts'
import { cutPacket, fragmentLimit } from './cut-packet.ts'

/** Bit of an option's kind: it stands in every fragment. */
const OPTION_COPIED = 0x80

/**
 * Cuts the IPv4 packet of a frame, behind 14 bytes of Ethernet, into fragments of at most `mtu` bytes, and of at most the length
 * of the fragments it came in (FrameFlag.reassembled). A partial checksum is finished first. DF is not looked at and carried over.
 * The fragments are finished frames with the Ethernet header, ingress, time, packet id and mark of the packet. A packet that is
 * short enough comes out as it is.
 * @param emit takes the fragments in order and owns them
 * @returns how many there were, and the frame has a new owner or is gone; 0 when it cannot be cut, and the frame is still the
 *   caller's: it is no IPv4 packet or a super-frame, `mtu` has no room for 8 bytes of payload, or the pool has not enough frames
 */
export function fragmentIpv4(frames: FramePool, frame: FrameHandle, mtu: number, emit: (fragment: FrameHandle) => void): number {
  const bytes = frames.bytes(frame)
  const start = frames.start[frame]
  const ipAt = start + ETHERNET_HEADER_LENGTH
  const flags = frames.flags[frame]
  if ((flags & FrameFlag.gso) !== 0 || !checkIpv4(bytes, ipAt, start + frames.length[frame])) return 0
  const length = ipv4TotalLength(bytes, ipAt)
  const limit = fragmentLimit(frames, frame, mtu)
  if (length <= limit) {
    frames.flags[frame] = flags & ~FrameFlag.reassembled
    emit(frame)
    return 1
  }
  if ((flags & FrameFlag.csum) !== 0) {
    const { csumStart, csumOffset } = frames
    if (!completeChecksumView(frames.view(frame), start, csumStart[frame], csumOffset[frame], ipAt + length)) return 0
    // It may stay the caller's.
    frames.flags[frame] = flags & ~FrameFlag.csum
  }
  const headerLength = ipv4HeaderLength(bytes, ipAt)
  return cutPacket(frames, frame, headerLength, length - headerLength, limit, writeHeader, emit)
}

/** A packet that is a fragment already keeps its offset and its more-fragments bit. */
function writeHeader(bytes: Uint8Array, at: number, headerLength: number, from: number, length: number, isLast: boolean): void {
  if (from > 0 && headerLength > IPV4_HEADER_LENGTH) blankUncopiedOptions(bytes, at + IPV4_HEADER_LENGTH, at + headerLength)
  put16(bytes, at + IPV4_TOTAL_LENGTH, headerLength + length)
  const field = get16(bytes, at + IPV4_FRAGMENT) + (from >> 3)
  put16(bytes, at + IPV4_FRAGMENT, isLast ? field : field | IPV4_MORE_FRAGMENTS)
  fillIpv4Checksum(bytes, at)
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
