import type { Clock, Timers } from '../../engine/clock.ts'
import type { Random } from '../../engine/random.ts'
import type { Store } from '../../store/store.ts'
import type { EventLog } from '../event-log.ts'
import type { ContainerNetworkService } from '../network/container-network-service.ts'
import type { ContainerRegistry } from './container-registry.ts'

export interface ContainerServiceOptions {
  readonly store: Store
  /** One directory per container is made in it: STATE/containers. */
  readonly directory: string
  /** Where named volumes live: STATE/volumes. */
  readonly volumesDirectory: string
  /** Where shims listen; its path and 18 more bytes must fit into 107. */
  readonly runDirectory: string
  /** Made first and shared with networking, which finds containers in it; filled by `restore`. */
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

/** Docker's containers: implements ContainerBackend. */
export class ContainerService {
  constructor(_options: ContainerServiceOptions) {}

  /** Fills the registry from the store; first of all, so that networks know whose endpoints there are. */
  load(): void {
    throw new Error('not built yet')
  }

  /** At daemon start, after networks: reconnects, ends, undoes and applies restart policies. */
  restore(): Promise<void> {
    throw new Error('not built yet')
  }

  /** At daemon end: stops containers as Docker does on SIGTERM, also with live-restore when `stopContainers`. */
  shutdown(_options: { stopContainers: boolean }): Promise<void> {
    throw new Error('not built yet')
  }
}
