/**
 * The embedded DNS server on the wire: one port per asker, answers from tables, misses handed to the control plane.
 *
 *   port N rx --> UDP 53 --> query --> tables --hit--> answer in the same frame --> port N tx
 *            \--> TCP 53 --> stream --/       \-miss--> event dns-forward ... command answer --> port N tx
 *
 * Who asks is known by the port; which address or MAC was asked does not matter, the answer comes from there. So one service
 * stands behind 127.0.0.11 and behind gateway addresses.
 */
import type { Element, ElementContext, ElementType, Plain, Reply } from '../engine/element.ts'
import { FrameFlag, type FrameHandle, NO_FRAME } from '../engine/frame-pool.ts'
import type { Timer } from '../engine/timer-queue.ts'
import { buildPacket, hasGoodChecksum, READ_OK, readPacket, replyPath, turnAround } from '../stack/ip-packet.ts'
import { StackDrop } from '../stack/stack-drop.ts'
import type { TcpConnection } from '../stack/tcp-connection.ts'
import { TcpResponder } from '../stack/tcp-responder.ts'
import { GSO_UDP_L4, UDP_BATCH_MAX } from '../stack/udp-sockets.ts'
import { get16, put16 } from '../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, isGroup } from '../wire/ethernet.ts'
import { IPV4_DONT_FRAGMENT, IPV4_FRAGMENT, IPV4_TOTAL_LENGTH, IpProtocol } from '../wire/ipv4.ts'
import { IPV6_PAYLOAD_LENGTH } from '../wire/ipv6.ts'
import { PacketView } from '../wire/packet-view.ts'
import {
  checkUdp,
  fillUdpChecksum,
  UDP_CHECKSUM,
  UDP_HEADER_LENGTH,
  UDP_LENGTH,
  udpChecksum,
  udpDestinationPort,
  udpLength,
  udpSourcePort
} from '../wire/udp.ts'
import { AnswerWriter } from './answer-writer.ts'
import { type AskerTables, DNS_PORTS_MAX, DnsDirectory } from './dns-directory.ts'
import { DnsDrop } from './dns-drop.ts'
import { DNS_HEADER_LENGTH, DNS_PORT, DnsFlag, DnsType, Rcode } from './dns-format.ts'
import { type DnsChange, type DnsServiceOptions, type DnsSettings, readDnsSettings } from './dns-options.ts'
import { DnsQuery, NOT_A_QUERY } from './dns-query.ts'
import { DnsStream } from './dns-stream.ts'
import { lookUp, Miss } from './look-up.ts'
import { PendingQueries, type ReturnPath } from './pending-queries.ts'

const Counter = { queries: 0, hits: 1, errors: 2, forwarded: 3, upstreamAnswers: 4, upstreamFailures: 5, tcpQueries: 6 } as const
const TCP_MESSAGE_MAX = 65535

/** `respond`: no answer is to be sent now. */
const NO_ANSWER = 0

/** What the control plane is asked: forward `query` and give the command `answer` with the same id. */
export interface DnsForwardEvent {
  readonly kind: 'dns-forward'
  readonly id: number
  /** Port number of who asks. */
  readonly asker: number
  readonly query: Uint8Array
  readonly tcp: boolean
}

/** Argument of the command `answer`; null: no upstream server answered. */
export interface DnsAnswerCommand {
  readonly id: number
  readonly response: Uint8Array | null
}

export class DnsService implements Element {
  private readonly context: ElementContext
  private settings: Required<DnsSettings>
  private directory: DnsDirectory
  private readonly packet = new PacketView()
  private readonly query = new DnsQuery()
  private readonly writer: AnswerWriter
  private readonly pending = new PendingQueries()
  private readonly tcp: TcpResponder
  private readonly timer: Timer
  /** Where answers are written that do not fit the query's own frame. */
  private readonly scratch = new Uint8Array(UDP_HEADER_LENGTH + TCP_MESSAGE_MAX)
  /** The reason for which `respond` gave NO_ANSWER; -1: the query was forwarded. */
  private refusal = -1

  constructor(context: ElementContext, options: DnsServiceOptions) {
    this.context = context
    this.settings = readDnsSettings(options)
    this.directory = new DnsDirectory(options)
    this.writer = new AnswerWriter(context.random)
    this.applySettings()
    this.timer = context.timer((now) => this.expire(now))
    const server = {
      data: (connection: TcpConnection, bytes: Uint8Array, at: number, length: number): void =>
        this.streamData(connection, bytes, at, length),
      ended: (connection: TcpConnection): void => this.streamEnded(connection),
      closed: (): void => {}
    }
    this.tcp = new TcpResponder(context, (port, frame) => context.transmit(port, frame), server, { port: DNS_PORT })
  }

  push(): void {
    const { context } = this
    for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
      const { rx } = context.ports[port]!
      const asker = this.directory.askers[port] ?? null
      while (!rx.empty) this.receive(rx.receive(), port, asker)
    }
  }

  reconfigure(options: Plain): boolean {
    const given = options as DnsServiceOptions
    const settings = readDnsSettings(given)
    if (given.zones !== undefined || given.stations !== undefined || given.askers !== undefined) this.directory = new DnsDirectory(given)
    this.settings = settings
    this.applySettings()
    return true
  }

  /** A DnsChange. */
  update(change: Plain): Plain {
    const { askers = {} } = change as DnsChange
    const undo = this.directory.update(change as DnsChange)
    for (const [port, asker] of Object.entries(askers)) {
      if (asker !== null) continue
      this.pending.forgetPort(Number(port))
      this.tcp.forgetPort(Number(port))
    }
    return undo
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    if (verb !== 'answer') return reply(new TypeError(`the DNS service has no command '${verb}'`))
    const { id, response } = (argument ?? {}) as Partial<DnsAnswerCommand>
    if (typeof id !== 'number' || (response !== null && !(response instanceof Uint8Array))) {
      return reply(new TypeError('answer: the argument must be { id: number, response: Uint8Array | null }'))
    }
    reply(null, { delivered: this.upstreamAnswered(id, response) })
  }

  close(): void {
    this.tcp.close()
  }

  private applySettings(): void {
    this.writer.ttl = this.settings.ttl
    this.writer.edns = this.settings.edns
  }

  private receive(frame: FrameHandle, port: number, asker: AskerTables | null): void {
    const { context, packet } = this
    const { frames } = context
    if (frames.length[frame] < ETHERNET_HEADER_LENGTH) return context.drop(frame, StackDrop.runt)
    if (asker === null) return context.drop(frame, DnsDrop.unknownAsker)
    const problem = readPacket(packet, frames, frame)
    if (problem !== READ_OK) return context.drop(frame, problem)
    if (packet.isFragment) return context.drop(frame, StackDrop.fragmentUnsupported)
    if (packet.protocol === IpProtocol.tcp) return this.tcp.receive(frame, packet, port)
    if (packet.protocol !== IpProtocol.udp) return context.drop(frame, DnsDrop.notDns)
    this.receiveUdp(frame, packet, port, asker)
  }

  private receiveUdp(frame: FrameHandle, packet: PacketView, port: number, asker: AskerTables): void {
    const { context } = this
    const { frames } = context
    const { bytes, transportAt, frameAt: at, networkAt: ipAt } = packet
    const flags = frames.flags[frame]
    const isBatch = (flags & FrameFlag.gso) !== 0 && (frames.gsoType[frame] & 0x7f) === GSO_UDP_L4
    if (!checkUdp(bytes, transportAt, packet.end)) return context.drop(frame, StackDrop.malformed)
    if (!isBatch) packet.end = transportAt + udpLength(bytes, transportAt)
    else if (packet.end - transportAt - UDP_HEADER_LENGTH > UDP_BATCH_MAX * frames.gsoSize[frame]) {
      return context.drop(frame, StackDrop.malformed)
    }
    const hasNone = udpChecksum(bytes, transportAt) === 0
    if (hasNone ? packet.family === 6 : !hasGoodChecksum(packet, flags)) return context.drop(frame, StackDrop.badChecksum)
    if (udpDestinationPort(bytes, transportAt) !== DNS_PORT) return context.drop(frame, DnsDrop.notDns)
    if (isGroup(bytes, at)) return context.drop(frame, StackDrop.notForUs)
    if (isBatch || packet.hasOptions) return this.answerAnew(frame, packet, port, asker, isBatch ? frames.gsoSize[frame] : 0)
    const messageAt = transportAt + UDP_HEADER_LENGTH
    const room = frames.room(frame) - (messageAt - at)
    const length = this.respond(bytes, messageAt, packet.end, port, asker, null, room)
    if ((flags & FrameFlag.traced) !== 0) context.trace(frame, length === NO_ANSWER ? 'not answered here' : 'answered')
    if (length === NO_ANSWER) return this.refuse(frame)
    packet.end = messageAt + length
    const clientPort = get16(bytes, transportAt)
    put16(bytes, transportAt, DNS_PORT)
    put16(bytes, transportAt + 2, clientPort)
    put16(bytes, transportAt + UDP_LENGTH, UDP_HEADER_LENGTH + length)
    if (packet.family === 4) {
      put16(bytes, ipAt + IPV4_TOTAL_LENGTH, packet.end - ipAt)
      put16(bytes, ipAt + IPV4_FRAGMENT, IPV4_DONT_FRAGMENT)
    } else {
      put16(bytes, ipAt + IPV6_PAYLOAD_LENGTH, packet.end - transportAt)
    }
    turnAround(packet)
    fillUdpChecksum(bytes, transportAt, ipAt)
    frames.length[frame] = packet.end - at
    frames.flags[frame] = 0
    context.enter(frame)
    context.transmit(port, frame)
  }

  /** Ends a frame whose query gets no answer now. */
  private refuse(frame: FrameHandle): void {
    if (this.refusal < 0) this.context.frames.free(frame)
    else this.context.drop(frame, this.refusal)
  }

  /** For batches and packets with options, which cannot be turned around: each datagram gets a frame of its own. */
  private answerAnew(frame: FrameHandle, packet: PacketView, port: number, asker: AskerTables, segmentSize: number): void {
    const { scratch } = this
    const { bytes, transportAt, end } = packet
    const path = replyPath(packet)
    const clientPort = udpSourcePort(bytes, transportAt)
    const size = segmentSize > 0 ? segmentSize : end - transportAt
    let lastRefusal = -1
    for (let at = transportAt + UDP_HEADER_LENGTH; at < end; at += size) {
      const part = bytes.subarray(at, Math.min(end, at + size))
      scratch.set(part, UDP_HEADER_LENGTH)
      const length = this.respond(scratch, UDP_HEADER_LENGTH, UDP_HEADER_LENGTH + part.length, port, asker, null, TCP_MESSAGE_MAX)
      if (length === NO_ANSWER) lastRefusal = this.refusal
      else this.sendUdp(port, path, clientPort, length)
    }
    this.refusal = lastRefusal
    this.refuse(frame)
  }

  /** Sends the message of `length` bytes that stands in `scratch` behind room for a UDP header. */
  private sendUdp(port: number, path: Parameters<typeof buildPacket>[1], clientPort: number, length: number): void {
    const { context, scratch } = this
    put16(scratch, 0, DNS_PORT)
    put16(scratch, 2, clientPort)
    put16(scratch, UDP_LENGTH, UDP_HEADER_LENGTH + length)
    put16(scratch, UDP_CHECKSUM, 0)
    const frame = buildPacket(context, path, IpProtocol.udp, scratch, 0, UDP_HEADER_LENGTH + length, UDP_CHECKSUM, 0, IPV4_DONT_FRAGMENT)
    if (frame !== NO_FRAME) context.transmit(port, frame)
  }

  /**
   * Turns the query in [at, end) into its answer, in place; there is room for `room` bytes from `at`.
   * @param connection null for UDP
   * @returns the length of the answer, or NO_ANSWER with `refusal` set
   */
  private respond(
    bytes: Uint8Array,
    at: number,
    end: number,
    port: number,
    asker: AskerTables,
    connection: TcpConnection | null,
    room: number
  ): number {
    const { query, writer, context } = this
    const { counters } = context
    const verdict = query.read(bytes, at, end)
    if (verdict === NOT_A_QUERY) {
      this.refusal = DnsDrop.notQuery
      return NO_ANSWER
    }
    counters[Counter.queries]++
    if (verdict !== Rcode.noError) {
      counters[Counter.errors]++
      return writer.empty(bytes, at, query, verdict)
    }
    const limit = Math.min(room, connection === null ? query.udpSize : TCP_MESSAGE_MAX)
    const found = lookUp(asker, bytes, query, this.settings.exactZones)
    if (found === Miss.noData) {
      counters[Counter.hits]++
      return writer.empty(bytes, at, query, Rcode.noError)
    }
    if (found !== Miss.unknown) {
      counters[Counter.hits]++
      const { type } = query
      const data = type === DnsType.ptr ? found.pointer! : type === DnsType.a ? found.a : found.aaaa
      return writer.records(bytes, at, query, type, data, type === DnsType.ptr ? data.length : type === DnsType.a ? 4 : 16, limit)
    }
    if (!asker.forward) {
      this.refusal = DnsDrop.notForwarded
      return this.unanswered(bytes, at)
    }
    return this.forward(bytes, at, end, port, connection, limit)
  }

  private forward(bytes: Uint8Array, at: number, end: number, port: number, connection: TcpConnection | null, limit: number): number {
    const { context, packet } = this
    const back: ReturnPath =
      connection === null
        ? { kind: 'udp', port, path: replyPath(packet), clientPort: udpSourcePort(packet.bytes, packet.transportAt), limit }
        : { kind: 'tcp', connection }
    const query = bytes.slice(at, end)
    const id = this.pending.add(back, query, context.now)
    if (id === 0) {
      this.refusal = DnsDrop.tooManyForwarded
      return this.unanswered(bytes, at)
    }
    if (connection !== null) (connection.attachment as DnsStream).waiting++
    context.counters[Counter.forwarded]++
    if (!this.timer.armed) this.timer.arm(this.pending.deadline)
    const event: DnsForwardEvent = { kind: 'dns-forward', id, asker: port, query, tcp: connection !== null }
    context.emit(event)
    this.refusal = -1
    return NO_ANSWER
  }

  /** What a query gets that nobody can answer. */
  private unanswered(bytes: Uint8Array, at: number): number {
    return this.settings.unanswered === 'servfail' ? this.writer.empty(bytes, at, this.query, Rcode.serverFailure) : NO_ANSWER
  }

  /** False when nobody waits for it any more. */
  private upstreamAnswered(id: number, response: Uint8Array | null): boolean {
    const { context, scratch } = this
    const waiting = this.pending.take(id)
    if (waiting === undefined) return false
    const { back, query } = waiting
    const isAnswer = response !== null && response.length >= DNS_HEADER_LENGTH && response.length <= TCP_MESSAGE_MAX
    context.counters[isAnswer ? Counter.upstreamAnswers : Counter.upstreamFailures]++
    let length: number
    if (isAnswer && (back.kind === 'tcp' || response.length <= back.limit)) {
      scratch.set(response, UDP_HEADER_LENGTH)
      put16(scratch, UDP_HEADER_LENGTH, get16(query, 0))
      length = response.length
    } else {
      // Too long, or none at all: the answer is made from the question.
      scratch.set(query, UDP_HEADER_LENGTH)
      this.query.read(scratch, UDP_HEADER_LENGTH, UDP_HEADER_LENGTH + query.length)
      length = isAnswer ? this.truncated(response) : this.unanswered(scratch, UDP_HEADER_LENGTH)
    }
    if (back.kind === 'udp') {
      if (length !== NO_ANSWER) this.sendUdp(back.port, back.path, back.clientPort, length)
      return true
    }
    if (length !== NO_ANSWER) this.sendTcp(back.connection, length)
    const stream = back.connection.attachment as DnsStream
    if (--stream.waiting === 0 && stream.isEnding) this.tcp.end(back.connection)
    return true
  }

  /** The head of a long answer: its rcode, the question, and the TC bit, so that the client asks again by TCP (RFC 7766 section 5). */
  private truncated(response: Uint8Array): number {
    const { scratch, query, writer } = this
    const length = writer.empty(scratch, UDP_HEADER_LENGTH, query, get16(response, 2) & DnsFlag.rcode)
    put16(scratch, UDP_HEADER_LENGTH + 2, get16(scratch, UDP_HEADER_LENGTH + 2) | DnsFlag.truncated)
    return length
  }

  /** The client closed its side: ours follows the last answer that is still to come from upstream. */
  private streamEnded(connection: TcpConnection): void {
    const stream = connection.attachment as DnsStream | null
    if (stream === null || stream.waiting === 0) this.tcp.end(connection)
    else stream.isEnding = true
  }

  private streamData(connection: TcpConnection, bytes: Uint8Array, at: number, length: number): void {
    const asker = this.directory.askers[connection.elementPort] ?? null
    if (asker === null) return this.tcp.reset(connection)
    const stream = (connection.attachment ??= new DnsStream()) as DnsStream
    const { scratch } = this
    stream.append(bytes, at, length, (message) => {
      scratch.set(message, UDP_HEADER_LENGTH)
      this.context.counters[Counter.tcpQueries]++
      const answer = this.respond(
        scratch,
        UDP_HEADER_LENGTH,
        UDP_HEADER_LENGTH + message.length,
        connection.elementPort,
        asker,
        connection,
        TCP_MESSAGE_MAX
      )
      if (answer !== NO_ANSWER) this.sendTcp(connection, answer)
    })
    // What cannot be a query ends the connection: RFC 7766 leaves it to the server.
    if (stream.isBroken) this.tcp.reset(connection)
  }

  /** Sends the message of `length` bytes that stands in `scratch` behind room for a UDP header. */
  private sendTcp(connection: TcpConnection, length: number): void {
    put16(this.scratch, UDP_HEADER_LENGTH - 2, length)
    this.tcp.send(connection, this.scratch.subarray(UDP_HEADER_LENGTH - 2, UDP_HEADER_LENGTH + length))
  }

  private expire(now: number): void {
    this.context.counters[Counter.upstreamFailures] += this.pending.expire(now)
    if (this.pending.size > 0) this.timer.arm(this.pending.deadline)
  }
}

/** Options: DnsServiceOptions, reconfigured in place; updates: DnsChange. */
export const dnsServiceType: ElementType<DnsServiceOptions> = {
  type: 'dns-service',
  maxPorts: DNS_PORTS_MAX,
  counters: Object.keys(Counter),
  create: (context, options) => new DnsService(context, options)
}
