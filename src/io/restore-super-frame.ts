/**
 * Offload fields for a super-frame that was captured: the bytes of a capture do not say how it was to be cut.
 *
 * TCP only: a sender cuts it at what the MTU leaves for data, while the length of a UDP segment is the program's choice, of which
 * nothing is left in the bytes.
 */
import { FrameFlag, type FrameHandle, type FramePool } from '../engine/frame-pool.ts'
import { put16 } from '../wire/big-endian.ts'
import { pseudoHeaderSum } from '../wire/checksum.ts'
import { IpProtocol, ipv4End, ipv4HasTransportHeader, ipv4HeaderLength, ipv4IsFragment, ipv4Protocol } from '../wire/ipv4.ts'
import { IPV6_HEADER_LENGTH, ipv6End, ipv6NextHeader } from '../wire/ipv6.ts'
import { checkTcp, TCP_CHECKSUM, TcpFlag, tcpFlags, tcpHeaderLength } from '../wire/tcp.ts'
import { GSO_ECN, GsoType, networkHeader } from './segment.ts'

/**
 * Marks a TCP packet that is longer than `mtu` as a super-frame with a partial checksum, as the sender's kernel had given it to its
 * interface. False, with nothing changed, for any other frame.
 */
export function restoreSuperFrame(pool: FramePool, frame: FrameHandle, mtu: number): boolean {
  const bytes = pool.bytes(frame)
  const start = pool.start[frame]
  const { at, version } = networkHeader(bytes, start, pool.length[frame])
  if (version === 0) return false
  const isIpv4 = version === 4
  const end = isIpv4 ? ipv4End(bytes, at) : ipv6End(bytes, at)
  if ((isIpv4 ? ipv4Protocol(bytes, at) : ipv6NextHeader(bytes, at)) !== IpProtocol.tcp) return false
  if (isIpv4 && (ipv4IsFragment(bytes, at) || !ipv4HasTransportHeader(bytes, at))) return false
  const tcp = at + (isIpv4 ? ipv4HeaderLength(bytes, at) : IPV6_HEADER_LENGTH)
  // Padding would become data.
  if (end !== start + pool.length[frame] || end - at <= mtu || !checkTcp(bytes, tcp, end)) return false
  const data = tcp + tcpHeaderLength(bytes, tcp)
  const size = mtu - (data - at)
  if (size < 1 || end - data <= size) return false
  put16(bytes, tcp + TCP_CHECKSUM, pseudoHeaderSum(bytes, at, IpProtocol.tcp, end - tcp))
  pool.flags[frame] |= FrameFlag.gso | FrameFlag.csum
  pool.gsoType[frame] = (isIpv4 ? GsoType.tcp4 : GsoType.tcp6) | ((tcpFlags(bytes, tcp) & TcpFlag.cwr) === 0 ? 0 : GSO_ECN)
  pool.gsoSize[frame] = size
  pool.hdrLen[frame] = data - start
  pool.csumStart[frame] = tcp - start
  pool.csumOffset[frame] = TCP_CHECKSUM
  return true
}
