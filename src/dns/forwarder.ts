/**
 * Carries queries that the service cannot answer to the upstream servers: on the main thread, with sockets of its own.
 *
 * Servers are asked in order, each round through all of them, as resolv.conf(5) says; SERVFAIL and REFUSED pass on to the
 * next server, and stand when none says better (libnetwork's resolver does the same). A query goes out by the transport by
 * which it came: a truncated answer goes back as it is, and the client asks again by TCP.
 */
import type { Timers } from '../engine/clock.ts'
import type { Random } from '../engine/random.ts'
import { get16, put16 } from '../wire/big-endian.ts'
import { DNS_HEADER_LENGTH, DnsFlag, Rcode } from './dns-format.ts'
import { askByTcp, askByUdp, type DnsServer, type UpstreamQuery } from './upstream.ts'

export interface DnsForwarderOptions {
  readonly servers: readonly DnsServer[]
  /** For one question to one server; default 5000. */
  readonly timeoutMs?: number
  /** Rounds through the servers; default 2. */
  readonly attempts?: number
  /** Begin with another server each time. */
  readonly rotate?: boolean
  /** Queries of one asker under way at most, as Docker's resolver of each container has it; default 1024. */
  readonly maxInFlight?: number
  /** Of all askers; each query has a socket. Default 8192. */
  readonly maxInAll?: number
  /** Names the ids of queries. Give one with a seed that nobody knows. */
  readonly random: Random
  readonly timers: Timers
}

/** Where Docker's embedded server is: asking there would ask ourselves. */
const EMBEDDED = '127.0.0.11'

export class DnsForwarder {
  private readonly options: DnsForwarderOptions
  private servers: readonly DnsServer[] = []
  private readonly underWay = new Set<UpstreamQuery>()
  private queries = 0
  /** Queries under way of each asker that has any. */
  private readonly askers = new Map<string, number>()
  private first = 0
  private isClosed = false

  constructor(options: DnsForwarderOptions) {
    this.options = options
    this.setServers(options.servers)
  }

  /** For queries from now on. */
  setServers(servers: readonly DnsServer[]): void {
    this.servers = withoutLoops(servers)
  }

  /** Queries under way. */
  get inFlight(): number {
    return this.queries
  }

  /**
   * The answer with the query's own id, or null when no server gave any, or too many queries are under way.
   * @param query a well-formed message with one question
   * @param servers instead of the forwarder's own (`--dns` of one container)
   * @param asker whose query it is: who asks too much takes nothing from the others
   */
  async forward(query: Uint8Array, tcp: boolean, servers?: readonly DnsServer[], asker = ''): Promise<Uint8Array | null> {
    const { rotate = false } = this.options
    const list = servers === undefined ? this.servers : withoutLoops(servers)
    if (query.length < DNS_HEADER_LENGTH || list.length === 0 || this.isClosed || !this.enter(asker)) return null
    const start = rotate ? this.first++ % list.length : 0
    try {
      const answer = await this.askAll([...list.slice(start), ...list.slice(0, start)], query, tcp)
      if (answer !== null) put16(answer, 0, get16(query, 0))
      return answer
    } finally {
      this.leave(asker)
    }
  }

  /** Ends everything under way; what waits gets null. */
  close(): void {
    this.isClosed = true
    for (const query of [...this.underWay]) query.cancel()
  }

  /**
   * False: too many are under way. An asker may have as many as are still free, so that those that ask too much leave room for a
   * newcomer, however many they are (dynamic thresholds of shared buffers: Choudhury and Hahne, 1998).
   */
  private enter(asker: string): boolean {
    const { maxInFlight = 1024, maxInAll = 8192 } = this.options
    const mine = this.askers.get(asker) ?? 0
    if (mine >= Math.min(maxInFlight, maxInAll - this.queries)) return false
    this.queries++
    this.askers.set(asker, mine + 1)
    return true
  }

  private leave(asker: string): void {
    this.queries--
    const mine = this.askers.get(asker)! - 1
    if (mine === 0) this.askers.delete(asker)
    else this.askers.set(asker, mine)
  }

  private async askAll(servers: readonly DnsServer[], query: Uint8Array, tcp: boolean): Promise<Uint8Array | null> {
    const { attempts = 2 } = this.options
    for (let attempt = 0; attempt < attempts; attempt++) {
      let failure: Uint8Array | null = null
      for (const server of servers) {
        const answer = await this.ask(server, query, tcp)
        if (this.isClosed) return null
        if (answer === null) continue
        const rcode = get16(answer, 2) & DnsFlag.rcode
        if (rcode !== Rcode.serverFailure && rcode !== Rcode.refused) return answer
        failure = answer
      }
      if (failure !== null) return failure
    }
    return null
  }

  private async ask(server: DnsServer, query: Uint8Array, tcp: boolean): Promise<Uint8Array | null> {
    const { timeoutMs = 5000, timers, random } = this.options
    const message = Uint8Array.from(query) // slice of a Buffer would be the same memory
    put16(message, 0, random.below(65536))
    const asked = (tcp ? askByTcp : askByUdp)(server, message, timeoutMs, timers)
    this.underWay.add(asked)
    try {
      return await asked.promise
    } finally {
      this.underWay.delete(asked)
    }
  }
}

function withoutLoops(servers: readonly DnsServer[]): readonly DnsServer[] {
  return servers.filter(({ address }) => address !== EMBEDDED && address.toLowerCase() !== `::ffff:${EMBEDDED}`)
}
