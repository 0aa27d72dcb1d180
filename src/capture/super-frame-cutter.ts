/**
 * Super-frames as packets, in a capture's file: what the wire would have carried in their place.
 *
 *   | headers | payload 1 ... payload n |   ->   | headers' | payload 1 |  ...  | headers' | payload n |
 *
 * Headers change as `wire/segment-headers` says; in a VXLAN tunnel the outer ones too. Checksums are computed for packets that were
 * captured whole.
 */
import { GsoTunnel } from '../engine/frame-pool.ts'
import { fillTransportView } from '../wire/checksum.ts'
import { IpProtocol } from '../wire/ipv4.ts'
import { ABSENT, PacketView } from '../wire/packet-view.ts'
import { setSegmentIp, setSegmentTransport } from '../wire/segment-headers.ts'
import { checkTcp, TCP_CHECKSUM, tcpHeaderLength } from '../wire/tcp.ts'
import { setUdpLength, UDP_CHECKSUM, UDP_HEADER_LENGTH, udpChecksum } from '../wire/udp.ts'
import { VXLAN_HEADER_LENGTH } from '../wire/vxlan.ts'
import { FrameRecord } from './frame-record.ts'

/** Longest packet that a super-frame can be cut into. */
const PACKET_MAX = 1 << 17

export class SuperFrameCutter {
  private readonly packet = new FrameRecord()
  private readonly bytes = new Uint8Array(PACKET_MAX)
  private readonly view = new DataView(this.bytes.buffer)
  private readonly headers = new PacketView()
  /** Offsets from the frame's first byte. Outer ones: ABSENT without a tunnel. */
  private outerIpAt = ABSENT
  private outerUdpAt = ABSENT
  private ipAt = 0
  private transportAt = 0
  private isTcp = false

  /** Gives each packet to `visit`, which does not keep it. False, and nothing given, for what is no super-frame or not enough of one. */
  cut(record: FrameRecord, visit: (packet: FrameRecord) => void): boolean {
    const { packet, bytes: into } = this
    const { bytes, at, captured, original, gsoSize } = record
    if (gsoSize === 0 || !this.read(record)) return false
    const transportLength = this.isTcp ? tcpHeaderLength(bytes, at + this.transportAt) : UDP_HEADER_LENGTH
    const payloadAt = this.transportAt + transportLength
    if (payloadAt > captured) return false
    Object.assign(packet, record, { bytes: into, at: 0, checksum: 0, gsoType: 0, gsoSize: 0 })
    for (let done = 0, index = 0; payloadAt + done < original; done += gsoSize, index++) {
      const size = Math.min(gsoSize, original - payloadAt - done)
      const there = Math.max(0, Math.min(size, captured - payloadAt - done))
      into.set(bytes.subarray(at, at + payloadAt))
      into.set(bytes.subarray(at + payloadAt + done, at + payloadAt + done + there), payloadAt)
      packet.original = payloadAt + size
      packet.captured = payloadAt + there
      this.finish(done, index, payloadAt + done + size === original)
      visit(packet)
      // Copies that were lost were lost before the first one.
      packet.lost = 0
    }
    return true
  }

  private read({ bytes, at, captured, gsoType }: FrameRecord): boolean {
    const { headers } = this
    const end = at + captured
    let start = at
    this.outerIpAt = this.outerUdpAt = ABSENT
    if ((gsoType & GsoTunnel.any) !== 0) {
      if (!headers.readFrame(bytes, at, end, true) || headers.protocol !== IpProtocol.udp) return false
      this.outerIpAt = headers.networkAt - at
      this.outerUdpAt = headers.transportAt - at
      start = headers.transportAt + UDP_HEADER_LENGTH + VXLAN_HEADER_LENGTH
    }
    if (!headers.readFrame(bytes, start, end, true)) return false
    const { networkAt, transportAt, protocol } = headers
    this.ipAt = networkAt - at
    this.transportAt = transportAt - at
    this.isTcp = protocol === IpProtocol.tcp
    return this.isTcp ? checkTcp(bytes, transportAt, end) : protocol === IpProtocol.udp && transportAt + UDP_HEADER_LENGTH <= end
  }

  private finish(done: number, index: number, isLast: boolean): void {
    const { packet, bytes, view, ipAt, transportAt, outerIpAt, outerUdpAt, isTcp } = this
    const { original: end, captured } = packet
    const isWhole = captured === end
    setSegmentIp(bytes, ipAt, end, index)
    setSegmentTransport(bytes, transportAt, end, isTcp, done, isLast)
    const protocol = isTcp ? IpProtocol.tcp : IpProtocol.udp
    const field = transportAt + (isTcp ? TCP_CHECKSUM : UDP_CHECKSUM)
    if (isWhole) fillTransportView(bytes, view, transportAt, end, ipAt, protocol, field)
    if (outerIpAt === ABSENT) return
    setSegmentIp(bytes, outerIpAt, end, index)
    setUdpLength(bytes, outerUdpAt, end - outerUdpAt)
    if (!isWhole || udpChecksum(bytes, outerUdpAt) === 0) return
    fillTransportView(bytes, view, outerUdpAt, end, outerIpAt, IpProtocol.udp, outerUdpAt + UDP_CHECKSUM)
  }
}
