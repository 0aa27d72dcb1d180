// A real etcd that is killed, hangs and comes back, and one with users.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openClusterStore } from '../../src/cluster/open-cluster-store.ts'
import { etcdMissing, isHealthy, startEtcd } from './etcd-server.ts'
import { WatchLog } from './store-suite.ts'

describe('etcd that fails', { skip: etcdMissing }, () => {
  test('killed and started again: refused meanwhile, and a watch goes on without a gap', async () => {
    const etcd = await startEtcd()
    const store = openClusterStore(etcd.url)
    try {
      const log = new WatchLog()
      store.watch('w/', log)
      await log.until(({ lists }) => lists.length === 1)
      await store.commit([], [{ put: 'w/a', value: '1' }])
      await log.until(({ copy }) => copy.has('w/a'))
      await etcd.members[0].kill()
      await assert.rejects(store.get('w/a'), { code: 'unavailable' })
      await etcd.members[0].start(() => isHealthy(etcd.members[0].port))
      await store.commit([], [{ put: 'w/b', value: '2' }])
      await log.until(({ copy }) => copy.has('w/b'))
      assert.deepEqual([log.lists.length, log.changes, log.lost], [1, ['w/a=1', 'w/b=2'], []])
    } finally {
      await store.close()
      await etcd.close()
    }
  })

  test('a user with the right password, with a wrong one, and none', async () => {
    const etcd = await startEtcd()
    const call = async (path: string, body: unknown): Promise<void> => {
      const answer = await fetch(`http://127.0.0.1:${etcd.members[0].port}/v3/auth/${path}`, { method: 'POST', body: JSON.stringify(body) })
      assert.equal(answer.status, 200, await answer.text())
    }
    await call('user/add', { name: 'root', password: 'secret' })
    await call('role/add', { name: 'root' })
    await call('user/grant', { user: 'root', role: 'root' })
    await call('enable', {})
    const stores = [{ 'kv.username': 'root', 'kv.password': 'secret' }, { 'kv.username': 'root', 'kv.password': 'guess' }, {}].map(
      (options) => openClusterStore(etcd.url, options as Record<string, string>)
    )
    try {
      assert.notEqual(await stores[0].commit([], [{ put: 'a', value: '1' }]), null)
      for (const store of stores.slice(1)) await assert.rejects(store.get('a'), { code: 'denied' })
    } finally {
      await Promise.all(stores.map((store) => store.close()))
      await etcd.close()
    }
  })
})
