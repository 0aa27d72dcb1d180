/**
 * The tie between a daemon and the store: a lease under which the host is known, a watch that feeds the copy, and a look now and then
 * whether both still work. When it breaks it is made anew, for ever.
 *
 *   away --(lease, list, settle, host record)--> up --(request fails)--> doubtful --(look succeeds)--> up
 *     ^---------------(lease or watch lost)------'------------------------'
 */
import type { Timers } from '../engine/clock.ts'
import type { Random } from '../engine/index.ts'
import { ClusterError } from './cluster-error.ts'
import type { ClusterStore, Lease, StoreChange, StoreEntry, Watch } from './cluster-store.ts'
import { isWithin } from './delay.ts'

export interface SessionOptions {
  readonly store: ClusterStore
  readonly timers: Timers
  readonly random: Random
  /** Of the lease, seconds. */
  readonly ttl: number
  readonly prefix: string
  readonly onList: (entries: readonly StoreEntry[]) => void
  readonly onChanges: (changes: readonly StoreChange[]) => void
  /** The lease is there and the list was given: puts the host's record and whatever else has to be so. */
  readonly settle: (lease: Lease) => Promise<void>
  /** One read; rejects when the store or the copy is not what it should be. */
  readonly look: () => Promise<void>
  /** With a reason: the store is not to be counted on. Without: it is. */
  readonly onState: (reason: ClusterError | undefined) => void
}

const LOOK_MS = 2500
const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 1500

export class ClusterSession {
  private readonly options: SessionOptions
  private isClosed = false
  private lease: Lease | undefined
  private watch: Watch | undefined
  /** Ends the present tie. */
  private break: (reason: ClusterError) => void = () => {}
  private reason: ClusterError | undefined = new ClusterError('unavailable', 'the cluster store was not reached yet')
  private lookNow: () => void = () => {}
  private leave!: () => void
  private readonly left = new Promise<void>((resolve) => {
    this.leave = resolve
  })
  private readonly loop: Promise<void>
  /** Resolves when the first attempt has succeeded or failed. */
  readonly begun: Promise<void>

  constructor(options: SessionOptions) {
    this.options = options
    let begin!: () => void
    this.begun = new Promise((resolve) => {
      begin = resolve
    })
    this.loop = this.run(begin)
  }

  /** Why the store cannot be counted on; undefined while it can. */
  get failure(): ClusterError | undefined {
    return this.reason
  }

  /** A request failed: nothing else is tried until a look succeeds. */
  doubt(reason: ClusterError): void {
    if (this.reason !== undefined) return
    this.set(reason)
    this.lookNow()
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.leave()
    this.break(new ClusterError('closed', 'the cluster was left'))
    await this.loop
    this.set(new ClusterError('closed', 'the cluster was left'))
  }

  private async run(begin: () => void): Promise<void> {
    let retry = FIRST_RETRY_MS
    while (!this.isClosed) {
      const broken = new Promise<ClusterError>((resolve) => {
        this.break = resolve
      })
      try {
        await this.tie(broken)
        retry = FIRST_RETRY_MS
        this.set(undefined)
        begin()
        const stop = this.keepLooking()
        const reason = await broken
        stop()
        this.set(reason)
      } catch (error) {
        this.set(error instanceof ClusterError ? error : new ClusterError('unavailable', String(error), { cause: error }))
        begin()
      }
      this.watch?.close()
      const released = this.lease?.close()
      this.watch = this.lease = undefined
      // On the way out the host's record goes at once. Else it has the time of its lease: the store may be deaf.
      if (this.isClosed) return released
      // Not all hosts at once when the store is back.
      await isWithin(this.options.timers, retry * (0.5 + this.options.random.next()), this.left)
      retry = Math.min(retry * 2, LONGEST_RETRY_MS)
    }
  }

  private async tie(broken: Promise<ClusterError>): Promise<void> {
    const { store, prefix, ttl, onList, onChanges, settle } = this.options
    const orBroken = async <T>(work: Promise<T>): Promise<T> => {
      const failed = broken.then((reason) => {
        throw reason
      })
      return Promise.race([work, failed])
    }
    const { break: breakThis } = this
    const lease = await store.lease(ttl)
    this.lease = lease
    void lease.lost.then(breakThis)
    await orBroken(
      new Promise<void>((resolve) => {
        this.watch = store.watch(prefix, {
          onList: (entries) => {
            onList(entries)
            resolve()
          },
          onChanges,
          onLost: breakThis
        })
      })
    )
    await orBroken(settle(lease))
  }

  /** A watch can fall silent without an end, and a store can go while nothing is asked of it. */
  private keepLooking(): () => void {
    const { timers, look } = this.options
    let isOn = true
    let cancel = (): void => {}
    const next = (ms: number): void => {
      cancel()
      if (isOn) cancel = timers.after(ms, now)
    }
    const now = (): void => {
      look().then(
        () => {
          if (isOn) this.set(undefined)
          next(LOOK_MS)
        },
        (error) => {
          if (isOn) this.set(error)
          next(LOOK_MS / 5)
        }
      )
    }
    this.lookNow = () => next(0)
    next(LOOK_MS)
    return () => {
      isOn = false
      cancel()
      this.lookNow = () => {}
    }
  }

  private set(reason: ClusterError | undefined): void {
    const { reason: before } = this
    this.reason = reason
    if (before?.message !== reason?.message) this.options.onState(reason)
  }
}
