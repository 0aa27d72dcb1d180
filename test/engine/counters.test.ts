import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { CounterRegistry, readCounters } from '../../src/engine/counters.ts'
import { DROP_REASONS_MAX, declareDrops, dropReasons, EngineDrop } from '../../src/engine/drop-reason.ts'
import { TestBench } from './test-bench.ts'

test('blocks are apart, zeroed, read by name', () => {
  const registry = new CounterRegistry()
  const a = registry.block('a', 'counters', ['x', 'y'])
  const b = registry.block('b', 'counters', ['x', 'y'])
  a[0] = 1
  a[1] = 2 ** 53
  b[0] = 3
  assert.deepEqual(readCounters(registry.layout()).get('a')?.counters, { x: 1, y: 2 ** 53 })
  assert.deepEqual(readCounters(registry.layout()).get('b')?.counters, { x: 3, y: 0 })
})

test('a block may be empty or a page, not more', () => {
  const registry = new CounterRegistry()
  assert.equal(registry.block('none', 'counters', []).length, 0)
  assert.deepEqual(readCounters(registry.layout()).get('none')?.counters, {})
  const page = registry.block(
    'page',
    'counters',
    Array.from({ length: 8192 }, (_, i) => `c${i}`)
  )
  page[8191] = 5
  assert.equal(readCounters(registry.layout()).get('page')?.counters['c8191'], 5)
  assert.throws(() => registry.block('huge', 'counters', new Array(8193).fill('')), RangeError)
})

test('the own counters of elements lie together, whatever lies between; no two blocks share a place', () => {
  const registry = new CounterRegistry()
  const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `c${i}`)
  const blocks = [4, 192, 0, 64, 192, 65, 8192, 3, 5000, 4000, 60].map((size, i) => registry.block(`e${i}`, 'counters', names(size)))
  blocks.forEach((block, i) => {
    block.fill(i + 1)
  })
  blocks.forEach((block, i) => {
    assert.ok(block.every((value) => value === i + 1))
  })
  const small = blocks.filter(({ length }) => length <= 64)
  assert.equal(new Set(small.map(({ buffer }) => buffer)).size, 1)
  assert.equal(Math.max(...small.map(({ byteOffset, byteLength }) => byteOffset + byteLength)), (4 + 64 + 3 + 60) * 8)
})

test('the place of a released block is used again, zeroed', () => {
  const registry = new CounterRegistry()
  const a = registry.block('a', 'counters', ['x', 'y'])
  a[1] = 9
  registry.release(a)
  assert.deepEqual(registry.layout().blocks, [])
  const b = registry.block('b', 'counters', ['p', 'q'])
  assert.equal(b.byteOffset, a.byteOffset)
  assert.deepEqual([...b], [0, 0])
  registry.release(a)
  assert.deepEqual([...readCounters(registry.layout()).keys()], ['b'], 'released once only')
})

test('drops of zero are left out; reasons have numbers, names and sentences', () => {
  const bench = new TestBench()
  bench.configure({ s: { type: 'source', options: { count: 3 } } }, [])
  assert.deepEqual(bench.counters('s').drops, {})
  bench.run()
  assert.deepEqual(bench.counters('s').drops, { 'engine.unlinked': 3 })
  for (const [key, number] of Object.entries(EngineDrop)) {
    assert.equal(dropReasons()[number].name, `engine.${key}`)
    assert.match(dropReasons()[number].text, /\.$/)
  }
})

test('declaring an area again gives the same numbers; too many reasons are refused', () => {
  const first = declareDrops('test', { one: 'One.', two: 'Two.' })
  assert.deepEqual(declareDrops('test', { two: 'Two.', one: 'One.' }), first)
  assert.throws(() => {
    for (let i = 0; i <= DROP_REASONS_MAX; i++) declareDrops('flood', { [`reason${i}`]: 'One too many.' })
  }, /too many drop reasons/)
})

/** Reads one counter as often as it can, from its own thread, and tells what it saw until it is at `limit`. */
const READER = `
const { parentPort, workerData } = require('node:worker_threads')
const { layout, limit } = workerData
const block = layout.blocks.find(({ owner, kind }) => owner === 'sink' && kind === 'counters')
const values = new Float64Array(layout.pages[block.page])
let reads = 0, last = 0, changes = 0, backwards = 0, broken = 0
parentPort.postMessage('ready')
for (;;) {
  const value = values[block.offset]
  reads++
  if (value < last) backwards++
  if (!Number.isInteger(value) || value > limit) broken++
  if (value !== last) changes++
  last = value
  if (value >= limit) break
}
parentPort.postMessage({ reads, changes, backwards, broken })
`

test('another thread reads the counters while the engine runs, without stopping it', async () => {
  const limit = 300_000
  const bench = new TestBench()
  bench.configure({ source: { type: 'source', options: { count: limit } }, sink: { type: 'sink' } }, [{ a: ['source', 0], b: ['sink', 0] }])
  const worker = new Worker(READER, { eval: true, workerData: { layout: bench.engine.counters.layout(), limit } })
  await once(worker, 'message')
  bench.run()
  const [seen] = (await once(worker, 'message')) as [{ reads: number; changes: number; backwards: number; broken: number }]
  assert.equal(seen.backwards, 0)
  assert.equal(seen.broken, 0)
  assert.ok(seen.changes >= 1)
  assert.equal(bench.sink('sink').received, limit)
})
