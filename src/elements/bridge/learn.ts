/**
 * The learning process, IEEE 802.1Q 8.7: the source address of a frame says where its station is.
 */
import { BRIDGE_PORTS_MAX } from './bridge-options.ts'
import { type Fdb, Learned } from './fdb.ts'

export class LearningProcess {
  /** Addresses entered, addresses found on another port, frames whose address found no room. */
  added = 0
  moved = 0
  refused = 0
  private readonly fdb: Fdb
  /** 1 for ports on which nothing is learned. */
  private readonly silent = new Uint8Array(BRIDGE_PORTS_MAX)

  constructor(fdb: Fdb) {
    this.fdb = fdb
  }

  /** Ports on which nothing is learned. */
  setSilent(ports: ReadonlySet<number>): void {
    this.silent.fill(0)
    for (const port of ports) this.silent[port] = 1
  }

  /** Enters an individual, non-zero address. */
  learn(hi: number, lo: number, port: number, seconds: number): void {
    if (this.fdb.ageing === 0 || this.silent[port] === 1) return
    const what = this.fdb.learn(hi, lo, port, seconds)
    if (what === Learned.added) this.added++
    else if (what === Learned.moved) this.moved++
    else if (what === Learned.refused) this.refused++
  }
}
