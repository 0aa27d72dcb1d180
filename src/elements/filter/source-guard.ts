/**
 * What an endpoint may say that it is: source addresses of packets (RFC 2827 at one port), claims in ARP and neighbor discovery.
 *
 * `judge...` return a reason of FilterDrop, or PASS; nothing is changed.
 */
import { isIpv6LinkLocal, isIpv6Unspecified } from '../../wire/address.ts'
import { arpSenderIp, checkArp } from '../../wire/arp.ts'
import { get32 } from '../../wire/big-endian.ts'
import { isGroup } from '../../wire/ethernet.ts'
import { Icmpv6Type } from '../../wire/icmpv6.ts'
import { IPV4_HEADER_LENGTH, IpProtocol, ipv4Source } from '../../wire/ipv4.ts'
import { IPV6_HEADER_LENGTH, IPV6_SOURCE, ipv6NextHeader } from '../../wire/ipv6.ts'
import { ND_TARGET } from '../../wire/neighbor-discovery.ts'
import { PacketView } from '../../wire/packet-view.ts'
import { FilterDrop } from './filter-drop.ts'
import type { FilterSettings, Source } from './filter-options.ts'

/** What a judgement returns for a frame that may pass. */
export const PASS = -1

const { tcp, udp } = IpProtocol

export class SourceGuard {
  private readonly sources: readonly Source[]
  private readonly reserved: readonly Source[]
  /** The first IPv4 address, which nearly every packet has: 0 where there is none. */
  private readonly first4: number
  private readonly strict: boolean
  private readonly packet = new PacketView()

  constructor(settings: FilterSettings) {
    this.sources = settings.sources ?? []
    this.reserved = settings.reserved
    this.first4 = this.sources.find(({ family, masks }) => family === 4 && masks[0] === -1)?.words[0] ?? 0
    this.strict = settings.strict
  }

  /** An ARP packet in [at, end): its sender address must be the endpoint's, or 0.0.0.0 as in a probe (RFC 5227). */
  judgeArp(bytes: Uint8Array, at: number, end: number): number {
    if (!checkArp(bytes, at, end)) return FilterDrop.malformed
    const sender = arpSenderIp(bytes, at)
    return sender === 0 || this.owns4(sender) ? PASS : FilterDrop.falseClaim
  }

  /** The IPv4 packet in [at, end) of the frame at `frameAt`. */
  judgeIpv4(bytes: Uint8Array, frameAt: number, at: number, end: number, toGateway: boolean): number {
    if (!toGateway && !this.strict) return PASS
    // The router judges the rest of the header; what matters here is that there is a source address.
    if (at + IPV4_HEADER_LENGTH > end || bytes[at] >> 4 !== 4) return FilterDrop.malformed
    const source = ipv4Source(bytes, at)
    // DHCP: who has no address yet asks everybody.
    return (source === this.first4 && source !== 0) || this.owns4(source) || (source === 0 && isGroup(bytes, frameAt))
      ? PASS
      : FilterDrop.spoofedSource
  }

  /** The IPv6 packet in [at, end) of the frame at `frameAt`; neighbor discovery is judged wherever it goes. */
  judgeIpv6(bytes: Uint8Array, frameAt: number, at: number, end: number, toGateway: boolean): number {
    if (at + IPV6_HEADER_LENGTH > end || bytes[at] >> 4 !== 6) return FilterDrop.malformed
    const next = ipv6NextHeader(bytes, at)
    // Anything else may hide neighbor discovery behind extension headers.
    if (next !== tcp && next !== udp) {
      const verdict = this.judgeUpperLayer(bytes, at, end)
      if (verdict !== PASS) return verdict
    }
    if (!toGateway && !this.strict) return PASS
    const source = at + IPV6_SOURCE
    if (includes6(this.sources, bytes, source) || isIpv6LinkLocal(bytes, source)) return PASS
    return isIpv6Unspecified(bytes, source) && isGroup(bytes, frameAt) ? PASS : FilterDrop.spoofedSource
  }

  private judgeUpperLayer(bytes: Uint8Array, at: number, end: number): number {
    const { packet } = this
    if (!packet.readIpv6(bytes, at, end)) return FilterDrop.malformed
    // A later fragment begins in the middle of something. It can complete no claim: neighbor discovery in fragments is ignored (RFC 6980).
    return packet.protocol === IpProtocol.icmpv6 && packet.hasTransport ? this.judgeIcmpv6() : PASS
  }

  /**
   * A solicitation claims its source, an advertisement its target; one from :: (duplicate address detection) claims nothing.
   * What routers say is none of an endpoint's business.
   */
  private judgeIcmpv6(): number {
    const { bytes, sourceAt, transportAt: at, end } = this.packet
    if (at >= end) return PASS
    const type = bytes[at]
    if (type === Icmpv6Type.routerAdvertisement || type === Icmpv6Type.redirect) return FilterDrop.rogueRouter
    if (type === Icmpv6Type.neighborAdvertisement) {
      if (at + ND_TARGET + 16 > end) return FilterDrop.malformed
      return this.mayClaim(bytes, at + ND_TARGET) ? PASS : FilterDrop.falseClaim
    }
    if (type !== Icmpv6Type.neighborSolicitation && type !== Icmpv6Type.routerSolicitation) return PASS
    return isIpv6Unspecified(bytes, sourceAt) || this.mayClaim(bytes, sourceAt) ? PASS : FilterDrop.falseClaim
  }

  private mayClaim(bytes: Uint8Array, at: number): boolean {
    return includes6(this.sources, bytes, at) || (isIpv6LinkLocal(bytes, at) && !includes6(this.reserved, bytes, at))
  }

  private owns4(address: number): boolean {
    const { sources } = this
    for (let i = 0; i < sources.length; i++) {
      const { family, words, masks } = sources[i]
      if (family === 4 && (address & masks[0]) === words[0]) return true
    }
    return false
  }
}

function includes6(sources: readonly Source[], bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < sources.length; i++) {
    const { family, words, masks } = sources[i]
    if (
      family === 6 &&
      (get32(bytes, at) & masks[0]) === words[0] &&
      (get32(bytes, at + 4) & masks[1]) === words[1] &&
      (get32(bytes, at + 8) & masks[2]) === words[2] &&
      (get32(bytes, at + 12) & masks[3]) === words[3]
    ) {
      return true
    }
  }
  return false
}
