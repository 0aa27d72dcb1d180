// A cluster store that fails when told: before a request, after it, or so that the request is done long after its answer was given up.
import { ClusterError } from '../../src/cluster/cluster-error.ts'
import type { ClusterStore, Lease, StoreComparison, StoreEntry, StoreStep, Watch, Watcher } from '../../src/cluster/cluster-store.ts'
import type { Timers } from '../../src/engine/clock.ts'

export const FAULTS = ['refused', 'lost', 'answer-lost', 'late', 'crash-before', 'crash-after'] as const
export type Fault = (typeof FAULTS)[number]

export class FaultyStore implements ClusterStore {
  readonly name = 'faulty'
  /** Reads and commits so far. */
  operations = 0
  /** Operation number -> what happens to it. */
  readonly faults = new Map<number, Fault>()
  /** The process is dead: nothing is sent and nothing is heard any more. */
  isDead = false
  private readonly store: ClusterStore
  private readonly timers: Timers
  private readonly onCrash: () => void

  constructor(store: ClusterStore, timers: Timers, onCrash: () => void = () => {}) {
    this.store = store
    this.timers = timers
    this.onCrash = onCrash
  }

  get(key: string): Promise<StoreEntry | undefined> {
    return this.with(() => this.store.get(key))
  }

  list(prefix: string): Promise<readonly StoreEntry[]> {
    return this.with(() => this.store.list(prefix))
  }

  commit(comparisons: readonly StoreComparison[], steps: readonly StoreStep[]): Promise<number | null> {
    return this.with(() => this.store.commit(comparisons, steps))
  }

  watch(prefix: string, watcher: Watcher): Watch {
    return this.store.watch(prefix, watcher)
  }

  lease(seconds: number): Promise<Lease> {
    return this.store.lease(seconds)
  }

  close(): Promise<void> {
    return this.store.close()
  }

  private async with<T>(work: () => Promise<T>): Promise<T> {
    if (this.isDead) return new Promise(() => {})
    const fault = this.faults.get(++this.operations)
    switch (fault) {
      case undefined:
        return work()
      case 'refused':
        throw new ClusterError('unavailable', 'refused')
      case 'lost':
        throw new ClusterError('unavailable', 'lost', { isUncertain: true })
      case 'late':
        this.timers.after(900, () => void work().catch(() => {}))
        throw new ClusterError('unavailable', 'late', { isUncertain: true })
      case 'answer-lost':
        await work()
        throw new ClusterError('unavailable', 'the answer was lost', { isUncertain: true })
      default:
        if (fault === 'crash-after') await work()
        this.isDead = true
        this.onCrash()
        return new Promise(() => {})
    }
  }
}
