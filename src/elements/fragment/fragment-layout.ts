/**
 * Where the parts of one fragment are.
 *
 *   | Ethernet 14 | IP header | payload: bytes [from, to) of the datagram | padding |
 *                 ^ ipAt      ^ payloadAt
 *
 * Of IPv6 everything up to the end of the fragment header is "IP header" here.
 */
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import {
  ipv4DontFragment,
  ipv4End,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Id,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Tos,
  ipv4TotalLength
} from '../../wire/ipv4.ts'
import {
  checkIpv6,
  IPV6_FRAGMENT_HEADER_LENGTH,
  IPV6_WALK_FRAGMENT,
  IPV6_WALK_LENGTH,
  ipv6End,
  ipv6FragmentId,
  ipv6FragmentOffset,
  ipv6MoreFragments,
  ipv6TrafficClass,
  walkIpv6Extensions
} from '../../wire/ipv6.ts'

const walk = new Int32Array(IPV6_WALK_LENGTH)

/** The fields of the fragment that was read last. */
export class FragmentLayout {
  family: 4 | 6 = 4
  ipAt = 0
  payloadAt = 0
  /** Bytes of the headers before the payload. */
  headerLength = 0
  /** Place of the payload in the datagram, bytes. */
  from = 0
  to = 0
  isLast = false
  /** What names the datagram beside its addresses; IPv4: identification and protocol (RFC 791), IPv6: identification (RFC 8200 4.5). */
  id = 0
  /** IPv4's DF; in IPv6, where nobody fragments on the way, nothing says it. */
  dontFragment = false
  /** Bytes of the IP packet. */
  packetLength = 0
  /** The last two bits of the traffic class, RFC 3168. */
  ecn = 0

  /**
   * Reads the frame in [start, end), an IPv4 packet for which `checkIpv4` held, or an IPv6 packet with a fragment header. False when
   * the latter is not so, or its extension headers are broken.
   */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    const ipAt = start + ETHERNET_HEADER_LENGTH
    this.ipAt = ipAt
    if (bytes[ipAt] >> 4 === 6) return this.readIpv6(bytes, ipAt, end)
    this.readIpv4(bytes, ipAt)
    return true
  }

  private readIpv4(bytes: Uint8Array, ipAt: number): void {
    this.family = 4
    this.headerLength = ipv4HeaderLength(bytes, ipAt)
    this.payloadAt = ipAt + this.headerLength
    this.from = ipv4FragmentOffset(bytes, ipAt)
    this.to = this.from + ipv4End(bytes, ipAt) - this.payloadAt
    this.id = (ipv4Id(bytes, ipAt) << 8) | ipv4Protocol(bytes, ipAt)
    this.isLast = !ipv4MoreFragments(bytes, ipAt)
    this.dontFragment = ipv4DontFragment(bytes, ipAt)
    this.packetLength = ipv4TotalLength(bytes, ipAt)
    this.ecn = ipv4Tos(bytes, ipAt) & 3
  }
  private readIpv6(bytes: Uint8Array, ipAt: number, end: number): boolean {
    if (!checkIpv6(bytes, ipAt, end) || !walkIpv6Extensions(bytes, ipAt, ipv6End(bytes, ipAt), walk)) return false
    const fragmentAt = walk[IPV6_WALK_FRAGMENT]
    if (fragmentAt < 0) return false
    this.family = 6
    this.payloadAt = fragmentAt + IPV6_FRAGMENT_HEADER_LENGTH
    this.headerLength = this.payloadAt - ipAt
    this.from = ipv6FragmentOffset(bytes, fragmentAt)
    this.to = this.from + ipv6End(bytes, ipAt) - this.payloadAt
    this.id = ipv6FragmentId(bytes, fragmentAt)
    this.isLast = !ipv6MoreFragments(bytes, fragmentAt)
    this.dontFragment = false
    this.packetLength = ipv6End(bytes, ipAt) - ipAt
    this.ecn = ipv6TrafficClass(bytes, ipAt) & 3
    return true
  }
}
