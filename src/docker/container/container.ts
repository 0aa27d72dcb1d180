import type { ContainerConfig, ContainerState, HostConfig, MountPoint } from '../../api/container-json.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import type { SandboxProcess } from '../../sandbox/sandbox-process.ts'
import type { Change, Store } from '../../store/store.ts'
import type { ContainerNetworking } from '../network/container-networking.ts'
import type { NetworkedContainer } from '../network/networked-container.ts'
import { parseTime } from './container-status.ts'
import { Moments } from './moments.ts'
import { RestartDelay } from './restart-policy.ts'

/** What survives the daemon, under the key `container/ID`. */
export interface ContainerRecord {
  readonly id: string
  name: string
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  config: ContainerConfig
  hostConfig: HostConfig
  state: ContainerState
  networking: ContainerNetworking
  readonly image: ContainerImage
  readonly path: string
  readonly args: readonly string[]
  readonly mounts: readonly MountPoint[]
  /** Volumes without a name of the user's, also those of --volumes-from: they go with their last container when it is asked for. */
  readonly anonymousVolumes: readonly string[]
  restartCount: number
  /** Stopped or killed by hand: holds the restart policy back until the next start. */
  manuallyStopped: boolean
  /** What the network gave to its processes: links in the environment. */
  linkedEnvironment: readonly string[]
}

export interface ContainerImage {
  /** 'sha256:...' */
  readonly id: string
  /** As the user wrote it. */
  readonly name: string
  /** Directories of an overlay, lowest first. */
  readonly layers: readonly string[] | 'host'
}

/** One container: what is recorded of it, and the sandbox while it runs. */
export class Container implements NetworkedContainer {
  readonly id: string
  /** Without the slash. */
  name: string
  readonly created: string
  /** The same in ns since 1970: lists are sorted by it. */
  readonly createdAt: bigint
  /** Everything of it on disk: hosts, hostname, resolv.conf, log, status, root. */
  readonly directory: string
  config: ContainerConfig
  hostConfig: HostConfig
  state: ContainerState
  networking: ContainerNetworking
  readonly image: ContainerImage
  readonly path: string
  readonly args: readonly string[]
  readonly mounts: readonly MountPoint[]
  readonly anonymousVolumes: readonly string[]
  restartCount: number
  manuallyStopped: boolean
  linkedEnvironment: readonly string[]
  sandbox: Sandbox | null = null
  process: SandboxProcess | null = null
  /** Running exec instances. */
  readonly execIds = new Set<string>()
  readonly moments = new Moments()
  readonly restartDelay = new RestartDelay()
  /** Prevents a restart by policy that is due; null when none is. */
  cancelRestart: (() => void) | null = null
  /** `restart` keeps a container that is otherwise removed at its end. */
  keepAtExit = false
  isBeingRemoved = false
  private readonly store: Store
  private tail: Promise<unknown> = Promise.resolve()

  constructor(record: ContainerRecord, directory: string, store: Store) {
    this.id = record.id
    this.name = record.name
    this.created = record.created
    this.createdAt = parseTime(record.created)
    this.config = record.config
    this.hostConfig = record.hostConfig
    this.state = record.state
    this.networking = record.networking
    this.image = record.image
    this.path = record.path
    this.args = record.args
    this.mounts = record.mounts
    this.anonymousVolumes = record.anonymousVolumes
    this.restartCount = record.restartCount
    this.manuallyStopped = record.manuallyStopped
    this.linkedEnvironment = record.linkedEnvironment
    this.directory = directory
    this.store = store
  }

  /** One at a time per container, in the order of the calls. Not for use inside another `exclusive` of the same container. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.tail.then(work)
    this.tail = result.catch(() => {})
    return result
  }

  record(): ContainerRecord {
    const { id, name, created, config, hostConfig, state, networking, image, path, args, mounts } = this
    const { anonymousVolumes, restartCount, manuallyStopped, linkedEnvironment } = this
    const first = { id, name, created, config, hostConfig, state, networking, image, path, args, mounts }
    return { ...first, anonymousVolumes, restartCount, manuallyStopped, linkedEnvironment }
  }

  /** The write that keeps this container as it is now, for all-or-nothing writes together with others. */
  change(): Change {
    return { put: `container/${this.id}`, value: this.record() }
  }

  save(): Promise<void> {
    return this.store.write([this.change()])
  }

  get logPath(): string {
    return `${this.directory}/log`
  }

  /** 'exited', 'paused'... as messages and filters say it. */
  get stateWord(): string {
    return this.state.Status
  }
}
