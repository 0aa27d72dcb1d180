/** What came out again beside what was recorded: order, and what has none. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareOutputs } from '../../src/replay/compare-outputs.ts'

const frame = (name: string): Uint8Array => Uint8Array.from(name.padEnd(60), (letter) => letter.charCodeAt(0))
const compare = (recorded: string, times: readonly number[], played: string) =>
  compareOutputs(
    'lan/a',
    [...recorded].map(frame),
    [...played].map(frame),
    times.map((time) => BigInt(time))
  )

for (const [recorded, times, played, isOrdered] of [
  ['abcd', [1, 2, 3, 4], 'abcd', true],
  ['abcd', [1, 2, 3, 4], 'acbd', false],
  ['abcd', [1, 2, 2, 4], 'acbd', true],
  ['abcd', [1, 2, 2, 2], 'adcb', true],
  ['abcd', [1, 2, 2, 4], 'acdb', false],
  ['abcd', [1, 2, 2, 4], 'cabd', false],
  ['aabb', [1, 2, 2, 3], 'abab', true],
  ['aabb', [1, 2, 2, 3], 'aabb', true]
] as const) {
  test(`${recorded} at ${times} and ${played}: ${isOrdered ? 'in order' : 'not in order'}`, () => {
    const result = compare(recorded, times, played)
    assert.deepEqual([result.same, result.differences, result.isOrdered], [4, [], isOrdered])
  })
}

test('order is looked at beside what is missing', () => {
  const { same, isOrdered, differences } = compare('abcd', [1, 2, 2, 3], 'acd')
  assert.deepEqual([same, isOrdered, differences.map(({ kind, index }) => [kind, index])], [3, true, [['missing', 1]]])
})
