/**
 * One super-frame to two, for one that has no room for outer headers within 65,535 bytes.
 *
 *   | headers | segment 1 ... segment n |   ->   | headers' | segment 1 ... k |   | headers' | segment k+1 ... n |
 *
 * What differs is what software segmentation would make differ (Linux tcp_gso_segment): lengths, IPv4 identification, TCP sequence,
 * PSH and FIN on the last, CWR on the first. Checksums stay partial; the pseudo-header's length in them is adjusted.
 */
import { FrameFlag, type FrameHandle, type FramePool, NO_FRAME } from '../../engine/frame-pool.ts'
import { get16, put16 } from '../../wire/big-endian.ts'
import { fold, updatePartial16 } from '../../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, etherType } from '../../wire/ethernet.ts'
import { fillIpv4Checksum, IPV4_HEADER_LENGTH, ipv4Id, setIpv4Id, setIpv4TotalLength } from '../../wire/ipv4.ts'
import { IPV6_HEADER_LENGTH, setIpv6PayloadLength } from '../../wire/ipv6.ts'
import { setTcpFlags, setTcpSequence, TcpFlag, tcpFlags, tcpSequence } from '../../wire/tcp.ts'
import { setUdpLength, UDP_HEADER_LENGTH } from '../../wire/udp.ts'

const UDP_L4 = 5
const GSO_KIND = 0x1f

/** The rear half as a new frame, and the frame is the front half; NO_FRAME when it cannot be halved, and the frame is as it was. */
export function halveSuperFrame(frames: FramePool, frame: FrameHandle): FrameHandle {
  const bytes = frames.bytes(frame)
  const start = frames.start[frame]
  const transport = frames.csumStart[frame]
  const size = frames.gsoSize[frame]
  const isUdp = (frames.gsoType[frame] & GSO_KIND) === UDP_L4
  const header = transport + (isUdp ? UDP_HEADER_LENGTH : (bytes[start + transport + 12] >> 4) << 2)
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
  if (!isUdp) {
    const flags = tcpFlags(bytes, start + transport)
    setTcpFlags(bytes, start + transport, flags & ~(TcpFlag.psh | TcpFlag.fin))
    setTcpFlags(into, at + transport, flags & ~TcpFlag.cwr)
    setTcpSequence(into, at + transport, (tcpSequence(into, at + transport) + front) | 0)
  }
  if (isIpv4) setIpv4Id(into, at + ETHERNET_HEADER_LENGTH, (ipv4Id(into, at + ETHERNET_HEADER_LENGTH) + (segments >> 1)) & 0xffff)
  for (const half of [frame, rear]) finishLengths(frames, half, transport, header + payload - transport, isIpv4, isUdp)
  return rear
}

/** `before`: bytes from the transport header to the end, as the headers say. */
function finishLengths(frames: FramePool, half: FrameHandle, transport: number, before: number, isIpv4: boolean, isUdp: boolean): void {
  const bytes = frames.bytes(half)
  const start = frames.start[half]
  const ip = start + ETHERNET_HEADER_LENGTH
  const length = frames.length[half] - transport
  if (isIpv4) {
    setIpv4TotalLength(bytes, ip, frames.length[half] - ETHERNET_HEADER_LENGTH)
    fillIpv4Checksum(bytes, ip)
  } else setIpv6PayloadLength(bytes, ip, length)
  if (isUdp) setUdpLength(bytes, start + transport, length)
  const field = start + transport + frames.csumOffset[half]
  put16(bytes, field, updatePartial16(get16(bytes, field), fold(before), length))
}
