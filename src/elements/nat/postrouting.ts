/**
 * What the router gives back, on its way out: may the flow be opened, where does it seem to come from, which way did it go.
 *
 *   frame --> new flow: policy, source, port; confirmed --> source translated --> path noted --> out
 *         \-> untracked: out as it is, but for the quotes of the router's own errors
 */
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, EtherType, etherType } from '../../wire/ethernet.ts'
import { ipv4Ttl } from '../../wire/ipv4.ts'
import { ipv6HopLimit } from '../../wire/ipv6.ts'
import { FlowStatus } from './conntrack.ts'
import type { FlowOpening } from './flow-opening.ts'
import { leaveError, leaveRouterError } from './icmp-errors.ts'
import { MARK_FLOW } from './known-ways.ts'
import { NatDrop } from './nat-drop.ts'
import { PacketKind, READ_OK } from './nat-packet.ts'
import { BELIEF, Counter, type NatTables } from './nat-tables.ts'
import { LEFT_ALONE } from './prerouting.ts'
import { isPartialAt, packetSize } from './shortcut.ts'
import { KEEP_PORT, rewriteSide } from './translate.ts'
import { readAddress, readPort } from './tuple.ts'

export class Postrouting {
  private readonly tables: NatTables
  private readonly opening: FlowOpening

  constructor(tables: NatTables, opening: FlowOpening) {
    this.tables = tables
    this.opening = opening
  }

  /** A frame from the router that leaves by interface `number`. */
  leave(frame: FrameHandle, number: number): void {
    const { tables } = this
    const { frames } = tables
    if (frames.length[frame] < ETHERNET_HEADER_LENGTH) return tables.drop(frame, NatDrop.runt)
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    tables.routerMac[2 * number] = readAddress(bytes, at + ETHERNET_SOURCE)
    tables.routerMac[2 * number + 1] = readPort(bytes, at + ETHERNET_SOURCE + 4)
    const type = etherType(bytes, at)
    const isIpv6 = type === EtherType.ipv6
    const mark = frames.mark[frame]
    const reference = mark < 0 ? mark : mark & MARK_FLOW
    if (type === EtherType.ipv4 || isIpv6) {
      const problem = reference < 0 ? this.leaveUntracked(frame, reference, isIpv6) : this.leaveTracked(frame, number, reference, isIpv6)
      if (problem !== READ_OK) return tables.drop(frame, problem)
    }
    tables.context.counters[Counter.txFrames]++
    const isLast = reference < 0 || !tables.packet.hasMore
    tables.context.transmit(2 * number, frame)
    // A packet that was cut on its way leaves in several frames.
    if (isLast) this.bury(reference)
  }

  private leaveUntracked(frame: FrameHandle, reference: number, isIpv6: boolean): number {
    if (reference === LEFT_ALONE) return NatDrop.untracked
    leaveRouterError(this.tables, frame, isIpv6)
    return READ_OK
  }

  /** READ_OK with the frame ready to go, or why it ends here. */
  private leaveTracked(frame: FrameHandle, number: number, reference: number, isIpv6: boolean): number {
    const { tables } = this
    const { frames, packet, flows } = tables
    const flow = reference >> 1
    const direction = reference & 1
    const at = frames.start[frame]
    const problem = packet.readOutgoing(frames.bytes(frame), at + ETHERNET_HEADER_LENGTH, at + frames.length[frame], isIpv6)
    if (problem !== READ_OK) return problem
    if (flow >= flows.end || flows.status[flow] === 0) return NatDrop.flowGone
    const isOf = packet.kind !== PacketKind.error && this.isOf(flow, direction)
    // Further fragments of an error have nothing of it but the addresses.
    const isError = packet.kind === PacketKind.error || (packet.kind === PacketKind.fragment && packet.isIcmp && !isOf)
    if (isError) return leaveError(tables, frame, reference) ? READ_OK : NatDrop.flowGone
    if (!isOf) return NatDrop.flowGone
    if ((flows.status[flow] & FlowStatus.confirmed) === 0) {
      const refusal = this.opening.confirm(frame, flow, direction, number)
      if (refusal !== READ_OK) {
        flows.remove(flow)
        return refusal
      }
    }
    if (direction === 1 && (flows.status[flow] & FlowStatus.proxied) !== 0) return this.answerAsProxy(frame, flow)
    const other = tables.otherTuple(flow, direction)
    const own = tables.ownTuple(flow, direction)
    const port = packet.kind === PacketKind.query && direction === 1 ? KEEP_PORT : other.destinationPort
    const isTranslated = other.destination !== own.source || (port !== KEEP_PORT && port !== own.sourcePort)
    // Before it is rewritten: whether the router let it pass whole, and by which way.
    const isPartial = isPartialAt(tables, frame, packet)
    if (isTranslated) {
      rewriteSide(packet, tables.addresses, true, other.destination, port, isPartial)
      frames.flags[frame] &= ~FrameFlag.captured
    }
    if (packet.kind <= PacketKind.query && !packet.isFragment) this.notePath(frame, flow, direction, number, reference)
    return READ_OK
  }

  /** An answer that Docker's UDP proxy would send: from the gateway of the client's network, whatever address was asked. */
  private answerAsProxy(frame: FrameHandle, flow: number): number {
    const { tables } = this
    const { flows, interfaces, packet, frames } = tables
    const ingress = interfaces.at(flows.places[flow] >>> 16)
    if (ingress === null) return NatDrop.noEgress
    const source = packet.isIpv6 ? ingress.gateway6 : ingress.gateway
    rewriteSide(packet, tables.addresses, true, source, tables.otherTuple(flow, 1).destinationPort, isPartialAt(tables, frame, packet))
    frames.flags[frame] &= ~FrameFlag.captured
    return READ_OK
  }

  /** Whether the packet at hand is one of this flow with its destination translated: the flow may be another one by now. */
  private isOf(flow: number, direction: number): boolean {
    const { tables } = this
    const { packet, addresses } = tables
    const own = tables.ownTuple(flow, direction)
    const other = tables.otherTuple(flow, direction)
    if (own.protocol !== packet.protocol || own.isIpv6 !== packet.isIpv6) return false
    const { tuple } = packet
    if (packet.kind === PacketKind.fragment) {
      if (packet.isIpv6) {
        const source = addresses.find(packet.bytes, packet.sourceAt)
        return source === own.source && addresses.find(packet.bytes, packet.destinationAt) === other.source
      }
      tuple.set(readAddress(packet.bytes, packet.sourceAt), readAddress(packet.bytes, packet.destinationAt), 0, 0, own.d)
      return tuple.source === own.source && tuple.destination === other.source
    }
    if (tuple.source !== own.source || tuple.destination !== other.source) return false
    if (packet.kind !== PacketKind.ports) return true
    return tuple.sourcePort === own.sourcePort && tuple.destinationPort === other.sourcePort
  }

  /** What the router did to a frame that it let pass whole, it would do to the next one. */
  private notePath(frame: FrameHandle, flow: number, direction: number, number: number, reference: number): void {
    const { tables } = this
    const { frames, packet, paths, entered } = tables
    if ((entered[frame] & -256) !== reference << 8 || packet.hasOptions) return
    const ttl = packet.isIpv6 ? ipv6HopLimit(packet.bytes, packet.ip) : ipv4Ttl(packet.bytes, packet.ip)
    const taken = (entered[frame] & 0xff) - ttl
    if (taken !== 0 && taken !== 1) return
    if ((frames.flags[frame] & FrameFlag.reassembled) !== 0) return
    paths.showFit(number, packetSize(tables, frame))
    const path = paths.note(frames, frame, tables.enteredBy[frame], number, taken)
    const own = tables.ownTuple(flow, direction)
    const other = tables.otherTuple(flow, direction)
    tables.believe(flow, direction, path, (tables.flows.tick + BELIEF) | 0)
    if (packet.isIpv6) return
    tables.ways.note(tables.enteredBy[frame], own.source, other.source, path, frames.mark[frame], (tables.flows.tick + BELIEF) | 0)
  }

  /** A flow that has ended goes with its last frame. */
  private bury(reference: number): void {
    const { flows } = this.tables
    if (reference < 0 || reference >> 1 >= flows.end) return
    if ((flows.status[reference >> 1] & FlowStatus.dying) !== 0) flows.remove(reference >> 1)
  }
}
