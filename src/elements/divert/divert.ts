/**
 * The host as a station of a bridge network: host and router share the gateway's MAC, and this says which frame is whose.
 *
 *   bridge --3i--> | group, ARP, ND            --> both   | --3i+1--> router (NAT)
 *                  | published, NAT's answers  --> router | --3i+2--> the host's TAP
 *                  | address of the host       --> host   |
 *                  | everything else           --> router |
 *   router, host --> bridge
 *
 * i is the number of the gateway. `verdict` decides and changes nothing; see the README for the order.
 */
import { EngineDrop } from '../../engine/drop-reason.ts'
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { FrameFlag, type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import type { Link } from '../../engine/link.ts'
import { isIpv4Loopback } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_TYPE, EtherType, etherType } from '../../wire/ethernet.ts'
import { Icmpv6Type } from '../../wire/icmpv6.ts'
import { IPV4_DESTINATION, IPV4_HEADER_LENGTH, IPV4_SOURCE, IpProtocol, verifyIpv4Checksum } from '../../wire/ipv4.ts'
import { PacketView } from '../../wire/packet-view.ts'
import { fragmentIpv4 } from '../fragment/fragment-ipv4.ts'
import { fragmentIpv6 } from '../fragment/fragment-ipv6.ts'
import { Reassembler } from '../fragment/reassembler.ts'
import { DivertDrop } from './divert-drop.ts'
import { type DivertChange, DivertTables, GATEWAYS_MAX } from './divert-tables.ts'
import { FlowMemory } from './flow-memory.ts'

/** Ports of gateway i, from 3i on. */
export const DivertPort = { bridge: 0, router: 1, host: 2 } as const
const SIDES = 3

export interface DivertOptions {
  /** MAC of gateway 0. */
  readonly mac?: string
}

/** Of an address's first 16 bits: the address is a group's. */
const GROUP_BIT = 0x0100
// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const ipv4Type = EtherType.ipv4
const ipv6Type = EtherType.ipv6
const FLOWS = 65_536
const NO_LIMIT = 65_535
const Counter = {
  toRouter: 0,
  toHost: 1,
  toBoth: 2,
  toBridge: 3,
  copies: 4,
  copyFailures: 5,
  reassembled: 6,
  flows: 7,
  flowsDisplaced: 8
} as const

/** What becomes of a frame from the bridge. */
const Verdict = { router: 0, host: 1, both: 2, runt: 3, notOurs: 4, reassemble: 5 } as const
const WHY = ['', 'an address of the host', 'group, ARP or neighbor discovery', 'runt', 'not the MAC of the gateway', 'fragment to the host']

export class Divert implements Element {
  private readonly context: ElementContext
  private readonly tables = new DivertTables()
  private readonly flows: FlowMemory
  private readonly reassembler: Reassembler
  private readonly packet = new PacketView()
  /** The host's side of the gateway whose frame is being cut. */
  private cutTo = 0
  private readonly emitCut = (fragment: FrameHandle): void => this.context.transmit(this.cutTo, fragment)

  /** Throws DivertError. */
  constructor(context: ElementContext, options: DivertOptions) {
    this.context = context
    this.flows = new FlowMemory(context.random, FLOWS)
    this.reassembler = new Reassembler(context)
    this.reconfigure(options)
  }

  reconfigure(options: Plain): boolean {
    const { mac } = (options ?? {}) as DivertOptions
    if (mac !== undefined) this.tables.update({ gateways: { 0: mac } })
    return true
  }

  /** A DivertChange. */
  update(change: Plain): Plain {
    return this.tables.update(change as DivertChange)
  }

  push(): void {
    const { context } = this
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      const side = port % SIDES
      if (side !== DivertPort.bridge) this.toBridge(rx, side, port - side)
      else while (!rx.empty) this.fromBridge(rx.receive(), port)
    }
    const { counters } = context
    counters[Counter.reassembled] = this.reassembler.datagrams
    counters[Counter.flows] = this.flows.learned
    counters[Counter.flowsDisplaced] = this.flows.displaced
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    if (verb === 'tables') return reply(null, { ...this.tables.describe(), flows: this.flows.size })
    if (verb !== 'explain') return reply(new Error(`a divert knows the commands explain and tables, not '${verb}'`))
    const { port = 0, frame } = (argument ?? {}) as { port?: number; frame?: Uint8Array }
    if (!(frame instanceof Uint8Array)) return reply(new TypeError('explain: the argument must be { port: number, frame: Uint8Array }'))
    if (port % SIDES !== DivertPort.bridge) return reply(null, { to: 'bridge', why: 'everything from router and host' })
    const verdict = this.verdict(frame, viewOf(frame), 0, frame.length, port / SIDES)
    const to = (['router', 'host', 'both', null, null, 'host'] as const)[verdict]
    reply(null, { to, why: verdict === Verdict.router ? this.whyRouter(frame) : WHY[verdict] })
  }

  close(): void {
    this.reassembler.close()
  }

  private fromBridge(frame: FrameHandle, port: number): void {
    const { context } = this
    const { frames, counters } = context
    const at = frames.start[frame]
    const verdict = this.verdict(frames.bytes(frame), frames.view(frame), at, at + frames.length[frame], (port / SIDES) | 0)
    if ((frames.flags[frame] & FrameFlag.traced) !== 0) context.trace(frame, `divert: ${WHY[verdict] || 'to the router'}`)
    if (verdict === Verdict.router) {
      counters[Counter.toRouter]++
      context.transmit(port + DivertPort.router, frame)
    } else if (verdict === Verdict.host) this.toHost(frame, port)
    else if (verdict === Verdict.both) this.toBoth(frame, port)
    else if (verdict === Verdict.reassemble) this.reassemble(frame, port)
    else context.drop(frame, verdict === Verdict.runt ? DivertDrop.runt : DivertDrop.notOurs)
  }

  /** A broken header is the host's to judge: the reassembler believes what it says. */
  private reassemble(frame: FrameHandle, port: number): void {
    const { frames } = this.context
    const bytes = frames.bytes(frame)
    const ip = frames.start[frame] + ETHERNET_HEADER_LENGTH
    if (isIpv4(bytes, ip) && !verifyIpv4Checksum(bytes, ip)) return this.toHost(frame, port)
    const whole = this.reassembler.add(frame, port)
    if (whole !== NO_FRAME) this.fromBridge(whole, port)
  }

  private toHost(frame: FrameHandle, port: number): void {
    const { context } = this
    const { frames } = context
    context.counters[Counter.toHost]++
    this.cutTo = port + DivertPort.host
    if ((frames.flags[frame] & FrameFlag.reassembled) === 0) return context.transmit(this.cutTo, frame)
    const cut = isIpv4(frames.bytes(frame), frames.start[frame] + ETHERNET_HEADER_LENGTH) ? fragmentIpv4 : fragmentIpv6
    if (cut(frames, frame, NO_LIMIT, this.emitCut) === 0) context.drop(frame, EngineDrop.poolExhausted)
  }

  private toBoth(frame: FrameHandle, port: number): void {
    const { context } = this
    const { counters } = context
    counters[Counter.toBoth]++
    const copy = context.frames.copy(frame)
    counters[copy === NO_FRAME ? Counter.copyFailures : Counter.copies]++
    if (copy !== NO_FRAME) context.transmit(port + DivertPort.host, copy)
    context.transmit(port + DivertPort.router, frame)
  }

  private toBridge(rx: Link, side: number, bridge: number): void {
    const { context } = this
    const out = context.ports[bridge]
    context.counters[Counter.toBridge] += rx.size
    while (!rx.empty) {
      const frame = rx.receive()
      this.listen(frame, side)
      if (out) out.tx.transmit(frame)
      else context.transmit(bridge, frame)
    }
  }

  /** Who speaks to the bridge from an address of the host gets the answers. */
  private listen(frame: FrameHandle, side: number): void {
    const { flows, packet, tables } = this
    if (side === DivertPort.host && flows.size === 0) return
    const { frames } = this.context
    const view = frames.view(frame)
    const at = frames.start[frame]
    const end = at + frames.length[frame]
    const ip = at + ETHERNET_HEADER_LENGTH
    if (end < ip + IPV4_HEADER_LENGTH) return
    const type = view.getUint16(at + ETHERNET_TYPE)
    if (type === ipv4Type) {
      // Most of what the router forwards is from elsewhere.
      if (side === DivertPort.router && !tables.hosts.has4(view.getInt32(ip + IPV4_SOURCE))) return
      if (!packet.readIpv4(frames.bytes(frame), ip, end)) return
    } else {
      const bytes = frames.bytes(frame)
      if (type !== ipv6Type || !packet.readIpv6(bytes, ip, end)) return
      if (side === DivertPort.router && !tables.hosts.has6(bytes, packet.sourceAt)) return
    }
    if (packet.sourcePort < 0) return
    if (side === DivertPort.router) flows.learn(packet)
    else flows.forget(packet)
  }

  /** What becomes of the frame in [at, end) that came from the bridge of a gateway; one of `Verdict`. `view` is of the same bytes. */
  private verdict(bytes: Uint8Array, view: DataView, at: number, end: number, gateway: number): number {
    if (end - at < ETHERNET_HEADER_LENGTH) return Verdict.runt
    const hi = view.getUint16(at)
    if ((hi & GROUP_BIT) !== 0) return Verdict.both
    const mac = this.tables.gateways[gateway] ?? null
    if (mac === null || view.getInt32(at + 2) !== mac.lo || hi !== mac.hi) return Verdict.notOurs
    const type = view.getUint16(at + ETHERNET_TYPE)
    const ip = at + ETHERNET_HEADER_LENGTH
    const { packet, tables } = this
    if (type === ipv4Type) {
      // Whether it is sound matters only here: the router and its NAT judge it themselves.
      if (end < ip + IPV4_HEADER_LENGTH) return Verdict.router
      const destination = view.getInt32(ip + IPV4_DESTINATION)
      if (!tables.hosts.has4(destination) || isIpv4Loopback(destination) || !packet.readIpv4(bytes, ip, end)) return Verdict.router
      return this.verdictOnHost()
    }
    if (type === EtherType.arp) return Verdict.both
    if (type !== ipv6Type || !packet.readIpv6(bytes, ip, end)) return Verdict.router
    if (isNeighborDiscovery(packet)) return Verdict.both
    return !tables.hosts.has6(bytes, packet.destinationAt) || isLoopback6(bytes, packet.destinationAt)
      ? Verdict.router
      : this.verdictOnHost()
  }

  /** `packet` is to an address of the host. */
  private verdictOnHost(): number {
    const { packet, tables, flows } = this
    if (!tables.hasPublished && flows.size === 0) return Verdict.host
    if (packet.isFragment) return Verdict.reassemble
    if (tables.isPublished(packet)) return Verdict.router
    if (flows.size === 0) return Verdict.host
    if (packet.sourcePort >= 0) return flows.knows(packet, false) ? Verdict.router : Verdict.host
    return packet.readQuoted() && packet.sourcePort >= 0 && flows.knows(packet, true) ? Verdict.router : Verdict.host
  }

  /** Why the packet whose verdict was `router` goes there. */
  private whyRouter(bytes: Uint8Array): string {
    const { packet, tables } = this
    const type = etherType(bytes, 0)
    const isToHost =
      (type === EtherType.ipv4 &&
        packet.readIpv4(bytes, ETHERNET_HEADER_LENGTH, bytes.length) &&
        tables.hosts.has4(get32(bytes, packet.destinationAt))) ||
      (type === EtherType.ipv6 &&
        packet.readIpv6(bytes, ETHERNET_HEADER_LENGTH, bytes.length) &&
        tables.hosts.has6(bytes, packet.destinationAt))
    if (!isToHost) return 'no address of the host'
    return tables.isPublished(packet)
      ? 'a published port'
      : packet.destinationPort >= 0 && this.flows.knows(packet, false)
        ? 'the answer to a flow of the NAT'
        : 'a martian, or an error about a flow of the NAT'
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function isIpv4(bytes: Uint8Array, ip: number): boolean {
  return bytes[ip] >> 4 === 4
}

function isNeighborDiscovery({ bytes, protocol, isFragment, transportAt, end }: PacketView): boolean {
  // In fragments it is ignored by everybody (RFC 6980), and a later one shows no type.
  if (protocol !== IpProtocol.icmpv6 || isFragment) return false
  const type = transportAt < end ? bytes[transportAt] : 0
  return type >= Icmpv6Type.routerSolicitation && type <= Icmpv6Type.redirect
}

/** ::1 */
function isLoopback6(bytes: Uint8Array, at: number): boolean {
  return get32(bytes, at + 12) === 1 && (get32(bytes, at) | get32(bytes, at + 4) | get32(bytes, at + 8)) === 0
}

/** Options: DivertOptions, reconfigured in place; updates: DivertChange. */
export const divertType: ElementType<DivertOptions> = {
  type: 'divert',
  maxPorts: SIDES * GATEWAYS_MAX,
  counters: Object.keys(Counter),
  create: (context, options) => new Divert(context, options)
}
