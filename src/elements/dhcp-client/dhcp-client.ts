/**
 * Leases an IPv4 address for a station, RFC 2131 section 4.4. The states and their times are in README.md.
 *
 *   LAN --0--> | UDP to port 68 with our MAC? --> the client : all other | --1--> the station
 *       <--0-- | <------------------------------------------------------- | <--1--
 *
 * What passes is looked at in two places, the EtherType and what stands where IPv4 has its protocol.
 */
import type { Element, ElementContext, ElementType, Plain, Reply } from '../../engine/element.ts'
import { type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import type { Link } from '../../engine/link.ts'
import type { Timer } from '../../engine/timer-queue.ts'
import { formatMac, type Mac, macAt, parseIpv4, parseMac } from '../../wire/address.ts'
import { ARP_SENDER_MAC, arpSenderIp, arpTargetIp, checkArp } from '../../wire/arp.ts'
import { DhcpMessage, DhcpOption, type DhcpRepr } from '../../wire/dhcp.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, etherType } from '../../wire/ethernet.ts'
import { IPV4_PROTOCOL, IpProtocol } from '../../wire/ipv4.ts'
import { BROADCAST_ADDRESS, BROADCAST_MAC, type ClientPath, messageFrame, NO_ADDRESS, probeFrame } from './client-frames.ts'
import { clientMessage } from './client-message.ts'
import { DhcpClientDrop } from './dhcp-client-drop.ts'
import { equalLeases, type Lease, readLease } from './lease.ts'
import { readReply, sourceMac } from './server-reply.ts'

/** Ports. */
export const DhcpClientPort = { lan: 0, station: 1 } as const

export interface DhcpClientOptions {
  readonly mac: string
  readonly hostName?: string
  readonly requested?: string
}

/** What a client tells the control plane. */
export type DhcpEvent =
  | {
      readonly kind: 'bound'
      /** With its prefix length. */
      readonly address: string
      readonly routers: readonly string[]
      readonly nameServers: readonly string[]
      readonly server: string
      readonly leaseSeconds: number | null
    }
  | { readonly kind: 'lost'; readonly address: string; readonly reason: string }
  | { readonly kind: 'silent' }
  | { readonly kind: 'taken'; readonly address: string; readonly mac: string }

type State = 'selecting' | 'requesting' | 'probing' | 'bound' | 'renewing' | 'rebinding' | 'declining'

const Counter = { sent: 0, received: 1, ignored: 2 } as const

const SECOND = 1e9
/** RFC 2131 section 4.1: doubled each time, with a tenth more or less. */
const FIRST_WAIT = 1
const LONGEST_WAIT = 16
const REQUESTS = 3
/** Discoveries without an answer after which somebody should hear of it: 1 + 2 + 4 + 8 s. */
const SILENT_AFTER = 4
const PROBES = 2
const PROBE_INTERVAL = 0.2
const PROBE_WAIT = 0.4
/** RFC 2131 section 3.1: at least, after a DECLINE. */
const DECLINE_WAIT = 10
const LEAST_RENEWAL_WAIT = 60
export class DhcpClient implements Element {
  private readonly context: ElementContext
  private readonly mac: Mac
  private readonly macText: string
  private readonly hostName: string
  private readonly timer: Timer
  private state: State = 'selecting'
  /** Of the exchange that goes on. */
  private transaction = 0
  /** When that began, when the REQUEST left that an ACK would answer, and when that of the lease did, which counts from there. Nanoseconds. */
  private began = 0
  private requestedAt = 0
  private granted = 0
  private tries = 0
  /** Asked for in a DISCOVER. */
  private wanted: string | undefined
  /** What was offered and is asked for, or what we have. */
  private lease: Lease | null = null
  /** The station may use its address. */
  private isBound = false
  /** Where the ACK came from. */
  private serverMac = BROADCAST_MAC

  /** Throws AddressError. */
  constructor(context: ElementContext, { mac, hostName = '', requested }: DhcpClientOptions) {
    this.context = context
    this.mac = parseMac(mac)
    this.macText = formatMac(this.mac)
    this.hostName = hostName
    if (requested !== undefined) parseIpv4(requested)
    this.wanted = requested
    this.timer = context.timer(() => this.expired())
    this.timer.arm(context.now)
  }

  push(): void {
    const { context } = this
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      if (port === DhcpClientPort.lan) this.fromLan(rx)
      else while (!rx.empty) context.transmit(DhcpClientPort.lan, rx.receive())
    }
  }

  command(verb: string, _argument: Plain, reply: Reply): void {
    if (verb !== 'state') return reply(new Error(`a DHCP client does not know '${verb}'`))
    reply(null, { state: this.state, address: this.isBound ? this.lease!.address : null })
  }

  private fromLan(rx: Link): void {
    const { context } = this
    const { frames } = context
    while (!rx.empty) {
      const frame = rx.receive()
      const bytes = frames.bytes(frame)
      const at = frames.start[frame]
      const end = at + frames.length[frame]
      if (at + ETHERNET_HEADER_LENGTH + IPV4_PROTOCOL < end) {
        const type = etherType(bytes, at)
        if (type === EtherType.ipv4 && bytes[at + ETHERNET_HEADER_LENGTH + IPV4_PROTOCOL] === IpProtocol.udp) {
          if (this.read(frame)) continue
        } else if (type === EtherType.arp && this.state === 'probing') this.hearArp(bytes, at + ETHERNET_HEADER_LENGTH, end)
      }
      context.transmit(DhcpClientPort.station, frame)
    }
  }

  /** False for what is another client's: the station may be one of them. */
  private read(frame: FrameHandle): boolean {
    const { context, mac } = this
    const message = readReply(context.frames, frame, mac)
    if (message === null) return false
    const isTaken = message.transaction === this.transaction && this.take(message, sourceMac(context.frames, frame))
    context.counters[isTaken ? Counter.received : Counter.ignored]++
    context.drop(frame, DhcpClientDrop.taken)
    return true
  }

  /** False when nobody waits for such a message. */
  private take(message: DhcpRepr, from: string): boolean {
    const { state } = this
    const type = message.options.get(DhcpOption.messageType)?.[0]
    const lease = readLease(message)
    if (type === DhcpMessage.offer && state === 'selecting' && lease !== null) {
      this.lease = lease
      this.enter('requesting')
      return true
    }
    if (state !== 'requesting' && state !== 'renewing' && state !== 'rebinding') return false
    if (type === DhcpMessage.nak) {
      this.lose(`the server ${this.lease!.server} refused it`)
      return true
    }
    if (type !== DhcpMessage.ack || lease === null) return false
    this.serverMac = from
    const isSame = this.isBound && equalLeases(lease, this.lease!)
    const hasMoved = this.isBound && lease.address !== this.lease!.address
    if (hasMoved) this.lose(`the server ${lease.server} gave another address`)
    this.lease = lease
    if (!this.isBound) this.enter('probing')
    else this.settle(!isSame)
    return true
  }

  /** A station that has the address, or probes for it itself (RFC 5227 section 2.1.1), while we probe. */
  private hearArp(bytes: Uint8Array, arp: number, end: number): void {
    if (!checkArp(bytes, arp, end)) return
    const mac = formatMac(macAt(bytes, arp + ARP_SENDER_MAC))
    if (mac === this.macText) return
    const address = parseIpv4(this.lease!.address)
    const sender = arpSenderIp(bytes, arp)
    if (sender !== address && !(sender === 0 && arpTargetIp(bytes, arp) === address)) return
    this.context.emit({ kind: 'taken', address: this.lease!.address, mac } satisfies DhcpEvent)
    this.send(DhcpMessage.decline, { requested: this.lease!.address, server: this.lease!.server })
    this.enter('declining')
  }

  private enter(state: State): void {
    this.state = state
    this.tries = 0
    if (state === 'declining') {
      this.wanted = undefined
      this.timer.arm(this.context.now + DECLINE_WAIT * SECOND)
    } else this.expired()
  }

  /** The lease is ours and its address is in use: until T1. */
  private settle(isNews: boolean): void {
    const { address, prefixLength, routers, nameServers, server, seconds, renewal } = this.lease!
    this.state = 'bound'
    this.wanted = address
    this.isBound = true
    this.granted = this.requestedAt
    if (isNews) {
      const leaseSeconds = Number.isFinite(seconds) ? seconds : null
      const event: DhcpEvent = { kind: 'bound', address: `${address}/${prefixLength}`, routers, nameServers, server, leaseSeconds }
      this.context.emit(event)
    }
    if (Number.isFinite(seconds)) this.timer.arm(this.granted + renewal * SECOND)
    else this.timer.disarm()
  }

  /** @param wanted what to ask for next */
  private lose(reason: string, wanted?: string): void {
    const { address } = this.lease!
    if (this.isBound) this.context.emit({ kind: 'lost', address, reason } satisfies DhcpEvent)
    this.isBound = false
    this.lease = null
    this.wanted = wanted
    this.enter('selecting')
  }

  /** What is to be done now in this state. */
  private expired(): void {
    const { state } = this
    if (state === 'selecting') this.discover()
    else if (state === 'requesting') this.request()
    else if (state === 'probing') this.probe()
    else if (state === 'declining') this.enter('selecting')
    else this.renew()
  }

  private discover(): void {
    if (this.tries === 0) this.began = this.context.now
    this.transaction = this.newTransaction()
    this.send(DhcpMessage.discover, { requested: this.wanted })
    this.waitLonger()
    if (this.tries === SILENT_AFTER) this.context.emit({ kind: 'silent' } satisfies DhcpEvent)
  }

  private request(): void {
    if (this.tries === REQUESTS) return this.enter('selecting')
    if (this.tries === 0) this.requestedAt = this.context.now
    this.send(DhcpMessage.request, { requested: this.lease!.address, server: this.lease!.server })
    this.waitLonger()
  }

  private probe(): void {
    const { context } = this
    if (this.tries === PROBES) return this.settle(true)
    this.tries++
    this.transmit(probeFrame(context, this.macText, this.lease!.address))
    context.counters[Counter.sent]++
    this.timer.arm(context.now + (this.tries === PROBES ? PROBE_WAIT : PROBE_INTERVAL) * SECOND)
  }

  /** From T1 on: asks the server, from T2 on everybody, until there is an answer or the lease is over. */
  private renew(): void {
    const { context, granted } = this
    const { now } = context
    const { address, seconds, rebinding } = this.lease!
    const [late, over] = [granted + rebinding * SECOND, granted + seconds * SECOND]
    if (now >= over) return this.lose('no server has renewed it', address)
    if (this.state === 'bound') this.began = now
    this.state = now >= late ? 'rebinding' : 'renewing'
    // Another one each time, so that an answer tells which request it answers: the lease counts from that one.
    this.transaction = this.newTransaction()
    this.requestedAt = now
    this.send(DhcpMessage.request, {})
    const until = now >= late ? over : late
    const least = Math.min(LEAST_RENEWAL_WAIT, seconds / 4) * SECOND
    this.timer.arm(Math.min(until, now + Math.max(least, (until - now) / 2)))
  }

  private newTransaction(): number {
    return this.context.random.int32() >>> 0
  }

  private waitLonger(): void {
    const { context } = this
    const wait = Math.min(FIRST_WAIT * 2 ** this.tries, LONGEST_WAIT) * (0.9 + 0.2 * context.random.next())
    this.tries++
    this.timer.arm(context.now + wait * SECOND)
  }

  private send(type: number, more: { readonly requested?: string; readonly server?: string }): void {
    const { context, state, lease, mac, macText, hostName, transaction } = this
    const ours = state === 'renewing' || state === 'rebinding' ? lease!.address : NO_ADDRESS
    const seconds = Math.min(0xffff, Math.floor((context.now - this.began) / SECOND))
    const message = clientMessage({ type, transaction, seconds, mac, hostName, client: ours, ...more })
    const isUnicast = state === 'renewing'
    const path: ClientPath = {
      mac: macText,
      destinationMac: isUnicast ? this.serverMac : BROADCAST_MAC,
      source: ours,
      destination: isUnicast ? lease!.server : BROADCAST_ADDRESS
    }
    this.transmit(messageFrame(context, message, path))
    context.counters[Counter.sent]++
  }

  private transmit(frame: FrameHandle): void {
    if (frame !== NO_FRAME) this.context.transmit(DhcpClientPort.lan, frame)
  }
}

/** Options: DhcpClientOptions. Events (DhcpEvent) and the command: README.md. */
export const dhcpClientType: ElementType<DhcpClientOptions> = {
  type: 'dhcp-client',
  maxPorts: 2,
  counters: Object.keys(Counter),
  create: (context, options) => new DhcpClient(context, options)
}
