/**
 * Past the router: a frame leaves at once by the path that its flow believes in, its source translated, one hop less.
 *
 * A flow without such a belief takes a way that other flows have shown (`known-ways`), its first frame too: the router looks at addresses,
 * TTL and length. So of many short flows a frame a second of each sender and to each network goes the long way.
 */
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { decrementIpv4Ttl, IpProtocol, ipv4Ttl } from '../../wire/ipv4.ts'
import { ipv6HopLimit, setIpv6HopLimit } from '../../wire/ipv6.ts'
import { TcpFlag, tcpFlags, tcpHeaderLength } from '../../wire/tcp.ts'
import { UDP_HEADER_LENGTH } from '../../wire/udp.ts'
import { BELIEVED, DIRECTION_WORDS, FLOW_WORDS, FlowStatus, PATH } from './conntrack.ts'
import type { FlowOpening } from './flow-opening.ts'
import { type NatPacket, PacketKind, READ_OK } from './nat-packet.ts'
import { Counter, type NatTables } from './nat-tables.ts'
import { PATH_MACS, PATH_NUMBER_MASK, PATH_PORTS, PATH_TTL, PATH_WORDS } from './paths.ts'
import { KEEP_PORT, rewriteSide } from './translate.ts'

/** Segments after which a connection may be over. */
const LAST = TcpFlag.fin | TcpFlag.rst

export class Shortcut {
  private readonly tables: NatTables
  private readonly opening: FlowOpening

  constructor(tables: NatTables, opening: FlowOpening) {
    this.tables = tables
    this.opening = opening
  }

  /** Sends the packet at hand, its destination translated, off by a known path, or drops it: true. False: it needs the router. */
  take(frame: FrameHandle, number: number, flow: number, direction: number, isPartial: boolean): boolean {
    const { tables } = this
    const { flows, ways, packet, paths } = tables
    const { core } = flows
    const word = flow * FLOW_WORDS + direction * DIRECTION_WORDS
    let reference = core[word + PATH]
    const isBelieved = (reference & ~PATH_NUMBER_MASK) === paths.epoch && ((core[word + BELIEVED] - flows.tick) | 0) > 0
    if (!isBelieved) {
      if (packet.isIpv6) return false
      if (!ways.find(number, packet.tuple.source, tables.otherTuple(flow, direction).source, flows.tick)) return false
      reference = ways.path
    }
    const path = (reference & PATH_NUMBER_MASK) * PATH_WORDS
    if (!this.mayTake(path, frame, number, flow, direction)) return false
    if ((flows.status[flow] & FlowStatus.confirmed) === 0) {
      const refusal = this.open(frame, flow, direction, paths.words[path + PATH_PORTS] & 0xffff)
      if (refusal !== READ_OK) {
        flows.remove(flow)
        tables.drop(frame, refusal)
        return true
      }
    }
    if (!isBelieved) tables.believe(flow, direction, reference, ways.until)
    this.leave(path, frame, flow, direction, isPartial)
    return true
  }

  private mayTake(path: number, frame: FrameHandle, number: number, flow: number, direction: number): boolean {
    const { flows, paths, frames, packet, settings, routerMac } = this.tables
    const ports = paths.words[path + PATH_PORTS]
    const status = flows.status[flow]
    if (!settings.fastPath || (status & FlowStatus.dying) !== 0) return false
    // Its answers get another source than their own tuple says.
    if (direction === 1 && (status & FlowStatus.proxied) !== 0) return false
    if (ports >>> 16 !== number || packet.hasOptions || packet.isFragment || packet.kind > PacketKind.query) return false
    if ((frames.flags[frame] & (FrameFlag.reassembled | FrameFlag.traced)) !== 0) return false
    const { bytes, ip, transport, protocol } = packet
    if ((packet.isIpv6 ? ipv6HopLimit(bytes, ip) : ipv4Ttl(bytes, ip)) <= 1) return false
    if (protocol === IpProtocol.tcp && (tcpFlags(bytes, transport) & LAST) !== 0) return false
    // While the router's MAC was not seen, the frame may be for somebody else.
    if (routerMac[2 * number + 1] < 0) return false
    return packetSize(this.tables, frame) <= paths.fits[ports & 0xffff]
  }

  /** READ_OK with the flow confirmed, or why it may not be opened. */
  private open(frame: FrameHandle, flow: number, direction: number, egress: number): number {
    const { tables } = this
    const { packet } = tables
    const { tuple } = packet
    const { source, sourcePort } = tables.otherTuple(flow, direction)
    // As the packet is now, its destination translated.
    if (packet.kind === PacketKind.ports) tuple.set(tuple.source, source, tuple.sourcePort, sourcePort, tuple.d)
    return this.opening.confirm(frame, flow, direction, egress)
  }

  private leave(path: number, frame: FrameHandle, flow: number, direction: number, isPartial: boolean): void {
    const { tables } = this
    const { paths, packet, frames, addresses, context } = tables
    const { words } = paths
    const { bytes, ip, tuple } = packet
    const other = tables.otherTuple(flow, direction)
    const port = packet.kind === PacketKind.query && direction === 1 ? KEEP_PORT : other.destinationPort
    if (other.destination !== tuple.source || (port !== KEEP_PORT && port !== tuple.sourcePort)) {
      rewriteSide(packet, addresses, true, other.destination, port, isPartial)
    }
    if (words[path + PATH_TTL] !== 0) {
      if (packet.isIpv6) setIpv6HopLimit(bytes, ip, ipv6HopLimit(bytes, ip) - 1)
      else decrementIpv4Ttl(bytes, ip)
    }
    const at = frames.start[frame]
    for (let i = 0; i < 12; i++) bytes[at + i] = words[path + PATH_MACS + (i >> 2)] >>> ((i & 3) << 3)
    frames.flags[frame] &= ~FrameFlag.captured
    context.counters[Counter.fastFrames]++
    context.counters[Counter.txFrames]++
    context.transmit(2 * (words[path + PATH_PORTS] & 0xffff), frame)
  }
}

/** Whether the frame's partial checksum is that of the packet's transport. */
export function isPartialAt(tables: NatTables, frame: FrameHandle, packet: NatPacket): boolean {
  const { frames } = tables
  return (frames.flags[frame] & FrameFlag.csum) !== 0 && frames.start[frame] + frames.csumStart[frame] === packet.transport
}

/** Bytes of the packet, or of the largest segment of a super-frame: what an MTU is held against. */
export function packetSize(tables: NatTables, frame: FrameHandle): number {
  const { frames, packet } = tables
  if ((frames.flags[frame] & FrameFlag.gso) === 0) return packet.end - packet.ip
  const header = packet.protocol === IpProtocol.tcp ? tcpHeaderLength(packet.bytes, packet.transport) : UDP_HEADER_LENGTH
  return packet.transport - packet.ip + header + frames.gsoSize[frame]
}
