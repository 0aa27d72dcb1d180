import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../src/engine/random.ts'
import { IntervalSet } from '../../src/ipam/interval-set.ts'

test('behaves like a plain set under random work', () => {
  const random = new Random('interval-set')
  const model = new Set<bigint>()
  const set = new IntervalSet()
  for (let step = 0; step < 20_000; step++) {
    const value = BigInt(random.below(200))
    const choice = random.below(8)
    if (choice === 0) {
      const last = value + BigInt(random.below(20))
      for (let v = value; v <= last; v++) model.add(v)
      set.addRun(value, last)
    } else if (choice < 4) {
      assert.equal(set.add(value), !model.has(value))
      model.add(value)
    } else if (choice < 7) {
      assert.equal(set.delete(value), model.delete(value))
    } else {
      const to = value + BigInt(random.below(100))
      let expected: bigint | null = value
      while (expected <= to && model.has(expected)) expected++
      assert.equal(set.lowestFree(value, to), expected <= to ? expected : null)
    }
    assert.equal(set.has(value), model.has(value))
    assert.equal(set.count, BigInt(model.size))
  }
  // Sorted, disjoint, never touching.
  let previous = -2n
  for (const { first, last } of set) {
    assert.ok(first > previous + 1n && last >= first)
    previous = last
  }
})
