/**
 * Sends echo requests and measures the answers: what `ping` does.
 */
import type { ElementContext } from '../engine/element.ts'
import type { Timer } from '../engine/timer-queue.ts'
import { put16 } from '../wire/big-endian.ts'
import { IcmpType } from '../wire/icmp.ts'
import { Icmpv6Type } from '../wire/icmpv6.ts'
import { type IcmpError, sendIcmp } from './icmp.ts'
import type { IpOutput, Route } from './ip-output.ts'
import { addressBytes } from './ip-packet.ts'

export interface PingOptions {
  readonly address: string
  /** Requests; default 1. */
  readonly count?: number
  /** Between two requests; default 1000. */
  readonly intervalMs?: number
  /** How long an answer may take; default 1000. */
  readonly timeoutMs?: number
  /** Data bytes; default 56. */
  readonly size?: number
}

export interface PingResult {
  readonly sent: number
  readonly received: number
  /** Requests that could not leave, or that a router or the host itself refused. */
  readonly unreachable: number
  /** One per answer, in the order of arrival. */
  readonly rttNs: readonly number[]
}

interface Session {
  readonly id: number
  readonly route: Route
  readonly count: number
  readonly intervalNs: number
  readonly timeoutNs: number
  readonly size: number
  readonly done: (error: Error | null, result?: PingResult) => void
  readonly rttNs: number[]
  /** Sequence number to the time of sending. */
  readonly open: Map<number, number>
  sent: number
  unreachable: number
  /** When the next request is due, or the last one is given up. */
  next: number
}

const SESSIONS_MAX = 256
const HEADER = 8

export class Pinger {
  private readonly context: ElementContext
  private readonly output: IpOutput
  private readonly sessions = new Map<number, Session>()
  private readonly timer: Timer

  constructor(context: ElementContext, output: IpOutput) {
    this.context = context
    this.output = output
    this.timer = context.timer((now) => this.tick(now))
  }

  /** Throws RangeError, AddressError or SendError; `done` is called once. */
  start(options: PingOptions, done: Session['done']): void {
    const { address, count = 1, intervalMs = 1000, timeoutMs = 1000, size = 56 } = options
    if (!Number.isInteger(count) || count < 1 || count > 65535) throw new RangeError(`count ${count} is not a number from 1 to 65535`)
    if (!Number.isInteger(size) || size < 0 || size > 65507) throw new RangeError(`size ${size} is not a number of bytes from 0 to 65507`)
    if (!(intervalMs >= 0)) throw new RangeError(`intervalMs ${intervalMs} is negative`)
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs ${timeoutMs} is not above 0`)
    if (this.sessions.size >= SESSIONS_MAX) throw new RangeError(`${SESSIONS_MAX} pings are under way already`)
    const route = this.output.route(addressBytes(address))
    if (route.path.source.length === 16 && size + HEADER > this.output.room(route)) {
      throw new RangeError(`size ${size} does not fit the MTU, and IPv6 packets are not fragmented`)
    }
    let id = this.context.random.below(65536)
    while (this.sessions.has(id)) id = (id + 1) & 0xffff
    const session: Session = {
      id,
      route,
      count,
      intervalNs: intervalMs * 1e6,
      timeoutNs: timeoutMs * 1e6,
      size,
      done,
      rttNs: [],
      open: new Map(),
      sent: 0,
      unreachable: 0,
      next: this.context.now
    }
    this.sessions.set(id, session)
    this.tick(this.context.now)
  }

  echoReply(id: number, sequence: number): boolean {
    const session = this.sessions.get(id)
    const sentAt = session?.open.get(sequence)
    if (session === undefined || sentAt === undefined) return false
    session.open.delete(sequence)
    const rtt = this.context.now - sentAt
    if (rtt <= session.timeoutNs) session.rttNs.push(rtt)
    this.finishWhenDone(session)
    return true
  }

  icmpError(error: IcmpError): boolean {
    const [id, sequence] = error.echo
    return this.fail(id, sequence)
  }

  /** The host ends. */
  close(): void {
    for (const { done } of this.sessions.values()) done(new Error('the host ended before all answers came'))
    this.sessions.clear()
  }

  private fail(id: number, sequence: number): boolean {
    const session = this.sessions.get(id)
    if (!session?.open.delete(sequence)) return false
    session.unreachable++
    this.finishWhenDone(session)
    return true
  }

  private tick(now: number): void {
    let next = Number.POSITIVE_INFINITY
    for (const session of [...this.sessions.values()]) {
      while (session.next <= now && session.sent < session.count) this.request(session, now)
      if (session.next <= now) this.finish(session)
      else if (this.sessions.has(session.id)) next = Math.min(next, session.next)
    }
    if (next !== Number.POSITIVE_INFINITY) this.timer.arm(next)
  }

  private request(session: Session, now: number): void {
    const { segment } = this.output
    const sequence = ++session.sent & 0xffff
    session.next = now + (session.sent < session.count ? session.intervalNs : session.timeoutNs)
    segment[0] = session.route.path.source.length === 4 ? IcmpType.echoRequest : Icmpv6Type.echoRequest
    segment[1] = 0
    put16(segment, 4, session.id)
    put16(segment, 6, sequence)
    for (let i = 0; i < session.size; i++) segment[HEADER + i] = i
    session.open.set(sequence, now)
    const refused = sendIcmp(this.output, session.route, segment, HEADER + session.size, (error) => {
      if (error !== null) this.fail(session.id, sequence)
    })
    if (refused !== null) this.fail(session.id, sequence)
  }

  private finishWhenDone(session: Session): void {
    if (session.sent === session.count && session.open.size === 0) this.finish(session)
  }

  private finish(session: Session): void {
    if (!this.sessions.delete(session.id)) return
    const { sent, unreachable, rttNs } = session
    session.done(null, { sent, received: rttNs.length, unreachable, rttNs })
  }
}
