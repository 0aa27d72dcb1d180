/**
 * Some neighboring segments of a super-frame as a frame of their own: a shorter super-frame, or a plain one where it is one segment.
 * Checksums stay partial, so a device finishes them as it would have done for the whole.
 *
 * Headers change as `wire/segment-headers` says, and the length in the pseudo-header's sum with them.
 */
import { FrameFlag, type FrameHandle, type FramePool, NO_FRAME } from '../../engine/frame-pool.ts'
import { updatePartial32 } from '../../wire/checksum.ts'
import { PacketView } from '../../wire/packet-view.ts'
import { setSegmentIp, setSegmentTransport } from '../../wire/segment-headers.ts'
import { checkTcp, TCP_CHECKSUM, tcpHeaderLength } from '../../wire/tcp.ts'
import { UDP_CHECKSUM, UDP_HEADER_LENGTH } from '../../wire/udp.ts'

const headers = new PacketView()

/** FramePool.gsoType of UDP datagrams, without ECN. */
const UDP_SEGMENTS = 5
const GSO_ECN = 0x80

/** What is where in the super-frame that was measured last; offsets from its first byte. */
const layout = { ipAt: 0, isTcp: false, transportAt: 0, payloadAt: 0, size: 0, segments: 1 }

/** Segments of the frame; 1 for a plain frame and for one whose headers are not those of a super-frame. */
export function segmentsOf(frames: FramePool, frame: FrameHandle): number {
  return (frames.flags[frame] & FrameFlag.gso) === 0 ? 1 : measure(frames, frame)
}

/** Bytes of headers of a super-frame of several segments; what each of its segments begins with. */
export function headersOf(frames: FramePool, frame: FrameHandle): number {
  return measure(frames, frame) > 1 ? layout.payloadAt : 0
}

function measure(frames: FramePool, frame: FrameHandle): number {
  layout.segments = 1
  const partial = FrameFlag.gso | FrameFlag.csum
  if ((frames.flags[frame] & partial) !== partial) return 1
  const start = frames.start[frame]
  const end = start + frames.length[frame]
  if (!headers.readFrame(frames.bytes(frame), start, end)) return 1
  const { bytes, networkAt: ipAt } = headers
  const transportAt = start + frames.csumStart[frame]
  const isTcp = (frames.gsoType[frame] & ~GSO_ECN) !== UDP_SEGMENTS
  if (transportAt <= ipAt || (isTcp ? !checkTcp(bytes, transportAt, end) : transportAt + UDP_HEADER_LENGTH > end)) return 1
  const payloadAt = transportAt + (isTcp ? tcpHeaderLength(bytes, transportAt) : UDP_HEADER_LENGTH)
  const size = frames.gsoSize[frame]
  if (size === 0 || payloadAt >= end) return 1
  layout.ipAt = ipAt - start
  layout.isTcp = isTcp
  layout.transportAt = transportAt - start
  layout.payloadAt = payloadAt - start
  layout.size = size
  return (layout.segments = Math.ceil((end - payloadAt) / size))
}

/** Segments `first` to `first + count - 1` as a new frame; the super-frame stays the caller's. NO_FRAME when the pool is exhausted. */
export function cutSuperFrame(frames: FramePool, frame: FrameHandle, first: number, count: number): FrameHandle {
  const segments = measure(frames, frame)
  if (segments === 1) return frames.copy(frame)
  const { payloadAt, size } = layout
  const done = first * size
  const length = Math.min(count * size, frames.length[frame] - payloadAt - done)
  const cut = frames.allocate(payloadAt + length)
  if (cut === NO_FRAME) return NO_FRAME
  const from = frames.start[frame]
  const source = frames.bytes(frame)
  const bytes = frames.bytes(cut)
  const start = frames.start[cut]
  bytes.set(source.subarray(from, from + payloadAt), start)
  bytes.set(source.subarray(from + payloadAt + done, from + payloadAt + done + length), start + payloadAt)
  frames.copyMetadata(frame, cut)
  if (length <= size) frames.flags[cut] &= ~FrameFlag.gso
  writeHeaders(frames, cut, frames.length[frame] - layout.transportAt, first, first + count >= segments)
  return cut
}

/** `wholeLength`: bytes of the transport header and payload of the super-frame. */
function writeHeaders(frames: FramePool, cut: FrameHandle, wholeLength: number, first: number, isLast: boolean): void {
  const bytes = frames.bytes(cut)
  const start = frames.start[cut]
  const end = start + frames.length[cut]
  const at = start + layout.transportAt
  setSegmentIp(bytes, start + layout.ipAt, end, first)
  setSegmentTransport(bytes, at, end, layout.isTcp, first * layout.size, isLast)
  const view = frames.view(cut)
  const field = at + (layout.isTcp ? TCP_CHECKSUM : UDP_CHECKSUM)
  view.setUint16(field, updatePartial32(view.getUint16(field), wholeLength, end - at))
}
