/**
 * Follows TCP connections from the middle: states, resets, picking up what was there before us, as Linux's nf_conntrack_proto_tcp.
 * Whether a segment fits into the windows is said by `tcp-windows`, which also has the layout of a flow's words.
 */
import { TcpFlag, tcpFlags } from '../../wire/tcp.ts'
import { type Conntrack, FlowStatus, STATE_MASK, STATE_SHIFT, TCP_WORDS, TIMEOUT_MASK, TIMEOUT_SHIFT } from './conntrack.ts'
import { nextTcpState, TcpKind, TcpState, tcpFlagsValid, tcpKind } from './tcp-states.ts'
import { readSynOptions } from './tcp-window-options.ts'
import { LastSegment, TcpEndFlag, TcpWindows, TcpWord, WindowVerdict } from './tcp-windows.ts'
import { TimeoutIndex } from './timeouts.ts'

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

const { maxAck: MAXACK, flags: FLAGS, ends: END_WORDS } = TcpWord
const { lastSeq: LAST_SEQ, lastAck: LAST_ACK, lastEnd: LAST_END, lastWindow: LAST_WINDOW, last: LAST, lastOptions: LAST_OPTIONS } = TcpWord
const { kindMask: KIND_MASK, direction: DIRECTION_BIT, retransShift: RETRANS_SHIFT } = LastSegment
const { closeInit: CLOSE_INIT, maxAckSet: MAXACK_SET } = TcpEndFlag
// In LAST_OPTIONS, above what a SYN says.
const SIMULTANEOUS_OPEN = 0x400
const CHALLENGE_EXPECTED = 0x800
const { ack: ACK, rst: RST, syn: SYN, fin: FIN } = TcpFlag
/** A state and its time-out. */
const SYN_SENT = TcpState.synSent
/** No window was seen yet in an acknowledgment. */
const MAX_RETRANS = TimeoutIndex.tcpMaxRetrans
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
  readonly windows: TcpWindows
  private readonly flows: Conntrack
  private readonly words: Int32Array
  private settings: TcpPolicy

  constructor(flows: Conntrack, policy: TcpPolicy) {
    this.flows = flows
    this.words = flows.tcp
    this.settings = policy
    this.windows = new TcpWindows(flows, policy.liberal)
  }

  set policy(policy: TcpPolicy) {
    this.settings = policy
    this.windows.liberal = policy.liberal
  }

  /** Whether a segment that belongs to no flow may begin one. `at`: its header, which `checkTcp` has passed; `end`: after its payload. */
  mayBegin(bytes: Uint8Array, at: number): boolean {
    const flags = tcpFlags(bytes, at)
    if (!tcpFlagsValid(flags)) return false
    const state = nextTcpState(0, tcpKind(flags), TcpState.none)
    return state === TcpState.synSent || (state === TcpState.established && this.settings.loose)
  }

  /** The first segment of a new flow; `mayBegin` holds. */
  begin(flow: number, bytes: Uint8Array, at: number, end: number): void {
    const { words } = this
    const base = flow * TCP_WORDS
    // A loop: `fill` of a part costs a call into the runtime, several times as much.
    for (let i = 0; i < TCP_WORDS; i++) words[base + i] = 0
    this.windows.read(bytes, at, end)
    this.windows.begin(base, bytes, at)
  }

  /**
   * The first segment of a new flow is a SYN with none of ACK, FIN and RST: what `begin` and `follow` make of it, which is the same for
   * all of them. `status` and `tcp` of the flow are written whole, its time-out begins when it is confirmed.
   */
  beginWithSyn(flow: number, bytes: Uint8Array, at: number, end: number): void {
    const { flows, windows } = this
    windows.read(bytes, at, end)
    windows.beginWithSyn((flow * TCP_WORDS) | 0, bytes, at)
    flows.status[flow] |= (SYN_SENT << STATE_SHIFT) | (flows.shorter(SYN_SENT, MAX_RETRANS) << TIMEOUT_SHIFT)
  }

  /** A segment of a known flow, the first one included: TcpVerdict. Changes state, windows and time-out of the flow. */
  follow(flow: number, direction: number, bytes: Uint8Array, at: number, end: number): number {
    const { words, flows, windows } = this
    const flags = tcpFlags(bytes, at)
    if (!tcpFlagsValid(flags)) return TcpVerdict.invalid
    windows.read(bytes, at, end)
    const { seq, ack } = windows
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
      const inSync = kind === TcpKind.synAck && lastKind === TcpKind.syn && lastDirection !== direction && ack === words[base + LAST_END]
      if (!inSync) {
        this.ignore(base, direction, kind, before, bytes, at)
        return TcpVerdict.pass
      }
      // The SYN that was ignored was right and we were not: both ends are in step, and now so are we.
      windows.resync(base, lastDirection)
      words[base + LAST_OPTIONS] &= ~CHALLENGE_EXPECTED
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
        seq === words[base + LAST_ACK]
      ) {
        // RFC 5961 4.2: the peer challenged a SYN of ours, and this is the answer that it asked for.
        judged = false
        isSettled = true
      } else if ((words[other + FLAGS] & MAXACK_SET) !== 0 && lastKind !== TcpKind.syn) {
        const isEstablished = before === TcpState.established && isAssured
        const isAnswerToSyn = seq === 0 && !isEstablished
        if (!isAnswerToSyn && ((seq - words[other + MAXACK]) | 0) < 0) return TcpVerdict.outOfWindow
        const isTrain = lastKind === TcpKind.ack && lastDirection === direction && seq === words[base + LAST_END]
        isSettled = isAnswerToSyn || !isEstablished || seq === words[other + MAXACK] || isTrain
        // RFC 5961 3.2: only the exact next number resets; anything else in the window may bring a challenge.
        if (!isSettled) after = before
      }
      // It answers a segment that we let pass unjudged.
      const isToSyn = (status & FlowStatus.seenReply) !== 0 && lastKind === TcpKind.syn
      const isToAck = !isAssured && lastKind === TcpKind.ack
      const isAnswer = (flags & ACK) !== 0 || lastDirection !== direction
      if (!isSettled && isAnswer && (isToSyn || isToAck) && ack === words[base + LAST_END]) judged = false
    }

    if (judged) {
      const verdict = windows.judge(base, direction, before, kind, bytes, at)
      if (verdict === WindowVerdict.late) return TcpVerdict.pass
      if (verdict !== WindowVerdict.inWindow) {
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

  /** A segment that goes through unjudged: what it says is noted, in case an answer proves it right. */
  private ignore(base: number, direction: number, kind: number, state: number, bytes: Uint8Array, at: number): void {
    const { words, windows } = this
    words[base + LAST] = kind | (direction !== 0 ? DIRECTION_BIT : 0)
    words[base + LAST_SEQ] = windows.seq
    words[base + LAST_END] = windows.end
    words[base + LAST_WINDOW] = windows.window
    if (kind === TcpKind.syn && direction === 0) {
      words[base + LAST_OPTIONS] = readSynOptions(bytes, at) | (state === TcpState.lastAck ? CHALLENGE_EXPECTED : 0)
    }
    if (state === TcpState.synSent && kind === TcpKind.ack && direction === 1) words[base + LAST_ACK] = windows.ack
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
    if (retrans >= this.settings.maxRetrans && flows.shorter(after, tcpMaxRetrans) !== after) timeout = tcpMaxRetrans
    else if (kind === TcpKind.rst) timeout = TimeoutIndex.tcpClose
    else if (this.windows.waits(flow) !== 0 && flows.shorter(after, tcpUnacknowledged) !== after) timeout = tcpUnacknowledged
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
