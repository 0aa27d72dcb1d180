/**
 * Neighbor discovery of a router, RFC 4861 sections 6.2 and 7.2: asks for next hops, answers for the router's own addresses, hears
 * who has which MAC, and hands router solicitations on.
 */
import { type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, isGroup, macHi, macLo, setMac } from '../../wire/ethernet.ts'
import { fillIcmpv6Checksum, ICMPV6_TYPE, Icmpv6Type } from '../../wire/icmpv6.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { IPV6_HEADER_LENGTH, ipv6HopLimit } from '../../wire/ipv6.ts'
import {
  checkNeighborDiscovery,
  ND_FLAG_OVERRIDE,
  ND_FLAG_ROUTER,
  ND_FLAG_SOLICITED,
  ND_FLAGS,
  ND_HOP_LIMIT,
  ND_TARGET,
  NdOption,
  ndFlags,
  ndLinkLayer
} from '../../wire/neighbor-discovery.ts'
import { putWords, type Words, wordsAt } from './address-words.ts'
import type { Claims } from './claims.ts'
import type { IpPacket } from './ip-packet.ts'
import { CLAIM_OK, Heard } from './neighbors.ts'
import { Counter, type RouterCore } from './router-core.ts'
import { RouterDrop } from './router-drop.ts'
import type { RouterInterface } from './router-interface.ts'

/** NS and NA: fixed part, target, one link-layer option. */
const MESSAGE_LENGTH = 32
const OPTION_AT = 24
const ALL_NODES: Words = [0xff020000 | 0, 0, 0, 1]

/** Who is asked for an address: ff02::1:ff00:0/104 with its last 24 bits (RFC 4291 2.7.1). */
function solicitedNode(target: Words): Words {
  return [0xff020000 | 0, 0, 1, 0xff000000 | (target[3] & 0xffffff)]
}

export class NeighborDiscovery {
  /** Hears router solicitations; set by who advertises. */
  solicited: (link: RouterInterface) => void = () => {}
  private readonly core: RouterCore
  private readonly claims: Claims

  constructor(core: RouterCore, claims: Claims) {
    this.core = core
    this.claims = claims
  }

  /** Takes a packet of neighbor discovery whose checksum is right. */
  receive(frame: FrameHandle, packet: IpPacket, link: RouterInterface): void {
    const { core } = this
    const { bytes, transportAt, end, ipAt } = packet
    const type = bytes[transportAt + ICMPV6_TYPE]
    // Redirects are for hosts.
    if (type === Icmpv6Type.redirect) return core.drop(frame, RouterDrop.unexpected)
    // A hop limit of 255 proves that no router forwarded it (RFC 4861 6.1, 7.1).
    if (!checkNeighborDiscovery(bytes, transportAt, end) || ipv6HopLimit(bytes, ipAt) !== ND_HOP_LIMIT) {
      return core.drop(frame, RouterDrop.neighborInvalid)
    }
    let problem: number
    if (type === Icmpv6Type.neighborSolicitation) problem = this.receiveSolicitation(packet, link)
    else if (type === Icmpv6Type.neighborAdvertisement) problem = this.receiveAdvertisement(packet, link)
    else if (type === Icmpv6Type.routerSolicitation) problem = this.receiveRouterSolicitation(packet, link)
    else problem = CLAIM_OK // another router's advertisement: our routes are given
    if (problem === CLAIM_OK) core.consume(frame)
    else core.drop(frame, problem)
  }

  private receiveSolicitation(packet: IpPacket, link: RouterInterface): number {
    const { bytes, transportAt, end, s0, s1, s2, s3, d0, d2 } = packet
    if (bytes[transportAt + ND_TARGET] === 0xff) return RouterDrop.neighborInvalid
    const target = wordsAt(bytes, transportAt + ND_TARGET)
    const isOurs = link.owns(6, ...target)
    const mac = ndLinkLayer(bytes, transportAt, end, NdOption.sourceLinkLayer)
    if ((s0 | s1 | s2 | s3) === 0) {
      // Duplicate address detection. Its destination is the solicited-node group, and it says nothing of the asker (RFC 4861 7.1.1).
      if (mac >= 0 || d0 >>> 24 !== 0xff || d2 !== 1) return RouterDrop.neighborInvalid
      // Everybody is told that the address is taken (7.2.4).
      if (isOurs && link.answers) this.advertise(link, target, ALL_NODES, ND_FLAG_ROUTER | ND_FLAG_OVERRIDE, 0x3333, 1)
      return CLAIM_OK
    }
    // Only a unicast question, of who knows our MAC, may be without the asker's.
    if (mac < 0 && d0 >>> 24 === 0xff) return RouterDrop.neighborInvalid
    const macAt = mac >= 0 ? mac : packet.at + ETHERNET_SOURCE
    const hi = macHi(bytes, macAt)
    const lo = macLo(bytes, macAt)
    const problem = this.learn(link, packet, bytes, macAt, isOurs ? Heard.question : Heard.announcement)
    if (problem !== CLAIM_OK) return problem
    const flags = ND_FLAG_ROUTER | ND_FLAG_SOLICITED | ND_FLAG_OVERRIDE
    if (isOurs && link.answers) this.advertise(link, target, [s0, s1, s2, s3], flags, hi, lo)
    return CLAIM_OK
  }

  /** Learns the sender's own address. */
  private learn(link: RouterInterface, packet: IpPacket, bytes: Uint8Array, macAt: number, how: number): number {
    const { s0, s1, s2, s3 } = packet
    const hi = macHi(bytes, macAt)
    const lo = macLo(bytes, macAt)
    if (isGroup(bytes, macAt) || (hi === 0 && lo === 0) || s0 >>> 24 === 0xff) return RouterDrop.neighborInvalid
    const verdict = this.claims.check(link, 6, s0, s1, s2, s3, hi, lo)
    if (verdict === RouterDrop.neighborElsewhere) return CLAIM_OK
    return verdict === CLAIM_OK ? this.core.neighbors.heard(link.number, 6, s0, s1, s2, s3, hi, lo, how, true) : verdict
  }

  private receiveAdvertisement(packet: IpPacket, link: RouterInterface): number {
    const { bytes, transportAt, end, d0 } = packet
    const flags = ndFlags(bytes, transportAt)
    const isSolicited = (flags & ND_FLAG_SOLICITED) !== 0
    // To a group nobody answers (RFC 4861 7.1.2).
    if (bytes[transportAt + ND_TARGET] === 0xff || (isSolicited && d0 >>> 24 === 0xff)) return RouterDrop.neighborInvalid
    const [w0, w1, w2, w3] = wordsAt(bytes, transportAt + ND_TARGET)
    const how = isSolicited ? Heard.answer : Heard.announcement
    const macAt = ndLinkLayer(bytes, transportAt, end, NdOption.targetLinkLayer)
    // Without a MAC it can only confirm the one that was asked.
    if (macAt < 0) {
      this.core.neighbors.heardAgain(link.number, 6, w0, w1, w2, w3, how)
      return CLAIM_OK
    }
    const hi = macHi(bytes, macAt)
    const lo = macLo(bytes, macAt)
    if (isGroup(bytes, macAt) || (hi === 0 && lo === 0)) return RouterDrop.neighborInvalid
    const verdict = this.claims.check(link, 6, w0, w1, w2, w3, hi, lo)
    if (verdict !== CLAIM_OK) return verdict
    return this.core.neighbors.heard(link.number, 6, w0, w1, w2, w3, hi, lo, how, (flags & ND_FLAG_OVERRIDE) !== 0)
  }

  private receiveRouterSolicitation(packet: IpPacket, link: RouterInterface): number {
    const { bytes, transportAt, end, s0, s1, s2, s3 } = packet
    const macAt = ndLinkLayer(bytes, transportAt, end, NdOption.sourceLinkLayer)
    if (macAt >= 0) {
      if ((s0 | s1 | s2 | s3) === 0) return RouterDrop.neighborInvalid
      // As RFC 4861 6.2.6 has it: the sender is about to talk to us.
      const problem = this.learn(link, packet, bytes, macAt, Heard.question)
      if (problem !== CLAIM_OK) return problem
    }
    this.solicited(link)
    return CLAIM_OK
  }

  /** Asks everybody for an address, or in a probe the station that had it. */
  solicit(link: RouterInterface, target: Words, isProbe: boolean, hi: number, lo: number): void {
    this.core.counters[Counter.neighborSolicitations]++
    const to = isProbe ? target : solicitedNode(target)
    const type = Icmpv6Type.neighborSolicitation
    this.send(link, type, 0, link.linkLocal, to, target, isProbe ? hi : 0x3333, isProbe ? lo : to[3])
  }

  private advertise(link: RouterInterface, target: Words, to: Words, flags: number, hi: number, lo: number): void {
    this.send(link, Icmpv6Type.neighborAdvertisement, flags, target, to, target, hi, lo)
  }

  private send(
    link: RouterInterface,
    type: number,
    flags: number,
    source: Words,
    destination: Words,
    target: Words,
    hi: number,
    lo: number
  ): void {
    const { core } = this
    const frame = core.output.build(6, source, destination, IpProtocol.icmpv6, MESSAGE_LENGTH, 0, ND_HOP_LIMIT)
    if (frame === NO_FRAME) return // who asked asks again
    const bytes = core.frames.bytes(frame)
    const at = core.frames.start[frame]
    const ipAt = at + ETHERNET_HEADER_LENGTH
    const message = ipAt + IPV6_HEADER_LENGTH
    setMac(bytes, at, hi, lo)
    setMac(bytes, at + ETHERNET_SOURCE, link.mac.hi, link.mac.lo)
    bytes.fill(0, message, message + ND_TARGET)
    bytes[message + ICMPV6_TYPE] = type
    bytes[message + ND_FLAGS] = flags
    putWords(bytes, message + ND_TARGET, target)
    bytes[message + OPTION_AT] = type === Icmpv6Type.neighborSolicitation ? NdOption.sourceLinkLayer : NdOption.targetLinkLayer
    bytes[message + OPTION_AT + 1] = 1 // in units of 8 bytes
    setMac(bytes, message + OPTION_AT + 2, link.mac.hi, link.mac.lo)
    fillIcmpv6Checksum(bytes, message, message + MESSAGE_LENGTH, ipAt)
    core.enter(frame)
    core.transmit(link.number, frame)
  }
}
