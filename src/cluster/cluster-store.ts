/**
 * What the cluster asks of a key-value store that several daemons share: etcd, ZooKeeper, Consul, or memory.
 *
 * Keys are words joined by `/`, each of letters, digits and `-._~%`; values are texts (JSON) of at most 256 KiB. Reads see every
 * commit that was answered before they were asked (linearizable). Every method rejects with ClusterError: `unavailable` when the
 * store cannot be reached within the request's patience, `denied` when it does not let us.
 */
import type { ClusterError } from './cluster-error.ts'

export interface StoreEntry {
  readonly key: string
  readonly value: string
  /** Of the commit that wrote it; at least 1, and greater than that of any earlier commit to any key. */
  readonly version: number
}

/** What must be so for a commit to happen; version 0: the key must be absent. */
export interface StoreComparison {
  readonly key: string
  readonly version: number
}

/** One step of a commit. A key is named by at most one step. With a lease the entry goes when the lease ends. */
export type StoreStep = { readonly put: string; readonly value: string; readonly lease?: Lease } | { readonly remove: string }

export type StoreChange = { readonly put: StoreEntry } | { readonly remove: string }

export interface Watcher {
  /** Everything there is, once at the start, and again whenever changes may have been missed. */
  onList(entries: readonly StoreEntry[]): void
  /** What happened since, in order; values that were overwritten soon after may be left out. */
  onChanges(changes: readonly StoreChange[]): void
  /** The watch is over: it could not be begun, or not be resumed. */
  onLost(error: ClusterError): void
}

export interface Watch {
  /** Nothing is called any more. */
  close(): void
}

/** Kept alive by its store until it is closed. */
export interface Lease {
  /** Resolves when the store has dropped it, or may have: nothing was heard for its whole time. Not after `close`. */
  readonly lost: Promise<ClusterError>
  /** Its entries go now. Best effort: when the store is away they go when the time is over. */
  close(): Promise<void>
}

export interface ClusterStore {
  /** For people: `etcd://192.0.2.60:2379/prefix`. */
  readonly name: string
  /** Seconds of a lease, where the store's options say so (`discovery.ttl`). */
  readonly ttl?: number
  get(key: string): Promise<StoreEntry | undefined>
  /** Entries whose key begins with `prefix`, which ends in `/`; in the order of the keys' bytes, all of one moment where the store can. */
  list(prefix: string): Promise<readonly StoreEntry[]>
  /**
   * All steps or none. Resolves with the version that the entries have now, or with null when a comparison failed.
   * An `unavailable` error that is `isUncertain` leaves open which of both happened.
   */
  commit(comparisons: readonly StoreComparison[], steps: readonly StoreStep[]): Promise<number | null>
  watch(prefix: string, watcher: Watcher): Watch
  /** Entries put under the lease are gone at most `seconds` (and what the store adds: see README) after its holder died. */
  lease(seconds: number): Promise<Lease>
  /** Ends watches and leases. */
  close(): Promise<void>
}
