import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isWithin } from '../../src/cluster/delay.ts'
import type { Timers } from '../../src/engine/clock.ts'

describe('isWithin', () => {
  const fires = new Set<() => void>()
  const timers: Timers = {
    after(_ms, fire) {
      fires.add(fire)
      return () => fires.delete(fire)
    }
  }

  test('in time: true, and no timer is left', async () => {
    assert.equal(await isWithin(timers, 3000, Promise.resolve()), true)
    assert.equal(fires.size, 0)
  })

  test('too late: false', async () => {
    const answer = isWithin(timers, 3000, new Promise(() => {}))
    for (const fire of fires) fire()
    assert.equal(await answer, false)
    fires.clear()
  })

  test('a failure is passed on, and no timer is left', async () => {
    await assert.rejects(isWithin(timers, 3000, Promise.reject(new Error('gone'))), /gone/)
    assert.equal(fires.size, 0)
  })
})
