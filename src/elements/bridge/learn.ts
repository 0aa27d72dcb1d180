/**
 * The learning process, IEEE 802.1Q 8.7: the source address of a frame says where its station is.
 *
 * Stations send in bursts: the last address of each port is kept with the second in which it was entered, and a frame that
 * repeats it costs two comparisons and no look-up.
 */
import { BRIDGE_PORTS_MAX } from './bridge-options.ts'
import { type Fdb, Learned } from './fdb.ts'

export class LearningProcess {
  added = 0
  moved = 0
  refused = 0
  private readonly fdb: Fdb
  /** 1 for ports on which nothing is learned. */
  private readonly silent = new Uint8Array(BRIDGE_PORTS_MAX)
  /** Per port: the last source address, with the second of its entry. */
  private lastHi = new Int32Array(16)
  private lastLo = new Int32Array(16)
  private lastSecond = new Int32Array(16).fill(-1)

  constructor(fdb: Fdb) {
    this.fdb = fdb
  }

  /** Ports on which nothing is learned. */
  setSilent(ports: ReadonlySet<number>): void {
    this.silent.fill(0)
    for (const port of ports) this.silent[port] = 1
  }

  /** Ports 0 to count - 1 exist from now on. */
  reserve(count: number): void {
    if (count <= this.lastHi.length) return
    const size = 2 ** Math.ceil(Math.log2(count))
    this.lastHi = new Int32Array(size)
    this.lastLo = new Int32Array(size)
    this.lastSecond = new Int32Array(size).fill(-1)
  }

  /** True when the address was the last one entered from this port, this second: it is sound and known. */
  isRepeat(hi: number, lo: number, port: number, seconds: number): boolean {
    return this.lastLo[port] === lo && this.lastHi[port] === hi && this.lastSecond[port] === seconds
  }

  /** Enters an individual, non-zero address. */
  learn(hi: number, lo: number, port: number, seconds: number): void {
    if (this.fdb.ageing === 0 || this.silent[port] === 1) return
    const what = this.fdb.learn(hi, lo, port, seconds)
    if (what === Learned.refused) {
      this.refused++
      return
    }
    if (what === Learned.moved) {
      this.moved++
      // The port it moved from may hold it as its last address, which is now wrong.
      this.forgetRepeats()
    } else if (what === Learned.added) this.added++
    this.lastHi[port] = hi
    this.lastLo[port] = lo
    this.lastSecond[port] = seconds
  }

  /** The table was changed by another hand. */
  forgetRepeats(): void {
    this.lastSecond.fill(-1)
  }
}
