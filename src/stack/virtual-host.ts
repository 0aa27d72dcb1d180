/**
 * A host inside the process: one port, its own MAC and addresses, a small IP stack, and commands to use it.
 *
 *   port 0 rx --> Ethernet --> ARP ------------------------> MACs, answers
 *                         \--> IP --> fragments --> ICMP --> echo, errors, pings
 *                                              \--> UDP ---> sockets, echo, transfers, resolver
 *                                              \--> TCP ---> reset: nothing listens
 *   port 0 tx <-- everything that the parts send
 */
import type { Element, ElementContext, ElementType, Plain, Reply } from '../engine/element.ts'
import { type FrameHandle, NO_FRAME } from '../engine/frame-pool.ts'
import { isIpv4Multicast, isIpv6Multicast } from '../wire/address.ts'
import { get32 } from '../wire/big-endian.ts'
import {
  ETHERNET_DESTINATION,
  ETHERNET_HEADER_LENGTH,
  ETHERNET_SOURCE,
  EtherType,
  etherType,
  isBroadcast,
  isGroup,
  macHi,
  macLo
} from '../wire/ethernet.ts'
import { IpProtocol } from '../wire/ipv4.ts'
import { PacketView } from '../wire/packet-view.ts'
import { AddressResolution } from './address-resolution.ts'
import { BulkTransfer } from './bulk-transfer.ts'
import { HostCommands } from './host-commands.ts'
import { type HostConfig, readHostOptions, type VirtualHostOptions } from './host-config.ts'
import { Icmp, type IcmpError } from './icmp.ts'
import { IpOutput } from './ip-output.ts'
import { addressEquals, READ_OK, readPacket } from './ip-packet.ts'
import { NeighborCache } from './neighbor-cache.ts'
import { Pinger } from './pinger.ts'
import { Reassembly } from './reassembly.ts'
import { Resolver } from './resolver.ts'
import { StackDrop } from './stack-drop.ts'
import { answerWithReset } from './tcp-reset.ts'
import { UdpSockets } from './udp-sockets.ts'

const Counter = { rxFrames: 0, rxBytes: 1, txFrames: 2, txBytes: 3 } as const

export class VirtualHost implements Element {
  private readonly context: ElementContext
  private readonly config: HostConfig
  private readonly packet = new PacketView()
  private readonly outgoing = new PacketView()
  private readonly neighbors: NeighborCache
  private readonly resolution: AddressResolution
  private readonly reassembly: Reassembly
  private readonly icmp: Icmp
  private readonly udp: UdpSockets
  private readonly pinger: Pinger
  private readonly resolver: Resolver
  private readonly commands: HostCommands
  /** Frames to the host itself: received in the next push. */
  private readonly looped: FrameHandle[] = []

  constructor(context: ElementContext, options: VirtualHostOptions) {
    this.context = context
    this.config = readHostOptions(options)
    const { mac, mtu, addresses, resolver, udpEcho } = this.config
    const transmit = (frame: FrameHandle): void => this.transmit(frame)
    this.resolution = new AddressResolution(context, this.config, transmit)
    this.neighbors = new NeighborCache(context, transmit, (neighbor) => this.resolution.solicit(neighbor))
    this.resolution.neighbors = this.neighbors
    for (const { bytes } of addresses) this.neighbors.addPermanent(bytes, mac)
    const output = new IpOutput(context, this.config, this.neighbors)
    this.reassembly = new Reassembly(context)
    this.udp = new UdpSockets(context, output, mtu, transmit)
    this.udp.setEcho(udpEcho)
    this.pinger = new Pinger(context, output)
    this.resolver = new Resolver(context, output, this.udp, resolver?.address ?? null)
    const bulk = new BulkTransfer(context, output, this.udp)
    this.commands = new HostCommands(context, output, this.udp, this.pinger, this.resolver, bulk, transmit)
    this.icmp = new Icmp(context, output, this.resolution, mtu, transmit, {
      echoReply: (id, sequence) => this.pinger.echoReply(id, sequence),
      icmpError: (error) => this.icmpError(error)
    })
    this.udp.icmp = this.icmp
  }

  push(): void {
    if (this.looped.length > 0) for (const frame of this.looped.splice(0)) this.receive(frame, true)
    while (this.context.nextReady() >= 0) {
      const rx = this.context.ports[0]!.rx
      while (!rx.empty) this.receive(rx.receive(), false)
    }
  }

  command(verb: string, argument: Plain, reply: Reply): void {
    this.commands.run(verb, argument, reply)
  }

  close(): void {
    this.commands.close()
    this.neighbors.close()
    this.reassembly.close()
    for (const frame of this.looped.splice(0)) this.context.frames.free(frame)
  }

  /** @param isLooped the host sent the frame to itself */
  private receive(frame: FrameHandle, isLooped: boolean): void {
    const { frames, counters } = this.context
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    counters[Counter.rxFrames]++
    counters[Counter.rxBytes] += frames.length[frame]
    if (frames.length[frame] < ETHERNET_HEADER_LENGTH) return this.context.drop(frame, StackDrop.runt)
    const { mac } = this.config
    const isOurs = macLo(bytes, at + ETHERNET_DESTINATION) === mac.lo && macHi(bytes, at + ETHERNET_DESTINATION) === mac.hi
    if (!isOurs && !isGroup(bytes, at + ETHERNET_DESTINATION)) return this.context.drop(frame, StackDrop.notForUs)
    const isOwnSource = macLo(bytes, at + ETHERNET_SOURCE) === mac.lo && macHi(bytes, at + ETHERNET_SOURCE) === mac.hi
    if (isOwnSource && !isLooped && !this.config.sharesMac) return this.context.drop(frame, StackDrop.ownSource)
    if (etherType(bytes, at) === EtherType.arp) return this.resolution.receiveArp(frame)
    const problem = readPacket(this.packet, frames, frame)
    if (problem !== READ_OK) return this.context.drop(frame, problem)
    if (!this.isForUs()) return this.context.drop(frame, StackDrop.notForUs)
    this.receivePacket(frame)
  }

  private receivePacket(frame: FrameHandle): void {
    const { packet } = this
    if (packet.isFragment) {
      if (packet.family === 6) return this.context.drop(frame, StackDrop.fragmentUnsupported)
      frame = this.reassembly.add(frame, packet)
      if (frame === NO_FRAME) return
      readPacket(packet, this.context.frames, frame)
    }
    const { protocol, family } = packet
    if (protocol === IpProtocol.udp) return this.udp.receive(frame, packet)
    if (protocol === (family === 4 ? IpProtocol.icmp : IpProtocol.icmpv6)) return this.icmp.receive(frame, packet)
    if (protocol === IpProtocol.tcp) return answerWithReset(this.context, frame, packet, (reset) => this.transmit(reset))
    this.icmp.unreachable(packet, 'protocol')
    this.context.drop(frame, StackDrop.unknownProtocol)
  }

  /** To one of our addresses, or to a group or broadcast that we hear. */
  private isForUs(): boolean {
    const { bytes, frameAt, destinationAt, addressLength, family } = this.packet
    for (const { bytes: own, broadcast } of this.config.addresses) {
      if (own.length !== addressLength) continue
      if (addressEquals(bytes, destinationAt, own) || (broadcast !== null && addressEquals(bytes, destinationAt, broadcast))) return true
    }
    if (family === 6) return isIpv6Multicast(bytes, destinationAt)
    const destination = get32(bytes, destinationAt)
    return isIpv4Multicast(destination) || (destination === -1 && isBroadcast(bytes, frameAt))
  }

  private icmpError(error: IcmpError): boolean {
    const { protocol } = error
    if (protocol === IpProtocol.icmp || protocol === IpProtocol.icmpv6) return this.pinger.icmpError(error)
    const [port, toPort] = error.words
    if (protocol !== IpProtocol.udp || !this.udp.isBound(port)) return false
    if (!this.resolver.refused(port)) {
      this.context.emit({ kind: 'udp-error', port, address: error.destination, toPort, type: error.type, code: error.code })
    }
    return true
  }

  private transmit(frame: FrameHandle): void {
    const { frames, counters, ports } = this.context
    const bytes = frames.bytes(frame)
    const at = frames.start[frame]
    const { mac } = this.config
    if (macLo(bytes, at) === mac.lo && macHi(bytes, at) === mac.hi && (!this.config.sharesMac || this.isForAddressOfOurs(frame))) {
      this.looped.push(frame)
      this.context.schedule()
      return
    }
    counters[Counter.txFrames]++
    counters[Counter.txBytes] += frames.length[frame]
    if (ports[0]) ports[0].tx.transmit(frame)
    else this.context.transmit(0, frame)
  }

  /** Where the MAC is others' too, the address tells. What is being received stays in `packet`. */
  private isForAddressOfOurs(frame: FrameHandle): boolean {
    const { outgoing, config } = this
    if (readPacket(outgoing, this.context.frames, frame) !== READ_OK) return false
    const { bytes, destinationAt, addressLength } = outgoing
    return config.addresses.some(({ bytes: own }) => own.length === addressLength && addressEquals(bytes, destinationAt, own))
  }
}

/** Options: VirtualHostOptions. Commands and events: README.md. */
export const virtualHostType: ElementType<VirtualHostOptions> = {
  type: 'host',
  maxPorts: 1,
  counters: Object.keys(Counter),
  create: (context, options) => new VirtualHost(context, options)
}
