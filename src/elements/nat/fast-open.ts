/**
 * The first datagram of a UDP flow over IPv4 between two addresses of which another flow has just gone the long way: the flow is
 * opened as it stands in the frame, believing in that flow's path, and the fast path takes the frame like any later one.
 */
import { FrameFlag, type FrameHandle } from '../../engine/frame-pool.ts'
import { verifyTransport } from '../../wire/checksum.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { UDP_CHECKSUM, UDP_HEADER_LENGTH, udpLength } from '../../wire/udp.ts'
import type { FlowOpening } from './flow-opening.ts'
import { NO_PAIR, PAIR_PATH, PAIR_UNTIL } from './known-pairs.ts'
import { PacketKind, READ_OK } from './nat-packet.ts'
import type { NatTables } from './nat-tables.ts'
import { PATH_NUMBER_MASK, PATH_PORTS, PATH_WORDS } from './paths.ts'
import { TimeoutIndex } from './timeouts.ts'
import { readPort, swap16, Tuple } from './tuple.ts'

const IP_AT = 14
const SOURCE_AT = 26
const UDP_AT = 34
const IP_AND_UDP = 28

export class FastOpen {
  private readonly tables: NatTables
  private readonly opening: FlowOpening
  private readonly reply = new Tuple()

  constructor(tables: NatTables, opening: FlowOpening) {
    this.tables = tables
    this.opening = opening
  }

  /**
   * Opens the flow of a frame that came in by interface `number`; false: it is for others, and nothing has changed.
   * The fast path has found the frame sound up to its IP header, without options, and of no flow.
   */
  open(frame: FrameHandle, number: number): boolean {
    const { tables, reply } = this
    const { flows, frames, pairs, paths, packet, published, interfaces } = tables
    const { tuple } = packet
    const words = frames.words(frame)
    const w = frames.start[frame] >> 2
    if (words[w + 5] >>> 24 !== IpProtocol.udp || flows.size >= flows.capacity) return false
    tuple.a = (words[w + 6] >>> 16) | (words[w + 9] << 16)
    tuple.b = words[w + 7]
    tuple.c = words[w + 8]
    tuple.d = IpProtocol.udp
    const pair = pairs.find(tuple.source, tuple.destination)
    if (pair === NO_PAIR || ((pairs.words[pair + PAIR_UNTIL] - flows.tick) | 0) <= 0) return false
    const path = pairs.words[pair + PAIR_PATH]
    if ((path & ~PATH_NUMBER_MASK) !== paths.epoch) return false
    const ports = paths.words[(path & PATH_NUMBER_MASK) * PATH_WORDS + PATH_PORTS]
    // Longer than what the router let pass: it may refuse it, and then there is no flow.
    const size = (frames.flags[frame] & FrameFlag.gso) !== 0 ? IP_AND_UDP + frames.gsoSize[frame] : swap16(words[w + 4] & 0xffff)
    if (ports >>> 16 !== number || size > paths.fits[ports & 0xffff] || !this.isWhole(frame)) return false
    // The pair may be that of answers by way of another network's gateway: these begin nothing.
    const ingress = interfaces.at(number)
    if (ingress === null || !interfaces.maySend(ingress, frames.bytes(frame), frames.start[frame] + SOURCE_AT, false)) return false
    if (published.find(IpProtocol.udp, tuple.destination, tuple.destinationPort, false) !== null) return false

    reply.setOpposite(tuple)
    packet.isIpv6 = false
    packet.protocol = IpProtocol.udp
    packet.kind = PacketKind.ports
    const flow = flows.begin(tuple, reply, number, (flows.tick + flows.timeouts[TimeoutIndex.tentative]) | 0)
    tables.follow(flow, 0, true)
    if (this.opening.confirm(frame, flow, 0, ports & 0xffff) !== READ_OK) {
      // The long way ends in the same refusal, and says so.
      flows.remove(flow)
      return false
    }
    tables.believe(flow, 0, path, pairs.words[pair + PAIR_UNTIL])
    return true
  }

  /** Length and checksum of the datagram are right. */
  private isWhole(frame: FrameHandle): boolean {
    const { frames } = this.tables
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const end = at + IP_AT + ((bytes[at + IP_AT + 2] << 8) | bytes[at + IP_AT + 3])
    const length = udpLength(bytes, at + UDP_AT)
    if (length < UDP_HEADER_LENGTH || at + UDP_AT + length > end) return false
    if ((frames.flags[frame] & (FrameFlag.csum | FrameFlag.csumValid)) !== 0) return true
    if (readPort(bytes, at + UDP_AT + UDP_CHECKSUM) === 0) return true
    return verifyTransport(bytes, at + UDP_AT, end, at + IP_AT, IpProtocol.udp)
  }
}
