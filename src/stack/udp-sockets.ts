/**
 * UDP of a host, RFC 768: ports, the echo service (RFC 862), datagrams in and out.
 */
import type { ElementContext } from '../engine/element.ts'
import { FrameFlag, type FrameHandle } from '../engine/frame-pool.ts'
import { get16, put16 } from '../wire/big-endian.ts'
import { isGroup } from '../wire/ethernet.ts'
import { IpProtocol } from '../wire/ipv4.ts'
import type { PacketView } from '../wire/packet-view.ts'
import {
  checkUdp,
  fillUdpChecksum,
  UDP_CHECKSUM,
  UDP_HEADER_LENGTH,
  udpChecksum,
  udpDestinationPort,
  udpLength,
  udpSourcePort
} from '../wire/udp.ts'
import type { Icmp } from './icmp.ts'
import type { IpOutput, Route, SendError } from './ip-output.ts'
import { hasGoodChecksum, turnAround } from './ip-packet.ts'
import type { Sent } from './neighbor-cache.ts'
import { StackDrop } from './stack-drop.ts'

/** A datagram for a socket: `length` bytes of data at `at` of `packet.bytes`, valid during the call. */
export type Deliver = (packet: PacketView, at: number, length: number, fromPort: number) => void

/** Linux ip_local_port_range. */
const EPHEMERAL_FIRST = 32768
const EPHEMERAL_COUNT = 28232
/** virtio_net_hdr gso_type of a super-frame of equal datagrams. */
export const GSO_UDP_L4 = 5
/** Datagrams in one super-frame at most: Linux UDP_MAX_SEGMENTS. One frame of 1-byte segments would otherwise be 65,000 datagrams. */
export const UDP_BATCH_MAX = 128
/** Echo and its kin (RFC 862 to 867) answer whatever comes; like inetd, ours does not answer the ports where they may be. */
const RESERVED_PORTS = 1024

export class UdpSockets {
  private readonly context: ElementContext
  private readonly output: IpOutput
  private readonly mtu: number
  private readonly transmit: (frame: FrameHandle) => void
  private readonly sockets = new Map<number, Deliver>()
  private readonly echoPorts = new Set<number>()
  /** Set once by the host. */
  icmp!: Icmp

  constructor(context: ElementContext, output: IpOutput, mtu: number, transmit: (frame: FrameHandle) => void) {
    this.context = context
    this.output = output
    this.mtu = mtu
    this.transmit = transmit
  }

  /** Every datagram to these ports is sent back. */
  setEcho(ports: readonly number[]): void {
    this.echoPorts.clear()
    for (const port of ports) this.echoPorts.add(port)
  }

  /** Binds a port, 0 for any free one, and returns it. Throws RangeError. */
  bind(port: number, deliver: Deliver): number {
    if (!Number.isInteger(port) || port < 0 || port > 65535) throw new RangeError(`port ${port} is not a number from 0 to 65535`)
    if (port !== 0 && (this.sockets.has(port) || this.echoPorts.has(port))) throw new RangeError(`port ${port} is in use`)
    const bound = port === 0 ? this.ephemeral() : port
    this.sockets.set(bound, deliver)
    return bound
  }

  /** False when nothing was bound. */
  unbind(port: number): boolean {
    return this.sockets.delete(port)
  }

  isBound(port: number): boolean {
    return this.sockets.has(port)
  }

  /** Takes a UDP packet for this host. */
  receive(frame: FrameHandle, packet: PacketView): void {
    const { bytes, transportAt, networkAt: ipAt } = packet
    const { frames } = this.context
    const flags = frames.flags[frame]
    const isBatch = (flags & FrameFlag.gso) !== 0 && (frames.gsoType[frame] & 0x7f) === GSO_UDP_L4
    if (!checkUdp(bytes, transportAt, packet.end)) return this.context.drop(frame, StackDrop.malformed)
    // Of a batch the length field may speak of the first datagram only; the packet's end is what counts.
    if (!isBatch) packet.end = transportAt + udpLength(bytes, transportAt)
    else if (packet.end - transportAt - UDP_HEADER_LENGTH > UDP_BATCH_MAX * frames.gsoSize[frame]) {
      return this.context.drop(frame, StackDrop.malformed)
    }
    const hasNone = udpChecksum(bytes, transportAt) === 0
    if (hasNone ? bytes[ipAt] >> 4 === 6 : !hasGoodChecksum(packet, flags)) return this.context.drop(frame, StackDrop.badChecksum)
    const port = udpDestinationPort(bytes, transportAt)
    const size = isBatch && frames.gsoSize[frame] > 0 ? frames.gsoSize[frame] : packet.end
    if (this.echoPorts.has(port)) return this.echo(frame, packet, isBatch, size)
    const deliver = this.sockets.get(port)
    if (deliver === undefined) {
      this.icmp.unreachable(packet, 'port')
      return this.context.drop(frame, StackDrop.portClosed)
    }
    const fromPort = udpSourcePort(bytes, transportAt)
    let at = transportAt + UDP_HEADER_LENGTH
    do {
      deliver(packet, at, Math.min(size, packet.end - at), fromPort)
      at += size
    } while (at < packet.end)
    frames.free(frame)
  }

  private echo(frame: FrameHandle, packet: PacketView, isBatch: boolean, size: number): void {
    const { bytes, transportAt, frameAt: at, networkAt: ipAt, end } = packet
    const { frames } = this.context
    const fromPort = udpSourcePort(bytes, transportAt)
    if (fromPort < RESERVED_PORTS || this.echoPorts.has(fromPort)) return this.context.drop(frame, StackDrop.echoLoop)
    if (isBatch || packet.hasOptions || end - ipAt > this.mtu || isGroup(bytes, at)) {
      this.echoAnew(packet, size)
      frames.free(frame)
      return
    }
    put16(bytes, transportAt, get16(bytes, transportAt + 2))
    put16(bytes, transportAt + 2, fromPort)
    // The total length may count bytes after the datagram; the answer is the datagram.
    if (packet.family === 4) put16(bytes, ipAt + 2, end - ipAt)
    else put16(bytes, ipAt + 4, end - transportAt)
    turnAround(packet)
    fillUdpChecksum(bytes, transportAt, ipAt)
    frames.length[frame] = end - at
    frames.flags[frame] = 0
    this.context.enter(frame)
    this.transmit(frame)
  }

  /** For what cannot be turned around in place: batches, and datagrams that need fragments. */
  private echoAnew(packet: PacketView, size: number): void {
    const { bytes, transportAt, sourceAt, addressLength, end } = packet
    let route: Route
    try {
      route = this.output.route(bytes.slice(sourceAt, sourceAt + addressLength))
    } catch {
      return // no way back
    }
    const toPort = udpSourcePort(bytes, transportAt)
    const port = udpDestinationPort(bytes, transportAt)
    for (let at = transportAt + UDP_HEADER_LENGTH; at < end; at += size) {
      this.send(route, port, toPort, bytes.subarray(at, Math.min(at + size, end)))
    }
  }

  /** Sends one datagram. Returns why not, or null; `sent` is told when it left or could not. */
  send(route: Route, fromPort: number, toPort: number, data: Uint8Array, sent: Sent | null = null): SendError | null {
    const { segment } = this.output
    const length = UDP_HEADER_LENGTH + data.length
    // One too long for any packet is refused by `output.send`; nothing of it may be copied.
    if (length <= segment.length) segment.set(data, UDP_HEADER_LENGTH)
    put16(segment, 0, fromPort)
    put16(segment, 2, toPort)
    put16(segment, 4, length)
    put16(segment, UDP_CHECKSUM, 0)
    return this.output.send(route, IpProtocol.udp, segment, length, UDP_CHECKSUM, sent)
  }

  private ephemeral(): number {
    let offset = this.context.random.below(EPHEMERAL_COUNT)
    for (let tries = 0; tries < EPHEMERAL_COUNT; tries++) {
      const port = EPHEMERAL_FIRST + offset
      if (!this.sockets.has(port) && !this.echoPorts.has(port)) return port
      offset = (offset + 1) % EPHEMERAL_COUNT
    }
    throw new RangeError('no ephemeral port is free')
  }
}
