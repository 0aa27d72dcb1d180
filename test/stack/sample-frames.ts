/** Right frames of every kind that a host or the DNS service looks at, to one MAC and address pair. Raw material for fuzzing. */
import { addressBytes, writeHeaders } from '../../src/stack/ip-packet.ts'
import { parseMac } from '../../src/wire/address.ts'
import { emitArp } from '../../src/wire/arp.ts'
import { EtherType, emitEthernet } from '../../src/wire/ethernet.ts'
import { emitIcmp, type IcmpRepr } from '../../src/wire/icmp.ts'
import { emitIcmpv6, type Icmpv6Repr } from '../../src/wire/icmpv6.ts'
import { IpProtocol } from '../../src/wire/ipv4.ts'
import { emitNeighborDiscovery, type NeighborDiscoveryRepr } from '../../src/wire/neighbor-discovery.ts'
import { emitTcp, TcpFlag } from '../../src/wire/tcp.ts'
import { emitUdp } from '../../src/wire/udp.ts'
import { queryBytes } from '../dns/dns-lab.ts'

const PEER_MAC = '02:cc:00:00:00:01'

export interface SampleTarget {
  readonly mac: string
  readonly ipv4: string
  readonly ipv6: string
}

/** Writes a packet whose payload `emit` makes behind the headers; twice, because the checksum wants the lengths. */
function packet(
  target: SampleTarget,
  family: 4 | 6,
  protocol: number,
  emit: (bytes: Uint8Array, at: number, ipAt: number) => number,
  fragment = 0,
  hopLimit = 64
): Uint8Array {
  const bytes = new Uint8Array(4096)
  const path = {
    sourceMac: parseMac(PEER_MAC),
    destinationMac: parseMac(target.mac),
    source: addressBytes(family === 4 ? '192.0.2.1' : '2001:db8::1'),
    destination: addressBytes(family === 4 ? target.ipv4 : target.ipv6)
  }
  const at = writeHeaders(bytes, 0, path, protocol, 0, hopLimit, 77, fragment)
  const length = emit(bytes, at, 14)
  writeHeaders(bytes, 0, path, protocol, length, hopLimit, 77, fragment)
  emit(bytes, at, 14)
  return bytes.slice(0, at + length)
}

export function sampleFrames(target: SampleTarget): Uint8Array[] {
  const frames: Uint8Array[] = []
  const arp = (operation: number): void => {
    const bytes = new Uint8Array(60)
    const at = emitEthernet(
      { destination: operation === 1 ? 'ff:ff:ff:ff:ff:ff' : target.mac, source: PEER_MAC, type: EtherType.arp },
      bytes,
      0
    )
    emitArp({ operation, senderMac: PEER_MAC, senderIp: '192.0.2.1', targetMac: target.mac, targetIp: target.ipv4 }, bytes, at)
    frames.push(bytes)
  }
  arp(1)
  arp(2)
  const data = Uint8Array.from({ length: 32 }, (_, i) => i)
  for (const family of [4, 6] as const) {
    for (const [destinationPort, payload] of [
      [7, data],
      [9, data],
      [5000, new Uint8Array(0)],
      [53, queryBytes('web', { edns: 1232 })],
      [53, queryBytes('nosuch.example', { type: 'AAAA' })],
      [53, queryBytes('2.2.0.192.in-addr.arpa', { type: 'PTR' })]
    ] as const) {
      frames.push(packet(target, family, IpProtocol.udp, (b, at, ip) => emitUdp({ sourcePort: 4000, destinationPort, payload }, b, at, ip)))
    }
    const query = queryBytes('web')
    const framed = Uint8Array.from([0, query.length, ...query])
    for (const [flags, destinationPort, payload, options] of [
      [TcpFlag.syn, 53, data.subarray(0, 0), { maxSegmentSize: 1460, sackPermitted: true, windowScale: 7 }],
      [TcpFlag.ack, 53, framed, {}],
      [TcpFlag.fin | TcpFlag.ack, 53, framed.subarray(0, 5), { timestamps: { value: 1, echo: 2 } }],
      [TcpFlag.rst, 53, data.subarray(0, 0), {}],
      [TcpFlag.syn, 80, data.subarray(0, 0), { maxSegmentSize: 1460 }]
    ] as const) {
      const repr = {
        sourcePort: 4000,
        destinationPort,
        sequence: flags === TcpFlag.syn ? 999 : 1000,
        acknowledgment: 0,
        flags,
        window: 1000,
        urgent: 0,
        options,
        payload
      }
      frames.push(packet(target, family, IpProtocol.tcp, (b, at, ip) => emitTcp(repr, b, at, ip)))
    }
    frames.push(packet(target, family, 132, () => 16))
  }
  const quoted = frames[2].subarray(14, 14 + 28 + 8)
  const icmp: IcmpRepr[] = [
    { kind: 'echo-request', id: 1, sequence: 1, data },
    { kind: 'echo-reply', id: 1, sequence: 1, data },
    { kind: 'unreachable', code: 3, word: 0, quoted },
    { kind: 'time-exceeded', code: 0, word: 0, quoted }
  ]
  for (const repr of icmp) frames.push(packet(target, 4, IpProtocol.icmp, (b, at) => emitIcmp(repr, b, at)))
  const icmpv6: Icmpv6Repr[] = [
    { kind: 'echo-request', id: 1, sequence: 1, data },
    { kind: 'echo-reply', id: 1, sequence: 1, data }
  ]
  for (const repr of icmpv6) frames.push(packet(target, 6, IpProtocol.icmpv6, (b, at, ip) => emitIcmpv6(repr, b, at, ip)))
  const discovery: NeighborDiscoveryRepr[] = [
    { kind: 'neighbor-solicitation', target: target.ipv6, flags: 0, linkLayer: PEER_MAC },
    { kind: 'neighbor-advertisement', target: '2001:db8::1', flags: 0x60, linkLayer: PEER_MAC }
  ]
  for (const repr of discovery) {
    frames.push(packet(target, 6, IpProtocol.icmpv6, (b, at, ip) => emitNeighborDiscovery(repr, b, at, ip), 0, 255))
  }
  // Fragments: first, middle and last of one datagram.
  for (const word of [0x2000, 0x2001 + 1, 0x0004]) frames.push(packet(target, 4, IpProtocol.udp, () => 16, word))
  return frames
}
