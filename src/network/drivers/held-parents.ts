/**
 * The parents that the networks of one driver stand on, each by one network, as Docker's macvlan and ipvlan drivers have it.
 */
import type { Network } from '../network.ts'
import { NetworkError } from '../network-error.ts'
import type { Parent, ParentInterfaces, ParentUser } from '../parents.ts'

export class HeldParents {
  private readonly parents: ParentInterfaces | undefined
  private readonly driver: ParentUser['driver']
  /** First part of the name that Docker shows for a network's interface: `dm-` or `di-` and 12 digits of the id. */
  private readonly prefix: string
  /** By network id. */
  private readonly held = new Map<string, Parent>()

  constructor(parents: ParentInterfaces | undefined, driver: ParentUser['driver'], prefix: string) {
    this.parents = parents
    this.driver = driver
    this.prefix = prefix
  }

  /** Undefined where the network has none. */
  of({ id }: Pick<Network, 'id'>): Parent | undefined {
    return this.held.get(id)
  }

  /** Throws NetworkError. */
  async open({ id, pools, internal }: Network, name: string | undefined): Promise<void> {
    // Docker's drivers take an internal network for one without a parent.
    if (name === undefined || internal) return
    for (const [network, parent] of this.held) {
      if (parent.name !== name) continue
      throw new NetworkError('conflict', `network ${this.prefix}${network.slice(0, 12)} is already using parent interface ${name}`)
    }
    if (this.parents === undefined) {
      throw new NetworkError('unsupported', `there are no interfaces here that a ${this.driver} network could stand on`, {
        fix: `make it without -o parent=${name}: its containers reach each other`
      })
    }
    const subnets = pools.map(({ subnet }) => subnet)
    this.held.set(id, await this.parents.acquire(name, { network: id, driver: this.driver, subnets }))
  }

  async close({ id }: Network): Promise<void> {
    const parent = this.held.get(id)
    if (parent === undefined) return
    this.held.delete(id)
    await this.parents!.release(parent.name, id)
  }
}
