/**
 * Which source port a translated flow leaves with: that of the source's other flows, its own where that is free, else another one.
 *
 * A port is free for a flow when no other flow's answers would look like its own: two flows share a port while their destinations
 * differ, as in Linux's nf_nat. Ports from 1024 on are sought from a random place, 128 of them, then 64, 32 and 16 from other places;
 * ports below 512 stay there, those below 1024 between 600 and 1023 (what r-commands trust). Where that was in vain, the same
 * destination is refused ports of that range for a tick without another search: who is short of ports costs established flows nothing.
 */
import { type Conntrack, NO_FLOW } from './conntrack.ts'
import { NO_MAPPING } from './source-mappings.ts'
import { swap16, type Tuple } from './tuple.ts'

export const NO_PORT = -1
/** `foresee` says so where a port would be sought from a random place. */
export const RANDOM_PORT = -2
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
  /** The flow that a port is chosen for. */
  private own = NO_FLOW
  /** Set by `setRange`. */
  private first = 0
  private last = 0
  private readonly exhausted = new Int32Array(EXHAUSTED * 2)

  /** `random` gives 32 random bits. */
  constructor(flows: Conntrack, random: () => number) {
    this.flows = flows
    this.random = random
  }

  /**
   * Chooses the port (of an ICMP query the identifier) that `reply` is addressed to, and puts it in.
   * @param source address and port of the flow, as in its original tuple
   * @param own the flow; NO_FLOW: it is yet to begin
   * @returns the port as a field, or NO_PORT with `reply` spoilt
   */
  choose(reply: Tuple, source: number, preferred: number, isQuery: boolean, own: number): number {
    this.own = own
    const isTranslated = reply.destination !== source
    const mapped = this.flows.mappings.portOf(source, preferred, reply.d, reply.destination)
    if (mapped !== NO_MAPPING && isTranslated && this.isFree(reply, mapped, isQuery)) return mapped
    this.isExclusive = this.endpointIndependent && isTranslated
    if (this.isExclusive && mapped !== NO_MAPPING) return NO_PORT
    if (this.tryPort(reply, preferred, isQuery)) return preferred
    this.setRange(preferred, isQuery)
    const key = this.keyOf(reply, isQuery)
    if (this.isExhausted(key)) return NO_PORT
    const { first } = this
    const range = this.last - first + 1
    for (let attempts = Math.min(range, ATTEMPTS); ; attempts >>= 1) {
      const from = (this.random() >>> 1) % range
      for (let i = 0; i < attempts; i++) {
        const port = swap16(first + ((from + i) % range))
        if (this.tryPort(reply, port, isQuery)) return port
      }
      if (attempts >= range || attempts <= LEAST_ATTEMPTS) break
    }
    const place = (key >>> 24) << 1
    this.exhausted[place] = key
    this.exhausted[place + 1] = this.flows.tick + 1
    return NO_PORT
  }

  /** What `choose` would return: a port, NO_PORT where none is free, or RANDOM_PORT; changes nothing but `reply`. Looks at all ports. */
  foresee(reply: Tuple, source: number, preferred: number, isQuery: boolean): number {
    const isTranslated = reply.destination !== source
    const mapped = this.flows.mappings.portOf(source, preferred, reply.d, reply.destination)
    if (mapped !== NO_MAPPING && isTranslated && this.seemsFree(reply, mapped, isQuery)) return mapped
    this.isExclusive = this.endpointIndependent && isTranslated
    if (this.isExclusive && mapped !== NO_MAPPING) return NO_PORT
    if (this.mayTry(reply, preferred) && this.seemsFree(reply, preferred, isQuery)) return preferred
    this.setRange(preferred, isQuery)
    if (this.isExhausted(this.keyOf(reply, isQuery))) return NO_PORT
    for (let wanted = this.first; wanted <= this.last; wanted++) {
      const port = swap16(wanted)
      if (this.mayTry(reply, port) && this.seemsFree(reply, port, isQuery)) return RANDOM_PORT
    }
    return NO_PORT
  }

  /** Among which ports another one than `preferred` is sought: [first, last]. */
  private setRange(preferred: number, isQuery: boolean): void {
    const wanted = swap16(preferred)
    this.first = this.firstPort
    this.last = this.lastPort
    if (isQuery) {
      this.first = 0
      this.last = 65_535
    } else if (wanted < 512) {
      this.first = 1
      this.last = 511
    } else if (wanted < 1024) {
      this.first = 600
      this.last = 1023
    }
  }

  /** Of a destination, an external address and the range that `setRange` has set. */
  private keyOf(reply: Tuple, isQuery: boolean): number {
    return this.flows.hash((reply.a & 0xffff) | (this.first << 16), reply.b, isQuery ? reply.c & 0xffff : reply.c, reply.d)
  }

  private isExhausted(key: number): boolean {
    const place = (key >>> 24) << 1
    return this.exhausted[place] === key && this.exhausted[place + 1] === this.flows.tick + 1
  }

  /** Puts the port into the tuple; true when no flow has that tuple. */
  private tryPort(reply: Tuple, port: number, isQuery: boolean): boolean {
    return this.mayTry(reply, port) && this.isFree(reply, port, isQuery)
  }

  private mayTry(reply: Tuple, port: number): boolean {
    return !this.isExclusive || !this.flows.mappings.isTaken(reply.destination, port, reply.d)
  }

  private isFree(reply: Tuple, port: number, isQuery: boolean): boolean {
    setPort(reply, port, isQuery)
    return this.flows.vacate(reply, this.own)
  }

  /** The same, and a flow that is too old, or tentative, stays where it is. */
  private seemsFree(reply: Tuple, port: number, isQuery: boolean): boolean {
    setPort(reply, port, isQuery)
    const reference = this.flows.find(reply.a, reply.b, reply.c, reply.d)
    return reference === NO_FLOW || !this.flows.isAlive(reference >> 1) || this.flows.isTentative(reference >> 1)
  }
}

function setPort(reply: Tuple, port: number, isQuery: boolean): void {
  reply.a = (reply.a & 0xffff) | (port << 16)
  if (isQuery) reply.c = (reply.c & 0xffff) | (port << 16)
}
