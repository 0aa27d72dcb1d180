/**
 * Yes or no with a given probability, independent of the past or correlated with the decision before:
 *
 *   P(yes after yes) = p + r (1 - p)      P(yes after no) = p (1 - r)
 *
 * a two-state Markov chain whose share of yes is p and whose lag-1 correlation is r.
 */
import type { Random } from '../../engine/random.ts'
import type { ChanceSettings } from './link-settings.ts'

const TWO_TO_32 = 2 ** 32

export class Chance {
  private readonly random: Random
  private readonly correlation: number
  private afterNo = 0
  private afterYes = 0
  private last = false

  constructor(random: Random, { probability, correlation = 0 }: ChanceSettings) {
    this.random = random
    this.correlation = correlation
    this.setProbability(probability)
    this.last = this.draw(probability * TWO_TO_32)
  }

  setProbability(probability: number): void {
    const { correlation } = this
    this.afterNo = probability * (1 - correlation) * TWO_TO_32
    this.afterYes = (probability + correlation * (1 - probability)) * TWO_TO_32
  }

  next(): boolean {
    return (this.last = this.draw(this.last ? this.afterYes : this.afterNo))
  }

  private draw(limit: number): boolean {
    return this.random.int32() >>> 0 < limit
  }
}
