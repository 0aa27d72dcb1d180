import type { Clock, Timers } from '../../engine/clock.ts'
import type { Random } from '../../engine/random.ts'
import type { ImageStore } from '../../image/image-store.ts'
import type { Store } from '../../store/store.ts'
import type { EventLog } from '../event-log.ts'
import type { ContainerNetworkService } from '../network/container-network-service.ts'
import type { Container } from './container.ts'
import type { ContainerRegistry } from './container-registry.ts'

export interface ContainerServiceOptions {
  readonly store: Store
  readonly images: ImageStore
  /** One directory per container is made in it: STATE/containers. */
  readonly directory: string
  /** Where named volumes live: STATE/volumes. */
  readonly volumesDirectory: string
  /** Where shims listen; its path and 18 more bytes must fit into 107. */
  readonly runDirectory: string
  /** Made first and shared with networking, which finds containers in it; filled by `load`. */
  readonly registry: ContainerRegistry
  readonly networking: ContainerNetworkService
  readonly events: EventLog
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** False: what a killed daemon left is ended by `restore`, and `shutdown` stops every container. */
  readonly liveRestore: boolean
  /** For what nobody asked for but an operator should read. */
  readonly log: (message: string) => void
}

/** What the parts of the container service share. */
export class ContainerContext {
  readonly options: ContainerServiceOptions

  constructor(options: ContainerServiceOptions) {
    this.options = options
  }

  /** The wall clock, ns since 1970. */
  now(): bigint {
    const { clock } = this.options
    return clock.epochNs + BigInt(clock.now())
  }

  directoryOf(id: string): string {
    return `${this.options.directory}/${id}`
  }

  /** Where the container's shim listens: known from the id alone, so that no start leaves a shim that nobody finds. */
  socketOf(id: string): string {
    return `${this.options.runDirectory}/${id.slice(0, 12)}.sock`
  }

  /** Docker's event, with the container's labels as attributes. */
  publish(container: Container, action: string, attributes: Record<string, string> = {}): void {
    const { id, config, image, name } = container
    this.options.events.publish('container', action, { id, attributes: { ...config.Labels, image: image.name, name, ...attributes } })
  }
}
