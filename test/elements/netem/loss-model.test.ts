/** Loss models against their formulas, on a million frames each that go over a link. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Chance } from '../../../src/elements/netem/chance.ts'
import type { LossSettings } from '../../../src/elements/netem/link-settings.ts'
import { lossModel } from '../../../src/elements/netem/loss-model.ts'
import { Random } from '../../../src/engine/random.ts'
import { CRITICAL, chiSquared } from './chi-squared.ts'
import { sendNumbered } from './numbered-frames.ts'

const PACKETS = 1_000_000

/** A Markov chain of states, each with its share of losses, after which it moves (`lostIn`), or moves first (`lostAfter`). */
interface Chain {
  readonly moves: readonly (readonly number[])[]
  readonly loss: readonly number[]
}

/** The stationary distribution, by iterating. */
function stationary(moves: Chain['moves']): number[] {
  let share = moves.map(() => 1 / moves.length)
  // The mean of two steps, as a chain may be periodic.
  for (let i = 0; i < 3000; i++) {
    const next = moves.map((_, to) => share.reduce((sum, at, from) => sum + at * moves[from]![to]!, 0))
    share = share.map((value, at) => (value + next[at]!) / 2)
  }
  return share
}

/** P(x1, x2, x3) for the eight patterns of three packets in a row; index 4 x1 + 2 x2 + x3, 1 is lost. */
function patternsOf({ moves, loss }: Chain): number[] {
  return Array.from({ length: 8 }, (_, pattern) => {
    let share = stationary(moves)
    for (const bit of [4, 2, 1]) {
      const judged = share.map((value, at) => value * ((pattern & bit) !== 0 ? loss[at]! : 1 - loss[at]!))
      share = moves.map((_, to) => judged.reduce((sum, value, from) => sum + value * moves[from]![to]!, 0))
    }
    return share.reduce((sum, value) => sum + value, 0)
  })
}

function check(settings: LossSettings, chain: Chain): void {
  const { came, dropped } = sendNumbered({ loss: settings }, PACKETS, 'loss')
  const lost = came.map((times) => 1 - times)
  assert.equal(
    dropped,
    lost.reduce((sum, value) => sum + value, 0)
  )
  const expected = patternsOf(chain)
  const mean = lost.reduce((sum, value) => sum + value, 0) / PACKETS
  const share = expected[4]! + expected[5]! + expected[6]! + expected[7]!
  assert.ok(Math.abs(mean - share) < 0.005, `${mean} of ${share} lost`)
  // Every 25th, so that they do not depend on each other.
  const counts = new Array<number>(8).fill(0)
  for (let i = 0; i + 2 < PACKETS; i += 25) counts[4 * lost[i]! + 2 * lost[i + 1]! + lost[i + 2]!]!++
  const kept = expected.map((value, index) => ({ value, count: counts[index]! })).filter(({ value }) => value > 0)
  for (const [index, value] of expected.entries()) if (value === 0) assert.equal(counts[index], 0)
  const statistic = chiSquared(
    kept.map(({ count }) => count),
    kept.map(({ value }) => value)
  )
  assert.ok(statistic < CRITICAL[7]!, `chi-squared ${statistic} of patterns ${counts}`)
}

describe('loss models', () => {
  for (const [probability, correlation] of [
    [0.01, 0],
    [0.5, 0],
    [0.1, 0.25],
    [0.3, 0.9],
    [0.4, -0.5]
  ] as const) {
    test(`random ${probability}, correlation ${correlation}`, () => {
      const again = probability + correlation * (1 - probability)
      const after = probability * (1 - correlation)
      check(
        { model: 'random', probability, correlation },
        {
          moves: [
            [1 - after, after],
            [1 - again, again]
          ],
          loss: [0, 1]
        }
      )
    })
  }

  test('Gilbert-Elliott, and Gilbert', () => {
    for (const [toBad, toGood, lossInBad, lossInGood] of [
      [0.02, 0.2, 0.6, 0.001],
      [0.05, 0.3, 1, 0],
      [0.1, 0.1, 0.5, 0.1]
    ] as const) {
      check(
        { model: 'gilbert-elliott', toBad, toGood, lossInBad, lossInGood },
        {
          moves: [
            [1 - toBad, toBad],
            [toGood, 1 - toGood]
          ],
          loss: [lossInGood, lossInBad]
        }
      )
    }
  })

  test('four states', () => {
    for (const [p13, p31, p32, p23, p14] of [
      [0.03, 0.2, 0.3, 0.4, 0.02],
      [0.1, 0.5, 0, 1, 0.05]
    ] as const) {
      check(
        { model: 'states', p13, p31, p32, p23, p14 },
        {
          moves: [
            [1 - p13 - p14, 0, p13, p14],
            [0, 1 - p23, p23, 0],
            [p31, p32, 1 - p31 - p32, 0],
            [1, 0, 0, 0]
          ],
          loss: [0, 0, 1, 1]
        }
      )
    }
  })

  test('bursts of Gilbert have geometric lengths', () => {
    const model = lossModel(new Random('bursts'), { model: 'gilbert-elliott', toBad: 0.05, toGood: 0.4, lossInBad: 1, lossInGood: 0 })
    const lengths = new Array<number>(10).fill(0)
    for (let i = 0, run = 0; i < PACKETS; i++) {
      if (model.next()) run++
      else {
        if (run > 0) lengths[Math.min(run, 10) - 1]!++
        run = 0
      }
    }
    const shares = lengths.map((_, index) => (index < 9 ? 0.4 * 0.6 ** index : 0.6 ** 9))
    const statistic = chiSquared(lengths, shares)
    assert.ok(statistic < CRITICAL[9]!, `chi-squared ${statistic} of ${lengths}`)
  })

  test('every nth', () => {
    const model = lossModel(new Random(1), { model: 'nth', n: 4 })
    assert.deepEqual(
      Array.from({ length: 9 }, () => model.next()),
      [false, false, false, true, false, false, false, true, false]
    )
  })

  test('never and always', () => {
    for (const probability of [0, 1]) {
      const chance = new Chance(new Random(1), { probability })
      for (let i = 0; i < 1000; i++) assert.equal(chance.next(), probability === 1)
    }
  })
})
