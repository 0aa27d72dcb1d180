/**
 * The cluster's store in Consul, by its HTTP interface: KV, transactions, sessions, blocking queries.
 *
 * A session lives at least 10 s with Consul, and up to twice its time: those of clients that die are ended by the others, see
 * consul-beats.
 */
import type { Timers } from '../engine/clock.ts'
import { ClusterError } from './cluster-error.ts'
import type { ClusterStore, Lease, StoreComparison, StoreEntry, StoreStep, Watch, Watcher } from './cluster-store.ts'
import { BEATS, ConsulBeats } from './consul-beats.ts'
import { type HttpAnswer, HttpClient } from './http-client.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import type { StoreOptions } from './store-options.ts'

interface ConsulEntry {
  readonly Key: string
  /** Base64; null: empty. */
  readonly Value: string | null
  readonly ModifyIndex: number
}

const PATIENCE_MS = 3000
/** A question that waits for a change is asked anew after so long. */
const WAIT_SECONDS = 30
const MIN_SESSION_SECONDS = 10

export class ConsulStore implements ClusterStore {
  readonly name: string
  readonly ttl?: number
  private readonly options: StoreOptions
  private readonly timers: Timers
  private readonly http: HttpClient
  private readonly prefix: string
  private readonly open = new Set<{ close(): unknown }>()
  private readonly sessions = new WeakMap<Lease, string>()
  private current = 0
  private isClosed = false

  constructor(options: StoreOptions, timers: Timers) {
    this.name = options.name
    if (options.ttl !== undefined) this.ttl = options.ttl
    this.options = options
    this.timers = timers
    this.http = new HttpClient(timers, options.tls)
    this.prefix = `${options.prefix}/`
  }

  async get(key: string): Promise<StoreEntry | undefined> {
    return (await this.read(`${this.path(key)}?consistent`)).entries[0]
  }

  async list(prefix: string): Promise<readonly StoreEntry[]> {
    return (await this.read(`${this.path(prefix)}?recurse&consistent`)).entries
  }

  async commit(comparisons: readonly StoreComparison[], steps: readonly StoreStep[]): Promise<number | null> {
    const checks = comparisons.map(({ key, version }) =>
      version === 0 ? { Verb: 'check-not-exists', Key: this.prefix + key } : { Verb: 'check-index', Key: this.prefix + key, Index: version }
    )
    const changes = steps.flatMap((step) => {
      const Key = this.prefix + ('put' in step ? step.put : step.remove)
      // Consul keeps an entry's session, and the index of one whose value does not change: so it is always made anew.
      const removal = { Verb: 'delete', Key }
      if (!('put' in step)) return [removal]
      const Value = Buffer.from(step.value, 'utf8').toString('base64')
      const session = step.lease === undefined ? undefined : this.sessions.get(step.lease)
      return [removal, session === undefined ? { Verb: 'set', Key, Value } : { Verb: 'lock', Key, Value, Session: session }]
    })
    const body = JSON.stringify([...checks, ...changes].map((KV) => ({ KV })))
    const answer = await this.ask({ method: 'PUT', path: '/v1/txn?consistent', body }, { isIdempotent: false, allowed: [409] })
    if (answer.status === 200) {
      const { Results } = parse<{ Results: { KV: ConsulEntry }[] }>(answer)
      return Math.max(0, ...Results.map(({ KV }) => KV.ModifyIndex))
    }
    const { Errors } = parse<{ Errors: { OpIndex: number; What: string }[] }>(answer)
    // A comparison, or a session that has ended.
    if (Errors.some(({ OpIndex }) => OpIndex < checks.length)) return null
    throw new ClusterError('unavailable', `${this.name}: ${Errors[0]?.What}`)
  }

  /** Each answer is a whole list: Consul does not say what has changed. */
  watch(prefix: string, watcher: Watcher): Watch {
    const abort = new AbortController()
    const watch = {
      close: () => {
        abort.abort()
        this.open.delete(watch)
      }
    }
    this.open.add(watch)
    const run = async (): Promise<void> => {
      let index = 0
      while (!abort.signal.aborted) {
        const wait = index === 0 ? '' : `&index=${index}&wait=${WAIT_SECONDS}s`
        const { entries, index: now } = await this.read(`${this.path(prefix)}?recurse&consistent${wait}`, abort.signal)
        if (abort.signal.aborted) return
        if (now !== index) watcher.onList(entries)
        // An index that went back is that of another store, or of one that was restored: Consul says to begin anew.
        index = now < index ? 0 : now
      }
    }
    run().catch((error) => {
      if (abort.signal.aborted) return
      watch.close()
      watcher.onLost(error as ClusterError)
    })
    return watch
  }

  async lease(seconds: number): Promise<Lease> {
    const ttl = Math.max(MIN_SESSION_SECONDS, seconds)
    const session = JSON.stringify({ Name: 'netloom', TTL: `${ttl}s`, LockDelay: '0s', Behavior: 'delete' })
    const { ID } = parse<{ ID: string }>(await this.ask({ method: 'PUT', path: '/v1/session/create', body: session }))
    const { timers } = this
    const beat = (): Promise<unknown> => this.commit([], [{ put: BEATS + ID, value: String(seconds), lease: keeper }])
    const keeper: LeaseKeeper = new LeaseKeeper({
      seconds,
      timers,
      keepAlive: async () => {
        const { status } = await this.ask({ method: 'PUT', path: `/v1/session/renew/${ID}` }, { allowed: [404] })
        if (status === 404) return false
        await beat()
        return true
      },
      revoke: () => this.end(ID),
      onEnd: () => {
        beats.close()
        this.open.delete(keeper)
      }
    })
    const beats = new ConsulBeats({ timers, seconds, list: () => this.list(BEATS), end: (dead) => this.end(dead) })
    this.sessions.set(keeper, ID)
    this.open.add(keeper)
    try {
      await beat()
    } catch (error) {
      void keeper.close()
      throw error
    }
    return keeper
  }

  /** What is put under it goes. One that has ended already is no error to Consul. */
  private end(session: string): Promise<HttpAnswer> {
    return this.ask({ method: 'PUT', path: `/v1/session/destroy/${session}` })
  }

  async close(): Promise<void> {
    await Promise.all([...this.open].map((each) => each.close()))
    this.isClosed = true
    this.http.close()
  }

  private path(key: string): string {
    return `/v1/kv/${encodeURI(this.prefix + key)}`
  }

  /** 404: nothing is there, which has an index too. */
  private async read(path: string, signal?: AbortSignal): Promise<{ entries: StoreEntry[]; index: number }> {
    const patienceMs = signal === undefined ? PATIENCE_MS : (WAIT_SECONDS + 5) * 1000
    const answer = await this.ask({ method: 'GET', path }, { allowed: [404], patienceMs, ...(signal !== undefined && { signal }) })
    const found = answer.status === 404 ? [] : parse<ConsulEntry[]>(answer)
    const entries = found.map(({ Key, Value, ModifyIndex }) => ({
      key: Key.slice(this.prefix.length),
      value: Buffer.from(Value ?? '', 'base64').toString('utf8'),
      version: ModifyIndex
    }))
    entries.sort((a, b) => (a.key < b.key ? -1 : 1))
    return { entries, index: Number(answer.headers['x-consul-index'] ?? 0) }
  }

  /** Servers are asked in turn until one answers; `allowed`: statuses beside 200 that are answers. */
  private async ask(
    request: { readonly method: 'GET' | 'PUT'; readonly path: string; readonly body?: string },
    options: { isIdempotent?: boolean; allowed?: readonly number[]; patienceMs?: number; signal?: AbortSignal } = {}
  ): Promise<HttpAnswer> {
    if (this.isClosed) throw new ClusterError('closed', 'the store is closed')
    const { isIdempotent = true, allowed = [], patienceMs = PATIENCE_MS, signal } = options
    const { servers, token } = this.options
    let failure = new ClusterError('unavailable', 'the store has no servers')
    for (let attempt = 0; attempt < servers.length; attempt++) {
      const server = servers[this.current]
      try {
        const headers: Record<string, string> = token === undefined ? {} : { 'X-Consul-Token': token }
        const answer = await this.http.request(server, { ...request, headers }, patienceMs, signal)
        if (answer.status === 200 || allowed.includes(answer.status)) return answer
        const text = `${server.host}:${server.port}: ${answer.status} ${answer.body.trim().slice(0, 200)}`
        if (answer.status === 401 || answer.status === 403) throw new ClusterError('denied', text)
        throw new ClusterError('unavailable', text, { isUncertain: answer.status >= 500 })
      } catch (error) {
        if (!(error instanceof ClusterError) || error.code !== 'unavailable') throw error
        failure = error
        this.current = (this.current + 1) % servers.length
        if (signal?.aborted || (error.isUncertain && !isIdempotent)) throw error
      }
    }
    throw failure
  }
}

/** Throws ClusterError for what is not Consul's. */
function parse<T>({ body }: HttpAnswer): T {
  try {
    return JSON.parse(body) as T
  } catch (cause) {
    throw new ClusterError('unavailable', 'an answer that is not of Consul', { cause, isUncertain: true })
  }
}
