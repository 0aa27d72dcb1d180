import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ConsulStore } from '../../src/cluster/consul-store.ts'
import { readStoreOptions } from '../../src/cluster/store-options.ts'
import { realTimers } from '../../src/engine/clock.ts'
import { FakeConsul } from './fake-consul.ts'
import { clusterStoreSuite } from './store-suite.ts'

let consul: FakeConsul
before(async () => {
  consul = await FakeConsul.start()
})
after(() => consul.close())

const open = (options: Record<string, string> = {}): ConsulStore =>
  new ConsulStore(readStoreOptions(`${consul.url}/suite`, options), realTimers)

clusterStoreSuite('ConsulStore, over a fake server', open)

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
