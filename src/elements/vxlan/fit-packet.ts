/**
 * What becomes of an inner packet that is too long for the way to a remote VTEP.
 */
import { FrameFlag, type FrameHandle, type FramePool, NO_FRAME } from '../../engine/frame-pool.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, etherType } from '../../wire/ethernet.ts'
import { checkIpv4, ipv4DontFragment } from '../../wire/ipv4.ts'
import { fragmentIpv4 } from '../fragment/fragment-ipv4.ts'
import { halveSuperFrame } from './halve-super-frame.ts'
import { tooBigError } from './too-big.ts'

/** The sender was told; the frame is the caller's. */
export const TOLD = 0
/** Nothing can be done; the frame is the caller's. */
export const HOPELESS = -1

/**
 * Cuts an IPv4 packet that may be cut into pieces of at most `limit` bytes, halves a super-frame whose segments fit (it is too long as
 * a whole then), or makes the error that tells the sender.
 * @param segmentLength bytes of the longest packet of a super-frame; of other frames it is not looked at
 * @param emit takes the pieces, or the one error, and owns them
 * @returns the number of pieces, and the frame is gone; TOLD or HOPELESS
 */
export function fitPacket(
  frames: FramePool,
  frame: FrameHandle,
  limit: number,
  segmentLength: number,
  emit: (frame: FrameHandle, isError: boolean) => void
): number {
  if (mayFragment(frames, frame) && (frames.flags[frame] & FrameFlag.gso) === 0) {
    const pieces = fragmentIpv4(frames, frame, limit, (piece) => emit(piece, false))
    if (pieces > 0) return pieces
  }
  if ((frames.flags[frame] & FrameFlag.gso) !== 0 && segmentLength <= limit) {
    const rear = halveSuperFrame(frames, frame)
    if (rear === NO_FRAME) return HOPELESS
    emit(frame, false)
    emit(rear, false)
    return 2
  }
  const error = tooBigError(frames, frame, limit)
  if (error === NO_FRAME) return HOPELESS
  emit(error, true)
  return TOLD
}

/** Whether the frame's packet, or each segment of it, is one that everybody on the way may cut: IPv4 without DF. */
export function mayFragment(frames: FramePool, frame: FrameHandle): boolean {
  const start = frames.start[frame]
  const bytes = frames.bytes(frame)
  const at = start + ETHERNET_HEADER_LENGTH
  if (etherType(bytes, start) !== EtherType.ipv4 || !checkIpv4(bytes, at, start + frames.length[frame])) return false
  return !ipv4DontFragment(bytes, at)
}
