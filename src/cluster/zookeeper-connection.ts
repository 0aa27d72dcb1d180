/**
 * One connection to one ZooKeeper server, in a session of its own or in one that is gone on with (ZooKeeper 3.6 and later, for
 * recursive watches; protocol: zookeeper.jute).
 *
 *   frame    length:int body       request  xid:int type:int ...       reply  xid:int zxid:long error:int ...
 */
import net from 'node:net'
import tls from 'node:tls'
import type { Timers } from '../engine/clock.ts'
import { ClusterError } from './cluster-error.ts'
import { JuteReader, JuteWriter } from './jute.ts'
import { patience } from './patience.ts'
import type { StoreOptions, StoreServer } from './store-options.ts'

export const ZooKeeperOp = {
  create: 1,
  remove: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getChildren: 8,
  sync: 9,
  ping: 11,
  check: 13,
  multi: 14,
  createContainer: 19,
  auth: 100,
  addWatch: 106,
  closeSession: -11
} as const

export const ZooKeeperFailure = { noNode: -101, noAuth: -102, badVersion: -103, nodeExists: -110, notEmpty: -111 } as const

/** A request that the server refused; `code` of ZooKeeperFailure and others. */
export class ZooKeeperError extends Error {
  readonly code: number

  constructor(code: number) {
    super(`ZooKeeper refuses: ${Object.entries(ZooKeeperFailure).find(([, value]) => value === code)?.[0] ?? code}`)
    this.name = 'ZooKeeperError'
    this.code = code
  }
}

/** What a session is gone on with on another connection. */
export interface ZooKeeperSession {
  readonly id: bigint
  readonly password: Buffer
}

export interface ZooKeeperReply {
  readonly zxid: bigint
  readonly body: JuteReader
}

export interface ConnectionOptions {
  readonly server: StoreServer
  readonly store: StoreOptions
  readonly timers: Timers
  /** Of the session, milliseconds; the server may make it longer. */
  readonly timeoutMs: number
  readonly session?: ZooKeeperSession
  /** NodeCreated 1, NodeDeleted 2, NodeDataChanged 3. */
  readonly onEvent?: (type: number, path: string) => void
}

const Xid = { event: -1, ping: -2, auth: -4 } as const
const PATIENCE_MS = 2000
const NO_SESSION: ZooKeeperSession = { id: 0n, password: Buffer.alloc(16) }

interface Pending {
  readonly type: number
  readonly resolve: (reply: ZooKeeperReply) => void
  readonly reject: (error: unknown) => void
  readonly cancel: () => void
}

export class ZooKeeperConnection {
  /** Resolves when it is over, for whatever reason. */
  readonly ended: Promise<ClusterError>
  session: ZooKeeperSession = NO_SESSION
  private readonly options: ConnectionOptions
  private readonly socket: net.Socket
  private readonly pending = new Map<number, Pending>()
  private received: Buffer = Buffer.alloc(0)
  private xid = 0
  private isUp = false
  private isOver = false
  private finish!: (error: ClusterError) => void
  private cancelPing = (): void => {}

  /** Rejects with ClusterError: `unavailable`, `denied`, or `not-found` when the session to go on with has ended. */
  static async open(options: ConnectionOptions): Promise<ZooKeeperConnection> {
    const connection = new ZooKeeperConnection(options)
    await connection.connect()
    const { username, password = '' } = options.store
    if (username !== undefined) {
      const auth = new JuteWriter().int(0).text('digest').text(`${username}:${password}`)
      await connection.call(ZooKeeperOp.auth, auth, Xid.auth).catch((error) => {
        connection.close()
        throw error instanceof ZooKeeperError ? connection.denied() : error
      })
    }
    return connection
  }

  private constructor(options: ConnectionOptions) {
    this.options = options
    const { server, store } = options
    this.ended = new Promise((resolve) => {
      this.finish = resolve
    })
    this.socket = store.tls === undefined ? net.connect(server) : tls.connect({ ...server, ...store.tls })
    this.socket.setNoDelay(true)
    this.socket.on('data', (data) => this.take(data))
    this.socket.on('error', (error) => this.end(error.message))
    this.socket.on('close', () => this.end('the connection was closed'))
  }

  /** One request. Rejects with ZooKeeperError, or with ClusterError when there is no answer. */
  call(type: number, body: JuteWriter, xid = ++this.xid): Promise<ZooKeeperReply> {
    if (this.isOver) return Promise.reject(this.unavailable('the connection is over', false))
    return new Promise((resolve, reject) => {
      const cancel = patience(this.options.timers, PATIENCE_MS, () => this.end(`no answer in ${PATIENCE_MS / 1000} s`))
      this.pending.set(xid, { type, resolve, reject, cancel })
      this.socket.write(new JuteWriter().int(xid).int(type).add(body.toBuffer()).toFrame())
    })
  }

  /** Tells the server that we are there; rejects when it does not say so too. */
  async ping(): Promise<void> {
    // One at a time: they have all the same number.
    if (!this.pending.has(Xid.ping)) await this.call(ZooKeeperOp.ping, new JuteWriter(), Xid.ping)
  }

  /** Keeps the session alive while nothing else is asked. */
  keepAlive(): void {
    this.cancelPing = this.options.timers.after(this.options.timeoutMs / 3, () => {
      this.ping().then(
        () => this.isOver || this.keepAlive(),
        () => {}
      )
    })
  }

  /** The session goes with its entries now. */
  async closeSession(): Promise<void> {
    await this.call(ZooKeeperOp.closeSession, new JuteWriter()).catch(() => {})
    this.close()
  }

  /** The session goes when its time is over. */
  close(): void {
    this.end('it was closed here')
  }

  denied(): ClusterError {
    const { host, port } = this.options.server
    return new ClusterError('denied', `${host}:${port}: ZooKeeper does not let us`)
  }

  private connect(): Promise<void> {
    const { timers, timeoutMs, session = NO_SESSION } = this.options
    return new Promise((resolve, reject) => {
      const cancel = patience(timers, PATIENCE_MS, () => this.end('no connection in time'))
      // The first answer has no header.
      this.pending.set(0, {
        type: 0,
        cancel,
        reject,
        resolve: ({ body }) => {
          body.int()
          const granted = body.int()
          this.session = { id: body.long(), password: Buffer.from(body.bytes()) }
          if (granted > 0) return resolve()
          this.end('the session has ended')
          reject(new ClusterError('not-found', 'the session has ended'))
        }
      })
      this.socket.once(this.options.store.tls === undefined ? 'connect' : 'secureConnect', () => {
        const hello = new JuteWriter().int(0).long(0n).int(timeoutMs).long(session.id).bytes(session.password).bool(false)
        this.socket.write(hello.toFrame())
      })
    })
  }

  private take(data: Buffer): void {
    this.received = this.received.length === 0 ? data : Buffer.concat([this.received, data])
    try {
      while (this.received.length >= 4) {
        const length = this.received.readInt32BE(0)
        if (length < 0 || length > 1 << 26) return this.end(`a frame of ${length} bytes: this is not ZooKeeper`)
        if (this.received.length < 4 + length) return
        const frame = this.received.subarray(4, 4 + length)
        this.received = this.received.subarray(4 + length)
        this.takeFrame(frame)
      }
    } catch (error) {
      this.end(`an answer that is not ZooKeeper's: ${(error as Error).message}`)
    }
  }

  private takeFrame(frame: Buffer): void {
    if (!this.isUp) {
      this.isUp = true
      return this.answer(0, (pending) => pending.resolve({ zxid: 0n, body: new JuteReader(frame) }))
    }
    const reader = new JuteReader(frame)
    const xid = reader.int()
    const zxid = reader.long()
    const code = reader.int()
    if (xid === Xid.event) {
      const type = reader.int()
      reader.int() // the session's state
      return this.options.onEvent?.(type, reader.text())
    }
    this.answer(xid, ({ resolve, reject }) => (code === 0 ? resolve({ zxid, body: reader }) : reject(new ZooKeeperError(code))))
  }

  private answer(xid: number, tell: (pending: Pending) => void): void {
    const pending = this.pending.get(xid)
    if (pending === undefined) return
    this.pending.delete(xid)
    pending.cancel()
    tell(pending)
  }

  private end(problem: string): void {
    if (this.isOver) return
    this.isOver = true
    this.cancelPing()
    this.socket.destroy()
    for (const xid of [...this.pending.keys()]) this.answer(xid, ({ reject }) => reject(this.unavailable(problem, this.isUp)))
    this.finish(this.unavailable(problem, false))
  }

  private unavailable(problem: string, isUncertain: boolean): ClusterError {
    const { host, port } = this.options.server
    return new ClusterError('unavailable', `${host}:${port}: ${problem}`, { isUncertain })
  }
}
