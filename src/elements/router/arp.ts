/**
 * ARP for IPv4, RFC 826 with RFC 5227: asks for next hops, answers for the router's own addresses, and for others as a proxy.
 */
import { type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import { isIpv4Loopback, isIpv4Multicast } from '../../wire/address.ts'
import {
  ARP_LENGTH,
  ARP_SENDER_MAC,
  ArpOperation,
  arpOperation,
  arpSenderIp,
  arpTargetIp,
  checkArp,
  setArpOperation,
  setArpSender,
  setArpTarget
} from '../../wire/arp.ts'
import {
  ETHERNET_DESTINATION,
  ETHERNET_HEADER_LENGTH,
  ETHERNET_SOURCE,
  EtherType,
  isGroup,
  macHi,
  macLo,
  setEtherType,
  setMac
} from '../../wire/ethernet.ts'
import type { Claims } from './claims.ts'
import { CLAIM_OK, Heard } from './neighbors.ts'
import { Counter, type RouterCore } from './router-core.ts'
import { RouterDrop } from './router-drop.ts'
import type { RouterInterface } from './router-interface.ts'
import { Own } from './routing.ts'

export class Arp {
  private readonly core: RouterCore
  private readonly claims: Claims

  constructor(core: RouterCore, claims: Claims) {
    this.core = core
    this.claims = claims
  }

  /** Takes an ARP frame that came in by `link`. */
  receive(frame: FrameHandle, link: RouterInterface): void {
    const { core } = this
    const { frames } = core
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const arp = at + ETHERNET_HEADER_LENGTH
    if (!checkArp(bytes, arp, at + frames.length[frame])) return core.drop(frame, RouterDrop.malformed)
    const sender = arpSenderIp(bytes, arp)
    const target = arpTargetIp(bytes, arp)
    const hi = macHi(bytes, arp + ARP_SENDER_MAC)
    const lo = macLo(bytes, arp + ARP_SENDER_MAC)
    const isNobody = isGroup(bytes, arp + ARP_SENDER_MAC) || isGroup(bytes, at + ETHERNET_SOURCE) || (hi === 0 && lo === 0)
    if (isNobody || isOdd(sender) || isOdd(target)) return core.drop(frame, RouterDrop.neighborInvalid)
    const operation = arpOperation(bytes, arp)
    if (operation !== ArpOperation.request && operation !== ArpOperation.reply) return core.drop(frame, RouterDrop.neighborInvalid)
    const isQuestion = operation === ArpOperation.request
    const isOurs = isQuestion && link.owns(4, target, 0, 0, 0)
    const isProxied = isQuestion && !isOurs && link.given.proxyArp === true && this.isElsewhere(target, link)
    const answerWay = isQuestion || isGroup(bytes, at) ? Heard.announcement : Heard.answer
    const problem = this.learn(link, sender, hi, lo, isOurs || isProxied ? Heard.question : answerWay)
    if (problem !== CLAIM_OK) return core.drop(frame, problem)
    if (isProxied || (isOurs && link.answers)) this.answer(frame, link, target, hi, lo, sender)
    else core.consume(frame)
  }

  /** CLAIM_OK also where there is nothing to learn: a probe (RFC 5227) has no sender address, and who is not on the link is none of ours. */
  private learn(link: RouterInterface, sender: number, hi: number, lo: number, how: number): number {
    if (sender === 0) return CLAIM_OK
    const verdict = this.claims.check(link, 4, sender, 0, 0, 0, hi, lo)
    if (verdict === RouterDrop.neighborElsewhere) return CLAIM_OK
    return verdict === CLAIM_OK ? this.core.neighbors.heard(link.number, 4, sender, 0, 0, 0, hi, lo, how, true) : verdict
  }

  /** Whether the router would send packets to an address by another interface. */
  private isElsewhere(target: number, link: RouterInterface): boolean {
    const { routing } = this.core
    if (routing.own(4, target, 0, 0, 0) !== Own.none) return false
    const route = routing.lookup(4, target, 0, 0, 0)
    return route !== null && route.interface !== link.number
  }

  /** Turns the question around in place: what was the sender becomes the target. */
  private answer(frame: FrameHandle, link: RouterInterface, address: number, hi: number, lo: number, asker: number): void {
    const { core } = this
    core.counters[Counter.consumed]++
    this.write(frame, link, ArpOperation.reply, hi, lo, address, asker, hi, lo)
  }

  /** Asks everybody for an address, or in a probe the station that had it. */
  ask(link: RouterInterface, address: number, isProbe: boolean, hi: number, lo: number): void {
    const { core } = this
    const source = link.source4(address)
    const frame = source === 0 ? NO_FRAME : core.frames.allocate(ETHERNET_HEADER_LENGTH + ARP_LENGTH)
    if (frame === NO_FRAME) return // the next question is a second away
    core.counters[Counter.arpRequests]++
    this.write(frame, link, ArpOperation.request, isProbe ? hi : 0xffff, isProbe ? lo : -1, source, address, 0, 0)
  }

  /** Writes and sends a whole frame to MAC `toHi`, `toLo`; the last two are the target MAC in the message. */
  private write(
    frame: FrameHandle,
    link: RouterInterface,
    operation: number,
    toHi: number,
    toLo: number,
    source: number,
    target: number,
    targetHi: number,
    targetLo: number
  ): void {
    const { core } = this
    const { frames } = core
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const arp = at + ETHERNET_HEADER_LENGTH
    const { mac } = link
    setMac(bytes, at + ETHERNET_DESTINATION, toHi, toLo)
    setMac(bytes, at + ETHERNET_SOURCE, mac.hi, mac.lo)
    setEtherType(bytes, at, EtherType.arp)
    setArpOperation(bytes, arp, operation)
    setArpSender(bytes, arp, mac.hi, mac.lo, source)
    setArpTarget(bytes, arp, targetHi, targetLo, target)
    frames.length[frame] = ETHERNET_HEADER_LENGTH + ARP_LENGTH
    core.enter(frame)
    core.transmit(link.number, frame)
  }
}

/** Addresses that no station has: nobody asks for them, nobody speaks for them. */
function isOdd(address: number): boolean {
  return isIpv4Multicast(address) || isIpv4Loopback(address) || address === -1
}
