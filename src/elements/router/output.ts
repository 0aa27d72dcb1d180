/**
 * What the router itself sends, and the last step of everything that it sends: source MAC, fragments, next hop.
 */
import { FrameFlag, type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import { put16, put32 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, EtherType, setEtherType, setMac } from '../../wire/ethernet.ts'
import {
  fillIpv4Checksum,
  IPV4_DESTINATION,
  IPV4_FRAGMENT,
  IPV4_HEADER_LENGTH,
  IPV4_ID,
  IPV4_PROTOCOL,
  IPV4_SOURCE,
  IPV4_TOTAL_LENGTH,
  IPV4_TTL
} from '../../wire/ipv4.ts'
import {
  IPV6_DESTINATION,
  IPV6_HEADER_LENGTH,
  IPV6_HOP_LIMIT,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE
} from '../../wire/ipv6.ts'
import { fragmentIpv4 } from '../fragment/fragment-ipv4.ts'
import { fragmentIpv6 } from '../fragment/fragment-ipv6.ts'
import { cutSuperFrame, segmentsOf } from '../netem/cut-super-frame.ts'
import { putWords, type Words } from './address-words.ts'
import { Counter, type RouterCore } from './router-core.ts'
import { RouterDrop } from './router-drop.ts'
import type { RouterInterface } from './router-interface.ts'
import { Own, type Route } from './routing.ts'

/** What hosts send with: RFC 1700, and Linux. */
export const DEFAULT_TTL = 64

export class Output {
  private readonly core: RouterCore
  /** IPv4 identification of the next packet of our own. */
  private id: number
  /** Where the fragments go that are being cut. */
  private readonly way = { egress: null as RouterInterface | null, family: 4 as 4 | 6, w0: 0, w1: 0, w2: 0, w3: 0 }
  private readonly emitFragment: (fragment: FrameHandle) => void

  constructor(core: RouterCore) {
    this.core = core
    this.id = core.context.random.below(65_536)
    this.emitFragment = (fragment) => {
      const { egress, family, w0, w1, w2, w3 } = this.way
      this.toLink(egress!, family, w0, w1, w2, w3, fragment)
    }
  }

  /** The way of a packet of our own, or null; `link` is where link-local destinations are. */
  route(link: RouterInterface, family: 4 | 6, w0: number, w1: number, w2: number, w3: number): Route | null {
    const { routing } = this.core
    const isLinkScope = family === 6 && ((w0 & 0xffc00000) === (0xfe800000 | 0) || w0 >>> 16 === 0xff02)
    if (isLinkScope) return { destination: LINK_SCOPE, kind: 'connected', interface: link.number, via: null }
    if (routing.own(family, w0, w1, w2, w3) !== Own.none) return null
    return routing.lookup(family, w0, w1, w2, w3)
  }

  /**
   * A frame for an IP packet of our own with Ethernet and IP headers; the payload is the caller's. NO_FRAME: none is left.
   * @param tos TOS or traffic class
   */
  build(family: 4 | 6, source: Words, destination: Words, protocol: number, payload: number, tos: number, hopLimit: number): FrameHandle {
    const { frames } = this.core
    const header = family === 4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH
    const frame = frames.allocate(ETHERNET_HEADER_LENGTH + header + payload)
    if (frame === NO_FRAME) return NO_FRAME
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    setEtherType(bytes, at, family === 4 ? EtherType.ipv4 : EtherType.ipv6)
    writeIpHeader(bytes, at + ETHERNET_HEADER_LENGTH, family, source, destination, protocol, payload, tos, hopLimit, this.nextId())
    return frame
  }

  nextId(): number {
    this.id = (this.id + 1) & 0xffff
    return this.id
  }

  /** Sends a packet of our own, whole or in fragments; takes the frame, which has been entered. */
  send(frame: FrameHandle, family: 4 | 6, route: Route, w0: number, w1: number, w2: number, w3: number): void {
    const { core } = this
    const egress = core.interface(route.interface)!
    if (route.via !== null) [w0, w1, w2, w3] = route.via
    const isWhole = core.frames.length[frame] - ETHERNET_HEADER_LENGTH <= (family === 4 ? egress.mtu : egress.mtu6)
    if (isWhole) this.toLink(egress, family, w0, w1, w2, w3, frame)
    else this.fragment(egress, family, w0, w1, w2, w3, frame)
  }

  /**
   * Cuts a packet for an interface and sends the fragments to a next hop; takes the frame. An IPv6 packet must have a fragment header.
   * Of a super-frame each segment is cut (Linux: ip_finish_output_gso).
   */
  fragment(egress: RouterInterface, family: 4 | 6, w0: number, w1: number, w2: number, w3: number, frame: FrameHandle): void {
    const { core, way } = this
    way.egress = egress
    way.family = family
    way.w0 = w0
    way.w1 = w1
    way.w2 = w2
    way.w3 = w3
    if ((core.frames.flags[frame] & FrameFlag.gso) === 0) this.cut(frame)
    else this.cutSegments(frame)
  }

  /** By the way that is set. Where the pool has no frame for a segment, the super-frame ends with those that are left. */
  private cutSegments(frame: FrameHandle): void {
    const { core } = this
    const { frames, counters } = core
    const segments = segmentsOf(frames, frame)
    for (let i = 0; i < segments; i++) {
      const segment = cutSuperFrame(frames, frame, i, 1)
      if (segment === NO_FRAME) return core.drop(frame, RouterDrop.noFragments)
      counters[Counter.fragments]++
      this.cut(segment)
    }
    frames.free(frame)
    counters[Counter.fragments]--
  }

  /** By the way that is set. */
  private cut(frame: FrameHandle): void {
    const { core, emitFragment } = this
    const { egress, family } = this.way
    const count =
      family === 4
        ? fragmentIpv4(core.frames, frame, egress!.mtu, emitFragment)
        : fragmentIpv6(core.frames, frame, egress!.mtu6, emitFragment)
    if (count === 0) core.drop(frame, RouterDrop.noFragments)
    else core.counters[Counter.fragments] += count - 1
  }

  /** The last step: the source MAC, and the neighbor's. */
  toLink(egress: RouterInterface, family: 4 | 6, w0: number, w1: number, w2: number, w3: number, frame: FrameHandle): void {
    const { core } = this
    const { frames } = core
    setMac(frames.bytes(frame), frames.start[frame] + ETHERNET_SOURCE, egress.mac.hi, egress.mac.lo)
    core.neighbors.send(egress, family, w0, w1, w2, w3, frame)
  }
}

/** Writes an IP header without options, checksum included; `id` is for IPv4. See Output.build. */
export function writeIpHeader(
  bytes: Uint8Array,
  ipAt: number,
  family: 4 | 6,
  source: Words,
  destination: Words,
  protocol: number,
  payload: number,
  tos: number,
  hopLimit: number,
  id: number
): void {
  if (family === 6) {
    put32(bytes, ipAt, 0x60000000 | (tos << 20))
    put16(bytes, ipAt + IPV6_PAYLOAD_LENGTH, payload)
    bytes[ipAt + IPV6_NEXT_HEADER] = protocol
    bytes[ipAt + IPV6_HOP_LIMIT] = hopLimit
    putWords(bytes, ipAt + IPV6_SOURCE, source)
    putWords(bytes, ipAt + IPV6_DESTINATION, destination)
    return
  }
  put16(bytes, ipAt, 0x4500 | tos)
  put16(bytes, ipAt + IPV4_TOTAL_LENGTH, IPV4_HEADER_LENGTH + payload)
  put16(bytes, ipAt + IPV4_ID, id)
  put16(bytes, ipAt + IPV4_FRAGMENT, 0)
  bytes[ipAt + IPV4_TTL] = hopLimit
  bytes[ipAt + IPV4_PROTOCOL] = protocol
  put32(bytes, ipAt + IPV4_SOURCE, source[0])
  put32(bytes, ipAt + IPV4_DESTINATION, destination[0])
  fillIpv4Checksum(bytes, ipAt)
}

/** Destination of a way that no table has: the link itself. */
const LINK_SCOPE = { family: 6, words: [0xfe800000 | 0, 0, 0, 0], length: 64, text: 'fe80::/64' } as const
