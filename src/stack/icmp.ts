/**
 * ICMP and ICMPv6 of a host: answers echo requests, reports closed ports, hands replies and errors to who waits for them.
 */
import type { ElementContext } from '../engine/element.ts'
import type { FrameHandle } from '../engine/frame-pool.ts'
import { isIpv4Multicast, isIpv6Multicast } from '../wire/address.ts'
import { get16, get32, put16, put32 } from '../wire/big-endian.ts'
import { checksum } from '../wire/checksum.ts'
import { isGroup } from '../wire/ethernet.ts'
import {
  checkIcmp,
  fillIcmpChecksum,
  ICMP_HEADER_LENGTH,
  IcmpType,
  IcmpUnreachable,
  icmpIsError,
  verifyIcmpChecksum
} from '../wire/icmp.ts'
import { checkIcmpv6, fillIcmpv6Checksum, Icmpv6Type, Icmpv6Unreachable, icmpv6IsError, verifyIcmpv6Checksum } from '../wire/icmpv6.ts'
import { checkIpv4Quoted, IPV4_DESTINATION, IpProtocol, ipv4HeaderLength, ipv4Protocol } from '../wire/ipv4.ts'
import { checkIpv6Quoted, IPV6_DESTINATION, IPV6_HEADER_LENGTH, ipv6NextHeader } from '../wire/ipv6.ts'
import type { PacketView } from '../wire/packet-view.ts'
import type { AddressResolution } from './address-resolution.ts'
import type { IpOutput } from './ip-output.ts'
import { addressText, turnAround } from './ip-packet.ts'
import { StackDrop } from './stack-drop.ts'

/** An ICMP error about a packet that this host sent. */
export interface IcmpError {
  readonly type: number
  readonly code: number
  /** Of the packet that was sent. */
  readonly protocol: number
  readonly destination: string
  /** First two 16-bit words of its payload: ports, or type and code, then checksum of an echo request. */
  readonly words: readonly [number, number]
  /** Identifier and sequence number, when it was an echo request. */
  readonly echo: readonly [number, number]
}

/** Who waits for answers. Both return false when they do not know it. */
export interface IcmpListener {
  echoReply(id: number, sequence: number): boolean
  icmpError(error: IcmpError): boolean
}

/** Errors sent: burst and rate of Linux (icmp_msgs_burst, icmp_msgs_per_sec). */
const BURST = 50
const PER_NS = 1000 / 1e9
/** An error quotes what keeps it within 576 bytes over IPv4 (RFC 1812 4.3.2.3), 1280 over IPv6 (RFC 4443 2.4). */
const QUOTE_IPV4 = 576 - 28
const QUOTE_IPV6 = 1280 - 48

export class Icmp {
  private readonly context: ElementContext
  private readonly output: IpOutput
  private readonly resolution: AddressResolution
  private readonly mtu: number
  private readonly transmit: (frame: FrameHandle) => void
  private readonly listener: IcmpListener
  private tokens = BURST
  private tokensAt = 0

  constructor(
    context: ElementContext,
    output: IpOutput,
    resolution: AddressResolution,
    mtu: number,
    transmit: (frame: FrameHandle) => void,
    listener: IcmpListener
  ) {
    this.context = context
    this.output = output
    this.resolution = resolution
    this.mtu = mtu
    this.transmit = transmit
    this.listener = listener
  }

  /** Takes an ICMP or ICMPv6 packet for this host. */
  receive(frame: FrameHandle, packet: PacketView): void {
    const { bytes, transportAt, end, networkAt: ipAt, family } = packet
    const isWhole = family === 4 ? checkIcmp(bytes, transportAt, end) : checkIcmpv6(bytes, transportAt, end)
    if (!isWhole) return this.context.drop(frame, StackDrop.malformed)
    const isRight = family === 4 ? verifyIcmpChecksum(bytes, transportAt, end) : verifyIcmpv6Checksum(bytes, transportAt, end, ipAt)
    if (!isRight) return this.context.drop(frame, StackDrop.badChecksum)
    const type = bytes[transportAt]
    if (type === (family === 4 ? IcmpType.echoRequest : Icmpv6Type.echoRequest)) return this.answerEcho(frame, packet)
    if (type === (family === 4 ? IcmpType.echoReply : Icmpv6Type.echoReply)) {
      const isKnown = this.listener.echoReply(get16(bytes, transportAt + 4), get16(bytes, transportAt + 6))
      return isKnown ? this.context.frames.free(frame) : this.context.drop(frame, StackDrop.unexpected)
    }
    if (family === 6 && type >= Icmpv6Type.routerSolicitation && type <= Icmpv6Type.neighborAdvertisement) {
      return this.resolution.receiveDiscovery(frame, packet)
    }
    if (family === 4 ? icmpIsError(bytes, transportAt) : icmpv6IsError(bytes, transportAt)) {
      const error = readError(packet)
      if (error === null) return this.context.drop(frame, StackDrop.malformed)
      return this.listener.icmpError(error) ? this.context.frames.free(frame) : this.context.drop(frame, StackDrop.unexpected)
    }
    this.context.drop(frame, StackDrop.unknownProtocol)
  }

  private answerEcho(frame: FrameHandle, packet: PacketView): void {
    const { bytes, transportAt, end, frameAt: at, networkAt: ipAt, family } = packet
    const { frames } = this.context
    // As Linux: an echo request to a group is not answered (icmp_echo_ignore_broadcasts).
    if (isToGroup(packet)) return this.context.drop(frame, StackDrop.notForUs)
    const type = family === 4 ? IcmpType.echoReply : Icmpv6Type.echoReply
    if (packet.hasOptions || end - ipAt > this.mtu) {
      this.answerAnew(frame, packet, type)
      return
    }
    bytes[transportAt] = type
    turnAround(packet)
    if (family === 4) fillIcmpChecksum(bytes, transportAt, end)
    else fillIcmpv6Checksum(bytes, transportAt, end, ipAt)
    frames.length[frame] = end - at // padding stays behind
    frames.flags[frame] = 0
    this.context.enter(frame)
    this.transmit(frame)
  }

  /** For requests that cannot be turned around in place: too long for one packet, or with options. */
  private answerAnew(frame: FrameHandle, packet: PacketView, type: number): void {
    const { bytes, transportAt, end, sourceAt, addressLength } = packet
    const { segment } = this.output
    const length = end - transportAt
    const to = bytes.slice(sourceAt, sourceAt + addressLength)
    segment.set(bytes.subarray(transportAt, end))
    this.context.frames.free(frame)
    segment[0] = type
    this.send(to, segment, length)
  }

  /** Tells the sender that a port or protocol is not there, unless it must not be told (RFC 1122 3.2.2). The frame stays the caller's. */
  unreachable(packet: PacketView, what: 'port' | 'protocol'): void {
    const { bytes, networkAt: ipAt, end, family, sourceAt, addressLength } = packet
    if (isToGroup(packet) || isUnspecified(bytes, sourceAt, addressLength) || !this.takeToken()) return
    const { segment } = this.output
    const quoted = Math.min(end - ipAt, family === 4 ? QUOTE_IPV4 : QUOTE_IPV6)
    if (family === 4) {
      segment[0] = IcmpType.unreachable
      segment[1] = what === 'port' ? IcmpUnreachable.port : IcmpUnreachable.protocol
    } else {
      // RFC 4443 3.4: an unknown next header is a parameter problem.
      segment[0] = what === 'port' ? Icmpv6Type.unreachable : Icmpv6Type.parameterProblem
      segment[1] = what === 'port' ? Icmpv6Unreachable.port : 1
    }
    put16(segment, 2, 0)
    put32(segment, 4, family === 6 && what === 'protocol' ? 6 : 0) // the pointer: the next header field
    segment.set(bytes.subarray(ipAt, ipAt + quoted), ICMP_HEADER_LENGTH)
    this.send(bytes.slice(sourceAt, sourceAt + addressLength), segment, ICMP_HEADER_LENGTH + quoted)
  }

  /** Sends an ICMP message that stands in `segment`; its checksum is computed. */
  private send(to: Uint8Array, segment: Uint8Array, length: number): void {
    try {
      const route = this.output.route(to)
      sendIcmp(this.output, route, segment, length, null)
    } catch {
      // There is no way back: nothing that anyone could be told.
    }
  }

  private takeToken(): boolean {
    const { now } = this.context
    this.tokens = Math.min(BURST, this.tokens + (now - this.tokensAt) * PER_NS)
    this.tokensAt = now
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }
}

/** Sends `length` bytes of `segment` as ICMP or ICMPv6 by the route's family; the checksum is computed. */
export function sendIcmp(
  output: IpOutput,
  route: Parameters<IpOutput['send']>[0],
  segment: Uint8Array,
  length: number,
  sent: Parameters<IpOutput['send']>[5]
): ReturnType<IpOutput['send']> {
  put16(segment, 2, 0)
  if (route.path.source.length === 16) return output.send(route, IpProtocol.icmpv6, segment, length, 2, sent)
  put16(segment, 2, checksum(segment, 0, length))
  return output.send(route, IpProtocol.icmp, segment, length, -1, sent)
}

function isToGroup({ bytes, frameAt: at, destinationAt, family }: PacketView): boolean {
  return isGroup(bytes, at) || (family === 4 ? isIpv4Multicast(get32(bytes, destinationAt)) : isIpv6Multicast(bytes, destinationAt))
}

function isUnspecified(bytes: Uint8Array, at: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[at + i] !== 0) return false
  return true
}

function readError({ bytes, transportAt, end, family }: PacketView): IcmpError | null {
  const quoted = transportAt + ICMP_HEADER_LENGTH
  const isWhole = family === 4 ? checkIpv4Quoted(bytes, quoted, end) : checkIpv6Quoted(bytes, quoted, end)
  const inner = quoted + (family === 4 ? ipv4HeaderLength(bytes, quoted) : IPV6_HEADER_LENGTH)
  if (!isWhole || inner + 8 > end) return null
  const destinationAt = quoted + (family === 4 ? IPV4_DESTINATION : IPV6_DESTINATION)
  return {
    type: bytes[transportAt],
    code: bytes[transportAt + 1],
    protocol: family === 4 ? ipv4Protocol(bytes, quoted) : ipv6NextHeader(bytes, quoted),
    destination: addressText(bytes, destinationAt, family === 4 ? 4 : 16),
    words: [get16(bytes, inner), get16(bytes, inner + 2)],
    echo: [get16(bytes, inner + 4), get16(bytes, inner + 6)]
  }
}
