/**
 * Super-frames as packets, in a capture's file: what the wire would have carried in their place.
 *
 *   | headers | payload 1 ... payload n |   ->   | headers' | payload 1 |  ...  | headers' | payload n |
 *
 * Per packet (Linux tcp_gso_segment, __udp_gso_segment, inet_gso_segment): lengths, IPv4 identification plus 1 each, TCP sequence, PSH and
 * FIN on the last only, CWR on the first only (RFC 3168 6.1.2); in a VXLAN tunnel the outer lengths and identification too. Checksums
 * are computed for packets that were captured whole.
 */
import { GsoTunnel } from '../engine/frame-pool.ts'
import { checksumOf, nonZeroChecksum, onesComplementSum, pseudoHeaderSum } from '../wire/checksum.ts'
import { ETHERNET_TYPE, EtherType } from '../wire/ethernet.ts'
import {
  checkIpv4Quoted,
  fillIpv4Checksum,
  IpProtocol,
  ipv4HeaderLength,
  ipv4Id,
  ipv4Protocol,
  setIpv4Id,
  setIpv4TotalLength
} from '../wire/ipv4.ts'
import { checkIpv6Quoted, IPV6_HEADER_LENGTH, ipv6NextHeader, setIpv6PayloadLength } from '../wire/ipv6.ts'
import { checkTcp, setTcpFlags, setTcpSequence, TCP_CHECKSUM, TcpFlag, tcpFlags, tcpHeaderLength, tcpSequence } from '../wire/tcp.ts'
import { setUdpLength, UDP_CHECKSUM, UDP_HEADER_LENGTH, udpChecksum } from '../wire/udp.ts'
import { checkVlan, VLAN_TAG_LENGTH } from '../wire/vlan.ts'
import { VXLAN_HEADER_LENGTH } from '../wire/vxlan.ts'
import { FrameRecord } from './frame-record.ts'

/** Longest packet that a super-frame can be cut into. */
const PACKET_MAX = 1 << 17

/** Offsets from the frame's first byte; `version` 0: no IP header. */
interface Headers {
  version: number
  ipAt: number
  protocol: number
  transportAt: number
}

export class SuperFrameCutter {
  private readonly packet = new FrameRecord()
  private readonly outer: Headers = { version: 0, ipAt: 0, protocol: 0, transportAt: 0 }
  private readonly inner: Headers = { version: 0, ipAt: 0, protocol: 0, transportAt: 0 }

  constructor() {
    this.packet.bytes = new Uint8Array(PACKET_MAX)
  }

  /** Gives each packet to `visit`, which does not keep it. False, and nothing given, for what is no super-frame or not enough of one. */
  cut(record: FrameRecord, visit: (packet: FrameRecord) => void): boolean {
    const { packet, inner } = this
    const { bytes, at, captured, original, gsoSize } = record
    if (gsoSize === 0 || !this.read(record)) return false
    const payloadAt = inner.transportAt + this.transportLength(bytes, at)
    if (payloadAt > captured) return false
    const { bytes: into } = packet
    Object.assign(packet, record, { bytes: into, at: 0, checksum: 0, gsoType: 0, gsoSize: 0 })
    for (let done = 0, index = 0; payloadAt + done < original; done += gsoSize, index++) {
      const size = Math.min(gsoSize, original - payloadAt - done)
      const there = Math.max(0, Math.min(size, captured - payloadAt - done))
      into.set(bytes.subarray(at, at + payloadAt))
      into.set(bytes.subarray(at + payloadAt + done, at + payloadAt + done + there), payloadAt)
      packet.original = payloadAt + size
      packet.captured = payloadAt + there
      this.finish(done, index, payloadAt + done + size === original)
      visit(packet)
      // Copies that were lost were lost before the first one.
      packet.lost = 0
    }
    return true
  }

  private read({ bytes, at, captured, gsoType }: FrameRecord): boolean {
    const { outer, inner } = this
    const end = at + captured
    outer.version = 0
    let start = 0
    if ((gsoType & GsoTunnel.any) !== 0) {
      readHeaders(outer, bytes, at, 0, end)
      if (outer.version === 0 || outer.protocol !== IpProtocol.udp) return false
      start = outer.transportAt + UDP_HEADER_LENGTH + VXLAN_HEADER_LENGTH
    }
    readHeaders(inner, bytes, at, start, end)
    if (inner.version === 0) return false
    const transport = at + inner.transportAt
    return inner.protocol === IpProtocol.tcp
      ? checkTcp(bytes, transport, end)
      : inner.protocol === IpProtocol.udp && transport + UDP_HEADER_LENGTH <= end
  }

  private transportLength(bytes: Uint8Array, at: number): number {
    return this.inner.protocol === IpProtocol.tcp ? tcpHeaderLength(bytes, at + this.inner.transportAt) : UDP_HEADER_LENGTH
  }

  private finish(done: number, index: number, isLast: boolean): void {
    const { outer, inner, packet } = this
    const { bytes, original, captured } = packet
    const isWhole = captured === original
    finishIp(inner, bytes, original, index)
    const { transportAt: at, protocol } = inner
    if (protocol === IpProtocol.tcp) {
      let flags = tcpFlags(bytes, at)
      if (!isLast) flags &= ~(TcpFlag.psh | TcpFlag.fin)
      if (index > 0) flags &= ~TcpFlag.cwr
      setTcpFlags(bytes, at, flags)
      setTcpSequence(bytes, at, (tcpSequence(bytes, at) + done) | 0)
    } else setUdpLength(bytes, at, original - at)
    if (isWhole) fillChecksum(inner, bytes, at + (protocol === IpProtocol.tcp ? TCP_CHECKSUM : UDP_CHECKSUM), original)
    if (outer.version === 0) return
    finishIp(outer, bytes, original, index)
    setUdpLength(bytes, outer.transportAt, original - outer.transportAt)
    if (isWhole && udpChecksum(bytes, outer.transportAt) !== 0) fillChecksum(outer, bytes, outer.transportAt + UDP_CHECKSUM, original)
  }
}

/** Those of the Ethernet frame at `at + start`, which is captured up to `end`. */
function readHeaders(into: Headers, bytes: Uint8Array, at: number, start: number, end: number): void {
  let typeAt = at + start + ETHERNET_TYPE
  while (checkVlan(bytes, typeAt, end)) typeAt += VLAN_TAG_LENGTH
  const ipAt = typeAt + 2
  into.version = 0
  if (ipAt > end) return
  const type = (bytes[typeAt] << 8) | bytes[typeAt + 1]
  if (type === EtherType.ipv4 && checkIpv4Quoted(bytes, ipAt, end)) {
    Object.assign(into, { version: 4, protocol: ipv4Protocol(bytes, ipAt), transportAt: ipAt - at + ipv4HeaderLength(bytes, ipAt) })
  } else if (type === EtherType.ipv6 && checkIpv6Quoted(bytes, ipAt, end)) {
    Object.assign(into, { version: 6, protocol: ipv6NextHeader(bytes, ipAt), transportAt: ipAt - at + IPV6_HEADER_LENGTH })
  }
  into.ipAt = ipAt - at
}

function finishIp({ version, ipAt }: Headers, bytes: Uint8Array, end: number, index: number): void {
  if (version === 6) return setIpv6PayloadLength(bytes, ipAt, end - ipAt - IPV6_HEADER_LENGTH)
  setIpv4TotalLength(bytes, ipAt, end - ipAt)
  setIpv4Id(bytes, ipAt, (ipv4Id(bytes, ipAt) + index) & 0xffff)
  fillIpv4Checksum(bytes, ipAt)
}

function fillChecksum({ ipAt, transportAt, protocol }: Headers, bytes: Uint8Array, field: number, end: number): void {
  bytes[field] = bytes[field + 1] = 0
  const length = end - transportAt
  const sum = onesComplementSum(bytes, transportAt, length, pseudoHeaderSum(bytes, ipAt, protocol, length))
  const value = nonZeroChecksum(checksumOf(sum))
  bytes[field] = value >>> 8
  bytes[field + 1] = value & 0xff
}
