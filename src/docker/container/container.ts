import type { ContainerConfig, ContainerState, HostConfig, MountPoint } from '../../api/container-json.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import type { SandboxProcess } from '../../sandbox/sandbox-process.ts'
import type { Change, Store } from '../../store/store.ts'
import type { ContainerNetworking } from '../network/container-networking.ts'
import type { NetworkedContainer } from '../network/networked-container.ts'

/** What survives the daemon, under the key `container/ID`. */
export interface ContainerRecord {
  readonly id: string
  name: string
  /** RFC 3339 with nine digits. */
  readonly created: string
  config: ContainerConfig
  hostConfig: HostConfig
  state: ContainerState
  networking: ContainerNetworking
  readonly image: ContainerImage
  readonly path: string
  readonly args: readonly string[]
  readonly mounts: readonly MountPoint[]
  restartCount: number
  /** Docker's HasBeenManuallyStopped: `stop` and `kill` hold the restart policy back until the next start. */
  manuallyStopped: boolean
  /** What an interrupted daemon has to finish or to undo; empty between operations. */
  intent: '' | 'start' | 'remove'
}

export interface ContainerImage {
  /** 'sha256:...' */
  readonly id: string
  /** As the user wrote it. */
  readonly name: string
}

/** One container: what is recorded of it, and the sandbox while it runs. */
export class Container implements NetworkedContainer {
  readonly id: string
  /** Without the slash. */
  name: string
  readonly created: string
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
  restartCount: number
  manuallyStopped: boolean
  intent: ContainerRecord['intent']
  sandbox: Sandbox | null = null
  process: SandboxProcess | null = null
  private readonly store: Store
  private tail: Promise<unknown> = Promise.resolve()

  constructor(record: ContainerRecord, directory: string, store: Store) {
    this.id = record.id
    this.name = record.name
    this.created = record.created
    this.config = record.config
    this.hostConfig = record.hostConfig
    this.state = record.state
    this.networking = record.networking
    this.image = record.image
    this.path = record.path
    this.args = record.args
    this.mounts = record.mounts
    this.restartCount = record.restartCount
    this.manuallyStopped = record.manuallyStopped
    this.intent = record.intent
    this.directory = directory
    this.store = store
  }

  /** One at a time per container, in the order of the calls. Not for use inside another `exclusive` of the same container. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.tail.then(work)
    this.tail = result.catch(() => {})
    return result
  }

  /** The write that keeps this container as it is now, for all-or-nothing writes together with others. */
  change(): Change {
    const { id, name, created, config, hostConfig, state, networking, image, path, args, mounts } = this
    const { restartCount, manuallyStopped, intent } = this
    const record: ContainerRecord = {
      id,
      name,
      created,
      config,
      hostConfig,
      state,
      networking,
      image,
      path,
      args,
      mounts,
      restartCount,
      manuallyStopped,
      intent
    }
    return { put: `container/${id}`, value: record }
  }

  save(): Promise<void> {
    return this.store.write([this.change()])
  }
}
