/**
 * Commits of one host, each done once and known to be done, also when the store's answer is lost.
 *
 * Every commit also writes the host's own journal entry and compares its version. So after a lost answer the entry tells whether the
 * commit was done; and once the entry was written anew, a request that is still on its way somewhere can never be done any more.
 * The commits of a host come one after the other: nobody else writes its entry.
 */
import type { Timers } from '../engine/clock.ts'
import type { Random } from '../engine/index.ts'
import { ClusterError, isAway } from './cluster-error.ts'
import { journalKey } from './cluster-keys.ts'
import type { ClusterStore, StoreComparison, StoreStep } from './cluster-store.ts'
import { delay } from './delay.ts'

export interface JournalOptions {
  readonly store: ClusterStore
  readonly timers: Timers
  readonly random: Random
  readonly hostId: string
}

/** How often, and how far apart, the store is asked what has become of a commit. */
const QUESTIONS = 4
const QUESTION_MS = 400
/** After so many refusals in a row the own entry may be what differs. */
const REFUSALS = 5

export class CommitJournal {
  private readonly options: JournalOptions
  private readonly key: string
  /** What this daemon writes into its entry is never written again. */
  private readonly life: string
  private count = 0
  /** Of the entry; undefined when a commit may be on its way. */
  private version: number | undefined
  private refusals = 0

  constructor(options: JournalOptions) {
    this.options = options
    this.key = journalKey(options.hostId)
    this.life = (options.random.int32() >>> 0).toString(16).padStart(8, '0')
  }

  /** As the store's. Rejects with an error that `isUncertain` only when the store cannot be asked what has become of it either. */
  async commit(comparisons: readonly StoreComparison[], steps: readonly StoreStep[]): Promise<number | null> {
    const version = await this.open()
    const mark = this.mark()
    try {
      const done = await this.write(version, mark, comparisons, steps)
      this.refusals = done === null ? this.refusals + 1 : 0
      if (done !== null) this.version = done
      else if (this.refusals % REFUSALS === 0) this.version = undefined
      return done
    } catch (error) {
      if (!(error instanceof ClusterError && error.isUncertain)) throw error
      return this.settle(version, mark, error)
    }
  }

  /** After it nothing that was sent before can still be done. Resolves with the entry's version. */
  async open(): Promise<number> {
    const { store, timers, random } = this.options
    while (this.version === undefined) {
      const before = (await store.get(this.key))?.version ?? 0
      this.version = (await this.write(before, this.mark(), [], [])) ?? undefined
      if (this.version === undefined) await delay(timers, random.next() * 20)
    }
    return this.version
  }

  /** What has become of the commit with this mark; null: it was not done, and will not be. */
  private async settle(before: number, mark: string, reason: ClusterError): Promise<number | null> {
    const { store, timers } = this.options
    this.version = undefined
    const fences = new Set<string>()
    for (let question = 0; question < QUESTIONS; question++) {
      try {
        const fence = this.mark()
        fences.add(fence)
        const fenced = await this.write(before, fence, [], [])
        if (fenced !== null) {
          this.version = fenced
          return null
        }
        const entry = await store.get(this.key)
        if (entry !== undefined && (entry.value === mark || fences.has(entry.value))) {
          this.version = entry.version
          return entry.value === mark ? entry.version : null
        }
        throw new ClusterError('conflict', `another daemon has this one's id (${this.options.hostId})`)
      } catch (error) {
        if (!isAway(error)) throw error
        await delay(timers, QUESTION_MS)
      }
    }
    throw reason
  }

  private write(
    version: number,
    mark: string,
    comparisons: readonly StoreComparison[],
    steps: readonly StoreStep[]
  ): Promise<number | null> {
    return this.options.store.commit([...comparisons, { key: this.key, version }], [...steps, { put: this.key, value: mark }])
  }

  private mark(): string {
    return JSON.stringify(`${this.life}-${++this.count}`)
  }
}
