/**
 * One passively opened TCP connection, RFC 9293: in-order data, acknowledgments, retransmission, orderly end.
 *
 *   synReceived --ACK--> established --their FIN--> closeWait --our FIN--> lastAck --ACK--> closed
 *                             \--our FIN--> finWait --their FIN and ACK--> closed
 *
 * For short exchanges with peers one hop away: no window scaling, no SACK, no timestamps, a fixed congestion window of ten
 * segments (RFC 6928), segments out of order are not kept. Nothing that a peer sends can make it hold more than its buffer.
 */
import type { Path } from './ip-packet.ts'

export type TcpState = 'synReceived' | 'established' | 'closeWait' | 'lastAck' | 'finWait' | 'closed'

/** Bytes that wait to be acknowledged at most; more is a peer that does not read. */
export const TCP_SEND_BUFFER = 256 * 1024
/** What we say that we take; data is consumed at once. */
export const TCP_WINDOW_SIZE = 65535

const WINDOW_SEGMENTS = 10
const FIRST_TIMEOUT_NS = 1e9
const TIMEOUT_MAX_NS = 16e9
/** Retransmissions of the same data before the peer is given up. */
export const TCP_RETRIES = 6

export class TcpConnection {
  readonly path: Path
  /** The element's port by which the peer is reached. */
  readonly elementPort: number
  readonly localPort: number
  readonly remotePort: number
  /** Largest segment that the peer takes and our MTU carries. */
  readonly segmentSize: number
  state: TcpState = 'synReceived'
  /** Oldest byte not acknowledged, next byte to send, next byte expected; int32, modulo 2^32. */
  sendUnacknowledged: number
  sendNext: number
  receiveNext: number
  /** What the last segment that we sent acknowledged. */
  acknowledgedTo: number
  peerWindow: number
  /** Bytes from sendUnacknowledged on, as far as they are data. */
  private buffer = new Uint8Array(2048)
  buffered = 0
  /** Our end is closed behind the buffered data. */
  ending = false
  retries = 0
  duplicates = 0
  /** When the unacknowledged data is sent again; Infinity when there is none. */
  retransmitAt = Number.POSITIVE_INFINITY
  /** When an idle connection is ended. */
  idleAt = 0
  /** The server's own state for this connection. */
  attachment: unknown = null

  constructor(
    path: Path,
    elementPort: number,
    localPort: number,
    remotePort: number,
    segmentSize: number,
    initial: number,
    receiveNext: number,
    window: number
  ) {
    this.path = path
    this.elementPort = elementPort
    this.localPort = localPort
    this.remotePort = remotePort
    this.segmentSize = segmentSize
    this.sendUnacknowledged = initial
    this.sendNext = (initial + 1) | 0 // the SYN
    this.receiveNext = receiveNext
    this.acknowledgedTo = receiveNext
    this.peerWindow = window
  }

  /** Puts data behind what waits; false when it does not fit or our end is closed. */
  append(data: Uint8Array): boolean {
    const needed = this.buffered + data.length
    if (this.ending || needed > TCP_SEND_BUFFER) return false
    if (needed > this.buffer.length) {
      const bigger = new Uint8Array(2 ** Math.ceil(Math.log2(needed)))
      bigger.set(this.buffer.subarray(0, this.buffered))
      this.buffer = bigger
    }
    this.buffer.set(data, this.buffered)
    this.buffered = needed
    return true
  }

  /** Bytes under way: data, SYN and FIN. */
  get inFlight(): number {
    return (this.sendNext - this.sendUnacknowledged) | 0
  }

  /** Whether the FIN is under way or acknowledged. */
  get finSent(): boolean {
    return this.state === 'lastAck' || this.state === 'finWait'
  }

  /** How many data bytes may be sent now, from offset `inFlight` of the buffer. */
  get sendable(): number {
    if (this.state === 'synReceived' || this.finSent) return 0
    const window = Math.min(this.peerWindow, WINDOW_SEGMENTS * this.segmentSize)
    return Math.max(0, Math.min(this.buffered, window) - this.inFlight)
  }

  /** Copies buffered data from `offset` to `into`. */
  copyTo(offset: number, length: number, into: Uint8Array, at: number): void {
    into.set(this.buffer.subarray(offset, offset + length), at)
  }

  /** The peer has everything up to `acknowledgment`, which lies in (sendUnacknowledged, sendNext]. Returns whether our FIN is among it. */
  acknowledge(acknowledgment: number, now: number): boolean {
    let count = (acknowledgment - this.sendUnacknowledged) | 0
    if (this.state === 'synReceived') {
      this.state = 'established'
      count--
    }
    const data = Math.min(count, this.buffered)
    this.buffer.copyWithin(0, data, this.buffered)
    this.buffered -= data
    this.sendUnacknowledged = acknowledgment
    this.retries = 0
    this.duplicates = 0
    this.armRetransmit(now)
    return this.finSent && acknowledgment === this.sendNext
  }

  /** Sets the time for the next retransmission, doubled with every try. */
  armRetransmit(now: number): void {
    const pause = Math.min(TIMEOUT_MAX_NS, FIRST_TIMEOUT_NS * 2 ** this.retries)
    this.retransmitAt = this.inFlight > 0 || this.buffered > 0 ? now + pause : Number.POSITIVE_INFINITY
  }
}
