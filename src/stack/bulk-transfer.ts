/**
 * Moves many bytes between two virtual hosts as UDP datagrams, from inside the engine, with nothing lost.
 *
 * Go-back-N: a window of datagrams is under way, the sink acknowledges each one with the number that it expects next, and
 * the sender begins again from there after three equal acknowledgments or a silence.
 *
 *   data | transfer id (32) | sequence (32) | datagrams in all (32) | bytes ...
 *   ack  | transfer id (32) | next sequence expected (32) |
 */
import type { ElementContext } from '../engine/element.ts'
import type { Timer } from '../engine/timer-queue.ts'
import { get32, put32 } from '../wire/big-endian.ts'
import type { PacketView } from '../wire/packet-view.ts'
import { UDP_HEADER_LENGTH } from '../wire/udp.ts'
import type { IpOutput, Route } from './ip-output.ts'
import { addressBytes } from './ip-packet.ts'
import type { UdpSockets } from './udp-sockets.ts'

export interface FloodOptions {
  readonly address: string
  readonly toPort: number
  /** Bytes of data to move. */
  readonly bytes: number
  /** Bytes of one datagram, the transfer's header of 12 included; default: what fits the MTU. */
  readonly size?: number
  /** Bits per second, data only; default: as fast as answers come. */
  readonly rate?: number
}

export interface FloodResult {
  readonly bytes: number
  readonly datagrams: number
  /** Datagrams that were sent again. */
  readonly repeated: number
  readonly elapsedNs: number
}

export interface SinkStatistics {
  /** Data bytes that arrived in order, each once. */
  readonly bytes: number
  readonly datagrams: number
  /** Datagrams that came twice, or ahead of a lost one. */
  readonly discarded: number
}

const DATA_HEADER = 12
const ACK_LENGTH = 8
/** Datagrams under way, and frames: a link holds 1,024, and answers need room too. */
const WINDOW = 64
const FRAMES = 512
const REPEAT_AFTER_ACKS = 3
const TIMEOUT_NS = 200e6
const TIMEOUTS_MAX = 8
const TRANSFERS_MAX = 64

interface Transfer {
  readonly id: number
  readonly route: Route
  readonly port: number
  readonly options: FloodOptions
  readonly chunk: number
  readonly total: number
  readonly window: number
  /** Between two datagrams. */
  readonly gapNs: number
  readonly startedAt: number
  readonly done: (error: Error | null, result?: FloodResult) => void
  /** Lowest sequence not acknowledged, next to send, highest ever sent. */
  base: number
  next: number
  top: number
  repeated: number
  equalAcks: number
  timeouts: number
  /** When nothing more is hoped for; when the rate allows the next datagram. */
  deadline: number
  allowedAt: number
}

interface Reception {
  readonly route: Route
  expected: number
}

/** Where datagrams are made before they are sent: one for all hosts of a thread. */
const scratch = new Uint8Array(65535)

export class BulkTransfer {
  private readonly context: ElementContext
  private readonly output: IpOutput
  private readonly udp: UdpSockets
  private readonly transfers = new Map<number, Transfer>()
  private readonly sinks = new Map<number, { bytes: number; datagrams: number; discarded: number }>()
  private readonly receptions = new Map<number, Reception>()
  private readonly timer: Timer

  constructor(context: ElementContext, output: IpOutput, udp: UdpSockets) {
    this.context = context
    this.output = output
    this.udp = udp
    this.timer = context.timer((now) => this.tick(now))
  }

  /** Throws RangeError, AddressError or SendError; `done` is called once. */
  start(options: FloodOptions, done: Transfer['done']): void {
    const { address, toPort, bytes, rate } = options
    const route = this.output.route(addressBytes(address))
    const size = options.size ?? this.output.room(route) - UDP_HEADER_LENGTH
    if (!Number.isInteger(size) || size <= DATA_HEADER || size > 65507)
      throw new RangeError(`size ${size} is not a number from 13 to 65507`)
    if (!Number.isInteger(bytes) || bytes < 1) throw new RangeError(`bytes ${bytes} is not a positive number`)
    if (!Number.isInteger(toPort) || toPort < 1 || toPort > 65535) throw new RangeError(`toPort ${toPort} is not a number from 1 to 65535`)
    if (rate !== undefined && !(rate > 0)) throw new RangeError(`rate ${rate} is not a positive number of bits per second`)
    if (this.transfers.size >= TRANSFERS_MAX) throw new RangeError(`${TRANSFERS_MAX} transfers are under way already`)
    const chunk = size - DATA_HEADER
    const id = this.context.random.int32()
    const { now } = this.context
    const transfer: Transfer = {
      id,
      route,
      port: this.udp.bind(0, (packet, at, length) => this.acknowledged(id, packet.bytes, at, length)),
      options,
      chunk,
      total: Math.ceil(bytes / chunk),
      window: Math.max(1, Math.min(WINDOW, Math.floor(FRAMES / Math.ceil(size / this.output.room(route))))),
      gapNs: rate === undefined ? 0 : (chunk * 8e9) / rate,
      startedAt: now,
      done,
      base: 0,
      next: 0,
      top: 0,
      repeated: 0,
      equalAcks: 0,
      timeouts: 0,
      deadline: now + TIMEOUT_NS,
      allowedAt: now
    }
    this.transfers.set(id, transfer)
    this.fillWindow(transfer)
    this.armFor(transfer)
  }

  /** Counts what arrives on a port, 0 for any; returns the port. Throws RangeError. */
  openSink(port: number): number {
    const counts = { bytes: 0, datagrams: 0, discarded: 0 }
    const bound = this.udp.bind(port, (packet, at, length, fromPort) => this.received(bound, counts, packet, at, length, fromPort))
    this.sinks.set(bound, counts)
    return bound
  }

  closeSink(port: number): void {
    this.sinks.delete(port)
  }

  /** undefined where no sink is. */
  statistics(port: number): SinkStatistics | undefined {
    const counts = this.sinks.get(port)
    return counts === undefined ? undefined : { ...counts }
  }

  /** The host ends. */
  close(): void {
    for (const transfer of this.transfers.values()) this.finish(transfer, new Error('udpFlood: the host ended before all was acknowledged'))
  }

  private received(
    port: number,
    counts: { bytes: number; datagrams: number; discarded: number },
    packet: PacketView,
    at: number,
    length: number,
    fromPort: number
  ): void {
    const { bytes } = packet
    if (length < DATA_HEADER) return
    const id = get32(bytes, at)
    let reception = this.receptions.get(id)
    if (reception === undefined) {
      try {
        const { sourceAt, addressLength } = packet
        reception = { route: this.output.route(bytes.slice(sourceAt, sourceAt + addressLength)), expected: 0 }
      } catch {
        return // cannot be acknowledged
      }
      // A Map keeps the order of insertion: the first is the oldest.
      if (this.receptions.size >= TRANSFERS_MAX) this.receptions.delete(this.receptions.keys().next().value!)
      this.receptions.set(id, reception)
    }
    if (get32(bytes, at + 4) === reception.expected) {
      reception.expected++
      counts.bytes += length - DATA_HEADER
      counts.datagrams++
    } else {
      counts.discarded++
    }
    put32(scratch, 0, id)
    put32(scratch, 4, reception.expected)
    this.udp.send(reception.route, port, fromPort, scratch.subarray(0, ACK_LENGTH))
  }

  private acknowledged(id: number, bytes: Uint8Array, at: number, length: number): void {
    const transfer = this.transfers.get(id)
    if (transfer === undefined || length < ACK_LENGTH || get32(bytes, at) !== id) return
    const expected = get32(bytes, at + 4)
    if (expected < transfer.base || expected > transfer.top) return
    if (expected === transfer.base) {
      if (++transfer.equalAcks !== REPEAT_AFTER_ACKS) return
      this.goBack(transfer)
    } else {
      transfer.base = expected
      transfer.next = Math.max(transfer.next, expected)
      transfer.equalAcks = 0
      transfer.timeouts = 0
      transfer.deadline = this.context.now + TIMEOUT_NS
    }
    if (transfer.base === transfer.total) {
      const { options, total, repeated, startedAt } = transfer
      this.finish(transfer, null, { bytes: options.bytes, datagrams: total, repeated, elapsedNs: this.context.now - startedAt })
      return
    }
    this.fillWindow(transfer)
    if (transfer.gapNs > 0) this.armFor(transfer)
  }

  private goBack(transfer: Transfer): void {
    transfer.repeated += transfer.next - transfer.base
    transfer.next = transfer.base
    transfer.deadline = this.context.now + TIMEOUT_NS * 2 ** transfer.timeouts
  }

  private fillWindow(transfer: Transfer): void {
    const { now } = this.context
    const limit = this.limit(transfer)
    while (transfer.next < limit && (transfer.gapNs === 0 || transfer.allowedAt <= now)) {
      this.sendChunk(transfer, transfer.next++)
      transfer.top = Math.max(transfer.top, transfer.next)
      transfer.allowedAt = Math.max(transfer.allowedAt + transfer.gapNs, now - transfer.gapNs)
    }
  }

  /** One alone at first: the rest would only wait for the neighbor's MAC. */
  private limit({ total, base, window }: Transfer): number {
    return Math.min(total, base === 0 ? 1 : base + window)
  }

  private sendChunk(transfer: Transfer, sequence: number): void {
    const { options, chunk, total, id, port } = transfer
    const size = Math.min(chunk, options.bytes - sequence * chunk)
    put32(scratch, 0, id)
    put32(scratch, 4, sequence)
    put32(scratch, 8, total)
    scratch.fill(sequence, DATA_HEADER, DATA_HEADER + size)
    // What is refused now counts as lost and is repeated.
    this.udp.send(transfer.route, port, options.toPort, scratch.subarray(0, DATA_HEADER + size))
  }

  private tick(now: number): void {
    for (const transfer of [...this.transfers.values()]) {
      if (transfer.deadline <= now) {
        if (++transfer.timeouts > TIMEOUTS_MAX) {
          const { address, toPort } = transfer.options
          this.finish(transfer, new Error(`udpFlood: ${address} port ${toPort} did not acknowledge ${TIMEOUTS_MAX} times in a row`))
          continue
        }
        this.goBack(transfer)
      }
      this.fillWindow(transfer)
      this.armFor(transfer)
    }
  }

  private armFor(transfer: Transfer): void {
    const hasWork = transfer.gapNs > 0 && transfer.next < this.limit(transfer)
    const at = hasWork ? Math.min(transfer.deadline, transfer.allowedAt) : transfer.deadline
    if (!this.timer.armed || this.timer.at > at) this.timer.arm(at)
  }

  private finish(transfer: Transfer, error: Error | null, result?: FloodResult): void {
    this.transfers.delete(transfer.id)
    this.udp.unbind(transfer.port)
    transfer.done(error, result)
  }
}
