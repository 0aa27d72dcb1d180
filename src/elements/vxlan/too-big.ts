/**
 * Tells the sender of an inner packet that it does not fit the way to a remote VTEP: ICMP "fragmentation needed" (RFC 1191) or
 * ICMPv6 "packet too big" (RFC 4443 3.2). It comes from the address that was spoken to, as Linux's tunnels send it
 * (iptunnel_pmtud_build_icmp): the VTEP has no address in the segment.
 */
import { type FrameHandle, type FramePool, NO_FRAME } from '../../engine/frame-pool.ts'
import { isIpv4Multicast } from '../../wire/address.ts'
import { get16, get32, put16, put32 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, isGroup, macHi, macLo, setMac } from '../../wire/ethernet.ts'
import { fillIcmpChecksum, ICMP_HEADER_LENGTH, IcmpType, IcmpUnreachable, icmpIsError } from '../../wire/icmp.ts'
import { fillIcmpv6Checksum, Icmpv6Type } from '../../wire/icmpv6.ts'
import {
  checkIpv4,
  fillIpv4Checksum,
  IPV4_DESTINATION,
  IPV4_HEADER_LENGTH,
  IPV4_SOURCE,
  IpProtocol,
  ipv4FragmentOffset,
  ipv4Payload,
  ipv4Protocol,
  ipv4TotalLength
} from '../../wire/ipv4.ts'
import { checkIpv6, IPV6_DESTINATION, IPV6_HEADER_LENGTH, IPV6_SOURCE, ipv6End, ipv6NextHeader, setIpv6Address } from '../../wire/ipv6.ts'

/** RFC 1812 4.3.2.3 and RFC 4443 3.2: as much of the packet as keeps the error within this. */
const ERROR_MAX = { 4: 576, 6: 1280 } as const
const TTL = 64
/** Internetwork control, RFC 1812 4.3.2.5. */
const TOS = 0xc0

/**
 * The error for the packet of a frame, as a new frame back to the sender; NO_FRAME when there is none to be sent: it is no IP packet,
 * is for a group, a later fragment, an error itself, or the pool is exhausted. The frame stays the caller's.
 * @param mtu what would have fitted, bytes of the inner packet
 */
export function tooBigError(frames: FramePool, frame: FrameHandle, mtu: number): FrameHandle {
  const bytes = frames.bytes(frame)
  const start = frames.start[frame]
  const end = start + frames.length[frame]
  const ip = start + ETHERNET_HEADER_LENGTH
  if (isGroup(bytes, start)) return NO_FRAME
  const type = get16(bytes, ip - 2)
  if (type === EtherType.ipv4 && checkIpv4(bytes, ip, end)) return ipv4Error(frames, bytes, ip, mtu)
  if (type === EtherType.ipv6 && checkIpv6(bytes, ip, end)) return ipv6Error(frames, bytes, ip, mtu)
  return NO_FRAME
}

function ipv4Error(frames: FramePool, bytes: Uint8Array, ip: number, mtu: number): FrameHandle {
  const source = get32(bytes, ip + IPV4_SOURCE)
  if (source === 0 || source === -1 || isIpv4Multicast(source) || ipv4FragmentOffset(bytes, ip) !== 0) return NO_FRAME
  if (ipv4Protocol(bytes, ip) === IpProtocol.icmp && icmpIsError(bytes, ipv4Payload(bytes, ip))) return NO_FRAME
  const quoted = Math.min(ipv4TotalLength(bytes, ip), ERROR_MAX[4] - IPV4_HEADER_LENGTH - ICMP_HEADER_LENGTH)
  const error = begin(frames, bytes, ip, IPV4_HEADER_LENGTH + ICMP_HEADER_LENGTH + quoted, EtherType.ipv4)
  if (error === NO_FRAME) return NO_FRAME
  const into = frames.bytes(error)
  const at = frames.start[error] + ETHERNET_HEADER_LENGTH
  put16(into, at, 0x4500 | TOS)
  put16(into, at + 2, IPV4_HEADER_LENGTH + ICMP_HEADER_LENGTH + quoted)
  put32(into, at + 4, 0)
  put16(into, at + 8, (TTL << 8) | IpProtocol.icmp)
  put32(into, at + IPV4_SOURCE, get32(bytes, ip + IPV4_DESTINATION))
  put32(into, at + IPV4_DESTINATION, source)
  fillIpv4Checksum(into, at)
  const icmp = at + IPV4_HEADER_LENGTH
  put16(into, icmp, (IcmpType.unreachable << 8) | IcmpUnreachable.fragmentationNeeded)
  put32(into, icmp + 4, mtu)
  into.set(bytes.subarray(ip, ip + quoted), icmp + ICMP_HEADER_LENGTH)
  fillIcmpChecksum(into, icmp, icmp + ICMP_HEADER_LENGTH + quoted)
  return error
}

function ipv6Error(frames: FramePool, bytes: Uint8Array, ip: number, mtu: number): FrameHandle {
  const isNobody = bytes[ip + IPV6_SOURCE] === 0xff || [0, 4, 8, 12].every((word) => get32(bytes, ip + IPV6_SOURCE + word) === 0)
  const isError = ipv6NextHeader(bytes, ip) === IpProtocol.icmpv6 && bytes[ip + IPV6_HEADER_LENGTH] < Icmpv6Type.echoRequest
  if (isNobody || isError) return NO_FRAME
  const quoted = Math.min(ipv6End(bytes, ip) - ip, ERROR_MAX[6] - IPV6_HEADER_LENGTH - ICMP_HEADER_LENGTH)
  const error = begin(frames, bytes, ip, IPV6_HEADER_LENGTH + ICMP_HEADER_LENGTH + quoted, EtherType.ipv6)
  if (error === NO_FRAME) return NO_FRAME
  const into = frames.bytes(error)
  const at = frames.start[error] + ETHERNET_HEADER_LENGTH
  put32(into, at, 0x60000000)
  put16(into, at + 4, ICMP_HEADER_LENGTH + quoted)
  put16(into, at + 6, (IpProtocol.icmpv6 << 8) | TTL)
  setIpv6Address(into, at + IPV6_SOURCE, bytes, ip + IPV6_DESTINATION)
  setIpv6Address(into, at + IPV6_DESTINATION, bytes, ip + IPV6_SOURCE)
  const icmp = at + IPV6_HEADER_LENGTH
  put16(into, icmp, Icmpv6Type.packetTooBig << 8)
  put16(into, icmp + 2, 0)
  put32(into, icmp + 4, mtu)
  into.set(bytes.subarray(ip, ip + quoted), icmp + ICMP_HEADER_LENGTH)
  fillIcmpv6Checksum(into, icmp, icmp + ICMP_HEADER_LENGTH + quoted, at)
  return error
}

/** A frame of Ethernet and `length` bytes, back to where the packet at `ip` came from. */
function begin(frames: FramePool, bytes: Uint8Array, ip: number, length: number, type: number): FrameHandle {
  const error = frames.allocate(ETHERNET_HEADER_LENGTH + length)
  if (error === NO_FRAME) return NO_FRAME
  const into = frames.bytes(error)
  const at = frames.start[error]
  const from = ip - ETHERNET_HEADER_LENGTH
  setMac(into, at, macHi(bytes, from + 6), macLo(bytes, from + 6))
  setMac(into, at + 6, macHi(bytes, from), macLo(bytes, from))
  put16(into, at + 12, type)
  return error
}
