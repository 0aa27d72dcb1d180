/**
 * Packets for the router itself: echo is answered, neighbor discovery handed on, what is for a program that stands at an interface
 * goes there, everything else is refused, as by a host without a service (RFC 1122 3.2.2, RFC 9293 3.5.2).
 */
import { FrameFlag, type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import { put16, put32 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, setEtherType } from '../../wire/ethernet.ts'
import { checkIcmp, fillIcmpChecksum, IcmpType, icmpIsError, verifyIcmpChecksum } from '../../wire/icmp.ts'
import { checkIcmpv6, fillIcmpv6Checksum, Icmpv6Type, icmpv6IsError, verifyIcmpv6Checksum } from '../../wire/icmpv6.ts'
import {
  fillIpv4Checksum,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT,
  IPV4_HEADER_LENGTH,
  IPV4_ID,
  IPV4_TOS,
  IpProtocol,
  ipv4Tos
} from '../../wire/ipv4.ts'
import {
  IPV6_FRAGMENT_HEADER_LENGTH,
  IPV6_HEADER_LENGTH,
  IPV6_NEXT_HEADER,
  ipv6TrafficClass,
  setIpv6PayloadLength
} from '../../wire/ipv6.ts'
import {
  checkTcp,
  fillTcpChecksum,
  TCP_HEADER_LENGTH,
  TcpFlag,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderLength,
  tcpSequence,
  tcpSourcePort
} from '../../wire/tcp.ts'
import { checkUdp, udpChecksum, udpDestinationPort, verifyUdpChecksum } from '../../wire/udp.ts'
import type { Words } from './address-words.ts'
import { Fault } from './icmp-errors.ts'
import type { IpPacket } from './ip-packet.ts'
import { DEFAULT_TTL, writeIpHeader } from './output.ts'
import { quotedPort } from './quoted-port.ts'
import { Counter, type RouterCore } from './router-core.ts'
import { RouterDrop } from './router-drop.ts'
import type { RouterInterface } from './router-interface.ts'

/** The two bits of TOS and traffic class that are not about service: RFC 3168. */
const ECN_MASK = 3

export class LocalDelivery {
  private readonly core: RouterCore

  constructor(core: RouterCore) {
    this.core = core
  }

  /**
   * Takes a packet for an address or group of the router.
   * @param answers whether the router speaks for that address
   */
  receive(frame: FrameHandle, packet: IpPacket, link: RouterInterface, answers: boolean): void {
    const { core } = this
    const { family, protocol } = packet
    if ((core.frames.flags[frame] & FrameFlag.traced) !== 0) core.context.trace(frame, 'for the router itself')
    if (packet.isFragment) return core.drop(frame, RouterDrop.fragment)
    if (family === 6 && protocol === IpProtocol.icmpv6) return this.receiveIcmpv6(frame, packet, link, answers)
    if (!answers) return core.drop(frame, RouterDrop.notAnswered)
    if (isToGroup(packet)) return core.drop(frame, RouterDrop.group)
    if (family === 4 && protocol === IpProtocol.icmp) return this.receiveIcmp(frame, packet, link)
    if (protocol === IpProtocol.udp) return this.receiveUdp(frame, packet, link)
    if (protocol === IpProtocol.tcp) return this.refuseTcp(frame, packet, link)
    core.errors.tell(packet, link, Fault.protocol)
    core.drop(frame, RouterDrop.unknownProtocol)
  }

  private receiveIcmp(frame: FrameHandle, packet: IpPacket, link: RouterInterface): void {
    const { core } = this
    const { bytes, transportAt, end } = packet
    if (!checkIcmp(bytes, transportAt, end)) return core.drop(frame, RouterDrop.malformed)
    if (!this.isVouchedFor(frame) && !verifyIcmpChecksum(bytes, transportAt, end)) return core.drop(frame, RouterDrop.badChecksum)
    const type = bytes[transportAt]
    if (type === IcmpType.echoRequest) return this.answerEcho(frame, packet, link)
    const isError = icmpIsError(bytes, transportAt)
    if (isError && this.isServed(frame, quotedPort(packet))) return
    const isAnswer = isError || type === IcmpType.echoReply
    core.drop(frame, isAnswer ? RouterDrop.unexpected : RouterDrop.unknownProtocol)
  }

  private receiveIcmpv6(frame: FrameHandle, packet: IpPacket, link: RouterInterface, answers: boolean): void {
    const { core } = this
    const { bytes, transportAt, end, ipAt } = packet
    if (!checkIcmpv6(bytes, transportAt, end)) return core.drop(frame, RouterDrop.malformed)
    if (!this.isVouchedFor(frame) && !verifyIcmpv6Checksum(bytes, transportAt, end, ipAt)) return core.drop(frame, RouterDrop.badChecksum)
    const type = bytes[transportAt]
    if (type >= Icmpv6Type.routerSolicitation && type <= Icmpv6Type.redirect) return core.discovery.receive(frame, packet, link)
    if (!answers) return core.drop(frame, RouterDrop.notAnswered)
    if (type === Icmpv6Type.echoRequest) return this.answerEcho(frame, packet, link)
    const isError = icmpv6IsError(bytes, transportAt)
    if (isError && this.isServed(frame, quotedPort(packet))) return
    const isAnswer = isError || type === Icmpv6Type.echoReply
    core.drop(frame, isAnswer ? RouterDrop.unexpected : RouterDrop.unknownProtocol)
  }

  /** In the frame of the question: a new header stands before the ICMP message, in place of the old one and its options. */
  private answerEcho(frame: FrameHandle, packet: IpPacket, link: RouterInterface): void {
    const { core } = this
    const { frames } = core
    const { bytes, family, transportAt, end, ipAt, s0, s1, s2, s3, d0, d1, d2, d3 } = packet
    if ((s0 | s1 | s2 | s3) === 0) return core.drop(frame, RouterDrop.martianSource)
    const route = core.output.route(link, family, s0, s1, s2, s3)
    if (route === null) return core.drop(frame, RouterDrop.noRoute)
    const source: Words = isToGroup(packet) ? link.source6(s0, s1, s2, s3) : [d0, d1, d2, d3]
    const tos = family === 4 ? bytes[ipAt + IPV4_TOS] : ipv6TrafficClass(bytes, ipAt)
    const protocol = family === 4 ? IpProtocol.icmp : IpProtocol.icmpv6
    const header = family === 4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH
    const headerAt = transportAt - header
    const at = headerAt - ETHERNET_HEADER_LENGTH
    const length = end - transportAt
    writeIpHeader(bytes, headerAt, family, source, [s0, s1, s2, s3], protocol, length, tos, DEFAULT_TTL, core.output.nextId())
    setEtherType(bytes, at, family === 4 ? EtherType.ipv4 : EtherType.ipv6)
    bytes[transportAt] = family === 4 ? IcmpType.echoReply : Icmpv6Type.echoReply
    if (family === 4) fillIcmpChecksum(bytes, transportAt, end)
    else fillIcmpv6Checksum(bytes, transportAt, end, headerAt)
    frames.start[frame] = at
    frames.length[frame] = end - at // padding stays behind
    core.counters[Counter.consumed]++
    core.enter(frame)
    const mtu = core.interface(route.interface)!.mtu6
    if (family === 6 && header + length > mtu) this.makeCuttable(frame, packet, mtu)
    core.output.send(frame, family, route, s0, s1, s2, s3)
  }

  /** A long IPv6 answer needs a fragment header; its question, which was as long, had one, and its place is free before the answer. */
  private makeCuttable(frame: FrameHandle, { bytes, transportAt, ipAt, end }: IpPacket, mtu: number): void {
    const { frames, context } = this.core
    const at = frames.start[frame] - IPV6_FRAGMENT_HEADER_LENGTH
    const isThere = transportAt - ipAt >= IPV6_HEADER_LENGTH + IPV6_FRAGMENT_HEADER_LENGTH
    if (!isThere) return
    const headerAt = at + ETHERNET_HEADER_LENGTH
    bytes.copyWithin(at, frames.start[frame], transportAt)
    bytes[headerAt + IPV6_NEXT_HEADER] = IpProtocol.fragment
    setIpv6PayloadLength(bytes, headerAt, IPV6_FRAGMENT_HEADER_LENGTH + end - transportAt)
    const fragmentAt = headerAt + IPV6_HEADER_LENGTH
    put32(bytes, fragmentAt, IpProtocol.icmpv6 << 24)
    put32(bytes, fragmentAt + 4, context.random.int32())
    frames.start[frame] = at
    frames.length[frame] = end - at
    frames.flags[frame] |= FrameFlag.reassembled
    frames.gsoSize[frame] = mtu
  }

  /** For a program that stands at one of our interfaces, checksum unseen; else refused. */
  private receiveUdp(frame: FrameHandle, packet: IpPacket, link: RouterInterface): void {
    const { core } = this
    const { bytes, transportAt, end } = packet
    if (!checkUdp(bytes, transportAt, end)) return core.drop(frame, RouterDrop.malformed)
    if (!this.isServed(frame, udpDestinationPort(bytes, transportAt))) this.refuseUdp(frame, packet, link)
  }

  /** True, and the frame is the program's, where one stands at an interface with this UDP port. */
  private isServed(frame: FrameHandle, port: number): boolean {
    const { core } = this
    for (const { service, number } of core.services) {
      if (service !== port) continue
      core.transmit(number, frame)
      return true
    }
    return false
  }

  private refuseUdp(frame: FrameHandle, packet: IpPacket, link: RouterInterface): void {
    const { core } = this
    const { bytes, transportAt, ipAt, family } = packet
    const hasNone = udpChecksum(bytes, transportAt) === 0
    const isWrong = hasNone ? family === 6 : !this.isVouchedFor(frame) && !verifyUdpChecksum(bytes, transportAt, ipAt)
    if (isWrong) return core.drop(frame, RouterDrop.badChecksum)
    core.errors.tell(packet, link, Fault.port)
    core.drop(frame, RouterDrop.portClosed)
  }

  /** RFC 9293 3.5.2, group 1: a reset, but not in answer to one. */
  private refuseTcp(frame: FrameHandle, packet: IpPacket, link: RouterInterface): void {
    const { core } = this
    const { bytes, transportAt, end } = packet
    if (!checkTcp(bytes, transportAt, end)) return core.drop(frame, RouterDrop.malformed)
    if (!packet.hasGoodChecksum(core.frames.flags[frame])) return core.drop(frame, RouterDrop.badChecksum)
    if ((tcpFlags(bytes, transportAt) & TcpFlag.rst) !== 0 || packet.isLinkGroup) return core.drop(frame, RouterDrop.unexpected)
    this.sendReset(packet, link)
    core.drop(frame, RouterDrop.portClosed)
  }

  private sendReset(packet: IpPacket, link: RouterInterface): void {
    const { core } = this
    const { bytes, family, transportAt, end, s0, s1, s2, s3, d0, d1, d2, d3 } = packet
    const route = core.output.route(link, family, s0, s1, s2, s3)
    if (route === null) return
    // As Linux: the service of the segment, but not its word on congestion.
    const tos = (family === 4 ? ipv4Tos(bytes, packet.ipAt) : ipv6TrafficClass(bytes, packet.ipAt)) & ~ECN_MASK
    const reset = core.output.build(family, [d0, d1, d2, d3], [s0, s1, s2, s3], IpProtocol.tcp, TCP_HEADER_LENGTH, tos, DEFAULT_TTL)
    if (reset === NO_FRAME) return
    const into = core.frames.bytes(reset)
    const headerAt = core.frames.start[reset] + ETHERNET_HEADER_LENGTH
    const tcp = headerAt + (family === 4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH)
    if (family === 4) {
      // As recorded: Linux's resets carry no identification and may not be cut.
      put16(into, headerAt + IPV4_ID, 0)
      put16(into, headerAt + IPV4_FRAGMENT, IPV4_DONT_FRAGMENT)
      fillIpv4Checksum(into, headerAt)
    }
    const flags = tcpFlags(bytes, transportAt)
    const hasAck = (flags & TcpFlag.ack) !== 0
    const payload = end - transportAt - tcpHeaderLength(bytes, transportAt)
    const consumed = payload + ((flags & TcpFlag.syn) !== 0 ? 1 : 0) + ((flags & TcpFlag.fin) !== 0 ? 1 : 0)
    put16(into, tcp, tcpDestinationPort(bytes, transportAt))
    put16(into, tcp + 2, tcpSourcePort(bytes, transportAt))
    put32(into, tcp + 4, hasAck ? tcpAcknowledgment(bytes, transportAt) : 0)
    put32(into, tcp + 8, hasAck ? 0 : tcpSequence(bytes, transportAt) + consumed)
    put16(into, tcp + 12, ((TCP_HEADER_LENGTH / 4) << 12) | (hasAck ? TcpFlag.rst : TcpFlag.rst | TcpFlag.ack))
    put32(into, tcp + 14, 0) // window and checksum
    put16(into, tcp + 18, 0)
    fillTcpChecksum(into, tcp, tcp + TCP_HEADER_LENGTH, headerAt)
    core.enter(reset)
    core.output.send(reset, family, route, s0, s1, s2, s3)
  }

  /** A device has seen the checksum, or left it for another one to compute. */
  private isVouchedFor(frame: FrameHandle): boolean {
    return (this.core.frames.flags[frame] & (FrameFlag.csum | FrameFlag.csumValid)) !== 0
  }
}

function isToGroup({ family, d0 }: IpPacket): boolean {
  return family === 4 ? d0 >>> 28 === 0xe : d0 >>> 24 === 0xff
}
