/**
 * The overlay driver: one learning bridge per subnet, joined to one VTEP for all overlay networks of the host.
 *
 *   endpoint chain --- 1 |        | 0 --- segment N |               |
 *   endpoint chain --- 2 | bridge |                 | overlay/vxlan | 0 --- the underlay's elements
 *   endpoint chain --- 1 | bridge | 0 --- segment M |               |
 *
 * A subnet's segment runs when somebody (the cluster) said which VNI it has: `setVni`. Where the stations of other hosts are is told
 * with `remoteUpdates`. The underlay is open while there is a network.
 */

import { DEFAULT_TTL, type VxlanChange, type VxlanOptions, type VxlanPeer, type VxlanSegment } from '../../elements/vxlan/vxlan-options.ts'
import type { ElementUpdate, TopologyElement, TopologyLink } from '../../engine/index.ts'
import { AddressSpace } from '../../ipam/address-space.ts'
import { VXLAN_PORT } from '../../wire/vxlan.ts'
import type { CaptureWire } from '../capture-point.ts'
import type { Driver, PortReference, TopologyPart } from '../driver.ts'
import type { Endpoint } from '../endpoint.ts'
import type { Network } from '../network.ts'
import { poolOf } from '../network-addresses.ts'
import { NetworkError } from '../network-error.ts'
import { NumberPool } from '../number-pool.ts'
import type { RemoteEndpoint } from '../remote-endpoint.ts'
import { remoteWords, vtepWords } from '../remote-words.ts'
import type { Underlay, UnderlayPart } from '../underlay.ts'
import { underlayWords } from '../underlays/underlay-words.ts'

export const VXLAN_ELEMENT = 'overlay/vxlan'

/** Segments of one VTEP element. */
const SEGMENTS_MAX = 4095

/** `NetworkSpec.driverOptions` of an overlay network. */
export interface OverlayOptions {
  /** Broadcast, multicast and unknown unicast: `drop` (default, as Docker's) keeps them on their host. */
  readonly bum?: VxlanSegment['bum']
  /** Sources are learned from frames of any VTEP, also of one that no record names. Default false. */
  readonly learning?: boolean
  /** VTEPs that are no host of ours and get copies of what is flooded. */
  readonly remotes?: readonly string[]
}

export interface OverlayDriverOptions {
  /** One for each time that there is a network after there was none. */
  readonly underlay: () => Underlay
  /** The address of this host that other hosts send to. */
  readonly address: string
  /** UDP, of all hosts; default 4789. */
  readonly port?: number
}

/** One subnet of a network on this host. */
interface Segment {
  /** Port of the VTEP element. */
  readonly port: number
  vni: number | undefined
}

export class OverlayDriver implements Driver {
  readonly name = 'overlay'
  readonly isRouted = false
  /** Overlay networks may have the addresses of bridge networks; among them the cluster keeps them apart. */
  readonly addresses = new AddressSpace([])
  readonly reserved = ['overlay', 'underlay'] as const
  /** UDP, of this host and of all others. */
  readonly udpPort: number
  private readonly options: OverlayDriverOptions
  private readonly ports = new NumberPool(SEGMENTS_MAX)
  /** By network id; segments by index among the network's IPv4 pools. */
  private readonly opened = new Map<string, readonly Segment[]>()
  private underlay: { readonly way: Underlay; readonly part: UnderlayPart } | null = null
  /** VTEPs of other hosts. */
  private vteps: readonly string[] = []

  constructor(options: OverlayDriverOptions) {
    this.options = options
    this.udpPort = options.port ?? VXLAN_PORT
  }

  /** Says which VNI a subnet of an open network has, before its first endpoint is connected. */
  setVni(network: Network, address: string, vni: number): void {
    const segment = this.segmentOf(network, address)
    if (segment.vni !== undefined && segment.vni !== vni) {
      throw new NetworkError('conflict', `network ${network.name}: the subnet of ${address} has VNI ${segment.vni} and cannot get ${vni}`)
    }
    segment.vni = vni
  }

  vniOf(network: Network, address: string): number | undefined {
    return this.segmentOf(network, address).vni
  }

  /** The VTEPs that frames are taken from: all other hosts. Gives what the running element is to be told. */
  setVteps(addresses: readonly string[]): ElementUpdate[] {
    const vteps: Record<string, true | null> = {}
    for (const address of this.vteps) vteps[address] = null
    for (const address of addresses) vteps[address] = true
    this.vteps = [...addresses]
    return this.opened.size === 0 || Object.keys(vteps).length === 0 ? [] : [this.told({ vteps })]
  }

  async open(network: Network): Promise<void> {
    this.underlay ??= await this.openUnderlay()
    const segments: Segment[] = []
    for (const pool of segmentPools(network)) {
      const number = this.ports.take()
      if (number < 0) {
        for (const segment of segments) this.ports.give(segment.port - 1)
        await this.closeUnderlay()
        throw new NetworkError('exhausted', `there are ${SEGMENTS_MAX} overlay subnets on this host: ${pool.subnet} does not fit`)
      }
      segments.push({ port: number + 1, vni: undefined })
    }
    this.opened.set(network.id, segments)
  }

  async close({ id }: Network): Promise<void> {
    for (const { port } of this.opened.get(id) ?? []) this.ports.give(port - 1)
    this.opened.delete(id)
    await this.closeUnderlay()
  }

  network(network: Network): TopologyPart {
    const segments = this.segments(network)
    const { udpPort: port } = this
    const { elements: outer, links: outerLinks, port: outerPort, mac, nextHopMac, mtu, address } = this.underlay!.part
    // The host forwards what comes by the TAP, and takes one from its TTL.
    const ttl = this.underlay!.way.kind === 'tap' ? DEFAULT_TTL + 1 : DEFAULT_TTL
    const vxlan: VxlanOptions = { addresses: [address], mac, nextHopMac, port, underlayMtu: mtu, ttl }
    const elements: Record<string, TopologyElement> = { ...outer, [VXLAN_ELEMENT]: { type: 'vxlan', options: vxlan } }
    const links: TopologyLink[] = [...outerLinks, { a: outerPort, b: [VXLAN_ELEMENT, 0] }]
    for (const [index, segment] of segments.entries()) {
      const bridge = bridgeName(network, index)
      elements[bridge] = { type: 'bridge', options: {} }
      links.push({ a: [bridge, 0], b: [VXLAN_ELEMENT, segment.port] })
    }
    return { elements, links }
  }

  /** A network that comes has no VNI yet: its segments are told with its first endpoints. */
  networkUpdates(network: Network, gone: boolean): ElementUpdate[] {
    if (!gone) return [this.told({ vteps: Object.fromEntries(this.vteps.map((vtep) => [vtep, true])) })]
    const segments: Record<string, null> = {}
    for (const { vni } of this.segments(network)) if (vni !== undefined) segments[vni] = null
    const peers = Object.assign({}, ...Array.from(network.remotes.values(), (remote) => this.peer(network, remote, true)))
    return [this.told({ segments, peers })]
  }

  element(network: Network): string {
    return bridgeName(network, 0)
  }

  port(network: Network, endpoint: Endpoint): PortReference {
    return [bridgeName(network, segmentIndex(network, endpoint.address)), endpoint.slot + 1]
  }

  /** With the first one of a subnet its segment runs, and knows the stations elsewhere; later ones come by `remoteUpdates`. */
  endpointUpdates(network: Network, endpoint: Endpoint, gone: boolean): ElementUpdate[] {
    if (gone) return []
    const index = segmentIndex(network, endpoint.address)
    const isOnIt = ({ address }: { readonly address: string }): boolean => segmentIndex(network, address) === index
    for (const other of network.endpoints.values()) if (isOnIt(other)) return []
    const { port, vni } = this.segmentOf(network, endpoint.address)
    if (vni === undefined) return []
    const { bum = 'drop', learning = false, remotes: foreign = [] } = (network.driverOptions ?? {}) as OverlayOptions
    const segment = { port, mtu: network.mtu, bum, learning, suppress: true, remotes: foreign }
    const remotes = [...network.remotes.values()].filter(isOnIt)
    const peers = Object.assign({}, ...remotes.map((remote) => this.peer(network, remote, false)))
    return [this.told({ segments: { [vni]: segment }, peers })]
  }

  /** Those of a subnet that has no VNI here are told with its first endpoint. */
  remoteUpdates(network: Network, come: readonly RemoteEndpoint[], gone: readonly RemoteEndpoint[]): ElementUpdate[] {
    const peers: Record<string, VxlanPeer | null> = {}
    for (const remote of gone) Object.assign(peers, this.peer(network, remote, true))
    for (const remote of come) Object.assign(peers, this.peer(network, remote, false))
    if (Object.keys(peers).length === 0) return []
    // Its MAC, which is made from its address, may be that of the next endpoint here: the bridge must not send that one's frames away.
    const bridges = new Set(gone.map(({ address }) => bridgeName(network, segmentIndex(network, address))))
    return [this.told({ peers }), ...Array.from(bridges, (element) => ({ element, change: { flush: 0 } }))]
  }

  /** Outer frames, of all overlay networks of the host. */
  captureWires(): CaptureWire[] {
    if (this.underlay === null) return []
    const { way, part } = this.underlay
    const { mac, address, port, elements, speed, mtu, nextHopMac } = part
    return [
      {
        point: {
          name: 'underlay',
          kind: 'underlay',
          description: `VXLAN between hosts, underlay ${way.kind}`,
          mac,
          addresses: [address],
          ...(speed !== undefined && { speed }),
          ...(this.isOutside && { comment: underlayWords({ mtu, port: this.udpPort, nextHopMac }) }),
          aliases: [],
          elements: Object.keys(elements)
        },
        link: { a: port, b: [VXLAN_ELEMENT, 0] }
      }
    ]
  }

  remoteWords({ name: network }: Network, { mac, address, address6, vtep }: RemoteEndpoint, gone: boolean): string | undefined {
    return this.isOutside ? remoteWords({ network, mac, address, address6, vtep: gone ? null : vtep }) : undefined
  }

  hostWords(): string | undefined {
    return this.isOutside ? vtepWords(this.vteps) : undefined
  }

  /** Whether other VTEPs are on other machines. */
  private get isOutside(): boolean {
    return this.underlay !== null && this.underlay.way.kind !== 'emulated'
  }

  private peer(network: Network, { mac, vtep, address, address6 }: RemoteEndpoint, gone: boolean): Record<string, VxlanPeer | null> {
    const { vni } = this.segmentOf(network, address)
    if (vni === undefined) return {}
    return { [`${vni}/${mac}`]: gone ? null : { vtep, addresses: address6 === '' ? [address] : [address, address6] } }
  }

  private async openUnderlay(): Promise<{ way: Underlay; part: UnderlayPart }> {
    const { underlay, address } = this.options
    const way = underlay()
    try {
      return { way, part: await way.open({ address, port: this.udpPort }) }
    } catch (error) {
      await way.close().catch(() => {}) // the first error says why
      throw error
    }
  }

  /** Without a network it is not needed. */
  private async closeUnderlay(): Promise<void> {
    if (this.opened.size > 0 || this.underlay === null) return
    const { way } = this.underlay
    this.underlay = null
    await way.close()
  }

  private told(change: VxlanChange): ElementUpdate {
    return { element: VXLAN_ELEMENT, change }
  }

  private segmentOf(network: Network, address: string): Segment {
    return this.segments(network)[segmentIndex(network, address)]!
  }

  private segments({ id, name }: Network): readonly Segment[] {
    const opened = this.opened.get(id)
    if (opened === undefined) throw new NetworkError('not-found', `overlay network ${name} is not open on this host`)
    return opened
  }
}

/** Each IPv4 subnet is a segment; IPv6 addresses are those of stations that have IPv4 ones, on their segment. */
function segmentPools({ pools }: Network): Network['pools'] {
  return pools.filter(({ family }) => family === 4)
}

function segmentIndex(network: Network, address: string): number {
  return Math.max(0, segmentPools(network).indexOf(poolOf(network, address)))
}

function bridgeName({ element }: Network, index: number): string {
  return index === 0 ? `${element}/bridge` : `${element}/bridge-${index + 1}`
}
