/**
 * A watch over a folder: a recursive one on a connection of its own, whose events say what changed and not to what.
 *
 * ZooKeeper tells an event before any answer that shows what it is about. So when no event is waiting after the last read, what was
 * read is whole: the changes of one commit are never told in part.
 */
import type { ClusterError } from './cluster-error.ts'
import type { StoreChange, StoreEntry, Watch, Watcher } from './cluster-store.ts'
import { JuteWriter } from './jute.ts'
import { type ZooKeeperConnection, ZooKeeperOp } from './zookeeper-connection.ts'

export interface ZooKeeperWatchOptions {
  readonly watcher: Watcher
  readonly folder: string
  readonly keyOf: (path: string) => string | undefined
  readonly connect: (onEvent: (type: number, path: string) => void) => Promise<ZooKeeperConnection>
  readonly list: (connection: ZooKeeperConnection) => Promise<readonly StoreEntry[]>
  readonly read: (connection: ZooKeeperConnection, path: string) => Promise<StoreEntry | undefined>
  readonly sync: (connection: ZooKeeperConnection) => Promise<void>
  readonly onEnd: () => void
}

/** AddWatchMode.PERSISTENT_RECURSIVE */
const RECURSIVE = 1

export class ZooKeeperWatch implements Watch {
  private readonly options: ZooKeeperWatchOptions
  /** Paths that changed and were not read since, in the order of their first event. */
  private readonly changed = new Set<string>()
  private connection: ZooKeeperConnection | undefined
  private isReading = true
  private isOpen = true

  constructor(options: ZooKeeperWatchOptions) {
    this.options = options
    this.begin().catch((error) => this.lose(error as ClusterError))
  }

  close(): void {
    if (!this.isOpen) return
    this.isOpen = false
    void this.connection?.closeSession()
    this.options.onEnd()
  }

  private async begin(): Promise<void> {
    const { connect, folder, list, sync, watcher } = this.options
    const connection = await connect((_type, path) => {
      this.changed.add(path)
      if (!this.isReading) this.readChanges().catch((error) => this.lose(error as ClusterError))
    })
    this.connection = connection
    if (!this.isOpen) return void connection.closeSession()
    connection.keepAlive()
    void connection.ended.then((error) => this.lose(error))
    await connection.call(ZooKeeperOp.addWatch, new JuteWriter().text(folder).int(RECURSIVE))
    await sync(connection)
    const entries = await list(connection)
    if (this.isOpen) watcher.onList(entries)
    await this.readChanges()
  }

  private async readChanges(): Promise<void> {
    this.isReading = true
    const { read, keyOf, watcher } = this.options
    while (this.isOpen && this.changed.size > 0) {
      const changes = new Map<string, StoreChange>()
      while (this.changed.size > 0) {
        const paths = [...this.changed]
        this.changed.clear()
        const entries = await Promise.all(paths.map((path) => (keyOf(path) === undefined ? undefined : read(this.connection!, path))))
        for (const [index, path] of paths.entries()) {
          const key = keyOf(path)
          const entry = entries[index]
          if (key !== undefined) changes.set(key, entry === undefined ? { remove: key } : { put: entry })
        }
      }
      if (this.isOpen && changes.size > 0) watcher.onChanges([...changes.values()])
    }
    this.isReading = false
  }

  private lose(error: ClusterError): void {
    if (!this.isOpen) return
    this.close()
    this.options.watcher.onLost(error)
  }
}
