/**
 * A stub resolver: asks one DNS server over UDP for A and AAAA, RFC 1035 section 7 and resolv.conf(5)'s defaults.
 *
 * Names are looked up at the pace of people and tests, so messages are built and read by dns-packet.
 */
import dnsPacket, { type Answer, type DecodedPacket } from 'dns-packet'
import type { ElementContext } from '../engine/element.ts'
import type { Timer } from '../engine/timer-queue.ts'
import type { IpOutput, Route } from './ip-output.ts'
import { addressEquals, canonicalAddress, type PacketReader } from './ip-packet.ts'
import type { UdpSockets } from './udp-sockets.ts'

export interface ResolveResult {
  /** IPv4 first; empty when the name has no address of the family, or is not there (see rcode). */
  readonly addresses: readonly string[]
  /** `NOERROR`, `NXDOMAIN`, `SERVFAIL`... of the last answer. */
  readonly rcode: string
}

interface Lookup {
  readonly id: number
  readonly name: string
  readonly type: 'A' | 'AAAA'
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
    // RFC 1035 2.3.4: labels of 1 to 63 bytes, 253 characters in all.
    if (!/^(?=.{1,253}\.?$)([^.]{1,63}\.)*[^.]{1,63}\.?$/.test(name)) throw new RangeError(`name '${name}' is not a domain name`)
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
    const port = this.udp.bind(0, (packet, at, length, fromPort) => this.answer(lookup, packet, at, length, fromPort))
    const lookup: Lookup = { id: this.context.random.below(65536), name, type, port, done, attempts: 0, deadline: 0 }
    this.lookups.add(lookup)
    this.ask(lookup)
  }

  private ask(lookup: Lookup): void {
    const { id, name, type, port } = lookup
    lookup.attempts++
    lookup.deadline = this.context.now + TIMEOUT_NS
    if (!this.timer.armed || this.timer.at > lookup.deadline) this.timer.arm(lookup.deadline)
    const query = dnsPacket.encode({
      type: 'query',
      id,
      flags: dnsPacket.RECURSION_DESIRED,
      questions: [{ type, name }],
      additionals: [
        { type: 'OPT', name: '.', udpPayloadSize: UDP_SIZE, flags: 0, extendedRcode: 0, ednsVersion: 0, flag_do: false, options: [] }
      ]
    })
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

  private answer(lookup: Lookup, packet: PacketReader, at: number, length: number, fromPort: number): void {
    if (
      fromPort !== DNS_PORT ||
      packet.addressLength !== this.server!.length ||
      !addressEquals(packet.bytes, packet.sourceAt, this.server!)
    )
      return
    let message: DecodedPacket
    try {
      message = dnsPacket.decode(Buffer.from(packet.bytes.subarray(at, at + length)))
    } catch {
      return // noise; the real answer may still come
    }
    const question = message.questions?.[0]
    const isOurs =
      message.type === 'response' &&
      message.id === lookup.id &&
      question?.type === lookup.type &&
      question.name.toLowerCase() === lookup.name.replace(/\.$/, '').toLowerCase()
    if (!isOurs) return
    const records = (message.answers ?? []).filter(
      (record): record is Extract<Answer, { type: 'A' | 'AAAA' }> => record.type === lookup.type
    )
    this.finish(lookup, null, {
      addresses: records.map(({ data }) => canonicalAddress(data)),
      rcode: (message as DecodedPacket & { rcode: string }).rcode
    })
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
