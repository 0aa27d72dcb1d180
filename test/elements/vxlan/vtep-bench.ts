/** One VTEP with test ports around it, and frames for both sides. */
import { vxlanType } from '../../../src/elements/vxlan/vxlan.ts'
import type { VxlanChange, VxlanOptions } from '../../../src/elements/vxlan/vxlan-options.ts'
import type { ElementType, Plain } from '../../../src/engine/element.ts'
import { emitEthernet } from '../../../src/wire/ethernet.ts'
import { emitIpv4 } from '../../../src/wire/ipv4.ts'
import { emitIpv6 } from '../../../src/wire/ipv6.ts'
import { emitUdp } from '../../../src/wire/udp.ts'
import { emitVxlan } from '../../../src/wire/vxlan.ts'
import { TestBench } from '../../engine/test-bench.ts'
import type { ArrivedFrame, TestFrameFields } from '../../engine/test-elements.ts'

export const OWN = { 4: '192.0.2.50', 6: '2001:db8::50' } as const
export const REMOTE = { 4: '192.0.2.51', 6: '2001:db8::51' } as const
export const OTHER = '192.0.2.52'
export const MAC = '02:cc:00:00:00:50'
export const NEXT_HOP = '02:cc:00:00:00:01'
/** An endpoint here, one behind REMOTE and its addresses. */
export const LOCAL_MAC = '02:42:0a:00:00:02'
export const PEER_MAC = '02:42:0a:00:00:03'
export const PEER_ADDRESSES = ['10.0.0.3', '2001:db8:a::3'] as const
export const VNI = 256
export const BROADCAST = 'ff:ff:ff:ff:ff:ff'

/** What REMOTE with one endpoint looks like to the control plane. */
export const RECORDS: VxlanChange = {
  segments: { [VNI]: { port: 1 } },
  vteps: { [REMOTE[4]]: true },
  peers: { [`${VNI}/${PEER_MAC}`]: { vtep: REMOTE[4], addresses: PEER_ADDRESSES } }
}

export class VtepBench extends TestBench {
  constructor(options: Partial<VxlanOptions> = RECORDS) {
    super({ types: [vxlanType as ElementType<never>] })
    this.setOptions(options)
  }

  setOptions(options: Partial<VxlanOptions>): void {
    const all: VxlanOptions = { addresses: [OWN[4], OWN[6]], mac: MAC, nextHopMac: NEXT_HOP, ...options }
    this.configure(
      { vtep: { type: 'vxlan', options: all }, u: { type: 'test-port' }, s1: { type: 'test-port' }, s2: { type: 'test-port' } },
      [
        { a: ['vtep', 0], b: ['u', 0] },
        { a: ['vtep', 1], b: ['s1', 0] },
        { a: ['vtep', 2], b: ['s2', 0] }
      ]
    )
  }

  change(change: VxlanChange): void {
    this.engine.patch({ updates: [{ element: 'vtep', change: change as Plain }] })
  }

  /** What comes out where. */
  send(
    port: 'u' | 's1' | 's2',
    bytes: Uint8Array,
    fields: TestFrameFields = {}
  ): { u: ArrivedFrame[]; s1: ArrivedFrame[]; s2: ArrivedFrame[] } {
    this.port(port).send(bytes, fields)
    this.run()
    const take = (name: string): ArrivedFrame[] => this.port(name).arrived.splice(0)
    return { u: take('u'), s1: take('s1'), s2: take('s2') }
  }

  get drops(): Record<string, number> {
    return this.counters('vtep').drops
  }
}

export interface InnerOptions {
  readonly source?: string
  readonly destination?: string
  readonly from?: string
  readonly to?: string
  /** Of UDP. */
  readonly payload?: number
  readonly dontFragment?: boolean
  readonly tos?: number
  readonly sourcePort?: number
}

/** An inner frame: UDP from the local endpoint to the peer. */
export function inner(options: InnerOptions = {}): Uint8Array {
  const { source = LOCAL_MAC, destination = PEER_MAC, from = '10.0.0.2', to = '10.0.0.3', payload = 22, sourcePort = 1234 } = options
  const isSix = from.includes(':')
  const bytes = new Uint8Array(14 + (isSix ? 40 : 20) + 8 + payload)
  emitEthernet({ source, destination, type: isSix ? 0x86dd : 0x0800 }, bytes, 0)
  const ends = { source: from, destination: to, payloadLength: 8 + payload }
  if (isSix) emitIpv6({ ...ends, nextHeader: 17 }, bytes, 14)
  else emitIpv4({ ...ends, protocol: 17, dontFragment: options.dontFragment ?? true, tos: options.tos }, bytes, 14)
  emitUdp({ sourcePort, destinationPort: 80, payload: new Uint8Array(payload).fill(0x5a) }, bytes, isSix ? 54 : 34, 14)
  return bytes
}

/** The same as the peer sends it. */
export const innerBack = (options: InnerOptions = {}): Uint8Array =>
  inner({ source: PEER_MAC, destination: LOCAL_MAC, from: '10.0.0.3', to: '10.0.0.2', ...options })

export interface OuterOptions {
  readonly source?: string
  readonly destination?: string
  readonly mac?: string
  readonly vni?: number
  readonly port?: number
  /** With a UDP checksum. */
  readonly checksum?: boolean
  readonly tos?: number
}

/** An outer frame around `payload`, which is VXLAN already when `vni` is null. */
export function outer(payload: Uint8Array, options: OuterOptions & { readonly raw?: boolean } = {}): Uint8Array {
  const { source = REMOTE[4], destination = OWN[4], mac = MAC, vni = VNI, port = 4789, checksum = false } = options
  const isSix = source.includes(':')
  const header = options.raw === true ? 0 : 8
  const vxlan = new Uint8Array(header + payload.length)
  if (header > 0) emitVxlan({ vni }, vxlan, 0)
  vxlan.set(payload, header)
  const udp = 14 + (isSix ? 40 : 20)
  const bytes = new Uint8Array(udp + 8 + vxlan.length)
  emitEthernet({ source: NEXT_HOP, destination: mac, type: isSix ? 0x86dd : 0x0800 }, bytes, 0)
  const ends = { source, destination, payloadLength: 8 + vxlan.length }
  if (isSix) emitIpv6({ ...ends, nextHeader: 17 }, bytes, 14)
  else emitIpv4({ ...ends, protocol: 17, tos: options.tos }, bytes, 14)
  emitUdp({ sourcePort: 50_000, destinationPort: port, payload: vxlan }, bytes, udp, checksum || isSix ? 14 : -1)
  return bytes
}
