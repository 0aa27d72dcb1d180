import { realTimers, type Timers } from '../engine/clock.ts'
import type { ClusterStore } from './cluster-store.ts'
import { ConsulStore } from './consul-store.ts'
import { EtcdStore } from './etcd-store.ts'
import { readStoreOptions, type StoreKind, type StoreOptions } from './store-options.ts'
import { ZooKeeperStore } from './zookeeper-store.ts'

const KINDS: Readonly<Record<StoreKind, (options: StoreOptions, timers: Timers) => ClusterStore>> = {
  etcd: (options, timers) => new EtcdStore(options, timers),
  zk: (options, timers) => new ZooKeeperStore(options, timers),
  consul: (options, timers) => new ConsulStore(options, timers)
}

/** The store of `--cluster-store URL` and `--cluster-store-opt KEY=VALUE`. Nothing is connected yet. Throws ClusterError `invalid`. */
export function openClusterStore(url: string, options: Readonly<Record<string, string>> = {}, timers: Timers = realTimers): ClusterStore {
  const read = readStoreOptions(url, options)
  return KINDS[read.kind](read, timers)
}
