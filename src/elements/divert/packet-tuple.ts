/**
 * Addresses and ports of a packet, read in place.
 */
import { get16 } from '../../wire/big-endian.ts'
import { ICMP_HEADER_LENGTH, icmpIsError } from '../../wire/icmp.ts'
import { ICMPV6_HEADER_LENGTH, icmpv6IsError } from '../../wire/icmpv6.ts'
import {
  checkIpv4,
  checkIpv4Quoted,
  IPV4_DESTINATION,
  IPV4_SOURCE,
  IpProtocol,
  ipv4End,
  ipv4HasTransportHeader,
  ipv4IsFragment,
  ipv4Payload,
  ipv4Protocol
} from '../../wire/ipv4.ts'
import {
  checkIpv6,
  checkIpv6Quoted,
  IPV6_DESTINATION,
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

const walk = new Int32Array(IPV6_WALK_LENGTH)

/** What was read last. Offsets are those of `bytes`. */
export class PacketTuple {
  family: 4 | 6 = 4
  protocol = 0
  sourceAt = 0
  destinationAt = 0
  /** Of TCP and UDP; -1 otherwise, and where the packet shows none. */
  sourcePort = -1
  destinationPort = -1
  isFragment = false
  /** First byte above IP and its extension headers, and the offset after the last one. */
  transportAt = 0
  end = 0

  /** Reads the IPv4 packet in [at, end). False when it is none. */
  readIpv4(bytes: Uint8Array, at: number, end: number): boolean {
    if (!checkIpv4(bytes, at, end)) return false
    this.setIpv4(bytes, at, ipv4End(bytes, at))
    return true
  }

  /** Reads the IPv6 packet in [at, end). False when it is none, or its extension headers are broken. */
  readIpv6(bytes: Uint8Array, at: number, end: number): boolean {
    return checkIpv6(bytes, at, end) && this.setIpv6(bytes, at, ipv6End(bytes, at))
  }

  /** Reads the packet that an ICMP error quotes, after that error was read. False when it is no error, or quotes nothing of use. */
  readQuoted(bytes: Uint8Array): boolean {
    const { transportAt: at, end } = this
    if (this.family === 4) {
      if (this.protocol !== IpProtocol.icmp || at + ICMP_HEADER_LENGTH > end || !icmpIsError(bytes, at)) return false
      if (!checkIpv4Quoted(bytes, at + ICMP_HEADER_LENGTH, end)) return false
      this.setIpv4(bytes, at + ICMP_HEADER_LENGTH, end)
      return true
    }
    if (this.protocol !== IpProtocol.icmpv6 || at + ICMPV6_HEADER_LENGTH > end || !icmpv6IsError(bytes, at)) return false
    const quoted = at + ICMPV6_HEADER_LENGTH
    return checkIpv6Quoted(bytes, quoted, end) && this.setIpv6(bytes, quoted, end)
  }

  private setIpv4(bytes: Uint8Array, at: number, end: number): void {
    this.family = 4
    this.protocol = ipv4Protocol(bytes, at)
    this.sourceAt = at + IPV4_SOURCE
    this.destinationAt = at + IPV4_DESTINATION
    this.isFragment = ipv4IsFragment(bytes, at)
    this.setPorts(bytes, ipv4Payload(bytes, at), end, ipv4HasTransportHeader(bytes, at))
  }

  private setIpv6(bytes: Uint8Array, at: number, end: number): boolean {
    if (!walkIpv6Extensions(bytes, at, end, walk)) return false
    this.family = 6
    this.protocol = walk[IPV6_WALK_PROTOCOL]
    this.sourceAt = at + IPV6_SOURCE
    this.destinationAt = at + IPV6_DESTINATION
    const fragment = walk[IPV6_WALK_FRAGMENT]
    // A fragment header alone makes none: RFC 6946.
    this.isFragment = fragment >= 0 && (ipv6MoreFragments(bytes, fragment) || ipv6FragmentOffset(bytes, fragment) > 0)
    this.setPorts(bytes, walk[IPV6_WALK_OFFSET], end, !this.isFragment)
    return true
  }

  private setPorts(bytes: Uint8Array, at: number, end: number, hasHeader: boolean): void {
    this.transportAt = at
    this.end = end
    const isShown = hasHeader && (this.protocol === IpProtocol.tcp || this.protocol === IpProtocol.udp) && at + 4 <= end
    this.sourcePort = isShown ? get16(bytes, at) : -1
    this.destinationPort = isShown ? get16(bytes, at + 2) : -1
  }
}
