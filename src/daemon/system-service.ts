import { release } from 'node:os'
import type { EventSource, SystemBackend } from '../api/system-backend.ts'
import { API_VERSION, ENGINE_VERSION, MIN_API_VERSION } from '../api/version.ts'
import type { EventLog } from '../docker/event-log.ts'
import type { Clock } from '../engine/clock.ts'
import type { Store } from '../store/store.ts'
import { daemonId } from './daemon-id.ts'
import { goArchitecture, machineInfo } from './machine.ts'

/** What there is at this moment. */
export interface Inventory {
  readonly running: number
  readonly paused: number
  readonly stopped: number
  readonly images: number
}

export interface SystemServiceOptions {
  readonly store: Store
  readonly clock: Clock
  readonly events: EventLog
  readonly stateDirectory: string
  readonly liveRestore: boolean
  readonly isDebug: () => boolean
  /** netloom's own. */
  readonly version: string
  /** Default: the machine's. */
  readonly name?: string
  /** The cluster that it is in; undefined: none. */
  readonly cluster?: { readonly store: string; readonly advertise: string }
  readonly inventory: () => Promise<Inventory>
  readonly diskUsage: () => Promise<{ images: unknown[]; containers: unknown[]; layersSize: number }>
}

/**
 * What the daemon tells of itself. Where Docker's members are about things that netloom does not have (plugins of logging, swarm,
 * registries), they say so in the way that Docker would without them.
 */
export class SystemService implements SystemBackend {
  private readonly options: SystemServiceOptions
  private readonly id: string

  private constructor(options: SystemServiceOptions, id: string) {
    this.options = options
    this.id = id
  }

  static async open(options: SystemServiceOptions): Promise<SystemService> {
    return new SystemService(options, await daemonId(options.store))
  }

  get events(): EventSource {
    return this.options.events
  }

  now(): bigint {
    const { clock } = this.options
    return clock.epochNs + BigInt(clock.now())
  }

  version(): Record<string, unknown> {
    const { version } = this.options
    const common = { Os: 'linux', Arch: goArchitecture(), KernelVersion: release() }
    const build = { GitCommit: `netloom-${version}`, GoVersion: `none (node ${process.version})`, BuildTime: '' }
    const details = { ApiVersion: API_VERSION, MinAPIVersion: MIN_API_VERSION, Experimental: 'false', ...common, ...build }
    return {
      Platform: { Name: `netloom ${version}, a network emulator with Docker's API` },
      Components: [
        { Name: 'Engine', Version: ENGINE_VERSION, Details: details },
        { Name: 'netloom', Version: version, Details: { Node: process.version } }
      ],
      ...common,
      ...build
    }
  }

  async info(): Promise<Record<string, unknown>> {
    const { options } = this
    const { running, paused, stopped, images } = await options.inventory()
    return {
      ID: this.id,
      Containers: running + paused + stopped,
      ContainersRunning: running,
      ContainersPaused: paused,
      ContainersStopped: stopped,
      Images: images,
      Driver: 'overlay2',
      DriverStatus: [
        ['Supports d_type', 'true'],
        ['Native Overlay Diff', 'true']
      ],
      Plugins: {
        Volume: ['local'],
        Network: ['bridge', 'host', 'ipvlan', 'macvlan', 'null', 'overlay'],
        Authorization: null,
        Log: ['json-file']
      },
      // Docker asks the kernel whether containers' packets will be routed and filtered. Here the engine does both.
      IPv4Forwarding: true,
      BridgeNfIptables: true,
      BridgeNfIp6tables: true,
      Debug: options.isDebug(),
      NGoroutines: process.getActiveResourcesInfo().length,
      SystemTime: rfc3339(this.now()),
      LoggingDriver: 'json-file',
      NEventsListener: options.events.listenerCount,
      ...machineInfo(),
      ...(options.name !== undefined && { Name: options.name }),
      IndexServerAddress: '',
      RegistryConfig: {
        AllowNondistributableArtifactsCIDRs: [],
        AllowNondistributableArtifactsHostnames: [],
        InsecureRegistryCIDRs: [],
        IndexConfigs: {},
        Mirrors: []
      },
      GenericResources: null,
      DockerRootDir: options.stateDirectory,
      HttpProxy: '',
      HttpsProxy: '',
      NoProxy: '',
      Labels: [`netloom.version=${options.version}`],
      ExperimentalBuild: false,
      ServerVersion: ENGINE_VERSION,
      ...(options.cluster !== undefined && { ClusterStore: options.cluster.store, ClusterAdvertise: options.cluster.advertise }),
      Runtimes: { 'netloom-shim': { path: 'netloom-shim' } },
      DefaultRuntime: 'netloom-shim',
      Swarm: { NodeID: '', NodeAddr: '', LocalNodeState: 'inactive', ControlAvailable: false, Error: '', RemoteManagers: null },
      LiveRestoreEnabled: options.liveRestore,
      Isolation: '',
      InitBinary: 'netloom-shim',
      ContainerdCommit: { ID: '', Expected: '' },
      RuncCommit: { ID: '', Expected: '' },
      InitCommit: { ID: '', Expected: '' },
      // No seccomp, no AppArmor: containers here are for networks, not for keeping anybody in.
      SecurityOptions: process.getuid?.() === 0 ? [] : ['name=rootless'],
      Warnings: null
    }
  }

  async diskUsage(): Promise<Record<string, unknown>> {
    const { images, containers, layersSize } = await this.options.diskUsage()
    return { LayersSize: layersSize, Images: images, Containers: containers, Volumes: [], BuildCache: null, BuilderSize: 0 }
  }
}

/** Nanoseconds since 1970 with nine digits, as Go prints them. */
function rfc3339(ns: bigint): string {
  const second = new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19)
  return `${second}.${(ns % 1_000_000_000n).toString().padStart(9, '0')}Z`
}
