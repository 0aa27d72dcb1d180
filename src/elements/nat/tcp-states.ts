/**
 * What a TCP segment makes of a connection's state, seen from the middle: nf_conntrack_proto_tcp's tables.
 *
 * A state is that of the connection, not of one end:
 *   ----  no connection        SYNS  SYN seen                SYNR  SYN/ACK seen           ESTB  handshake complete
 *   FINW  one FIN seen         CLOW  that FIN acknowledged   LACK  both FINs seen         TIMW  both acknowledged
 *   CLOS  RST seen             SYN2  SYN seen from both ends (simultaneous open)
 *   IGNO  goes through and changes nothing                   INVA  is no part of this connection
 */
import { TcpFlag } from '../../wire/tcp.ts'

export const TcpState = {
  none: 0,
  synSent: 1,
  synRecv: 2,
  established: 3,
  finWait: 4,
  closeWait: 5,
  lastAck: 6,
  timeWait: 7,
  close: 8,
  synSent2: 9,
  ignore: 10,
  invalid: 11
} as const

export const TCP_STATE_NAMES = [
  'NONE',
  'SYN_SENT',
  'SYN_RECV',
  'ESTABLISHED',
  'FIN_WAIT',
  'CLOSE_WAIT',
  'LAST_ACK',
  'TIME_WAIT',
  'CLOSE',
  'SYN_SENT2'
] as const

/** Which row of a table: what the segment is to the connection. */
export const TcpKind = { syn: 0, synAck: 1, fin: 2, ack: 3, rst: 4, none: 5 } as const

const WORDS = ['----', 'SYNS', 'SYNR', 'ESTB', 'FINW', 'CLOW', 'LACK', 'TIMW', 'CLOS', 'SYN2', 'IGNO', 'INVA']
const STATES = 10
const KINDS = 6

// Columns: the state before, in the order of TcpState.
const ORIGINAL = `
  SYNS SYNS IGNO IGNO IGNO IGNO IGNO SYNS SYNS SYN2
  INVA INVA SYNR INVA INVA INVA INVA INVA INVA SYNR
  INVA INVA FINW FINW LACK LACK LACK TIMW CLOS INVA
  ESTB INVA ESTB ESTB CLOW CLOW TIMW TIMW CLOS INVA
  INVA CLOS CLOS CLOS CLOS CLOS CLOS CLOS CLOS CLOS
  INVA INVA INVA INVA INVA INVA INVA INVA INVA INVA`
const REPLY = `
  INVA SYN2 INVA INVA INVA INVA INVA SYNS INVA SYN2
  INVA SYNR IGNO IGNO IGNO IGNO IGNO IGNO IGNO SYNR
  INVA INVA FINW FINW LACK LACK LACK TIMW CLOS INVA
  INVA IGNO SYNR ESTB CLOW CLOW TIMW TIMW CLOS IGNO
  INVA CLOS CLOS CLOS CLOS CLOS CLOS CLOS CLOS CLOS
  INVA INVA INVA INVA INVA INVA INVA INVA INVA INVA`

const TABLE = Uint8Array.from(`${ORIGINAL} ${REPLY}`.trim().split(/\s+/), (word) => WORDS.indexOf(word))

/** The state after a segment of `kind` in `direction` (0 original, 1 reply) met a connection in `state`. */
export function nextTcpState(direction: number, kind: number, state: number): number {
  return TABLE[(direction * KINDS + kind) * STATES + state]
}

/** TcpKind of a segment with these flags. */
export function tcpKind(flags: number): number {
  if ((flags & TcpFlag.rst) !== 0) return TcpKind.rst
  if ((flags & TcpFlag.syn) !== 0) return (flags & TcpFlag.ack) !== 0 ? TcpKind.synAck : TcpKind.syn
  if ((flags & TcpFlag.fin) !== 0) return TcpKind.fin
  return (flags & TcpFlag.ack) !== 0 ? TcpKind.ack : TcpKind.none
}

const { syn, ack, rst, fin, urg } = TcpFlag
const COMPARED = syn | ack | rst | fin | urg
/** By those flags: 1 for combinations that a sender may make, PSH, ECE and CWR aside; anything else is a probe or a defect. */
const VALID = new Uint8Array(COMPARED + 1)
for (const flags of [syn, syn | urg, syn | ack, rst, rst | ack, fin | ack, fin | ack | urg, ack, ack | urg]) VALID[flags] = 1

export function tcpFlagsValid(flags: number): boolean {
  return VALID[flags & COMPARED] !== 0
}
