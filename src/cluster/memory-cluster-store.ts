/**
 * A cluster store in memory: `MemoryClusterServer` is the store, each `MemoryClusterStore` a client of it.
 *
 * For simulations and tests of everything above. Time comes in by timers; what lies between a client and the server (delay, loss,
 * partition) is a `MemoryLink`, by default nothing.
 */
import { realTimers, type Timers } from '../engine/clock.ts'
import { ClusterError } from './cluster-error.ts'
import type { ClusterStore, Lease, StoreChange, StoreComparison, StoreEntry, StoreStep, Watch, Watcher } from './cluster-store.ts'
import { LeaseKeeper } from './lease-keeper.ts'

/** The way from one client to the server. */
export interface MemoryLink {
  /** Carries a request there and its result back; rejects with ClusterError `unavailable` when either is lost. */
  call<T>(request: () => T): Promise<T>
  /** A stream from the server: messages in order until it breaks, which `broken` tells the client. */
  stream(broken: (error: ClusterError) => void): { send(deliver: () => void): void; end(): void }
}

/** Requests are carried out at once, answers come as promise jobs. */
const DIRECT: MemoryLink = {
  call: async (request) => request(),
  stream() {
    let isOpen = true
    return {
      send: (deliver) =>
        queueMicrotask(() => {
          if (isOpen) deliver()
        }),
      end: () => {
        isOpen = false
      }
    }
  }
}

interface ServerLease {
  readonly seconds: number
  readonly keys: Set<string>
  cancel: () => void
}

interface ServerWatch {
  readonly prefix: string
  readonly send: (changes: readonly StoreChange[]) => void
}

interface ServerEntry extends StoreEntry {
  readonly lease: number
}

export class MemoryClusterServer {
  readonly timers: Timers
  private readonly entries = new Map<string, ServerEntry>()
  private readonly leases = new Map<number, ServerLease>()
  private readonly watches = new Set<ServerWatch>()
  private revision = 0
  private leaseCount = 0

  constructor(timers: Timers = realTimers) {
    this.timers = timers
  }

  get(key: string): StoreEntry | undefined {
    return publicEntry(this.entries.get(key))
  }

  list(prefix: string): StoreEntry[] {
    const keys = [...this.entries.keys()].filter((key) => key.startsWith(prefix)).sort()
    return keys.map((key) => this.get(key)!)
  }

  commit(comparisons: readonly StoreComparison[], steps: readonly (StoreStep & { leaseId?: number })[]): number | null {
    if (comparisons.some(({ key, version }) => (this.entries.get(key)?.version ?? 0) !== version)) return null
    for (const { leaseId } of steps) {
      if (leaseId !== undefined && !this.leases.has(leaseId)) throw new ClusterError('unavailable', 'the lease has ended')
    }
    this.apply(steps)
    return this.revision
  }

  watch(prefix: string, send: ServerWatch['send']): { entries: StoreEntry[]; watch: ServerWatch } {
    const watch = { prefix, send }
    this.watches.add(watch)
    return { entries: this.list(prefix), watch }
  }

  unwatch(watch: ServerWatch): void {
    this.watches.delete(watch)
  }

  grant(seconds: number): number {
    const id = ++this.leaseCount
    const lease: ServerLease = { seconds, keys: new Set(), cancel: () => {} }
    this.leases.set(id, lease)
    this.keepAlive(id)
    return id
  }

  /** False: there is no such lease any more. */
  keepAlive(id: number): boolean {
    const lease = this.leases.get(id)
    if (lease === undefined) return false
    lease.cancel()
    lease.cancel = this.timers.after(lease.seconds * 1000, () => this.revoke(id))
    return true
  }

  revoke(id: number): void {
    const lease = this.leases.get(id)
    if (lease === undefined) return
    lease.cancel()
    this.leases.delete(id)
    if (lease.keys.size > 0) this.apply([...lease.keys].map((remove) => ({ remove })))
  }

  private apply(steps: readonly (StoreStep & { leaseId?: number })[]): void {
    const version = ++this.revision
    const changes: StoreChange[] = []
    for (const step of steps) {
      const key = 'put' in step ? step.put : step.remove
      const before = this.entries.get(key)
      if (before !== undefined) this.leases.get(before.lease)?.keys.delete(key)
      if ('put' in step) {
        const lease = step.leaseId ?? 0
        this.entries.set(key, { key, value: step.value, version, lease })
        this.leases.get(lease)?.keys.add(key)
        changes.push({ put: { key, value: step.value, version } })
      } else if (this.entries.delete(key)) changes.push({ remove: key })
    }
    for (const { prefix, send } of this.watches) {
      const seen = changes.filter((change) => ('put' in change ? change.put.key : change.remove).startsWith(prefix))
      if (seen.length > 0) send(seen)
    }
  }
}

export class MemoryClusterStore implements ClusterStore {
  readonly name = 'memory'
  private readonly server: MemoryClusterServer
  private readonly link: MemoryLink
  /** The client's own: its clock may run faster or slower than the server's. */
  private readonly timers: Timers
  private readonly open = new Set<{ close(): unknown }>()
  private readonly leaseIds = new WeakMap<Lease, number>()
  private isClosed = false

  constructor(server: MemoryClusterServer, link: MemoryLink = DIRECT, timers: Timers = server.timers) {
    this.server = server
    this.link = link
    this.timers = timers
  }

  get(key: string): Promise<StoreEntry | undefined> {
    return this.call(() => this.server.get(key))
  }

  list(prefix: string): Promise<readonly StoreEntry[]> {
    return this.call(() => this.server.list(prefix))
  }

  commit(comparisons: readonly StoreComparison[], steps: readonly StoreStep[]): Promise<number | null> {
    const withIds = steps.map((step) =>
      'put' in step && step.lease !== undefined ? { ...step, leaseId: this.leaseIds.get(step.lease) } : step
    )
    return this.call(() => this.server.commit(comparisons, withIds))
  }

  watch(prefix: string, watcher: Watcher): Watch {
    let serverWatch: ServerWatch | undefined
    let isOpen = true
    const close = (): void => {
      if (!isOpen) return
      isOpen = false
      stream.end()
      this.open.delete(watch)
      if (serverWatch !== undefined) this.server.unwatch(serverWatch)
    }
    const lose = (error: ClusterError): void => {
      if (!isOpen) return
      close()
      watcher.onLost(error)
    }
    const stream = this.link.stream(lose)
    const watch = { close }
    this.open.add(watch)
    this.call(() => {
      const begun = this.server.watch(prefix, (changes) => stream.send(() => watcher.onChanges(changes)))
      serverWatch = begun.watch
      if (!isOpen) this.server.unwatch(begun.watch)
      stream.send(() => watcher.onList(begun.entries))
    }).catch(lose)
    return watch
  }

  async lease(seconds: number): Promise<Lease> {
    const id = await this.call(() => this.server.grant(seconds))
    const keeper = new LeaseKeeper({
      seconds,
      timers: this.timers,
      keepAlive: () => this.call(() => this.server.keepAlive(id)),
      revoke: () => this.call(() => this.server.revoke(id)),
      onEnd: () => this.open.delete(keeper)
    })
    this.leaseIds.set(keeper, id)
    this.open.add(keeper)
    return keeper
  }

  async close(): Promise<void> {
    await Promise.all([...this.open].map((each) => each.close()))
    this.isClosed = true
  }

  private async call<T>(request: () => T): Promise<T> {
    if (this.isClosed) throw new ClusterError('closed', 'the store is closed')
    return this.link.call(request)
  }
}

function publicEntry(entry: ServerEntry | undefined): StoreEntry | undefined {
  return entry === undefined ? undefined : { key: entry.key, value: entry.value, version: entry.version }
}
