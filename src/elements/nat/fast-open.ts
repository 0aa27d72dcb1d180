/**
 * The first datagram, SYN or echo request of a flow over IPv4 whose way is known from other flows (`known-ways`): the flow is opened as it stands in
 * the frame's words, believes in that way, and the frame is translated here. It never sees the router.
 */
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { fold } from '../../wire/checksum.ts'
import { checkIcmp, verifyIcmpChecksum } from '../../wire/icmp.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { checkTcp, TcpFlag, tcpFlags } from '../../wire/tcp.ts'
import { checkUdp } from '../../wire/udp.ts'
import { DIRECTION_WORDS, FLOW_WORDS, FlowStatus, NO_FLOW, PACKETS, TIMEOUT_SHIFT, TRANSLATION } from './conntrack.ts'
import { REFUSED } from './fast-path.ts'
import type { FlowOpening } from './flow-opening.ts'
import type { NatInterface } from './nat-interfaces.ts'
import { PacketKind, READ_OK } from './nat-packet.ts'
import type { NatTables } from './nat-tables.ts'
import { PATH_MACS, PATH_NUMBER_MASK, PATH_PORTS, PATH_TTL, PATH_WORDS } from './paths.ts'
import { TimeoutIndex } from './timeouts.ts'
import { swap16, Tuple, tupleKind } from './tuple.ts'

/** In place of an egress: the frame is for others, and nothing has changed. */
export const NOT_OPENED = -3
const IP_AT = 14
const TRANSPORT_AT = 34
const IP_AND_UDP = 28
/** Behind the source port: the first byte of a word. */
const DESTINATION_PORT_AT = 36
/** Packets up to this long are summed by words of 16 bits without a carry in between. */
const SMALL = 2048
const VOUCHED = FrameFlag.csum | FrameFlag.csumValid
const OFFLOADED = FrameFlag.csum | FrameFlag.gso
/** Type 8, code 0, as a frame has them. */
const ECHO_REQUEST = 8
const BEGIN_MASK = TcpFlag.syn | TcpFlag.ack | TcpFlag.fin | TcpFlag.rst

export class FastOpen {
  private readonly tables: NatTables
  private readonly opening: FlowOpening
  /** The packet's tuple as it came in; `tables.packet` has it as it is after destination translation. */
  private readonly original = new Tuple()

  constructor(tables: NatTables, opening: FlowOpening) {
    this.tables = tables
    this.opening = opening
  }

  /**
   * Opens the flow of a frame that came in by interface `number`, and returns the interface by which it leaves, ready to go; or
   * NOT_OPENED; or REFUSED, when the table is full and nobody would make room.
   * The fast path has found the frame sound up to its IP header, without options, and TCP or UDP of no flow, or ICMP.
   */
  open(frame: FrameHandle, number: number): number {
    const { tables, opening, original } = this
    const { flows, eviction, frames, ways, paths, packet, published, interfaces } = tables
    const { tuple } = packet
    const words = frames.words(frame)
    const w = frames.start[frame] >> 2
    if (flows.size >= flows.capacity) return words[w + 5] >>> 24 !== IpProtocol.icmp && eviction.refuse() ? REFUSED : NOT_OPENED
    tuple.a = (words[w + 6] >>> 16) | (words[w + 9] << 16)
    tuple.b = words[w + 7]
    tuple.c = words[w + 8]
    tuple.d = words[w + 5] >>> 24
    const { source, destination } = tuple
    if (tuple.d === IpProtocol.icmp && !this.isNewQuery(tuple, words, w)) return NOT_OPENED
    const isQuery = (tuple.d & 0xff) === IpProtocol.icmp
    const target = isQuery ? null : published.find(tuple.d, destination, tuple.destinationPort, false)
    if (!ways.find(number, source, target === null ? destination : target.target, flows.tick)) return NOT_OPENED
    const { path, until } = ways
    const egress = paths.words[(path & PATH_NUMBER_MASK) * PATH_WORDS + PATH_PORTS] & 0xffff
    if (!this.isSound(frame, swap16(words[w + 4] & 0xffff), paths.fits[egress])) return NOT_OPENED
    // The way was shown by another flow: who may send from where, and what is for whom, is judged anew.
    const from = interfaces.at(number)
    const to = interfaces.at(egress)
    if (from === null || to === null || source === destination || !interfaces.maySend(from, packet.bytes, packet.sourceAt, false)) {
      return NOT_OPENED
    }
    if (target === null ? interfaces.isGateway(destination, false) : !this.mayTranslate(from, tuple.d)) return NOT_OPENED
    original.copy(tuple)
    if (target !== null) tuple.set(source, target.target, tuple.sourcePort, target.targetPort, tuple.d)
    // Where this ends in a refusal the long way does too, and says so.
    if (opening.decide(from, to, target !== null, NO_FLOW) !== READ_OK) return NOT_OPENED
    // A station that talks to itself by a published port, with that port: its answers need another one.
    if (opening.reply.equals(original)) return NOT_OPENED
    const flow = flows.begin(original, opening.reply, number, (flows.tick + flows.timeouts[TimeoutIndex.tentative]) | 0)
    if (target !== null) flows.status[flow] |= FlowStatus.dnat
    this.beginState(flow)
    opening.settle(frame, flow, egress)
    tables.believe(flow, 0, path, until)
    this.rewrite(frame, words, w, flow, (path & PATH_NUMBER_MASK) * PATH_WORDS)
    return egress
  }

  /** What `NatTables.follow` makes of a first packet of one of these kinds, but for the time-out, which begins when the flow is settled. */
  private beginState(flow: number): void {
    const { flows, packet, tcp } = this.tables
    const { protocol } = packet
    if (protocol === IpProtocol.tcp) tcp.beginWithSyn(flow, packet.bytes, packet.transport, packet.end)
    else if (protocol === IpProtocol.udp) flows.status[flow] |= FlowStatus.fastOriginal | (TimeoutIndex.udp << TIMEOUT_SHIFT)
    else flows.status[flow] |= TimeoutIndex.icmp << TIMEOUT_SHIFT
  }

  /** Whether the frame is an echo request of no flow; makes its tuple. */
  private isNewQuery(tuple: Tuple, words: Int32Array, w: number): boolean {
    if (words[w + 8] >>> 16 !== ECHO_REQUEST) return false
    const id = words[w + 9] >>> 16
    tuple.set(tuple.source, tuple.destination, id, id, tupleKind(IpProtocol.icmp, false, ECHO_REQUEST))
    return this.tables.flows.find(tuple.a, tuple.b, tuple.c, tuple.d) === NO_FLOW
  }

  /** Not what Docker's proxy would answer: its answers get another source than their tuple says. */
  private mayTranslate(from: NatInterface, protocol: number): boolean {
    return from.isUplink || protocol !== IpProtocol.udp
  }

  /**
   * Reads the packet: its transport header is whole, right, and one that may begin a flow, and the packet is not longer than `fits`.
   * @param total length of the packet
   */
  private isSound(frame: FrameHandle, total: number, fits: number): boolean {
    const { frames, packet } = this.tables
    const flags = frames.flags[frame]
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const transport = at + TRANSPORT_AT
    const end = at + IP_AT + total
    const isGso = (flags & FrameFlag.gso) !== 0
    packet.bytes = bytes
    packet.ip = at + IP_AT
    packet.transport = transport
    packet.end = end
    packet.isIpv6 = packet.isFragment = packet.hasOptions = false
    packet.fragmentAt = -1
    packet.protocol = packet.tuple.protocol
    packet.kind = packet.protocol === IpProtocol.icmp ? PacketKind.query : PacketKind.ports
    if ((flags & FrameFlag.csum) !== 0 && frames.csumStart[frame] !== TRANSPORT_AT) return false
    if (packet.protocol === IpProtocol.tcp) {
      if (isGso || !checkTcp(bytes, transport, end) || (tcpFlags(bytes, transport) & BEGIN_MASK) !== TcpFlag.syn) return false
    } else if (packet.protocol === IpProtocol.icmp) {
      return (flags & OFFLOADED) === 0 && total <= fits && checkIcmp(bytes, transport, end) && verifyIcmpChecksum(bytes, transport, end)
    } else if (!checkUdp(bytes, transport, end)) {
      return false
    }
    if ((isGso ? IP_AND_UDP + frames.gsoSize[frame] : total) > fits) return false
    const isSmall = (flags & VOUCHED) === 0 && total <= SMALL
    return isSmall ? this.sumsUp(frames.words(frame), at >> 2, total) : packet.hasGoodChecksum(flags)
  }

  /** Whether the transport checksum is right, or a datagram has none; by words, in which a short packet is summed sooner than by bytes. */
  private sumsUp(words: Int32Array, w: number, total: number): boolean {
    const { protocol } = this.tables.packet
    if (protocol === IpProtocol.udp && (words[w + 10] & 0xffff) === 0) return true
    const w7 = words[w + 7]
    const w8 = words[w + 8]
    let sum = (words[w + 6] >>> 16) + (w7 & 0xffff) + (w7 >>> 16) + (w8 & 0xffff) + (w8 >>> 16) + swap16(total - 20) + (protocol << 8)
    const bytes = total + IP_AT - DESTINATION_PORT_AT
    const last = w + (DESTINATION_PORT_AT >> 2) + (bytes >> 2)
    for (let at = w + (DESTINATION_PORT_AT >> 2); at < last; at = (at + 1) | 0) sum = (sum + (words[at] & 0xffff) + (words[at] >>> 16)) | 0
    const rest = words[last] & ((1 << ((bytes & 3) << 3)) - 1)
    return fold(sum + (rest & 0xffff) + (rest >>> 16)) === 0xffff
  }

  /** What the fast path does to a frame of a flow; `p`: first word of the path. */
  private rewrite(frame: FrameHandle, words: Int32Array, w: number, flow: number, p: number): void {
    const { flows, frames, paths, packet } = this.tables
    const { core } = flows
    const { words: path } = paths
    const word = flow * FLOW_WORDS
    const reply = word + DIRECTION_WORDS
    const a = core[reply]
    const b = core[reply + 1]
    const c = core[reply + 2]
    const change = core[word + TRANSLATION]
    const taken = path[p + PATH_TTL]
    const w6 = words[w + 6]
    core[word + PACKETS]++
    words[w] = path[p + PATH_MACS]
    words[w + 1] = path[p + PATH_MACS + 1]
    words[w + 2] = path[p + PATH_MACS + 2]
    words[w + 5] -= taken << 16
    words[w + 6] = (~fold((~w6 & 0xffff) + (change & 0xffff) + 0xffff - taken) & 0xffff) | (b & -65_536)
    words[w + 7] = (c & 0xffff) | (a << 16)
    frames.length[frame] = packet.end - packet.ip + IP_AT
    frames.flags[frame] &= ~FrameFlag.captured
    if (packet.kind === PacketKind.query) {
      // The identifier and the checksum, which covers no addresses.
      const w9 = words[w + 9]
      words[w + 8] = (b & 0xffff) | (words[w + 8] & -65_536)
      words[w + 9] = (~fold((~w9 & 0xffff) + (~w9 >>> 16) + (a >>> 16)) & 0xffff) | (a & -65_536)
      return
    }
    words[w + 8] = (b & 0xffff) | (a & -65_536)
    words[w + 9] = (words[w + 9] & -65_536) | (c >>> 16)
    const isPartial = (frames.flags[frame] & FrameFlag.csum) !== 0
    if (packet.protocol === IpProtocol.tcp) {
      const before = words[w + 12]
      words[w + 12] = (before & 0xffff) | (translated(before >>> 16, change, isPartial) << 16)
    } else {
      const before = words[w + 10] & 0xffff
      // 0 says "no checksum".
      if (before !== 0 || isPartial) {
        const after = translated(before, change, isPartial)
        words[w + 10] = (words[w + 10] & -65_536) | (after === 0 && !isPartial ? 0xffff : after)
      }
    }
  }
}

/** A transport checksum after the translation that `change` tells (see `translationChange`). */
function translated(field: number, change: number, isPartial: boolean): number {
  return isPartial ? fold(field + (change & 0xffff)) : ~fold((~field & 0xffff) + (change >>> 16)) & 0xffff
}
