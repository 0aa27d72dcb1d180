import { after, before } from 'node:test'
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
