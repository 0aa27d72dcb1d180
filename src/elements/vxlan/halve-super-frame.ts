/**
 * One super-frame to two, for one that has no room for outer headers within 65,535 bytes.
 *
 *   | headers | segment 1 ... segment n |   ->   | headers' | segment 1 ... k |   | headers' | segment k+1 ... n |
 *
 * Headers change as `wire/segment-headers` says. Checksums stay partial; the pseudo-header's length in them is adjusted.
 */
import { FrameFlag, type FrameHandle, type FramePool, NO_FRAME } from '../../engine/frame-pool.ts'
import { get16, put16 } from '../../wire/big-endian.ts'
import { fold, updatePartial16 } from '../../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, etherType } from '../../wire/ethernet.ts'
import { IPV4_HEADER_LENGTH } from '../../wire/ipv4.ts'
import { IPV6_HEADER_LENGTH } from '../../wire/ipv6.ts'
import { setSegmentIp, setSegmentTransport } from '../../wire/segment-headers.ts'
import { tcpHeaderLength } from '../../wire/tcp.ts'
import { UDP_HEADER_LENGTH } from '../../wire/udp.ts'

const UDP_L4 = 5
const GSO_KIND = 0x1f

/** The rear half as a new frame, and the frame is the front half; NO_FRAME when it cannot be halved, and the frame is as it was. */
export function halveSuperFrame(frames: FramePool, frame: FrameHandle): FrameHandle {
  const bytes = frames.bytes(frame)
  const start = frames.start[frame]
  const transport = frames.csumStart[frame]
  const size = frames.gsoSize[frame]
  const isUdp = (frames.gsoType[frame] & GSO_KIND) === UDP_L4
  const header = transport + (isUdp ? UDP_HEADER_LENGTH : tcpHeaderLength(bytes, start + transport))
  const payload = frames.length[frame] - header
  const segments = Math.ceil(payload / size)
  const isIpv4 = etherType(bytes, start) === EtherType.ipv4
  // Tagged and extended packets have their lengths elsewhere; nobody sends them this long.
  const isPlain = transport === ETHERNET_HEADER_LENGTH + (isIpv4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH)
  if ((frames.flags[frame] & FrameFlag.csum) === 0 || !isPlain || segments < 2) return NO_FRAME
  const front = (segments >> 1) * size
  const rear = frames.allocate(header + payload - front)
  if (rear === NO_FRAME) return NO_FRAME
  const into = frames.bytes(rear)
  const at = frames.start[rear]
  into.set(bytes.subarray(start, start + header), at)
  into.set(bytes.subarray(start + header + front, start + header + payload), at + header)
  frames.copyMetadata(frame, rear)
  frames.length[frame] = header + front
  const before = header + payload - transport
  finishHeaders(frames, frame, before, 0, 0, false)
  finishHeaders(frames, rear, before, segments >> 1, front, true)
  return rear
}

/**
 * @param before bytes from the transport header to the end, as the headers say
 * @param index number of the half's first segment
 * @param done bytes of payload before it
 */
function finishHeaders(frames: FramePool, half: FrameHandle, before: number, index: number, done: number, isLast: boolean): void {
  const bytes = frames.bytes(half)
  const start = frames.start[half]
  const end = start + frames.length[half]
  const transport = start + frames.csumStart[half]
  setSegmentIp(bytes, start + ETHERNET_HEADER_LENGTH, end, index)
  setSegmentTransport(bytes, transport, end, (frames.gsoType[half] & GSO_KIND) !== UDP_L4, done, isLast)
  const field = transport + frames.csumOffset[half]
  put16(bytes, field, updatePartial16(get16(bytes, field), fold(before), end - transport))
}
