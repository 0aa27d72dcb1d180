/**
 * How long a flow is kept after its last frame: Linux's names (net.netfilter.nf_conntrack_*_timeout_*) and defaults, seconds.
 */
import { TICKS_PER_SECOND } from './conntrack.ts'
import { NatOptionsError } from './nat-options-error.ts'

const DEFAULTS = {
  /** For tentative flows: longer than a router waits for a neighbor (3 s). */
  tentative: 5,
  tcpSynSent: 120,
  tcpSynRecv: 60,
  tcpEstablished: 432_000,
  tcpFinWait: 120,
  tcpCloseWait: 60,
  tcpLastAck: 30,
  tcpTimeWait: 120,
  tcpClose: 10,
  tcpSynSent2: 120,
  tcpMaxRetrans: 300,
  tcpUnacknowledged: 300,
  udp: 30,
  udpStream: 120,
  icmp: 30,
  icmpv6: 30,
  generic: 600
}

export type Timeouts = Partial<Record<Exclude<keyof typeof DEFAULTS, 'tentative'>, number>>

const NAMES = Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]

/** Places in the table of time-outs. Those of the TCP states are the numbers of the states. */
export const TimeoutIndex = Object.fromEntries(NAMES.map((name, index) => [name, index])) as Readonly<Record<keyof typeof DEFAULTS, number>>

/** Twelve days: differences of ticks stay far from 2^31. */
const LONGEST = 1_000_000

/** Ticks by TimeoutIndex. Throws NatOptionsError. */
export function readTimeouts(given: Timeouts = {}): Int32Array {
  const chosen: Record<string, number> = { ...DEFAULTS }
  for (const [name, value] of Object.entries(given)) {
    if (name === 'tentative' || !(name in DEFAULTS)) throw new NatOptionsError('timeouts', name, `is none of ${NAMES.slice(1).join(', ')}`)
    if (typeof value !== 'number' || !(value >= 1 && value <= LONGEST))
      throw new NatOptionsError(`timeouts.${name}`, value, `is not 1 to ${LONGEST} seconds`)
    chosen[name] = value
  }
  return Int32Array.from(NAMES, (name) => Math.round(chosen[name] * TICKS_PER_SECOND))
}
