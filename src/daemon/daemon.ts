/**
 * The daemon: makes every part, in order, gives each what it needs, and ends them in the opposite order. Whatever was begun is undone
 * when a later step fails.
 *
 *   lock - store - engine - images - networks - containers - routes - listeners
 */
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { containerRoutes } from '../api/container-routes.ts'
import { execRoutes } from '../api/exec-routes.ts'
import { Filters } from '../api/filters.ts'
import { imageSummary } from '../api/image-json.ts'
import { imageRoutes } from '../api/image-routes.ts'
import { inspectionRoutes } from '../api/inspection-routes.ts'
import type { Logger } from '../api/logger.ts'
import { networkRoutes } from '../api/network-routes.ts'
import { outsideRoutes } from '../api/outside-routes.ts'
import { Router } from '../api/router.ts'
import { ApiServer } from '../api/server.ts'
import { systemRoutes } from '../api/system-routes.ts'
import { ContainerRegistry } from '../docker/container/container-registry.ts'
import { ContainerService } from '../docker/container/container-service.ts'
import { EventLog } from '../docker/event-log.ts'
import { Attachments } from '../docker/network/attachments.ts'
import { ContainerNetworkService } from '../docker/network/container-network-service.ts'
import { DockerNetworkBackend } from '../docker/network/network-backend.ts'
import { NetworkService } from '../docker/network/network-service.ts'
import { RealClock, realTimers } from '../engine/clock.ts'
import { freshSeed, Random } from '../engine/index.ts'
import { ImageStore } from '../image/image-store.ts'
import { AddressSpace } from '../ipam/address-space.ts'
import { NetworkController } from '../network/controller.ts'
import { Inspection } from '../network/inspection.ts'
import { ThreadedEngine } from '../network/threaded-engine.ts'
import { CrashingStore, type CrashPoint } from '../store/crashing-store.ts'
import { LmdbStore } from '../store/lmdb-store.ts'
import { checkSchema } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import type { DaemonConfig } from './daemon-config.ts'
import { type Directories, makeDirectories } from './directories.ts'
import { Forwarding } from './forwarding.ts'
import { hostPrefixes } from './host-prefixes.ts'
import { listenOn, readHosts } from './listeners.ts'
import { makeUplink } from './make-uplink.ts'
import { hostFiles } from './name-servers.ts'
import { StateLock } from './state-lock.ts'
import { SystemService } from './system-service.ts'
import { isOnHost } from './uplink-setting.ts'

export interface DaemonOptions {
  readonly config: DaemonConfig
  readonly logger: Logger
  /** netloom's own. */
  readonly version: string
  /** Where sockets of shims may go when the path of the state directory is too long for them. */
  readonly runtimeDirectory: string
  /** For crash tests. */
  readonly crashPoint?: CrashPoint | undefined
  /** Told when the daemon cannot go on: the engine ended by a defect. */
  readonly onFailure: (error: Error) => void
}

/** What Docker's services stand on. */
interface Ground {
  readonly directories: Directories
  readonly store: Store
  readonly clock: RealClock
  readonly events: EventLog
  readonly images: ImageStore
}

type SystemParts = Omit<Ground, 'directories'> & { readonly containers: ContainerService }

/** More than the ten seconds that a container has by default, less than a service manager waits. */
const SHUTDOWN_MS = 60_000

type Undo = () => Promise<void> | void

export class Daemon {
  private readonly options: DaemonOptions
  /** What is to be ended, the last one first. */
  private readonly undo: Undo[] = []
  private keepContainers = true
  private stopping: Promise<void> | null = null

  private constructor(options: DaemonOptions) {
    this.options = options
  }

  /** Resolves when all hosts take connections. Rejects with DaemonError, StoreError or the system's errors; nothing is left then. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(options)
    try {
      await daemon.begin()
      return daemon
    } catch (error) {
      await daemon.end()
      throw error
    }
  }

  /** Ends all that was started; containers too, unless they are to be found again by the next daemon. */
  stop({ keepContainers = false }: { keepContainers?: boolean } = {}): Promise<void> {
    this.keepContainers = keepContainers
    this.stopping ??= this.end()
    return this.stopping
  }

  private async begin(): Promise<void> {
    const { config, logger } = this.options
    const { addresses, tls } = readHosts(config)
    const directories = makeDirectories(config['state-dir'], this.options.runtimeDirectory)
    const lock = StateLock.acquire(directories.state)
    this.undo.push(() => lock.release())
    const store = await this.openStore(directories)
    const clock = new RealClock()
    const events = new EventLog(clock)
    const images = await this.openImages(directories.images, store, clock, events)
    const { router, containers } = await this.openDocker({ directories, store, clock, events, images })
    systemRoutes(router, await this.openSystem({ store, clock, events, images, containers }))
    outsideRoutes(router)

    const server = new ApiServer(router, logger)
    this.undo.push(() => server.close())
    for (const address of addresses) await listenOn(server, address, config.group, tls, logger)
  }

  /** Networks and containers, with all that the store has of them, and their routes. */
  private async openDocker({
    directories,
    store,
    clock,
    events,
    images
  }: Ground): Promise<{ router: Router; containers: ContainerService }> {
    const { config, logger } = this.options
    const log = (message: string): void => logger.warn(message)
    // Ids and names; nobody should foresee them.
    const random = new Random(freshSeed())
    const files = hostFiles(config, directories.state)
    const forwarding = new Forwarding(config.dns)
    this.undo.push(() => forwarding.close())
    const controller = await this.startEngine(random, forwarding, directories.state)
    const networks = await NetworkService.open({ store, controller, events, clock, random, log })
    const registry = new ContainerRegistry()
    const networking = new ContainerNetworkService({
      networks,
      controller,
      containers: registry,
      random,
      hostFiles: files,
      ...(!isOnHost(config.uplink) && { probe: async () => undefined }),
      log
    })
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
    const attachments = new Attachments({ networks, controller, random })
    this.undo.push(() => attachments.close())

    const router = new Router()
    networkRoutes(router, new DockerNetworkBackend({ networks, containerNetworks: networking, containers: registry, attachments }))
    containerRoutes(router, containers)
    execRoutes(router, containers)
    imageRoutes(router, images)
    inspectionRoutes(router, new Inspection(controller))
    return { router, containers }
  }

  private openSystem({ store, clock, events, images, containers }: SystemParts): Promise<SystemService> {
    const { config, logger, version } = this.options
    const all = { all: true, limit: 0, size: true, filters: new Filters() }
    return SystemService.open({
      store,
      clock,
      events,
      stateDirectory: config['state-dir'],
      liveRestore: config['live-restore'],
      isDebug: () => logger.level === 'debug',
      version,
      inventory: async () => ({ ...containers.counts(), images: images.list().length }),
      diskUsage: async () => ({
        images: images.list().map((image) => imageSummary(image)),
        containers: await containers.list(all),
        layersSize: images.usedBytes()
      })
    })
  }

  /** A container that cannot be ended must not hold the daemon: the next one finds it. */
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

  /** The engine's thread, and the control plane over it. */
  private async startEngine(random: Random, forwarding: Forwarding, state: string): Promise<NetworkController> {
    const { config, logger, onFailure } = this.options
    const engine = new ThreadedEngine({ seed: freshSeed(), onCrash: onFailure })
    this.undo.push(() => engine.close())
    // The first answer says that the engine is there.
    await engine.framesInUse()
    const pools = config['default-address-pools']
    const addresses = new AddressSpace(pools.length > 0 ? pools : undefined)
    const uplink = makeUplink(config.uplink, state)
    const controller = new NetworkController({
      engine,
      addresses,
      random,
      forward: (request) => forwarding.forward(request),
      avoid: hostPrefixes,
      // As Docker's server answers.
      dns: { edns: false, exactZones: true },
      ...(uplink !== undefined && { uplink }),
      log: (message) => logger.warn(message)
    })
    this.undo.push(() => controller.closeUplink())
    await controller.start()
    return controller
  }

  private async openImages(directory: string, store: Store, clock: RealClock, events: EventLog): Promise<ImageStore> {
    const { config, version } = this.options
    const images = await ImageStore.open({ directory, store, clock, version, hostImages: config['host-images'], imageTable: config.images })
    images.onEvent = (action, image, name) =>
      events.publish('image', action, { id: image.id, attributes: { ...image.config.Labels, name } })
    return images
  }

  private async openStore({ state, containers }: Directories): Promise<Store> {
    const { crashPoint } = this.options
    const onDisk = LmdbStore.open(path.join(state, 'state.mdb'))
    this.undo.push(() => onDisk.close())
    const store = crashPoint === undefined ? onDisk : new CrashingStore(onDisk, crashPoint)
    const kept = existsSync(containers) ? readdirSync(containers).length : 0
    await checkSchema(store, kept === 0 ? undefined : `${containers} holds ${kept} of its containers`)
    return store
  }

  /** Every step, whatever became of those before it. */
  private async end(): Promise<void> {
    const { logger } = this.options
    logger.debug('ending', { keepContainers: this.keepContainers })
    for (let undo = this.undo.pop(); undo !== undefined; undo = this.undo.pop()) {
      try {
        await undo()
      } catch (error) {
        logger.error('a part of the daemon did not end well', { error })
      }
    }
  }
}
