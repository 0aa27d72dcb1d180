/**
 * TCP for servers: listens on one port for every element port, and carries connections to their end. See TcpConnection.
 *
 * Segments that belong to no connection are refused with a reset. The number of connections is bounded; when it is reached,
 * the one that has been silent for the longest time makes room.
 */
import type { ElementContext } from '../engine/element.ts'
import { type FrameHandle, NO_FRAME } from '../engine/frame-pool.ts'
import type { Timer } from '../engine/timer-queue.ts'
import { put16, put32 } from '../wire/big-endian.ts'
import { isGroup } from '../wire/ethernet.ts'
import { IpProtocol } from '../wire/ipv4.ts'
import type { PacketView } from '../wire/packet-view.ts'
import {
  checkTcp,
  TCP_CHECKSUM,
  TCP_HEADER_LENGTH,
  TcpFlag,
  TcpOption,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderLength,
  tcpMaxSegmentSize,
  tcpSequence,
  tcpSourcePort,
  tcpWindow
} from '../wire/tcp.ts'
import { addressEquals, buildPacket, hasGoodChecksum, replyPath } from './ip-packet.ts'
import { StackDrop } from './stack-drop.ts'
import { TCP_RETRIES, TCP_WINDOW_SIZE, TcpConnection } from './tcp-connection.ts'
import { answerWithReset } from './tcp-reset.ts'

export interface TcpServer {
  /** Data in order; valid during the call. */
  data(connection: TcpConnection, bytes: Uint8Array, at: number, length: number): void
  /** The client sends nothing more; it may still read. The server ends its side by `end`, now or after its last answer. */
  ended(connection: TcpConnection): void
  /** The connection is gone, for whatever reason. */
  closed(connection: TcpConnection): void
}

export interface TcpResponderOptions {
  readonly port: number
  readonly mtu?: number
  /** On one port of the element: who opens many disturbs nobody else. Default 256. */
  readonly maxConnections?: number
  /** A connection on which nothing comes is ended; default 30 s. */
  readonly idleNs?: number
}

/** RFC 9293 3.7.1: what a peer that says nothing takes. */
const DEFAULT_SEGMENT = { 4: 536, 16: 1220 } as const
const MSS_OPTION_LENGTH = 4

export class TcpResponder {
  private readonly context: ElementContext
  private readonly transmit: (elementPort: number, frame: FrameHandle) => void
  private readonly server: TcpServer
  private readonly port: number
  private readonly mtu: number
  private readonly maxConnections: number
  private readonly idleNs: number
  private readonly connections = new Set<TcpConnection>()
  private readonly byPort = new Map<number, Set<TcpConnection>>()
  private readonly timer: Timer
  private readonly segment = new Uint8Array(65535)

  constructor(
    context: ElementContext,
    transmit: (elementPort: number, frame: FrameHandle) => void,
    server: TcpServer,
    options: TcpResponderOptions
  ) {
    this.context = context
    this.transmit = transmit
    this.server = server
    this.port = options.port
    this.mtu = options.mtu ?? 1500
    this.maxConnections = options.maxConnections ?? 256
    this.idleNs = options.idleNs ?? 30e9
    this.timer = context.timer((now) => this.tick(now))
  }

  get size(): number {
    return this.connections.size
  }

  /** Takes a TCP packet that came by an element port. */
  receive(frame: FrameHandle, packet: PacketView, elementPort: number): void {
    const { context } = this
    const { bytes, transportAt, end, frameAt: at } = packet
    if (!checkTcp(bytes, transportAt, end)) return context.drop(frame, StackDrop.malformed)
    if (!hasGoodChecksum(packet, context.frames.flags[frame])) return context.drop(frame, StackDrop.badChecksum)
    if (isGroup(bytes, at)) return context.drop(frame, StackDrop.notForUs)
    const flags = tcpFlags(bytes, transportAt)
    const connection = this.find(packet, elementPort)
    if (connection !== null) {
      this.segmentArrived(connection, packet, flags)
      context.frames.free(frame)
      return
    }
    const isOpening = (flags & (TcpFlag.syn | TcpFlag.ack | TcpFlag.rst | TcpFlag.fin)) === TcpFlag.syn
    if (!isOpening || tcpDestinationPort(bytes, transportAt) !== this.port) {
      answerWithReset(context, frame, packet, (reset) => this.transmit(elementPort, reset))
      return
    }
    this.open(packet, elementPort)
    context.frames.free(frame)
  }

  /** Sends data; a peer that does not read is reset. */
  send(connection: TcpConnection, data: Uint8Array): void {
    if (!this.connections.has(connection)) return
    if (!connection.append(data)) return this.reset(connection)
    this.flush(connection)
    this.arm(connection)
  }

  /** Ends our side once everything is sent. */
  end(connection: TcpConnection): void {
    if (!this.connections.has(connection)) return
    connection.ending = true
    this.flush(connection)
    this.arm(connection)
  }

  /** Ends a connection at once. */
  reset(connection: TcpConnection): void {
    if (!this.connections.has(connection)) return
    this.emit(connection, TcpFlag.rst | TcpFlag.ack, connection.sendNext, 0, 0)
    this.forget(connection)
  }

  /** Forgets the connections of one element port, silently: nobody is there any more. */
  forgetPort(elementPort: number): void {
    for (const connection of [...(this.byPort.get(elementPort) ?? [])]) this.forget(connection)
  }

  /** Forgets all connections, silently: the element goes. */
  close(): void {
    for (const connection of [...this.connections]) this.forget(connection)
  }

  private find({ bytes, transportAt, sourceAt, destinationAt, addressLength }: PacketView, elementPort: number): TcpConnection | null {
    const remotePort = tcpSourcePort(bytes, transportAt)
    const localPort = tcpDestinationPort(bytes, transportAt)
    const candidates = this.byPort.get(elementPort)
    if (candidates === undefined) return null
    for (const connection of candidates) {
      if (connection.remotePort !== remotePort || connection.localPort !== localPort) continue
      const { source, destination } = connection.path
      if (source.length === addressLength && addressEquals(bytes, sourceAt, destination) && addressEquals(bytes, destinationAt, source))
        return connection
    }
    return null
  }

  private open(packet: PacketView, elementPort: number): void {
    const { bytes, transportAt, addressLength } = packet
    const neighbors = this.byPort.get(elementPort) ?? new Set()
    if (neighbors.size >= this.maxConnections) this.evict(neighbors)
    const offered = tcpMaxSegmentSize(bytes, transportAt)
    const ours = this.mtu - (addressLength === 4 ? 40 : 60)
    const segmentSize = Math.max(64, Math.min(ours, offered < 0 ? DEFAULT_SEGMENT[addressLength] : offered))
    const connection = new TcpConnection(
      replyPath(packet),
      elementPort,
      this.port,
      tcpSourcePort(bytes, transportAt),
      segmentSize,
      this.context.random.int32(),
      (tcpSequence(bytes, transportAt) + 1) | 0,
      tcpWindow(bytes, transportAt)
    )
    this.connections.add(connection)
    this.byPort.set(elementPort, neighbors.add(connection))
    connection.idleAt = this.context.now + this.idleNs
    this.emitSynAck(connection)
    connection.armRetransmit(this.context.now)
    this.arm(connection)
  }

  /** RFC 9293 section 3.10.7.4, with RFC 5961 against segments made up by others. */
  private segmentArrived(connection: TcpConnection, packet: PacketView, flags: number): void {
    const { bytes, transportAt, end } = packet
    const sequence = tcpSequence(bytes, transportAt)
    let dataAt = transportAt + tcpHeaderLength(bytes, transportAt)
    // Negative: already here; positive: ahead of what is expected.
    const ahead = (sequence - connection.receiveNext) | 0
    if ((flags & TcpFlag.rst) !== 0) {
      if (ahead === 0) this.forget(connection)
      else if (ahead > 0 && ahead < TCP_WINDOW_SIZE) this.acknowledge(connection)
      return
    }
    if ((flags & TcpFlag.syn) !== 0) {
      if (connection.state === 'synReceived' && ahead === -1) this.emitSynAck(connection)
      else this.acknowledge(connection)
      return
    }
    if ((flags & TcpFlag.ack) === 0) return
    const length = end - dataAt
    if (ahead > 0 || ahead < -TCP_WINDOW_SIZE || (ahead < 0 && -ahead > length + ((flags & TcpFlag.fin) !== 0 ? 1 : 0))) {
      this.acknowledge(connection)
      return
    }
    if (!this.takeAcknowledgment(connection, packet, length)) return
    connection.idleAt = this.context.now + this.idleNs
    dataAt += Math.min(length, -ahead)
    const fresh = end - dataAt
    const hasFin = (flags & TcpFlag.fin) !== 0
    const isOldFin = hasFin && length + ahead < 0
    this.takeData(connection, bytes, dataAt, fresh, hasFin && !isOldFin, length > 0 || hasFin)
    if (this.connections.has(connection)) {
      this.flush(connection)
      this.arm(connection)
    }
  }

  /** False when the connection ended or the segment must not be looked at any further. */
  private takeAcknowledgment(connection: TcpConnection, { bytes, transportAt }: PacketView, length: number): boolean {
    const acknowledgment = tcpAcknowledgment(bytes, transportAt)
    const fresh = (acknowledgment - connection.sendUnacknowledged) | 0
    if (connection.state === 'synReceived' && (fresh <= 0 || fresh > connection.inFlight)) {
      // Who does not know our number is not who sent the SYN: nothing of the segment counts (RFC 9293 3.10.7.4).
      if (fresh !== 0) this.reset(connection)
      return false
    }
    if (fresh < 0) return true // an old one
    if (fresh > connection.inFlight) {
      this.acknowledge(connection)
      return false
    }
    const window = tcpWindow(bytes, transportAt)
    const isDuplicate = fresh === 0 && length === 0 && connection.inFlight > 0 && window === connection.peerWindow
    connection.peerWindow = window
    if (isDuplicate && ++connection.duplicates === 3) this.retransmit(connection)
    if (fresh === 0) return true
    const isFinAcknowledged = connection.acknowledge(acknowledgment, this.context.now)
    if (isFinAcknowledged && connection.state === 'lastAck') {
      this.forget(connection)
      return false
    }
    return true
  }

  private takeData(connection: TcpConnection, bytes: Uint8Array, at: number, length: number, hasFin: boolean, needsAnswer: boolean): void {
    const { state } = connection
    if (state === 'closeWait' || state === 'lastAck') {
      if (needsAnswer) this.acknowledge(connection) // after their FIN nothing new can come
      return
    }
    if (length > 0) {
      connection.receiveNext = (connection.receiveNext + length) | 0
      this.server.data(connection, bytes, at, length)
      if (!this.connections.has(connection)) return
    }
    if (hasFin) {
      connection.receiveNext = (connection.receiveNext + 1) | 0
      if (state === 'finWait') {
        this.acknowledge(connection)
        this.forget(connection)
        return
      }
      connection.state = 'closeWait'
      this.server.ended(connection)
      if (!this.connections.has(connection)) return
    }
    // The server's own answer may have carried the acknowledgment; what brought nothing new is always answered.
    const isNew = length > 0 || hasFin
    if (needsAnswer && (!isNew || connection.acknowledgedTo !== connection.receiveNext)) this.acknowledge(connection)
  }

  /** Sends what the windows allow, and the FIN behind the last byte. */
  private flush(connection: TcpConnection): void {
    const { context } = this
    for (let room = connection.sendable; room > 0; room = connection.sendable) {
      const size = Math.min(room, connection.segmentSize)
      const offset = connection.inFlight
      const isLast = offset + size === connection.buffered
      this.emit(connection, TcpFlag.ack | (isLast ? TcpFlag.psh : 0), connection.sendNext, offset, size)
      connection.sendNext = (connection.sendNext + size) | 0
    }
    const isAllSent = connection.inFlight === connection.buffered
    const mayEnd = connection.state === 'established' || connection.state === 'closeWait'
    if (connection.ending && isAllSent && mayEnd) {
      this.emit(connection, TcpFlag.fin | TcpFlag.ack, connection.sendNext, 0, 0)
      connection.sendNext = (connection.sendNext + 1) | 0
      connection.state = connection.state === 'closeWait' ? 'lastAck' : 'finWait'
    }
    if (connection.retransmitAt === Number.POSITIVE_INFINITY) connection.armRetransmit(context.now)
  }

  /** Sends the oldest unacknowledged segment again; into a closed window one byte, which probes it (RFC 9293 3.8.6.1). */
  private retransmit(connection: TcpConnection): void {
    const { sendUnacknowledged, state, buffered, segmentSize } = connection
    if (state === 'synReceived') return this.emitSynAck(connection)
    const size = Math.min(buffered, segmentSize, Math.max(1, connection.peerWindow))
    const isFin = connection.finSent && size === buffered
    const flags = TcpFlag.ack | (size > 0 ? TcpFlag.psh : 0) | (isFin ? TcpFlag.fin : 0)
    if (size === 0 && !isFin) return
    this.emit(connection, flags, sendUnacknowledged, 0, size)
    // A probe beyond what was sent counts as sent.
    if (((sendUnacknowledged + size - connection.sendNext) | 0) > 0) connection.sendNext = (sendUnacknowledged + size) | 0
  }

  private tick(now: number): void {
    for (const connection of [...this.connections]) {
      if (connection.retransmitAt <= now) {
        if (++connection.retries > TCP_RETRIES) {
          this.reset(connection)
          continue
        }
        this.retransmit(connection)
        connection.armRetransmit(now)
      }
      if (connection.idleAt <= now) {
        // The first time an orderly end; a peer that leaves that unanswered is forgotten.
        if (connection.ending || connection.state === 'synReceived') {
          this.reset(connection)
          continue
        }
        connection.idleAt = now + this.idleNs
        this.end(connection)
      }
      if (this.connections.has(connection)) this.arm(connection)
    }
  }

  private arm(connection: TcpConnection): void {
    const at = Math.min(connection.retransmitAt, connection.idleAt)
    if (!this.timer.armed || at < this.timer.at) this.timer.arm(at)
  }

  private evict(connections: ReadonlySet<TcpConnection>): void {
    let oldest: TcpConnection | null = null
    for (const connection of connections) if (oldest === null || connection.idleAt < oldest.idleAt) oldest = connection
    if (oldest !== null) this.reset(oldest)
  }

  private forget(connection: TcpConnection): void {
    if (!this.connections.delete(connection)) return
    const neighbors = this.byPort.get(connection.elementPort)!
    neighbors.delete(connection)
    if (neighbors.size === 0) this.byPort.delete(connection.elementPort)
    connection.state = 'closed'
    this.server.closed(connection)
  }

  private acknowledge(connection: TcpConnection): void {
    this.emit(connection, TcpFlag.ack, connection.sendNext, 0, 0)
  }

  private emitSynAck(connection: TcpConnection): void {
    const { segment } = this
    segment[TCP_HEADER_LENGTH] = TcpOption.maxSegmentSize
    segment[TCP_HEADER_LENGTH + 1] = MSS_OPTION_LENGTH
    put16(segment, TCP_HEADER_LENGTH + 2, this.mtu - (connection.path.source.length === 4 ? 40 : 60))
    this.emitSegment(connection, TcpFlag.syn | TcpFlag.ack, connection.sendUnacknowledged, TCP_HEADER_LENGTH + MSS_OPTION_LENGTH, 0)
  }

  /** A segment with `size` buffered bytes from `offset`. */
  private emit(connection: TcpConnection, flags: number, sequence: number, offset: number, size: number): void {
    connection.copyTo(offset, size, this.segment, TCP_HEADER_LENGTH)
    this.emitSegment(connection, flags, sequence, TCP_HEADER_LENGTH, size)
  }

  private emitSegment(connection: TcpConnection, flags: number, sequence: number, headerLength: number, size: number): void {
    const { segment } = this
    put16(segment, 0, connection.localPort)
    put16(segment, 2, connection.remotePort)
    put32(segment, 4, sequence)
    put32(segment, 8, connection.receiveNext)
    connection.acknowledgedTo = connection.receiveNext
    segment[12] = (headerLength / 4) << 4
    segment[13] = flags
    put16(segment, 14, TCP_WINDOW_SIZE)
    put32(segment, 16, 0) // checksum and urgent pointer
    const frame = buildPacket(this.context, connection.path, IpProtocol.tcp, segment, 0, headerLength + size, TCP_CHECKSUM)
    // Without a free slot the segment is lost, and sent again in its time.
    if (frame !== NO_FRAME) this.transmit(connection.elementPort, frame)
  }
}
