import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openClusterStore } from '../../src/cluster/open-cluster-store.ts'
import { readStoreOptions } from '../../src/cluster/store-options.ts'
import { ZooKeeperStore } from '../../src/cluster/zookeeper-store.ts'
import { realTimers } from '../../src/engine/clock.ts'
import type { StoreServer } from './store-server.ts'
import { clusterStoreSuite } from './store-suite.ts'
import { startZooKeeper, zooKeeperMissing } from './zookeeper-server.ts'

let server: StoreServer
before(async () => {
  if (!zooKeeperMissing) server = await startZooKeeper()
})
after(() => server?.close())

clusterStoreSuite('ZooKeeperStore', () => new ZooKeeperStore(readStoreOptions(`zk://127.0.0.1:${server.port}/suite`), realTimers), {
  skip: zooKeeperMissing
})

test('a user’s nodes are the user’s alone: not those of one with a wrong password, nor of nobody', { skip: zooKeeperMissing }, async () => {
  const open = (options: Record<string, string>) => openClusterStore(`zk://127.0.0.1:${server.port}/owned`, options)
  const stores = [
    open({ 'kv.username': 'netloom', 'kv.password': 'secret' }),
    open({ 'kv.username': 'netloom', 'kv.password': 'guess' }),
    open({})
  ]
  try {
    assert.notEqual(await stores[0].commit([], [{ put: 'a', value: '1' }]), null)
    assert.equal((await stores[0].get('a'))?.value, '1')
    for (const store of stores.slice(1)) {
      await assert.rejects(store.get('a'), { code: 'denied' })
      await assert.rejects(store.commit([], [{ put: 'b', value: '1' }]), { code: 'denied' })
    }
  } finally {
    await Promise.all(stores.map((store) => store.close()))
  }
})
