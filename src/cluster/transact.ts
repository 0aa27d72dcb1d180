/**
 * Optimistic transactions: read, decide, commit if nothing of it changed meanwhile, else begin anew.
 */
import type { Timers } from '../engine/clock.ts'
import type { Random } from '../engine/index.ts'
import { ClusterError } from './cluster-error.ts'
import type { ClusterStore, StoreComparison, StoreStep } from './cluster-store.ts'
import type { CommitJournal } from './commit-journal.ts'
import { delay } from './delay.ts'

export interface TransactionContext {
  readonly store: ClusterStore
  readonly journal: CommitJournal
  readonly timers: Timers
  readonly random: Random
}

export interface Attempt<T> {
  readonly comparisons: readonly StoreComparison[]
  readonly steps: readonly StoreStep[]
  readonly result: T
}

/** With twenty hosts that all want an address of one pool, the unluckiest one is through after some dozens of rounds. */
const MAX_ROUNDS = 300
const FIRST_DELAY_MS = 4
const LONGEST_DELAY_MS = 128

/**
 * `attempt` reads and decides, and may throw to end it; one without steps has found everything as it should be (version 0). Rejects with what it throws, `unavailable`, or `conflict` after many rounds.
 */
export async function transact<T>(
  { journal, timers, random }: TransactionContext,
  attempt: () => Promise<Attempt<T>>
): Promise<{ result: T; version: number }> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { comparisons, steps, result } = await attempt()
    if (steps.length === 0) return { result, version: 0 }
    const version = await journal.commit(comparisons, steps)
    if (version !== null) return { result, version }
    // Those who met each other here must not meet again at the next round.
    await delay(timers, random.next() * Math.min(FIRST_DELAY_MS * 2 ** round, LONGEST_DELAY_MS))
  }
  throw new ClusterError('conflict', `the cluster store: others were faster ${MAX_ROUNDS} times in a row`)
}
