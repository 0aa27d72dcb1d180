/**
 * An IP router: one port per interface, all behind one NAT.
 *
 *   port N rx --> fast path -------------------------------------------------> port M tx
 *            \--> ARP --------> neighbors, answers
 *            \--> IP --> ours? --> echo, discovery, refusals
 *                    \--> route, TTL, MTU --> fragments --> neighbor known? --> port M tx
 *                                                               \--> waits
 *
 * Owns every frame that it receives. What it knows changes by `update`; see the README.
 */
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import type { FrameHandle, FramePool } from '../../engine/frame-pool.ts'
import type { Link } from '../../engine/link.ts'
import { isIpv6LinkLocal } from '../../wire/address.ts'
import {
  ETHERNET_DESTINATION,
  ETHERNET_HEADER_LENGTH,
  ETHERNET_SOURCE,
  EtherType,
  etherType,
  isGroup,
  macHi,
  macLo
} from '../../wire/ethernet.ts'
import { IPV6_DESTINATION, IPV6_SOURCE } from '../../wire/ipv6.ts'
import { Arp } from './arp.ts'
import { Claims } from './claims.ts'
import { type ExplainArgument, explain } from './explain.ts'
import { canBeFast, type FastForward, makeFastForward } from './fast-forward.ts'
import { makeFastForwardIpv6 } from './fast-forward-ipv6.ts'
import { Forwarding, optionProblem } from './forward.ts'
import { tickOf } from './forwarding-cache.ts'
import { Fault, IcmpErrors } from './icmp-errors.ts'
import { Options } from './ip-options.ts'
import { IpPacket, READ_OK } from './ip-packet.ts'
import { LocalDelivery } from './local-delivery.ts'
import { NeighborDiscovery } from './neighbor-discovery.ts'
import { Neighbors } from './neighbors.ts'
import { Output } from './output.ts'
import { RouterAdvertisements } from './router-advertisements.ts'
import { Counter, RouterCore, UNTRACKED } from './router-core.ts'
import { RouterDrop } from './router-drop.ts'
import type { RouterInterface } from './router-interface.ts'
import { ROUTER_PORTS_MAX, type RouterChange, type RouterOptions, readInterfaceNumber, readNeighborCapacity } from './router-options.ts'
import { RouterRecords } from './router-records.ts'
import { Own } from './routing.ts'

const BATCH = 256
/** Frames of one port. All routers of a thread share it: nothing is left in it by `push`. */
const batch = new Int32Array(BATCH)

export class Router implements Element {
  private readonly context: ElementContext
  private readonly frames: FramePool
  private readonly core: RouterCore
  private readonly packet = new IpPacket()
  private readonly forwarding: Forwarding
  private readonly local: LocalDelivery
  private readonly records: RouterRecords
  private readonly fastForward: FastForward
  private readonly fastForwardIpv6: FastForward
  /** Where each port sends. */
  private readonly links: (Link | null)[] = []

  /** Throws RouterOptionsError. */
  constructor(context: ElementContext, options: RouterOptions = {}) {
    const core = new RouterCore(context)
    const claims = new Claims(core)
    this.context = context
    this.frames = context.frames
    this.core = core
    core.output = new Output(core)
    core.errors = new IcmpErrors(core)
    core.neighbors = new Neighbors(core, readNeighborCapacity(options))
    core.arp = new Arp(core, claims)
    core.discovery = new NeighborDiscovery(core, claims)
    const advertisements = new RouterAdvertisements(core)
    core.discovery.solicited = (link) => advertisements.solicited(link)
    this.forwarding = new Forwarding(core)
    this.local = new LocalDelivery(core)
    this.records = new RouterRecords(core, claims, advertisements)
    this.fastForward = makeFastForward(context.frames, core.cache, core.sources, this.links)
    this.fastForwardIpv6 = makeFastForwardIpv6(context.frames, core.cache, core.sources, this.links)
    this.records.update(options)
    // An element made anew behind existing links gets no portsChanged.
    this.portsChanged()
  }

  push(): void {
    const { context, core, fastForward, fastForwardIpv6 } = this
    const { ports } = context
    const tick = tickOf(context.now)
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = ports[port]!
      const link = core.interface(port)
      // What a program sends has our own address, which the fast path takes for a forgery.
      const isFast = link !== null && canBeFast && link.service === 0
      let received = 0
      let fast = 0
      while (!rx.empty) {
        const count = rx.receiveAll(batch)
        received += count
        for (let i = 0; i < count; i++) {
          const frame = batch[i]
          if (isFast && (fastForward(frame, link, tick) || fastForwardIpv6(frame, link, tick))) fast++
          else this.receive(frame, link)
        }
      }
      core.counters[Counter.rxFrames] += received
      core.counters[Counter.txFrames] += fast
      core.counters[Counter.forwarded] += fast
    }
  }

  private receive(frame: FrameHandle, link: RouterInterface | null): void {
    const { core, frames, packet } = this
    if (link === null) return core.drop(frame, RouterDrop.noInterface)
    if (frames.length[frame] < ETHERNET_HEADER_LENGTH) return core.drop(frame, RouterDrop.runt)
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const { mac } = link
    const isOurs = macLo(bytes, at + ETHERNET_DESTINATION) === mac.lo && macHi(bytes, at + ETHERNET_DESTINATION) === mac.hi
    if (!isOurs && !isGroup(bytes, at + ETHERNET_DESTINATION)) return core.drop(frame, RouterDrop.notForUs)
    if (macLo(bytes, at + ETHERNET_SOURCE) === mac.lo && macHi(bytes, at + ETHERNET_SOURCE) === mac.hi) {
      return core.drop(frame, RouterDrop.ownSource)
    }
    if (etherType(bytes, at) === EtherType.arp) return core.arp.receive(frame, link)
    const problem = packet.read(frames, frame)
    if (problem !== READ_OK) return core.drop(frame, problem)
    const option = optionProblem(packet)
    if (option === Options.sourceRoute) return core.drop(frame, RouterDrop.sourceRoute)
    if (option >= Options.malformed) {
      core.errors.tell(packet, link, Fault.option, option << 24)
      return core.drop(frame, RouterDrop.badOption)
    }
    if (packet.family === 4) this.receiveIpv4(frame, packet, link)
    else this.receiveIpv6(frame, packet, link)
  }

  private receiveIpv4(frame: FrameHandle, packet: IpPacket, link: RouterInterface): void {
    const { core } = this
    const { d0 } = packet
    const own = core.routing.own(4, d0, 0, 0, 0)
    // Who has no address yet (DHCP) speaks to all; the others must say who they are.
    if (d0 === -1 || own === Own.broadcast) return core.drop(frame, RouterDrop.broadcast)
    if (this.isForged(frame, packet, link)) return core.drop(frame, RouterDrop.martianSource)
    if (core.isMartianDestination(4, d0, 0, 0, 0)) return core.drop(frame, RouterDrop.martianDestination)
    if (d0 >>> 28 === 0xe) return core.drop(frame, RouterDrop.group)
    if (packet.isLinkGroup) return core.drop(frame, RouterDrop.linkBroadcast)
    if (own === Own.none) return this.forwarding.forward(frame, packet, link)
    const owner = core.routing.owner(4, d0, 0, 0, 0)
    this.local.receive(frame, packet, link, link.answers && owner?.answers === true)
  }

  private receiveIpv6(frame: FrameHandle, packet: IpPacket, link: RouterInterface): void {
    const { core } = this
    const { bytes, ipAt, s0, s1, s2, s3, d0, d1, d2, d3 } = packet
    if (this.isForged(frame, packet, link)) return core.drop(frame, RouterDrop.martianSource)
    if (core.isMartianDestination(6, d0, d1, d2, d3)) return core.drop(frame, RouterDrop.martianDestination)
    if (d0 >>> 24 === 0xff) {
      if (link.hasIpv6 && link.hears(d0, d1, d2, d3)) this.local.receive(frame, packet, link, link.answers)
      else core.drop(frame, RouterDrop.group)
      return
    }
    if (packet.isLinkGroup) return core.drop(frame, RouterDrop.linkBroadcast)
    const owner = core.routing.owner(6, d0, d1, d2, d3)
    if (owner !== null) return this.local.receive(frame, packet, link, link.answers && owner.answers)
    if (link.hasIpv6 && link.owns(6, d0, d1, d2, d3)) return this.local.receive(frame, packet, link, link.answers)
    if (isIpv6LinkLocal(bytes, ipAt + IPV6_DESTINATION)) return core.drop(frame, RouterDrop.linkLocal)
    if ((s0 | s1 | s2 | s3) === 0) return core.drop(frame, RouterDrop.martianSource)
    if (isIpv6LinkLocal(bytes, ipAt + IPV6_SOURCE)) {
      core.errors.tell(packet, link, Fault.scope)
      return core.drop(frame, RouterDrop.linkLocal)
    }
    this.forwarding.forward(frame, packet, link)
  }

  /** Whether the source cannot be who sent it: nobody on a link has our addresses, a program of ours has no others. */
  private isForged(frame: FrameHandle, { family, s0, s1, s2, s3 }: IpPacket, link: RouterInterface): boolean {
    const { core } = this
    if (link.service === 0) return core.isMartianSource(family, s0, s1, s2, s3) || (family === 6 && link.owns(6, s0, s1, s2, s3))
    this.frames.mark[frame] = UNTRACKED
    return core.routing.owner(family, s0, s1, s2, s3) === null
  }

  portsChanged(): void {
    const { ports } = this.context
    this.links.length = ports.length
    for (let port = 0; port < ports.length; port++) this.links[port] = ports[port]?.tx ?? null
  }

  /** A RouterChange. */
  update(change: Plain): Plain {
    return this.records.update(change as RouterChange)
  }

  /** Throws RouterOptionsError. */
  command(verb: string, argument: Plain, reply: Reply): void {
    const { core } = this
    try {
      if (verb === 'routes') return reply(null, core.routing.entries())
      if (verb === 'neighbors') {
        const { interface: only } = (argument ?? {}) as { interface?: number }
        return reply(null, core.neighbors.entries(only === undefined ? null : readInterfaceNumber(only, 'interface')))
      }
      if (verb === 'explain') return reply(null, explain(core, argument as ExplainArgument))
      if (verb === 'stats') {
        const { table, queues } = core.neighbors
        return reply(null, { neighbors: table.size, waiting: queues.size, cached: core.cache.size(this.context.now) })
      }
    } catch (error) {
      return reply(error as Error)
    }
    reply(new TypeError(`a router knows the commands routes, neighbors, explain and stats, not '${verb}'`))
  }

  close(): void {
    this.core.neighbors.close()
  }
}

/** Options: RouterOptions; updates: RouterChange. */
export const routerType: ElementType<RouterOptions> = {
  type: 'router',
  maxPorts: ROUTER_PORTS_MAX,
  counters: Object.keys(Counter),
  create: (context, options) => new Router(context, options)
}
