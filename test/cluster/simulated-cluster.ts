// Daemons of one cluster in one process, on virtual time: the real Cluster over a store in memory.
import { Cluster, type ClusterOptions } from '../../src/cluster/cluster.ts'
import type { ClusterEndpointSpec } from '../../src/cluster/cluster-records.ts'
import type { ClusterStore } from '../../src/cluster/cluster-store.ts'
import type { ClusterChange } from '../../src/cluster/cluster-view.ts'
import { MemoryClusterServer, MemoryClusterStore } from '../../src/cluster/memory-cluster-store.ts'
import { Random } from '../../src/engine/random.ts'
import { type LinkOptions, SimulatedLink } from './simulated-link.ts'
import { VirtualTimers } from './virtual-timers.ts'

export interface SimulationOptions {
  readonly seed: number | string
  readonly delay?: LinkOptions['delay']
  readonly loss?: number
}

export interface Daemon {
  readonly cluster: Cluster
  readonly link: SimulatedLink
  readonly store: ClusterStore
  readonly changes: ClusterChange[]
  readonly warnings: string[]
}

export class SimulatedCluster {
  readonly timers = new VirtualTimers()
  readonly server = new MemoryClusterServer(this.timers)
  readonly random: Random
  /** Of requests and of answers; may be changed at any time. */
  loss: number
  private readonly options: SimulationOptions
  private endpointCount = 0

  constructor(options: SimulationOptions) {
    this.options = options
    this.random = new Random(options.seed)
    this.loss = options.loss ?? 0
  }

  /** `rate`: how fast the daemon's clock runs. */
  async start(
    name: string,
    more: Partial<ClusterOptions> & { rate?: number; wrap?: (store: ClusterStore) => ClusterStore } = {}
  ): Promise<Daemon> {
    const { rate = 1, wrap = (store) => store, ...options } = more
    const { delay = [0.2, 2] } = this.options
    const link = new SimulatedLink({ timers: this.timers, random: this.random.fork(name), delay, loss: () => this.loss })
    const timers = this.timers.drifting(rate)
    const changes: ClusterChange[] = []
    const warnings: string[] = []
    const store = wrap(new MemoryClusterStore(this.server, link, timers))
    const cluster = await this.timers.finish(
      Cluster.join({
        store,
        timers,
        random: this.random.fork(`${name}/cluster`),
        log: { info: () => {}, warn: (message) => warnings.push(message) },
        self: { id: `id-${name}`, name, address: `192.0.2.${Number(name.replace(/\D/g, '')) || 1}` },
        onChange: (change) => changes.push(change),
        ...options
      })
    )
    return { cluster, link, store, changes, warnings }
  }

  network(name: string, subnet?: string): Parameters<Cluster['createNetwork']>[0] {
    return { id: `net-${name}`, name, subnets: [subnet === undefined ? {} : { subnet }], detail: {} }
  }

  /** What a daemon does for a container: an address, a VNI, an endpoint. */
  async plug({ cluster }: Daemon, networkId: string, name: string, wanted?: string): Promise<ClusterEndpointSpec> {
    const { subnet } = cluster.networks().get(networkId)!.subnets[0]
    const address = await cluster.requestAddress(networkId, subnet, wanted)
    const spec: ClusterEndpointSpec = {
      id: `endpoint-${++this.endpointCount}`,
      networkId,
      name,
      names: [name],
      address,
      subnet,
      mac: '02:42:00:00:00:01'
    }
    try {
      await cluster.vni(networkId, subnet)
      await cluster.addEndpoint(spec)
      return spec
    } catch (error) {
      await cluster.releaseAddress(networkId, subnet, address).catch(() => {})
      throw error
    }
  }

  /** Time passes until the work is done. */
  run<T>(work: Promise<T>): Promise<T> {
    return this.timers.finish(work)
  }
}
