/**
 * A received IP packet: where its parts are and what was read of it. One object is used again for every packet.
 */
import { FrameFlag, type FrameHandle, type FramePool, GsoTunnel } from '../../engine/frame-pool.ts'
import { get32 } from '../../wire/big-endian.ts'
import { verifyTransport } from '../../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, etherType } from '../../wire/ethernet.ts'
import {
  checkIpv4,
  IPV4_DESTINATION,
  IPV4_HEADER_LENGTH,
  IPV4_SOURCE,
  IpProtocol,
  ipv4End,
  ipv4HasTransportHeader,
  ipv4HeaderLength,
  ipv4IsFragment,
  ipv4Payload,
  ipv4Protocol,
  verifyIpv4Checksum
} from '../../wire/ipv4.ts'
import {
  checkIpv6,
  IPV6_DESTINATION,
  IPV6_HEADER_LENGTH,
  IPV6_SOURCE,
  IPV6_WALK_FRAGMENT,
  IPV6_WALK_LENGTH,
  IPV6_WALK_OFFSET,
  IPV6_WALK_PROTOCOL,
  ipv6End,
  ipv6FragmentOffset,
  ipv6MoreFragments,
  walkIpv6Extensions
} from '../../wire/ipv6.ts'
import { TCP_HEADER_LENGTH, tcpHeaderLength } from '../../wire/tcp.ts'
import { UDP_HEADER_LENGTH } from '../../wire/udp.ts'
import { RouterDrop } from './router-drop.ts'

/** FramePool.gsoType of UDP datagrams, without ECN. */
const UDP_SEGMENTS = 5
const GSO_ECN = 0x80

/** `read` found nothing wrong. */
export const READ_OK = -1

export class IpPacket {
  frame: FrameHandle = 0
  bytes: Uint8Array = new Uint8Array(0)
  /** Offsets in `bytes`: of the frame, the IP header, the transport header, and after the packet's last byte. */
  at = 0
  ipAt = 0
  transportAt = 0
  end = 0
  family: 4 | 6 = 4
  protocol = 0
  /** One of several fragments. */
  isFragment = false
  /** What stands at `transportAt` is a transport header: not so in later fragments. */
  hasTransport = true
  /** The IPv4 header has options, or the IPv6 header extensions. */
  hasOptions = false
  /** The destination MAC is a group's. */
  isLinkGroup = false
  /** Addresses as words; those of IPv4 in the first. */
  s0 = 0
  s1 = 0
  s2 = 0
  s3 = 0
  d0 = 0
  d1 = 0
  d2 = 0
  d3 = 0
  private readonly walk = new Int32Array(IPV6_WALK_LENGTH)

  /** READ_OK, or the reason for which the frame should be dropped. The frame must hold an Ethernet header. */
  read(frames: FramePool, frame: FrameHandle): number {
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    this.frame = frame
    this.bytes = bytes
    this.at = at
    this.ipAt = at + ETHERNET_HEADER_LENGTH
    this.isLinkGroup = (bytes[at] & 1) !== 0
    const type = etherType(bytes, at)
    if (type === EtherType.ipv4) return this.readIpv4(at + frames.length[frame])
    return type === EtherType.ipv6 ? this.readIpv6(at + frames.length[frame]) : RouterDrop.unknownType
  }

  /** Length of the IP packet, bytes. */
  get length(): number {
    return this.end - this.ipAt
  }

  /** Length of the longest packet that the frame stands for: a segment of a super-frame, a fragment of what was reassembled. */
  longest(frames: FramePool): number {
    const flags = frames.flags[this.frame]
    if ((flags & FrameFlag.reassembled) !== 0) return Math.min(this.length, frames.gsoSize[this.frame])
    if ((flags & FrameFlag.gso) === 0) return this.length
    // Its headers are read here: hdrLen is a hint of the device's (virtio 5.1.6.2).
    const { bytes, ipAt, end } = this
    const type = frames.gsoType[this.frame]
    const isTunnelled = (type & GsoTunnel.any) !== 0
    // In a tunnel the segments are those of the inner packet, whose transport header the checksum fields tell.
    const transportAt = isTunnelled ? this.at + frames.csumStart[this.frame] : this.transportAt
    const isTcp = isTunnelled ? (type & ~(GSO_ECN | GsoTunnel.any)) !== UDP_SEGMENTS : this.protocol === IpProtocol.tcp
    const length = isTcp && transportAt + TCP_HEADER_LENGTH <= end ? tcpHeaderLength(bytes, transportAt) : UDP_HEADER_LENGTH
    return Math.min(this.length, transportAt - ipAt + length + frames.gsoSize[this.frame])
  }

  /** Whether the transport checksum over [transportAt, end) is right, or the device vouches for it. */
  hasGoodChecksum(flags: number): boolean {
    if ((flags & (FrameFlag.csum | FrameFlag.csumValid)) !== 0) return true
    return verifyTransport(this.bytes, this.transportAt, this.end, this.ipAt, this.protocol)
  }

  private readIpv4(frameEnd: number): number {
    const { bytes, ipAt } = this
    if (!checkIpv4(bytes, ipAt, frameEnd)) return RouterDrop.malformed
    if (!verifyIpv4Checksum(bytes, ipAt)) return RouterDrop.badChecksum
    this.family = 4
    this.protocol = ipv4Protocol(bytes, ipAt)
    this.transportAt = ipv4Payload(bytes, ipAt)
    this.end = ipv4End(bytes, ipAt)
    this.isFragment = ipv4IsFragment(bytes, ipAt)
    this.hasTransport = ipv4HasTransportHeader(bytes, ipAt)
    this.hasOptions = ipv4HeaderLength(bytes, ipAt) > IPV4_HEADER_LENGTH
    this.s0 = get32(bytes, ipAt + IPV4_SOURCE)
    this.d0 = get32(bytes, ipAt + IPV4_DESTINATION)
    this.s1 = this.s2 = this.s3 = this.d1 = this.d2 = this.d3 = 0
    return READ_OK
  }

  private readIpv6(frameEnd: number): number {
    const { bytes, ipAt, walk } = this
    if (!checkIpv6(bytes, ipAt, frameEnd)) return RouterDrop.malformed
    this.family = 6
    this.end = ipv6End(bytes, ipAt)
    if (!walkIpv6Extensions(bytes, ipAt, this.end, walk)) return RouterDrop.malformed
    this.protocol = walk[IPV6_WALK_PROTOCOL]
    this.transportAt = walk[IPV6_WALK_OFFSET]
    const fragment = walk[IPV6_WALK_FRAGMENT]
    // A fragment header alone makes no fragment: RFC 6946, and what the Reassembler leaves.
    this.isFragment = fragment >= 0 && (ipv6FragmentOffset(bytes, fragment) > 0 || ipv6MoreFragments(bytes, fragment))
    this.hasTransport = fragment < 0 || ipv6FragmentOffset(bytes, fragment) === 0
    this.hasOptions = this.transportAt > ipAt + IPV6_HEADER_LENGTH
    const source = ipAt + IPV6_SOURCE
    const destination = ipAt + IPV6_DESTINATION
    this.s0 = get32(bytes, source)
    this.s1 = get32(bytes, source + 4)
    this.s2 = get32(bytes, source + 8)
    this.s3 = get32(bytes, source + 12)
    this.d0 = get32(bytes, destination)
    this.d1 = get32(bytes, destination + 4)
    this.d2 = get32(bytes, destination + 8)
    this.d3 = get32(bytes, destination + 12)
    return READ_OK
  }
}
