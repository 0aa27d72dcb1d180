/**
 * Offload fields for a super-frame that was captured: the bytes of a capture do not say how it was to be cut.
 *
 * TCP only: a sender cuts it at what the MTU leaves for data, while the length of a UDP segment is the program's choice, of which
 * nothing is left in the bytes.
 */
import { FrameFlag, type FrameHandle, type FramePool, GsoTunnel } from '../engine/frame-pool.ts'
import { put16 } from '../wire/big-endian.ts'
import { pseudoHeaderSum } from '../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH } from '../wire/ethernet.ts'
import { IpProtocol } from '../wire/ipv4.ts'
import { PacketView } from '../wire/packet-view.ts'
import { checkTcp, TCP_CHECKSUM, TcpFlag, tcpFlags, tcpHeaderLength } from '../wire/tcp.ts'
import { UDP_HEADER_LENGTH } from '../wire/udp.ts'
import { VXLAN_HEADER_LENGTH } from '../wire/vxlan.ts'
import { GSO_ECN, GsoType } from './segment.ts'

const packet = new PacketView()

/**
 * Marks a TCP packet that is longer than `mtu` as a super-frame with a partial checksum, as the sender's kernel had given it to its
 * interface. False, with nothing changed, for any other frame.
 * @param mtu of the frame's link, bytes
 * @param vxlanPort UDP port of VXLAN: the packet is the one inside, and longer than what outer headers leave of `mtu`. 0: no tunnel
 */
export function restoreSuperFrame(pool: FramePool, frame: FrameHandle, mtu: number, vxlanPort = 0): boolean {
  if (vxlanPort === 0) return restore(pool, frame, 0, mtu, 0)
  const start = pool.start[frame]
  const end = start + pool.length[frame]
  if (!packet.readFrame(pool.bytes(frame), start, end) || packet.protocol !== IpProtocol.udp || packet.isFragment) return false
  if (packet.destinationPort !== vxlanPort) return false
  const inner = packet.transportAt + UDP_HEADER_LENGTH + VXLAN_HEADER_LENGTH
  const left = mtu - (inner + ETHERNET_HEADER_LENGTH - packet.networkAt)
  return inner < end && restore(pool, frame, inner - start, left, packet.family === 4 ? GsoTunnel.ipv4 : GsoTunnel.ipv6)
}

/** Of the Ethernet frame that begins `inner` bytes into this one. */
function restore(pool: FramePool, frame: FrameHandle, inner: number, mtu: number, tunnel: number): boolean {
  const start = pool.start[frame]
  const frameEnd = start + pool.length[frame]
  if (!packet.readFrame(pool.bytes(frame), start + inner, frameEnd) || packet.protocol !== IpProtocol.tcp || packet.isFragment) return false
  const { bytes, networkAt: at, transportAt: tcp, end } = packet
  // Padding would become data.
  if (end !== frameEnd || end - at <= mtu || !checkTcp(bytes, tcp, end)) return false
  const data = tcp + tcpHeaderLength(bytes, tcp)
  const size = mtu - (data - at)
  if (size < 1 || end - data <= size) return false
  put16(bytes, tcp + TCP_CHECKSUM, pseudoHeaderSum(bytes, at, IpProtocol.tcp, end - tcp))
  pool.flags[frame] |= FrameFlag.gso | FrameFlag.csum
  const ecn = (tcpFlags(bytes, tcp) & TcpFlag.cwr) === 0 ? 0 : GSO_ECN
  pool.gsoType[frame] = (packet.family === 4 ? GsoType.tcp4 : GsoType.tcp6) | ecn | tunnel
  pool.gsoSize[frame] = size
  pool.hdrLen[frame] = data - start
  pool.csumStart[frame] = tcp - start
  pool.csumOffset[frame] = TCP_CHECKSUM
  return true
}
