import { after, before } from 'node:test'
import { EtcdStore } from '../../src/cluster/etcd-store.ts'
import { readStoreOptions } from '../../src/cluster/store-options.ts'
import { realTimers } from '../../src/engine/clock.ts'
import { type EtcdCluster, etcdMissing, startEtcd } from './etcd-server.ts'
import { clusterStoreSuite } from './store-suite.ts'

let etcd: EtcdCluster
before(async () => {
  if (!etcdMissing) etcd = await startEtcd()
})
after(() => etcd?.close())

clusterStoreSuite('EtcdStore', () => new EtcdStore(readStoreOptions(`${etcd.url}/suite`), realTimers), { skip: etcdMissing })
