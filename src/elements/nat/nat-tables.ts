/**
 * All that the NAT knows, for the parts that handle frames.
 */
import type { ElementContext } from '../../engine/element.ts'
import type { FrameHandle, FramePool } from '../../engine/frame-pool.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import {
  BELIEVED,
  Conntrack,
  DIRECTION_WORDS,
  FLOW_WORDS,
  FlowStatus,
  PATH,
  TICKS_PER_SECOND,
  TIMEOUT_MASK,
  TIMEOUT_SHIFT,
  TRANSLATION
} from './conntrack.ts'
import { FlowEviction } from './flow-eviction.ts'
import { ForwardPolicy } from './forward-policy.ts'
import { InternedAddresses } from './interned-addresses.ts'
import { KnownWays } from './known-ways.ts'
import { NatInterfaces } from './nat-interfaces.ts'
import { INTERFACES_MAX, type ReadSettings } from './nat-options.ts'
import { NatPacket } from './nat-packet.ts'
import { Paths } from './paths.ts'
import { PortAllocation } from './port-allocation.ts'
import { PublishedPorts } from './published-ports.ts'
import { TcpTracker, TcpVerdict } from './tcp-tracker.ts'
import { TimeoutIndex } from './timeouts.ts'
import { translationChange } from './translate.ts'
import { Tuple } from './tuple.ts'

/** A UDP flow with answers is a stream when it still lives after this long (Linux). */
const STREAM_AFTER = 2 * TICKS_PER_SECOND
/** Ticks for which a path is believed. */
export const BELIEF = TICKS_PER_SECOND
const NS_PER_TICK = 1e9 / TICKS_PER_SECOND

/** Places in `context.counters`. */
export const Counter = {
  rxFrames: 0,
  txFrames: 1,
  fastFrames: 2,
  untracked: 3,
  flowsOpened: 4,
  flowsExpired: 5,
  flowsEvicted: 6,
  flowsRefused: 7,
  errorsTranslated: 8,
  fragmentsJoined: 9,
  flows: 10
} as const

export class NatTables {
  readonly context: ElementContext
  readonly frames: FramePool
  readonly addresses: InternedAddresses
  readonly flows: Conntrack
  readonly eviction: FlowEviction
  readonly tcp: TcpTracker
  readonly interfaces: NatInterfaces
  readonly published: PublishedPorts
  readonly policy: ForwardPolicy
  readonly ports: PortAllocation
  readonly paths = new Paths(INTERFACES_MAX)
  readonly ways = new KnownWays(this.paths)
  /** The packet at hand, and the one that it quotes. */
  readonly packet: NatPacket
  readonly quoted: NatPacket
  /** By frame: its mark << 8 | TTL as it came in, and by which interface: to see what the router has done to it. */
  readonly entered: Int32Array
  readonly enteredBy: Uint16Array
  /** The router's MAC by interface, seen in frames that it sent: two words as in a frame; -1 in the second: not seen yet. */
  readonly routerMac = new Int32Array(2 * INTERFACES_MAX).fill(-1)
  /** Source address that the last new flow over IPv4 left with: most likely the next one's. */
  lastSource = 0
  /** Where it went when that was a published port, and the port, a field of a tuple; -1: it was none. */
  lastTarget = 0
  lastTargetPort = -1
  settings: ReadSettings
  private readonly own = new Tuple()
  private readonly other = new Tuple()

  constructor(context: ElementContext, settings: ReadSettings) {
    const { frames, random } = context
    const next = (): number => random.int32()
    this.context = context
    this.frames = frames
    this.settings = settings
    this.addresses = new InternedAddresses(next())
    this.flows = new Conntrack(settings.capacity, settings.timeouts, this.addresses, next)
    this.eviction = new FlowEviction(this.flows, next)
    this.tcp = new TcpTracker(this.flows, settings.tcp)
    this.interfaces = new NatInterfaces(this.addresses)
    this.published = new PublishedPorts(this.addresses, this.interfaces)
    this.policy = new ForwardPolicy(this.published)
    this.ports = new PortAllocation(this.flows, next)
    this.packet = new NatPacket(this.addresses)
    this.quoted = new NatPacket(this.addresses)
    this.entered = new Int32Array(frames.start.length)
    this.enteredBy = new Uint16Array(frames.start.length)
    this.applySettings(settings)
    this.keepTime()
  }

  applySettings(settings: ReadSettings): void {
    this.settings = settings
    this.flows.timeouts = settings.timeouts
    this.tcp.policy = settings.tcp
    this.ports.firstPort = settings.firstPort
    this.ports.lastPort = settings.lastPort
    this.ports.endpointIndependent = settings.endpointIndependent
    this.flows.arePortsExclusive = settings.endpointIndependent
  }

  /** Takes over the engine's time. */
  keepTime(): void {
    const tick = (this.context.now / NS_PER_TICK) | 0
    if (tick === this.flows.tick) return
    this.flows.tick = tick
    this.paths.keepTime((this.context.now / 1e9) | 0)
  }

  /** Everything that was learned of the router is doubtful. */
  doubtPaths(): void {
    this.routerMac.fill(-1)
    if (this.paths.forget()) return
    const { core, end } = this.flows
    for (let word = 5; word < end * 16; word += 8) core[word] = 0
  }

  /**
   * The packet at hand passes as one of this flow: states and time-outs change. TcpVerdict.
   * @param direction 0 original, 1 reply
   */
  follow(flow: number, direction: number, isFirst: boolean): number {
    const { flows, packet, tcp } = this
    const { protocol } = packet
    if (protocol === IpProtocol.tcp) {
      if (isFirst) tcp.begin(flow, packet.bytes, packet.transport, packet.end)
      const verdict = tcp.follow(flow, direction, packet.bytes, packet.transport, packet.end)
      if (verdict !== TcpVerdict.pass) return verdict
    } else if (protocol === IpProtocol.udp) {
      this.followUdp(flow)
    } else {
      const timeout = packet.isIcmp ? (packet.isIpv6 ? TimeoutIndex.icmpv6 : TimeoutIndex.icmp) : TimeoutIndex.generic
      this.setTimeout(flow, timeout)
    }
    const isReply = direction === 1
    if (isReply) flows.status[flow] |= FlowStatus.seenReply
    if (protocol === IpProtocol.udp) flows.status[flow] |= isReply ? FlowStatus.fastReply : FlowStatus.fastOriginal
    // Until it leaves nothing is promised: see Conntrack.
    if ((flows.status[flow] & FlowStatus.confirmed) === 0) flows.refresh(flow, TimeoutIndex.tentative)
    return TcpVerdict.pass
  }

  /** nf_conntrack_proto_udp: with answers, and still there after two seconds, it is a stream. */
  private followUdp(flow: number): void {
    const { flows } = this
    let timeout = TimeoutIndex.udp
    if ((flows.status[flow] & FlowStatus.seenReply) !== 0 && ((flows.tick - flows.began[flow]) | 0) > STREAM_AFTER) {
      flows.status[flow] |= FlowStatus.assured
      timeout = TimeoutIndex.udpStream
    }
    this.setTimeout(flow, timeout)
  }

  private setTimeout(flow: number, timeout: number): void {
    const { flows } = this
    flows.status[flow] = (flows.status[flow] & ~(TIMEOUT_MASK << TIMEOUT_SHIFT)) | (timeout << TIMEOUT_SHIFT)
    flows.refresh(flow, timeout)
  }

  /** Tuple of the direction that packets of `direction` have when they come in; valid until the next call. */
  ownTuple(flow: number, direction: number): Tuple {
    return this.flows.tuple(flow, direction, this.own)
  }

  /** Tuple of the other direction: its source is where packets of `direction` go, its destination whom they come from when they leave. */
  otherTuple(flow: number, direction: number): Tuple {
    return this.flows.tuple(flow, 1 - direction, this.other)
  }

  /** The flow believes in a path until `until`, a tick; what is done to its frames on the way is worked out once. */
  believe(flow: number, direction: number, path: number, until: number): void {
    const { core } = this.flows
    const word = flow * FLOW_WORDS + direction * DIRECTION_WORDS
    const other = flow * FLOW_WORDS + (1 - direction) * DIRECTION_WORDS
    core[word + TRANSLATION] = translationChange(core[word], core[word + 1], core[word + 2], core[other], core[other + 1], core[other + 2])
    core[word + PATH] = path
    core[word + BELIEVED] = until
  }

  drop(frame: FrameHandle, reason: number): void {
    this.context.drop(frame, reason)
  }
}
