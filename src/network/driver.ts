/**
 * What a network driver does: it turns networks and endpoints into elements and links. Docker's driver contract in our words.
 */
import type { TopologyElement, TopologyLink } from '../engine/index.ts'
import type { Endpoint } from './endpoint.ts'
import type { Network } from './network.ts'

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
  /** What the network itself needs. */
  network(network: Network): TopologyPart
  /** The element that relays between the network's endpoints. */
  element(network: Network): string
  /** Where the endpoint's chain of elements is plugged in. */
  port(network: Network, endpoint: Endpoint): PortReference
}
