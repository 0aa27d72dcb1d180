/**
 * Networks and endpoints, and how they are found: by id, by name, by sandbox, by the names of their elements. Nothing here
 * looks through all of them.
 */
import type { Membership } from './dns-records.ts'
import type { Endpoint } from './endpoint.ts'
import type { Network } from './network.ts'
import { NetworkError } from './network-error.ts'
import { NumberPool } from './number-pool.ts'

/** Endpoints of one network: ports of its bridge, less the gateway's. */
export const ENDPOINTS_MAX = 4095

export class NetworkIndex {
  readonly networks = new Map<string, Network>()
  /** Of one name, oldest first. */
  private readonly byName = new Map<string, Network[]>()
  private readonly bySandbox = new Map<string, Membership[]>()
  private readonly elements = new Set<string>()
  private readonly slots = new Map<Network, NumberPool>()
  /** Names of elements that stand for the network itself: no endpoint may take them. */
  private readonly own = new Map<Network, readonly string[]>()

  /** `reserved`: names of elements that belong to no network. */
  constructor(reserved: readonly string[] = []) {
    for (const name of reserved) this.elements.add(name)
  }

  /** By id or name. Throws NetworkError `not-found`. */
  get(reference: string): Network {
    const network = this.networks.get(reference) ?? this.byName.get(reference)?.[0]
    if (network === undefined) throw new NetworkError('not-found', `network ${reference} not found`)
    return network
  }

  hasName(name: string): boolean {
    return this.byName.has(name)
  }

  /** Throws NetworkError `not-found`. */
  endpoint(network: Network, name: string): Endpoint {
    const endpoint = network.endpoints.get(name)
    if (endpoint !== undefined) return endpoint
    throw new NetworkError('not-found', `endpoint ${name} is not connected to network ${network.name}`)
  }

  /** Throws NetworkError `conflict` when an endpoint of the network has the name. */
  checkFree(network: Network, name: string): void {
    if (!network.endpoints.has(name)) return
    throw new NetworkError('conflict', `endpoint with name ${name} already exists in network ${network.name}`)
  }

  /** `wanted` as a name of elements, unless it is empty or a namesake or something that was renamed since has it. */
  freeElement(wanted: string, id: string): string {
    return wanted === '' || this.elements.has(wanted) ? `${wanted}~${id.slice(0, 12)}` : wanted
  }

  /** The endpoints of a sandbox, in the order in which they were connected. */
  memberships(sandbox: string): readonly Membership[] {
    return this.bySandbox.get(sandbox) ?? []
  }

  /** `own`: names of elements that stand for the network itself. */
  add(network: Network, own: readonly string[]): void {
    this.networks.set(network.id, network)
    this.own.set(network, own)
    for (const name of own) this.elements.add(name)
    this.byName.set(network.name, [...(this.byName.get(network.name) ?? []), network])
    this.elements.add(network.element)
    this.slots.set(network, new NumberPool(ENDPOINTS_MAX))
  }

  remove(network: Network): void {
    this.networks.delete(network.id)
    const namesakes = this.byName.get(network.name)!.filter((other) => other !== network)
    if (namesakes.length === 0) this.byName.delete(network.name)
    else this.byName.set(network.name, namesakes)
    this.elements.delete(network.element)
    for (const name of this.own.get(network)!) this.elements.delete(name)
    this.own.delete(network)
    this.slots.delete(network)
  }

  /** The lowest free slot of the network; -1 when there is none. */
  takeSlot(network: Network): number {
    return this.slots.get(network)!.take()
  }

  giveSlot(network: Network, slot: number): void {
    if (slot >= 0) this.slots.get(network)!.give(slot)
  }

  plug(network: Network, endpoint: Endpoint): void {
    network.endpoints.set(endpoint.name, endpoint)
    this.elements.add(endpoint.element)
    this.bySandbox.set(endpoint.sandbox, [...this.memberships(endpoint.sandbox), { network, endpoint }])
  }

  unplug(network: Network, endpoint: Endpoint): void {
    network.endpoints.delete(endpoint.name)
    this.elements.delete(endpoint.element)
    this.giveSlot(network, endpoint.slot)
    const others = this.memberships(endpoint.sandbox).filter((membership) => membership.endpoint !== endpoint)
    if (others.length === 0) this.bySandbox.delete(endpoint.sandbox)
    else this.bySandbox.set(endpoint.sandbox, others)
  }

  rename(network: Network, endpoint: Endpoint, name: string): void {
    if (name === endpoint.name) return
    network.endpoints.delete(endpoint.name)
    endpoint.name = name
    network.endpoints.set(name, endpoint)
  }
}
