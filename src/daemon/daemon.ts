/**
 * The daemon: a process with one Docker host. Makes the parts in order, gives each what it needs, and ends them in the opposite order.
 * Whatever was begun is undone when a later step fails.
 *
 *   lock - store - engine - Docker host - listeners
 */
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import type { Logger } from '../api/logger.ts'
import { RealClock } from '../engine/clock.ts'
import { freshSeed } from '../engine/index.ts'
import { loadNative } from '../io/load-native.ts'
import type { EngineHost } from '../network/engine-host.ts'
import { HostParents } from '../network/parents/host-parents.ts'
import { ThreadedEngine } from '../network/threaded-engine.ts'
import { CrashingStore, type CrashPoint } from '../store/crashing-store.ts'
import { LmdbStore } from '../store/lmdb-store.ts'
import { checkSchema } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import { clusterMembership } from './cluster-membership.ts'
import type { DaemonConfig } from './daemon-config.ts'
import { type Directories, makeDirectories } from './directories.ts'
import { DockerHost } from './docker-host.ts'
import { hostPrefixes } from './host-prefixes.ts'
import { readHosts } from './listeners.ts'
import { removeLeftUnderlay } from './make-underlay.ts'
import { makeUplink, removeLeftUplink } from './make-uplink.ts'
import { StateLock } from './state-lock.ts'
import { UndoStack } from './undo-stack.ts'
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

export class Daemon {
  private readonly options: DaemonOptions
  private readonly undo: UndoStack
  private readonly seed = freshSeed()
  private keepContainers = true
  private stopping: Promise<void> | null = null

  private constructor(options: DaemonOptions) {
    this.options = options
    this.undo = new UndoStack((error) => options.logger.error('a part of the daemon did not end well', { error }))
  }

  /** Resolves when all hosts take connections. Rejects with DaemonError, StoreError or the system's errors; nothing is left then. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(options)
    try {
      await daemon.begin()
      return daemon
    } catch (error) {
      await daemon.undo.run()
      throw error
    }
  }

  /** Ends all that was started; containers too, unless they are to be found again by the next daemon. */
  stop({ keepContainers = false }: { keepContainers?: boolean } = {}): Promise<void> {
    this.keepContainers = keepContainers
    this.options.logger.debug('ending', { keepContainers })
    this.stopping ??= this.undo.run()
    return this.stopping
  }

  private async begin(): Promise<void> {
    const { config, logger, version } = this.options
    const { addresses, tls } = readHosts(config)
    const directories = makeDirectories(config['state-dir'], this.options.runtimeDirectory)
    const lock = StateLock.acquire(directories.state)
    this.undo.push(() => lock.release())
    const store = await this.openStore(directories)
    const engine = await this.startEngine(config)
    const parents = await this.openParents(engine, directories)
    const uplink = makeUplink(config.uplink, directories.state, process.getuid?.() === 0)
    await removeLeftUplink(config.uplink, directories.state, (message) => logger.warn(message))
    await removeLeftUnderlay({ native: loadNative(), stateDirectory: directories.state, log: (message) => logger.warn(message) })
    const cluster = clusterMembership(config, directories.state, (message) => logger.warn(message))
    const host = await DockerHost.open({
      config,
      logger,
      version,
      directories,
      store,
      clock: new RealClock(),
      engine,
      seed: this.seed,
      uplink,
      parents,
      avoid: hostPrefixes,
      ...(cluster !== undefined && { cluster }),
      publishesOnMachine: () => isOnHost(uplink?.kind)
    })
    this.undo.push(() => host.close({ keepContainers: this.keepContainers }))
    for (const address of addresses) await host.listen(address, tls)
    logger.info('ready', { uplink: uplink?.kind ?? config.uplink })
  }

  private async startEngine({ realtime }: DaemonConfig): Promise<ThreadedEngine> {
    const engine = new ThreadedEngine({ seed: this.seed, onCrash: this.options.onFailure })
    this.undo.push(() => engine.close())
    // The first answer says that the engine is there.
    await engine.framesInUse()
    if (realtime) await engine.makeRealtime()
    return engine
  }

  private async openParents(engine: EngineHost, { state }: Directories): Promise<HostParents> {
    const { logger } = this.options
    const native = loadNative()
    const parents = new HostParents({ native, engine, stateDirectory: state, log: (message) => logger.warn(message) })
    this.undo.push(() => parents.close())
    await parents.start()
    return parents
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
}
