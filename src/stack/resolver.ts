/**
 * A stub resolver: asks one DNS server over UDP for A and AAAA, RFC 1035 section 7 and resolv.conf(5)'s defaults.
 */
import type { ElementContext } from '../engine/element.ts'
import type { Timer } from '../engine/timer-queue.ts'
import type { PacketView } from '../wire/packet-view.ts'
import { type DnsAnswer, DnsRecordType, dnsQuery, readDnsAnswer } from './dns-message.ts'
import type { IpOutput, Route } from './ip-output.ts'
import { addressEquals } from './ip-packet.ts'
import type { UdpSockets } from './udp-sockets.ts'

export interface ResolveResult {
  /** IPv4 first; empty when the name has no address of the family, or is not there (see rcode). */
  readonly addresses: readonly string[]
  /** `NOERROR`, `NXDOMAIN`, `SERVFAIL`... of the last answer. */
  readonly rcode: string
}

interface Lookup {
  readonly name: string
  readonly query: Uint8Array
  readonly port: number
  readonly done: (error: Error | null, result?: ResolveResult) => void
  attempts: number
  deadline: number
}

const DNS_PORT = 53
const TIMEOUT_NS = 5e9
const ATTEMPTS = 2
const UDP_SIZE = 1232
const LOOKUPS_MAX = 256
/** RFC 1035 2.3.4: labels of 1 to 63 bytes, 253 characters in all. */
const DOMAIN_NAME = /^(?=.{1,253}\.?$)([^.]{1,63}\.)*[^.]{1,63}\.?$/

export class Resolver {
  private readonly context: ElementContext
  private readonly output: IpOutput
  private readonly udp: UdpSockets
  private readonly server: Uint8Array | null
  private readonly lookups = new Set<Lookup>()
  private readonly timer: Timer

  constructor(context: ElementContext, output: IpOutput, udp: UdpSockets, server: Uint8Array | null) {
    this.context = context
    this.output = output
    this.udp = udp
    this.server = server
    this.timer = context.timer((now) => this.tick(now))
  }

  /** Both families unless one is named. Throws Error where it cannot begin; `done` is called once. */
  resolve(name: string, family: 4 | 6 | undefined, done: Lookup['done']): void {
    if (this.server === null) throw new Error(`cannot resolve '${name}': the host has no resolver`)
    if (!DOMAIN_NAME.test(name)) throw new RangeError(`name '${name}' is not a domain name`)
    if (this.lookups.size >= LOOKUPS_MAX) throw new Error(`${LOOKUPS_MAX} lookups are under way already`)
    const types = family === undefined ? (['A', 'AAAA'] as const) : family === 4 ? (['A'] as const) : (['AAAA'] as const)
    const addresses: string[] = []
    const ask = (index: number): void => {
      this.lookup(name, types[index], (error, result) => {
        if (error !== null || result === undefined) return done(error)
        addresses.push(...result.addresses)
        if (index + 1 < types.length) ask(index + 1)
        else done(null, { addresses, rcode: result.rcode })
      })
    }
    ask(0)
  }

  private lookup(name: string, type: 'A' | 'AAAA', done: Lookup['done']): void {
    const query = dnsQuery(this.context.random.below(65536), name, DnsRecordType[type], UDP_SIZE)
    if (query === null) return done(new RangeError(`name '${name}' is not a domain name`))
    const port = this.udp.bind(0, (packet, at, length, fromPort) => this.answer(lookup, packet, at, length, fromPort))
    const lookup: Lookup = { name, query, port, done, attempts: 0, deadline: 0 }
    this.lookups.add(lookup)
    this.ask(lookup)
  }

  private ask(lookup: Lookup): void {
    const { query, port } = lookup
    lookup.attempts++
    lookup.deadline = this.context.now + TIMEOUT_NS
    if (!this.timer.armed || this.timer.at > lookup.deadline) this.timer.arm(lookup.deadline)
    try {
      const route: Route = this.output.route(this.server!)
      const refused = this.udp.send(route, port, DNS_PORT, query, (error) => {
        if (error !== null) this.finish(lookup, error)
      })
      if (refused !== null) this.finish(lookup, refused)
    } catch (error) {
      this.finish(lookup, error as Error)
    }
  }

  private answer(lookup: Lookup, packet: PacketView, at: number, length: number, fromPort: number): void {
    const { bytes, sourceAt, addressLength } = packet
    const server = this.server!
    if (fromPort !== DNS_PORT || addressLength !== server.length || !addressEquals(bytes, sourceAt, server)) return
    // What is noise changes nothing: the real answer may still come.
    const result: DnsAnswer | null = readDnsAnswer(bytes, at, at + length, lookup.query)
    if (result !== null) this.finish(lookup, null, result)
  }

  /** A server's port is closed: there is no use in waiting. */
  refused(port: number): boolean {
    for (const lookup of this.lookups) {
      if (lookup.port !== port) continue
      this.finish(lookup, new Error(`cannot resolve '${lookup.name}': the DNS server's port is closed`))
      return true
    }
    return false
  }

  /** The host ends. */
  close(): void {
    for (const lookup of this.lookups) this.finish(lookup, new Error('the host ended before the DNS server answered'))
  }

  private tick(now: number): void {
    let next = Number.POSITIVE_INFINITY
    for (const lookup of [...this.lookups]) {
      if (lookup.deadline <= now) {
        if (lookup.attempts < ATTEMPTS) this.ask(lookup)
        else this.finish(lookup, new Error(`cannot resolve '${lookup.name}': no answer from the DNS server`))
      }
      if (this.lookups.has(lookup)) next = Math.min(next, lookup.deadline)
    }
    if (next !== Number.POSITIVE_INFINITY) this.timer.arm(next)
  }

  private finish(lookup: Lookup, error: Error | null, result?: ResolveResult): void {
    if (!this.lookups.delete(lookup)) return
    this.udp.unbind(lookup.port)
    lookup.done(error, result)
  }
}
