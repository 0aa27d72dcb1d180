/**
 * Which flow the later fragments of an IPv6 packet belong to: that of the first one, which has the ports (RFC 4787 REQ-14, in order).
 *
 * One place per hash, the newer packet wins: a flood of first fragments can only make others' later fragments be dropped.
 */
import { ipv6FragmentId } from '../../wire/ipv6.ts'
import { NO_FLOW, TICKS_PER_SECOND } from './conntrack.ts'
import type { NatPacket } from './nat-packet.ts'

const PLACES = 1024
const WORDS = 8
/** RFC 8200 4.5: what is not whole after 60 s is given up; nobody needs that long. */
const LIFETIME = 10 * TICKS_PER_SECOND

export class Ipv6Fragments {
  private readonly table = new Int32Array(PLACES * WORDS)

  /** The first fragment, whose tuple is read, belongs to `reference`. */
  note(packet: NatPacket, ingress: number, reference: number, tick: number): void {
    const { source, destination } = packet.tuple
    const id = ipv6FragmentId(packet.bytes, packet.fragmentAt)
    const at = place(source, destination, id)
    const { table } = this
    table[at] = source
    table[at + 1] = destination
    table[at + 2] = id
    table[at + 3] = ingress
    table[at + 4] = reference
    table[at + 5] = (tick + LIFETIME) | 0
    table[at + 6] = 1
  }

  /** flow << 1 | direction, or NO_FLOW. Addresses are those of tuples. */
  find(packet: NatPacket, source: number, destination: number, ingress: number, tick: number): number {
    const { table } = this
    const id = ipv6FragmentId(packet.bytes, packet.fragmentAt)
    const at = place(source, destination, id)
    const isKnown = table[at] === source && table[at + 1] === destination && table[at + 2] === id && table[at + 3] === ingress
    return isKnown && table[at + 6] === 1 && ((table[at + 5] - tick) | 0) > 0 ? table[at + 4] : NO_FLOW
  }
}

function place(source: number, destination: number, id: number): number {
  return (Math.imul(Math.imul(source, 0x85ebca6b) ^ Math.imul(destination, 0xc2b2ae35) ^ id, 0x9e3779b1) >>> 22) * WORDS
}
