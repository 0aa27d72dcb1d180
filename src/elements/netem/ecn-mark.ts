/** "Congestion experienced", RFC 3168 section 5: on packets whose sender said that it understands. */
import { FrameFlag, type FrameHandle, type FramePool } from '../../engine/frame-pool.ts'
import { fillIpv4Checksum, IPV4_TOS } from '../../wire/ipv4.ts'
import { PacketView } from '../../wire/packet-view.ts'

const CONGESTION = 3
const packet = new PacketView()

/** False when the packet is no IP or not ECN-capable. */
export function markCongestion(frames: FramePool, frame: FrameHandle): boolean {
  const bytes = frames.bytes(frame)
  const at = frames.start[frame]
  packet.readFrame(bytes, at, at + frames.length[frame])
  const { family, networkAt: ipAt } = packet
  if (family === 4) {
    if ((bytes[ipAt + IPV4_TOS] & CONGESTION) === 0) return false
    bytes[ipAt + IPV4_TOS] |= CONGESTION
    fillIpv4Checksum(bytes, ipAt)
  } else if (family === 6) {
    // The traffic class is bits 4 to 11 of the header.
    if (((bytes[ipAt + 1] >> 4) & CONGESTION) === 0) return false
    bytes[ipAt + 1] |= CONGESTION << 4
  } else {
    return false
  }
  frames.flags[frame] &= ~FrameFlag.captured
  return true
}
