/** A divert between three ports per gateway, and packets to send through it. */
import { type DivertOptions, divertType } from '../../../src/elements/divert/divert.ts'
import type { DivertChange } from '../../../src/elements/divert/divert-tables.ts'
import type { ElementType } from '../../../src/engine/element.ts'
import { EtherType, emitEthernet } from '../../../src/wire/ethernet.ts'
import { emitIcmp } from '../../../src/wire/icmp.ts'
import { emitIpv4, IpProtocol } from '../../../src/wire/ipv4.ts'
import { emitIpv6 } from '../../../src/wire/ipv6.ts'
import { emitUdp } from '../../../src/wire/udp.ts'
import { TestBench } from '../../engine/test-bench.ts'

export const GATEWAY = '02:cc:00:00:00:01'
export const STATION = '02:cc:00:00:00:02'
const SIDES = ['bridge', 'router', 'host'] as const

export class DivertBench extends TestBench {
  private readonly gateways: number

  constructor(change: DivertChange = {}, options: DivertOptions = { mac: GATEWAY }, gateways = 1) {
    super({ types: [divertType as ElementType<never>] })
    this.gateways = gateways
    const names = Array.from({ length: gateways }, (_, i) => SIDES.map((side) => `${side}${i}`)).flat()
    this.configure(
      { divert: { type: 'divert', options }, ...Object.fromEntries(names.map((name) => [name, { type: 'test-port' }])) },
      names.map((name, port) => ({ a: ['divert', port], b: [name, 0] }))
    )
    this.update(change)
  }

  update(change: DivertChange): void {
    this.engine.patch({ updates: [{ element: 'divert', change }] })
  }

  /** Sides of gateway 0 (others: with their number) at which something comes out. */
  send(from: string, ...frames: Uint8Array[]): string[] {
    for (const frame of frames) this.port(from.match(/\d$/) ? from : `${from}0`).send(frame)
    this.run()
    return Array.from({ length: this.gateways }, (_, i) =>
      SIDES.filter((side) => this.port(`${side}${i}`).arrived.length > 0).map((side) => (i === 0 ? side : `${side}${i}`))
    ).flat()
  }

  /** The same, and forgets what came out. */
  way(from: string, ...frames: Uint8Array[]): string {
    const sides = this.send(from, ...frames)
    for (const port of this.elements.ports.values()) port.take()
    return sides.join(' ')
  }

  explain(frame: Uint8Array, port = 0): unknown {
    return this.command('divert', 'explain', { port, frame })
  }
}

export interface PacketFields {
  source: string
  destination: string
  sourcePort?: number
  destinationPort?: number
  mac?: string
  protocol?: number
  /** Replaces UDP. */
  payload?: Uint8Array
}

/** An Ethernet frame with a UDP datagram (or another payload) of either family. */
export function packet({
  source,
  destination,
  sourcePort = 1024,
  destinationPort = 9,
  mac = GATEWAY,
  protocol = IpProtocol.udp,
  payload
}: PacketFields): Uint8Array {
  const isIpv6 = source.includes(':')
  const header = isIpv6 ? 40 : 20
  const bytes = new Uint8Array(14 + header + (payload?.length ?? 20))
  emitEthernet({ destination: mac, source: STATION, type: isIpv6 ? EtherType.ipv6 : EtherType.ipv4 }, bytes, 0)
  const payloadLength = bytes.length - 14 - header
  if (isIpv6) emitIpv6({ source, destination, nextHeader: protocol, payloadLength }, bytes, 14)
  else emitIpv4({ source, destination, protocol, payloadLength }, bytes, 14)
  if (payload !== undefined) bytes.set(payload, 14 + header)
  else emitUdp({ sourcePort, destinationPort, payload: new Uint8Array(12) }, bytes, 14 + header, 14)
  return bytes
}

/** The ICMP error "port unreachable" about a frame's packet. */
export function icmpError(source: string, destination: string, about: Uint8Array): Uint8Array {
  const payload = new Uint8Array(8 + 28)
  emitIcmp({ kind: 'unreachable', code: 3, word: 0, quoted: about.slice(14, 42) }, payload, 0)
  return packet({ source, destination, protocol: IpProtocol.icmp, payload })
}
