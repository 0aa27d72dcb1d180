/**
 * Outer headers in front of an inner frame, one frame at a time: everything that `fastEncap` leaves over.
 *
 * The payload is not touched: the frame's start moves into the headroom. A super-frame stays one, marked as tunnelled (GsoTunnel),
 * and a partial inner checksum stays partial.
 */
import { FrameFlag, type FrameHandle, type FramePool, GsoTunnel } from '../../engine/frame-pool.ts'
import { put16 } from '../../wire/big-endian.ts'
import { checksumOf, fold, nonZeroChecksum, onesComplementSumView, pseudoHeaderSum } from '../../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH, EtherType } from '../../wire/ethernet.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { flowPort } from './flow-entropy.ts'
import { OUTER_IP, OUTER_LENGTH, OUTER_UDP, OUTER_WORDS, PADDING } from './outer-header.ts'
import { VTEP_WORDS, Vtep, type VtepTable } from './vtep-table.ts'
import { VxlanDrop } from './vxlan-drop.ts'
import type { VxlanSettings } from './vxlan-options.ts'

/** What `encapsulate` returns for a frame that may go. */
export const READY = -1
/** What `encapsulate` returns for a frame that does not fit: it is as it was. */
export const TOO_LONG = -2

const UDP_L4 = 5
const GSO_KIND = 0x1f
/** Bytes of an outer packet: the length of an IPv6 header does not count itself. */
const PACKET_MAX = { 4: 0xffff, 6: 0xffff + 40 } as const

export class Encapsulator {
  /** IPv4 identification of the next outer packet. */
  id: number
  private readonly frames: FramePool
  private readonly vteps: VtepTable
  private settings: VxlanSettings

  constructor(frames: FramePool, vteps: VtepTable, settings: VxlanSettings, id: number) {
    this.frames = frames
    this.vteps = vteps
    this.settings = settings
    this.id = id
  }

  applySettings(settings: VxlanSettings): void {
    this.settings = settings
  }

  /** Longest inner packet, bytes, that a segment with `mtu` may send to a VTEP. */
  limit(mtu: number, vtep: number): number {
    return Math.min(mtu, this.vteps.words[vtep * VTEP_WORDS + Vtep.innerMtu])
  }

  /** Encapsulates a frame of at least 14 bytes for a VTEP; READY, TOO_LONG, or a reason to drop it. */
  encapsulate(frame: FrameHandle, vni: number, mtu: number, vtep: number): number {
    const { frames } = this
    const { words } = this.vteps
    const entry = vtep * VTEP_WORDS
    if (words[entry + Vtep.innerMtu] === 0) return words[entry + Vtep.own] === 1 ? VxlanDrop.hairpin : VxlanDrop.noUnderlay
    const family = words[entry + Vtep.family] as 4 | 6
    const added = OUTER_LENGTH[family]
    const flags = frames.flags[frame]
    const isSuper = (flags & FrameFlag.gso) !== 0
    if (isSuper && (frames.gsoType[frame] & GsoTunnel.any) !== 0) return VxlanDrop.headroom
    const size = isSuper ? this.segmentLength(frame) : frames.length[frame] - ETHERNET_HEADER_LENGTH
    if (size < 0) return VxlanDrop.badHeaders
    const total = frames.length[frame] + added - ETHERNET_HEADER_LENGTH
    if (size > this.limit(mtu, vtep) || total > PACKET_MAX[family]) return TOO_LONG
    const start = frames.start[frame]
    if (start - frames.slotStart(frame) < added + PADDING) return VxlanDrop.headroom
    const view = frames.view(frame)
    const source = flowPort(view, start, start + frames.length[frame])
    this.writeHeaders(frame, start, entry, family, vni, source)
    frames.start[frame] = start - added
    frames.length[frame] += added
    frames.flags[frame] = flags & ~(FrameFlag.captured | FrameFlag.csumValid)
    if ((flags & FrameFlag.csum) !== 0) frames.csumStart[frame] += added
    if (isSuper) {
      frames.hdrLen[frame] += added
      frames.gsoType[frame] |= family === 4 ? GsoTunnel.ipv4 : GsoTunnel.ipv6
      // Who cuts it counts on from its identification: those of its segments are not given again.
      this.id = (this.id + ((frames.length[frame] / frames.gsoSize[frame]) | 0)) & 0xffff
    }
    if (this.settings.udpChecksum[family]) this.fillChecksum(frame, view, family)
    return READY
  }

  /** Bytes of the longest packet that a super-frame is cut into; -1 when its headers are not as its fields say. hdrLen is a hint only. */
  segmentLength(frame: FrameHandle): number {
    const { frames } = this
    if ((frames.flags[frame] & FrameFlag.csum) === 0) return -1
    const transport = frames.csumStart[frame]
    const isUdp = (frames.gsoType[frame] & GSO_KIND) === UDP_L4
    if (transport < ETHERNET_HEADER_LENGTH || transport + (isUdp ? 8 : 20) > frames.length[frame]) return -1
    const header = isUdp ? 8 : (frames.bytes(frame)[frames.start[frame] + transport + 12] >> 4) << 2
    return transport - ETHERNET_HEADER_LENGTH + header + frames.gsoSize[frame]
  }

  private writeHeaders(frame: FrameHandle, start: number, entry: number, family: 4 | 6, vni: number, source: number): void {
    const { frames, vteps } = this
    const bytes = frames.bytes(frame)
    const at = start - OUTER_LENGTH[family] - PADDING
    if ((at & 3) === 0) {
      const words = frames.words(frame)
      for (let i = 0; i < OUTER_WORDS[family]; i++) words[(at >> 2) + i] = vteps.words[entry + i]
    } else {
      const template = vteps.bytes
      for (let i = 0; i < OUTER_WORDS[family] * 4; i++) bytes[at + i] = template[entry * 4 + i]
    }
    const ip = at + OUTER_IP
    const udp = at + OUTER_UDP[family]
    const udpLength = start + frames.length[frame] - udp
    const ecn = innerEcn(bytes, start, frames.length[frame])
    if (family === 4) {
      const id = (this.id = (this.id + 1) & 0xffff)
      bytes[ip + 1] = ecn
      put16(bytes, ip + 2, udpLength + 20)
      put16(bytes, ip + 4, id)
      put16(bytes, ip + 10, checksumOf(fold(vteps.words[entry + Vtep.sum] + udpLength + 20 + id + ecn)))
    } else {
      bytes[ip + 1] = ecn << 4
      put16(bytes, ip + 4, udpLength)
    }
    put16(bytes, udp, source)
    put16(bytes, udp + 4, udpLength)
    put16(bytes, udp + 12, vni >>> 8)
    bytes[udp + 14] = vni
  }

  /** Where the inner checksum is partial, all behind it sums to the complement of what its field holds (Linux: local checksum offload). */
  private fillChecksum(frame: FrameHandle, view: DataView, family: 4 | 6): void {
    const { frames } = this
    const start = frames.start[frame]
    const ip = start + OUTER_IP - PADDING
    const udp = start + OUTER_UDP[family] - PADDING
    const length = start + frames.length[frame] - udp
    const pseudo = pseudoHeaderSum(frames.bytes(frame), ip, IpProtocol.udp, length)
    if ((frames.flags[frame] & FrameFlag.gso) !== 0) return view.setUint16(udp + 6, pseudo)
    let sum: number
    if ((frames.flags[frame] & FrameFlag.csum) === 0) sum = onesComplementSumView(view, udp, length, pseudo)
    else {
      const inner = start + frames.csumStart[frame]
      const rest = ~view.getUint16(inner + frames.csumOffset[frame]) & 0xffff
      sum = fold(onesComplementSumView(view, udp, inner - udp, pseudo) + rest)
    }
    view.setUint16(udp + 6, nonZeroChecksum(checksumOf(sum)))
  }
}

/** The congestion bits of the inner packet, which the outer one carries; "experienced" goes as "capable" (RFC 3168 9.1.1, as Linux). */
function innerEcn(bytes: Uint8Array, at: number, length: number): number {
  if (length < ETHERNET_HEADER_LENGTH + 2) return 0
  const type = (bytes[at + 12] << 8) | bytes[at + 13]
  const ecn = type === EtherType.ipv4 ? bytes[at + 15] & 3 : type === EtherType.ipv6 ? (bytes[at + 15] >> 4) & 3 : 0
  return ecn === 3 ? 2 : ecn
}
