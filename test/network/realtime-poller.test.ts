import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { VirtualClock } from '../../src/engine/clock.ts'
import { loadNative, tryLoadNative } from '../../src/io/load-native.ts'
import { Lab } from '../../src/lab/lab.ts'
import { RealtimePoller } from '../../src/network/realtime-poller.ts'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'
import type { WakePoller } from '../../src/network/wake-poller.ts'

const MS = 1e6

/** A thread whose class and CPU time are the test's. */
class Thread {
  readonly clock = new VirtualClock()
  readonly calls: string[] = []
  used = 0
  isAllowed = true
  private readonly inner: WakePoller = {
    add: (fd, node) => this.calls.push(`add ${fd} ${node}`),
    remove: (fd) => this.calls.push(`remove ${fd}`),
    wait: (ready, timeoutNs) => {
      ready[0] = timeoutNs
      return 1
    },
    close: () => this.calls.push('close')
  }

  open(): RealtimePoller {
    return new RealtimePoller(this.inner, { setRealtime: (isRealtime) => this.set(isRealtime), threadCpuTime: () => this.used }, this.clock)
  }

  private set(isRealtime: boolean): void {
    if (isRealtime && !this.isAllowed) throw Object.assign(new Error('sched_setscheduler: EPERM'), { code: 'EPERM' })
    this.calls.push(isRealtime ? 'real-time' : 'ordinary')
  }

  /** Waits until `ms` have passed, of which the thread ran `used`; returns what became of it. */
  pass(poller: RealtimePoller, ms: number, used: number): string[] {
    this.calls.length = 0
    this.clock.advanceTo(this.clock.now() + ms * MS)
    this.used += used * MS
    poller.wait(new Int32Array(4), 0)
    return [...this.calls]
  }
}

test('a thread that has a core for itself is an ordinary one until it leaves time', () => {
  const thread = new Thread()
  const poller = thread.open()
  assert.deepEqual(thread.calls, ['real-time'])
  assert.deepEqual(thread.pass(poller, 10, 9), [], '90 %')
  assert.deepEqual(thread.pass(poller, 9, 9), [], 'not a window yet')
  assert.deepEqual(thread.pass(poller, 1, 0.1), ['ordinary'], '91 %')
  assert.deepEqual(thread.pass(poller, 10, 10), [], 'still')
  assert.deepEqual(thread.pass(poller, 12, 6), ['real-time'])
  assert.deepEqual(thread.pass(poller, 1000, 0), [])
  assert.deepEqual(thread.pass(poller, 10, 10), ['ordinary'], 'a sleep before does not count')
})

test('a right that was taken away is asked for again after the next busy time', () => {
  const thread = new Thread()
  const poller = thread.open()
  assert.deepEqual(thread.pass(poller, 10, 10), ['ordinary'])
  thread.isAllowed = false
  assert.deepEqual(thread.pass(poller, 10, 1), [])
  thread.isAllowed = true
  assert.deepEqual(thread.pass(poller, 10, 10), ['ordinary'])
  assert.deepEqual(thread.pass(poller, 10, 1), ['real-time'])
})

test('it sleeps and wakes as the poller in it', () => {
  const thread = new Thread()
  const poller = thread.open()
  const ready = new Int32Array(4)
  poller.add(7, 3)
  poller.remove(7)
  assert.equal(poller.wait(ready, 1234), 1)
  assert.equal(ready[0], 1234)
  poller.close()
  assert.deepEqual(thread.calls, ['real-time', 'add 7 3', 'remove 7', 'close'])
})

test('a kernel that refuses is told with what to do', () => {
  const thread = new Thread()
  thread.isAllowed = false
  assert.throws(() => thread.open(), { name: 'NetworkError', code: 'unsupported', message: /EPERM/, fix: /CAP_SYS_NICE.*RLIMIT_RTPRIO/ })
})

test('under a virtual clock there is nothing to be late', async () => {
  await assert.rejects(Lab.create({ clock: 'virtual', realtime: true }), { code: 'invalid', message: /^realtime: / })
})

/** SCHED_RR of linux/sched.h, as field 41 of proc_pid_stat(5) has it. */
const SCHED_RR = '2'

/** How many of this process's threads are real-time ones. */
function realtimeThreads(): number {
  return readdirSync('/proc/self/task').filter((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'latin1')
    // The name, field 2, may have spaces and parentheses of its own.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[41 - 3] === SCHED_RR
  }).length
}

/** Null: this process may raise its threads. */
function whyRefused(): string | null {
  if (tryLoadNative() === null) return 'no native addon'
  try {
    loadNative().setRealtime(true)
    loadNative().setRealtime(false)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

const refused = whyRefused()

test("the engine's thread alone is a real-time one", { skip: refused ?? false, timeout: 120_000 }, async () => {
  const engine = new ThreadedEngine({ seed: 1 })
  try {
    await engine.framesInUse()
    assert.equal(realtimeThreads(), 0)
    await engine.makeRealtime()
    await engine.makeRealtime()
    // A busy first window makes it an ordinary one, until it has slept for one.
    for (let count = realtimeThreads(); count !== 1; count = realtimeThreads()) {
      assert.equal(count, 0)
      await sleep(20)
      await engine.framesInUse()
    }
  } finally {
    await engine.close()
  }
})

test('without the right to it an engine says so and goes on', { skip: refused === null && 'this process has the right' }, async () => {
  const engine = new ThreadedEngine({ seed: 1 })
  try {
    await assert.rejects(engine.makeRealtime())
    assert.equal(await engine.framesInUse(), 0)
  } finally {
    await engine.close()
  }
})
