/**
 * The moment in which a flow's first frame leaves: may the flow be opened, and where does it seem to come from?
 */
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { FlowStatus, NO_FLOW, TIMEOUT_MASK, TIMEOUT_SHIFT } from './conntrack.ts'
import { ALLOWED } from './forward-policy.ts'
import { NO_ADDRESS } from './interned-addresses.ts'
import { NatDrop } from './nat-drop.ts'
import { type NatInterface, sourceFor } from './nat-interfaces.ts'
import { PacketKind, READ_OK } from './nat-packet.ts'
import { Counter, type NatTables } from './nat-tables.ts'
import { NO_PORT } from './port-allocation.ts'
import { Tuple } from './tuple.ts'

export class FlowOpening {
  private readonly tables: NatTables
  private readonly reply = new Tuple()

  constructor(tables: NatTables) {
    this.tables = tables
  }

  /**
   * The tentative flow's first frame leaves by interface `number`: READ_OK with the flow confirmed, or why it may not.
   * @param packet its own, as it is after destination translation: `tables.packet`, read or with its tuple set
   */
  confirm(frame: FrameHandle, flow: number, direction: number, number: number): number {
    const { tables, reply } = this
    const { flows, interfaces, packet, policy, addresses, context, frames } = tables
    if (direction !== 0 || packet.kind === PacketKind.fragment) return NatDrop.flowGone
    const ingress = interfaces.at(flows.places[flow] >>> 16)
    const egress = interfaces.at(number)
    if (ingress === null || egress === null) return NatDrop.noEgress
    const isDnat = (flows.status[flow] & FlowStatus.dnat) !== 0
    const { tuple, isIpv6 } = packet
    const refusal = policy.judge(ingress, egress, isDnat, tuple)
    if (refusal !== ALLOWED) return refusal
    const source = sourceFor(ingress, egress, isDnat, tuple.source, isIpv6)
    reply.setOpposite(tuple)
    reply.set(tuple.destination, source, reply.sourcePort, reply.destinationPort, reply.d)
    if (packet.kind === PacketKind.other) {
      if (flows.look(reply) !== NO_FLOW) return NatDrop.clash
    } else if (tables.ports.choose(reply, tuple.source, tuple.sourcePort, packet.kind === PacketKind.query) === NO_PORT) {
      return NatDrop.portsExhausted
    }
    if (isIpv6) {
      addresses.refer(reply.source)
      addresses.refer(reply.destination)
    } else {
      tables.lastSource = source
    }
    if (source !== tuple.source || reply.destinationPort !== tuple.sourcePort) flows.status[flow] |= FlowStatus.snat
    if (isDnat && this.isProxied(ingress, flow, tuple.protocol, isIpv6)) flows.status[flow] |= FlowStatus.proxied
    flows.setReply(flow, reply)
    flows.confirm(flow, number)
    const isMoved = source !== tuple.source && reply.destinationPort !== tuple.sourcePort
    if (isMoved || (tables.ports.endpointIndependent && source !== tuple.source)) flows.map(flow)
    flows.refresh(flow, (flows.status[flow] >>> TIMEOUT_SHIFT) & TIMEOUT_MASK)
    context.counters[Counter.flowsOpened]++
    if ((frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, `flow opened from ${ingress.spec.name} to ${egress.spec.name}`)
    return READ_OK
  }

  /** Whether the answers of a new flow to a published port come from the gateway of the client's network. */
  private isProxied(ingress: NatInterface, flow: number, protocol: number, isIpv6: boolean): boolean {
    const { tables } = this
    if (!tables.settings.udpProxyAnswers || ingress.isUplink || protocol !== IpProtocol.udp) return false
    const asked = tables.ownTuple(flow, 0).destination
    return (isIpv6 ? ingress.gateway6 !== NO_ADDRESS : ingress.hasGateway) && !tables.interfaces.isInsideGateway(asked, isIpv6)
  }
}
