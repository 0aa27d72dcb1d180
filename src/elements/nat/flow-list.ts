/**
 * The flows for people: what `netloom show nat` and tests read.
 */
import { formatTupleAddress } from './address-text.ts'
import { type Conntrack, FlowStatus, PACKETS, STATE_MASK, STATE_SHIFT, TICKS_PER_SECOND } from './conntrack.ts'
import type { NatInterfaces } from './nat-interfaces.ts'
import { TCP_STATE_NAMES } from './tcp-states.ts'
import { swap16, Tuple } from './tuple.ts'

/** One direction of a flow as its frames come in. */
export interface FlowTuple {
  readonly source: string
  readonly destination: string
  /** The identifier of an ICMP query stands in both; 0 for protocols without ports. */
  readonly sourcePort: number
  readonly destinationPort: number
  readonly packets: number
}

export interface FlowEntry {
  readonly number: number
  /** `tcp`, `udp`, `icmp`, `icmpv6`, or the number. */
  readonly protocol: string
  /** Of a TCP connection; null for others. */
  readonly state: string | null
  /** Seconds until it is forgotten. */
  readonly timeout: number
  readonly original: FlowTuple
  readonly reply: FlowTuple
  /** Names of interfaces; egress is null while the flow is tentative. */
  readonly ingress: string
  readonly egress: string | null
  readonly snat: boolean
  readonly dnat: boolean
  readonly assured: boolean
  /** No answer was seen. */
  readonly unreplied: boolean
}

/** All that is given must hold. */
export interface FlowFilter {
  /** Number of an interface where the flow comes in or leaves. */
  readonly interface?: number
  /** An address at any place of either tuple. */
  readonly address?: string
  readonly protocol?: string
  /** A port at any place of either tuple. */
  readonly port?: number
}

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6' }
const STATE_BITS = STATE_MASK << STATE_SHIFT
const TCP = 6

/** Flows that match, at most `limit`, in the order of their numbers. */
export function listFlows(flows: Conntrack, interfaces: NatInterfaces, filter: FlowFilter, limit: number): FlowEntry[] {
  const entries: FlowEntry[] = []
  for (let flow = 0; flow < flows.end && entries.length < limit; flow++) {
    if (flows.status[flow] === 0 || !flows.isAlive(flow) || !isPlaced(flows, flow, filter.interface)) continue
    const entry = describeFlow(flows, interfaces, flow)
    if (matches(entry, filter)) entries.push(entry)
  }
  return entries
}

export function describeFlow(flows: Conntrack, interfaces: NatInterfaces, flow: number): FlowEntry {
  const status = flows.status[flow]
  const isConfirmed = (status & FlowStatus.confirmed) !== 0
  const tuple = flows.tuple(flow, 0, new Tuple())
  const { protocol } = tuple
  const name = (number: number): string => interfaces.at(number)?.spec.name ?? String(number)
  return {
    number: flow,
    protocol: PROTOCOLS[protocol] ?? String(protocol),
    state: protocol === TCP ? TCP_STATE_NAMES[(status & STATE_BITS) >>> STATE_SHIFT] : null,
    timeout: ((flows.expires[flow] - flows.tick) | 0) / TICKS_PER_SECOND,
    original: describeTuple(flows, flow, 0),
    reply: describeTuple(flows, flow, 1),
    ingress: name(flows.places[flow] >>> 16),
    egress: isConfirmed ? name(flows.places[flow] & 0xffff) : null,
    snat: (status & FlowStatus.snat) !== 0,
    dnat: (status & FlowStatus.dnat) !== 0,
    assured: (status & FlowStatus.assured) !== 0,
    unreplied: (status & FlowStatus.seenReply) === 0
  }
}

/** Whether the flow comes in or leaves by an interface; undefined: any. */
export function isPlaced(flows: Conntrack, flow: number, number: number | undefined): boolean {
  if (number === undefined || flows.places[flow] >>> 16 === number) return true
  return (flows.status[flow] & FlowStatus.confirmed) !== 0 && (flows.places[flow] & 0xffff) === number
}

export function matches(entry: FlowEntry, { address, protocol, port }: FlowFilter): boolean {
  const { original, reply } = entry
  if (protocol !== undefined && entry.protocol !== protocol) return false
  if (address !== undefined && ![original.source, original.destination, reply.source, reply.destination].includes(address)) return false
  const ports = [original.sourcePort, original.destinationPort, reply.sourcePort, reply.destinationPort]
  return port === undefined || ports.includes(port)
}

function describeTuple(flows: Conntrack, flow: number, direction: number): FlowTuple {
  const tuple = flows.tuple(flow, direction, new Tuple())
  return {
    source: formatTupleAddress(tuple.source, tuple.isIpv6, flows.addresses),
    destination: formatTupleAddress(tuple.destination, tuple.isIpv6, flows.addresses),
    sourcePort: swap16(tuple.sourcePort),
    destinationPort: swap16(tuple.destinationPort),
    packets: flows.core[flow * 16 + direction * 8 + PACKETS] >>> 0
  }
}
