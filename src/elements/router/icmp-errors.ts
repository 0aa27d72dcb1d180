/**
 * ICMP and ICMPv6 errors: which packets have one (RFC 1812 4.3.2.7, RFC 4443 2.4), where it comes from, what it quotes, how many.
 *
 * No method takes the frame that caused the error: who called drops it.
 */
import { type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import { isIpv4Loopback, isIpv4Multicast } from '../../wire/address.ts'
import { put16, put32 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import { fillIcmpChecksum, ICMP_HEADER_LENGTH, IcmpType, IcmpUnreachable, icmpIsError } from '../../wire/icmp.ts'
import { fillIcmpv6Checksum, Icmpv6Type, Icmpv6Unreachable } from '../../wire/icmpv6.ts'
import { IPV4_HEADER_LENGTH, IPV4_TOS, IpProtocol } from '../../wire/ipv4.ts'
import { IPV6_HEADER_LENGTH } from '../../wire/ipv6.ts'
import type { Words } from './address-words.ts'
import { ErrorLimit, errorInterval } from './error-limit.ts'
import { IpPacket, READ_OK } from './ip-packet.ts'
import { DEFAULT_TTL } from './output.ts'
import { Counter, type RouterCore } from './router-core.ts'
import type { RouterInterface } from './router-interface.ts'
import { Own, type Route } from './routing.ts'

/** An error quotes what keeps it within 576 bytes over IPv4 (RFC 1812 4.3.2.3), 1280 over IPv6 (RFC 4443 2.4). */
const QUOTE_IPV4 = 576 - IPV4_HEADER_LENGTH - ICMP_HEADER_LENGTH
const QUOTE_IPV6 = 1280 - IPV6_HEADER_LENGTH - ICMP_HEADER_LENGTH
/** Precedence 6, internetwork control, and what the packet had but its precedence: RFC 1812 4.3.2.5, Linux's icmp_send. */
const PRECEDENCE = 0xc0
const TOS_MASK = 0x1e
/** RFC 4443 3.4: the next header field of the fixed header. */
const NEXT_HEADER_POINTER = 6

/** What is wrong, by family: type, code and the second word of the message; null: nothing is sent. */
interface IcmpFault {
  readonly 4: readonly [type: number, code: number] | null
  readonly 6: readonly [type: number, code: number] | null
}

/** By what happened. */
export const Fault = {
  ttl: { 4: [IcmpType.timeExceeded, 0], 6: [Icmpv6Type.timeExceeded, 0] },
  noRoute: { 4: [IcmpType.unreachable, IcmpUnreachable.net], 6: [Icmpv6Type.unreachable, Icmpv6Unreachable.noRoute] },
  neighbor: { 4: [IcmpType.unreachable, IcmpUnreachable.host], 6: [Icmpv6Type.unreachable, Icmpv6Unreachable.address] },
  tooBig: { 4: [IcmpType.unreachable, IcmpUnreachable.fragmentationNeeded], 6: [Icmpv6Type.packetTooBig, 0] },
  port: { 4: [IcmpType.unreachable, IcmpUnreachable.port], 6: [Icmpv6Type.unreachable, Icmpv6Unreachable.port] },
  protocol: { 4: [IcmpType.unreachable, IcmpUnreachable.protocol], 6: [Icmpv6Type.parameterProblem, 1] },
  /** RFC 1812 4.3.3.5: the pointer is in the word. */
  option: { 4: [IcmpType.parameterProblem, 0], 6: null },
  scope: { 4: null, 6: [Icmpv6Type.unreachable, Icmpv6Unreachable.beyondScope] }
} as const satisfies Record<string, IcmpFault>

export class IcmpErrors {
  private readonly core: RouterCore
  private readonly limit: ErrorLimit
  /** For frames whose packet is no longer the one in hand. */
  private readonly waited = new IpPacket()

  constructor(core: RouterCore) {
    this.core = core
    this.limit = new ErrorLimit(core.context.random.int32())
  }

  /**
   * Tells the sender of a packet what is wrong with it, if it may be told.
   * @param link where the packet came in
   * @param detail the message's second word: for `tooBig` what would have fitted, bytes; for `option` the pointer << 24
   */
  tell(packet: IpPacket, link: RouterInterface, fault: IcmpFault, detail = 0): void {
    const message = packet.family === 4 ? fault[4] : fault[6]
    if (message === null || packet.isLinkGroup || !mayBeTold(packet)) return
    const { core } = this
    const { family, s0, s1, s2, s3 } = packet
    const route = core.output.route(link, family, s0, s1, s2, s3)
    if (route === null) return
    const isTooBig = fault === Fault.tooBig
    if (!isTooBig && !this.limit.take(core.context.now, s0, s1, s2, s3, errorInterval(family, route.destination.length))) {
      core.counters[Counter.errorsLimited]++
      return
    }
    const source = this.sourceOf(packet, core.interface(route.interface)!)
    const word = fault === Fault.protocol && family === 6 ? NEXT_HEADER_POINTER : detail
    if (source !== null) this.send(packet, route, source, message[0], message[1], word)
  }

  /** The next hop of a frame did not answer. Frames of our own end in silence. */
  neighborFailed(frame: FrameHandle, egress: RouterInterface): void {
    const { core, waited } = this
    if (waited.read(core.frames, frame) !== READ_OK) return
    const { family, s0, s1, s2, s3 } = waited
    if (core.routing.own(family, s0, s1, s2, s3) !== Own.none || egress.owns(family, s0, s1, s2, s3)) return
    // The frame was for our own MAC, or it would not have been forwarded; what stands there now may be anything.
    waited.isLinkGroup = false
    if (egress.given.masquerade !== true || family === 6) return this.tell(waited, egress, Fault.neighbor)
    this.masqueraded = egress.source4(0)
    this.tell(waited, egress, Fault.neighbor)
    this.masqueraded = 0
  }

  /** The address that a NAT gave the packet in hand; 0: none. */
  private masqueraded = 0

  /** The address that was spoken to where it is ours, else one of the interface by which the sender is reached, else any. */
  private sourceOf(packet: IpPacket, towards: RouterInterface): Words | null {
    const { core } = this
    const { family, s0, s1, s2, s3, d0, d1, d2, d3 } = packet
    if (core.routing.own(family, d0, d1, d2, d3) === Own.address || towards.owns(family, d0, d1, d2, d3)) return [d0, d1, d2, d3]
    if (family === 6) return towards.source6(s0, s1, s2, s3)
    if (this.masqueraded !== 0) return [this.masqueraded, 0, 0, 0]
    const near = towards.source4(s0)
    if (near !== 0) return [near, 0, 0, 0]
    for (const other of core.interfaces) {
      const address = other?.source4(s0) ?? 0
      if (address !== 0) return [address, 0, 0, 0]
    }
    return null
  }

  private send(packet: IpPacket, route: Route, source: Words, type: number, code: number, word: number): void {
    const { core } = this
    const { family, bytes, ipAt, s0, s1, s2, s3 } = packet
    const quoted = Math.min(packet.length, family === 4 ? QUOTE_IPV4 : QUOTE_IPV6)
    const length = ICMP_HEADER_LENGTH + quoted
    const tos = family === 4 ? (bytes[ipAt + IPV4_TOS] & TOS_MASK) | PRECEDENCE : 0
    const protocol = family === 4 ? IpProtocol.icmp : IpProtocol.icmpv6
    const frame = core.output.build(family, source, [s0, s1, s2, s3], protocol, length, tos, DEFAULT_TTL)
    if (frame === NO_FRAME) return
    const into = core.frames.bytes(frame)
    const at = core.frames.start[frame]
    const headerAt = at + ETHERNET_HEADER_LENGTH
    const icmp = headerAt + (family === 4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH)
    into[icmp] = type
    into[icmp + 1] = code
    put16(into, icmp + 2, 0)
    put32(into, icmp + 4, word)
    into.set(bytes.subarray(ipAt, ipAt + quoted), icmp + ICMP_HEADER_LENGTH)
    if (family === 4) fillIcmpChecksum(into, icmp, icmp + length)
    else fillIcmpv6Checksum(into, icmp, icmp + length, headerAt)
    core.counters[Counter.errors]++
    core.enter(frame)
    core.output.send(frame, family, route, s0, s1, s2, s3)
  }
}

/** Not for errors, groups, later fragments, or senders that are no single host. */
function mayBeTold({ family, bytes, transportAt, end, protocol, hasTransport, s0, s1, s2, s3, d0 }: IpPacket): boolean {
  if (!hasTransport) return false
  if (family === 4) {
    const isNobody = s0 >>> 24 === 0 || isIpv4Multicast(s0) || isIpv4Loopback(s0) || s0 === -1
    if (isNobody || isIpv4Multicast(d0) || d0 === -1) return false
    // A type that cannot be read may be an error.
    return protocol !== IpProtocol.icmp || (transportAt < end && !icmpIsError(bytes, transportAt))
  }
  const isNobody = s0 >>> 24 === 0xff || (s0 | s1 | s2) === 0
  if (isNobody || d0 >>> 24 === 0xff || s3 === 0) return false
  if (protocol !== IpProtocol.icmpv6) return true
  return transportAt < end && bytes[transportAt] >= 128 && bytes[transportAt] !== Icmpv6Type.redirect
}
