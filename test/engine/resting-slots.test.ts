/** A pool with more frames out than caches hold: slots come back in the order of their place. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FramePool, NO_FRAME, SMALL_CHUNK_SLOTS } from '../../src/engine/frame-pool.ts'
import { RestingSlots } from '../../src/engine/resting-slots.ts'
import { seededRandom } from '../wire/seeded-random.ts'

const CHUNKS = 12
const MOST = CHUNKS * SMALL_CHUNK_SLOTS
const BATCH = 64
const batch = new Int32Array(BATCH)

/** A checked pool and the frames that are out of it. */
class Traffic {
  readonly pool = new FramePool({ maxSmallChunks: CHUNKS, maxLargeChunks: 1, checked: true })
  readonly out: number[] = []
  private readonly random = seededRandom(3)

  /** Up to a batch of new frames; throws where one is out already. */
  take(count = BATCH): number {
    const given = this.pool.allocateAll(batch, count, 60)
    this.out.push(...batch.subarray(0, given))
    return given
  }

  /** Frees a batch of frames, any of those that are out. */
  give(count = BATCH): void {
    for (let i = 0; i < count; i++) {
      const at = this.random(this.out.length)
      batch[i] = this.out[at]!
      this.out[at] = this.out.at(-1)!
      this.out.pop()
    }
    this.pool.freeAll(batch, count)
  }

  check(): void {
    assert.equal(this.pool.inUse, this.out.length)
    assert.equal(new Set(this.out).size, this.out.length)
  }
}

test('slots of a stack of their own: taken once each, neighbors together, all round', () => {
  const slots = new RestingSlots(1024)
  const stack = new Int32Array(1024)
  const random = seededRandom(1)
  const resting = new Set<number>()
  for (let round = 0; round < 300; round++) {
    for (let i = 0; i < 20; i++) {
      const slot = random(1024)
      if (!resting.has(slot)) slots.add(slot)
      resting.add(slot)
    }
    assert.equal(slots.count, resting.size)
    const wanted = random(30)
    const taken = slots.take(stack, 5, wanted)
    assert.ok(taken >= Math.min(wanted, resting.size) && taken <= wanted + 31)
    for (const slot of stack.subarray(5, 5 + taken)) assert.ok(resting.delete(slot))
  }
  // One round of the hand brings all that is left, descending but for where it goes on at the other end.
  const left = slots.take(stack, 0, 1024)
  assert.equal(left, resting.size)
  const rises = [...stack.subarray(1, left)].filter((slot, i) => slot > stack[i]!).length
  assert.ok(rises <= 1)
  assert.equal(slots.take(stack, 0, 10), 0)
})

test('many frames in random order: slots are taken in the order of their place, none twice', () => {
  const traffic = new Traffic()
  while (traffic.out.length < 70_000) traffic.take()
  let ascending = 0
  for (let round = 0; round < 2000; round++) {
    traffic.give()
    traffic.take()
    for (let i = 1; i < BATCH; i++) if (batch[i]! > batch[i - 1]!) ascending++
  }
  traffic.check()
  // Last in, first out would give a random order: half of them.
  assert.ok(ascending > 0.9 * 2000 * (BATCH - 1), `${ascending}`)
})

test('the pool gives out its last slot, stands still, and goes on when frames come back', () => {
  const traffic = new Traffic()
  for (let round = 0; round < 3; round++) {
    while (traffic.take() > 0);
    assert.equal(traffic.out.length, MOST)
    assert.equal(traffic.pool.allocate(60), NO_FRAME)
    assert.ok(traffic.pool.isScarce)
    for (let i = 0; i < 500; i++) {
      traffic.give(5)
      assert.equal(traffic.take(), 5)
    }
    traffic.check()
    while (traffic.out.length > MOST / 2) traffic.give()
    assert.equal(traffic.pool.isScarce, false)
    // Whoever pops from the stack himself finds as many as he asked for.
    traffic.pool.reserve(5000, 0)
    assert.ok(traffic.pool.tops[0]! >= 5000)
    traffic.check()
  }
})

test('when few are out it is last in, first out again', () => {
  const traffic = new Traffic()
  while (traffic.out.length < 80_000) traffic.take()
  for (let round = 0; round < 100; round++) {
    traffic.give()
    traffic.take()
  }
  while (traffic.out.length > 1000) traffic.give()
  // Until those on the stack are used up.
  for (let round = 0; round < 200; round++) traffic.take()
  while (traffic.out.length > 1000) traffic.give()
  traffic.check()
  traffic.take()
  const given = batch.slice()
  traffic.pool.freeAll(given, BATCH)
  assert.equal(traffic.pool.allocate(60), given.at(-1))
})
