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

/** As many as Docker's own server lets wait. */
export const PENDING_MAX = 1024
/** Longer than a forwarder takes for three servers, two attempts each (resolv.conf(5) defaults). */
const LIFETIME_NS = 35e9

export class PendingQueries {
  private readonly pending = new Map<number, PendingQuery>()
  private nextId = 1

  /** The number of the query, or 0 when too many wait. */
  add(back: ReturnPath, query: Uint8Array, now: number): number {
    if (this.pending.size >= PENDING_MAX) return 0
    const id = this.nextId
    this.nextId = (this.nextId % 0x7fffffff) + 1
    this.pending.set(id, { back, query, deadline: now + LIFETIME_NS })
    return id
  }

  /** The query, which is then no longer waited for. */
  take(id: number): PendingQuery | undefined {
    const found = this.pending.get(id)
    this.pending.delete(id)
    return found
  }

  /** Forgets what nobody answered, and returns how many that were. */
  expire(now: number): number {
    let count = 0
    for (const [id, { deadline }] of this.pending) {
      if (deadline > now) break // in the order of their deadlines
      this.pending.delete(id)
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
