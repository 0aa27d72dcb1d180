/** How long each frame takes: a mean, and deviations from a distribution, independent or like the one before. */
import type { Random } from '../../engine/random.ts'
import { normalTable, paretoTable } from './distribution.ts'
import type { DelaySettings } from './link-settings.ts'

export class DelayModel {
  private readonly random: Random
  private meanNs: number
  private readonly jitterNs: number
  private readonly correlation: number
  /** null: uniform. */
  private readonly table: Float64Array | null
  /** In units of jitter. */
  private deviation = 0
  private hasDrawn = false

  constructor(random: Random, { meanNs, jitterNs = 0, correlation = 0, distribution = 'uniform' }: DelaySettings) {
    this.random = random
    this.meanNs = meanNs
    this.jitterNs = jitterNs
    this.correlation = correlation
    if (distribution === 'uniform') this.table = null
    else if (distribution === 'normal') this.table = normalTable()
    else if (distribution === 'pareto') this.table = paretoTable()
    else this.table = Float64Array.from(distribution.table)
  }

  setMean(meanNs: number): void {
    this.meanNs = meanNs
  }

  /** Nanoseconds, whole, never negative. */
  next(): number {
    if (this.jitterNs === 0) return this.meanNs
    this.draw()
    return Math.max(0, Math.round(this.meanNs + this.jitterNs * this.deviation))
  }

  /** The next `count` delays, into `delays`. */
  nextAll(delays: Float64Array, count: number): void {
    const { random, table, meanNs, jitterNs } = this
    if (jitterNs === 0) delays.fill(meanNs, 0, count)
    else if (this.correlation > 0) for (let i = 0; i < count; i++) delays[i] = this.next()
    else {
      random.nextAll(delays, count)
      for (let i = 0; i < count; i++) {
        const deviation = table === null ? 2 * delays[i] - 1 : table[Math.floor(delays[i] * table.length)]
        delays[i] = Math.max(0, Math.round(meanNs + jitterNs * deviation))
      }
    }
  }

  private draw(): void {
    const { random, table, correlation } = this
    // To keep the last one now and then leaves the distribution as it is, and makes neighbors alike.
    if (correlation > 0 && this.hasDrawn && random.next() < correlation) return
    this.hasDrawn = true
    this.deviation = table === null ? 2 * random.next() - 1 : table[random.below(table.length)]
  }
}
