import { MemoryClusterServer, MemoryClusterStore } from '../../src/cluster/memory-cluster-store.ts'
import { clusterStoreSuite } from './store-suite.ts'

const server = new MemoryClusterServer()
clusterStoreSuite('MemoryClusterStore', () => new MemoryClusterStore(server))
