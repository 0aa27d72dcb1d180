/** The frame wheel beside a list that is sorted by (time, sequence): the same frames, in the same order, at the same times. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type FrameHandle, FramePool } from '../../src/engine/frame-pool.ts'
import { FrameWheel, type WheelTarget } from '../../src/engine/frame-wheel.ts'
import { TimerQueue } from '../../src/engine/timer-queue.ts'
import { seededRandom } from '../wire/seeded-random.ts'

const BATCH = 64
const LENGTH = 64
const MS = 1e6

/** How long each of a load's frames is held, nanoseconds; `random` gives numbers in [0, 1). */
type Load = (random: () => number) => number

/** Sums of three draws: dense in the middle, thin at the ends. */
const bell = (random: () => number): number => random() + random() + random() - 1.5

const loads: Readonly<Record<string, Load>> = {
  'a jitter of milliseconds': (random) => Math.round(20 * MS + 6 * MS * bell(random)),
  'a jitter of less than a millisecond': (random) => Math.round(0.6 * MS + 0.4 * MS * bell(random)),
  'a few times for all': (random) => 5 * MS + 1000 * Math.floor(4 * random()),
  'most within some nanoseconds, some far': (random) =>
    random() < 0.98 ? 8_200_000 + Math.floor(300 * random()) : Math.floor(9.2 * MS * random()),
  'fractions of nanoseconds': (random) => 3 * MS + 2000 * random(),
  'the same delay': () => 7 * MS,
  'long and short': (random) => Math.floor(random() < 0.5 ? 1.3e9 + 0.4 * MS * random() : 0.05 * MS * random())
}

/** Holds batches, each at its time, while the wheel's timer fires; the reference is given the same frames. */
class Pair implements WheelTarget {
  readonly pool = new FramePool({ maxSmallChunks: 8, maxLargeChunks: 1, checked: true })
  readonly timers = new TimerQueue()
  readonly wheel = new FrameWheel(this.pool, this.timers)
  readonly given: number[] = []
  readonly expected: { due: number; sequence: number; port: number }[] = []
  private readonly target = this.wheel.addTarget(this)
  private readonly sequences = new Map<FrameHandle, number>()
  private readonly handles = new Int32Array(BATCH)
  private readonly dues = new Float64Array(BATCH)
  now: number

  constructor(now: number) {
    this.now = now
  }

  release(frames: Int32Array, count: number, port: number): number {
    for (const frame of frames.subarray(0, count)) this.given.push(this.sequences.get(frame)!, this.now, port)
    this.pool.freeAll(frames, count)
    return count
  }

  hold(load: Load, random: () => number, count: number, port: number): void {
    this.pool.allocateAll(this.handles, count, LENGTH)
    for (let i = 0; i < count; i++) {
      const due = this.now + load(random)
      this.dues[i] = due
      this.sequences.set(this.handles[i]!, this.expected.length)
      this.expected.push({ due, sequence: this.expected.length, port })
    }
    this.wheel.holdAll(this.handles, this.dues, count, this, this.target, port)
  }

  advanceTo(end: number): void {
    while (this.timers.next <= end) {
      this.now = Math.max(this.now, this.timers.next)
      this.timers.fireDue(this.now)
    }
    this.now = end
  }
}

describe('the frame wheel beside a sorted list', () => {
  for (const [name, load] of Object.entries(loads)) {
    test(name, () => {
      const numbers = seededRandom(11)
      const random = (): number => numbers(2 ** 32) / 2 ** 32
      const pair = new Pair(999_300_000)
      for (let round = 0; round < 400; round++) {
        pair.hold(load, random, 1 + Math.floor(random() * BATCH), round % 3 === 0 ? 1 : 0)
        pair.advanceTo(pair.now + Math.floor(20_000 * random()))
      }
      pair.advanceTo(pair.now + 3e9)
      assert.equal(pair.wheel.size, 0)
      assert.equal(pair.pool.inUse, 0)
      pair.expected.sort((a, b) => a.due - b.due || a.sequence - b.sequence)
      assert.deepEqual(
        pair.given,
        pair.expected.flatMap(({ due, sequence, port }) => [sequence, due, port])
      )
    })
  }
})
