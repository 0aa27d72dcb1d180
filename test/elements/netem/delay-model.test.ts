/** Delays against their distributions, on a million frames. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DelayModel } from '../../../src/elements/netem/delay-model.ts'
import { normalTable, paretoTable } from '../../../src/elements/netem/distribution.ts'
import { Random } from '../../../src/engine/random.ts'
import { CRITICAL, chiSquared } from './chi-squared.ts'

const FRAMES = 1_000_000

/** Counts in cells between quantiles that each hold one share of `cells`. */
function cellsOf(values: Iterable<number>, borders: readonly number[]): number[] {
  const counts = new Array<number>(borders.length + 1).fill(0)
  for (const value of values) {
    const index = borders.findIndex((border) => value < border)
    counts[index === -1 ? borders.length : index]!++
  }
  return counts
}

function draws(settings: ConstructorParameters<typeof DelayModel>[1], count = FRAMES): Float64Array {
  const model = new DelayModel(new Random('delay'), settings)
  return Float64Array.from({ length: count }, () => model.next())
}

function moments(values: Float64Array): { mean: number; deviation: number; correlation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  let variance = 0
  let neighbors = 0
  for (let i = 0; i < values.length; i++) {
    variance += (values[i]! - mean) ** 2
    if (i > 0) neighbors += (values[i]! - mean) * (values[i - 1]! - mean)
  }
  return { mean, deviation: Math.sqrt(variance / values.length), correlation: neighbors / variance }
}

describe('delays', () => {
  // Quantiles of the standard normal distribution (Abramowitz and Stegun, table 26.5).
  const NORMAL: readonly [share: number, value: number][] = [
    [0.6, 0.2533471],
    [0.75, 0.6744898],
    [0.9, 1.2815516],
    [0.95, 1.6448536],
    [0.99, 2.3263479],
    [0.999, 3.0902323]
  ]

  test('the table of the normal distribution', () => {
    const table = normalTable()
    for (const [share, value] of NORMAL) {
      const at = share * table.length - 0.5
      const [low, high] = [table[Math.floor(at)]!, table[Math.ceil(at)]!]
      const between = low + (high - low) * (at - Math.floor(at))
      assert.ok(Math.abs(between - value) < 3e-3, `${share}: ${between} is not ${value}`)
    }
  })

  test('the table of the Pareto distribution: F(x) = 1 - x^-3', () => {
    const table = paretoTable()
    for (let i = 0; i < table.length; i += 97) {
      const x = table[i]! * Math.sqrt(0.75) + 1.5
      assert.ok(Math.abs(1 - x ** -3 - (i + 0.5) / table.length) < 1e-9)
    }
  })

  test('uniform', () => {
    const values = draws({ meanNs: 50e6, jitterNs: 10e6 })
    const borders = Array.from({ length: 19 }, (_, index) => 40e6 + (index + 1) * 1e6)
    const statistic = chiSquared(cellsOf(values, borders), new Array(20).fill(0.05))
    assert.ok(statistic < CRITICAL[19]!, `chi-squared ${statistic}`)
  })

  test('normal', () => {
    const values = draws({ meanNs: 100e6, jitterNs: 10e6, distribution: 'normal' })
    const borders = [0.1, 0.25, 0.4].map((share) => 100e6 - 10e6 * NORMAL.find(([upper]) => Math.abs(upper - (1 - share)) < 1e-9)![1])
    const upper = borders.map((value) => 200e6 - value).reverse()
    const statistic = chiSquared(cellsOf(values, [...borders, ...upper]), [0.1, 0.15, 0.15, 0.2, 0.15, 0.15, 0.1])
    assert.ok(statistic < CRITICAL[7]!, `chi-squared ${statistic}`)
    const { mean, deviation } = moments(values)
    assert.ok(Math.abs(mean / 100e6 - 1) < 1e-3 && Math.abs(deviation / 10e6 - 1) < 5e-3, `${mean} ${deviation}`)
  })

  test('pareto has its mean, and a tail to one side', () => {
    const values = draws({ meanNs: 100e6, jitterNs: 10e6, distribution: 'pareto' })
    assert.ok(Math.abs(moments(values).mean / 100e6 - 1) < 2e-3)
    assert.ok(Math.min(...values.subarray(0, 50_000)) > 90e6 && Math.max(...values.subarray(0, 50_000)) > 200e6)
  })

  test('a table: its values and no others', () => {
    const values = draws({ meanNs: 10, jitterNs: 5, distribution: { table: [-1, 0, 2, 2] } })
    const statistic = chiSquared(
      [5, 10, 20].map((value) => values.filter((other) => other === value).length),
      [0.25, 0.25, 0.5]
    )
    assert.ok(statistic < CRITICAL[2]!, `chi-squared ${statistic}`)
  })

  test('correlation makes neighbors alike and leaves the distribution', () => {
    const { mean, deviation, correlation } = moments(draws({ meanNs: 100e6, jitterNs: 10e6, correlation: 0.6, distribution: 'normal' }))
    assert.ok(Math.abs(correlation - 0.6) < 0.01, `correlation ${correlation}`)
    assert.ok(Math.abs(mean / 100e6 - 1) < 1e-3 && Math.abs(deviation / 10e6 - 1) < 1e-2)
  })

  for (const distribution of ['uniform', 'normal', 'pareto', { table: [-2, 0.25, 1] }] as const) {
    for (const [jitterNs, correlation] of [
      [0, 0],
      [2e6, 0],
      [2e6, 0.4]
    ] as const) {
      test(`a batch is what as many single draws are: ${JSON.stringify(distribution)}, ${jitterNs}, ${correlation}`, () => {
        const settings = { meanNs: 3e6, jitterNs, correlation, distribution }
        const model = new DelayModel(new Random('delay'), settings)
        const batch = new Float64Array(500)
        model.nextAll(batch, 300)
        model.nextAll(batch.subarray(300), 200)
        assert.deepEqual(batch, draws(settings, 500))
      })
    }
  }

  test('no frame comes before it was sent', () => {
    assert.ok(draws({ meanNs: 1e6, jitterNs: 5e6, distribution: 'normal' }, 10_000).every((value) => value >= 0))
  })
})
