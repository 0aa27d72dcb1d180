import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NumberPool } from '../../src/network/number-pool.ts'
import { seededRandom } from '../wire/seeded-random.ts'

test('the lowest free number, whatever came and went; -1 when all are taken', () => {
  const random = seededRandom(1)
  const pool = new NumberPool(40)
  const taken = new Set<number>()
  let full = 0
  for (let step = 0; step < 5000; step++) {
    if (random(100) < (step % 200 < 100 ? 70 : 30)) {
      const lowest = Array.from({ length: 40 }, (_, number) => number).find((number) => !taken.has(number)) ?? -1
      assert.equal(pool.take(), lowest)
      if (lowest < 0) full++
      else taken.add(lowest)
    } else if (taken.size > 0) {
      const number = [...taken][random(taken.size)]
      taken.delete(number)
      pool.give(number)
    }
  }
  assert.ok(full > 0)
})
