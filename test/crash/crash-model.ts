// What a daemon must know, from what it acknowledged; and what it may know, from what it was doing when it was killed.
import type { Operation } from './operation.ts'

export interface ModelContainer {
  readonly id: string
  name: string
  readonly restarts: boolean
  /** Running, as acknowledged. */
  isRunning: boolean
  /** Whether it runs cannot be told: its policy may have brought it back since. */
  isUnsure: boolean
  readonly networks: Set<string>
}

export class CrashModel {
  /** By name. */
  readonly containers = new Map<string, ModelContainer>()
  /** Ids by name. */
  readonly networks = new Map<string, string>()
  /** Image ids by tag. */
  readonly tags = new Map<string, string>()
  /** Asked and not answered. */
  readonly inFlight = new Set<Operation>()

  /** What has been answered with success. `id` is that of what was made. */
  apply(operation: Operation, id: string): void {
    switch (operation.kind) {
      case 'network-create':
        this.networks.set(operation.network, id)
        return
      case 'network-remove':
        this.networks.delete(operation.network)
        return
      case 'create': {
        const { container: name, network, restarts } = operation
        this.containers.set(name, { id, name, restarts, isRunning: false, isUnsure: false, networks: new Set([network]) })
        return
      }
      case 'remove':
        this.containers.delete(operation.container)
        return
      case 'rename': {
        const container = this.containers.get(operation.container)!
        this.containers.delete(operation.container)
        container.name = operation.name
        this.containers.set(operation.name, container)
        return
      }
      case 'import':
        this.tags.set(operation.tag, id)
        return
      case 'tag':
        this.tags.set(operation.tag, this.tags.get(operation.from)!)
        return
      case 'untag':
        this.tags.delete(operation.tag)
        return
      case 'exec':
        return
      default: {
        const container = this.containers.get(operation.container)!
        if (operation.kind === 'connect') container.networks.add(operation.network)
        else if (operation.kind === 'disconnect') container.networks.delete(operation.network)
        else {
          container.isRunning = operation.kind === 'start' || operation.kind === 'restart'
          container.isUnsure = false
        }
      }
    }
  }

  /** What was refused. It has changed nothing, but for a restart: that is a stop, and then a start that could not be. */
  refuse(operation: Operation): void {
    const container = operation.kind === 'restart' ? this.containers.get(operation.container) : undefined
    if (container === undefined) return
    container.isRunning = false
    container.isUnsure = container.restarts
  }

  /** Whether an unanswered operation of one of these kinds is about the container, network or tag of that name. */
  isOpen(name: string, ...kinds: Operation['kind'][]): boolean {
    for (const operation of this.inFlight) {
      if (!kinds.includes(operation.kind)) continue
      if (Object.values(operation).some((value) => value === name)) return true
    }
    return false
  }
}
