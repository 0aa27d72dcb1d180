/**
 * One IP packet as the NAT sees it: where its parts are, and the tuple of its flow.
 *
 * An object that is read anew for every packet; nothing is allocated. `read` judges everything that no flow is needed for.
 */
import { FrameFlag } from '../../engine/frame-pool.ts'
import { completeChecksumView, verifyTransport } from '../../wire/checksum.ts'
import { checkIcmp, icmpIsError, verifyIcmpChecksum } from '../../wire/icmp.ts'
import {
  checkIpv4,
  checkIpv4Quoted,
  IPV4_DESTINATION,
  IPV4_SOURCE,
  IpProtocol,
  ipv4End,
  ipv4HasTransportHeader,
  ipv4HeaderLength,
  ipv4IsFragment,
  ipv4MoreFragments,
  ipv4Payload,
  ipv4Protocol,
  verifyIpv4Checksum
} from '../../wire/ipv4.ts'
import {
  checkIpv6,
  checkIpv6Quoted,
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
import { checkTcp } from '../../wire/tcp.ts'
import { checkUdp, UDP_CHECKSUM } from '../../wire/udp.ts'
import type { InternedAddresses } from './interned-addresses.ts'
import { NatDrop } from './nat-drop.ts'
import { icmpAnswerType, readAddress, readPort, Tuple, tupleKind } from './tuple.ts'

/** What a packet is to a flow. */
export const PacketKind = {
  /** TCP and UDP. */
  ports: 0,
  /** ICMP echo and its like. */
  query: 1,
  /** An ICMP error, which quotes a packet of a flow. */
  error: 2,
  /** A protocol without ports that we know. */
  other: 3,
  /** A later fragment: no transport header. */
  fragment: 4,
  /** Neighbor discovery, multicast listeners: a matter between a host and its router. */
  local: 5
} as const

/** `read` found nothing wrong. */
export const READ_OK = -1

const ICMP_REDIRECT = 5
const ICMPV6_ND_FIRST = 130
const ICMPV6_ND_LAST = 137
const ICMPV6_MLD2 = 143
/** Least bytes of a transport header that a quoting error must show: RFC 792. */
const QUOTED_TRANSPORT = 8

export class NatPacket {
  bytes: Uint8Array = new Uint8Array(0)
  /** Offsets in `bytes`: the IP header, the transport header, after the packet's last byte. */
  ip = 0
  transport = 0
  end = 0
  isIpv6 = false
  protocol = 0
  kind: number = PacketKind.other
  /** A fragment (IPv4, or IPv6 first or later). */
  isFragment = false
  /** Offset of the IPv6 fragment header; -1: none. */
  fragmentAt = -1
  /** The IPv4 header has options, or the IPv6 header has extensions. */
  hasOptions = false
  /** The packet's own tuple; not for errors and later fragments. */
  readonly tuple = new Tuple()
  private readonly addresses: InternedAddresses
  private readonly walk = new Int32Array(IPV6_WALK_LENGTH)

  constructor(addresses: InternedAddresses) {
    this.addresses = addresses
  }

  /** Offset of the source address, and of the destination address. */
  get sourceAt(): number {
    return this.ip + (this.isIpv6 ? IPV6_SOURCE : IPV4_SOURCE)
  }

  get destinationAt(): number {
    return this.ip + (this.isIpv6 ? IPV6_DESTINATION : IPV4_DESTINATION)
  }

  /** READ_OK, or the reason to drop. `end`: after the frame's last byte. Fragments are left for reassembly: only `isFragment` is told. */
  read(bytes: Uint8Array, ip: number, end: number, isIpv6: boolean): number {
    this.bytes = bytes
    this.ip = ip
    this.isIpv6 = isIpv6
    this.fragmentAt = -1
    if (isIpv6) {
      if (!checkIpv6(bytes, ip, end)) return NatDrop.malformed
      this.end = ipv6End(bytes, ip)
      const problem = this.walkIpv6(this.end)
      if (problem !== READ_OK) return problem
    } else {
      if (!checkIpv4(bytes, ip, end)) return NatDrop.malformed
      if (!verifyIpv4Checksum(bytes, ip)) return NatDrop.badChecksum
      this.end = ipv4End(bytes, ip)
      this.startIpv4()
    }
    if (!this.isFragment) return this.readTransport(false)
    this.kind = PacketKind.fragment
    return READ_OK
  }

  /**
   * The same for a packet on its way out: it was judged when it came in. It may be one of the fragments that the router has made of it.
   */
  readOutgoing(bytes: Uint8Array, ip: number, end: number, isIpv6: boolean): number {
    this.bytes = bytes
    this.ip = ip
    this.isIpv6 = isIpv6
    this.fragmentAt = -1
    if (isIpv6) {
      if (!checkIpv6(bytes, ip, end)) return NatDrop.malformed
      this.end = ipv6End(bytes, ip)
      const problem = this.walkIpv6(this.end)
      if (problem !== READ_OK) return problem
    } else {
      if (!checkIpv4(bytes, ip, end)) return NatDrop.malformed
      this.end = ipv4End(bytes, ip)
      this.startIpv4()
      if (this.isFragment && !ipv4HasTransportHeader(bytes, ip)) {
        this.kind = PacketKind.fragment
        return READ_OK
      }
    }
    return this.readTransport(this.isFragment)
  }

  /** The packet that an ICMP error quotes in [ip, end). Its tuple is what it had when the error's sender met it. False: unusable. */
  readQuoted(bytes: Uint8Array, ip: number, end: number, isIpv6: boolean): boolean {
    this.bytes = bytes
    this.ip = ip
    this.isIpv6 = isIpv6
    this.fragmentAt = -1
    this.end = end
    if (isIpv6) {
      if (!checkIpv6Quoted(bytes, ip, end) || this.walkIpv6(end) !== READ_OK) return false
      if (this.fragmentAt >= 0 && ipv6FragmentOffset(bytes, this.fragmentAt) > 0) return false
    } else {
      if (!checkIpv4Quoted(bytes, ip, end)) return false
      this.startIpv4()
      if (!ipv4HasTransportHeader(bytes, ip)) return false
    }
    if (this.transport + QUOTED_TRANSPORT > end) return false
    const { protocol, transport } = this
    if (protocol === IpProtocol.tcp || protocol === IpProtocol.udp) {
      this.kind = PacketKind.ports
      this.setTuple(readPort(bytes, transport), readPort(bytes, transport + 2), 0)
      return true
    }
    if (this.isIcmp) {
      const type = bytes[transport]
      this.kind = PacketKind.query
      if (icmpAnswerType(type, isIpv6) < 0) return false
      this.setTuple(readPort(bytes, transport + 4), readPort(bytes, transport + 4), type)
      return true
    }
    this.kind = PacketKind.other
    this.setTuple(0, 0, 0)
    return true
  }

  /** Further fragments of this packet follow. */
  get hasMore(): boolean {
    const { bytes, ip, fragmentAt, isIpv6, isFragment } = this
    if (!isFragment) return false
    return isIpv6 ? ipv6MoreFragments(bytes, fragmentAt) : ipv4MoreFragments(bytes, ip)
  }

  /** ICMP of the packet's own family. */
  get isIcmp(): boolean {
    return this.protocol === (this.isIpv6 ? IpProtocol.icmpv6 : IpProtocol.icmp)
  }

  /** Whether the transport checksum is right, rightly absent, or vouched for by the device. */
  hasGoodChecksum(flags: number): boolean {
    const { bytes, transport, end, ip, protocol, isIpv6 } = this
    if ((flags & (FrameFlag.csum | FrameFlag.csumValid)) !== 0 || this.isFragment) return true
    if (this.kind === PacketKind.other) return true
    if (this.isIcmp) return isIpv6 ? verifyTransport(bytes, transport, end, ip, protocol) : verifyIcmpChecksum(bytes, transport, end)
    if (protocol === IpProtocol.udp && readPort(bytes, transport + UDP_CHECKSUM) === 0) return !isIpv6
    return verifyTransport(bytes, transport, end, ip, protocol)
  }

  /** Finishes the partial checksum of the packet's frame, for what rewrites inside an ICMP message. */
  completeChecksum(view: DataView, frameAt: number, csumStart: number, csumOffset: number): boolean {
    return completeChecksumView(view, frameAt, csumStart, csumOffset, this.end)
  }

  private startIpv4(): void {
    const { bytes, ip } = this
    this.protocol = ipv4Protocol(bytes, ip)
    this.transport = ipv4Payload(bytes, ip)
    this.isFragment = ipv4IsFragment(bytes, ip)
    this.hasOptions = ipv4HeaderLength(bytes, ip) > 20
  }

  private walkIpv6(end: number): number {
    const { bytes, ip, walk } = this
    if (!walkIpv6Extensions(bytes, ip, end, walk)) return NatDrop.malformed
    this.protocol = walk[IPV6_WALK_PROTOCOL]
    this.transport = walk[IPV6_WALK_OFFSET]
    this.fragmentAt = walk[IPV6_WALK_FRAGMENT]
    this.isFragment = this.fragmentAt >= 0 && (ipv6FragmentOffset(bytes, this.fragmentAt) > 0 || ipv6MoreFragments(bytes, this.fragmentAt))
    this.hasOptions = this.transport !== ip + IPV6_HEADER_LENGTH
    return READ_OK
  }

  /** `isCut`: the packet goes on in other fragments. */
  private readTransport(isCut: boolean): number {
    const { bytes, transport, end, protocol, isIpv6, isFragment } = this
    if (isIpv6 && isFragment && ipv6FragmentOffset(bytes, this.fragmentAt) > 0) {
      this.kind = PacketKind.fragment
      return READ_OK
    }
    const isFirst = isCut || isFragment
    if (protocol === IpProtocol.tcp) {
      if (!checkTcp(bytes, transport, end)) return NatDrop.malformed
    } else if (protocol === IpProtocol.udp) {
      if (isFirst ? transport + QUOTED_TRANSPORT > end : !checkUdp(bytes, transport, end)) return NatDrop.malformed
    } else if (this.isIcmp) {
      return this.readIcmp()
    } else {
      // The other family's ICMP is nothing that a host answers.
      if (protocol === IpProtocol.icmp || protocol === IpProtocol.icmpv6) return NatDrop.icmpType
      this.kind = PacketKind.other
      this.setTuple(0, 0, 0)
      return READ_OK
    }
    this.kind = PacketKind.ports
    this.setTuple(readPort(bytes, transport), readPort(bytes, transport + 2), 0)
    return READ_OK
  }

  private readIcmp(): number {
    const { bytes, transport, end, isIpv6 } = this
    if (!checkIcmp(bytes, transport, end)) return NatDrop.malformed
    const type = bytes[transport]
    if (icmpAnswerType(type, isIpv6) >= 0) {
      this.kind = PacketKind.query
      this.setTuple(readPort(bytes, transport + 4), readPort(bytes, transport + 4), type)
      return READ_OK
    }
    if (isIpv6) {
      if ((type >= ICMPV6_ND_FIRST && type <= ICMPV6_ND_LAST) || type === ICMPV6_MLD2) {
        this.kind = PacketKind.local
        return READ_OK
      }
      if (type === 0 || type > 4) return NatDrop.icmpType
    } else {
      if (type === ICMP_REDIRECT) return NatDrop.redirect
      if (!icmpIsError(bytes, transport)) return NatDrop.icmpType
    }
    this.kind = PacketKind.error
    return READ_OK
  }

  private setTuple(sourcePort: number, destinationPort: number, icmpType: number): void {
    const { bytes, isIpv6 } = this
    const source = isIpv6 ? this.addresses.find(bytes, this.sourceAt) : readAddress(bytes, this.sourceAt)
    const destination = isIpv6 ? this.addresses.find(bytes, this.destinationAt) : readAddress(bytes, this.destinationAt)
    this.tuple.set(source, destination, sourcePort, destinationPort, tupleKind(this.protocol, isIpv6, icmpType))
  }
}
