/**
 * The packet that was read last: what it is, and where its headers are. One object is read anew for every packet.
 *
 *   | Ethernet | tags | IP header | extension headers | transport ... | padding |
 *   ^ frameAt         ^ networkAt                     ^ transportAt   ^ end     ^ frameEnd
 *
 * The one reader of packets; README.md has its contract. It is not for inheritance: one shape of object keeps every property access
 * in here monomorphic. Whoever needs more holds one.
 */
import { get16 } from './big-endian.ts'
import { ETHERNET_HEADER_LENGTH, EtherType } from './ethernet.ts'
import { ICMP_HEADER_LENGTH, icmpIsError } from './icmp.ts'
import { icmpv6IsError } from './icmpv6.ts'
import {
  checkIpv4,
  checkIpv4Quoted,
  IPV4_DESTINATION,
  IPV4_HEADER_LENGTH,
  IPV4_SOURCE,
  IpProtocol,
  ipv4End,
  ipv4HasTransportHeader,
  ipv4IsFragment,
  ipv4Payload,
  ipv4Protocol
} from './ipv4.ts'
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
} from './ipv6.ts'
import { skipVlans, VLAN_TAG_LENGTH, vlanId } from './vlan.ts'

/** An offset, a number of what is not there. */
export const ABSENT = -1

const walk = new Int32Array(IPV6_WALK_LENGTH)

export class PacketView {
  /** All offsets are those of these bytes. */
  bytes: Uint8Array = new Uint8Array(0)
  /** The frame's first byte, and after its last; kept from the last frame by `readIpv4` and `readIpv6`. */
  frameAt = 0
  frameEnd = 0
  /** Behind the tags; ABSENT in a frame too short for Ethernet. As the two above, of the last frame. */
  etherType = ABSENT
  /** Id of the outer tag, 0 to 4095; ABSENT without one. As the above. */
  vlan = ABSENT
  /** What follows the Ethernet header and the tags: the IP header, if there is one. ABSENT as `etherType`. */
  networkAt = ABSENT
  /** 0: no IP header that holds together. */
  family: 0 | 4 | 6 = 0
  /** After the IP packet's last byte; without IP after the frame's. */
  end = 0
  /** Behind the extension headers; ABSENT without IP, and where the extension headers are broken. */
  protocol = ABSENT
  /** What follows the IP headers, and may equal `end`; ABSENT as `protocol`. */
  transportAt = ABSENT
  /** The IPv6 fragment header; ABSENT without one. */
  fragmentAt = ABSENT
  /** One of several fragments. An IPv6 fragment header alone makes none (RFC 6946). */
  isFragment = false
  /** At `transportAt` a transport header begins: not so in later fragments. */
  hasTransport = false
  /** Of TCP and UDP, where the packet shows both; else ABSENT. */
  sourcePort = ABSENT
  destinationPort = ABSENT

  /** Reads the Ethernet frame in [at, end), whatever its tags. Returns as `readIpv4`. */
  readFrame(bytes: Uint8Array, at: number, end: number, isCut = false): boolean {
    const networkAt = skipVlans(bytes, at, end)
    this.frameAt = at
    this.frameEnd = end
    this.etherType = this.vlan = ABSENT
    if (networkAt < 0) return this.readNothing(bytes, ABSENT, end)
    const type = get16(bytes, networkAt - 2)
    this.etherType = type
    const tagAt = at + ETHERNET_HEADER_LENGTH - 2
    if (networkAt > tagAt + VLAN_TAG_LENGTH) this.vlan = vlanId(bytes, tagAt)
    if (type === EtherType.ipv4) return this.readIpv4(bytes, networkAt, end, isCut)
    return type === EtherType.ipv6 ? this.readIpv6(bytes, networkAt, end, isCut) : this.readNothing(bytes, networkAt, end)
  }

  /**
   * Reads the IPv4 packet in [at, end), behind which may be padding.
   * @param isCut its end may be missing, as in captures and in what ICMP errors quote: only the header must be there
   * @returns false, and `family` is 0, when there is no such packet
   */
  readIpv4(bytes: Uint8Array, at: number, end: number, isCut = false): boolean {
    if (!(isCut ? checkIpv4Quoted(bytes, at, end) : checkIpv4(bytes, at, end))) return this.readNothing(bytes, at, end)
    const transportAt = ipv4Payload(bytes, at)
    const declared = ipv4End(bytes, at)
    this.bytes = bytes
    this.networkAt = at
    this.family = 4
    this.protocol = ipv4Protocol(bytes, at)
    this.transportAt = transportAt
    // A length that makes no sense says nothing about where the packet was cut.
    this.end = declared > end || declared < transportAt ? end : declared
    this.fragmentAt = ABSENT
    this.isFragment = ipv4IsFragment(bytes, at)
    this.hasTransport = ipv4HasTransportHeader(bytes, at)
    this.readPorts(bytes, transportAt)
    return true
  }

  /** The same of IPv6. False, but `family` 6, when the header is sound and the extension headers are not. */
  readIpv6(bytes: Uint8Array, at: number, end: number, isCut = false): boolean {
    if (!(isCut ? checkIpv6Quoted(bytes, at, end) : checkIpv6(bytes, at, end))) return this.readNothing(bytes, at, end)
    const packetEnd = Math.min(ipv6End(bytes, at), end)
    if (!walkIpv6Extensions(bytes, at, packetEnd, walk)) {
      this.readNothing(bytes, at, packetEnd)
      this.family = 6
      return false
    }
    const fragment = walk[IPV6_WALK_FRAGMENT]
    const isLater = fragment >= 0 && ipv6FragmentOffset(bytes, fragment) > 0
    this.bytes = bytes
    this.networkAt = at
    this.family = 6
    this.protocol = walk[IPV6_WALK_PROTOCOL]
    this.transportAt = walk[IPV6_WALK_OFFSET]
    this.end = packetEnd
    this.fragmentAt = fragment
    this.isFragment = isLater || (fragment >= 0 && ipv6MoreFragments(bytes, fragment))
    this.hasTransport = !isLater
    this.readPorts(bytes, walk[IPV6_WALK_OFFSET])
    return true
  }

  /**
   * Goes on to the packet that the ICMP error which was read quotes. False when it is no error, or quotes no header, and then nothing
   * has changed; false as in `readIpv6` when the quoted extension headers are broken.
   */
  readQuoted(): boolean {
    const { bytes, transportAt: at, end } = this
    if (!this.hasTransport || at + ICMP_HEADER_LENGTH > end) return false
    const quoted = at + ICMP_HEADER_LENGTH
    if (this.family === 4) {
      if (this.protocol !== IpProtocol.icmp || !icmpIsError(bytes, at) || !checkIpv4Quoted(bytes, quoted, end)) return false
      return this.readIpv4(bytes, quoted, end, true)
    }
    if (this.protocol !== IpProtocol.icmpv6 || !icmpv6IsError(bytes, at) || !checkIpv6Quoted(bytes, quoted, end)) return false
    return this.readIpv6(bytes, quoted, end, true)
  }

  /** Offset of the source address. There must be an IP header, as for those that follow. */
  get sourceAt(): number {
    return this.networkAt + (this.family === 4 ? IPV4_SOURCE : IPV6_SOURCE)
  }

  get destinationAt(): number {
    return this.networkAt + (this.family === 4 ? IPV4_DESTINATION : IPV6_DESTINATION)
  }

  /** Bytes of an address. */
  get addressLength(): 4 | 16 {
    return this.family === 4 ? 4 : 16
  }

  /** The IPv4 header has options, or the IPv6 header extensions. */
  get hasOptions(): boolean {
    return this.transportAt !== this.networkAt + (this.family === 4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH)
  }

  private readPorts(bytes: Uint8Array, at: number): void {
    const { protocol } = this
    const isShown = (protocol === IpProtocol.tcp || protocol === IpProtocol.udp) && this.hasTransport && at + 4 <= this.end
    this.sourcePort = isShown ? get16(bytes, at) : ABSENT
    this.destinationPort = isShown ? get16(bytes, at + 2) : ABSENT
  }

  /** No IP in [networkAt, end). */
  private readNothing(bytes: Uint8Array, networkAt: number, end: number): false {
    this.bytes = bytes
    this.networkAt = networkAt
    this.family = 0
    this.end = end
    this.protocol = this.transportAt = this.fragmentAt = this.sourcePort = this.destinationPort = ABSENT
    this.isFragment = this.hasTransport = false
    return false
  }
}
