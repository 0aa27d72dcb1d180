/** A DNS service with probes as askers, and queries by dns-packet as the independent codec. */
import dnsPacket, { type DecodedPacket, type Packet } from 'dns-packet'
import type { DnsServiceOptions } from '../../src/dns/dns-options.ts'
import { dnsServiceType } from '../../src/dns/dns-service.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { addressBytes } from '../../src/stack/ip-packet.ts'
import { EtherType, emitEthernet, parseEthernet } from '../../src/wire/ethernet.ts'
import { emitIpv4, IpProtocol, parseIpv4Header } from '../../src/wire/ipv4.ts'
import { emitIpv6, parseIpv6Header } from '../../src/wire/ipv6.ts'
import { emitUdp, parseUdp, type UdpRepr } from '../../src/wire/udp.ts'
import { VirtualLab } from '../stack/virtual-lab.ts'

export const SERVICE_MAC = '02:42:7f:00:00:0b'
export const CLIENT_MAC = '02:cc:00:00:00:01'

export type Decoded = DecodedPacket & { rcode: string }

export interface AskOptions {
  readonly type?: string
  readonly id?: number
  readonly flags?: number
  /** UDP size of an OPT record. */
  readonly edns?: number
  readonly family?: 4 | 6
}

/** The bytes of a query with one question. */
export function queryBytes(name: string, { type = 'A', id = 4711, flags = dnsPacket.RECURSION_DESIRED, edns }: AskOptions = {}): Buffer {
  const additionals =
    edns === undefined
      ? []
      : [{ type: 'OPT', name: '.', udpPayloadSize: edns, flags: 0, ednsVersion: 0, extendedRcode: 0, flag_do: false, options: [] }]
  return dnsPacket.encode({ type: 'query', id, flags, questions: [{ type, name }], additionals } as Packet)
}

/** An Ethernet frame with a UDP datagram to port 53. */
export function udpFrame(payload: Uint8Array, family: 4 | 6 = 4, port = 53): Uint8Array {
  const source = family === 4 ? '192.0.2.1' : '2001:db8::1'
  const destination = family === 4 ? '127.0.0.11' : '2001:db8::53'
  const bytes = new Uint8Array(14 + (family === 4 ? 20 : 40) + 8 + payload.length)
  const at = emitEthernet({ destination: SERVICE_MAC, source: CLIENT_MAC, type: family === 4 ? EtherType.ipv4 : EtherType.ipv6 }, bytes, 0)
  const repr = { source, destination, protocol: IpProtocol.udp, nextHeader: IpProtocol.udp, payloadLength: 8 + payload.length }
  const length = family === 4 ? emitIpv4(repr as never, bytes, at) : emitIpv6(repr as never, bytes, at)
  emitUdp({ sourcePort: 40000, destinationPort: port, payload } as UdpRepr, bytes, at + length, at)
  return bytes
}

/** The UDP datagram of a frame, with every header and checksum right; throws otherwise. */
export function readUdp(frame: Uint8Array): {
  readonly source: string
  readonly destination: string
  readonly udp: UdpRepr
  readonly macs: string[]
} {
  const ethernet = parseEthernet(frame, 0, frame.length)!
  const ip = ethernet.type === EtherType.ipv4 ? parseIpv4Header(frame, 14, frame.length) : parseIpv6Header(frame, 14, frame.length)
  if (ip === null) throw new Error('the answer has no right IP header')
  const at = 14 + (ethernet.type === EtherType.ipv4 ? (frame[14] & 15) * 4 : 40)
  const udp = parseUdp(frame, at, frame.length, 14)
  if (udp === null) throw new Error('the answer has no right UDP header')
  return { source: ip.source, destination: ip.destination, udp, macs: [ethernet.destination, ethernet.source] }
}

export class DnsLab extends VirtualLab {
  constructor(options: DnsServiceOptions, seed?: string) {
    const askers = Object.keys(options.askers ?? {})
    super(
      {
        elements: { dns: { type: 'dns-service', options }, ...Object.fromEntries(askers.map((port) => [`c${port}`, { type: 'probe' }])) },
        links: askers.map((port) => ({ a: ['dns', Number(port)], b: [`c${port}`, 0] }))
      },
      [dnsServiceType as ElementType<never>],
      seed
    )
  }

  /** What came back to an asker. */
  answers(asker: number): { message: Decoded; bytes: Uint8Array }[] {
    return this.probe(`c${asker}`)
      .take()
      .map((frame) => {
        const { udp } = readUdp(frame)
        return { message: dnsPacket.decode(Buffer.from(udp.payload)) as Decoded, bytes: udp.payload }
      })
  }

  /** Asks by UDP; null when nothing came back. */
  ask(asker: number, name: string, options: AskOptions = {}): Decoded | null {
    this.probe(`c${asker}`).inject(udpFrame(queryBytes(name, options), options.family))
    this.settle()
    return this.answers(asker)[0]?.message ?? null
  }

  /** The queries that the service asked to forward since the last call. */
  forwarded(): { id: number; asker: number; query: Uint8Array; tcp: boolean }[] {
    return this.events.splice(0).map(({ event }) => event as never)
  }
}

/** Data of the answers, as text. */
export function data(message: Decoded | null): string[] {
  return (message?.answers ?? []).map((answer) => String((answer as { data: unknown }).data))
}

export { addressBytes }
