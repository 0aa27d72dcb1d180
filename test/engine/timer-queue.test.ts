import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Timer, TimerQueue } from '../../src/engine/timer-queue.ts'
import { seededRandom } from '../wire/seeded-random.ts'

function recorder(): { queue: TimerQueue; fired: string[]; timer: (name: string) => Timer } {
  const queue = new TimerQueue()
  const fired: string[] = []
  return { queue, fired, timer: (name) => queue.timer((now) => fired.push(`${name}@${now}`)) }
}

test('timers fire by time, equals in the order of arming', () => {
  const { queue, fired, timer } = recorder()
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(timer)
  c.arm(20)
  a.arm(10)
  d.arm(20)
  b.arm(10)
  assert.equal(queue.next, 10)
  queue.fireDue(9)
  assert.deepEqual(fired, [])
  queue.fireDue(30)
  assert.deepEqual(fired, ['a@30', 'b@30', 'c@30', 'd@30'])
  assert.equal(queue.next, Number.POSITIVE_INFINITY)
  assert.equal(queue.size, 0)
})

test('arming again moves a timer, to the end of its equals; disarming takes it out', () => {
  const { queue, fired, timer } = recorder()
  const [a, b, c] = ['a', 'b', 'c'].map(timer)
  a.arm(10)
  b.arm(10)
  c.arm(10)
  a.arm(10)
  b.disarm()
  assert.equal(b.armed, false)
  b.disarm()
  queue.fireDue(10)
  assert.deepEqual(fired, ['c@10', 'a@10'])
  assert.equal(a.armed, false)
})

test('what is armed while timers fire waits for the next call', () => {
  const queue = new TimerQueue()
  let count = 0
  const timer = queue.timer((now) => {
    count++
    timer.arm(now)
  })
  timer.arm(5)
  queue.fireDue(10)
  assert.equal(count, 1)
  queue.fireDue(10)
  assert.equal(count, 2)
})

test('a timer that arms itself for the past does not hold up others that are due', () => {
  const { queue, fired, timer } = recorder()
  const eager = queue.timer(() => {
    fired.push('eager')
    eager.arm(0)
  })
  eager.arm(1)
  timer('other').arm(50)
  queue.fireDue(100)
  assert.deepEqual(fired, ['eager', 'other@100'])
})

test('a timer may disarm others while it fires', () => {
  const { queue, fired, timer } = recorder()
  const victim = timer('victim')
  queue
    .timer(() => {
      victim.disarm()
      fired.push('killer')
    })
    .arm(1)
  victim.arm(2)
  queue.fireDue(10)
  assert.deepEqual(fired, ['killer'])
})

test('any order of arming, moving and disarming agrees with a sorted list', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = seededRandom(seed)
    const queue = new TimerQueue()
    const fired: number[] = []
    const timers = Array.from({ length: 40 }, (_, id) => queue.timer(() => fired.push(id)))
    const model = new Map<number, { at: number; order: number }>()
    let now = 0
    for (let step = 0; step < 1000; step++) {
      const id = random(40)
      const action = random(10)
      if (action < 6) {
        const at = now + random(50)
        timers[id].arm(at)
        model.set(id, { at, order: step })
      } else if (action < 8) {
        timers[id].disarm()
        model.delete(id)
      } else {
        now += random(20)
        const due = [...model].filter(([, { at }]) => at <= now).sort(([, a], [, b]) => a.at - b.at || a.order - b.order)
        queue.fireDue(now)
        assert.deepEqual(
          fired.splice(0),
          due.map(([id]) => id),
          `seed ${seed}, step ${step}`
        )
        for (const [id] of due) model.delete(id)
      }
      const next = Math.min(...[...model.values()].map(({ at }) => at))
      assert.equal(queue.next, next, `seed ${seed}, step ${step}`)
      assert.equal(queue.size, model.size)
    }
  }
})
