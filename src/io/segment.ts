/**
 * Software segmentation: what a device without TCP or UDP offload does to a super-frame at its edge.
 *
 *   | headers | payload 1 ... payload n |   ->   | headers' | payload 1 |  ...  | headers' | payload n |
 *
 * Headers change as `wire/segment-headers` says, and all checksums are computed; in a VXLAN tunnel the outer ones too. One super-frame
 * at a time: `begin`, then `next` until it answers NO_FRAME.
 */
import { FrameFlag, type FrameHandle, type FramePool, GsoTunnel, NO_FRAME } from '../engine/frame-pool.ts'
import { fillTransportView } from '../wire/checksum.ts'
import { ETHERNET_HEADER_LENGTH } from '../wire/ethernet.ts'
import { IpProtocol } from '../wire/ipv4.ts'
import { PacketView } from '../wire/packet-view.ts'
import { setSegmentIp, setSegmentTransport } from '../wire/segment-headers.ts'
import { checkTcp, TCP_CHECKSUM, tcpHeaderLength } from '../wire/tcp.ts'
import { checkUdp, setUdpLength, UDP_CHECKSUM, UDP_HEADER_LENGTH, udpChecksum } from '../wire/udp.ts'
import { VXLAN_HEADER_LENGTH } from '../wire/vxlan.ts'
import { Offload } from './frame-device.ts'

/** Values of FramePool.gsoType without ECN. */
export const GsoType = { tcp4: 1, udpFragments: 3, tcp6: 4, udpSegments: 5 } as const
export const GSO_ECN = 0x80

/** A super-frame of tiny segments would flood the pool: Linux cuts no finer than this in practice (TCP_MIN_GSO_SIZE, 48 with options). */
const MIN_SEGMENT = 8

/** The headers that were read last. */
const headers = new PacketView()

/** The Offload bits that a device must have to take the frame as it is; 0 for a finished frame. */
export function offloadNeeds(pool: FramePool, frame: FrameHandle): number {
  const flags = pool.flags[frame]
  const csum = (flags & FrameFlag.csum) !== 0 ? Offload.csum : 0
  if ((flags & FrameFlag.gso) === 0) return csum
  const type = pool.gsoType[frame]
  const ecn = (type & GSO_ECN) !== 0 ? Offload.ecn : 0
  const inner = (type & GsoTunnel.any) === 0 ? 0 : tunnelled(pool, frame)
  if (inner < 0) return UNKNOWN_OFFLOAD
  const tunnel = inner === 0 ? 0 : hasOuterChecksum(pool, frame, inner) ? Offload.tunnel | Offload.tunnelCsum : Offload.tunnel
  switch (type & ~(GSO_ECN | GsoTunnel.any)) {
    case GsoType.tcp4:
      return csum | ecn | tunnel | Offload.tso4
    case GsoType.tcp6:
      return csum | ecn | tunnel | Offload.tso6
    case GsoType.udpSegments: {
      readHeaders(pool, frame, inner)
      return csum | tunnel | (headers.family === 4 ? Offload.uso4 : Offload.uso6)
    }
    default:
      return UNKNOWN_OFFLOAD
  }
}

/** Those of the frame that begins `inner` bytes into this one. */
function readHeaders(pool: FramePool, frame: FrameHandle, inner: number): boolean {
  const start = pool.start[frame]
  return headers.readFrame(pool.bytes(frame), start + inner, start + pool.length[frame]) && headers.hasTransport
}

/** Bytes before the inner frame of a tunnelled super-frame (VXLAN), whose outer headers are read then; -1 when there is no such. */
function tunnelled(pool: FramePool, frame: FrameHandle): number {
  if (!readHeaders(pool, frame, 0) || headers.protocol !== IpProtocol.udp) return -1
  const { bytes, frameAt, frameEnd, transportAt } = headers
  const inner = transportAt + UDP_HEADER_LENGTH + VXLAN_HEADER_LENGTH
  return checkUdp(bytes, transportAt, frameEnd) && inner + ETHERNET_HEADER_LENGTH <= frameEnd ? inner - frameAt : -1
}

/** `inner`: as `tunnelled` gives it. */
function hasOuterChecksum(pool: FramePool, frame: FrameHandle, inner: number): boolean {
  return udpChecksum(pool.bytes(frame), pool.start[frame] + inner - VXLAN_HEADER_LENGTH - UDP_HEADER_LENGTH) !== 0
}

/** A bit that no device has. */
const UNKNOWN_OFFLOAD = 0x40000000

export class Segmenter {
  private readonly pool: FramePool
  private frame: FrameHandle = NO_FRAME
  /** Offsets from the frame's first byte. Of the inner frame: 0 where there is no tunnel. */
  private innerAt = 0
  private hasOuterChecksum = false
  private outerIpAt = 0
  private ipAt = 0
  private transportAt = 0
  private payloadAt = 0
  private tcp = false
  private size = 0
  private index = 0
  /** Payload bytes not yet cut. */
  private left = 0

  constructor(pool: FramePool) {
    this.pool = pool
  }

  /** Looks at the super-frame's headers; false when they are not those of its gsoType or of no use. The caller goes on owning it. */
  begin(frame: FrameHandle): boolean {
    const { pool } = this
    const inner = (pool.gsoType[frame] & GsoTunnel.any) === 0 ? 0 : tunnelled(pool, frame)
    if (inner < 0) return false
    // Of the outer header: what is read next overwrites it.
    const outerIpAt = headers.networkAt
    const type = pool.gsoType[frame] & ~(GSO_ECN | GsoTunnel.any)
    if (!readHeaders(pool, frame, inner)) return false
    const { bytes, family, protocol, networkAt, transportAt, frameEnd: end } = headers
    const isTcp = (type === GsoType.tcp4 && family === 4) || (type === GsoType.tcp6 && family === 6)
    if (!isTcp && type !== GsoType.udpSegments) return false
    if (protocol !== (isTcp ? IpProtocol.tcp : IpProtocol.udp)) return false
    if (isTcp ? !checkTcp(bytes, transportAt, end) : transportAt + UDP_HEADER_LENGTH > end) return false
    const payloadAt = transportAt + (isTcp ? tcpHeaderLength(bytes, transportAt) : UDP_HEADER_LENGTH)
    this.size = pool.gsoSize[frame]
    if (this.size < MIN_SEGMENT || payloadAt >= end) return false
    const start = pool.start[frame]
    this.frame = frame
    this.tcp = isTcp
    this.innerAt = inner
    this.hasOuterChecksum = inner > 0 && hasOuterChecksum(pool, frame, inner)
    this.outerIpAt = outerIpAt - start
    this.ipAt = networkAt - start
    this.transportAt = transportAt - start
    this.payloadAt = payloadAt - start
    this.left = end - payloadAt
    this.index = 0
    return true
  }

  /** Segments not yet taken. */
  get remaining(): number {
    return Math.ceil(this.left / this.size)
  }

  /** The next segment, finished in every checksum and owned by the caller; NO_FRAME after the last, or when the pool is exhausted (`remaining` tells). */
  next(): FrameHandle {
    if (this.left === 0) return NO_FRAME
    const { pool, payloadAt } = this
    const size = Math.min(this.size, this.left)
    const segment = pool.allocate(payloadAt + size)
    if (segment === NO_FRAME) return NO_FRAME
    const from = pool.start[this.frame]
    const source = pool.bytes(this.frame)
    const bytes = pool.bytes(segment)
    const start = pool.start[segment]
    const done = this.index * this.size
    bytes.set(source.subarray(from, from + payloadAt), start)
    bytes.set(source.subarray(from + payloadAt + done, from + payloadAt + done + size), start + payloadAt)
    pool.copyMetadata(this.frame, segment)
    pool.flags[segment] &= FrameFlag.traced
    this.left -= size
    this.finishHeaders(segment, bytes, start, start + payloadAt + size, done)
    this.index++
    return segment
  }

  private finishHeaders(segment: FrameHandle, bytes: Uint8Array, start: number, end: number, done: number): void {
    const { tcp, index } = this
    const ipAt = start + this.ipAt
    const at = start + this.transportAt
    const view = this.pool.view(segment)
    setSegmentIp(bytes, ipAt, end, index)
    setSegmentTransport(bytes, at, end, tcp, done, this.left === 0)
    const field = at + (tcp ? TCP_CHECKSUM : UDP_CHECKSUM)
    fillTransportView(bytes, view, at, end, ipAt, tcp ? IpProtocol.tcp : IpProtocol.udp, field)
    if (this.innerAt === 0) return
    // The outer headers cover the inner ones, which are finished.
    const outerIpAt = start + this.outerIpAt
    const udp = start + this.innerAt - VXLAN_HEADER_LENGTH - UDP_HEADER_LENGTH
    setSegmentIp(bytes, outerIpAt, end, index)
    setUdpLength(bytes, udp, end - udp)
    if (this.hasOuterChecksum) fillTransportView(bytes, view, udp, end, outerIpAt, IpProtocol.udp, udp + UDP_CHECKSUM)
  }
}
