/**
 * Gives a frame other addresses wherever its headers have them: Ethernet, ARP, IPv4, IPv6, neighbor discovery, ICMP redirects, and the
 * packets that ICMP errors quote. Checksums are updated from what changed (RFC 1624), so that a wrong one stays as wrong as it was.
 *
 * Not looked into: payloads (DNS, FTP, DHCP), routing headers, tunnels.
 */
import { solicitedNode } from '../wire/address.ts'
import { ARP_SENDER_IP, ARP_SENDER_MAC, ARP_TARGET_IP, ARP_TARGET_MAC, checkArp } from '../wire/arp.ts'
import { get16, put16 } from '../wire/big-endian.ts'
import { nonZeroChecksum, updateChecksum16 } from '../wire/checksum.ts'
import { ETHERNET_DESTINATION, ETHERNET_SOURCE, EtherType } from '../wire/ethernet.ts'
import { ICMP_CHECKSUM, ICMP_HEADER_LENGTH, IcmpType, icmpType } from '../wire/icmp.ts'
import { ICMPV6_CHECKSUM, ICMPV6_HEADER_LENGTH, Icmpv6Type, icmpv6Type } from '../wire/icmpv6.ts'
import { IPV4_CHECKSUM, IPV4_DESTINATION, IPV4_SOURCE, IpProtocol } from '../wire/ipv4.ts'
import { IPV6_DESTINATION, IPV6_SOURCE } from '../wire/ipv6.ts'
import { ND_TARGET, NdOption } from '../wire/neighbor-discovery.ts'
import { PacketView } from '../wire/packet-view.ts'
import { TCP_CHECKSUM } from '../wire/tcp.ts'
import { UDP_CHECKSUM } from '../wire/udp.ts'
import type { AddressMap } from './address-map.ts'

/** A checksum field that covers what is changed, and those that cover the field itself. */
interface Cover {
  readonly at: number
  /** Of UDP: 0 says that there is none. */
  readonly isUdp: boolean
  readonly covers: readonly Cover[]
}

const NONE: readonly Cover[] = []
const MAC = 6
const IPV4 = 4
const IPV6 = 16

/** Rewrites the frame in place. */
export function rewriteFrame(bytes: Uint8Array, map: AddressMap): void {
  new Rewrite(bytes, map).frame()
}

class Rewrite {
  private readonly bytes: Uint8Array
  private readonly map: AddressMap
  private readonly packet = new PacketView()

  constructor(bytes: Uint8Array, map: AddressMap) {
    this.bytes = bytes
    this.map = map
  }

  frame(): void {
    const { bytes, packet } = this
    this.address(ETHERNET_DESTINATION, MAC, NONE)
    this.address(ETHERNET_SOURCE, MAC, NONE)
    packet.readFrame(bytes, 0, bytes.length, true)
    const { etherType, networkAt: at } = packet
    if (packet.family === 4) this.ipv4(NONE)
    else if (packet.family === 6) this.ipv6(NONE)
    else if (etherType === EtherType.arp && checkArp(bytes, at, bytes.length)) {
      for (const field of [ARP_SENDER_MAC, ARP_TARGET_MAC]) this.address(at + field, MAC, NONE)
      for (const field of [ARP_SENDER_IP, ARP_TARGET_IP]) this.address(at + field, IPV4, NONE)
    }
  }

  /** The packet that was read; it may be cut, as one that is quoted is. */
  private ipv4(covers: readonly Cover[]): void {
    const { bytes, packet } = this
    const { networkAt: at, transportAt: payload, protocol, end, hasTransport } = packet
    const header: Cover = { at: at + IPV4_CHECKSUM, isUdp: false, covers }
    const both = [header, ...this.transport(covers), ...covers]
    this.address(at + IPV4_SOURCE, IPV4, both)
    this.address(at + IPV4_DESTINATION, IPV4, both)
    if (protocol !== IpProtocol.icmp || !hasTransport || payload + ICMP_HEADER_LENGTH > end) return
    const icmp = [{ at: payload + ICMP_CHECKSUM, isUdp: false, covers }, ...covers]
    if (icmpType(bytes, payload) === IcmpType.redirect) this.address(payload + 4, IPV4, icmp)
    if (packet.readQuoted()) this.ipv4(icmp)
  }

  /** The same; its extension headers may be broken. */
  private ipv6(covers: readonly Cover[]): void {
    const { packet } = this
    const { networkAt: at, transportAt: payload, protocol, end, hasTransport } = packet
    const both = [...this.transport(covers), ...covers]
    this.address(at + IPV6_SOURCE, IPV6, both)
    this.address(at + IPV6_DESTINATION, IPV6, both)
    if (protocol !== IpProtocol.icmpv6 || !hasTransport || payload + ICMPV6_HEADER_LENGTH > end) return
    // What is quoted has addresses even where its extension headers are broken.
    if (packet.readQuoted() || packet.networkAt !== at) this.ipv6(both)
    else this.neighborDiscovery(at, payload, end, both)
  }

  private neighborDiscovery(ipAt: number, at: number, end: number, covers: readonly Cover[]): void {
    const { bytes } = this
    const type = icmpv6Type(bytes, at)
    const options = ND_OPTIONS[type]
    if (options === undefined || at + options > end) return
    for (let target = at + ND_TARGET; target + IPV6 <= at + options; target += IPV6) {
      const isMapped = this.address(target, IPV6, covers)
      // Who is asked is told by the group as well.
      if (isMapped && type === Icmpv6Type.neighborSolicitation) this.follow(ipAt, target, covers)
    }
    for (let option = at + options; option + 8 <= end && bytes[option + 1] !== 0; option += bytes[option + 1] << 3) {
      if (bytes[option] === NdOption.sourceLinkLayer || bytes[option] === NdOption.targetLinkLayer) this.address(option + 2, MAC, covers)
      if (bytes[option] === NdOption.prefixInformation && option + 32 <= end) this.address(option + 16, IPV6, covers)
    }
  }

  /** Sends a solicitation to the group of its new target, where it went to the group of the old one. */
  private follow(ipAt: number, target: number, covers: readonly Cover[]): void {
    const { bytes } = this
    const to = ipAt + IPV6_DESTINATION
    const group = solicitedNode(bytes, target)
    for (let i = 0; i < 13; i++) if (bytes[to + i] !== group[i]) return
    this.put(to, group, covers)
    for (let i = 0; i < 3; i++) bytes[ETHERNET_DESTINATION + 3 + i] = group[13 + i]
  }

  /** The checksum of the transport header, which covers the addresses too; none where it is cut off or not set. */
  private transport(covers: readonly Cover[]): Cover[] {
    const { protocol, transportAt, end, hasTransport } = this.packet
    const offset = hasTransport ? CHECKSUM_OFFSET[protocol] : undefined
    if (offset === undefined || transportAt + offset + 2 > end) return []
    const isUdp = protocol === IpProtocol.udp
    const at = transportAt + offset
    if (isUdp && get16(this.bytes, at) === 0) return []
    return [{ at, isUdp, covers }]
  }

  /** True when there was another address for it. */
  private address(at: number, length: number, covers: readonly Cover[]): boolean {
    if (at + length > this.bytes.length) return false
    const address = this.map.find(this.bytes, at, length)
    if (address === null) return false
    this.put(at, address, covers)
    return true
  }

  /** Of an even number of bytes, at an even distance from where the sums begin. */
  private put(at: number, value: Uint8Array, covers: readonly Cover[]): void {
    for (let i = 0; i < value.length; i += 2) this.put16(at + i, (value[i] << 8) | value[i + 1], covers)
  }

  private put16(at: number, value: number, covers: readonly Cover[]): void {
    const before = get16(this.bytes, at)
    if (before === value) return
    put16(this.bytes, at, value)
    for (const cover of covers) {
      const sum = updateChecksum16(get16(this.bytes, cover.at), before, value)
      this.put16(cover.at, cover.isUdp ? nonZeroChecksum(sum) : sum, cover.covers)
    }
  }
}

/** Where the options of a message begin, behind its addresses; of messages of neighbor discovery by their type. */
const ND_OPTIONS: Readonly<Record<number, number>> = {
  [Icmpv6Type.routerSolicitation]: 8,
  [Icmpv6Type.routerAdvertisement]: 16,
  [Icmpv6Type.neighborSolicitation]: 24,
  [Icmpv6Type.neighborAdvertisement]: 24,
  /** Target and destination. */
  [Icmpv6Type.redirect]: 40
}

const CHECKSUM_OFFSET: Readonly<Record<number, number>> = {
  [IpProtocol.tcp]: TCP_CHECKSUM,
  [IpProtocol.udp]: UDP_CHECKSUM,
  [IpProtocol.icmpv6]: ICMPV6_CHECKSUM
}
