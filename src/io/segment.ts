/**
 * Software segmentation: what a device without TCP or UDP offload does to a super-frame at its edge.
 *
 *   | headers | payload 1 ... payload n |   ->   | headers' | payload 1 |  ...  | headers' | payload n |
 *
 * Per segment (Linux tcp_gso_segment, __udp_gso_segment, inet_gso_segment): IPv4 total length and identification (plus 1
 * each), IPv6 payload length, TCP sequence, PSH and FIN only on the last, CWR only on the first (RFC 3168 6.1.2), UDP
 * length, and all checksums; in a VXLAN tunnel the outer lengths, identification and checksums too. One super-frame at a time:
 * `begin`, then `next` until it answers NO_FRAME.
 */
import { FrameFlag, type FrameHandle, type FramePool, GsoTunnel, NO_FRAME } from '../engine/frame-pool.ts'
import { checksumOf, fold, nonZeroChecksum, onesComplementSumView, pseudoHeaderSum } from '../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_TYPE, EtherType } from '../wire/ethernet.ts'
import {
  checkIpv4,
  fillIpv4Checksum,
  IpProtocol,
  ipv4HeaderLength,
  ipv4Id,
  ipv4Protocol,
  setIpv4Id,
  setIpv4TotalLength
} from '../wire/ipv4.ts'
import { checkIpv6, IPV6_HEADER_LENGTH, ipv6NextHeader, setIpv6PayloadLength } from '../wire/ipv6.ts'
import { checkTcp, setTcpFlags, setTcpSequence, TCP_CHECKSUM, TcpFlag, tcpFlags, tcpHeaderLength, tcpSequence } from '../wire/tcp.ts'
import { checkUdp, setUdpLength, UDP_CHECKSUM, UDP_HEADER_LENGTH, udpChecksum } from '../wire/udp.ts'
import { checkVlan, VLAN_TAG_LENGTH } from '../wire/vlan.ts'
import { VXLAN_HEADER_LENGTH } from '../wire/vxlan.ts'
import { Offload } from './frame-device.ts'

/** Values of FramePool.gsoType without ECN. */
export const GsoType = { tcp4: 1, udpFragments: 3, tcp6: 4, udpSegments: 5 } as const
export const GSO_ECN = 0x80

/** A super-frame of tiny segments would flood the pool: Linux cuts no finer than this in practice (TCP_MIN_GSO_SIZE, 48 with options). */
const MIN_SEGMENT = 8

/** The Offload bits that a device must have to take the frame as it is; 0 for a finished frame. */
export function offloadNeeds(pool: FramePool, frame: FrameHandle): number {
  const flags = pool.flags[frame]
  const csum = (flags & FrameFlag.csum) !== 0 ? Offload.csum : 0
  if ((flags & FrameFlag.gso) === 0) return csum
  const type = pool.gsoType[frame]
  const ecn = (type & GSO_ECN) !== 0 ? Offload.ecn : 0
  const inner = (type & GsoTunnel.any) === 0 ? 0 : tunnelled(pool, frame)
  if (inner < 0) return UNKNOWN_OFFLOAD
  const tunnel = inner === 0 ? 0 : hasOuterChecksum(pool, frame, inner) ? Offload.tunnel | Offload.tunnelCsum : Offload.tunnel
  switch (type & ~(GSO_ECN | GsoTunnel.any)) {
    case GsoType.tcp4:
      return csum | ecn | tunnel | Offload.tso4
    case GsoType.tcp6:
      return csum | ecn | tunnel | Offload.tso6
    case GsoType.udpSegments: {
      const { version } = networkHeader(pool.bytes(frame), pool.start[frame] + inner, pool.length[frame] - inner)
      return csum | tunnel | (version === 4 ? Offload.uso4 : Offload.uso6)
    }
    default:
      return UNKNOWN_OFFLOAD
  }
}

/** Bytes before the inner frame of a tunnelled super-frame (VXLAN); -1 when there is no such. */
function tunnelled(pool: FramePool, frame: FrameHandle): number {
  const bytes = pool.bytes(frame)
  const start = pool.start[frame]
  const end = start + pool.length[frame]
  const { at, version } = networkHeader(bytes, start, pool.length[frame])
  if (version === 0 || (version === 4 ? ipv4Protocol(bytes, at) : ipv6NextHeader(bytes, at)) !== IpProtocol.udp) return -1
  const udp = version === 4 ? at + ipv4HeaderLength(bytes, at) : at + IPV6_HEADER_LENGTH
  const inner = udp + UDP_HEADER_LENGTH + VXLAN_HEADER_LENGTH
  return checkUdp(bytes, udp, end) && inner + ETHERNET_HEADER_LENGTH <= end ? inner - start : -1
}

/** `inner`: as `tunnelled` gives it. */
function hasOuterChecksum(pool: FramePool, frame: FrameHandle, inner: number): boolean {
  return udpChecksum(pool.bytes(frame), pool.start[frame] + inner - VXLAN_HEADER_LENGTH - UDP_HEADER_LENGTH) !== 0
}

/** A bit that no device has. */
const UNKNOWN_OFFLOAD = 0x40000000

const found = { at: 0, version: 0 }

/** Offset in `bytes` and version of the IP header behind Ethernet and tags; version 0 when there is none. The result is overwritten by the next call. */
export function networkHeader(bytes: Uint8Array, start: number, length: number): Readonly<typeof found> {
  const end = start + length
  let typeAt = start + ETHERNET_TYPE
  while (checkVlan(bytes, typeAt, end)) typeAt += VLAN_TAG_LENGTH
  found.at = typeAt + 2
  found.version = 0
  if (found.at > end) return found
  const type = (bytes[typeAt] << 8) | bytes[typeAt + 1]
  if (type === EtherType.ipv4 && checkIpv4(bytes, found.at, end)) found.version = 4
  else if (type === EtherType.ipv6 && checkIpv6(bytes, found.at, end)) found.version = 6
  return found
}

export class Segmenter {
  private readonly pool: FramePool
  private frame: FrameHandle = NO_FRAME
  private version = 4
  /** Offsets from the frame's first byte. Of the inner frame: 0 where there is no tunnel. */
  private innerAt = 0
  private hasOuterChecksum = false
  private outerVersion = 0
  private outerIpAt = 0
  private ipAt = 0
  private transportAt = 0
  private payloadAt = 0
  private tcp = false
  private size = 0
  private index = 0
  /** Payload bytes not yet cut. */
  private left = 0

  constructor(pool: FramePool) {
    this.pool = pool
  }

  /** Looks at the super-frame's headers; false when they are not those of its gsoType or of no use. The caller goes on owning it. */
  begin(frame: FrameHandle): boolean {
    const { pool } = this
    const bytes = pool.bytes(frame)
    const start = pool.start[frame]
    const end = start + pool.length[frame]
    const inner = (pool.gsoType[frame] & GsoTunnel.any) === 0 ? 0 : tunnelled(pool, frame)
    if (inner < 0) return false
    // Of the outer header: what is read next overwrites it.
    this.outerVersion = found.version
    this.outerIpAt = found.at - start
    const type = pool.gsoType[frame] & ~(GSO_ECN | GsoTunnel.any)
    const { at, version } = networkHeader(bytes, start + inner, pool.length[frame] - inner)
    if (version === 0 || (type === GsoType.tcp4 && version !== 4) || (type === GsoType.tcp6 && version !== 6)) return false
    this.tcp = type !== GsoType.udpSegments
    if (this.tcp && type !== GsoType.tcp4 && type !== GsoType.tcp6) return false
    const transportAt = version === 4 ? at + ipv4HeaderLength(bytes, at) : at + IPV6_HEADER_LENGTH
    // IPv6 extension headers before the transport are possible only where an application asks; then the kernel segments itself.
    if ((version === 4 ? ipv4Protocol(bytes, at) : ipv6NextHeader(bytes, at)) !== (this.tcp ? IpProtocol.tcp : IpProtocol.udp)) return false
    if (this.tcp ? !checkTcp(bytes, transportAt, end) : transportAt + UDP_HEADER_LENGTH > end) return false
    const payloadAt = transportAt + (this.tcp ? tcpHeaderLength(bytes, transportAt) : UDP_HEADER_LENGTH)
    this.size = pool.gsoSize[frame]
    if (this.size < MIN_SEGMENT || payloadAt >= end) return false
    this.frame = frame
    this.innerAt = inner
    this.hasOuterChecksum = inner > 0 && hasOuterChecksum(pool, frame, inner)
    this.version = version
    this.ipAt = at - start
    this.transportAt = transportAt - start
    this.payloadAt = payloadAt - start
    this.left = end - payloadAt
    this.index = 0
    return true
  }

  /** Segments not yet taken. */
  get remaining(): number {
    return Math.ceil(this.left / this.size)
  }

  /** The next segment, finished in every checksum and owned by the caller; NO_FRAME after the last, or when the pool is exhausted (`remaining` tells). */
  next(): FrameHandle {
    if (this.left === 0) return NO_FRAME
    const { pool, payloadAt } = this
    const size = Math.min(this.size, this.left)
    const segment = pool.allocate(payloadAt + size)
    if (segment === NO_FRAME) return NO_FRAME
    const from = pool.start[this.frame]
    const source = pool.bytes(this.frame)
    const bytes = pool.bytes(segment)
    const start = pool.start[segment]
    const done = this.index * this.size
    bytes.set(source.subarray(from, from + payloadAt), start)
    bytes.set(source.subarray(from + payloadAt + done, from + payloadAt + done + size), start + payloadAt)
    pool.copyMetadata(this.frame, segment)
    pool.flags[segment] &= FrameFlag.traced
    this.left -= size
    this.finishHeaders(segment, bytes, start, start + payloadAt + size, done)
    this.index++
    return segment
  }

  private finishHeaders(segment: FrameHandle, bytes: Uint8Array, start: number, end: number, done: number): void {
    const ipAt = start + this.ipAt
    const at = start + this.transportAt
    if (this.version === 4) {
      setIpv4TotalLength(bytes, ipAt, end - ipAt)
      setIpv4Id(bytes, ipAt, (ipv4Id(bytes, ipAt) + this.index) & 0xffff)
      fillIpv4Checksum(bytes, ipAt)
    } else {
      setIpv6PayloadLength(bytes, ipAt, end - ipAt - IPV6_HEADER_LENGTH)
    }
    let field = at + UDP_CHECKSUM
    if (this.tcp) {
      field = at + TCP_CHECKSUM
      let flags = tcpFlags(bytes, at)
      if (this.left > 0) flags &= ~(TcpFlag.psh | TcpFlag.fin)
      if (this.index > 0) flags &= ~TcpFlag.cwr
      setTcpFlags(bytes, at, flags)
      setTcpSequence(bytes, at, (tcpSequence(bytes, at) + done) | 0)
    } else {
      setUdpLength(bytes, at, end - at)
    }
    const view = this.pool.view(segment)
    view.setUint16(field, 0)
    const pseudo = pseudoHeaderSum(bytes, ipAt, this.tcp ? IpProtocol.tcp : IpProtocol.udp, end - at)
    const sum = fold(onesComplementSumView(view, at, end - at, 0) + pseudo)
    view.setUint16(field, nonZeroChecksum(checksumOf(sum)))
    if (this.innerAt > 0) this.finishTunnel(segment, bytes, start, end)
  }

  /** The outer headers of a segment, whose inner ones are finished. */
  private finishTunnel(segment: FrameHandle, bytes: Uint8Array, start: number, end: number): void {
    const udp = start + this.innerAt - VXLAN_HEADER_LENGTH - UDP_HEADER_LENGTH
    const at = start + this.outerIpAt
    setUdpLength(bytes, udp, end - udp)
    if (this.outerVersion === 4) {
      setIpv4TotalLength(bytes, at, end - at)
      setIpv4Id(bytes, at, (ipv4Id(bytes, at) + this.index) & 0xffff)
      fillIpv4Checksum(bytes, at)
    } else setIpv6PayloadLength(bytes, at, end - at - IPV6_HEADER_LENGTH)
    if (!this.hasOuterChecksum) return
    const view = this.pool.view(segment)
    view.setUint16(udp + UDP_CHECKSUM, 0)
    const pseudo = pseudoHeaderSum(bytes, at, IpProtocol.udp, end - udp)
    view.setUint16(udp + UDP_CHECKSUM, nonZeroChecksum(checksumOf(onesComplementSumView(view, udp, end - udp, pseudo))))
  }
}
