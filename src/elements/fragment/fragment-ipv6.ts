/**
 * IPv6 packets that came in fragments, cut again: RFC 8200 section 4.5. A router cuts no other ones.
 *
 *   | Ethernet | header, ... | fragment header, offset 0 | payload |   ->   | ... | fragment header, M | part 1 |   | ... | part 2 |
 *
 * The fragment header that the Reassembler leaves in the whole packet (an "atomic fragment", RFC 6946) has the identification.
 */
import { FrameFlag, type FrameHandle, type FramePool } from '../../engine/frame-pool.ts'
import { get16, put16 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import {
  checkIpv6,
  IPV6_FRAGMENT_HEADER_LENGTH,
  IPV6_HEADER_LENGTH,
  IPV6_WALK_FRAGMENT,
  IPV6_WALK_LENGTH,
  ipv6End,
  setIpv6PayloadLength,
  walkIpv6Extensions
} from '../../wire/ipv6.ts'
import { cutPacket, fragmentLimit } from './cut-packet.ts'

const MORE_FRAGMENTS = 1

const walk = new Int32Array(IPV6_WALK_LENGTH)

/**
 * Cuts the reassembled IPv6 packet of a frame, behind 14 bytes of Ethernet, into fragments of at most `mtu` bytes and of at most the
 * length of those it came in. What is said of the frames in `fragmentIpv4` holds.
 * @returns as `fragmentIpv4`; also 0 when the packet has no fragment header
 */
export function fragmentIpv6(frames: FramePool, frame: FrameHandle, mtu: number, emit: (fragment: FrameHandle) => void): number {
  const bytes = frames.bytes(frame)
  const start = frames.start[frame]
  const ipAt = start + ETHERNET_HEADER_LENGTH
  const flags = frames.flags[frame]
  if ((flags & (FrameFlag.gso | FrameFlag.csum)) !== 0 || !checkIpv6(bytes, ipAt, start + frames.length[frame])) return 0
  const end = ipv6End(bytes, ipAt)
  const limit = fragmentLimit(frames, frame, mtu)
  if (end - ipAt <= limit) {
    frames.flags[frame] = flags & ~FrameFlag.reassembled
    emit(frame)
    return 1
  }
  if (!walkIpv6Extensions(bytes, ipAt, end, walk) || walk[IPV6_WALK_FRAGMENT] < 0) return 0
  const payloadAt = walk[IPV6_WALK_FRAGMENT] + IPV6_FRAGMENT_HEADER_LENGTH
  return cutPacket(frames, frame, payloadAt - ipAt, end - payloadAt, limit, writeHeader, emit)
}

/** The fragment header is the last part of the header. */
function writeHeader(bytes: Uint8Array, at: number, headerLength: number, from: number, length: number, isLast: boolean): void {
  setIpv6PayloadLength(bytes, at, headerLength - IPV6_HEADER_LENGTH + length)
  const offset = at + headerLength - IPV6_FRAGMENT_HEADER_LENGTH + 2
  // Offsets are multiples of 8: below them stand two reserved bits and M.
  const field = get16(bytes, offset) + from
  put16(bytes, offset, isLast ? field : field | MORE_FRAGMENTS)
}
