/**
 * The macvlan driver: endpoints are stations of the LAN that a parent interface is on, each with a MAC of its own.
 *
 *   endpoint chain --- 2 |         | 0 --- the parent's wire (parents.ts), nothing where the network has no parent
 *   endpoint chain --- 3 | macvlan | 1 --- the parent's own stack, where it is ours
 */
import { FIRST_CHILD } from '../../elements/parent/parent-options.ts'
import type { ElementUpdate } from '../../engine/index.ts'
import type { CaptureWire } from '../capture-point.ts'
import type { Driver, PortReference, TopologyPart } from '../driver.ts'
import type { Endpoint } from '../endpoint.ts'
import type { Network } from '../network.ts'
import type { ParentInterfaces } from '../parents.ts'
import { HeldParents } from './held-parents.ts'
import { parentLinks } from './parent-links.ts'
import { macvlanOptions } from './parent-options.ts'

export class MacvlanDriver implements Driver {
  readonly name = 'macvlan'
  readonly isRouted = false
  readonly reserved: readonly string[]
  private readonly parents: HeldParents

  /** @param parents undefined: networks have none */
  constructor(parents?: ParentInterfaces) {
    this.parents = new HeldParents(parents, 'macvlan', 'dm-')
    this.reserved = parents?.reserved ?? []
  }

  open(network: Network): Promise<void> {
    return this.parents.open(network, macvlanOptions(network).parent)
  }

  close(network: Network): Promise<void> {
    return this.parents.close(network)
  }

  network(network: Network): TopologyPart {
    const { mode } = macvlanOptions(network)
    const parent = this.parents.of(network)
    const options = { mode, mtu: network.mtu, ...(parent !== undefined && { mac: parent.mac }) }
    return parentLinks(this.element(network), { type: 'macvlan', options }, parent)
  }

  element({ element }: Network): string {
    return `${element}/macvlan`
  }

  port(network: Network, { slot }: Endpoint): PortReference {
    return [this.element(network), FIRST_CHILD + slot]
  }

  endpointUpdates(network: Network, { slot, mac }: Endpoint, gone: boolean): ElementUpdate[] {
    return [{ element: this.element(network), change: { children: { [FIRST_CHILD + slot]: gone ? null : mac } } }]
  }

  captureWires(network: Network): CaptureWire[] {
    const wire = this.parents.of(network)?.wire
    return wire === undefined ? [] : [wire]
  }

  mtu(network: Network): number | undefined {
    return this.parents.of(network)?.mtu
  }
}
