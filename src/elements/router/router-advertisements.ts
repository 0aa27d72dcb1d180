/**
 * Router advertisements, RFC 4861 section 6.2: in answer to solicitations and from time to time, on interfaces that advertise.
 */
import { NO_FRAME } from '../../engine/frame-pool.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { formatIpv6, formatMac } from '../../wire/address.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, setMac } from '../../wire/ethernet.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { IPV6_HEADER_LENGTH } from '../../wire/ipv6.ts'
import { emitNeighborDiscovery, ND_HOP_LIMIT, type RouterAdvertisementRepr } from '../../wire/neighbor-discovery.ts'
import { bytesOfWords, type Words } from './address-words.ts'
import { DEFAULT_TTL } from './output.ts'
import type { RouterCore } from './router-core.ts'
import type { RouterInterface } from './router-interface.ts'

// RFC 4861 sections 6.2.1 and 10.
const INTERVAL_LEAST_NS = 200e9
const INTERVAL_SPAN_NS = 400e9
const INITIAL_COUNT = 3
const INITIAL_INTERVAL_NS = 16e9
const BETWEEN_NS = 3e9
const ANSWER_DELAY_NS = 500e6
/** Seconds. */
const LIFETIME = 1800
const VALID_LIFETIME = 2_592_000
const PREFERRED_LIFETIME = 604_800

const ALL_NODES: Words = [0xff020000 | 0, 0, 0, 1]
const GROUP_MAC_HI = 0x3333

interface Schedule {
  readonly link: RouterInterface
  readonly timer: Timer
  sent: number
  /** ns; when the last one left. */
  sentAt: number
}

export class RouterAdvertisements {
  private readonly core: RouterCore
  private readonly schedules = new Map<number, Schedule>()

  constructor(core: RouterCore) {
    this.core = core
  }

  /** An interface is there: it begins to advertise where it should. */
  begin(link: RouterInterface): void {
    if (link.given.advertise !== true || !link.hasIpv6) return
    const { context } = this.core
    const schedule: Schedule = { link, timer: context.timer(() => this.fire(schedule)), sent: 0, sentAt: Number.NEGATIVE_INFINITY }
    this.schedules.set(link.number, schedule)
    schedule.timer.arm(context.now)
  }

  /** An interface goes, or changes: hosts are told that nobody is here any more (6.2.5). */
  end(link: RouterInterface): void {
    const schedule = this.schedules.get(link.number)
    if (schedule === undefined) return
    schedule.timer.disarm()
    this.schedules.delete(link.number)
    if (schedule.sent > 0) this.send(link, 0)
  }

  /** An interface changed in nothing that makes it another station. */
  replace(before: RouterInterface, after: RouterInterface): void {
    if (after.given.advertise !== true) return this.end(before)
    this.schedules.get(before.number)?.timer.disarm()
    this.begin(after)
  }

  /** A host asked: all are answered at once, after a moment, and at most every 3 s (6.2.6). */
  solicited(link: RouterInterface): void {
    const schedule = this.schedules.get(link.number)
    if (schedule === undefined) return
    const { now, random } = this.core.context
    const due = Math.max(now + random.next() * ANSWER_DELAY_NS, schedule.sentAt + BETWEEN_NS)
    if (due < schedule.timer.at) schedule.timer.arm(due)
  }

  private fire(schedule: Schedule): void {
    const { now, random } = this.core.context
    this.send(schedule.link, LIFETIME)
    schedule.sent++
    schedule.sentAt = now
    const interval = INTERVAL_LEAST_NS + random.next() * INTERVAL_SPAN_NS
    schedule.timer.arm(now + (schedule.sent < INITIAL_COUNT ? Math.min(interval, INITIAL_INTERVAL_NS) : interval))
  }

  private send(link: RouterInterface, lifetime: number): void {
    const { core } = this
    const prefixes = link.addresses.filter(({ family, length }) => family === 6 && length === 64)
    const repr: RouterAdvertisementRepr = {
      kind: 'router-advertisement',
      hopLimit: DEFAULT_TTL,
      managed: false,
      other: false,
      lifetime,
      reachableTime: 0,
      retransmitTimer: 0,
      linkLayer: formatMac(link.mac),
      mtu: link.mtu,
      prefixes: prefixes.map(({ network, length }) => ({
        prefix: formatIpv6(bytesOfWords(network.words)),
        length,
        onLink: true,
        autonomous: true,
        validLifetime: VALID_LIFETIME,
        preferredLifetime: PREFERRED_LIFETIME
      }))
    }
    // Fixed part, MAC, MTU, prefixes.
    const length = 16 + 8 + 8 + 32 * prefixes.length
    const frame = core.output.build(6, link.linkLocal, ALL_NODES, IpProtocol.icmpv6, length, 0, ND_HOP_LIMIT)
    if (frame === NO_FRAME) return
    const bytes = core.frames.bytes(frame)
    const at = core.frames.start[frame]
    setMac(bytes, at, GROUP_MAC_HI, ALL_NODES[3])
    setMac(bytes, at + ETHERNET_SOURCE, link.mac.hi, link.mac.lo)
    const ipAt = at + ETHERNET_HEADER_LENGTH
    emitNeighborDiscovery(repr, bytes, ipAt + IPV6_HEADER_LENGTH, ipAt)
    core.enter(frame)
    core.transmit(link.number, frame)
  }
}
