/**
 * Who makes room for a newcomer when the table of flows is full: a flow that is not assured, or nobody.
 */
import { type Conntrack, FlowStatus } from './conntrack.ts'

/** Neighbors that a search looks at, as Linux's early_drop looks at 8 lists. */
const WINDOW = 8
/** Newcomers that are refused unseen after a search in vain: a flood of them costs established flows little. */
const PAUSE = 15

export class FlowEviction {
  private readonly flows: Conntrack
  private pause = 0

  constructor(flows: Conntrack) {
    this.flows = flows
  }

  /**
   * Makes room by removing a flow that is not assured, among a few neighbors of `start` (any number 0..2^31-1). The statuses of
   * neighbors share a cache line, and after a search in vain the next newcomers are refused without one. False: no room was made.
   */
  evict(start: number): boolean {
    const { flows } = this
    const { end } = flows
    if (end === 0 || this.pause-- > 0) return false
    let flow = start % end
    for (let i = 0; i < WINDOW; i++) {
      if (this.isEvictable(flow)) {
        flows.remove(flow)
        return true
      }
      flow = flow + 1 === end ? 0 : flow + 1
    }
    this.pause = PAUSE
    return false
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

  /** Refuses a newcomer without a search; false when it is time for one. */
  refuse(): boolean {
    return this.isRefusing && this.pause-- > 0
  }

  private isEvictable(flow: number): boolean {
    const bits = this.flows.status[flow]
    return bits !== 0 && ((bits & FlowStatus.assured) === 0 || !this.flows.isAlive(flow))
  }
}
