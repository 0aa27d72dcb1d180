/**
 * Where the headers of a frame are. One object is used again for every frame; nothing outside the frame is read.
 */
import { get16 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, etherType } from '../../wire/ethernet.ts'
import { checkIpv4, IpProtocol, ipv4End, ipv4HasTransportHeader, ipv4Payload, ipv4Protocol } from '../../wire/ipv4.ts'
import {
  checkIpv6,
  IPV6_WALK_FRAGMENT,
  IPV6_WALK_LENGTH,
  IPV6_WALK_OFFSET,
  IPV6_WALK_PROTOCOL,
  ipv6End,
  ipv6FragmentOffset,
  walkIpv6Extensions
} from '../../wire/ipv6.ts'
import { UDP_HEADER_LENGTH } from '../../wire/udp.ts'
import { checkVlan, VLAN_TAG_LENGTH, vlanId, vlanType } from '../../wire/vlan.ts'

/** An offset of what is not there. */
export const ABSENT = -1
const TAGS_MAX = 2
const DNS_PORT = 53
const DNS_HEADER_LENGTH = 12

export class FrameView {
  bytes: Uint8Array = new Uint8Array(0)
  /** Offsets in `bytes` of the frame's first byte, and after its last. */
  at = 0
  end = 0
  /** EtherType behind the tags; ABSENT in a frame without an Ethernet header. */
  type = ABSENT
  /** Of the outer tag, 0 to 4095. */
  vlan = ABSENT
  /** What follows the Ethernet header and the tags. */
  networkAt = ABSENT
  /** Of a whole IP header; 0: none. */
  family: 0 | 4 | 6 = 0
  /** After the IP packet's last byte: what follows is padding. */
  packetEnd = 0
  /** IP's, behind the extension headers. */
  protocol = ABSENT
  /** The transport header: ABSENT in later fragments. */
  transportAt = ABSENT
  /** A message of at least a DNS header, in UDP from or to port 53. */
  dnsAt = ABSENT
  private readonly walk = new Int32Array(IPV6_WALK_LENGTH)

  read(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes
    this.at = at
    this.end = this.packetEnd = end
    this.type = this.vlan = this.networkAt = this.protocol = this.transportAt = this.dnsAt = ABSENT
    this.family = 0
    if (end - at < ETHERNET_HEADER_LENGTH) return
    let type = etherType(bytes, at)
    let networkAt = at + ETHERNET_HEADER_LENGTH
    for (let tags = 0; tags < TAGS_MAX && checkVlan(bytes, networkAt - 2, end); tags++) {
      if (tags === 0) this.vlan = vlanId(bytes, networkAt - 2)
      type = vlanType(bytes, networkAt - 2)
      networkAt += VLAN_TAG_LENGTH
    }
    this.type = type
    this.networkAt = networkAt
    if (type === EtherType.ipv4) this.readIpv4()
    else if (type === EtherType.ipv6) this.readIpv6()
    if (this.protocol === IpProtocol.udp && this.transportAt !== ABSENT) this.findDns()
  }

  private readIpv4(): void {
    const { bytes, networkAt, end } = this
    if (!checkIpv4(bytes, networkAt, end)) return
    this.family = 4
    this.protocol = ipv4Protocol(bytes, networkAt)
    this.packetEnd = ipv4End(bytes, networkAt)
    if (ipv4HasTransportHeader(bytes, networkAt)) this.transportAt = ipv4Payload(bytes, networkAt)
  }

  private readIpv6(): void {
    const { bytes, networkAt, end, walk } = this
    if (!checkIpv6(bytes, networkAt, end)) return
    this.family = 6
    this.packetEnd = ipv6End(bytes, networkAt)
    if (!walkIpv6Extensions(bytes, networkAt, this.packetEnd, walk)) return
    this.protocol = walk[IPV6_WALK_PROTOCOL]
    const fragment = walk[IPV6_WALK_FRAGMENT]
    if (fragment < 0 || ipv6FragmentOffset(bytes, fragment) === 0) this.transportAt = walk[IPV6_WALK_OFFSET]
  }

  private findDns(): void {
    const { bytes, transportAt, packetEnd } = this
    const messageAt = transportAt + UDP_HEADER_LENGTH
    if (messageAt + DNS_HEADER_LENGTH > packetEnd) return
    if (get16(bytes, transportAt) === DNS_PORT || get16(bytes, transportAt + 2) === DNS_PORT) this.dnsAt = messageAt
  }
}
