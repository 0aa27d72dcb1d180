/**
 * The cluster's store in etcd 3: transactions on modification revisions, leases, watches that go on at the revision where they broke.
 */
import type { Timers } from '../engine/clock.ts'
import { ClusterError } from './cluster-error.ts'
import type { ClusterStore, Lease, StoreChange, StoreComparison, StoreEntry, StoreStep, Watch, Watcher } from './cluster-store.ts'
import { EtcdClient } from './etcd-client.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import type { StoreOptions } from './store-options.ts'

interface Header {
  readonly header: { readonly revision: string }
}

interface KeyValue {
  readonly key: string
  readonly value?: string
  readonly mod_revision: string
}

interface WatchMessage extends Header {
  readonly created?: boolean
  readonly canceled?: boolean
  readonly cancel_reason?: string
  /** The revisions up to here are gone: what happened since `start_revision` cannot be told. */
  readonly compact_revision?: string
  readonly events?: readonly { readonly type?: 'DELETE'; readonly kv: KeyValue }[]
}

/** Entries of one answer: below the gateway's limit of 4 MiB a message, whatever the values. */
const PAGE = 500
/** Attempts to go on with a broken watch before it is called lost; between two a third of a second. */
const RESUMES = 12
const RESUME_MS = 300

export class EtcdStore implements ClusterStore {
  readonly name: string
  readonly ttl?: number
  private readonly client: EtcdClient
  private readonly timers: Timers
  private readonly prefix: string
  private readonly open = new Set<{ close(): unknown }>()
  private readonly leaseIds = new WeakMap<Lease, string>()
  private isClosed = false

  constructor(options: StoreOptions, timers: Timers) {
    this.name = options.name
    if (options.ttl !== undefined) this.ttl = options.ttl
    this.client = new EtcdClient(options, timers)
    this.timers = timers
    this.prefix = `${options.prefix}/`
  }

  async get(key: string): Promise<StoreEntry | undefined> {
    const { kvs } = await this.call<{ kvs?: KeyValue[] }>('/v3/kv/range', { key: this.encode(key) })
    return kvs?.[0] === undefined ? undefined : this.entryOf(kvs[0])
  }

  async list(prefix: string): Promise<readonly StoreEntry[]> {
    return (await this.listAt(prefix)).entries
  }

  async commit(comparisons: readonly StoreComparison[], steps: readonly StoreStep[]): Promise<number | null> {
    const compare = comparisons.map(({ key, version }) =>
      version === 0
        ? { key: this.encode(key), target: 'CREATE', result: 'EQUAL', create_revision: '0' }
        : { key: this.encode(key), target: 'MOD', result: 'EQUAL', mod_revision: String(version) }
    )
    const success = steps.map((step) =>
      'put' in step
        ? { request_put: { key: this.encode(step.put), value: toBase64(step.value), lease: this.leaseIdOf(step.lease) } }
        : { request_delete_range: { key: this.encode(step.remove) } }
    )
    const { succeeded, header } = await this.call<{ succeeded?: boolean } & Header>('/v3/kv/txn', { compare, success }, false)
    return succeeded === true ? Number(header.revision) : null
  }

  watch(prefix: string, watcher: Watcher): Watch {
    let stop = (): void => {}
    let isOpen = true
    const watch = {
      close: () => {
        isOpen = false
        stop()
        this.open.delete(watch)
      }
    }
    this.open.add(watch)
    const run = async (): Promise<void> => {
      // 0: a whole list is needed first.
      let revision = 0
      let resumes = 0
      while (isOpen) {
        try {
          if (revision === 0) {
            const { entries, revision: listed } = await this.listAt(prefix)
            if (!isOpen) return
            watcher.onList(entries)
            revision = listed
          }
          await this.follow(
            prefix,
            revision + 1,
            (end) => (stop = end),
            (message) => {
              if (!isOpen) return
              resumes = 0
              if (message.compact_revision !== undefined) revision = 0
              const last = message.events?.at(-1)
              if (message.events === undefined || last === undefined) return
              // Not the header's, which is the store's newest: a watch that catches up gets what it missed in several messages.
              revision = Number(last.kv.mod_revision)
              watcher.onChanges(message.events.map((event) => this.changeOf(event)))
            }
          )
        } catch (error) {
          if (!isOpen) return
          if (revision === 0 || ++resumes > RESUMES || (error as ClusterError).code === 'denied') throw error
          await new Promise<void>((resolve) => {
            this.timers.after(RESUME_MS, resolve)
          })
        }
      }
    }
    run().catch((error) => {
      watch.close()
      watcher.onLost(error as ClusterError)
    })
    return watch
  }

  async lease(seconds: number): Promise<Lease> {
    const { ID } = await this.call<{ ID: string }>('/v3/lease/grant', { TTL: String(seconds) })
    const keeper = new LeaseKeeper({
      seconds,
      timers: this.timers,
      keepAlive: async () => {
        const answer = await this.call<{ result?: { TTL?: string } }>('/v3/lease/keepalive', { ID })
        return Number(answer.result?.TTL ?? 0) > 0
      },
      revoke: () => this.call('/v3/lease/revoke', { ID }),
      onEnd: () => this.open.delete(keeper)
    })
    this.leaseIds.set(keeper, ID)
    this.open.add(keeper)
    return keeper
  }

  async close(): Promise<void> {
    await Promise.all([...this.open].map((each) => each.close()))
    this.isClosed = true
    this.client.close()
  }

  /** One watch stream until it ends, which it always does by an error; resolves when etcd cancelled it. */
  private follow(
    prefix: string,
    from: number,
    began: (stop: () => void) => void,
    onMessage: (message: WatchMessage) => void
  ): Promise<void> {
    const request = { create_request: { ...this.range(prefix), start_revision: String(from) } }
    return new Promise((resolve, reject) => {
      const take = (message: unknown): void => {
        onMessage(message as WatchMessage)
        if ((message as WatchMessage).canceled === true) {
          reject(new ClusterError('unavailable', `etcd ended the watch: ${(message as WatchMessage).cancel_reason || 'compacted'}`))
        }
      }
      this.client.stream('/v3/watch', request, take, reject).then((stop) => {
        began(() => {
          stop()
          resolve()
        })
      }, reject)
    })
  }

  private async listAt(prefix: string): Promise<{ entries: StoreEntry[]; revision: number }> {
    const { key, range_end } = this.range(prefix)
    const entries: StoreEntry[] = []
    let from = key
    let revision: string | undefined
    for (;;) {
      const page: { kvs?: KeyValue[]; more?: boolean } & Header = await this.call('/v3/kv/range', {
        key: from,
        range_end,
        limit: String(PAGE),
        // The following pages are of the moment of the first.
        ...(revision !== undefined && { revision })
      })
      revision ??= page.header.revision
      const kvs = page.kvs ?? []
      entries.push(...kvs.map((kv) => this.entryOf(kv)))
      if (page.more !== true || kvs.length === 0) return { entries, revision: Number(revision) }
      from = toBase64(`${fromBase64(kvs[kvs.length - 1].key)}\0`)
    }
  }

  private async call<T>(path: string, body: unknown, isIdempotent?: boolean): Promise<T> {
    if (this.isClosed) throw new ClusterError('closed', 'the store is closed')
    return this.client.call<T>(path, body, isIdempotent)
  }

  private leaseIdOf(lease: Lease | undefined): string {
    return lease === undefined ? '0' : (this.leaseIds.get(lease) ?? '0')
  }

  /** Keys that begin with `prefix`: up to the text that follows them all. The prefix ends in `/`, whose successor is `0`. */
  private range(prefix: string): { key: string; range_end: string } {
    const whole = this.prefix + prefix
    return { key: toBase64(whole), range_end: toBase64(`${whole.slice(0, -1)}0`) }
  }

  private encode(key: string): string {
    return toBase64(this.prefix + key)
  }

  private changeOf({ type, kv }: { readonly type?: 'DELETE'; readonly kv: KeyValue }): StoreChange {
    return type === 'DELETE' ? { remove: this.keyOf(kv) } : { put: this.entryOf(kv) }
  }

  private entryOf(kv: KeyValue): StoreEntry {
    return { key: this.keyOf(kv), value: fromBase64(kv.value ?? ''), version: Number(kv.mod_revision) }
  }

  private keyOf({ key }: KeyValue): string {
    return fromBase64(key).slice(this.prefix.length)
  }
}

function toBase64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}

function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('utf8')
}
