/**
 * ARP (RFC 826) and neighbor discovery (RFC 4861, hosts only): asks for MACs, answers for our own, learns from both.
 */
import type { ElementContext } from '../engine/element.ts'
import { type FrameHandle, NO_FRAME } from '../engine/frame-pool.ts'
import {
  isIpv6Multicast,
  isIpv6Unspecified,
  MAC_BROADCAST,
  type Mac,
  macForIpv6Multicast,
  parseIpv6,
  solicitedNode
} from '../wire/address.ts'
import {
  ARP_LENGTH,
  ARP_SENDER_IP,
  ARP_SENDER_MAC,
  ARP_TARGET_IP,
  ArpOperation,
  arpOperation,
  checkArp,
  setArpOperation,
  setArpSender,
  setArpTarget
} from '../wire/arp.ts'
import { get32 } from '../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, isGroup, macHi, macLo, setEtherType, setMac } from '../wire/ethernet.ts'
import { fillIcmpv6Checksum, ICMPV6_TYPE, Icmpv6Type } from '../wire/icmpv6.ts'
import { IpProtocol } from '../wire/ipv4.ts'
import { ipv6HopLimit } from '../wire/ipv6.ts'
import {
  checkNeighborDiscovery,
  ND_FLAG_OVERRIDE,
  ND_FLAG_SOLICITED,
  ND_FLAGS,
  ND_HOP_LIMIT,
  ND_TARGET,
  NdOption,
  ndLinkLayer
} from '../wire/neighbor-discovery.ts'
import type { PacketView } from '../wire/packet-view.ts'
import type { HostConfig, LocalAddress } from './host-config.ts'
import { addressEquals, headersLength, writeHeaders } from './ip-packet.ts'
import type { Neighbor, NeighborCache } from './neighbor-cache.ts'
import { StackDrop } from './stack-drop.ts'

const ALL_NODES = parseIpv6('ff02::1')
/** NS and NA: fixed part, target, one link-layer option. */
const ND_MESSAGE_LENGTH = 32

export class AddressResolution {
  private readonly context: ElementContext
  private readonly config: HostConfig
  private readonly transmit: (frame: FrameHandle) => void
  /** Set once: the cache asks through us, and we tell it what we learn. */
  neighbors!: NeighborCache

  constructor(context: ElementContext, config: HostConfig, transmit: (frame: FrameHandle) => void) {
    this.context = context
    this.config = config
    this.transmit = transmit
  }

  /** Takes an ARP frame. */
  receiveArp(frame: FrameHandle): void {
    const { frames } = this.context
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const arp = at + ETHERNET_HEADER_LENGTH
    if (!checkArp(bytes, arp, at + frames.length[frame]) || isGroup(bytes, arp + ARP_SENDER_MAC)) {
      this.context.drop(frame, StackDrop.malformed)
      return
    }
    const isForUs = this.owner(bytes, arp + ARP_TARGET_IP, 4) !== null
    const hi = macHi(bytes, arp + ARP_SENDER_MAC)
    const lo = macLo(bytes, arp + ARP_SENDER_MAC)
    // A probe (RFC 5227) has no sender address yet: nothing to learn from it.
    if (get32(bytes, arp + ARP_SENDER_IP) !== 0) this.neighbors.learn(bytes, arp + ARP_SENDER_IP, 4, hi, lo, isForUs)
    if (!isForUs || arpOperation(bytes, arp) !== ArpOperation.request) {
      frames.free(frame)
      return
    }
    // Turned around in place: what was the sender becomes the target.
    const senderIp = get32(bytes, arp + ARP_SENDER_IP)
    const ourIp = get32(bytes, arp + ARP_TARGET_IP)
    const { mac } = this.config
    setMac(bytes, at, hi, lo)
    setMac(bytes, at + 6, mac.hi, mac.lo)
    setArpOperation(bytes, arp, ArpOperation.reply)
    setArpSender(bytes, arp, mac.hi, mac.lo, ourIp)
    setArpTarget(bytes, arp, hi, lo, senderIp)
    frames.length[frame] = ETHERNET_HEADER_LENGTH + ARP_LENGTH
    frames.flags[frame] = 0
    this.context.enter(frame)
    this.transmit(frame)
  }

  /** Takes an ICMPv6 packet of neighbor discovery whose checksum is right. */
  receiveDiscovery(frame: FrameHandle, packet: PacketView): void {
    const { bytes, transportAt, end, networkAt: ipAt } = packet
    const type = bytes[transportAt + ICMPV6_TYPE]
    // RFC 4861 7.1: a hop limit of 255 proves that no router forwarded it.
    if (!checkNeighborDiscovery(bytes, transportAt, end) || ipv6HopLimit(bytes, ipAt) !== ND_HOP_LIMIT) {
      this.context.drop(frame, StackDrop.malformed)
      return
    }
    if (type === Icmpv6Type.neighborSolicitation) this.answer(packet)
    else if (type === Icmpv6Type.neighborAdvertisement) {
      const mac = ndLinkLayer(bytes, transportAt, end, NdOption.targetLinkLayer)
      if (mac >= 0 && !isGroup(bytes, mac))
        this.neighbors.learn(bytes, transportAt + ND_TARGET, 16, macHi(bytes, mac), macLo(bytes, mac), false)
    }
    // Router advertisements: addresses and gateway are given, never taken from the network.
    this.context.frames.free(frame)
  }

  private answer(packet: PacketView): void {
    const { bytes, transportAt, end, sourceAt } = packet
    const target = this.owner(bytes, transportAt + ND_TARGET, 16)
    if (target === null) return
    const source = bytes.slice(sourceAt, sourceAt + 16)
    if (isIpv6Unspecified(source)) {
      // Duplicate address detection: the asker has no address yet, so everyone is told (RFC 4861 7.2.4).
      this.sendDiscovery(
        Icmpv6Type.neighborAdvertisement,
        target.bytes,
        target.bytes,
        ALL_NODES,
        macForIpv6Multicast(ALL_NODES),
        ND_FLAG_OVERRIDE
      )
      return
    }
    const option = ndLinkLayer(bytes, transportAt, end, NdOption.sourceLinkLayer)
    const macAt = option >= 0 ? option : packet.frameAt + 6
    const mac = { hi: macHi(bytes, macAt), lo: macLo(bytes, macAt) }
    if (isGroup(bytes, macAt)) return
    this.neighbors.learn(source, 0, 16, mac.hi, mac.lo, true)
    this.sendDiscovery(Icmpv6Type.neighborAdvertisement, target.bytes, target.bytes, source, mac, ND_FLAG_SOLICITED | ND_FLAG_OVERRIDE)
  }

  /** Asks for a neighbor: everyone at first, the known MAC while probing. */
  solicit(neighbor: Neighbor): void {
    const isProbe = neighbor.state === 'probing'
    if (neighbor.address.length === 4) {
      this.sendArpRequest(neighbor, isProbe ? neighbor.mac : MAC_BROADCAST)
      return
    }
    const source = this.config.addresses.find(({ bytes }) => bytes.length === 16)
    if (source === undefined) return
    const to = isProbe ? neighbor.address : solicitedNode(neighbor.address)
    const mac = isIpv6Multicast(to) ? macForIpv6Multicast(to) : neighbor.mac
    this.sendDiscovery(Icmpv6Type.neighborSolicitation, neighbor.address, source.bytes, to, mac, 0)
  }

  private sendArpRequest(neighbor: Neighbor, to: Mac): void {
    const { frames } = this.context
    const source = this.config.addresses.find(({ bytes }) => bytes.length === 4)
    const frame = source === undefined ? NO_FRAME : frames.allocate(ETHERNET_HEADER_LENGTH + ARP_LENGTH)
    if (source === undefined || frame === NO_FRAME) return // the next request is a second away
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const arp = at + ETHERNET_HEADER_LENGTH
    const { mac } = this.config
    setMac(bytes, at, to.hi, to.lo)
    setMac(bytes, at + 6, mac.hi, mac.lo)
    setEtherType(bytes, at, EtherType.arp)
    setArpOperation(bytes, arp, ArpOperation.request)
    setArpSender(bytes, arp, mac.hi, mac.lo, get32(source.bytes, 0))
    setArpTarget(bytes, arp, 0, 0, get32(neighbor.address, 0))
    this.context.enter(frame)
    this.transmit(frame)
  }

  private sendDiscovery(
    type: number,
    target: Uint8Array,
    source: Uint8Array,
    destination: Uint8Array,
    destinationMac: Mac,
    flags: number
  ): void {
    const { frames } = this.context
    const { mac } = this.config
    const path = { sourceMac: mac, destinationMac, source, destination }
    const frame = frames.allocate(headersLength(path) + ND_MESSAGE_LENGTH)
    if (frame === NO_FRAME) return
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const nd = writeHeaders(bytes, at, path, IpProtocol.icmpv6, ND_MESSAGE_LENGTH, ND_HOP_LIMIT)
    bytes.fill(0, nd, nd + ND_TARGET)
    bytes[nd + ICMPV6_TYPE] = type
    bytes[nd + ND_FLAGS] = flags
    bytes.set(target, nd + ND_TARGET)
    bytes[nd + 24] = type === Icmpv6Type.neighborSolicitation ? NdOption.sourceLinkLayer : NdOption.targetLinkLayer
    bytes[nd + 25] = 1 // in units of 8 bytes
    setMac(bytes, nd + 26, mac.hi, mac.lo)
    fillIcmpv6Checksum(bytes, nd, nd + ND_MESSAGE_LENGTH, at + ETHERNET_HEADER_LENGTH)
    this.context.enter(frame)
    this.transmit(frame)
  }

  private owner(bytes: Uint8Array, at: number, length: number): LocalAddress | null {
    for (const local of this.config.addresses) if (local.bytes.length === length && addressEquals(bytes, at, local.bytes)) return local
    return null
  }
}
