/** Duplication, corruption, reordering and losses by a filter: their shares of a million frames against the formulas. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LinkSettings } from '../../../src/elements/netem/link-settings.ts'
import { CRITICAL, chiSquared } from './chi-squared.ts'
import { sendNumbered } from './numbered-frames.ts'

const FRAMES = 1_000_000

function assertShare(count: number, of: number, share: number, what: string): void {
  const statistic = chiSquared([count, of - count], [share, 1 - share])
  assert.ok(statistic < CRITICAL[1]!, `${what}: ${count} of ${of}, chi-squared ${statistic}`)
}

describe('shares of a million frames', () => {
  test('duplication, alone and correlated: twice in a row as often as the chain says', () => {
    for (const correlation of [0, 0.5]) {
      const probability = 0.02
      const { came, duplicated } = sendNumbered({ duplicate: { probability, correlation } }, FRAMES, 'duplicate')
      assert.ok(came.every((times) => times === 1 || times === 2))
      const doubled = came.map((times) => times - 1)
      assert.equal(
        doubled.reduce((sum, value) => sum + value, 0),
        duplicated
      )
      // Every 20th pair, so that they do not depend on each other.
      const pairs = [0, 0, 0, 0]
      for (let i = 0; i + 1 < FRAMES; i += 20) pairs[2 * doubled[i]! + doubled[i + 1]!]!++
      const again = probability + correlation * (1 - probability)
      const after = probability * (1 - correlation)
      const shares = [(1 - probability) * (1 - after), (1 - probability) * after, probability * (1 - again), probability * again]
      assert.ok(chiSquared(pairs, shares) < CRITICAL[3]!, `${pairs}`)
    }
  })

  test('reordering, with and without a gap', () => {
    for (const [probability, gap] of [
      [0.25, 1],
      [0.25, 5],
      [0.9, 3]
    ] as const) {
      const settings: LinkSettings = { delay: { meanNs: 1e6 }, reorder: { probability, gap } }
      const { came, atOnce, dropped } = sendNumbered(settings, FRAMES, `reorder ${gap}`)
      assert.ok(dropped === 0 && came.every((times) => times === 1))
      // Each that overtook is followed by gap - 1 that cannot, then by a geometric number that did not.
      const distances = new Array<number>(8).fill(0)
      let last = -1
      for (let i = 0; i < FRAMES; i++) {
        if (atOnce[i] === 0) continue
        if (last >= 0) distances[Math.min(i - last - gap, 7)]!++
        assert.ok(last < 0 || i - last >= gap)
        last = i
      }
      const shares = distances.map((_, index) => (index < 7 ? probability * (1 - probability) ** index : (1 - probability) ** 7))
      const kept = shares.filter((share) => share * FRAMES > 100).length
      const grouped = [...distances.slice(0, kept - 1), distances.slice(kept - 1).reduce((sum, count) => sum + count, 0)]
      const expected = [...shares.slice(0, kept - 1), shares.slice(kept - 1).reduce((sum, share) => sum + share, 0)]
      assert.ok(chiSquared(grouped, expected) < CRITICAL[7]!, `gap ${gap}: ${grouped}`)
    }
  })

  test('loss and duplication together: a lost frame is not doubled', () => {
    const settings: LinkSettings = { loss: { model: 'random', probability: 0.1 }, duplicate: { probability: 0.1 } }
    const { came, dropped } = sendNumbered(settings, FRAMES, 'both')
    const counts = [0, 0, 0]
    for (const times of came) counts[times]!++
    assert.equal(dropped, counts[0])
    assert.ok(chiSquared(counts, [0.1, 0.9 * 0.9, 0.9 * 0.1]) < CRITICAL[2]!, `${counts}`)
    assertShare(counts[2]!, FRAMES - counts[0]!, 0.1, 'doubled of those that were not lost')
  })
})
