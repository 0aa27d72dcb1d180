/**
 * A router and a probe on each of its interfaces, under a virtual clock; frames are made and told in words.
 *
 *   0 a   192.0.2.1/24, 2001:db8:a::1/64       stations 192.0.2.N with MAC 02:cc:00:00:0a:N
 *   1 b   198.51.100.1/24, 2001:db8:b::1/64    stations 198.51.100.N with 02:cc:00:00:0b:N
 *   2 up  203.0.113.1/24, MTU 1400             default route via 203.0.113.254, 02:cc:00:00:0c:fe
 */
import assert from 'node:assert/strict'
import { routerType } from '../../../src/elements/router/router.ts'
import type { InterfaceSpec, RouterChange, RouterOptions } from '../../../src/elements/router/router-options.ts'
import type { ElementType, Plain } from '../../../src/engine/element.ts'
import type { FrameHandle } from '../../../src/engine/frame-pool.ts'
import { formatMac, macForIpv6Multicast, parseIpv6 } from '../../../src/wire/address.ts'
import { emitArp, parseArp } from '../../../src/wire/arp.ts'
import { EtherType, emitEthernet, parseEthernet } from '../../../src/wire/ethernet.ts'
import { emitIcmp, type IcmpRepr, parseIcmp } from '../../../src/wire/icmp.ts'
import { emitIcmpv6, type Icmpv6Repr, parseIcmpv6 } from '../../../src/wire/icmpv6.ts'
import { emitIpv4, type Ipv4Repr, parseIpv4Header } from '../../../src/wire/ipv4.ts'
import { emitIpv6, type Ipv6Repr, parseIpv6Header } from '../../../src/wire/ipv6.ts'
import { emitNeighborDiscovery, type NeighborDiscoveryRepr, parseNeighborDiscovery } from '../../../src/wire/neighbor-discovery.ts'
import { emitTcp, parseTcp, type TcpRepr } from '../../../src/wire/tcp.ts'
import { emitUdp, parseUdp, type UdpRepr } from '../../../src/wire/udp.ts'
import { VirtualLab } from '../../stack/virtual-lab.ts'

export const BROADCAST = 'ff:ff:ff:ff:ff:ff'
export const NOBODY = '00:00:00:00:00:00'
export const ROUTER_MACS = ['02:cc:00:00:00:0a', '02:cc:00:00:00:0b', '02:cc:00:00:00:0c'] as const

/** MAC of station `number` on an interface. */
export function station(port: number, number: number): string {
  return `02:cc:00:00:0${'abc'[port]}:${number.toString(16).padStart(2, '0')}`
}

export const INTERFACES: Readonly<Record<string, InterfaceSpec>> = {
  0: { name: 'a', mac: ROUTER_MACS[0], addresses: ['192.0.2.1/24', '2001:db8:a::1/64'], mtu: 1500, answers: true },
  1: { name: 'b', mac: ROUTER_MACS[1], addresses: ['198.51.100.1/24', '2001:db8:b::1/64'], mtu: 1500, answers: true },
  2: { name: 'up', mac: ROUTER_MACS[2], addresses: ['203.0.113.1/24', '2001:db8:c::1/64'], mtu: 1400, answers: true }
}
export const ROUTES: RouterChange['routes'] = {
  '0.0.0.0/0': { via: '203.0.113.254', interface: 2 },
  '::/0': { via: '2001:db8:c::fe', interface: 2 }
}

/** What an Ethernet frame carries. */
export type Payload =
  | { readonly udp: UdpRepr }
  | { readonly tcp: Partial<TcpRepr> }
  | { readonly icmp: IcmpRepr }
  | { readonly icmpv6: Icmpv6Repr }
  | { readonly nd: NeighborDiscoveryRepr }
  | { readonly raw: Uint8Array; readonly protocol: number }

const TCP: TcpRepr = {
  sourcePort: 40000,
  destinationPort: 80,
  sequence: 1000,
  acknowledgment: 0,
  flags: 2,
  window: 1000,
  urgent: 0,
  options: {},
  payload: new Uint8Array(0)
}

export const ECHO: Payload = { icmp: { kind: 'echo-request', id: 7, sequence: 1, data: new Uint8Array(56).fill(0x61) } }
export const ECHO6: Payload = { icmpv6: { kind: 'echo-request', id: 7, sequence: 1, data: new Uint8Array(56).fill(0x61) } }

/** A UDP datagram with `length` bytes of payload. */
export function udp(destinationPort = 5000, length = 20, sourcePort = 4000): Payload {
  return { udp: { sourcePort, destinationPort, payload: new Uint8Array(length).fill(0x62) } }
}

/** A whole frame; IP lengths and checksums are computed. `change` sets header fields. */
export function frame(
  source: string,
  destination: string,
  payload: Payload,
  macs: { readonly from: string; readonly to: string },
  change: Partial<Ipv4Repr & Ipv6Repr> = {}
): Uint8Array {
  const bytes = new Uint8Array(70_000)
  const isIpv6 = source.includes(':')
  emitEthernet({ destination: macs.to, source: macs.from, type: isIpv6 ? EtherType.ipv6 : EtherType.ipv4 }, bytes, 0)
  const protocol = protocolOf(payload)
  const header = (length: number): number =>
    isIpv6
      ? emitIpv6({ source, destination, nextHeader: protocol, payloadLength: length, ...change }, bytes, 14)
      : emitIpv4({ source, destination, protocol, payloadLength: length, ...change }, bytes, 14)
  const at = 14 + header(0)
  // Twice, because checksums want the lengths.
  const length = emitPayload(payload, bytes, at)
  header(length)
  emitPayload(payload, bytes, at)
  return bytes.slice(0, at + length)
}

function protocolOf(payload: Payload): number {
  if ('udp' in payload) return 17
  if ('tcp' in payload) return 6
  if ('icmp' in payload) return 1
  return 'raw' in payload ? payload.protocol : 58
}

function emitPayload(payload: Payload, bytes: Uint8Array, at: number): number {
  if ('udp' in payload) return emitUdp(payload.udp, bytes, at, 14)
  if ('tcp' in payload) return emitTcp({ ...TCP, ...payload.tcp }, bytes, at, 14)
  if ('icmp' in payload) return emitIcmp(payload.icmp, bytes, at)
  if ('icmpv6' in payload) return emitIcmpv6(payload.icmpv6, bytes, at, 14)
  if ('nd' in payload) return emitNeighborDiscovery(payload.nd, bytes, at, 14)
  bytes.set(payload.raw, at)
  return payload.raw.length
}

/** A frame in words: what matters of it. */
export function words(bytes: Uint8Array): string {
  const { destination, source, type } = parseEthernet(bytes, 0, bytes.length)!
  const way = `${source} > ${destination}`
  if (type === EtherType.arp) {
    const { operation, senderIp, senderMac, targetIp, targetMac } = parseArp(bytes, 14, bytes.length)!
    assert.equal(senderMac, source)
    return operation === 1
      ? `${way}: who has ${targetIp}? tell ${senderIp}`
      : `${way}: ${senderIp} is at ${senderMac}, to ${targetIp} ${targetMac}`
  }
  if (type === EtherType.ipv4) {
    const ip = parseIpv4Header(bytes, 14, bytes.length)
    assert.ok(ip, 'a bad IPv4 header')
    assert.equal(bytes.length, 14 + 20 + ip.options.length + ip.payloadLength, 'padding or a wrong length')
    const at = 14 + 20 + ip.options.length
    const fragment = ip.moreFragments || ip.fragmentOffset > 0 ? ` fragment ${ip.fragmentOffset}${ip.moreFragments ? '+' : ''}` : ''
    return `${way}: ${ip.source} > ${ip.destination} ttl ${ip.ttl}${fragment} ${fragment === '' ? content4(bytes, at, ip.protocol) : ip.payloadLength}`
  }
  const ip = parseIpv6Header(bytes, 14, bytes.length)
  assert.ok(ip, 'a bad IPv6 header')
  return `${way}: ${ip.source} > ${ip.destination} hops ${ip.hopLimit} ${content6(bytes, 54, ip.nextHeader)}`
}

function content4(bytes: Uint8Array, at: number, protocol: number): string {
  if (protocol === 17 || protocol === 6) return transport(bytes, at, protocol)
  const message = protocol === 1 ? parseIcmp(bytes, at, bytes.length) : null
  if (message === null) return `protocol ${protocol}`
  if ('data' in message) return `${message.kind} ${message.id}/${message.sequence} ${message.data.length}`
  return `${message.kind} ${message.code}${message.word === 0 ? '' : ` (${message.word})`} quoting ${message.quoted.length}`
}

function content6(bytes: Uint8Array, at: number, protocol: number): string {
  if (protocol === 17 || protocol === 6) return transport(bytes, at, protocol)
  const nd = protocol === 58 ? parseNeighborDiscovery(bytes, at, bytes.length, 14) : null
  if (nd !== null && nd.kind === 'router-advertisement') {
    const prefixes = nd.prefixes.map(({ prefix, length }) => `${prefix}/${length}`).join(' ')
    return `router-advertisement lifetime ${nd.lifetime} mtu ${nd.mtu} ${nd.linkLayer} ${prefixes}`
  }
  if (nd !== null && nd.kind !== 'router-solicitation') return `${nd.kind} ${nd.target} ${nd.linkLayer} flags ${nd.flags.toString(16)}`
  const message = protocol === 58 ? parseIcmpv6(bytes, at, bytes.length, 14) : null
  if (message === null) return `protocol ${protocol}`
  if ('data' in message) return `${message.kind} ${message.id}/${message.sequence} ${message.data.length}`
  return `${message.kind} ${message.code}${message.word === 0 ? '' : ` (${message.word})`} quoting ${message.quoted.length}`
}

function transport(bytes: Uint8Array, at: number, protocol: number): string {
  if (protocol === 17) {
    const datagram = parseUdp(bytes, at, bytes.length, 14)
    return datagram === null ? 'a bad UDP datagram' : `udp ${datagram.sourcePort} > ${datagram.destinationPort} ${datagram.payload.length}`
  }
  const segment = parseTcp(bytes, at, bytes.length, 14)
  if (segment === null) return 'a bad TCP segment'
  const { sourcePort, destinationPort, flags, sequence, acknowledgment } = segment
  return `tcp ${sourcePort} > ${destinationPort} flags ${flags.toString(16)} seq ${sequence} ack ${acknowledgment}`
}

export class RouterLab {
  readonly net: VirtualLab
  private readonly portCount: number

  constructor(options: RouterOptions = {}, { ports = 3, seed = 1 }: { readonly ports?: number; readonly seed?: number | string } = {}) {
    const numbers = Array.from({ length: ports }, (_, port) => port)
    this.portCount = ports
    this.net = new VirtualLab(
      {
        elements: {
          router: { type: 'router', options: { interfaces: INTERFACES, routes: ROUTES, ...options } },
          ...Object.fromEntries(numbers.map((port) => [`probe${port}`, { type: 'probe' }]))
        },
        links: numbers.map((port) => ({ a: ['router', port], b: [`probe${port}`, 0] }))
      },
      [routerType as ElementType<never>],
      seed
    )
  }

  /** Puts bytes in at a port. `mark` may set flags and offload fields. */
  put(port: number, bytes: Uint8Array, mark?: (frame: FrameHandle) => void): void {
    this.net.probe(`probe${port}`).inject(bytes, 0, mark)
    this.net.settle()
  }

  /** A packet from station `number` of a port to the router's MAC. */
  send(
    port: number,
    number: number,
    source: string,
    destination: string,
    payload: Payload,
    change: Partial<Ipv4Repr & Ipv6Repr> = {}
  ): void {
    this.put(port, frame(source, destination, payload, { from: station(port, number), to: ROUTER_MACS[port] }, change))
  }

  arp(port: number, operation: 1 | 2, senderMac: string, senderIp: string, targetIp: string, to = BROADCAST, from = senderMac): void {
    const bytes = new Uint8Array(60) // padded to the shortest frame, as on a real wire
    emitEthernet({ destination: to, source: from, type: EtherType.arp }, bytes, 0)
    emitArp({ operation, senderMac, senderIp, targetMac: operation === 1 ? NOBODY : to, targetIp }, bytes, 14)
    this.put(port, bytes)
  }

  /** Neighbor discovery from a station; multicast destinations get their MAC. */
  nd(port: number, from: string, source: string, destination: string, nd: NeighborDiscoveryRepr, hopLimit = 255): void {
    const to = destination.startsWith('ff') ? formatMac(macForIpv6Multicast(parseIpv6(destination))) : ROUTER_MACS[port]
    this.put(port, frame(source, destination, { nd }, { from, to }, { hopLimit }))
  }

  /** Lets the router know a station of each network, and the gateway: by their own questions. */
  meet(): void {
    this.arp(0, 1, station(0, 7), '192.0.2.7', '192.0.2.1')
    this.arp(1, 1, station(1, 9), '198.51.100.9', '198.51.100.1')
    this.arp(2, 1, station(2, 254), '203.0.113.254', '203.0.113.1')
    for (const [port, net] of ['a', 'b', 'c'].entries()) {
      const source = `2001:db8:${net}::${port === 2 ? 'fe' : '7'}`
      const mac = station(port, port === 2 ? 254 : port === 1 ? 9 : 7)
      this.nd(port, mac, source, `2001:db8:${net}::1`, {
        kind: 'neighbor-solicitation',
        target: `2001:db8:${net}::1`,
        flags: 0,
        linkLayer: mac
      })
    }
    for (let port = 0; port < 3; port++) this.take(port)
  }

  /** What came out of a port since the last call, in words. */
  take(port: number): string[] {
    return this.bytes(port).map(words)
  }

  bytes(port: number): Uint8Array[] {
    return this.net.probe(`probe${port}`).take()
  }

  /** Moves the clock on. */
  run(seconds: number): void {
    this.net.run(seconds * 1000)
  }

  update(...changes: RouterChange[]): void {
    this.net.engine.patch({ updates: changes.map((change) => ({ element: 'router', change })) })
  }

  command<T>(verb: string, argument?: Plain): T {
    return this.net.command<T>('router', verb, argument)
  }

  get drops(): Record<string, number> {
    return this.net.drops('router')
  }

  get counters(): Record<string, number> {
    return this.net.counters('router')
  }

  /** `address state` of each neighbor. */
  get neighbors(): string[] {
    return this.command<{ address: string; state: string }[]>('neighbors').map(({ address, state }) => `${address} ${state}`)
  }

  /** Every frame is accounted for; then the engine ends and nothing is held. */
  ends(): void {
    const { rxFrames, txFrames, originated, fragments, consumed } = this.counters
    // What finds a link full was sent, as far as the router knows.
    const { 'engine.linkFull': _, ...drops } = this.drops
    const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0)
    const { waiting } = this.command<{ waiting: number }>('stats')
    assert.equal(
      rxFrames + originated + fragments,
      txFrames + consumed + dropped + waiting,
      'frames in, made = out, consumed, dropped, waiting'
    )
    for (let port = 0; port < this.portCount; port++) this.bytes(port)
    this.net.engine.close()
    assert.equal(this.net.engine.frames.inUse, 0)
  }
}
