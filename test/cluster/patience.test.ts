import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patience } from '../../src/cluster/patience.ts'
import type { Timers } from '../../src/engine/clock.ts'

/** A machine that stands still at a set time: what is due then comes when it goes on. */
class HaltingTimers implements Timers {
  now = 0
  private readonly halts: { readonly from: number; readonly to: number }
  private readonly waiting: { readonly due: number; readonly fire: () => void }[] = []

  constructor(halts: { from: number; to: number }) {
    this.halts = halts
  }

  after(ms: number, fire: () => void): () => void {
    const one = { due: this.now + ms, fire }
    this.waiting.push(one)
    return () => void this.waiting.splice(this.waiting.indexOf(one), 1)
  }

  /** The next of what waits; false when nothing does. */
  step(): boolean {
    const next = this.waiting.sort((a, b) => a.due - b.due).shift()
    if (next === undefined) return false
    const isHalted = next.due > this.halts.from && next.due < this.halts.to
    this.now = Math.max(this.now, isHalted ? this.halts.to : next.due)
    next.fire()
    return true
  }
}

function firesAt(halts: { from: number; to: number }): number {
  const timers = new HaltingTimers(halts)
  let at = -1
  patience(timers, 2000, () => (at = timers.now))
  while (timers.step());
  return at
}

test('it ends after its time, and a standstill is not the other’s silence', () => {
  assert.equal(firesAt({ from: 0, to: 0 }), 2000)
  assert.equal(firesAt({ from: 100, to: 10_000 }), 11_500, 'three steps in which an answer that is there is heard')
  assert.equal(firesAt({ from: 1600, to: 10_000 }), 10_000, 'it was heard nothing of for most of the time before')
})

test('what had come when the time was over is heard before it ends', () => {
  const timers = new HaltingTimers({ from: 1600, to: 10_000 })
  const cancel = patience(timers, 2000, () => assert.fail('it was heard'))
  while (timers.now < 10_000) timers.step()
  cancel()
  assert.equal(timers.step(), false)
})

test('given up, it does nothing any more', () => {
  const timers = new HaltingTimers({ from: 0, to: 0 })
  const cancel = patience(timers, 2000, () => assert.fail('it was given up'))
  timers.step()
  cancel()
  assert.equal(timers.step(), false)
})
