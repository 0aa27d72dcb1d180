/**
 * From an underlay frame to the inner one, RFC 7348 section 4.1.1, one frame at a time: everything that `fastDecap` leaves over.
 *
 * Only the start and the length of the frame change. What is no VXLAN datagram for this VTEP is left to `UnderlayStation`.
 */
import { FrameFlag, type FrameHandle, type FramePool, GsoTunnel } from '../../engine/frame-pool.ts'
import { get16, get32 } from '../../wire/big-endian.ts'
import { onesComplementSumView, pseudoHeaderSum, updateChecksum16 } from '../../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, isGroup, macHi, macLo } from '../../wire/ethernet.ts'
import {
  checkIpv4,
  IPV4_CHECKSUM,
  IPV4_DESTINATION,
  IPV4_SOURCE,
  IpProtocol,
  ipv4Checksum,
  ipv4End,
  ipv4HeaderLength,
  ipv4IsFragment,
  ipv4Protocol,
  ipv4Tos,
  verifyIpv4Checksum
} from '../../wire/ipv4.ts'
import {
  checkIpv6,
  IPV6_DESTINATION,
  IPV6_FRAGMENT_HEADER_LENGTH,
  IPV6_HEADER_LENGTH,
  IPV6_SOURCE,
  ipv6End,
  ipv6NextHeader,
  ipv6TrafficClass
} from '../../wire/ipv6.ts'
import { checkUdp, UDP_HEADER_LENGTH, udpChecksum, udpDestinationPort, udpLength } from '../../wire/udp.ts'
import { VXLAN_HEADER_LENGTH, vxlanHasVni, vxlanVni } from '../../wire/vxlan.ts'
import { VxlanDrop } from './vxlan-drop.ts'
import type { VxlanSettings } from './vxlan-options.ts'

/** What `read` returns for a frame that is VXLAN for this VTEP. */
export const VXLAN = -1
/** What `read` returns for a frame that is something else for this station. */
export const OTHER = -2
/** What `read` returns for a fragment of a UDP datagram for this station: of the rest only `source` is known. */
export const FRAGMENT = -3

const CONGESTION_EXPERIENCED = 3
/** RFC 8200 4.5: the offset and the flag M; the two bits between are reserved. */
const IPV6_FRAGMENT_BITS = 0xfff9
const UDP_TUNNEL_HEADERS = UDP_HEADER_LENGTH + VXLAN_HEADER_LENGTH

export class Decapsulator {
  /** Of the frame that was read last: the outer source as four words, the VNI, offsets within the chunk. */
  readonly source = new Int32Array(4)
  vni = 0
  private innerAt = 0
  private innerEnd = 0
  private ecn = 0
  private readonly frames: FramePool
  private settings: VxlanSettings

  constructor(frames: FramePool, settings: VxlanSettings) {
    this.frames = frames
    this.settings = settings
  }

  applySettings(settings: VxlanSettings): void {
    this.settings = settings
  }

  /** Looks at all outer headers; VXLAN, OTHER, or a reason to drop the frame. Changes nothing. */
  read(frame: FrameHandle): number {
    const { frames, settings } = this
    const bytes = frames.bytes(frame)
    const start = frames.start[frame]
    const end = start + frames.length[frame]
    const ip = start + ETHERNET_HEADER_LENGTH
    if (ip > end) return VxlanDrop.notForUs
    if (isGroup(bytes, start)) return OTHER
    if (macHi(bytes, start) !== settings.mac.hi || macLo(bytes, start) !== settings.mac.lo) return VxlanDrop.notForUs
    const type = get16(bytes, ip - 2)
    if (type === EtherType.ipv4) return this.readIpv4(frame, bytes, ip, end)
    if (type === EtherType.ipv6) return this.readIpv6(frame, bytes, ip, end)
    return OTHER
  }

  private readIpv4(frame: FrameHandle, bytes: Uint8Array, ip: number, end: number): number {
    if (!checkIpv4(bytes, ip, end)) return VxlanDrop.malformed
    if (!verifyIpv4Checksum(bytes, ip)) return VxlanDrop.badChecksum
    const { source } = this
    source[0] = source[1] = 0
    source[2] = 0xffff
    source[3] = get32(bytes, ip + IPV4_SOURCE)
    if (!this.isOwn(0, 0, 0xffff, get32(bytes, ip + IPV4_DESTINATION))) return VxlanDrop.notForUs
    if (ipv4Protocol(bytes, ip) !== IpProtocol.udp) return OTHER
    if (ipv4IsFragment(bytes, ip)) return FRAGMENT
    this.ecn = ipv4Tos(bytes, ip) & 3
    return this.readUdp(frame, bytes, ip, ip + ipv4HeaderLength(bytes, ip), ipv4End(bytes, ip))
  }

  private readIpv6(frame: FrameHandle, bytes: Uint8Array, ip: number, end: number): number {
    if (!checkIpv6(bytes, ip, end)) return VxlanDrop.malformed
    const { source } = this
    for (let i = 0; i < 4; i++) source[i] = get32(bytes, ip + IPV6_SOURCE + 4 * i)
    const to = ip + IPV6_DESTINATION
    if (!this.isOwn(get32(bytes, to), get32(bytes, to + 4), get32(bytes, to + 8), get32(bytes, to + 12))) return VxlanDrop.notForUs
    let next = ipv6NextHeader(bytes, ip)
    let udp = ip + IPV6_HEADER_LENGTH
    const packetEnd = ipv6End(bytes, ip)
    if (next === IpProtocol.fragment) {
      if (udp + IPV6_FRAGMENT_HEADER_LENGTH > packetEnd) return VxlanDrop.malformed
      // Offset and "more fragments"; without both it is whole by itself (RFC 6946), as what was put together.
      if ((get16(bytes, udp + 2) & IPV6_FRAGMENT_BITS) !== 0) return bytes[udp] === IpProtocol.udp ? FRAGMENT : OTHER
      next = bytes[udp]
      udp += IPV6_FRAGMENT_HEADER_LENGTH
    }
    if (next !== IpProtocol.udp) return OTHER
    this.ecn = ipv6TrafficClass(bytes, ip) & 3
    return this.readUdp(frame, bytes, ip, udp, packetEnd)
  }

  private readUdp(frame: FrameHandle, bytes: Uint8Array, ip: number, udp: number, end: number): number {
    if (!checkUdp(bytes, udp, end)) return VxlanDrop.malformed
    if (udpDestinationPort(bytes, udp) !== this.settings.port) return VxlanDrop.notVxlan
    const { frames } = this
    const flags = frames.flags[frame]
    const isTunnel = (flags & FrameFlag.gso) !== 0
    // Several datagrams in one frame: a device that gives such must cut them, since each has a VXLAN header of its own.
    if (isTunnel && (frames.gsoType[frame] & GsoTunnel.any) === 0) return VxlanDrop.badHeaders
    const length = udpLength(bytes, udp)
    if (udpChecksum(bytes, udp) !== 0 && (flags & (FrameFlag.csum | FrameFlag.csumValid | FrameFlag.gso)) === 0) {
      const pseudo = pseudoHeaderSum(bytes, ip, IpProtocol.udp, length)
      if (onesComplementSumView(frames.view(frame), udp, length, pseudo) !== 0xffff) return VxlanDrop.badChecksum
    }
    if (length < UDP_TUNNEL_HEADERS + ETHERNET_HEADER_LENGTH) return VxlanDrop.truncated
    const vxlan = udp + UDP_HEADER_LENGTH
    if (!vxlanHasVni(bytes, vxlan)) return VxlanDrop.noVniFlag
    this.vni = vxlanVni(bytes, vxlan)
    this.innerAt = vxlan + VXLAN_HEADER_LENGTH
    this.innerEnd = udp + length
    const { innerAt } = this
    if (isGroup(bytes, innerAt + 6) || (macHi(bytes, innerAt + 6) | macLo(bytes, innerAt + 6)) === 0) return VxlanDrop.groupSource
    return VXLAN
  }

  /** Of the inner frame of the one that was read last. */
  sourceHi(frame: FrameHandle): number {
    return macHi(this.frames.bytes(frame), this.innerAt + 6)
  }

  sourceLo(frame: FrameHandle): number {
    return macLo(this.frames.bytes(frame), this.innerAt + 6)
  }

  /** Whether the frame read last is from an address of our own. */
  get isFromOwn(): boolean {
    const { source } = this
    return this.isOwn(source[0], source[1], source[2], source[3])
  }

  /** Takes the headers off that were read; VXLAN, or a reason to drop the frame. */
  strip(frame: FrameHandle): number {
    const { frames, innerAt } = this
    const removed = innerAt - frames.start[frame]
    let flags = frames.flags[frame] & ~(FrameFlag.captured | FrameFlag.csumValid | FrameFlag.reassembled)
    if ((flags & FrameFlag.csum) !== 0) {
      // A partial outer checksum goes with its header; the inner one is finished then.
      if (frames.csumStart[frame] >= removed + ETHERNET_HEADER_LENGTH) frames.csumStart[frame] -= removed
      else flags &= ~FrameFlag.csum
    }
    if ((flags & FrameFlag.gso) !== 0) {
      if (frames.hdrLen[frame] < removed || (flags & FrameFlag.csum) === 0) return VxlanDrop.badHeaders
      frames.hdrLen[frame] -= removed
      frames.gsoType[frame] &= ~GsoTunnel.any
    }
    frames.flags[frame] = flags
    frames.start[frame] = innerAt
    frames.length[frame] = this.innerEnd - innerAt
    return this.ecn !== CONGESTION_EXPERIENCED || this.markCongestion(frame) ? VXLAN : VxlanDrop.congestion
  }

  /** "Congestion experienced" on the way goes on with the inner packet; false where that says that its ends do not know of it. */
  private markCongestion(frame: FrameHandle): boolean {
    const { frames } = this
    const bytes = frames.bytes(frame)
    const ip = frames.start[frame] + ETHERNET_HEADER_LENGTH
    const end = frames.start[frame] + frames.length[frame]
    const type = get16(bytes, ip - 2)
    if (type === EtherType.ipv4 && checkIpv4(bytes, ip, end)) {
      const before = get16(bytes, ip)
      if ((before & 3) === 0) return false
      bytes[ip + 1] |= CONGESTION_EXPERIENCED
      const sum = updateChecksum16(ipv4Checksum(bytes, ip), before, before | CONGESTION_EXPERIENCED)
      bytes[ip + IPV4_CHECKSUM] = sum >>> 8
      bytes[ip + IPV4_CHECKSUM + 1] = sum
    } else if (type === EtherType.ipv6 && checkIpv6(bytes, ip, end)) {
      if ((ipv6TrafficClass(bytes, ip) & 3) === 0) return false
      bytes[ip + 1] |= CONGESTION_EXPERIENCED << 4
    }
    return true
  }

  private isOwn(w0: number, w1: number, w2: number, w3: number): boolean {
    for (const { words } of this.settings.addresses) {
      if (words[3] === w3 && words[2] === w2 && words[1] === w1 && words[0] === w0) return true
    }
    return false
  }
}
