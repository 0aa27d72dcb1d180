/**
 * What comes in from bridges and uplinks: which flow it belongs to, and where it is really going.
 *
 *   frame --> sound? may it come from here? --> flow, known or tentative --> state --> destination translated --> router
 *                                                                    \--> path believed: source translated --> out at once
 */
import { FrameFlag, type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import { isIpv6LinkLocal } from '../../wire/address.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, etherType, isGroup } from '../../wire/ethernet.ts'
import { IpProtocol, ipv4Ttl } from '../../wire/ipv4.ts'
import { ipv6HopLimit } from '../../wire/ipv6.ts'
import { TcpFlag, tcpFlags } from '../../wire/tcp.ts'
import { Reassembler } from '../fragment/reassembler.ts'
import { DIRECTION_WORDS, FLOW_WORDS, FlowStatus, NO_FLOW, PACKETS } from './conntrack.ts'
import { enterError } from './icmp-errors.ts'
import { GUEST, judgeAddresses } from './judge-addresses.ts'
import { NatDrop } from './nat-drop.ts'
import { type NatPacket, PacketKind, READ_OK } from './nat-packet.ts'
import { Counter, type NatTables } from './nat-tables.ts'
import type { PublishedEntry } from './published-ports.ts'
import { isPartialAt, type Shortcut } from './shortcut.ts'
import { TcpVerdict } from './tcp-tracker.ts'
import { TimeoutIndex } from './timeouts.ts'
import { KEEP_PORT, rewriteSide } from './translate.ts'
import { icmpBegins, readAddress, readPort, Tuple } from './tuple.ts'

/** `frames.mark` of what only the router itself may get. It keeps marks on what it forwards: nothing leaves with this one. */
export const LEFT_ALONE = -2
const ENDS = TcpFlag.syn | TcpFlag.fin | TcpFlag.rst

export class Prerouting {
  readonly reassembler: Reassembler
  private readonly tables: NatTables
  private readonly shortcut: Shortcut
  private readonly reply = new Tuple()
  /** The packet at hand has the address of another network of ours. */
  private isGuest = false

  constructor(tables: NatTables, shortcut: Shortcut) {
    this.tables = tables
    this.shortcut = shortcut
    this.reassembler = new Reassembler(tables.context)
  }

  /** A frame that came in by interface `number`. */
  enter(received: FrameHandle, number: number): void {
    const { tables } = this
    const { frames, packet } = tables
    let frame = received
    let bytes = frames.bytes(frame)
    let at = frames.start[frame]
    if (frames.length[frame] < ETHERNET_HEADER_LENGTH) return tables.drop(frame, NatDrop.runt)
    const type = etherType(bytes, at)
    const isIpv6 = type === EtherType.ipv6
    if (isGroup(bytes, at) || (type !== EtherType.ipv4 && !isIpv6)) return this.leaveAlone(frame, number)
    if (!this.isForRouter(bytes, at, number)) return this.leaveAlone(frame, number)
    const ingress = tables.interfaces.at(number)
    if (ingress === null) return tables.drop(frame, NatDrop.unknownInterface)
    let problem = packet.read(bytes, at + ETHERNET_HEADER_LENGTH, at + frames.length[frame], isIpv6)
    if (problem !== READ_OK) return tables.drop(frame, problem)
    if (packet.kind === PacketKind.local) return this.leaveAlone(frame, number)
    if (isIpv6 && this.isLinkLocal(packet)) return this.leaveAlone(frame, number)
    problem = judgeAddresses(tables.interfaces, ingress, packet.bytes, packet.sourceAt, packet.destinationAt, isIpv6)
    this.isGuest = problem === GUEST
    if (problem !== READ_OK && !this.isGuest) return tables.drop(frame, problem)
    if (packet.isFragment) {
      frame = this.reassembler.add(frame, number)
      if (frame === NO_FRAME) return
      bytes = frames.bytes(frame)
      at = frames.start[frame]
      problem = packet.read(bytes, at + ETHERNET_HEADER_LENGTH, at + frames.length[frame], isIpv6)
      if (problem !== READ_OK) return tables.drop(frame, problem)
    }
    // Padding of short frames ends here, as in Linux.
    frames.length[frame] = packet.end - at
    if (packet.kind !== PacketKind.error) this.enterFlow(frame, number)
    else if (this.isGuest) tables.drop(frame, NatDrop.spoofed)
    else if (!enterError(tables, frame, number)) this.leaveAlone(frame, number)
  }

  /** False for what a bridge floods and is for another station: no flow of ours. True while the router's MAC was not seen yet. */
  private isForRouter(bytes: Uint8Array, at: number, number: number): boolean {
    const { routerMac } = this.tables
    const tail = routerMac[2 * number + 1]
    return tail < 0 || (readPort(bytes, at + 4) === tail && readAddress(bytes, at) === routerMac[2 * number])
  }

  /** For the router alone. */
  private leaveAlone(frame: FrameHandle, number: number): void {
    const { tables } = this
    tables.frames.mark[frame] = LEFT_ALONE
    tables.context.counters[Counter.untracked]++
    tables.context.transmit(2 * number + 1, frame)
  }

  private isLinkLocal(packet: NatPacket): boolean {
    return isIpv6LinkLocal(packet.bytes, packet.sourceAt) || isIpv6LinkLocal(packet.bytes, packet.destinationAt)
  }

  private enterFlow(frame: FrameHandle, number: number): void {
    const { tables } = this
    const { flows, packet } = tables
    let reference = flows.look(packet.tuple)
    let verdict: number = TcpVerdict.reopen
    if (reference !== NO_FLOW && packet.protocol === IpProtocol.tcp && (flows.status[reference >> 1] & FlowStatus.confirmed) === 0) {
      // Nothing of a tentative connection has left: it begins with this segment, as if there had been none before.
      flows.remove(reference >> 1)
      reference = NO_FLOW
    }
    if (reference !== NO_FLOW) {
      if (this.isGuest && (reference & 1) === 0) return tables.drop(frame, NatDrop.spoofed)
      if (!this.isWhole(frame)) return tables.drop(frame, NatDrop.badChecksum)
      verdict = tables.follow(reference >> 1, reference & 1, false)
      // A new connection between the same ends: the old one makes room.
      if (verdict === TcpVerdict.reopen) flows.remove(reference >> 1)
    }
    if (verdict === TcpVerdict.reopen) {
      reference = this.open(frame, number)
      if (reference === NO_FLOW) return
      verdict = TcpVerdict.pass
    }
    if (verdict !== TcpVerdict.pass) {
      return tables.drop(frame, verdict === TcpVerdict.invalid ? NatDrop.invalidState : NatDrop.outOfWindow)
    }
    this.forward(frame, number, reference)
  }

  /** Segments that begin or end a connection must be whole: a forged or damaged one would end it. */
  private isWhole(frame: FrameHandle): boolean {
    const { packet, frames } = this.tables
    if (packet.protocol !== IpProtocol.tcp || (tcpFlags(packet.bytes, packet.transport) & ENDS) === 0) return true
    return packet.hasGoodChecksum(frames.flags[frame])
  }

  /** A new flow: its reference; NO_FLOW when the frame has gone another way. */
  private open(frame: FrameHandle, number: number): number {
    const { tables, reply } = this
    const { flows, eviction, packet, published, interfaces, frames } = tables
    const { tuple, isIpv6, kind } = packet
    const target = kind === PacketKind.ports ? published.find(packet.protocol, tuple.destination, tuple.destinationPort, isIpv6) : null
    if (target === null && !this.isGuest && interfaces.isGateway(tuple.destination, isIpv6)) {
      this.leaveAlone(frame, number)
      return NO_FLOW
    }
    const problem = this.isGuest ? NatDrop.spoofed : this.judgeFirst(frame)
    if (problem !== READ_OK) {
      tables.drop(frame, problem)
      return NO_FLOW
    }
    if (flows.size >= flows.capacity) {
      if (!eviction.evict()) {
        tables.context.counters[Counter.flowsRefused]++
        tables.drop(frame, NatDrop.tableFull)
        return NO_FLOW
      }
      tables.context.counters[Counter.flowsEvicted]++
    }
    if (isIpv6) this.takeAddresses(packet, target)
    reply.setOpposite(tuple)
    if (target !== null) reply.set(target.target, tuple.source, target.targetPort, tuple.sourcePort, tuple.d)
    const flow = flows.begin(tuple, reply, number, (flows.tick + flows.timeouts[TimeoutIndex.tentative]) | 0)
    if (target !== null) flows.status[flow] |= FlowStatus.dnat
    const verdict = tables.follow(flow, 0, true)
    if (verdict === TcpVerdict.pass) {
      if ((frames.flags[frame] & FrameFlag.traced) !== 0) {
        tables.context.trace(
          frame,
          target === null ? 'new flow' : `new flow to published port ${target.spec.target}:${target.spec.targetPort}`
        )
      }
      return flow << 1
    }
    flows.remove(flow)
    tables.drop(frame, NatDrop.invalidState)
    return NO_FLOW
  }

  /** READ_OK, or why the packet may not begin a flow. */
  private judgeFirst(frame: FrameHandle): number {
    const { packet, tcp, frames } = this.tables
    const { protocol, kind, tuple } = packet
    if (protocol === IpProtocol.tcp && !tcp.mayBegin(packet.bytes, packet.transport)) return NatDrop.invalidState
    if (kind === PacketKind.query && !icmpBegins(tuple.icmpType, packet.isIpv6)) return NatDrop.invalidState
    return packet.hasGoodChecksum(frames.flags[frame]) ? READ_OK : NatDrop.badChecksum
  }

  /** Numbers for the packet's addresses, with references for both tuples of a new flow. */
  private takeAddresses(packet: NatPacket, target: PublishedEntry | null): void {
    const { addresses } = this.tables
    const { bytes, sourceAt, destinationAt, tuple } = packet
    const source = addresses.take(bytes, sourceAt)
    const destination = addresses.take(bytes, destinationAt)
    addresses.refer(source)
    addresses.refer(target === null ? destination : target.target)
    tuple.set(source, destination, tuple.sourcePort, tuple.destinationPort, tuple.d)
  }

  /** Sends a packet of a flow on: out at once by a path that is known, or to the router. */
  private forward(frame: FrameHandle, number: number, reference: number): void {
    const { tables } = this
    const { frames, packet, addresses, flows, context } = tables
    const flow = reference >> 1
    const direction = reference & 1
    const isPartial = isPartialAt(tables, frame, packet)
    const other = tables.otherTuple(flow, direction)
    // The identifier of a query belongs to the side that is the flow's own: its source at first, its destination in answers.
    const port = packet.kind === PacketKind.query && direction === 0 ? KEEP_PORT : other.sourcePort
    const { tuple } = packet
    if (other.source !== tuple.destination || (port !== KEEP_PORT && port !== tuple.destinationPort)) {
      rewriteSide(packet, addresses, false, other.source, port, isPartial)
      frames.flags[frame] &= ~FrameFlag.captured
    }
    flows.core[flow * FLOW_WORDS + direction * DIRECTION_WORDS + PACKETS]++
    if (this.shortcut.take(frame, number, flow, direction, isPartial)) return
    const ttl = packet.isIpv6 ? ipv6HopLimit(packet.bytes, packet.ip) : ipv4Ttl(packet.bytes, packet.ip)
    tables.entered[frame] = (reference << 8) | ttl
    tables.enteredBy[frame] = number
    frames.mark[frame] = reference
    context.transmit(2 * number + 1, frame)
  }
}
