/**
 * Which other endpoints of its network an endpoint may talk with, where inter-container communication is off.
 *
 *   rule out  endpoint ----> address:port     and back from address:port
 *   rule in   address -----> endpoint's port  and back from that port
 *
 * Stateless, as the two iptables rules that Docker writes for a link.
 */
import { get16, get32 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, etherType } from '../../wire/ethernet.ts'
import { Icmpv6Type } from '../../wire/icmpv6.ts'
import {
  checkIpv4,
  IPV4_DESTINATION,
  IPV4_SOURCE,
  IpProtocol,
  ipv4End,
  ipv4HasTransportHeader,
  ipv4Payload,
  ipv4Protocol
} from '../../wire/ipv4.ts'
import {
  checkIpv6,
  IPV6_DESTINATION,
  IPV6_SOURCE,
  IPV6_WALK_FRAGMENT,
  IPV6_WALK_LENGTH,
  IPV6_WALK_OFFSET,
  IPV6_WALK_PROTOCOL,
  ipv6End,
  ipv6FragmentOffset,
  walkIpv6Extensions
} from '../../wire/ipv6.ts'
import type { ReadyRule } from './filter-options.ts'

const walk = new Int32Array(IPV6_WALK_LENGTH)

export class IccRules {
  private readonly rules: readonly ReadyRule[]

  constructor(rules: readonly ReadyRule[]) {
    this.rules = rules
  }

  /**
   * Whether the frame in [at, end) may go between the endpoint and another one.
   * @param outward it comes from the endpoint
   */
  allow(bytes: Uint8Array, at: number, end: number, outward: boolean): boolean {
    const type = etherType(bytes, at)
    const ip = at + ETHERNET_HEADER_LENGTH
    if (type === EtherType.ipv4) return checkIpv4(bytes, ip, end) && this.allowIpv4(bytes, ip, outward)
    if (type === EtherType.ipv6) return checkIpv6(bytes, ip, end) && this.allowIpv6(bytes, ip, outward)
    return type === EtherType.arp
  }

  private allowIpv4(bytes: Uint8Array, ip: number, outward: boolean): boolean {
    const ports = ipv4Payload(bytes, ip)
    if (!ipv4HasTransportHeader(bytes, ip) || ports + 4 > ipv4End(bytes, ip)) return false
    const peer = ip + (outward ? IPV4_DESTINATION : IPV4_SOURCE)
    return this.matches(bytes, 4, peer, ipv4Protocol(bytes, ip), ports, outward)
  }

  private allowIpv6(bytes: Uint8Array, ip: number, outward: boolean): boolean {
    const end = ipv6End(bytes, ip)
    if (!walkIpv6Extensions(bytes, ip, end, walk)) return false
    const at = walk[IPV6_WALK_OFFSET]
    const protocol = walk[IPV6_WALK_PROTOCOL]
    const fragment = walk[IPV6_WALK_FRAGMENT]
    if ((fragment >= 0 && ipv6FragmentOffset(bytes, fragment) > 0) || at + 4 > end) return false
    if (protocol === IpProtocol.icmpv6) return bytes[at] >= Icmpv6Type.routerSolicitation && bytes[at] <= Icmpv6Type.redirect
    return this.matches(bytes, 6, ip + (outward ? IPV6_DESTINATION : IPV6_SOURCE), protocol, at, outward)
  }

  private matches(bytes: Uint8Array, family: number, peerAt: number, protocol: number, portsAt: number, outward: boolean): boolean {
    const source = get16(bytes, portsAt)
    const destination = get16(bytes, portsAt + 2)
    for (const rule of this.rules) {
      if (rule.family !== family || rule.protocol !== protocol) continue
      // The port is the peer's in rules `out`, the endpoint's in rules `in`.
      if ((rule.isOut === outward ? destination : source) !== rule.port) continue
      if (equalsAt(rule.words, bytes, peerAt)) return true
    }
    return false
  }
}

function equalsAt(words: Int32Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < words.length; i++) if (get32(bytes, at + 4 * i) !== words[i]) return false
  return true
}
