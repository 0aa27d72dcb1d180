/**
 * The windows of TCP connections seen from the middle: does a segment belong to its connection, and what does it change?
 *
 * The semantics are those of tcp_in_window in Linux's nf_conntrack_proto_tcp, which follows "Real Stateful TCP Packet Filtering in IP
 * Filter" (van Rooij, 2001): a segment belongs to its connection when
 *
 *   I    it ends nowhere beyond what the receiver has offered           seq <= sender's MAXEND
 *   II   it is not wholly older than the receiver's window              end >= sender's END - receiver's MAXWIN
 *   III  it acknowledges nothing that was not seen                      ack <= receiver's END
 *   IV   nor something very old                                         ack >= receiver's END - max(MAXWIN, 66,000)
 *
 * Breaking I or III is a forgery, but for a little more data than was offered; breaking II or IV is a late segment, which passes and
 * changes nothing.
 *
 *   tcp words of a flow   | END MAXEND MAXWIN MAXACK FLAGS, original | the same, reply | last: seq ack end window | LAST | LAST_OPTIONS |
 */
import { TcpFlag, tcpAcknowledgment, tcpFlags, tcpHeaderLength, tcpSequence, tcpWindow } from '../../wire/tcp.ts'
import { type Conntrack, TCP_WORDS } from './conntrack.ts'
import { TcpKind, TcpState } from './tcp-states.ts'
import { readSack, readSynOptions, SynOption } from './tcp-window-options.ts'
import { TimeoutIndex } from './timeouts.ts'

/** Words of one end, from flow * TCP_WORDS + direction * ends; and of the last segment, from flow * TCP_WORDS. */
export const TcpWord = {
  end: 0,
  maxEnd: 1,
  maxWin: 2,
  maxAck: 3,
  /** What its SYN said, in the low bits, and TcpEndFlag. */
  flags: 4,
  ends: 5,
  lastSeq: 10,
  lastAck: 11,
  lastEnd: 12,
  lastWindow: 13,
  /** Kind (LastSegment.kindMask), direction, how often it was repeated. */
  last: 14,
  lastOptions: 15
} as const

/** In `flags`. */
export const TcpEndFlag = {
  /** Closed first: may reopen. */
  closeInit: 0x40,
  /** Picked up in mid-stream: its window scale is not known, so its windows are not judged. */
  liberal: 0x80,
  unacknowledged: 0x100,
  maxAckSet: 0x200
} as const

/** In `last`. */
export const LastSegment = { kindMask: 7, direction: 8, retransShift: 4 } as const

/** What `judge` found. */
export const WindowVerdict = { inWindow: 0, outOfWindow: 1, late: 2 } as const

// Constants of this module are part of the code that V8 makes; members of objects are looked up at every use.
const { end: END, maxEnd: MAXEND, maxWin: MAXWIN, maxAck: MAXACK, flags: FLAGS, ends: END_WORDS } = TcpWord
const { lastSeq: LAST_SEQ, lastAck: LAST_ACK, lastEnd: LAST_END, lastWindow: LAST_WINDOW, last: LAST, lastOptions: LAST_OPTIONS } = TcpWord
const { liberal: LIBERAL, unacknowledged: UNACKNOWLEDGED, maxAckSet: MAXACK_SET } = TcpEndFlag
const { direction: DIRECTION_BIT, retransShift: RETRANS_SHIFT } = LastSegment
const { inWindow: IN_WINDOW, outOfWindow: OUT_OF_WINDOW, late: LATE } = WindowVerdict
const { scaleMask: SCALE_MASK, windowScale: WINDOW_SCALE, sackPermitted: SACK_PERMITTED } = SynOption
const { ack: ACK, rst: RST, syn: SYN, fin: FIN } = TcpFlag
/** Window of IV at least, bytes: a full unscaled window and a little. */
const ACK_WINDOW = 66_000
const ACK_KIND = TcpKind.ack
const SYN_KIND = TcpKind.syn
const steady = TimeoutIndex.tcpEstablished
const waiting = TimeoutIndex.tcpUnacknowledged

export class TcpWindows {
  /** Judge no windows but those of resets (nf_conntrack_tcp_be_liberal). */
  liberal: boolean
  // The segment at hand, in host order.
  seq = 0
  ack = 0
  end = 0
  window = 0
  flags = 0
  private readonly flows: Conntrack
  private readonly words: Int32Array

  constructor(flows: Conntrack, liberal: boolean) {
    this.flows = flows
    this.words = flows.tcp
    this.liberal = liberal
  }

  /** Makes the segment at [at, end) the one at hand; `checkTcp` has passed. */
  read(bytes: Uint8Array, at: number, end: number): void {
    const flags = tcpFlags(bytes, at)
    this.flags = flags
    this.seq = tcpSequence(bytes, at)
    this.ack = tcpAcknowledgment(bytes, at)
    this.window = tcpWindow(bytes, at)
    const counted = ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0)
    this.end = (this.seq + (end - at - tcpHeaderLength(bytes, at)) + counted) | 0
  }

  /** The segment at hand is the first one of the flow whose words begin at `base`. `at`: of its header. */
  begin(base: number, bytes: Uint8Array, at: number): void {
    const { words } = this
    words[base + END] = this.end
    words[base + MAXWIN] = Math.max(1, this.window)
    if ((this.flags & SYN) !== 0) {
      words[base + MAXEND] = this.end
      words[base + FLAGS] = readSynOptions(bytes, at)
      return
    }
    words[base + MAXEND] = (this.end + words[base + MAXWIN]) | 0
    words[base + FLAGS] = SACK_PERMITTED | LIBERAL
    words[base + END_WORDS + FLAGS] = SACK_PERMITTED | LIBERAL
  }

  /** The same for a SYN alone, and what `judge` adds: all words of the flow are written. */
  beginWithSyn(base: number, bytes: Uint8Array, at: number): void {
    const { words, end, window } = this
    const offered = window === 0 ? 1 : window
    const reply = (base + END_WORDS) | 0
    words[(base + END) | 0] = end
    words[(base + MAXEND) | 0] = end
    words[(base + MAXWIN) | 0] = offered
    words[(base + MAXACK) | 0] = 0
    words[(base + FLAGS) | 0] = readSynOptions(bytes, at)
    words[(reply + END) | 0] = 0
    words[(reply + MAXEND) | 0] = offered
    for (let i = (reply + MAXWIN) | 0; i < base + TCP_WORDS; i = (i + 1) | 0) words[i] = 0
    words[(base + LAST) | 0] = SYN_KIND
  }

  /**
   * A plain ACK or data segment of an established flow, as the fast path meets it. Numbers are in host order.
   * @returns TimeoutIndex that the flow begins anew, when the segment is inside all windows and they are brought up to date; -1 when
   *   somebody has to look at it with care, and nothing is changed
   */
  advance(flow: number, direction: number, seq: number, ack: number, end: number, rawWindow: number): number {
    const { words } = this
    const base = (flow * TCP_WORDS) | 0
    const sender = (base + direction * END_WORDS) | 0
    const receiver = (base + (1 - direction) * END_WORDS) | 0
    const flags = words[sender + FLAGS]
    const peer = words[receiver + FLAGS]
    const maxWindow = words[receiver + MAXWIN]
    const senderEnd = words[sender + END]
    const maxEnd = words[sender + MAXEND]
    const receiverEnd = words[receiver + END]
    const senderWindow = words[sender + MAXWIN]
    // What would mark data as waiting, count a repeat or meet an unknown window is for `follow`.
    if (((flags | peer) & LIBERAL) !== 0 || (flags & MAXACK_SET) === 0 || senderWindow === 0 || maxWindow === 0 || rawWindow === 0)
      return -1
    if (words[base + LAST] >>> RETRANS_SHIFT !== 0) return -1
    if (((seq - maxEnd) | 0) > 0 || ((end - senderEnd + maxWindow) | 0) < 0) return -1
    if (((ack - receiverEnd) | 0) > 0 || ((ack - receiverEnd + (senderWindow > ACK_WINDOW ? senderWindow : ACK_WINDOW)) | 0) < 0) return -1
    if (words[base + LAST_SEQ] === seq && words[base + LAST_ACK] === ack && words[base + LAST_END] === end) return -1
    const window = rawWindow << (flags & SCALE_MASK)
    if (window > senderWindow) words[sender + MAXWIN] = window
    if (((end - senderEnd) | 0) > 0) {
      words[sender + END] = end
      words[sender + FLAGS] = flags | UNACKNOWLEDGED
    }
    if (((ack - words[sender + MAXACK]) | 0) > 0) words[sender + MAXACK] = ack
    if (((end - maxEnd) | 0) > 0) words[receiver + MAXWIN] = (maxWindow + end - maxEnd) | 0
    if (((ack + window - words[receiver + MAXEND]) | 0) >= 0) words[receiver + MAXEND] = (ack + window) | 0
    if (ack === receiverEnd && (peer & UNACKNOWLEDGED) !== 0) words[receiver + FLAGS] = peer & ~UNACKNOWLEDGED
    words[base + LAST_SEQ] = seq
    words[base + LAST_ACK] = ack
    words[base + LAST_END] = end
    words[base + LAST_WINDOW] = rawWindow
    words[base + LAST] = ACK_KIND | (direction << 3)
    return ((words[sender + FLAGS] | words[receiver + FLAGS]) & UNACKNOWLEDGED) !== 0 ? this.flows.shorter(steady, waiting) : steady
  }

  /** 1 when data waits for its acknowledgment, which shortens the time-out. */
  waits(flow: number): number {
    const base = flow * TCP_WORDS
    return ((this.words[base + FLAGS] | this.words[base + END_WORDS + FLAGS]) & UNACKNOWLEDGED) !== 0 ? 1 : 0
  }

  /** The last segment, which passed unjudged, was right and we were not: its end begins anew with it. */
  resync(base: number, lastDirection: number): void {
    const { words } = this
    const last = base + lastDirection * END_WORDS
    const window = Math.max(1, words[base + LAST_WINDOW])
    words[last + END] = words[base + LAST_END]
    words[last + MAXEND] = words[base + LAST_END]
    words[last + MAXWIN] = window
    words[last + FLAGS] = words[base + LAST_OPTIONS] & 0xff
    const other = base + (1 - lastDirection) * END_WORDS
    const liberal = words[other + FLAGS] & LIBERAL
    words.fill(0, other, other + END_WORDS)
    words[other + FLAGS] = liberal
  }

  /** Judges the segment by the windows, and brings them up to date when it is in them. */
  judge(base: number, direction: number, state: number, kind: number, bytes: Uint8Array, at: number): number {
    const { words, flags } = this
    const sender = base + direction * END_WORDS
    const receiver = base + (1 - direction) * END_WORDS
    let { seq, ack, end } = this
    let sack = ack
    let window = this.window
    if ((words[receiver + FLAGS] & SACK_PERMITTED) !== 0) sack = readSack(bytes, at, ack)

    if (words[sender + MAXWIN] === 0) {
      if ((flags & SYN) !== 0) {
        this.initialise(sender, receiver, bytes, at)
        // Simultaneous open: the other end's window is not known yet.
        if ((flags & ACK) === 0) return IN_WINDOW
      } else {
        window <<= words[sender + FLAGS] & SCALE_MASK
        words[sender + END] = end
        words[sender + MAXWIN] = Math.max(1, window)
        words[sender + MAXEND] = (end + words[sender + MAXWIN]) | 0
        window = this.window
        if (words[receiver + MAXWIN] === 0) {
          words[receiver + END] = sack
          words[receiver + MAXEND] = sack
        } else if (sack === ((words[receiver + END] + 1) | 0)) {
          // Probably the answer to a keep-alive.
          words[receiver + END] = (words[receiver + END] + 1) | 0
        }
      }
    } else if ((flags & SYN) !== 0 && ((end - words[sender + END]) | 0) > 0) {
      // A SYN again with another number: the end began anew.
      if (state === TcpState.synSent || state === TcpState.synRecv) {
        this.initialise(sender, receiver, bytes, at)
        if (direction === 1 && (flags & ACK) === 0) return IN_WINDOW
      }
    }

    const brokenReset = (flags & (ACK | RST)) === (ACK | RST) && ack === 0
    if ((flags & ACK) === 0 || brokenReset) ack = sack = words[receiver + END]
    if ((flags & RST) !== 0 && seq === 0 && state === TcpState.synSent) seq = end = words[sender + END]

    const receiverWindow = words[receiver + MAXWIN]
    const ackWindow = Math.max(words[sender + MAXWIN], ACK_WINDOW)
    const isLiberal = this.liberal || (words[sender + FLAGS] & LIBERAL) !== 0
    // Written as Linux's before() and after(), which decide otherwise than a plain comparison when numbers are 2^31 apart.
    const isInWindow = receiverWindow === 0 || ((words[sender + END] - receiverWindow - 1 - end) | 0) < 0
    const acksTooMuch = ((sack - words[receiver + END] - 1) | 0) >= 0
    const acksTooLate = ((words[receiver + END] - ackWindow - 1 - sack) | 0) >= 0
    let found: number = IN_WINDOW
    if (((seq - words[sender + MAXEND] - 1) | 0) >= 0) {
      const overshot = (end - words[sender + MAXEND] + 1) >>> 0
      found = OUT_OF_WINDOW
      // A sender that says a little more than it may: it passes, and an answer to it is not held against the receiver.
      if (receiverWindow !== 0 && isInWindow && !acksTooLate && !acksTooMuch && overshot <= receiverWindow) {
        words[sender + END] = end
        words[sender + FLAGS] |= UNACKNOWLEDGED
        found = LATE
      }
    } else if (acksTooMuch) {
      found = OUT_OF_WINDOW
    } else if (!isInWindow || acksTooLate) {
      found = LATE
    }
    if (found !== IN_WINDOW) return isLiberal ? IN_WINDOW : found

    if ((flags & SYN) === 0) window <<= words[sender + FLAGS] & SCALE_MASK
    const reach = (window + ((sack - ack) | 0)) | 0
    if (words[sender + MAXWIN] < reach) words[sender + MAXWIN] = reach
    if (((end - words[sender + END]) | 0) > 0) {
      words[sender + END] = end
      words[sender + FLAGS] |= UNACKNOWLEDGED
    }
    if ((flags & ACK) !== 0) {
      const isFirst = (words[sender + FLAGS] & MAXACK_SET) === 0
      if (isFirst || ((ack - words[sender + MAXACK]) | 0) > 0) words[sender + MAXACK] = ack
      words[sender + FLAGS] |= MAXACK_SET
    }
    if (receiverWindow !== 0 && ((end - words[sender + MAXEND]) | 0) > 0) {
      words[receiver + MAXWIN] = (receiverWindow + end - words[sender + MAXEND]) | 0
    }
    if (((sack + window - words[receiver + MAXEND]) | 0) >= 0) words[receiver + MAXEND] = (sack + window + (window === 0 ? 1 : 0)) | 0
    if (ack === words[receiver + END]) words[receiver + FLAGS] &= ~UNACKNOWLEDGED
    if (kind === TcpKind.ack) this.countRepeats(base, direction, seq, ack, end)
    return IN_WINDOW
  }

  private countRepeats(base: number, direction: number, seq: number, ack: number, end: number): void {
    const { words } = this
    const lastDirection = (words[base + LAST] & DIRECTION_BIT) !== 0 ? 1 : 0
    const isRepeat =
      lastDirection === direction &&
      words[base + LAST_SEQ] === seq &&
      words[base + LAST_ACK] === ack &&
      words[base + LAST_END] === end &&
      words[base + LAST_WINDOW] === this.window
    if (isRepeat) {
      words[base + LAST] += 1 << RETRANS_SHIFT
      return
    }
    words[base + LAST] = ACK_KIND | (direction !== 0 ? DIRECTION_BIT : 0)
    words[base + LAST_SEQ] = seq
    words[base + LAST_ACK] = ack
    words[base + LAST_END] = end
    words[base + LAST_WINDOW] = this.window
  }

  /** What a SYN says of its sender. Window scaling counts only when both ends said it (RFC 7323 1.3). */
  private initialise(sender: number, receiver: number, bytes: Uint8Array, at: number): void {
    const { words } = this
    words[sender + END] = this.end
    words[sender + MAXEND] = this.end
    words[sender + MAXWIN] = Math.max(1, this.window)
    words[sender + FLAGS] = readSynOptions(bytes, at) | (words[sender + FLAGS] & LIBERAL)
    if ((words[sender + FLAGS] & words[receiver + FLAGS] & WINDOW_SCALE) === 0) {
      words[sender + FLAGS] &= ~SCALE_MASK
      words[receiver + FLAGS] &= ~SCALE_MASK
    }
  }
}
