/**
 * What a network driver does: it turns networks and endpoints into elements and links. Docker's driver contract in our words.
 */
import type { ElementUpdate, TopologyElement, TopologyLink } from '../engine/index.ts'
import type { AddressSpace } from '../ipam/address-space.ts'
import type { CaptureWire } from './capture-point.ts'
import type { Endpoint } from './endpoint.ts'
import type { Network } from './network.ts'
import type { RemoteEndpoint } from './remote-endpoint.ts'

/** Elements and links to be added to the graph. */
export interface TopologyPart {
  readonly elements: Record<string, TopologyElement>
  readonly links: TopologyLink[]
}

/** A port of an element: [name, port]. */
export type PortReference = readonly [element: string, port: number]

export interface Driver {
  /** As in `--driver`. */
  readonly name: string
  /**
   * Whether the engine's gateway (NAT, router, filter) stands at its networks. Where it does not, a network has a gateway only when
   * one is given: somebody outside of the engine.
   */
  readonly isRouted: boolean
  /** Where its subnets come from; by default the controller's address space, in which no two networks share an address. */
  readonly addresses?: AddressSpace
  /** First parts of names of elements that several networks share: no network may begin its own with them. */
  readonly reserved?: readonly string[]
  /** Before the network's elements run: opens what lies outside of the engine. What it throws leaves nothing behind. */
  open?(network: Network): Promise<void>
  /** After they ended, or when they could not begin. What it throws is told; the network is gone all the same. */
  close?(network: Network): Promise<void>
  /**
   * What the network itself needs; the same whenever it is asked between `open` and `close`. An element that several networks name
   * comes with the first and goes with the last of them, and has to have the same options in all.
   */
  network(network: Network): TopologyPart
  /** What elements are told when the network comes or goes; none to those that go with it. */
  networkUpdates?(network: Network, gone: boolean): ElementUpdate[]
  /** The element that relays between the network's endpoints. */
  element(network: Network): string
  /** Where the endpoint's chain of elements is plugged in. */
  port(network: Network, endpoint: Endpoint): PortReference
  /** What elements are told when an endpoint comes or goes. */
  endpointUpdates?(network: Network, endpoint: Endpoint, gone: boolean): ElementUpdate[]
  /** What elements are told when stations on other hosts come, move or go. `network.remotes` is still as before. */
  remoteUpdates?(network: Network, come: readonly RemoteEndpoint[], gone: readonly RemoteEndpoint[]): ElementUpdate[]
  /** The MAC that all endpoints of the network have (ipvlan: the parent's); undefined: each its own. */
  mac?(network: Network): string | undefined
  /** The longest packet of what the network stands on, bytes; asked after `open`. undefined: there is no limit. */
  mtu?(network: Network): number | undefined
  /** Links outside of the network itself where its frames can be captured; networks may name the same ones. */
  captureWires?(network: Network): CaptureWire[]
  /** What captures are told of a station on another host, or of its end; undefined: nothing, since they show that host too. */
  remoteWords?(network: Network, remote: RemoteEndpoint, gone: boolean): string | undefined
  /** What captures are told of all other hosts, from now on; undefined: nothing. */
  hostWords?(): string | undefined
  /** Which VNI the subnet of an address has in outer frames; undefined: none. */
  vniOf?(network: Network, address: string): number | undefined
  /** False: its endpoints' interfaces neither ask by ARP and neighbor discovery nor answer. Default true. */
  hasArp?(network: Network): boolean
}
