import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { drainMicrotasks, RealClock, realTimers, VirtualClock } from '../../src/engine/clock.ts'

test('a virtual clock moves when told, forward only', () => {
  const clock = new VirtualClock()
  assert.equal(clock.now(), 0)
  clock.advanceTo(1e15 + 1)
  assert.equal(clock.now(), 1e15 + 1)
  clock.advanceTo(1e15 + 1)
  assert.throws(() => clock.advanceTo(1e15), RangeError)
  assert.equal(new Date(Number(clock.epochNs / 1_000_000n)).toISOString(), '2000-01-01T00:00:00.000Z')
})

test('a real clock is in whole nanoseconds and never goes back', () => {
  const clock = new RealClock()
  let last = clock.now()
  assert.ok(last >= 0)
  for (let i = 0; i < 10_000; i++) {
    const now = clock.now()
    assert.ok(Number.isInteger(now) && now >= last)
    last = now
  }
})

test('two real clocks of one origin tell the same time', () => {
  const one = new RealClock()
  const two = new RealClock({ origin: one.origin, epochNs: one.epochNs })
  const before = one.now()
  const between = two.now()
  const after = one.now()
  assert.ok(before <= between && between <= after, `${before} ${between} ${after}`)
})

test('drainMicrotasks waits for promise jobs and those that they add', async () => {
  const order: number[] = []
  const deep = async (level: number): Promise<void> => {
    order.push(level)
    if (level < 50) await Promise.resolve().then(() => deep(level + 1))
  }
  void deep(0)
  await drainMicrotasks()
  assert.equal(order.length, 51)
})

test('a wait of months is one: longer than what setTimeout can count', (context) => {
  context.after(() => mock.timers.reset())
  mock.timers.enable({ apis: ['setTimeout'] })
  const longest = 2 ** 31 - 1
  // Node's own is called with what it can count: the mock counts anything.
  const asked: number[] = []
  const mocked = globalThis.setTimeout
  globalThis.setTimeout = ((fire: () => void, ms: number) => {
    asked.push(ms)
    return mocked(fire, ms)
  }) as typeof setTimeout
  let fired = 0
  realTimers.after(2 * longest + 5, () => fired++)
  const cancel = realTimers.after(2 * longest + 5, () => fired++)
  mock.timers.tick(longest)
  cancel()
  mock.timers.tick(longest)
  mock.timers.tick(4)
  assert.equal(fired, 0)
  mock.timers.tick(1)
  assert.equal(fired, 1)
  assert.deepEqual(asked, [longest, longest, longest, longest, 5])
  globalThis.setTimeout = mocked
})
