/**
 * What the headers of a packet cut out of a super-frame say otherwise than the super-frame's own, which were copied before it
 * (Linux inet_gso_segment, ipv6_gso_segment, tcp_gso_segment, __udp_gso_segment):
 *
 *   IPv4   total length, identification plus 1 each, header checksum       TCP   sequence; PSH and FIN on the last only,
 *   IPv6   payload length                                                         CWR on the first only (RFC 3168 6.1.2)
 *                                                                          UDP   length
 *
 * Transport checksums are the caller's: one computes them, the next leaves them partial for a device.
 */
import { put16 } from './big-endian.ts'
import { fillIpv4Checksum, IPV4_ID, IPV4_TOTAL_LENGTH, ipv4Id } from './ipv4.ts'
import { IPV6_HEADER_LENGTH, setIpv6PayloadLength } from './ipv6.ts'
import { setTcpFlags, setTcpSequence, TcpFlag, tcpFlags, tcpSequence } from './tcp.ts'
import { setUdpLength } from './udp.ts'

/**
 * The IP header at `ipAt` of a packet that ends at `end`; its version field tells the family.
 * @param index number of the packet's first segment in the super-frame, from 0
 */
export function setSegmentIp(bytes: Uint8Array, ipAt: number, end: number, index: number): void {
  if (bytes[ipAt] >> 4 !== 4) return setIpv6PayloadLength(bytes, ipAt, end - ipAt - IPV6_HEADER_LENGTH)
  put16(bytes, ipAt + IPV4_TOTAL_LENGTH, end - ipAt)
  put16(bytes, ipAt + IPV4_ID, ipv4Id(bytes, ipAt) + index)
  fillIpv4Checksum(bytes, ipAt)
}

/**
 * The TCP or UDP header at `at` of a packet that ends at `end`.
 * @param done bytes of the super-frame's payload before the packet's
 * @param isLast the packet holds the last of them
 */
export function setSegmentTransport(bytes: Uint8Array, at: number, end: number, isTcp: boolean, done: number, isLast: boolean): void {
  if (!isTcp) return setUdpLength(bytes, at, end - at)
  let flags = tcpFlags(bytes, at)
  if (!isLast) flags &= ~(TcpFlag.psh | TcpFlag.fin)
  if (done > 0) flags &= ~TcpFlag.cwr
  setTcpFlags(bytes, at, flags)
  setTcpSequence(bytes, at, (tcpSequence(bytes, at) + done) | 0)
}
