/**
 * The cluster's store in ZooKeeper.
 *
 * A node's own version begins anew when the node is removed and made again, so it cannot tell what has changed; the transaction that
 * wrote it (mzxid) can, but is nothing that a multi compares. So every commit also writes one node, `!revision`, at the version that
 * was read before anything else: commits come one after the other, and what was compared before one is still so in it.
 */
import type { Timers } from '../engine/clock.ts'
import { freshSeed, Random } from '../engine/random.ts'
import { ClusterError } from './cluster-error.ts'
import type { ClusterStore, Lease, StoreComparison, StoreEntry, StoreStep, Watch, Watcher } from './cluster-store.ts'
import { delay } from './delay.ts'
import { JuteWriter } from './jute.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import type { StoreOptions } from './store-options.ts'
import { ZooKeeperConnection, ZooKeeperError, ZooKeeperFailure, ZooKeeperOp } from './zookeeper-connection.ts'
import {
  checkMulti,
  checkNode,
  isNoNode,
  multiBody,
  type NodeStat,
  type Operation,
  readStat,
  removeNode,
  setData,
  ZooKeeperNodes
} from './zookeeper-nodes.ts'
import { ZooKeeperWatch } from './zookeeper-watch.ts'

/** Of sessions without a lease: long enough that a busy process is not thrown out. */
const SESSION_MS = 10_000
const MAX_ROUNDS = 200

export class ZooKeeperStore implements ClusterStore {
  readonly name: string
  readonly ttl?: number
  private readonly options: StoreOptions
  private readonly timers: Timers
  private readonly nodes: ZooKeeperNodes
  private readonly random = new Random(freshSeed())
  private readonly open = new Set<{ close(): unknown }>()
  private readonly leases = new WeakMap<Lease, () => ZooKeeperConnection>()
  private connection: Promise<ZooKeeperConnection> | undefined
  private current = 0
  private isClosed = false

  constructor(options: StoreOptions, timers: Timers) {
    this.name = options.name
    if (options.ttl !== undefined) this.ttl = options.ttl
    this.options = options
    this.timers = timers
    this.nodes = new ZooKeeperNodes(options.prefix, options.username !== undefined)
  }

  get(key: string): Promise<StoreEntry | undefined> {
    return this.with(async (connection) => {
      // What a follower has may be old; requests of one connection are carried out in order.
      const [, entry] = await Promise.all([this.sync(connection), this.read(connection, this.nodes.pathOf(key))])
      return entry
    })
  }

  list(prefix: string): Promise<readonly StoreEntry[]> {
    return this.with(async (connection) => {
      await this.sync(connection)
      return this.listBelow(connection, this.nodes.folderOf(prefix))
    })
  }

  commit(comparisons: readonly StoreComparison[], steps: readonly StoreStep[]): Promise<number | null> {
    return this.with(async (connection) => {
      const lease = steps.map((step) => ('put' in step ? step.lease : undefined)).find((each) => each !== undefined)
      // An ephemeral node belongs to the session that makes it.
      const writer = lease === undefined ? connection : (this.leases.get(lease)?.() ?? connection)
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const operations = await this.prepare(connection, comparisons, steps)
        if (operations === null) return null
        try {
          const { zxid, body } = await writer.call(ZooKeeperOp.multi, multiBody(operations))
          checkMulti(body)
          return Number(zxid)
        } catch (error) {
          if (!(error instanceof ZooKeeperError)) throw error
          if (error.code === ZooKeeperFailure.noNode) await this.makeFolders(connection, steps)
          else if (error.code !== ZooKeeperFailure.badVersion && error.code !== ZooKeeperFailure.nodeExists) throw error
          await delay(this.timers, this.random.next() * Math.min(2 ** round, 32))
        }
      }
      throw new ClusterError('unavailable', `${this.name}: others were faster ${MAX_ROUNDS} times in a row`)
    })
  }

  watch(prefix: string, watcher: Watcher): Watch {
    const watch = new ZooKeeperWatch({
      watcher,
      folder: this.nodes.folderOf(prefix),
      keyOf: (path) => this.nodes.keyOf(path),
      connect: (onEvent) => this.connect(SESSION_MS, undefined, onEvent),
      list: (connection) => this.listBelow(connection, this.nodes.folderOf(prefix)),
      read: (connection, path) => this.read(connection, path),
      sync: (connection) => this.sync(connection),
      onEnd: () => this.open.delete(watch)
    })
    this.open.add(watch)
    return watch
  }

  async lease(seconds: number): Promise<Lease> {
    this.checkOpen()
    let connection = await this.connect(seconds * 1000)
    const keeper = new LeaseKeeper({
      seconds,
      timers: this.timers,
      keepAlive: async () => {
        try {
          await connection.ping()
        } catch {
          // The session outlives its connection: another server may go on with it.
          try {
            connection = await this.connect(seconds * 1000, connection)
          } catch (error) {
            if (error instanceof ClusterError && error.code === 'not-found') return false
            throw error
          }
        }
        return true
      },
      revoke: () => connection.closeSession(),
      onEnd: () => {
        this.open.delete(keeper)
        // Nothing is left of a lease that was lost; one that is closed says so by `revoke`.
        void keeper.lost.then(() => connection.close())
      }
    })
    this.leases.set(keeper, () => connection)
    this.open.add(keeper)
    return keeper
  }

  async close(): Promise<void> {
    this.isClosed = true
    await Promise.all([...this.open].map((each) => each.close()))
    await this.connection?.then((connection) => connection.closeSession()).catch(() => {})
  }

  /** What a commit has to do now; null when a comparison fails. */
  private async prepare(
    connection: ZooKeeperConnection,
    comparisons: readonly StoreComparison[],
    steps: readonly StoreStep[]
  ): Promise<Operation[] | null> {
    const keys = new Set([...comparisons.map(({ key }) => key), ...steps.map((step) => ('put' in step ? step.put : step.remove))])
    const paths = Array.from(keys, (key) => [key, this.nodes.pathOf(key)] as const)
    const [, revision, ...found] = await Promise.all([
      this.sync(connection),
      this.stat(connection, this.nodes.revision),
      ...paths.map(([, path]) => this.stat(connection, path))
    ])
    const stats = new Map(paths.map(([key], index) => [key, found[index]]))
    for (const { key, version } of comparisons) if ((stats.get(key)?.mzxid ?? 0) !== version) return null
    const { nodes } = this
    const operations = [revision === undefined ? nodes.create(nodes.revision, '', false) : setData(nodes.revision, '', revision.version)]
    const changed = new Set<string>()
    for (const step of steps) {
      const key = 'put' in step ? step.put : step.remove
      changed.add(key)
      const path = nodes.pathOf(key)
      const stat = stats.get(key)
      const isEphemeral = 'put' in step && step.lease !== undefined
      if ('put' in step && stat !== undefined && !stat.isEphemeral && !isEphemeral) operations.push(setData(path, step.value, stat.version))
      else {
        // Whose session an ephemeral node is cannot be changed: it is made anew.
        if (stat !== undefined) operations.push(removeNode(path, stat.version))
        if ('put' in step) operations.push(nodes.create(path, step.value, isEphemeral))
      }
    }
    // Entries under a lease can go without a commit.
    for (const { key } of comparisons) {
      const stat = stats.get(key)
      if (stat?.isEphemeral === true && !changed.has(key)) operations.push(checkNode(nodes.pathOf(key), stat.version))
    }
    return operations
  }

  private async makeFolders(connection: ZooKeeperConnection, steps: readonly StoreStep[]): Promise<void> {
    const folders = new Set(steps.flatMap((step) => ('put' in step ? this.nodes.parentsOf(this.nodes.pathOf(step.put)) : [])))
    for (const folder of [...folders].sort((a, b) => a.length - b.length)) {
      const { type, body } = this.nodes.createFolder(folder)
      await connection.call(type, body).catch((error) => {
        // A container may go between two rounds: then it is made again in the next.
        if (!(error instanceof ZooKeeperError && (error.code === ZooKeeperFailure.nodeExists || error.code === ZooKeeperFailure.noNode)))
          throw error
      })
    }
  }

  private async listBelow(connection: ZooKeeperConnection, folder: string): Promise<StoreEntry[]> {
    const entries: StoreEntry[] = []
    const walk = async (at: string): Promise<void> => {
      const children = await connection.call(ZooKeeperOp.getChildren, new JuteWriter().text(at).bool(false)).then(
        ({ body }) => body.texts(),
        (error) => (isNoNode(error) ? [] : Promise.reject(error))
      )
      await Promise.all(
        children.map(async (name) => {
          const path = `${at}/${name}`
          if (name.endsWith('!')) return walk(path)
          const entry = await this.read(connection, path)
          if (entry !== undefined) entries.push(entry)
        })
      )
    }
    await walk(folder)
    return entries.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  private async read(connection: ZooKeeperConnection, path: string): Promise<StoreEntry | undefined> {
    try {
      const { body } = await connection.call(ZooKeeperOp.getData, new JuteWriter().text(path).bool(false))
      const value = body.text()
      return { key: this.nodes.keyOf(path)!, value, version: readStat(body).mzxid }
    } catch (error) {
      if (isNoNode(error)) return undefined
      throw error
    }
  }

  private async stat(connection: ZooKeeperConnection, path: string): Promise<NodeStat | undefined> {
    try {
      return readStat((await connection.call(ZooKeeperOp.exists, new JuteWriter().text(path).bool(false))).body)
    } catch (error) {
      if (isNoNode(error)) return undefined
      throw error
    }
  }

  private async sync(connection: ZooKeeperConnection): Promise<void> {
    await connection.call(ZooKeeperOp.sync, new JuteWriter().text('/'))
  }

  /** Work on the shared connection, which is made when there is none. */
  private async with<T>(work: (connection: ZooKeeperConnection) => Promise<T>): Promise<T> {
    this.checkOpen()
    if (this.connection === undefined) {
      const made = this.connect(SESSION_MS)
      this.connection = made
      const forget = (): void => {
        if (this.connection === made) this.connection = undefined
      }
      made.then((connection) => {
        connection.keepAlive()
        void connection.ended.then(forget)
      }, forget)
    }
    const connection = await this.connection
    try {
      return await work(connection)
    } catch (error) {
      if (!(error instanceof ZooKeeperError)) throw error
      if (error.code === ZooKeeperFailure.noAuth) throw connection.denied()
      throw new ClusterError('unavailable', `${this.name}: ${error.message}`, { cause: error })
    }
  }

  /** The servers are tried in turn, from the one that was good last. */
  private async connect(
    timeoutMs: number,
    former?: ZooKeeperConnection,
    onEvent?: (type: number, path: string) => void
  ): Promise<ZooKeeperConnection> {
    const { servers } = this.options
    former?.close()
    let failure: unknown
    for (let attempt = 0; attempt < servers.length; attempt++) {
      try {
        return await ZooKeeperConnection.open({
          server: servers[this.current],
          store: this.options,
          timers: this.timers,
          timeoutMs,
          ...(former !== undefined && { session: former.session }),
          ...(onEvent !== undefined && { onEvent })
        })
      } catch (error) {
        if (!(error instanceof ClusterError) || error.code !== 'unavailable') throw error
        failure = error
        this.current = (this.current + 1) % servers.length
      }
    }
    throw failure
  }

  private checkOpen(): void {
    if (this.isClosed) throw new ClusterError('closed', 'the store is closed')
  }
}
