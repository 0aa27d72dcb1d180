/**
 * ICMP errors about packets of flows: RFC 5508 section 4, RFC 4787 REQ-12.
 *
 * An error quotes the packet that caused it as its sender met it. Who gets the error knows that packet as it was sent, so the quote
 * is translated back, inside and out, with the checksums inside and outside.
 *
 *   from an interface   the quote is as the packet left us            -> as it came in; the error goes where that packet came from
 *   from the router     the quote has its destination translated only -> as it came in
 *
 * Errors change no flow and prolong none: anybody can send one.
 */
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import { fillIcmpChecksum, ICMP_HEADER_LENGTH } from '../../wire/icmp.ts'
import { fillIcmpv6Checksum } from '../../wire/icmpv6.ts'
import { FlowStatus, NO_FLOW } from './conntrack.ts'
import { NatDrop } from './nat-drop.ts'
import { type NatPacket, PacketKind } from './nat-packet.ts'
import { Counter, type NatTables } from './nat-tables.ts'
import { KEEP_PORT, rewriteSide } from './translate.ts'
import { readAddress, Tuple } from './tuple.ts'

const wanted = new Tuple()
const opposite = new Tuple()

/**
 * An error that came in by an interface; `tables.packet` has it. Its mark is the flow in the direction in which the error travels.
 * @returns false for one about a packet of the host's own, which belongs to no flow: the frame is the caller's
 */
export function enterError(tables: NatTables, frame: FrameHandle, number: number): boolean {
  const { packet, quoted, flows, frames, addresses, context } = tables
  if (!readQuote(tables)) return refuse(tables, frame, NatDrop.unrelatedError)
  if (!packet.hasGoodChecksum(frames.flags[frame])) return refuse(tables, frame, NatDrop.badChecksum)
  if (!finishChecksum(tables, frame)) return refuse(tables, frame, NatDrop.malformed)
  // The packet left us as the opposite of the tuple that its answers have.
  wanted.setOpposite(quoted.tuple)
  const reference = flows.look(wanted)
  // An error goes to the sender of what it quotes; one that goes elsewhere was forged (nf_conntrack_inet_error).
  if (destinationOf(tables) !== quoted.tuple.source) return refuse(tables, frame, NatDrop.unrelatedError)
  if (reference === NO_FLOW || (flows.status[reference >> 1] & FlowStatus.confirmed) === 0) {
    return isOfHost(tables, number) ? false : refuse(tables, frame, NatDrop.unrelatedError)
  }
  const sent = flows.tuple(reference >> 1, 1 - (reference & 1), wanted)
  if (!sent.equals(quoted.tuple)) writeQuote(tables, sent)
  rewriteSide(packet, addresses, false, sent.source, KEEP_PORT, false)
  frames.flags[frame] &= ~FrameFlag.captured
  context.counters[Counter.errorsTranslated]++
  tables.entered[frame] = 0
  frames.mark[frame] = reference
  context.transmit(2 * number + 1, frame)
  return true
}

function refuse(tables: NatTables, frame: FrameHandle, reason: number): true {
  tables.drop(frame, reason)
  return true
}

/**
 * Whether the quoted packet, of no flow, was sent by a program of the host (a VTEP): from its address outside, and the error comes from
 * there. Our stations never meet such packets.
 */
function isOfHost({ quoted, interfaces }: NatTables, number: number): boolean {
  return interfaces.at(number)!.isUplink && interfaces.isGateway(quoted.tuple.source, quoted.isIpv6)
}

/** The same error on its way out: it comes from the address that stands for its sender there. False: it is not of this flow. */
export function leaveError(tables: NatTables, frame: FrameHandle, reference: number): boolean {
  const { packet, flows, frames, addresses } = tables
  const flow = reference >> 1
  const direction = reference & 1
  const other = tables.otherTuple(flow, direction)
  // The flow may be another one by now.
  if (other.isIpv6 !== packet.isIpv6 || destinationOf(tables) !== other.source) return false
  if ((flows.status[flow] & (direction === 0 ? FlowStatus.snat : FlowStatus.dnat)) === 0) return true
  rewriteSide(packet, addresses, true, other.destination, KEEP_PORT, false)
  frames.flags[frame] &= ~FrameFlag.captured
  return true
}

/** An error that the router itself sends: the quote becomes what the offending packet was when it came in. */
export function leaveRouterError(tables: NatTables, frame: FrameHandle, isIpv6: boolean): void {
  const { packet, quoted, frames, addresses, context } = tables
  const at = frames.start[frame]
  const problem = packet.readOutgoing(frames.bytes(frame), at + ETHERNET_HEADER_LENGTH, at + frames.length[frame], isIpv6)
  if (problem >= 0 || packet.kind !== PacketKind.error || !readQuote(tables)) return
  if (find(tables, quoted.tuple) !== NO_FLOW) return
  if (!findSent(tables, quoted)) return
  if (!finishChecksum(tables, frame)) return
  const isElsewhere = quoted.tuple.destination !== wanted.destination
  writeQuote(tables, wanted)
  // Who spoke to a published port or to a masqueraded flow hears of it from the address that he spoke to, as from Linux.
  if (isElsewhere) rewriteSide(packet, addresses, true, wanted.destination, KEEP_PORT, false)
  frames.flags[frame] &= ~FrameFlag.captured
  context.counters[Counter.errorsTranslated]++
}

/** Puts into `wanted` what the quoted packet was when it came in. */
function findSent(tables: NatTables, quote: NatPacket): boolean {
  const { flows, published } = tables
  wanted.setOpposite(quote.tuple)
  let reference = find(tables, wanted)
  if (reference === NO_FLOW) {
    if (quote.kind !== PacketKind.ports) return false
    // A flow to a published port that has not left yet, or with another source: it is known by what it was addressed to.
    const isFlow = (tuple: Tuple): boolean => find(tables, tuple) !== NO_FLOW
    if (published.findOriginal(quote.tuple, wanted, isFlow)) return true
    // An answer from there to a client whose own address the target was not shown.
    opposite.setOpposite(quote.tuple)
    if (!published.findOriginal(opposite, wanted, isFlow)) return false
    reference = find(tables, wanted)
  }
  flows.tuple(reference >> 1, 1 - (reference & 1), wanted)
  return true
}

/** A flow is known by its tuples until it is removed: the packet that ended it may be the one that is quoted. */
function find({ flows }: NatTables, { a, b, c, d }: Tuple): number {
  return flows.find(a, b, c, d)
}

/** Where the error in `tables.packet` goes, as an address of a tuple. */
function destinationOf({ packet, addresses }: NatTables): number {
  const { bytes, destinationAt, isIpv6 } = packet
  return isIpv6 ? addresses.find(bytes, destinationAt) : readAddress(bytes, destinationAt)
}

/** Reads what the error in `tables.packet` quotes. */
function readQuote({ packet, quoted }: NatTables): boolean {
  const from = packet.transport + ICMP_HEADER_LENGTH
  return from < packet.end && quoted.readQuoted(packet.bytes, from, packet.end, packet.isIpv6)
}

/** Makes the quote say `sent`, and the error's checksum right. */
function writeQuote({ packet, quoted, addresses }: NatTables, sent: Tuple): void {
  const isQuery = quoted.kind === PacketKind.query
  rewriteSide(quoted, addresses, true, sent.source, sent.sourcePort, false)
  rewriteSide(quoted, addresses, false, sent.destination, isQuery ? KEEP_PORT : sent.destinationPort, false)
  if (packet.isIpv6) fillIcmpv6Checksum(packet.bytes, packet.transport, packet.end, packet.ip)
  else fillIcmpChecksum(packet.bytes, packet.transport, packet.end)
}

/** A partial checksum is finished: it is about to be written anew. */
function finishChecksum({ frames, packet }: NatTables, frame: FrameHandle): boolean {
  if ((frames.flags[frame] & FrameFlag.csum) === 0) return true
  frames.flags[frame] &= ~FrameFlag.csum
  return packet.completeChecksum(frames.view(frame), frames.start[frame], frames.csumStart[frame], frames.csumOffset[frame])
}
