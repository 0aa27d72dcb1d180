/**
 * Queries that wait for an answer from outside: who asked, how, and what to say when the answer is too long.
 */
import type { Path } from '../stack/ip-packet.ts'
import type { TcpConnection } from '../stack/tcp-connection.ts'

/** How an answer gets back to the client. */
export type ReturnPath =
  | { readonly kind: 'udp'; readonly port: number; readonly path: Path; readonly clientPort: number; readonly limit: number }
  | { readonly kind: 'tcp'; readonly connection: TcpConnection }

export interface PendingQuery {
  readonly back: ReturnPath
  /** The client's message. */
  readonly query: Uint8Array
  readonly deadline: number
}

/** As many of one asker as Docker's own server lets wait: it has a server for each container. */
export const PENDING_MAX = 1024
/** Of all askers. */
const PENDING_TOTAL_MAX = 65_536
/** Longer than a forwarder takes for three servers, two attempts each (resolv.conf(5) defaults). */
const LIFETIME_NS = 35e9

export class PendingQueries {
  private readonly pending = new Map<number, PendingQuery>()
  /** How many of each port wait. */
  private readonly byPort = new Map<number, number>()
  private nextId = 1

  /** The number of the query, or 0 when too many wait. */
  add(back: ReturnPath, query: Uint8Array, now: number): number {
    const port = portOf(back)
    const waiting = this.byPort.get(port) ?? 0
    if (waiting >= PENDING_MAX || this.pending.size >= PENDING_TOTAL_MAX) return 0
    this.byPort.set(port, waiting + 1)
    const id = this.nextId
    this.nextId = (this.nextId % 0x7fffffff) + 1
    this.pending.set(id, { back, query, deadline: now + LIFETIME_NS })
    return id
  }

  /** The query, which is then no longer waited for. */
  take(id: number): PendingQuery | undefined {
    const found = this.pending.get(id)
    if (found !== undefined) this.forget(id, found)
    return found
  }

  /** Nobody is at the port any more: an answer must not reach who comes there next. */
  forgetPort(port: number): void {
    if (!this.byPort.has(port)) return
    for (const [id, query] of this.pending) if (portOf(query.back) === port) this.forget(id, query)
  }

  private forget(id: number, { back }: PendingQuery): void {
    this.pending.delete(id)
    const port = portOf(back)
    const left = this.byPort.get(port)! - 1
    if (left === 0) this.byPort.delete(port)
    else this.byPort.set(port, left)
  }

  /** Forgets what nobody answered, and returns how many that were. */
  expire(now: number): number {
    let count = 0
    for (const [id, query] of this.pending) {
      if (query.deadline > now) break // in the order of their deadlines
      this.forget(id, query)
      count++
    }
    return count
  }

  /** When the oldest is given up; Infinity when none waits. */
  get deadline(): number {
    for (const { deadline } of this.pending.values()) return deadline
    return Number.POSITIVE_INFINITY
  }

  get size(): number {
    return this.pending.size
  }
}

function portOf(back: ReturnPath): number {
  return back.kind === 'udp' ? back.port : back.connection.elementPort
}
