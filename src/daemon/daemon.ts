/**
 * The daemon: makes every part, in order, gives each what it needs, and ends them in the opposite order. Whatever was begun is undone
 * when a later step fails.
 *
 *   lock - store - engine - images - networks - containers - routes - listeners
 */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { ApiError } from '../api/api-error.ts'
import { containerRoutes } from '../api/container-routes.ts'
import { execRoutes } from '../api/exec-routes.ts'
import { imageSummary } from '../api/image-json.ts'
import { imageRoutes } from '../api/image-routes.ts'
import type { Logger } from '../api/logger.ts'
import { networkRoutes } from '../api/network-routes.ts'
import { outsideRoutes } from '../api/outside-routes.ts'
import { Router } from '../api/router.ts'
import { ApiServer } from '../api/server.ts'
import { systemRoutes } from '../api/system-routes.ts'
import { ContainerRegistry } from '../docker/container/container-registry.ts'
import { ContainerService, type ContainerServiceOptions } from '../docker/container/container-service.ts'
import { EventLog } from '../docker/event-log.ts'
import { ContainerNetworkService } from '../docker/network/container-network-service.ts'
import { NetworkService } from '../docker/network/network-service.ts'
import { RealClock, realTimers } from '../engine/clock.ts'
import { freshSeed, Random } from '../engine/index.ts'
import { ImageStore } from '../image/image-store.ts'
import { AddressSpace } from '../ipam/address-space.ts'
import { hostForwarder } from '../lab/host-forwarder.ts'
import { type ForwardNames, NetworkController } from '../network/controller.ts'
import { ThreadedEngine } from '../network/threaded-engine.ts'
import { CrashingStore, type CrashPoint } from '../store/crashing-store.ts'
import { LmdbStore } from '../store/lmdb-store.ts'
import { checkSchema } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import type { DaemonConfig } from './daemon-config.ts'
import { hostPrefixes } from './host-prefixes.ts'
import { listenOn, readHosts } from './listeners.ts'
import { StateLock } from './state-lock.ts'
import { SystemService } from './system-service.ts'

export interface DaemonOptions {
  readonly config: DaemonConfig
  readonly logger: Logger
  /** netloom's own. */
  readonly version: string
  /** For crash tests. */
  readonly crashPoint?: CrashPoint | undefined
  /** Told when the daemon cannot go on: the engine ended by a defect. */
  readonly onFailure: (error: Error) => void
}

type ContainerParts = Omit<ContainerServiceOptions, 'directory' | 'volumesDirectory' | 'runDirectory' | 'liveRestore'>

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
    const stateDirectory = config['state-dir']
    mkdirSync(stateDirectory, { recursive: true, mode: 0o711 })
    const lock = StateLock.acquire(stateDirectory)
    this.undo.push(() => lock.release())
    const store = await this.openStore(stateDirectory)
    const clock = new RealClock()
    const events = new EventLog(clock)
    const log = (message: string): void => logger.warn(message)
    const images = await this.openImages(stateDirectory, store, clock, events)
    // Ids and names; nobody should foresee them.
    const random = new Random(freshSeed())
    const controller = await this.startEngine(random)
    const networks = await NetworkService.open({ store, controller, events, clock, random, log })
    const registry = new ContainerRegistry()
    const networking = new ContainerNetworkService({ networks, controller, containers: registry, random, log })
    const parts = { store, images, registry, networking, events, clock, timers: realTimers, random, log }
    const containers = await this.openContainers(stateDirectory, parts)
    // Endpoints that no container claimed are those of containers that a killed daemon left half-made.
    await networks.reconcile()

    const router = new Router()
    const later = async (): Promise<never> => {
      throw ApiError.notImplemented('not built yet')
    }
    networkRoutes(router, {
      list: (filters) => networks.list(filters),
      inspect: (reference, scope) => networks.inspect(reference, scope),
      create: (request) => networks.create(request),
      remove: (reference) => networks.remove(reference),
      prune: (filters) => networks.prune(filters),
      connect: (network, container, config) => containers.connect(network, container, config),
      disconnect: (network, container, force) => containers.disconnect(network, container, force),
      attach: later,
      detach: later
    })
    containerRoutes(router, containers)
    execRoutes(router, containers)
    imageRoutes(router, images)
    const system = await SystemService.open({
      store,
      clock,
      events,
      stateDirectory,
      liveRestore: config['live-restore'],
      isDebug: () => logger.level === 'debug',
      version: this.options.version,
      inventory: async () => ({ ...containers.counts(), images: images.list().length }),
      diskUsage: async () => ({ images: images.list().map((image) => imageSummary(image)), containers: [], layersSize: images.usedBytes() })
    })
    systemRoutes(router, system)
    outsideRoutes(router)

    const server = new ApiServer(router, logger)
    this.undo.push(() => server.close())
    for (const address of addresses) await listenOn(server, address, config.group, tls, logger)
  }

  /** The engine's thread, and the control plane over it. */
  private async startEngine(random: Random): Promise<NetworkController> {
    const { config, onFailure } = this.options
    const engine = new ThreadedEngine({ seed: freshSeed(), onCrash: onFailure })
    this.undo.push(() => engine.close())
    // The first answer says that the engine is there.
    await engine.framesInUse()
    const pools = config['default-address-pools']
    const addresses = new AddressSpace(pools.length > 0 ? pools : undefined)
    const forwarder = hostForwarder(undefined)
    this.undo.push(() => forwarder.close())
    const forward: ForwardNames = ({ query, tcp }) => forwarder.forward(query, tcp)
    return new NetworkController({ engine, addresses, random, forward, avoid: hostPrefixes })
  }

  private async openImages(stateDirectory: string, store: Store, clock: RealClock, events: EventLog): Promise<ImageStore> {
    const { config, version } = this.options
    const directory = path.join(stateDirectory, 'images')
    const images = await ImageStore.open({ directory, store, clock, version, hostImages: config['host-images'], imageTable: config.images })
    images.onEvent = (action, image, name) =>
      events.publish('image', action, { id: image.id, attributes: { ...image.config.Labels, name } })
    return images
  }

  private async openContainers(stateDirectory: string, parts: ContainerParts): Promise<ContainerService> {
    const [directory, volumesDirectory, runDirectory] = ['containers', 'volumes', 'run'].map((name) => path.join(stateDirectory, name)) as [
      string,
      string,
      string
    ]
    const liveRestore = this.options.config['live-restore']
    const containers = new ContainerService({ ...parts, directory, volumesDirectory, runDirectory, liveRestore })
    this.undo.push(() => containers.shutdown({ stopContainers: !this.keepContainers }))
    containers.load()
    await containers.restore()
    return containers
  }

  private async openStore(stateDirectory: string): Promise<Store> {
    const { crashPoint } = this.options
    const onDisk = LmdbStore.open(path.join(stateDirectory, 'state.mdb'))
    this.undo.push(() => onDisk.close())
    const store = crashPoint === undefined ? onDisk : new CrashingStore(onDisk, crashPoint)
    await checkSchema(store)
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
