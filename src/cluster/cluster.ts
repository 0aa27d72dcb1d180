/**
 * One daemon's membership of a cluster: networks, addresses, names and endpoints that many daemons share through one store.
 *
 * What it knows of the others is a copy that follows the store; what it changes goes to the store first. So looking costs nothing and
 * works while the store is away; a change is refused then. What this host has (`own`) is the truth about this host: whenever the tie to
 * the store is made anew, the store is made to say so.
 */
import type { Timers } from '../engine/clock.ts'
import type { Random } from '../engine/index.ts'
import { AutomaticSubnets } from './automatic-subnets.ts'
import { ClusterEndpoints } from './cluster-endpoints.ts'
import { ClusterError, isAway } from './cluster-error.ts'
import { CHANGES, hostKey, LIVE } from './cluster-keys.ts'
import { ClusterNetworks } from './cluster-networks.ts'
import type {
  ClusterEndpoint,
  ClusterEndpointSpec,
  ClusterHost,
  ClusterNetwork,
  ClusterNetworkSpec,
  EndpointRecord
} from './cluster-records.ts'
import { ClusterReplica, type ReplicaChange } from './cluster-replica.ts'
import { ClusterSession } from './cluster-session.ts'
import type { ClusterStore } from './cluster-store.ts'
import { type ClusterChange, ClusterView } from './cluster-view.ts'
import { CommitJournal } from './commit-journal.ts'
import { isWithin } from './delay.ts'
import { HostLiveness } from './host-liveness.ts'
import { PROBE_PATIENCE_MS } from './host-probe.ts'

/** A Logger of the API is one. */
export interface ClusterLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
}

export interface ClusterOptions {
  /** Closed by `close`. */
  readonly store: ClusterStore
  readonly timers: Timers
  readonly random: Random
  readonly log: ClusterLog
  readonly self: ClusterHost
  /** Endpoints of this host that outlived its last daemon; whatever else the store has of this host is removed. */
  readonly keep?: readonly ClusterEndpointSpec[]
  /** Called in order, from the first list on. Changes of the host's own endpoints are among them. */
  readonly onChange?: (change: ClusterChange) => void
  /** Seconds that a host may be silent before its lease ends; default 5, or what the store's options say. */
  readonly ttl?: number
  /** Whether a host whose lease has ended answers all the same; see host-probe. */
  readonly isReachable?: (host: ClusterHost) => Promise<boolean>
}

const DEFAULT_TTL = 5
/** From the end of another host's lease to its end: time to come back after a pause of the store or of itself. */
const GRACE_MS = 2000
/** At most so long after its last word a host is dead to all others, where the store ends leases in time: README, "What holds". */
export const DEAD_AFTER_MS = DEFAULT_TTL * 1000 + GRACE_MS + PROBE_PATIENCE_MS

/** How long the copy may lag behind a commit. */
const PATIENCE_MS = 3000

export class Cluster {
  readonly self: ClusterHost
  private readonly options: ClusterOptions
  private readonly networksInStore: ClusterNetworks
  private readonly endpointsInStore: ClusterEndpoints
  private readonly replica: ClusterReplica
  private readonly liveness: HostLiveness
  private readonly session: ClusterSession
  private readonly view: ClusterView
  private readonly own = new Map<string, EndpointRecord>()
  /** Something of ours may be in the store, or not be there, against our will. */
  private isUnsettled = false
  /** The store could not be counted on for so long that leases have ended. */
  private isLongAway = false
  private hasBeenUp = false
  private cancelAway: (() => void) | undefined
  /** The last change of ours, which the next one waits for. */
  private turn: Promise<unknown> = Promise.resolve()

  /** Resolves when the store was reached or could not be; in that case it goes on trying: see `isAvailable`. */
  static async join(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options)
    await cluster.session.begun
    return cluster
  }

  private constructor(options: ClusterOptions) {
    const { store, timers, random, log, self, ttl = store.ttl ?? DEFAULT_TTL } = options
    this.options = options
    this.self = self
    for (const spec of options.keep ?? []) this.own.set(spec.id, this.recordOf(spec))
    const tell = (change: ClusterChange): void => options.onChange?.(change)
    this.liveness = new HostLiveness({
      timers,
      graceMs: GRACE_MS,
      isSure: () => this.isAvailable,
      ...(options.isReachable === undefined ? {} : { isReachable: options.isReachable }),
      tell: (id, before) => this.view.hostChanged(id, before, this.replica.endpoints.values())
    })
    this.view = new ClusterView((id) => this.liveness.get(id), tell)
    this.replica = new ClusterReplica(
      (change) => this.onReplica(change),
      (key) => log.warn('the cluster store has a value that netloom did not write; it is ignored', { key })
    )
    // Whatever the store says, we are here.
    this.liveness.present(self)
    const context = { store, timers, random, journal: new CommitJournal({ store, timers, random, hostId: self.id }) }
    this.endpointsInStore = new ClusterEndpoints(context, self.id)
    this.networksInStore = new ClusterNetworks(context, self.id, new AutomaticSubnets(), (id) => this.liveness.get(id) !== undefined)
    this.session = new ClusterSession({
      store,
      timers,
      random,
      ttl,
      prefix: LIVE,
      onList: (entries) => {
        // With the first list of a tie; some stores say every change by a list, which is no reason to let the dead wait.
        if (!this.isAvailable) this.liveness.hold()
        this.replica.reset(entries)
      },
      onChanges: (changes) => this.replica.apply(changes),
      settle: (lease) =>
        this.inTurn(async () => {
          await this.settle()
          await store.commit([], [{ put: hostKey(self.id), value: JSON.stringify(self), lease }])
        }),
      look: async () => {
        await this.catchUp()
        if (this.isUnsettled) await this.inTurn(() => this.settle())
      },
      onState: (reason) => {
        if (reason === undefined) {
          // Those who are not there may have lost the store as we did, and need as long to be back.
          const graceMs = this.isLongAway ? ttl * 1000 + GRACE_MS : GRACE_MS
          this.isLongAway = false
          this.hasBeenUp = true
          this.cancelAway?.()
          this.cancelAway = undefined
          for (const { id } of this.liveness.all) {
            if (id !== self.id && !this.replica.hosts.has(id)) this.liveness.missing(id, graceMs)
          }
          return log.info('the cluster store is there', { store: store.name })
        }
        // In less time no lease ends for want of a store.
        if (this.hasBeenUp) this.cancelAway ??= timers.after(ttl * 500, () => (this.isLongAway = true))
        if (reason.code !== 'closed')
          log.warn('the cluster store cannot be used; what runs goes on', { store: store.name, reason: reason.message })
      }
    })
  }

  /** Whether changes are possible now. */
  get isAvailable(): boolean {
    return this.session.failure === undefined
  }

  /** Why not. */
  get failure(): ClusterError | undefined {
    return this.session.failure
  }

  /** Those that live, this one included, by id. */
  hosts(): ReadonlyMap<string, ClusterHost> {
    return new Map(this.liveness.all.map((host) => [host.id, host]))
  }

  /** By id. */
  networks(): ReadonlyMap<string, ClusterNetwork> {
    return this.replica.networks
  }

  /** Of all hosts, by id. */
  endpoints(networkId: string): ReadonlyMap<string, ClusterEndpoint> {
    return this.view.endpoints(networkId)
  }

  /** An endpoint that this host has, whatever the store says or does not say. */
  ownEndpoint(id: string): EndpointRecord | undefined {
    return this.own.get(id)
  }

  /** After it, what is looked at is no older than the call. Rejects with ClusterError `unavailable`. */
  async sync(): Promise<void> {
    await this.change(() => this.catchUp(), false)
  }

  /**
   * Makes a network with its subnets; those that name none get the next free default one that shares nothing with `avoid`.
   * Rejects with ClusterError `exists`, or IpamError.
   */
  async createNetwork(spec: ClusterNetworkSpec, avoid: readonly string[] = []): Promise<ClusterNetwork> {
    return this.change(async () => {
      const { result, version } = await this.networksInStore.create(spec, avoid)
      await this.seen(version)
      return result
    })
  }

  /** Rejects with ClusterError `not-found`, or `conflict` while any host has an endpoint, or an address for one, on it. */
  async removeNetwork(id: string): Promise<void> {
    await this.change(async () => this.seen((await this.networksInStore.remove(id)).version))
  }

  /** The subnet's VNI, drawn when it has none. Rejects with ClusterError `not-found` or `exhausted`. */
  async vni(networkId: string, subnet: string): Promise<number> {
    const known = this.replica.networks.get(networkId)?.subnets.find((each) => each.subnet === subnet)?.vni
    if (typeof known === 'number') return known
    return this.change(async () => {
      const { result, version } = await this.networksInStore.vni(networkId, subnet)
      await this.seen(version)
      return result
    })
  }

  /** `wanted`, or the lowest address that no host has. Rejects with ClusterError `not-found`, or IpamError. */
  async requestAddress(networkId: string, subnet: string, wanted?: string): Promise<string> {
    return this.change(() => this.endpointsInStore.request(networkId, subnet, wanted))
  }

  /** Gives back an address that was requested here and did not become an endpoint's. Without the store: when it is back. */
  async releaseAddress(networkId: string, subnet: string, address: string): Promise<void> {
    this.endpointsInStore.drop(networkId, address)
    this.isUnsettled ||= !this.isAvailable
    await this.change(() => this.endpointsInStore.release(networkId, subnet, address))
  }

  /**
   * Its addresses were requested here. Rejects with ClusterError `exists` when another endpoint of the network has the name, `conflict`
   * when somebody has its address, or has removed it at once.
   */
  async addEndpoint(spec: ClusterEndpointSpec): Promise<void> {
    const record = this.recordOf(spec)
    await this.change(async () => {
      const version = await this.endpointsInStore.add(record)
      // It may have been removed by force before we heard that it is there: nobody is to plug it in then, or to claim it again.
      if ((await this.follows(version)) && !this.replica.endpoints.has(record.id)) {
        this.endpointsInStore.forget(record)
        throw new ClusterError('conflict', `endpoint ${record.name} was removed by another host`)
      }
      this.own.set(record.id, record)
    })
  }

  /** Another name, other names, another detail of an own endpoint; its addresses stay. Rejects with ClusterError `not-found` or `exists`. */
  async changeEndpoint(spec: ClusterEndpointSpec): Promise<void> {
    const record = this.recordOf(spec)
    await this.change(async () => {
      const version = await this.endpointsInStore.change(record)
      // Unless it was taken from us meanwhile.
      if (this.own.has(record.id)) this.own.set(record.id, record)
      await this.seen(version)
    })
  }

  /**
   * The endpoint, its name and its addresses. Another host's only with `force`, which is what `disconnect -f` is for.
   * Without the store an own one is given up all the same, and leaves the store when that is back. Rejects with ClusterError
   * `not-found`, `conflict` or `unavailable`.
   */
  async removeEndpoint(networkId: string, id: string, force = false): Promise<void> {
    const record = this.own.get(id)
    if (record !== undefined) {
      this.own.delete(id)
      this.endpointsInStore.forget(record)
      this.isUnsettled ||= !this.isAvailable
    }
    await this.change(async () => this.seen(await this.endpointsInStore.remove(networkId, id, force)))
  }

  /** Leaves: the host goes from the others' view, records of its endpoints stay. Closes the store. */
  async close(): Promise<void> {
    await this.session.close()
    this.cancelAway?.()
    this.liveness.hold()
    await this.options.store.close()
  }

  private recordOf(spec: ClusterEndpointSpec): EndpointRecord {
    return { ...spec, hostId: this.self.id, vtep: this.self.address }
  }

  /** One change after the other, while the store is there; a failure is looked into. */
  private async change<T>(work: () => Promise<T>, isSerial = true): Promise<T> {
    const { failure } = this.session
    if (failure !== undefined)
      throw failure.code === 'closed'
        ? failure
        : new ClusterError('unavailable', `${this.options.store.name}: ${failure.message}`, { cause: failure })
    try {
      return await (isSerial ? this.inTurn(work) : work())
    } catch (error) {
      if (isAway(error)) {
        this.isUnsettled ||= isSerial
        this.session.doubt(error as ClusterError)
      }
      throw error
    }
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work)
    this.turn = result.catch(() => {})
    return result
  }

  private async settle(): Promise<void> {
    this.isUnsettled = false
    try {
      const lost = await this.endpointsInStore.settle(this.own, async () => {
        await this.catchUp()
        return this.replica.endpoints.values()
      })
      for (const record of lost) this.evict(record)
    } catch (error) {
      this.isUnsettled = true
      throw error
    }
  }

  private evict(record: EndpointRecord): void {
    this.own.delete(record.id)
    this.endpointsInStore.forget(record)
    this.options.log.warn('an endpoint of this host was removed by another', { endpoint: record.name, address: record.address })
    this.view.evicted(record)
  }

  /** Waits until the copy is where the store is. */
  private async catchUp(): Promise<void> {
    const entry = await this.options.store.get(CHANGES)
    if (!(await this.follows(entry?.version ?? 0)))
      throw new ClusterError('unavailable', 'the watch of the cluster store has fallen behind')
  }

  /** A change of ours is in the copy, so that who asks next sees it. The store has it in any case. */
  private async seen(version: number): Promise<void> {
    await this.follows(version)
  }

  private follows(version: number): Promise<boolean> {
    return isWithin(this.options.timers, PATIENCE_MS, this.replica.reached(version))
  }

  private onReplica(change: ReplicaChange): void {
    switch (change.kind) {
      case 'host':
        if ((change.after ?? change.before)!.id === this.self.id) return
        if (change.after !== undefined) this.liveness.present(change.after)
        // While the tie does not hold nobody is judged: see onState.
        else if (this.isAvailable) this.liveness.missing(change.before!.id)
        return
      case 'network':
        return this.view.networkChanged(change)
      case 'endpoint':
        this.view.endpointChanged(change)
        if (change.after === undefined) this.endpointWent(change.before!.id)
    }
  }

  private endpointWent(id: string): void {
    // While the tie holds, a record of ours that goes was taken; what was lost while it did not is claimed again by `settle`.
    const own = this.own.get(id)
    if (own !== undefined && this.isAvailable) this.evict(own)
    else if (own !== undefined) this.isUnsettled = true
  }
}
