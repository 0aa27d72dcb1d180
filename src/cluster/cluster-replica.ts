/**
 * A copy of what is under `live/`: hosts, networks, endpoints. It follows a watch, and tells each difference, in order.
 */
import { CHANGES, ENDPOINTS, HOSTS, NETWORKS } from './cluster-keys.ts'
import { type ClusterHost, type ClusterNetwork, type EndpointRecord, readRecord } from './cluster-records.ts'
import type { StoreChange, StoreEntry } from './cluster-store.ts'

interface Records {
  readonly host: ClusterHost
  readonly network: ClusterNetwork
  readonly endpoint: EndpointRecord
}

type Kind = keyof Records

/** Without `before` it is new, without `after` it is gone. */
export type ReplicaChange = { [K in Kind]: { readonly kind: K; readonly before?: Records[K]; readonly after?: Records[K] } }[Kind]

/** In the order in which they are told after a list: what is new may lean on what comes before it. */
const PREFIXES: readonly [Kind, string][] = [
  ['host', HOSTS],
  ['network', NETWORKS],
  ['endpoint', ENDPOINTS]
]

interface Kept {
  readonly kind: Kind
  readonly text: string
  readonly record: Records[Kind]
}

export class ClusterReplica {
  /** By id. */
  readonly hosts = new Map<string, ClusterHost>()
  readonly networks = new Map<string, ClusterNetwork>()
  /** By id; ids are unique over all networks. */
  readonly endpoints = new Map<string, EndpointRecord>()
  private readonly kept = new Map<string, Kept>()
  private readonly tell: (change: ReplicaChange) => void
  private readonly warn: (key: string) => void
  private version = 0
  private waiting: { version: number; resolve: () => void }[] = []

  /** `warn`: the value of a key is no record of ours. */
  constructor(tell: (change: ReplicaChange) => void, warn: (key: string) => void) {
    this.tell = tell
    this.warn = warn
  }

  /** Takes a whole list in place of what was known. */
  reset(entries: readonly StoreEntry[]): void {
    const present = new Set(entries.map(({ key }) => key))
    const gone = [...this.kept].filter(([key]) => !present.has(key))
    for (const [kind] of PREFIXES.toReversed()) for (const [key, kept] of gone) if (kept.kind === kind) this.remove(key)
    for (const [, prefix] of PREFIXES) for (const entry of entries) if (entry.key.startsWith(prefix)) this.put(entry)
    // The store may have been emptied, or be another one: its versions begin anew.
    this.version = entries.find(({ key }) => key === CHANGES)?.version ?? 0
    this.wake()
  }

  apply(changes: readonly StoreChange[]): void {
    for (const change of changes) {
      if ('remove' in change) this.remove(change.remove)
      else if (change.put.key === CHANGES) this.version = change.put.version
      else this.put(change.put)
    }
    this.wake()
  }

  /** Resolves when every commit up to `version` is in the copy. */
  reached(version: number): Promise<void> {
    if (version <= this.version) return Promise.resolve()
    return new Promise((resolve) => {
      this.waiting.push({ version, resolve })
    })
  }

  private wake(): void {
    const due = this.waiting.filter(({ version }) => version <= this.version)
    if (due.length === 0) return
    this.waiting = this.waiting.filter(({ version }) => version > this.version)
    for (const { resolve } of due) resolve()
  }

  private put({ key, value }: StoreEntry): void {
    const kind = PREFIXES.find(([, prefix]) => key.startsWith(prefix))?.[0]
    const before = this.kept.get(key)
    if (kind === undefined || before?.text === value) return
    const record = readRecord<Records[Kind]>(kind, value)
    if (record === undefined) return this.warn(key)
    this.kept.set(key, { kind, text: value, record })
    this.mapOf(kind).set(record.id, record)
    this.tell({ kind, before: before?.record, after: record } as ReplicaChange)
  }

  private remove(key: string): void {
    const before = this.kept.get(key)
    if (before === undefined) return
    this.kept.delete(key)
    this.mapOf(before.kind).delete(before.record.id)
    this.tell({ kind: before.kind, before: before.record } as ReplicaChange)
  }

  private mapOf(kind: Kind): Map<string, Records[Kind]> {
    return (kind === 'host' ? this.hosts : kind === 'network' ? this.networks : this.endpoints) as Map<string, Records[Kind]>
  }
}
