import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type FrameHandle, FramePool } from '../../src/engine/frame-pool.ts'
import { FrameWheel, HOLD_MAX, type WheelTarget } from '../../src/engine/frame-wheel.ts'
import { TimerQueue } from '../../src/engine/timer-queue.ts'
import { seededRandom } from '../wire/seeded-random.ts'

/** Numbers in [0, 1). */
function fractions(seed: number): () => number {
  const random = seededRandom(seed)
  return () => random(2 ** 32) / 2 ** 32
}

interface Given {
  readonly frame: FrameHandle
  readonly at: number
  readonly port: number
}

/** A wheel under a clock that jumps from timer to timer, and a list of what it gave out. */
class WheelBench implements WheelTarget {
  readonly pool = new FramePool({ maxSmallChunks: 4, maxLargeChunks: 1, checked: true })
  readonly timers = new TimerQueue()
  readonly wheel = new FrameWheel(this.pool, this.timers)
  readonly given: Given[] = []
  readonly target = this.wheel.addTarget(this)
  now: number
  room = Number.POSITIVE_INFINITY
  forced = 0

  constructor(now = 0) {
    this.now = now
  }

  release(frames: Int32Array, count: number, port: number, isLast: boolean): number {
    if (this.room <= 0 && isLast) this.forced++
    const taken = Math.min(count, Math.max(this.room, isLast ? 1 : 0))
    this.room -= taken
    for (const frame of frames.subarray(0, taken)) this.given.push({ frame, at: this.now, port })
    return taken
  }

  hold(due: number, port = 0): FrameHandle {
    const frame = this.pool.allocate(64)
    this.wheel.hold(frame, due, this, this.target, port)
    return frame
  }

  /** As an engine's turns under a virtual clock do. */
  advanceTo(end: number): void {
    while (this.timers.next <= end) {
      this.now = Math.max(this.now, this.timers.next)
      this.timers.fireDue(this.now)
    }
    this.now = end
  }
}

describe('the frame wheel', () => {
  for (const start of [0, 12_345_678_901, 2 ** 41 - 5_000_000_000, 2 ** 42 - 1_000_000]) {
    test(`frames leave at their times and in their order, from ${start} ns on`, () => {
      const bench = new WheelBench(start)
      const random = fractions(7 + (start % 1000))
      const expected: { frame: FrameHandle; due: number; sequence: number }[] = []
      const spans = [500, 3_000, 2e5, 2e6, 5e8, 4e9, 6e11, HOLD_MAX]
      for (let round = 0; round < 400; round++) {
        for (let i = 0; i < 20; i++) {
          const due = bench.now + Math.floor(random() * spans[Math.floor(random() * spans.length)]!)
          expected.push({ frame: bench.hold(due), due, sequence: expected.length })
          // Another of the same time follows the first.
          if (i % 5 === 0) expected.push({ frame: bench.hold(due), due, sequence: expected.length })
        }
        bench.advanceTo(bench.now + Math.floor(random() * spans[Math.floor(random() * 5)]!))
      }
      bench.advanceTo(bench.now + 2 * HOLD_MAX)
      expected.sort((a, b) => a.due - b.due || a.sequence - b.sequence)
      assert.equal(bench.wheel.size, 0)
      assert.equal(bench.timers.size, 0)
      assert.deepEqual(
        bench.given.map(({ frame, at }) => [frame, at]),
        expected.map(({ frame, due }) => [frame, due])
      )
    })
  }

  test('a clock that comes late: everything due is given out at once, in order', () => {
    const bench = new WheelBench()
    const random = fractions(3)
    const dues = Array.from({ length: 5000 }, () => Math.floor(random() * 3e9))
    const frames = new Map(dues.map((due) => [bench.hold(due), due]))
    bench.now = 1_500_000_000
    bench.timers.fireDue(bench.now)
    const early = dues.filter((due) => due <= bench.now).sort((a, b) => a - b)
    assert.deepEqual(
      bench.given.map(({ frame }) => frames.get(frame)),
      early
    )
    assert.equal(bench.wheel.size, 5000 - early.length)
  })

  for (const far of [3 * HOLD_MAX, 2 ** 42 + 5, Number.POSITIVE_INFINITY]) {
    test(`a time that is too far away (${far} ns) is HOLD_MAX, and stops nobody else`, () => {
      const bench = new WheelBench(7_000_000)
      const first = bench.hold(bench.now + 500)
      const late = bench.hold(bench.now + far)
      const second = bench.hold(bench.now + 3e9)
      bench.advanceTo(bench.now + 2 * HOLD_MAX)
      assert.deepEqual(
        bench.given.map(({ frame, at }) => [frame, at - 7_000_000]),
        [
          [first, 500],
          [second, 3e9],
          [late, HOLD_MAX]
        ]
      )
    })
  }

  test('many frames of one tick in a random order are sorted', () => {
    const bench = new WheelBench()
    const random = fractions(4)
    const dues = Array.from({ length: 3000 }, () => 1_048_576 + Math.floor(random() * 1024))
    const frames = new Map(dues.map((due, index) => [bench.hold(due, index & 1), due]))
    bench.now = 2_000_000
    bench.timers.fireDue(bench.now)
    assert.deepEqual(
      bench.given.map(({ frame }) => frames.get(frame)),
      [...dues].sort((a, b) => a - b)
    )
    assert.equal(bench.given.filter(({ port }) => port === 1).length, 1500)
  })

  test('a target without room is asked once more in the next turn, and then has to take or drop', () => {
    const bench = new WheelBench()
    for (let i = 0; i < 5; i++) bench.hold(1000)
    bench.room = 2
    bench.now = 5000
    bench.timers.fireDue(5000)
    assert.equal(bench.given.length, 2)
    assert.ok(bench.timers.next <= 5000)
    bench.room = 10
    bench.timers.fireDue(5000)
    assert.deepEqual([bench.given.length, bench.forced], [5, 0])
    for (let i = 0; i < 3; i++) bench.hold(6000)
    bench.room = 0
    bench.now = 7000
    for (let turn = 0; turn < 4; turn++) bench.timers.fireDue(7000)
    assert.equal(bench.forced, 3, 'a consumer that never takes does not stop the wheel')
  })

  test('a tick of several blocks that is given out piece by piece, while more come for it', () => {
    const bench = new WheelBench()
    const random = fractions(5)
    const dues = new Map<FrameHandle, number>()
    const hold = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const due = 1_048_576 + Math.floor(random() * 1024)
        dues.set(bench.hold(due), due)
      }
    }
    hold(300)
    bench.now = 1_060_000
    for (let round = 0; bench.wheel.size > 0; round++) {
      const before = bench.given.length
      bench.room = 1 + Math.floor(random() * 50)
      bench.timers.fireDue(bench.now)
      const waiting = new Set(dues.keys())
      for (const { frame } of bench.given) waiting.delete(frame)
      const latest = Math.max(...bench.given.slice(before).map(({ frame }) => dues.get(frame)!))
      assert.ok([...waiting].every((frame) => dues.get(frame)! >= latest))
      assert.equal(waiting.size, bench.wheel.size)
      if (round < 20) hold(Math.floor(random() * 40))
    }
    assert.deepEqual([new Set(bench.given.map(({ frame }) => frame)).size, bench.given.length], [dues.size, dues.size])
  })

  test('the end of a target takes its frames out and no others', () => {
    const bench = new WheelBench()
    const other: FrameHandle[] = []
    const second = bench.wheel.addTarget({ release: (frames, count) => other.push(...frames.subarray(0, count)) && count })
    const mine = new Set<FrameHandle>()
    for (let i = 0; i < 100; i++) {
      mine.add(bench.hold(i * 7_000_000))
      bench.wheel.hold(bench.pool.allocate(64), i * 7_000_000 + 3, bench, second, 0)
    }
    const taken: FrameHandle[] = []
    bench.wheel.removeTarget(bench.target, (frame) => taken.push(frame))
    assert.deepEqual(new Set(taken), mine)
    bench.advanceTo(1e9)
    assert.deepEqual([bench.given.length, other.length, bench.wheel.size], [0, 100, 0])
  })
})
