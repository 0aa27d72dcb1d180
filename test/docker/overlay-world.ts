// Two Docker hosts of one cluster in one process: networks and containers of the real services, virtual interfaces, a store in memory.
import { Cluster } from '../../src/cluster/cluster.ts'
import { ClusterError } from '../../src/cluster/cluster-error.ts'
import { MemoryClusterServer, MemoryClusterStore, type MemoryLink } from '../../src/cluster/memory-cluster-store.ts'
import { EventLog } from '../../src/docker/event-log.ts'
import { NetworkService } from '../../src/docker/network/network-service.ts'
import { type Eviction, OverlayNetworks } from '../../src/docker/network/overlay-networks.ts'
import { keptEndpoints, keptOverlays } from '../../src/docker/network/overlay-records.ts'
import { RealClock, realTimers } from '../../src/engine/clock.ts'
import { Random } from '../../src/engine/index.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'
import { type OverlayHost, OverlayHosts } from '../network/overlay-hosts.ts'
import { ContainerWorld, VirtualInterfaces } from './container-world.ts'

/** Between a host and the store. */
class CuttableLink implements MemoryLink {
  private isCut = false
  private readonly lost = new Set<(error: ClusterError) => void>()

  async call<T>(request: () => T): Promise<T> {
    if (this.isCut) throw new ClusterError('unavailable', 'the cable is out')
    return request()
  }

  stream(lose: (error: ClusterError) => void): ReturnType<MemoryLink['stream']> {
    this.lost.add(lose)
    return { send: (message) => queueMicrotask(() => this.isCut || message()), end: () => this.lost.delete(lose) }
  }

  cut(): void {
    this.isCut = true
    for (const lose of [...this.lost]) lose(new ClusterError('unavailable', 'the cable is out'))
  }

  heal(): void {
    this.isCut = false
  }
}

export class OverlayWorld {
  readonly server = new MemoryClusterServer(realTimers)
  private readonly hosts = new OverlayHosts()

  /** `number` 1 or 2. With a store that was used before: the daemon's next start. `isCut`: it does not reach the cluster's store. */
  async host(number: number, store = new MemoryStore(), { isCut = false, vxlanPort = 4789 } = {}): Promise<DockerHostWorld> {
    const link = new CuttableLink()
    if (isCut) link.cut()
    return DockerHostWorld.open(await this.hosts.host(number), { number, link, server: this.server, store, vxlanPort })
  }
}

interface HostWorldOptions {
  readonly number: number
  readonly link: CuttableLink
  readonly server: MemoryClusterServer
  readonly store: MemoryStore
  readonly vxlanPort: number
}

export class DockerHostWorld {
  readonly containers: ContainerWorld
  readonly networks: NetworkService
  readonly cluster: Cluster
  readonly host: OverlayHost
  readonly link: CuttableLink
  onEvicted: Eviction = (network, endpoint) => this.containers.service.evict(network, endpoint)

  private constructor(host: OverlayHost, cluster: Cluster, link: CuttableLink, networks: NetworkService, containers: ContainerWorld) {
    this.host = host
    this.cluster = cluster
    this.link = link
    this.networks = networks
    this.containers = containers
  }

  static async open(host: OverlayHost, { number, link, server, store, vxlanPort }: HostWorldOptions): Promise<DockerHostWorld> {
    const { controller, driver } = host
    const random = new Random(`docker${number}`)
    const logged: string[] = []
    const log = (message: string): unknown => logged.push(message)
    const overlays = new OverlayNetworks({ controller, driver, avoid: () => ['10.0.0.0/24'], kept: keptOverlays(store), log })
    let cluster!: Cluster
    await overlays.open(async (onChange) => {
      const self = { id: `id-${number}`, name: `dk${number}`, address: host.address, vxlanPort }
      const quiet = { info: () => {}, warn: () => {} }
      const options = { store: new MemoryClusterStore(server, link), timers: realTimers, random, log: quiet, self, onChange }
      cluster = await Cluster.join({ ...options, keep: keptEndpoints(store) })
      return cluster
    })
    const clock = new RealClock()
    const events = new EventLog(clock)
    const networks = await NetworkService.open({ store, controller, events, clock, random, log, overlays })
    const close = async (): Promise<void> => cluster.close()
    const world = { controller, events, networks, store, random, clock, logged, close }
    const containers = new ContainerWorld(world, { interfaces: new VirtualInterfaces(controller) })
    const hostWorld = new DockerHostWorld(host, cluster, link, networks, containers)
    overlays.onEvicted = (network, endpoint) => hostWorld.onEvicted(network, endpoint)
    return hostWorld
  }

  /** As a daemon that is killed: its containers keep what they have. */
  async end(): Promise<void> {
    await this.cluster.close()
    await this.host.end()
  }

  async overlay(name: string, ...subnets: string[]): Promise<string> {
    const Config = subnets.map((Subnet) => ({ Subnet }))
    return (await this.networks.create({ Name: name, CheckDuplicate: true, Driver: 'overlay', IPAM: { Config } })).Id
  }

  async run(name: string, network: string, more: { ip?: string; aliases?: string[] } = {}) {
    const config = { ...(more.ip !== undefined && { IPAMConfig: { IPv4Address: more.ip } }), Aliases: more.aliases ?? null }
    return this.containers.run(name, { HostConfig: { NetworkMode: network }, NetworkingConfig: { EndpointsConfig: { [network]: config } } })
  }

  /** Owner's kind, name and address of each endpoint, as inspect lists them. */
  async listed(network: string): Promise<string[]> {
    await this.networks.sync()
    const { Containers } = this.networks.inspect(network)
    return Object.entries(Containers)
      .map(([owner, { Name, IPv4Address }]) => `${owner.startsWith('ep-') ? 'ep' : 'id'} ${Name} ${IPv4Address}`)
      .sort()
  }
}
