/**
 * Who makes room for a newcomer when the table of flows is full: a flow that is not assured, or nobody.
 */
import { type Conntrack, FlowStatus, NO_FLOW } from './conntrack.ts'

/** Neighbors that a search looks at, as Linux's early_drop looks at 8 lists. */
const WINDOW = 8
/** Newcomers that are refused unseen after a search in vain: a flood of them costs established flows little. */
const PAUSE = 15

export class FlowEviction {
  private readonly flows: Conntrack
  private readonly random: () => number
  private pause = 0
  /** What the last search has found, and nobody has taken yet. */
  private found = NO_FLOW

  /** `random` gives 32 random bits. */
  constructor(flows: Conntrack, random: () => number) {
    this.flows = flows
    this.random = random
  }

  /** Makes room by removing a flow that is not assured. False: no room was made. */
  evict(): boolean {
    if (this.pause > 0) {
      this.pause--
      return false
    }
    if (!this.search()) return false
    this.flows.remove(this.found)
    this.found = NO_FLOW
    return true
  }

  /** Whether `evict` could make room from any place at all; changes nothing. Looks at all flows. */
  mayEvict(): boolean {
    if (this.pause > 0) return false
    for (let flow = 0; flow < this.flows.end; flow++) if (this.isEvictable(flow)) return true
    return false
  }

  /** The table is full, and a search for room was in vain just now. */
  get isRefusing(): boolean {
    return this.pause > 0 && this.flows.size >= this.flows.capacity
  }

  /** Refuses a newcomer; false when there is room, or a flow that would make some, which `evict` then removes. */
  refuse(): boolean {
    if (this.flows.size < this.flows.capacity) return false
    if (this.pause === 0) return !this.search()
    this.pause--
    return true
  }

  /**
   * Seeks a flow that is not assured among a few neighbors of a random one. The statuses of neighbors share a cache line, and after
   * a search in vain the next newcomers are refused without one.
   */
  private search(): boolean {
    const { end } = this.flows
    if (end === 0) return false
    if (this.found !== NO_FLOW && this.isEvictable(this.found)) return true
    let flow = (this.random() & 0x7fffffff) % end
    for (let i = 0; i < WINDOW; i++) {
      if (this.isEvictable(flow)) {
        this.found = flow
        return true
      }
      flow = flow + 1 === end ? 0 : flow + 1
    }
    this.found = NO_FLOW
    this.pause = PAUSE
    return false
  }

  private isEvictable(flow: number): boolean {
    const bits = this.flows.status[flow]
    return bits !== 0 && ((bits & FlowStatus.assured) === 0 || !this.flows.isAlive(flow))
  }
}
