import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ClusterError } from '../../src/cluster/cluster-error.ts'
import { ConsulBeats } from '../../src/cluster/consul-beats.ts'
import { ConsulStore } from '../../src/cluster/consul-store.ts'
import { readStoreOptions } from '../../src/cluster/store-options.ts'
import { realTimers, sleep, type Timers } from '../../src/engine/clock.ts'
import { FakeConsul } from './fake-consul.ts'
import { clusterStoreSuite, WatchLog } from './store-suite.ts'
import { VirtualTimers } from './virtual-timers.ts'

let consul: FakeConsul
before(async () => {
  consul = await FakeConsul.start()
})
after(() => consul.close())

const open = (options: Record<string, string> = {}, timers: Timers = realTimers): ConsulStore =>
  new ConsulStore(readStoreOptions(`${consul.url}/suite`, options), timers)

clusterStoreSuite('ConsulStore, over a fake server', () => open())

test('Consul with a token', async () => {
  consul.token = 'secret'
  const [right, wrong] = [open({ 'kv.token': 'secret' }), open()]
  try {
    await assert.rejects(wrong.get('a'), { code: 'denied' })
    assert.equal(await right.get('a'), undefined)
  } finally {
    consul.token = undefined
    await Promise.all([right.close(), wrong.close()])
  }
})

/** Of a client that is killed: from then on it does nothing any more. */
class MortalTimers implements Timers {
  isDead = false
  after(ms: number, fire: () => void): () => void {
    return realTimers.after(ms, () => {
      if (!this.isDead) fire()
    })
  }
}

test('the session of a client that dies is ended by the others in the time of its lease, that of one that lives is not', async () => {
  // The fake ends none itself for as long as the test waits.
  consul.lateness = 100
  const mortal = new MortalTimers()
  const [dying, living] = [open({}, mortal), open()]
  try {
    const log = new WatchLog()
    living.watch('mortals/', log)
    for (const [store, name] of [
      [dying, 'dying'],
      [living, 'living']
    ] as const) {
      const lease = await store.lease(2)
      await store.commit([], [{ put: `mortals/${name}`, value: '', lease }])
    }
    await log.until(({ copy }) => copy.size === 2)
    mortal.isDead = true
    await log.until(({ copy }) => copy.size < 2)
    assert.deepEqual([...log.copy.keys()], ['mortals/living'])
    await sleep(1000)
    assert.deepEqual([...log.copy.keys()], ['mortals/living'])
  } finally {
    consul.lateness = 2
    await Promise.all([dying, living].map((store) => store.close()))
  }
})

test('looks are counted: one that comes late, or fails, says nothing of the time between', async () => {
  const timers = new VirtualTimers()
  const ended: string[] = []
  let version = 1
  let isAway = false
  const beats = new ConsulBeats({
    timers,
    seconds: 5,
    list: async () => {
      if (isAway) throw new ClusterError('unavailable', 'lost')
      return [
        { key: 'beats/quick', value: '2', version },
        { key: 'beats/slow', value: '5', version: 1 },
        { key: 'beats/odd', value: 'x', version: 1 }
      ]
    },
    end: async (session) => ended.push(session)
  })
  await timers.pass(2500) // two looks
  isAway = true
  await timers.pass(60_000)
  isAway = false
  await timers.pass(3000)
  assert.deepEqual(ended, ['quick', 'quick', 'quick'], 'three looks: it stands still from the first one on, for two seconds')
  version++
  ended.length = 0
  await timers.pass(1000)
  assert.deepEqual(ended, ['slow'])
  beats.close()
  await timers.pass(10_000)
  assert.equal(ended.length, 1)
})
