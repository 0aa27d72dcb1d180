/**
 * The gateway of an engine as parts of the graph: one NAT and one router for all networks and the uplink.
 *
 *   bridge 0 ---------------------- nat 2i | nat 2i+1 -- router i      a network without the host's TAP
 *   bridge 0 -- divert 3i | 3i+1 -- nat 2i | nat 2i+1 -- router i      a network with it
 *                         | 3i+2 -- TAP
 *   uplink's port ----------------- nat 0  | nat 1 ----- router 0
 *
 * Interface i has the same number in all elements; 0 is the uplink's, also where there is none.
 */
import type { NatSettings } from '../elements/nat/nat-options.ts'
import type { Topology, TopologyElement, TopologyLink } from '../engine/index.ts'
import { type CaptureWire, hostPoint } from './capture-point.ts'
import type { PortReference, TopologyPart } from './driver.ts'
import type { Network } from './network.ts'
import type { UplinkPart } from './uplink.ts'
import { uplinkWords } from './uplink-words.ts'

export const NAT_ELEMENT = 'gateway/nat'
export const ROUTER_ELEMENT = 'gateway/router'
export const DIVERT_ELEMENT = 'gateway/divert'

/** First parts of names of elements: no network may begin its own with them. */
export const RESERVED_ELEMENTS = ['gateway', 'uplink'] as const

export const UPLINK_INTERFACE = 0

/** A network's place at the gateway. */
export interface NetworkGateway {
  /** The number of its interface: 1 or more. */
  readonly interface: number
  /** Of the router, and of the host's TAP where there is one. */
  readonly mac: string
  /** The host's own station on the network, with the gateway's addresses and MAC; null: the router is the only one who has them. */
  readonly tap: TopologyElement | null
}

/** What stands once: NAT, router and the uplink. */
export function gatewayPart(uplink: UplinkPart | null, nat: NatSettings = {}): Topology {
  const elements = {
    [NAT_ELEMENT]: { type: 'nat', options: nat },
    [ROUTER_ELEMENT]: { type: 'router' },
    [DIVERT_ELEMENT]: { type: 'divert' }
  }
  if (uplink === null) return { elements, links: [] }
  const outward: TopologyLink = { a: uplink.port, b: [NAT_ELEMENT, 2 * UPLINK_INTERFACE] }
  return { elements: { ...elements, ...uplink.elements }, links: [...uplink.links, outward, inwardLink(UPLINK_INTERFACE)] }
}

/** Adds what lies between a network's own elements, which end at `port`, and the NAT and router. */
export function joinGateway(part: TopologyPart, network: Network, gateway: NetworkGateway, port: PortReference): void {
  const outward: PortReference = [NAT_ELEMENT, 2 * gateway.interface]
  part.links.push(inwardLink(gateway.interface))
  if (gateway.tap === null) {
    part.links.push({ a: port, b: outward })
    return
  }
  const divert = (side: number): PortReference => [DIVERT_ELEMENT, 3 * gateway.interface + side]
  part.elements[hostElement(network)] = gateway.tap
  part.links.push({ a: port, b: divert(0) }, { a: divert(1), b: outward }, { a: divert(2), b: [hostElement(network), 0] })
}

/** Where the host's own station on a network can be captured; none where it has none. */
export function hostWire(network: Network): CaptureWire[] {
  const { gateway } = network
  if (gateway === null || gateway.tap === null) return []
  const element = hostElement(network)
  return [
    {
      point: { ...hostPoint(network), elements: [element] },
      link: { a: [element, 0], b: [DIVERT_ELEMENT, 3 * gateway.interface + 2] }
    }
  ]
}

function hostElement({ element }: Network): string {
  return `${element}/host`
}

/** Where what goes out and comes in can be captured. */
export function uplinkWire(part: UplinkPart): CaptureWire {
  const { name, mac, addresses, speed } = part.interface
  return {
    point: {
      name: 'uplink',
      kind: 'uplink',
      description: `the way out, ${name}`,
      mac,
      addresses,
      ...(speed !== undefined && { speed }),
      comment: uplinkWords(part),
      aliases: [name],
      elements: Object.keys(part.elements)
    },
    link: { a: part.port, b: [NAT_ELEMENT, 2 * UPLINK_INTERFACE] }
  }
}

function inwardLink(number: number): TopologyLink {
  return { a: [NAT_ELEMENT, 2 * number + 1], b: [ROUTER_ELEMENT, number] }
}
