/**
 * Some neighboring segments of a super-frame as a frame of their own: a shorter super-frame, or a plain one where it is one segment.
 * Checksums stay partial, so a device finishes them as it would have done for the whole.
 *
 * Headers change as `wire/segment-headers` says, and the length in the pseudo-header's sum with them; in a VXLAN tunnel the outer ones
 * too. An outer checksum of a single segment is finished: what is partial inside sums to what its field tells (Linux: local checksum
 * offload).
 */
import { FrameFlag, type FrameHandle, type FramePool, GsoTunnel, NO_FRAME } from '../../engine/frame-pool.ts'
import { checksumOf, fold, nonZeroChecksum, onesComplementSumView, pseudoHeaderSum, updatePartial32 } from '../../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { ABSENT, PacketView } from '../../wire/packet-view.ts'
import { setSegmentIp, setSegmentTransport } from '../../wire/segment-headers.ts'
import { checkTcp, TCP_CHECKSUM, tcpHeaderLength } from '../../wire/tcp.ts'
import { setUdpLength, UDP_CHECKSUM, UDP_HEADER_LENGTH, udpChecksum } from '../../wire/udp.ts'
import { VXLAN_HEADER_LENGTH } from '../../wire/vxlan.ts'

const headers = new PacketView()

/** FramePool.gsoType of UDP datagrams, without ECN. */
const UDP_SEGMENTS = 5
const GSO_ECN = 0x80

/**
 * What is where in the super-frame that was measured last; offsets from its first byte. Outer ones: ABSENT without a tunnel. `size`:
 * payload bytes of a segment; 0: its headers are not those of a super-frame.
 */
const layout = { outerIpAt: ABSENT, outerUdpAt: ABSENT, ipAt: 0, isTcp: false, transportAt: 0, payloadAt: 0, size: 0 }

/** Segments of the frame; 1 for a plain frame and for one whose headers are not those of a super-frame. */
export function segmentsOf(frames: FramePool, frame: FrameHandle): number {
  return (frames.flags[frame] & FrameFlag.gso) === 0 ? 1 : measure(frames, frame)
}

/** Bytes of headers of a super-frame of several segments; what each of its segments begins with. */
export function headersOf(frames: FramePool, frame: FrameHandle): number {
  return measure(frames, frame) > 1 ? layout.payloadAt : 0
}

/** Number of segments, with `layout` of them. */
function measure(frames: FramePool, frame: FrameHandle): number {
  layout.size = 0
  const partial = FrameFlag.gso | FrameFlag.csum
  if ((frames.flags[frame] & partial) !== partial) return 1
  const start = frames.start[frame]
  const end = start + frames.length[frame]
  const type = frames.gsoType[frame]
  const inner = (type & GsoTunnel.any) === 0 ? start : measureTunnel(frames, frame)
  if (inner === ABSENT || !headers.readFrame(frames.bytes(frame), inner, end)) return 1
  const { bytes, networkAt: ipAt } = headers
  const transportAt = start + frames.csumStart[frame]
  const isTcp = (type & ~(GSO_ECN | GsoTunnel.any)) !== UDP_SEGMENTS
  if (transportAt <= ipAt || (isTcp ? !checkTcp(bytes, transportAt, end) : transportAt + UDP_HEADER_LENGTH > end)) return 1
  const payloadAt = transportAt + (isTcp ? tcpHeaderLength(bytes, transportAt) : UDP_HEADER_LENGTH)
  const size = frames.gsoSize[frame]
  if (size === 0 || payloadAt >= end) return 1
  if (inner === start) layout.outerIpAt = layout.outerUdpAt = ABSENT
  layout.ipAt = ipAt - start
  layout.isTcp = isTcp
  layout.transportAt = transportAt - start
  layout.payloadAt = payloadAt - start
  layout.size = size
  return Math.ceil((end - payloadAt) / size)
}

/** Where the inner frame of a tunnelled one begins in its chunk; ABSENT when there is none. */
function measureTunnel(frames: FramePool, frame: FrameHandle): number {
  const start = frames.start[frame]
  const end = start + frames.length[frame]
  if (!headers.readFrame(frames.bytes(frame), start, end) || headers.protocol !== IpProtocol.udp || !headers.hasTransport) return ABSENT
  const inner = headers.transportAt + UDP_HEADER_LENGTH + VXLAN_HEADER_LENGTH
  if (inner + ETHERNET_HEADER_LENGTH > end) return ABSENT
  layout.outerIpAt = headers.networkAt - start
  layout.outerUdpAt = headers.transportAt - start
  return inner
}

/** Segments `first` to `first + count - 1` as a new frame; the super-frame stays the caller's. NO_FRAME when the pool is exhausted. */
export function cutSuperFrame(frames: FramePool, frame: FrameHandle, first: number, count: number): FrameHandle {
  const segments = measure(frames, frame)
  const { payloadAt, size } = layout
  if (size === 0) return frames.copy(frame)
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
  frames.flags[cut] &= ~FrameFlag.captured // these headers are in no capture
  if (length <= size) frames.flags[cut] &= ~FrameFlag.gso
  writeHeaders(frames, cut, frames.length[frame] - layout.transportAt, first, first + count >= segments)
  return cut
}

/** `wholeLength`: bytes of the transport header and payload of the super-frame. */
function writeHeaders(frames: FramePool, cut: FrameHandle, wholeLength: number, first: number, isLast: boolean): void {
  const { outerIpAt, ipAt, transportAt, isTcp, size } = layout
  const bytes = frames.bytes(cut)
  const start = frames.start[cut]
  const end = start + frames.length[cut]
  const at = start + transportAt
  setSegmentIp(bytes, start + ipAt, end, first)
  setSegmentTransport(bytes, at, end, isTcp, first * size, isLast)
  const view = frames.view(cut)
  const field = at + (isTcp ? TCP_CHECKSUM : UDP_CHECKSUM)
  const partial = updatePartial32(view.getUint16(field), wholeLength, end - at)
  view.setUint16(field, partial)
  if (outerIpAt !== ABSENT) writeOuter(frames, cut, first, wholeLength + at - end, partial)
}

/**
 * The headers around a tunnel.
 * @param less bytes that the super-frame is longer
 * @param partial what the inner checksum's field holds
 */
function writeOuter(frames: FramePool, cut: FrameHandle, first: number, less: number, partial: number): void {
  const bytes = frames.bytes(cut)
  const view = frames.view(cut)
  const start = frames.start[cut]
  const end = start + frames.length[cut]
  const ip = start + layout.outerIpAt
  const udp = start + layout.outerUdpAt
  setSegmentIp(bytes, ip, end, first)
  setUdpLength(bytes, udp, end - udp)
  const before = udpChecksum(bytes, udp)
  if (before === 0) return
  if ((frames.flags[cut] & FrameFlag.gso) !== 0)
    return view.setUint16(udp + UDP_CHECKSUM, updatePartial32(before, end - udp + less, end - udp))
  view.setUint16(udp + UDP_CHECKSUM, 0)
  const pseudo = pseudoHeaderSum(bytes, ip, IpProtocol.udp, end - udp)
  const inner = start + layout.transportAt
  const sum = fold(onesComplementSumView(view, udp, inner - udp, pseudo) + (~partial & 0xffff))
  view.setUint16(udp + UDP_CHECKSUM, nonZeroChecksum(checksumOf(sum)))
}
