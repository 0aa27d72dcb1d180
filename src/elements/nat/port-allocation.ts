/**
 * Which source port a translated flow leaves with: that of the source's other flows, its own where that is free, else another one.
 *
 * A port is free for a flow when no other flow's answers would look like its own: two flows share a port while their destinations
 * differ, as in Linux's nf_nat. Ports from 1024 on are sought from a random place, 128 of them, then 64, 32 and 16 from other places;
 * ports below 512 stay there, those below 1024 between 600 and 1023 (what r-commands trust). Where that was in vain, the same
 * destination is refused for a tick without another search: who is short of ports costs established flows nothing.
 */
import { type Conntrack, NO_FLOW } from './conntrack.ts'
import { NO_MAPPING } from './source-mappings.ts'
import { swap16, type Tuple } from './tuple.ts'

export const NO_PORT = -1
const ATTEMPTS = 128
const LEAST_ATTEMPTS = 16
/** Destinations remembered as exhausted; a power of two. */
const EXHAUSTED = 256

export class PortAllocation {
  firstPort = 1024
  lastPort = 65_535
  /** One external port for a source, whoever it talks to, and for nobody else. */
  endpointIndependent = false
  private readonly flows: Conntrack
  private readonly random: () => number
  private isExclusive = false
  private readonly exhausted = new Int32Array(EXHAUSTED * 2)

  /** `random` gives 32 random bits. */
  constructor(flows: Conntrack, random: () => number) {
    this.flows = flows
    this.random = random
  }

  /**
   * Chooses the port (of an ICMP query the identifier) that `reply` is addressed to, and puts it in.
   * @param source address and port of the flow, as in its original tuple
   * @returns the port as a field, or NO_PORT with `reply` spoilt
   */
  choose(reply: Tuple, source: number, preferred: number, isQuery: boolean): number {
    const isTranslated = reply.destination !== source
    const mapped = this.flows.mappings.portOf(source, preferred, reply.d, reply.destination)
    if (mapped !== NO_MAPPING && isTranslated && this.isFree(reply, mapped, isQuery)) return mapped
    this.isExclusive = this.endpointIndependent && isTranslated
    if (this.isExclusive && mapped !== NO_MAPPING) return NO_PORT
    if (this.tryPort(reply, preferred, isQuery)) return preferred
    const key = this.flows.hash(reply.a & 0xffff, reply.b, isQuery ? reply.c & 0xffff : reply.c, reply.d)
    const place = (key >>> 24) << 1
    if (this.exhausted[place] === key && this.exhausted[place + 1] === this.flows.tick + 1) return NO_PORT
    const wanted = swap16(preferred)
    let first = this.firstPort
    let last = this.lastPort
    if (isQuery) {
      first = 0
      last = 65_535
    } else if (wanted < 512) {
      first = 1
      last = 511
    } else if (wanted < 1024) {
      first = 600
      last = 1023
    }
    const range = last - first + 1
    for (let attempts = Math.min(range, ATTEMPTS); ; attempts >>= 1) {
      const from = (this.random() >>> 1) % range
      for (let i = 0; i < attempts; i++) {
        const port = swap16(first + ((from + i) % range))
        if (this.tryPort(reply, port, isQuery)) return port
      }
      if (attempts >= range || attempts <= LEAST_ATTEMPTS) break
    }
    this.exhausted[place] = key
    this.exhausted[place + 1] = this.flows.tick + 1
    return NO_PORT
  }

  /** Whether `choose` would keep this port; changes nothing but `reply`. */
  wouldKeep(reply: Tuple, source: number, port: number, isQuery: boolean): boolean {
    if (this.flows.mappings.size > 0) {
      const mapped = this.flows.mappings.portOf(source, port, reply.d, reply.destination)
      if (mapped !== NO_MAPPING) return mapped === port
      if (this.endpointIndependent && this.flows.mappings.isTaken(reply.destination, port, reply.d)) return false
    }
    setPort(reply, port, isQuery)
    const reference = this.flows.find(reply.a, reply.b, reply.c, reply.d)
    return reference === NO_FLOW || !this.flows.isAlive(reference >> 1)
  }

  /** Puts the port into the tuple; true when no flow has that tuple. */
  private tryPort(reply: Tuple, port: number, isQuery: boolean): boolean {
    if (this.isExclusive && this.flows.mappings.isTaken(reply.destination, port, reply.d)) return false
    return this.isFree(reply, port, isQuery)
  }

  private isFree(reply: Tuple, port: number, isQuery: boolean): boolean {
    setPort(reply, port, isQuery)
    return this.flows.look(reply) === NO_FLOW
  }
}

function setPort(reply: Tuple, port: number, isQuery: boolean): void {
  reply.a = (reply.a & 0xffff) | (port << 16)
  if (isQuery) reply.c = (reply.c & 0xffff) | (port << 16)
}
