/**
 * Packets that go on to somebody else: RFC 1812 section 5.2 in Linux's order (route, TTL, MTU), RFC 8200 for IPv6.
 */
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { decrementIpv4Ttl, ipv4DontFragment, ipv4Ttl } from '../../wire/ipv4.ts'
import { ipv6HopLimit, setIpv6HopLimit } from '../../wire/ipv6.ts'
import { addressText } from './address-words.ts'
import { MARK_ANY_SOURCE, MARK_REACH_SHIFT } from './forwarding-cache.ts'
import { Fault } from './icmp-errors.ts'
import { checkOptions, fillOptions, Options } from './ip-options.ts'
import type { IpPacket } from './ip-packet.ts'
import { NO_NEIGHBOR } from './neighbor-table.ts'
import { Reach } from './route-regions.ts'
import { Counter, type RouterCore } from './router-core.ts'
import { RouterDrop } from './router-drop.ts'
import type { RouterInterface } from './router-interface.ts'
import { Own, type Route } from './routing.ts'

const DAY_MS = 86_400_000n

export class Forwarding {
  private readonly core: RouterCore
  private readonly isOwn: (address: number) => boolean

  constructor(core: RouterCore) {
    this.core = core
    this.isOwn = (address) => core.routing.own(4, address, 0, 0, 0) === Own.address
  }

  /** Takes a packet for an address that is not ours. */
  forward(frame: FrameHandle, packet: IpPacket, link: RouterInterface): void {
    const { core } = this
    const { family, d0, d1, d2, d3 } = packet
    const route = core.routing.lookup(family, d0, d1, d2, d3)
    if (route === null) {
      core.errors.tell(packet, link, Fault.noRoute)
      return core.drop(frame, RouterDrop.noRoute)
    }
    const egress = core.interface(route.interface)!
    const isCounted = !link.noDecrement && !egress.noDecrement
    // Router and host are one hop: who comes from the other half of it has been counted there.
    const ttl = family === 4 ? ipv4Ttl(packet.bytes, packet.ipAt) : ipv6HopLimit(packet.bytes, packet.ipAt)
    if (ttl === 0 || (ttl === 1 && !link.noDecrement)) {
      core.errors.tell(packet, link, Fault.ttl)
      return core.drop(frame, RouterDrop.ttlExpired)
    }
    const size = packet.longest(core.frames)
    const mtu = family === 4 ? egress.mtu : egress.mtu6
    if (size > mtu && (family === 6 || ipv4DontFragment(packet.bytes, packet.ipAt))) {
      core.errors.tell(packet, link, Fault.tooBig, mtu)
      return core.drop(frame, RouterDrop.tooBig)
    }
    this.rewrite(frame, packet, egress, isCounted)
    this.sendOn(frame, packet, link, egress, route, size > mtu)
  }

  /** TTL, options, padding. */
  private rewrite(frame: FrameHandle, packet: IpPacket, egress: RouterInterface, isCounted: boolean): void {
    const { frames, context } = this.core
    const { bytes, ipAt, family, end, at, d0 } = packet
    if (isCounted && family === 4) decrementIpv4Ttl(bytes, ipAt)
    else if (isCounted) setIpv6HopLimit(bytes, ipAt, ipv6HopLimit(bytes, ipAt) - 1)
    if (family === 4 && packet.hasOptions) {
      const midnight = Number(((context.epochNs + BigInt(Math.floor(context.now))) / 1_000_000n) % DAY_MS)
      fillOptions(bytes, ipAt, egress.source4(d0), this.isOwn, midnight)
    }
    frames.length[frame] = end - at
    frames.flags[frame] &= ~FrameFlag.captured
  }

  private sendOn(
    frame: FrameHandle,
    packet: IpPacket,
    link: RouterInterface,
    egress: RouterInterface,
    route: Route,
    isLong: boolean
  ): void {
    const { core } = this
    const { family, d0, d1, d2, d3 } = packet
    const { via } = route
    core.counters[Counter.forwarded]++
    if ((core.frames.flags[frame] & FrameFlag.traced) !== 0) {
      const hop = via === null ? 'on the link' : `via ${addressText(family, via)}`
      core.context.trace(frame, `route ${route.destination.text} ${hop}: interface ${link.given.name} to ${egress.given.name}`)
    }
    // Word by word: taking an array apart costs more than the rest of this function.
    const w0 = via === null ? d0 : via[0]
    const w1 = via === null ? d1 : via[1]
    const w2 = via === null ? d2 : via[2]
    const w3 = via === null ? d3 : via[3]
    const isReassembled = (core.frames.flags[frame] & FrameFlag.reassembled) !== 0
    if (isLong || isReassembled) return core.output.fragment(egress, family, w0, w1, w2, w3, frame)
    // On the link every destination is a neighbor of its own.
    const reach = family === 4 && via !== null ? core.routing.reach(d0) : Reach.host
    const anySource = family === 4 && core.sources.octets[packet.s0 >>> 24] === 0 ? MARK_ANY_SOURCE : 0
    core.frames.mark[frame] |= (reach << MARK_REACH_SHIFT) | anySource
    core.output.toLink(egress, family, w0, w1, w2, w3, frame)
    this.remember(egress, packet, w0, w1, w2, w3, reach)
  }

  /** So that the fast path knows the way the next time: to the packet's destination, by next hop w0 to w3. */
  private remember(
    egress: RouterInterface,
    { family, d0, d1, d2, d3 }: IpPacket,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    reach: number
  ): void {
    const { neighbors, cache } = this.core
    const slot = neighbors.usable(egress.number, family, w0, w1, w2, w3)
    if (slot === NO_NEIGHBOR) return
    const { table } = neighbors
    const { mac: from, mtu, mtu6, noDecrement } = egress
    const to = { hi: table.macHi[slot], lo: table.macLo[slot] }
    const way = { egress: egress.number, to, from, mtu: family === 4 ? mtu : mtu6, noDecrement, reach }
    if (family === 4) cache.put(d0, way, neighbors.usableUntil(slot))
    else cache.put6(d0, d1, d2, d3, way, neighbors.usableUntil(slot))
  }
}

/** One of Options: what the packet's options mean for it. */
export function optionProblem(packet: IpPacket): number {
  return packet.family === 6 || !packet.hasOptions ? Options.fine : checkOptions(packet.bytes, packet.ipAt)
}
