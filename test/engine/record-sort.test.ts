import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sortRecords } from '../../src/engine/record-sort.ts'
import { seededRandom } from '../wire/seeded-random.ts'

const BLOCK_BITS = 5
const BLOCK = 1 << BLOCK_BITS

/** Times in a chain whose blocks lie in another order than they follow each other, from the middle of the first block on; sorted. */
function sorted(times: readonly number[]): { time: number; rest: number }[] {
  const start = 7
  const blocks = Math.ceil((start + times.length) / BLOCK)
  const order = Array.from({ length: blocks }, (_, index) => (index * 7 + 3) % (7 * blocks)).map((value) => value % 7)
  const places = order.map((key, index) => ({ key, index })).sort((a, b) => a.key - b.key || b.index - a.index)
  const blockAt = new Map(places.map(({ index }, place) => [index, place]))
  const records = new Float64Array(blocks * BLOCK * 2)
  const nextBlock = new Int32Array(blocks)
  for (let i = 0; i + 1 < blocks; i++) nextBlock[blockAt.get(i)!] = blockAt.get(i + 1)!
  const place = (index: number): number => blockAt.get((start + index) >> BLOCK_BITS)! * BLOCK + ((start + index) % BLOCK)
  times.forEach((time, index) => {
    records[2 * place(index)] = time
    records[2 * place(index) + 1] = index
  })
  const chain = { records, nextBlock, blockBits: BLOCK_BITS }
  sortRecords(chain, place(0), place(times.length - 1), Math.min(...times), Math.max(...times))
  return times.map((_, index) => ({ time: records[2 * place(index)]!, rest: records[2 * place(index) + 1]! }))
}

describe('sorting the records of a chain', () => {
  const numbers = seededRandom(5)
  const random = (): number => numbers(2 ** 32) / 2 ** 32
  const cases: Readonly<Record<string, (index: number) => number>> = {
    spread: () => 1e9 + Math.floor(random() * 2 ** 20),
    'many equal': () => Math.floor(random() * 3),
    'in reverse': (index) => 1e12 - index,
    'one far away': (index) => (index === 100 ? 0 : 5e9 + random() * 1e-3),
    'crowded around two times': (index) => (index % 2) * 1e6 + Math.floor(random() * 50)
  }
  for (const [name, time] of Object.entries(cases)) {
    test(name, () => {
      for (const count of [2, 20, 25, 26, 33, 64, 500, 20_000]) {
        const times = Array.from({ length: count }, (_, index) => time(index))
        if (new Set(times).size === 1) times[0] = times[0]! + 1
        const expected = times.map((value, rest) => ({ time: value, rest })).sort((a, b) => a.time - b.time || a.rest - b.rest)
        assert.deepEqual(sorted(times), expected, `${count} records`)
      }
    })
  }
})
