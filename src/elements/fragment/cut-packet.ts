/**
 * One packet to several frames, each with the headers and a part of the payload.
 */
import { FrameFlag, type FrameHandle, type FramePool, SMALL_CAPACITY } from '../../engine/frame-pool.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'

/** Writes what differs from fragment to fragment into the copy of the IP header at `at`: its payload is [from, from + length) of the packet's. */
export type WriteHeader = (bytes: Uint8Array, at: number, headerLength: number, from: number, length: number, isLast: boolean) => void

/** The length that no fragment of the frame's packet may exceed: of the way out, and of the fragments it came in. */
export function fragmentLimit(frames: FramePool, frame: FrameHandle, mtu: number): number {
  return (frames.flags[frame] & FrameFlag.reassembled) === 0 ? mtu : Math.min(mtu, frames.gsoSize[frame])
}

/**
 * Cuts the packet behind 14 bytes of Ethernet, of `headerLength` bytes of header and `size` of payload, into fragments of at most
 * `limit` bytes. They keep Ethernet header, ingress, time, packet id and mark of the frame.
 * @returns how many there were, and the frame is gone; 0 when 8 bytes of payload do not fit or the pool has not enough frames, and
 *   the frame is still the caller's
 */
export function cutPacket(
  frames: FramePool,
  frame: FrameHandle,
  headerLength: number,
  size: number,
  limit: number,
  write: WriteHeader,
  emit: (fragment: FrameHandle) => void
): number {
  const headers = ETHERNET_HEADER_LENGTH + headerLength
  const part = (limit - headerLength) & ~7
  if (part < 8) return 0
  const count = Math.ceil(size / part)
  if (!hasRoom(frames, count, headers + part)) return 0
  const bytes = frames.bytes(frame)
  const start = frames.start[frame]
  const payloadAt = start + headers
  for (let from = 0; from < size; from += part) {
    const length = Math.min(part, size - from)
    const fragment = frames.allocate(headers + length)
    const into = frames.bytes(fragment)
    const at = frames.start[fragment]
    into.set(bytes.subarray(start, payloadAt), at)
    into.set(bytes.subarray(payloadAt + from, payloadAt + from + length), at + headers)
    frames.copyMetadata(frame, fragment)
    frames.flags[fragment] &= FrameFlag.traced
    write(into, at + ETHERNET_HEADER_LENGTH, headerLength, from, length, from + length === size)
    emit(fragment)
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
