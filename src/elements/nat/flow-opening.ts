/**
 * The moment in which a flow's first frame leaves: may the flow be opened, and where does it seem to come from?
 */
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { FlowStatus, TIMEOUT_MASK, TIMEOUT_SHIFT } from './conntrack.ts'
import { ALLOWED } from './forward-policy.ts'
import { NO_ADDRESS } from './interned-addresses.ts'
import { NatDrop } from './nat-drop.ts'
import { type NatInterface, sourceFor } from './nat-interfaces.ts'
import { PacketKind, READ_OK } from './nat-packet.ts'
import { Counter, type NatTables } from './nat-tables.ts'
import { NO_PORT } from './port-allocation.ts'
import { Tuple } from './tuple.ts'

export class FlowOpening {
  /** What `decide` has made: the tuple of the flow's answers. */
  readonly reply = new Tuple()
  private readonly tables: NatTables

  constructor(tables: NatTables) {
    this.tables = tables
  }

  /**
   * The tentative flow's first frame leaves by interface `number`: READ_OK with the flow confirmed, or why it may not.
   * @param packet its own, as it is after destination translation: `tables.packet`, read or with its tuple set
   */
  confirm(frame: FrameHandle, flow: number, direction: number, number: number): number {
    const { tables, reply } = this
    const { flows, interfaces, packet, addresses } = tables
    if (direction !== 0 || packet.kind === PacketKind.fragment) return NatDrop.flowGone
    const ingress = interfaces.at(flows.places[flow] >>> 16)
    const egress = interfaces.at(number)
    if (ingress === null || egress === null) return NatDrop.noEgress
    const isDnat = (flows.status[flow] & FlowStatus.dnat) !== 0
    const refusal = this.decide(ingress, egress, isDnat, flow)
    if (refusal !== READ_OK) return refusal
    if (packet.isIpv6) {
      addresses.refer(reply.source)
      addresses.refer(reply.destination)
    }
    if (isDnat && this.isProxied(ingress, flow, packet.tuple.protocol, packet.isIpv6)) flows.status[flow] |= FlowStatus.proxied
    flows.setReply(flow, reply)
    this.settle(frame, flow, number)
    return READ_OK
  }

  /**
   * Policy, source and port of a new flow, of the packet at hand: READ_OK with `reply` made, or why not.
   * @param own the flow, which is not changed; NO_FLOW: it is yet to begin
   */
  decide(ingress: NatInterface, egress: NatInterface, isDnat: boolean, own: number): number {
    const { tables, reply } = this
    const { flows, packet, policy } = tables
    const { tuple, isIpv6 } = packet
    const refusal = policy.judge(ingress, egress, isDnat, tuple)
    if (refusal !== ALLOWED) return refusal
    const { source, destination } = tuple
    const newSource = sourceFor(ingress, egress, isDnat, source, isIpv6)
    reply.setOpposite(tuple)
    if (newSource !== source) reply.set(destination, newSource, reply.sourcePort, reply.destinationPort, reply.d)
    if (packet.kind === PacketKind.other) {
      if (!flows.vacate(reply, own)) return NatDrop.clash
    } else if (tables.ports.choose(reply, source, tuple.sourcePort, packet.kind === PacketKind.query, own) === NO_PORT) {
      return NatDrop.portsExhausted
    }
    if (!isIpv6) {
      tables.lastSource = newSource
      tables.lastTarget = destination
      tables.lastTargetPort = isDnat ? tuple.destinationPort : -1
    }
    return READ_OK
  }

  /** The flow of the packet at hand, which has its `reply`, is found by both tuples from now on. */
  settle(frame: FrameHandle, flow: number, number: number): void {
    const { tables, reply } = this
    const { flows, packet, ports, context, frames, interfaces } = tables
    const { source, sourcePort } = packet.tuple
    const isElsewhere = reply.destination !== source
    const hasOtherPort = reply.destinationPort !== sourcePort
    if (isElsewhere || hasOtherPort) flows.status[flow] |= FlowStatus.snat
    flows.confirm(flow, number)
    if (isElsewhere && (hasOtherPort || ports.endpointIndependent)) flows.map(flow)
    flows.refresh(flow, (flows.status[flow] >>> TIMEOUT_SHIFT) & TIMEOUT_MASK)
    context.counters[Counter.flowsOpened]++
    if ((frames.flags[frame] & FrameFlag.traced) === 0) return
    const from = interfaces.at(flows.places[flow] >>> 16)
    context.trace(frame, `flow opened from ${from?.spec.name} to ${interfaces.at(number)?.spec.name}`)
  }

  /** Whether the answers of a new flow to a published port come from the gateway of the client's network. */
  private isProxied(ingress: NatInterface, flow: number, protocol: number, isIpv6: boolean): boolean {
    const { tables } = this
    if (!tables.settings.udpProxyAnswers || ingress.isUplink || protocol !== IpProtocol.udp) return false
    const asked = tables.ownTuple(flow, 0).destination
    return (isIpv6 ? ingress.gateway6 !== NO_ADDRESS : ingress.hasGateway) && !tables.interfaces.isInsideGateway(asked, isIpv6)
  }
}
