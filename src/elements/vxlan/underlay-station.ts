/**
 * What comes from the underlay and is no VXLAN: questions for the VTEP's own MAC, which it answers, and routers that say that a packet
 * of it was too big, which it heeds (RFC 1191, RFC 8201).
 */
import type { FrameHandle, FramePool } from '../../engine/frame-pool.ts'
import { get32 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, etherType } from '../../wire/ethernet.ts'
import { ICMP_HEADER_LENGTH, IcmpType, IcmpUnreachable, icmpMtu } from '../../wire/icmp.ts'
import { Icmpv6Type, icmpv6Word } from '../../wire/icmpv6.ts'
import {
  checkIpv4,
  checkIpv4Quoted,
  IPV4_DESTINATION,
  IpProtocol,
  ipv4End,
  ipv4HeaderLength,
  ipv4Payload,
  ipv4Protocol
} from '../../wire/ipv4.ts'
import { checkIpv6, checkIpv6Quoted, IPV6_DESTINATION, IPV6_HEADER_LENGTH, ipv6End, ipv6NextHeader } from '../../wire/ipv6.ts'
import { UDP_DESTINATION_PORT } from '../../wire/udp.ts'
import { answerNeighbor, type NeighborOf } from './answer-neighbor.ts'
import { NO_VTEP, type VtepTable } from './vtep-table.ts'
import { VxlanDrop } from './vxlan-drop.ts'
import type { VxlanSettings } from './vxlan-options.ts'

/** What `take` returns for a frame that is an answer now, to be sent back. */
export const ANSWERED = -1

export class UnderlayStation {
  private readonly frames: FramePool
  private readonly vteps: VtepTable
  private settings: VxlanSettings
  /** Set when a path MTU became known: something is to be forgotten later. */
  hasLearned = false
  private readonly ownMac: NeighborOf = (w0, w1, w2, w3, found) => {
    const { addresses, mac } = this.settings
    if (!addresses.some(({ words }) => words[0] === w0 && words[1] === w1 && words[2] === w2 && words[3] === w3)) return false
    found.hi = mac.hi
    found.lo = mac.lo
    return true
  }

  constructor(frames: FramePool, vteps: VtepTable, settings: VxlanSettings) {
    this.frames = frames
    this.vteps = vteps
    this.settings = settings
  }

  applySettings(settings: VxlanSettings): void {
    this.settings = settings
  }

  /** ANSWERED, or a reason to drop the frame, which has an Ethernet header. */
  take(frame: FrameHandle, seconds: number): number {
    const { frames } = this
    if (answerNeighbor(frames, frame, this.ownMac)) return ANSWERED
    const bytes = frames.bytes(frame)
    const at = frames.start[frame] + ETHERNET_HEADER_LENGTH
    const end = frames.start[frame] + frames.length[frame]
    const type = etherType(bytes, frames.start[frame])
    if (type === EtherType.ipv4 && checkIpv4(bytes, at, end) && ipv4Protocol(bytes, at) === IpProtocol.icmp) {
      this.heed4(bytes, ipv4Payload(bytes, at), ipv4End(bytes, at), seconds)
      return VxlanDrop.heard
    }
    if (type === EtherType.ipv6 && checkIpv6(bytes, at, end) && ipv6NextHeader(bytes, at) === IpProtocol.icmpv6) {
      this.heed6(bytes, at + IPV6_HEADER_LENGTH, ipv6End(bytes, at), seconds)
      return VxlanDrop.heard
    }
    return type === EtherType.arp ? VxlanDrop.heard : VxlanDrop.notVxlan
  }

  private heed4(bytes: Uint8Array, icmp: number, end: number, seconds: number): void {
    const quoted = icmp + ICMP_HEADER_LENGTH
    if (quoted > end || bytes[icmp] !== IcmpType.unreachable || bytes[icmp + 1] !== IcmpUnreachable.fragmentationNeeded) return
    if (!checkIpv4Quoted(bytes, quoted, end) || ipv4Protocol(bytes, quoted) !== IpProtocol.udp) return
    const udp = quoted + ipv4HeaderLength(bytes, quoted)
    if (!this.isToVtep(bytes, udp, end)) return
    this.tell(this.vteps.find(0, 0, 0xffff, get32(bytes, quoted + IPV4_DESTINATION)), icmpMtu(bytes, icmp), seconds)
  }

  private heed6(bytes: Uint8Array, icmp: number, end: number, seconds: number): void {
    const quoted = icmp + ICMP_HEADER_LENGTH
    if (quoted > end || bytes[icmp] !== Icmpv6Type.packetTooBig || !checkIpv6Quoted(bytes, quoted, end)) return
    if (ipv6NextHeader(bytes, quoted) !== IpProtocol.udp || !this.isToVtep(bytes, quoted + IPV6_HEADER_LENGTH, end)) return
    const to = quoted + IPV6_DESTINATION
    const vtep = this.vteps.find(get32(bytes, to), get32(bytes, to + 4), get32(bytes, to + 8), get32(bytes, to + 12))
    this.tell(vtep, icmpv6Word(bytes, icmp) >>> 0, seconds)
  }

  /** Whether the quoted datagram is one of ours. */
  private isToVtep(bytes: Uint8Array, udp: number, end: number): boolean {
    return udp + 8 <= end && ((bytes[udp + UDP_DESTINATION_PORT] << 8) | bytes[udp + UDP_DESTINATION_PORT + 1]) === this.settings.port
  }

  private tell(vtep: number, mtu: number, seconds: number): void {
    if (vtep !== NO_VTEP && this.vteps.tellPathMtu(vtep, mtu, seconds)) this.hasLearned = true
  }
}
