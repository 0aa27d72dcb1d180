/**
 * What the parts of a router share: interfaces, tables, and the way out of a port.
 */
import type { ElementContext } from '../../engine/element.ts'
import type { FrameHandle, FramePool } from '../../engine/frame-pool.ts'
import type { Arp } from './arp.ts'
import { ForwardingCache } from './forwarding-cache.ts'
import type { IcmpErrors } from './icmp-errors.ts'
import type { NeighborDiscovery } from './neighbor-discovery.ts'
import type { Neighbors } from './neighbors.ts'
import type { Output } from './output.ts'
import type { RouterInterface } from './router-interface.ts'
import { Own, Routing } from './routing.ts'
import { SourceFilter } from './source-filter.ts'

/** Places in the element's counters. */
export const Counter = {
  rxFrames: 0,
  txFrames: 1,
  forwarded: 2,
  fragments: 3,
  originated: 4,
  consumed: 5,
  errors: 6,
  errorsLimited: 7,
  arpRequests: 8,
  neighborSolicitations: 9,
  resolved: 10,
  unresolved: 11
} as const

/** `frames.mark` of what the router, or a program on it, makes itself: no flow of the NAT's. */
export const UNTRACKED = -1

export class RouterCore {
  readonly context: ElementContext
  readonly frames: FramePool
  readonly counters: Float64Array
  /** By number; null or missing: none. */
  readonly interfaces: (RouterInterface | null)[] = []
  /** Those of them that are programs. */
  services: readonly RouterInterface[] = []
  readonly routing: Routing
  readonly cache = new ForwardingCache()
  readonly sources = new SourceFilter()
  // Set once, by the router: they need each other.
  neighbors!: Neighbors
  arp!: Arp
  discovery!: NeighborDiscovery
  errors!: IcmpErrors
  output!: Output

  constructor(context: ElementContext) {
    this.context = context
    this.frames = context.frames
    this.counters = context.counters
    this.routing = new Routing(this.interfaces)
  }

  interface(number: number): RouterInterface | null {
    return this.interfaces[number] ?? null
  }

  /** The frame leaves by a port, or is dropped where nothing is connected. */
  transmit(port: number, frame: FrameHandle): void {
    const to = this.context.ports[port]
    if (to) {
      this.counters[Counter.txFrames]++
      to.tx.transmit(frame)
    } else this.context.transmit(port, frame)
  }

  /** Marks a frame as made here, of which nobody knows anything yet. */
  enter(frame: FrameHandle): void {
    this.frames.flags[frame] = 0
    this.frames.mark[frame] = UNTRACKED
    this.counters[Counter.originated]++
    this.context.enter(frame)
  }

  /** Whether no station may send from an address (RFC 1812 5.3.7; 240/4 passes, as with Linux). */
  isMartianSource(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): boolean {
    if (this.routing.own(family, w0, w1, w2, w3) !== Own.none) return true
    if (family === 4) return w0 >>> 24 === 0 || w0 >>> 24 === 127 || w0 >>> 28 === 0xe || w0 === -1
    return w0 >>> 24 === 0xff || ((w0 | w1 | w2) === 0 && w3 === 1)
  }

  /** Whether no packet on a wire has an address for its destination. */
  isMartianDestination(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): boolean {
    if (family === 4) return w0 >>> 24 === 0 || w0 >>> 24 === 127
    return (w0 | w1 | w2) === 0 && (w3 === 0 || w3 === 1)
  }

  /** Ends a frame that was for the router itself. */
  consume(frame: FrameHandle): void {
    this.counters[Counter.consumed]++
    this.frames.free(frame)
  }

  drop(frame: FrameHandle, reason: number): void {
    this.context.drop(frame, reason)
  }
}
