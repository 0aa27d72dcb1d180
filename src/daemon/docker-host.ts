/**
 * One Docker host: networks, containers, images and the API that serves them, on an engine, a store and a directory that it is given.
 * A daemon has one of these, an emulated lab several on one engine.
 *
 *   images - networks - containers - routes - listeners
 */
import { hostname } from 'node:os'
import { captureRoutes } from '../api/capture-routes.ts'
import { containerRoutes } from '../api/container-routes.ts'
import { execRoutes } from '../api/exec-routes.ts'
import { Filters } from '../api/filters.ts'
import { imageUsage } from '../api/image-json.ts'
import { imageRoutes } from '../api/image-routes.ts'
import { inspectionRoutes } from '../api/inspection-routes.ts'
import { linkRoutes } from '../api/link-routes.ts'
import type { Logger } from '../api/logger.ts'
import { networkRoutes } from '../api/network-routes.ts'
import { outsideRoutes } from '../api/outside-routes.ts'
import { replayRoutes } from '../api/replay-routes.ts'
import { Router } from '../api/router.ts'
import { ApiServer, type TlsCredentials } from '../api/server.ts'
import { systemRoutes } from '../api/system-routes.ts'
import { traceRoutes } from '../api/trace-routes.ts'
import { Cluster } from '../cluster/cluster.ts'
import type { ClusterEndpointSpec, ClusterHost } from '../cluster/cluster-records.ts'
import type { ClusterStore } from '../cluster/cluster-store.ts'
import { DOCKER_DNS } from '../dns/dns-options.ts'
import { ContainerRegistry } from '../docker/container/container-registry.ts'
import { ContainerService } from '../docker/container/container-service.ts'
import { EventLog } from '../docker/event-log.ts'
import { Attachments } from '../docker/network/attachments.ts'
import { ContainerNetworkService } from '../docker/network/container-network-service.ts'
import { DockerNetworkBackend } from '../docker/network/network-backend.ts'
import { NetworkService } from '../docker/network/network-service.ts'
import { OverlayNetworks } from '../docker/network/overlay-networks.ts'
import { keptEndpoints, keptOverlays } from '../docker/network/overlay-records.ts'
import { type RealClock, realTimers } from '../engine/clock.ts'
import { freshSeed, Random } from '../engine/index.ts'
import { ImageStore } from '../image/image-store.ts'
import { AddressSpace } from '../ipam/address-space.ts'
import { captureFilter } from '../lab/capture-filter.ts'
import { CaptureControl } from '../network/capture-control.ts'
import { NetworkController } from '../network/controller.ts'
import type { Driver } from '../network/driver.ts'
import { IpvlanDriver } from '../network/drivers/ipvlan-driver.ts'
import { MacvlanDriver } from '../network/drivers/macvlan-driver.ts'
import { OverlayDriver } from '../network/drivers/overlay-driver.ts'
import type { EmulatedCables } from '../network/emulated/emulated-cables.ts'
import type { EngineHost } from '../network/engine-host.ts'
import { Inspection } from '../network/inspection.ts'
import { LinkControl } from '../network/link-control.ts'
import type { ParentInterfaces } from '../network/parents.ts'
import type { Underlay } from '../network/underlay.ts'
import type { Uplink } from '../network/uplink.ts'
import { ReplayControl } from '../replay/replay-control.ts'
import { streamSource } from '../replay/replay-source.ts'
import type { Store } from '../store/store.ts'
import { CaptureService, captureSection } from './capture-service.ts'
import type { DaemonConfig } from './daemon-config.ts'
import { daemonId } from './daemon-id.ts'
import { DaemonTraces } from './daemon-traces.ts'
import type { Directories } from './directories.ts'
import { Forwarding } from './forwarding.ts'
import type { HostAddress } from './host-address.ts'
import { listenOn } from './listeners.ts'
import { hostFiles } from './name-servers.ts'
import { SystemService } from './system-service.ts'
import { UndoStack } from './undo-stack.ts'

/** How a host is one of a cluster. */
export interface ClusterMembership {
  /** Closed with the host. */
  readonly store: ClusterStore
  /** One for each time that it is opened. */
  readonly underlay: () => Underlay
  /** Of this host on the underlay: where the others send encapsulated frames. */
  readonly address: string
  /** UDP port of VXLAN, of all hosts; default 4789. */
  readonly vxlanPort?: number
  /** ADDRESS:PORT, as `docker info` shows it. */
  readonly advertise: string
  /** Whether a host whose lease has ended answers all the same; see src/cluster. */
  readonly isReachable?: (host: ClusterHost) => Promise<boolean>
  /** Answers the others that ask so, with this host's id; undefined when it cannot. */
  readonly answerProbes?: (id: string) => Promise<{ close(): Promise<void> } | undefined>
}

export interface DockerHostOptions {
  /** All of it but hosts, certificates and uplink: those are the caller's. */
  readonly config: DaemonConfig
  readonly logger: Logger
  /** netloom's own. */
  readonly version: string
  /** As `docker info` shows it; default: the machine's. */
  readonly name?: string
  readonly directories: Directories
  readonly store: Store
  readonly clock: RealClock
  readonly engine: EngineHost
  /** Of the engine, for captures of the host's own. */
  readonly seed?: number | string
  /** The way out; undefined: no router. */
  readonly uplink: Uplink | undefined
  /** Prefixes that automatic subnets must not touch. */
  readonly avoid: () => readonly string[] | Promise<readonly string[]>
  /** Whether published ports are the machine's own, which others may have taken; asked when the uplink has started. */
  readonly publishesOnMachine: () => boolean
  /** Interfaces that macvlan and ipvlan networks stand on; undefined: there are none. */
  readonly parents?: ParentInterfaces
  /** What makes it one of several hosts that share overlay networks; undefined: it is on its own. */
  readonly cluster?: ClusterMembership
  /** Of the lab that it is in: whoever asks for links is told of those too. */
  readonly cables?: EmulatedCables
  /** Captures of the whole lab; undefined: the host has its own. */
  readonly captures?: CaptureControl
}

/** Networks and containers, as long as they are needed by others of this host. */
interface Services {
  readonly router: Router
  readonly containers: ContainerService
}

/** More than the ten seconds that a container has by default, less than a service manager waits. */
const SHUTDOWN_MS = 60_000

export class DockerHost {
  private readonly options: DockerHostOptions
  private readonly undo: UndoStack
  private readonly events: EventLog
  private readonly server: ApiServer
  private readonly router = new Router()
  private keepContainers = false
  /** Where its networks are captured; once it is open. */
  captures: CaptureControl | undefined

  private constructor(options: DockerHostOptions) {
    const { logger, clock } = options
    this.options = options
    this.undo = new UndoStack((error) => logger.error('a part of the host did not end well', { error }))
    this.events = new EventLog(clock)
    this.server = new ApiServer(this.router, logger)
  }

  /** Resolves when everything that the store knows is there again; nobody is served before `listen`. Leaves nothing when it rejects. */
  static async open(options: DockerHostOptions): Promise<DockerHost> {
    const host = new DockerHost(options)
    try {
      await host.begin()
      return host
    } catch (error) {
      await host.close({ keepContainers: true })
      throw error
    }
  }

  /** Serves the API there, too. Throws DaemonError. */
  listen(address: HostAddress, tls: TlsCredentials | undefined): Promise<void> {
    return listenOn(this.server, address, this.options.config.group, tls, this.options.logger)
  }

  /** No more requests; then everything ends, containers too unless they are to be found again. */
  async close({ keepContainers = false }: { keepContainers?: boolean } = {}): Promise<void> {
    this.keepContainers = keepContainers
    await this.undo.run()
  }

  private async begin(): Promise<void> {
    const images = await this.openImages()
    const { router, containers } = await this.openDocker(images)
    systemRoutes(router, await this.openSystem(images, containers))
    outsideRoutes(router, this.options.cluster !== undefined)
    this.undo.push(() => this.server.close())
  }

  /** Networks and containers, with all that the store has of them, and their routes. */
  private async openDocker(images: ImageStore): Promise<Services> {
    const { config, logger, directories, store, clock, publishesOnMachine } = this.options
    const { events, router } = this
    const log = (message: string): void => logger.warn(message)
    // Ids and names; nobody should foresee them.
    const random = new Random(freshSeed())
    const files = hostFiles(config, directories.state)
    const forwarding = new Forwarding(config.dns)
    this.undo.push(() => forwarding.close())
    const driver = this.overlayDriver()
    const controller = await this.openController(random, forwarding, driver === undefined ? [] : [driver])
    const overlays = driver === undefined ? undefined : await this.openOverlays(controller, driver, random)
    const networks = await NetworkService.open({
      store,
      controller,
      events,
      clock,
      random,
      log,
      icc: config.icc,
      ...(overlays !== undefined && { overlays })
    })
    const registry = new ContainerRegistry()
    const networking = new ContainerNetworkService({
      networks,
      controller,
      containers: registry,
      random,
      hostFiles: files,
      ...(!publishesOnMachine() && { probe: async () => undefined }),
      log
    })
    const attachments = new Attachments({ networks, controller, random })
    if (overlays !== undefined)
      overlays.onEvicted = async (network, endpoint) => {
        if (!(await attachments.evict(network, endpoint))) await networking.evict(network, endpoint)
      }
    forwarding.serversOf = (sandbox) => networking.upstream(sandbox)
    const containers = new ContainerService({
      store,
      images,
      directory: directories.containers,
      volumesDirectory: directories.volumes,
      runDirectory: directories.run,
      registry,
      networking,
      events,
      clock,
      timers: realTimers,
      random,
      liveRestore: config['live-restore'],
      log
    })
    containers.load()
    this.undo.push(() => this.stopContainers(containers))
    await containers.restore()
    await networks.reconcile()
    this.undo.push(() => attachments.close())

    networkRoutes(router, new DockerNetworkBackend({ networks, containerNetworks: networking, containers: registry, attachments }))
    containerRoutes(router, containers)
    execRoutes(router, containers)
    imageRoutes(router, images)
    inspectionRoutes(router, new Inspection(controller))
    captureRoutes(router, new CaptureService(this.captures!, this.site))
    linkRoutes(router, new LinkControl(controller, this.options.cables, this.site))
    const replays = new ReplayControl(controller, this.site)
    traceRoutes(router, new DaemonTraces(controller))
    replayRoutes(router, {
      startReplay: async ({ filter, ...wish }, capture) => {
        const program = filter === undefined ? {} : { filter: await captureFilter(filter) }
        return replays.start({ ...wish, ...program }, streamSource(capture))
      }
    })
    return { router, containers }
  }

  /** The control plane over the engine. */
  private async openController(random: Random, forwarding: Forwarding, drivers: readonly Driver[]): Promise<NetworkController> {
    const { config, logger, engine, uplink, avoid, parents } = this.options
    const pools = config['default-address-pools']
    const addresses = new AddressSpace(pools.length > 0 ? pools : undefined)
    const controller = new NetworkController({
      engine,
      addresses,
      random,
      forward: (request) => forwarding.forward(request),
      avoid,
      drivers: [new MacvlanDriver(parents), new IpvlanDriver(parents), ...drivers],
      dns: DOCKER_DNS,
      ...(uplink !== undefined && { uplink }),
      nat: config.nat,
      log: (message) => logger.warn(message)
    })
    this.undo.push(() => controller.closeUplink())
    await controller.start()
    this.openCaptures(controller)
    return controller
  }

  /** What it is called among the hosts of its lab; '' on its own. */
  private get site(): string {
    const { captures, name = hostname() } = this.options
    return captures === undefined ? '' : name
  }

  /** Captures end before what they are of. */
  private openCaptures(controller: NetworkController): void {
    const { captures, engine, version, seed, name = hostname() } = this.options
    if (captures === undefined) {
      const control = new CaptureControl({
        engine,
        section: captureSection(version, `netloom on ${name}${seed === undefined ? '' : `, seed ${seed}`}`)
      })
      control.addHost('', controller)
      this.captures = control
      this.undo.push(() => control.close())
    } else {
      captures.addHost(this.site, controller)
      this.captures = captures
      this.undo.push(() => captures.removeHost(controller))
    }
  }

  private overlayDriver(): OverlayDriver | undefined {
    const { cluster } = this.options
    if (cluster === undefined) return undefined
    const { underlay, address, vxlanPort: port } = cluster
    return new OverlayDriver({ underlay, address, ...(port !== undefined && { port }) })
  }

  /** Joins the cluster; what its store does not answer now, it is asked until it does. */
  private async openOverlays(controller: NetworkController, driver: OverlayDriver, random: Random): Promise<OverlayNetworks> {
    const { config, logger, store, name = hostname() } = this.options
    const cluster = this.options.cluster!
    const { address, vxlanPort, advertise, isReachable } = cluster
    const self = {
      id: (await daemonId(store)).replaceAll(':', '-'),
      name,
      address,
      advertise,
      ...(vxlanPort !== undefined && { vxlanPort })
    }
    // Containers that are ended by this start lose their endpoints, as with Docker.
    const isRestored = config['live-restore']
    const keep: ClusterEndpointSpec[] = isRestored ? keptEndpoints(store) : []
    const kept = isRestored ? keptOverlays(store) : []
    const probe = await cluster.answerProbes?.(self.id)
    if (probe !== undefined) this.undo.push(() => probe.close())
    const log = (message: string): void => logger.warn(message)
    const overlays = new OverlayNetworks({ controller, driver, avoid: this.options.avoid, kept, log })
    await overlays.open(async (onChange) => {
      const options = { store: cluster.store, timers: realTimers, random, log: logger, self, keep, onChange }
      const joined = await Cluster.join({ ...options, ...(isReachable !== undefined && { isReachable }) })
      this.undo.push(() => joined.close())
      return joined
    })
    return overlays
  }

  private async openImages(): Promise<ImageStore> {
    const { config, version, directories, store, clock } = this.options
    const hostImages = config['host-images']
    const images = await ImageStore.open({ directory: directories.images, store, clock, version, hostImages, imageTable: config.images })
    images.onEvent = (action, image, name) =>
      this.events.publish('image', action, { id: image.id, attributes: { ...image.config.Labels, name } })
    return images
  }

  private openSystem(images: ImageStore, containers: ContainerService): Promise<SystemService> {
    const { config, logger, version, directories, store, clock, name, cluster } = this.options
    const all = { all: true, limit: 0, size: true, filters: new Filters() }
    return SystemService.open({
      store,
      clock,
      events: this.events,
      stateDirectory: directories.state,
      liveRestore: config['live-restore'],
      isDebug: () => logger.level === 'debug',
      version,
      ...(name !== undefined && { name }),
      ...(cluster !== undefined && { cluster: { store: cluster.store.name, advertise: cluster.advertise } }),
      inventory: async () => ({ ...containers.counts(), images: images.list().length }),
      diskUsage: async () => {
        const [list, made] = [images.list(), await containers.list(all)]
        const users = (id: string): number => made.filter(({ ImageID }) => ImageID === id).length
        return { images: list.map((image) => imageUsage(image, list, users(image.id))), containers: made, layersSize: images.usedBytes() }
      }
    })
  }

  /** A container that cannot be ended must not hold the host: the next one finds it. */
  private async stopContainers(containers: ContainerService): Promise<void> {
    let cancel = (): void => {}
    const patience = new Promise<boolean>((resolve) => {
      cancel = realTimers.after(SHUTDOWN_MS, () => resolve(false))
    })
    const stopped = containers.shutdown({ stopContainers: !this.keepContainers }).then(() => true)
    try {
      if (!(await Promise.race([stopped, patience]))) this.options.logger.error('containers did not end in time', { ms: SHUTDOWN_MS })
    } finally {
      cancel()
    }
  }
}
