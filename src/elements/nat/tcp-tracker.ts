/**
 * Follows TCP connections from the middle: states, windows, resets, picking up what was there before us.
 *
 * The semantics are those of Linux's nf_conntrack_proto_tcp, which follows "Real Stateful TCP Packet Filtering in IP Filter"
 * (van Rooij, 2001): a segment belongs to its connection when
 *
 *   I    it ends nowhere beyond what the receiver has offered           seq <= sender's MAXEND
 *   II   it is not wholly older than the receiver's window              end >= sender's END - receiver's MAXWIN
 *   III  it acknowledges nothing that was not seen                      ack <= receiver's END
 *   IV   nor something very old                                         ack >= receiver's END - max(MAXWIN, 66,000)
 *
 * Breaking I or III is a forgery, but for a little more data than was offered; breaking II or IV is a late segment, which passes and
 * changes nothing.
 *
 * Longer than files here are: what a segment means, and which windows it moves, is one decision over one set of words.
 *
 *   tcp words of a flow   | END MAXEND MAXWIN MAXACK FLAGS, original | the same, reply | last: seq ack end window | LAST |
 */
import { TcpFlag, tcpAcknowledgment, tcpFlags, tcpHeaderLength, tcpSequence, tcpWindow } from '../../wire/tcp.ts'
import { type Conntrack, FlowStatus, STATE_MASK, STATE_SHIFT, TCP_WORDS, TIMEOUT_MASK, TIMEOUT_SHIFT } from './conntrack.ts'
import { nextTcpState, TcpKind, TcpState, tcpFlagsValid, tcpKind } from './tcp-states.ts'
import { readSack, readSynOptions, SynOption } from './tcp-window-options.ts'
import { TimeoutIndex } from './timeouts.ts'

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const SCALE_MASK = SynOption.scaleMask
const WINDOW_SCALE = SynOption.windowScale
const SACK_PERMITTED = SynOption.sackPermitted

/** What `follow` and `begin` found. */
export const TcpVerdict = {
  /** Goes on. */
  pass: 0,
  /** No part of the connection. */
  invalid: 1,
  /** Outside the windows. */
  outOfWindow: 2,
  /** The connection was over: this begins another one. The flow is still there. */
  reopen: 3
} as const

// Words of one end, from flow * TCP_WORDS + direction * END_WORDS.
const END = 0
const MAXEND = 1
const MAXWIN = 2
const MAXACK = 3
const FLAGS = 4
const END_WORDS = 5
// Words of the last segment.
const LAST_SEQ = 10
const LAST_ACK = 11
const LAST_END = 12
const LAST_WINDOW = 13
const LAST = 14
const LAST_OPTIONS = 15

// FLAGS of one end: what its SYN said, in the low bits, and:
/** Closed first: may reopen. */
const CLOSE_INIT = 0x40
/** Picked up in mid-stream: its window scale is not known, so its windows are not judged. */
const LIBERAL = 0x80
const UNACKNOWLEDGED = 0x100
const MAXACK_SET = 0x200
// More flags of LAST_OPTIONS.
const SIMULTANEOUS_OPEN = 0x400
const CHALLENGE_EXPECTED = 0x800

// LAST: kind of the last segment, its direction, how often it was repeated.
const KIND_MASK = 7
const DIRECTION_BIT = 8
const RETRANS_SHIFT = 4

/** Window of IV at least, bytes: a full unscaled window and a little. */
const ACK_WINDOW = 66_000
const { ack: ACK, rst: RST, syn: SYN, fin: FIN } = TcpFlag
// As above.
const steady = TimeoutIndex.tcpEstablished
const waiting = TimeoutIndex.tcpUnacknowledged
/** Flags of a segment that the fast path may follow. */
const PLAIN_MASK = SYN | FIN | RST | ACK

export interface TcpPolicy {
  /** Take over connections that were there before us (nf_conntrack_tcp_loose). */
  readonly loose: boolean
  /** Judge no windows but those of resets (nf_conntrack_tcp_be_liberal). */
  readonly liberal: boolean
  /** Repeats without an answer until the time-out is shortened (nf_conntrack_tcp_max_retrans). */
  readonly maxRetrans: number
}

export class TcpTracker {
  policy: TcpPolicy
  private readonly flows: Conntrack
  private readonly words: Int32Array
  // The segment at hand.
  private seq = 0
  private ack = 0
  private end = 0
  private window = 0
  private flags = 0

  constructor(flows: Conntrack, policy: TcpPolicy) {
    this.flows = flows
    this.words = flows.tcp
    this.policy = policy
  }

  /** Whether a segment that belongs to no flow may begin one. `at`: its header, which `checkTcp` has passed; `end`: after its payload. */
  mayBegin(bytes: Uint8Array, at: number): boolean {
    const flags = tcpFlags(bytes, at)
    if (!tcpFlagsValid(flags)) return false
    const state = nextTcpState(0, tcpKind(flags), TcpState.none)
    return state === TcpState.synSent || (state === TcpState.established && this.policy.loose)
  }

  /** The first segment of a new flow; `mayBegin` holds. */
  begin(flow: number, bytes: Uint8Array, at: number, end: number): void {
    const { words } = this
    const base = flow * TCP_WORDS
    words.fill(0, base, base + TCP_WORDS)
    this.read(bytes, at, end)
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

  /** A segment of a known flow, the first one included: TcpVerdict. Changes state, windows and time-out of the flow. */
  follow(flow: number, direction: number, bytes: Uint8Array, at: number, end: number): number {
    const { words, flows } = this
    const flags = tcpFlags(bytes, at)
    if (!tcpFlagsValid(flags)) return TcpVerdict.invalid
    this.read(bytes, at, end)
    const base = flow * TCP_WORDS
    const kind = tcpKind(flags)
    const status = flows.status[flow]
    let before = (status >>> STATE_SHIFT) & STATE_MASK
    let after = nextTcpState(direction, kind, before)
    const lastKind = words[base + LAST] & KIND_MASK
    const lastDirection = (words[base + LAST] & DIRECTION_BIT) !== 0 ? 1 : 0
    let judged = true

    if (after === TcpState.synSent && before >= TcpState.timeWait) {
      const closed = (words[base + FLAGS] | words[base + END_WORDS + FLAGS]) & CLOSE_INIT
      if (closed !== 0 || (lastDirection === direction && lastKind === TcpKind.rst)) return TcpVerdict.reopen
      after = TcpState.ignore
    }
    if (after === TcpState.invalid) return TcpVerdict.invalid
    if (after === TcpState.ignore) {
      const inSync =
        kind === TcpKind.synAck && lastKind === TcpKind.syn && lastDirection !== direction && this.ack === words[base + LAST_END]
      if (!inSync) {
        this.ignore(base, direction, kind, before, bytes, at)
        return TcpVerdict.pass
      }
      // The SYN that was ignored was right and we were not: both ends are in step, and now so are we.
      this.resync(base, lastDirection)
      before = TcpState.synSent
      after = TcpState.synRecv
    } else if (after === TcpState.timeWait && before === TcpState.lastAck && kind === TcpKind.ack) {
      const isChallenge = lastDirection !== direction && lastKind === TcpKind.syn && (words[base + LAST_OPTIONS] & CHALLENGE_EXPECTED) !== 0
      if (isChallenge) {
        // RFC 5961: this acknowledges no FIN, it answers a stray SYN.
        words[base + LAST_OPTIONS] &= ~CHALLENGE_EXPECTED
        return TcpVerdict.pass
      }
    } else if (after === TcpState.synSent2) {
      words[base + LAST_OPTIONS] |= SIMULTANEOUS_OPEN
    } else if (after === TcpState.synRecv) {
      if (direction === 1 && kind === TcpKind.ack && (words[base + LAST_OPTIONS] & SIMULTANEOUS_OPEN) !== 0) after = TcpState.established
    } else if (after === TcpState.close && kind === TcpKind.rst) {
      const other = base + (1 - direction) * END_WORDS
      const isAssured = (status & FlowStatus.assured) !== 0
      let isSettled = false
      if (isClosing(before)) {
        // The ports may be in use again: what is known of windows and numbers is worth nothing any more.
        judged = false
        isSettled = true
      } else if (
        before === TcpState.synSent &&
        direction === 0 &&
        lastKind === TcpKind.ack &&
        lastDirection === 1 &&
        this.seq === words[base + LAST_ACK]
      ) {
        // RFC 5961 4.2: the peer challenged a SYN of ours, and this is the answer that it asked for.
        judged = false
        isSettled = true
      } else if ((words[other + FLAGS] & MAXACK_SET) !== 0 && lastKind !== TcpKind.syn) {
        const isEstablished = before === TcpState.established && isAssured
        const isAnswerToSyn = this.seq === 0 && !isEstablished
        if (!isAnswerToSyn && ((this.seq - words[other + MAXACK]) | 0) < 0) return TcpVerdict.outOfWindow
        const isTrain = lastKind === TcpKind.ack && lastDirection === direction && this.seq === words[base + LAST_END]
        isSettled = isAnswerToSyn || !isEstablished || this.seq === words[other + MAXACK] || isTrain
        // RFC 5961 3.2: only the exact next number resets; anything else in the window may bring a challenge.
        if (!isSettled) after = before
      }
      // It answers a segment that we let pass unjudged.
      const isToSyn = (status & FlowStatus.seenReply) !== 0 && lastKind === TcpKind.syn
      const isToAck = !isAssured && lastKind === TcpKind.ack
      const isAnswer = (flags & ACK) !== 0 || lastDirection !== direction
      if (!isSettled && isAnswer && (isToSyn || isToAck) && this.ack === words[base + LAST_END]) judged = false
    }

    if (judged) {
      const verdict = this.judge(base, direction, before, kind, bytes, at)
      if (verdict === LATE) return TcpVerdict.pass
      if (verdict !== IN_WINDOW) {
        if ((status & FlowStatus.assured) !== 0 && isEnd(kind)) this.noteWrongEnd(flow, direction, kind)
        return TcpVerdict.outOfWindow
      }
    }
    words[base + LAST] = (words[base + LAST] & ~(KIND_MASK | DIRECTION_BIT)) | kind | (direction !== 0 ? DIRECTION_BIT : 0)
    if (before !== after && after === TcpState.finWait) words[base + direction * END_WORDS + FLAGS] |= CLOSE_INIT
    this.settle(flow, direction, base, before, after, kind, flags)
    return TcpVerdict.pass
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
    words[base + LAST] = TcpKind.ack | (direction << 3)
    return ((words[sender + FLAGS] | words[receiver + FLAGS]) & UNACKNOWLEDGED) !== 0 ? this.flows.shorter(steady, waiting) : steady
  }

  /**
   * A FIN or RST beyond the windows of a connection. When the other end had one before, the two ends and we are out of step: the
   * connection is not kept for days any more (nf_tcp_handle_invalid).
   */
  private noteWrongEnd(flow: number, direction: number, kind: number): void {
    const { words, flows } = this
    const base = flow * TCP_WORDS
    const lastDirection = (words[base + LAST] & DIRECTION_BIT) !== 0 ? 1 : 0
    if (lastDirection === direction || !isEnd(words[base + LAST] & KIND_MASK)) {
      words[base + LAST] = (words[base + LAST] & ~(KIND_MASK | DIRECTION_BIT)) | kind | (direction !== 0 ? DIRECTION_BIT : 0)
      return
    }
    const expires = (flows.tick + flows.timeouts[TimeoutIndex.tcpUnacknowledged]) | 0
    if (((flows.expires[flow] - expires) | 0) > 0) flows.expires[flow] = expires
  }

  /** 1 when data waits for its acknowledgment, which shortens the time-out. */
  waits(flow: number): number {
    const base = flow * TCP_WORDS
    return ((this.words[base + FLAGS] | this.words[base + END_WORDS + FLAGS]) & UNACKNOWLEDGED) !== 0 ? 1 : 0
  }

  private read(bytes: Uint8Array, at: number, end: number): void {
    const flags = tcpFlags(bytes, at)
    this.flags = flags
    this.seq = tcpSequence(bytes, at)
    this.ack = tcpAcknowledgment(bytes, at)
    this.window = tcpWindow(bytes, at)
    const counted = ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0)
    this.end = (this.seq + (end - at - tcpHeaderLength(bytes, at)) + counted) | 0
  }

  /** A segment that goes through unjudged: what it says is noted, in case an answer proves it right. */
  private ignore(base: number, direction: number, kind: number, state: number, bytes: Uint8Array, at: number): void {
    const { words } = this
    words[base + LAST] = kind | (direction !== 0 ? DIRECTION_BIT : 0)
    words[base + LAST_SEQ] = this.seq
    words[base + LAST_END] = this.end
    words[base + LAST_WINDOW] = this.window
    if (kind === TcpKind.syn && direction === 0) {
      words[base + LAST_OPTIONS] = readSynOptions(bytes, at) | (state === TcpState.lastAck ? CHALLENGE_EXPECTED : 0)
    }
    if (state === TcpState.synSent && kind === TcpKind.ack && direction === 1) words[base + LAST_ACK] = this.ack
  }

  private resync(base: number, lastDirection: number): void {
    const { words } = this
    const last = base + lastDirection * END_WORDS
    const window = Math.max(1, words[base + LAST_WINDOW])
    words[last + END] = words[base + LAST_END]
    words[last + MAXEND] = words[base + LAST_END]
    words[last + MAXWIN] = window
    words[base + LAST_OPTIONS] &= ~CHALLENGE_EXPECTED
    words[last + FLAGS] = words[base + LAST_OPTIONS] & 0xff
    const other = base + (1 - lastDirection) * END_WORDS
    const liberal = words[other + FLAGS] & LIBERAL
    words.fill(0, other, other + END_WORDS)
    words[other + FLAGS] = liberal
  }

  /** Judges the segment by the windows, and brings them up to date when it is in them. */
  private judge(base: number, direction: number, state: number, kind: number, bytes: Uint8Array, at: number): number {
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
    const isLiberal = this.policy.liberal || (words[sender + FLAGS] & LIBERAL) !== 0
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
    words[base + LAST] = TcpKind.ack | (direction !== 0 ? DIRECTION_BIT : 0)
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

  /** The flow's new state, what it is worth, and how long it is kept. */
  private settle(flow: number, direction: number, base: number, before: number, after: number, kind: number, flags: number): void {
    const { words, flows } = this
    const hasReply = (flows.status[flow] & FlowStatus.seenReply) !== 0 || direction === 1
    let status = flows.status[flow] & ~((STATE_MASK << STATE_SHIFT) | (TIMEOUT_MASK << TIMEOUT_SHIFT))
    let timeout: number = after
    const retrans = words[base + LAST] >>> RETRANS_SHIFT
    const { tcpMaxRetrans, tcpUnacknowledged } = TimeoutIndex
    // Each of these shortens a time-out, or leaves it to the next one.
    if (retrans >= this.policy.maxRetrans && flows.shorter(after, tcpMaxRetrans) !== after) timeout = tcpMaxRetrans
    else if (kind === TcpKind.rst) timeout = TimeoutIndex.tcpClose
    else if (this.waits(flow) !== 0 && flows.shorter(after, tcpUnacknowledged) !== after) timeout = tcpUnacknowledged
    // A closed window, or none seen yet in an acknowledgment.
    else if (words[base + LAST_WINDOW] === 0) timeout = flows.shorter(after, tcpMaxRetrans)

    if ((status & FlowStatus.seenReply) === 0) {
      // A connection whose only answer is a reset never was one.
      if (kind === TcpKind.rst) status |= FlowStatus.dying
      if (after === TcpState.established) timeout = flows.shorter(timeout, tcpUnacknowledged)
    } else if ((status & FlowStatus.assured) === 0 && (before === TcpState.synRecv || before === TcpState.established)) {
      if (after === TcpState.established) status |= FlowStatus.assured
    }
    const isSteady = after === TcpState.established && hasReply && (status & FlowStatus.assured) !== 0 && (flags & PLAIN_MASK) === ACK
    const fast = FlowStatus.fastOriginal | FlowStatus.fastReply
    flows.status[flow] = (isSteady ? status | fast : status & ~fast) | (after << STATE_SHIFT) | (timeout << TIMEOUT_SHIFT)
    flows.refresh(flow, timeout)
  }
}

function isEnd(kind: number): boolean {
  return kind === TcpKind.fin || kind === TcpKind.rst
}

/** An end has said that it ends: tcp_can_early_drop. */
function isClosing(state: number): boolean {
  return state >= TcpState.finWait && state <= TcpState.close
}

// What `judge` found.
const IN_WINDOW = 0
const OUT_OF_WINDOW = 1
const LATE = 2
