// Daemons die, return, lose the store, alone or together: who is taken for dead, what stays, what is refused.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClusterError } from '../../src/cluster/cluster-error.ts'
import type { ClusterStore, StoreEntry, Watcher } from '../../src/cluster/cluster-store.ts'
import { checkStore } from './invariants.ts'
import { type Daemon, SimulatedCluster } from './simulated-cluster.ts'

/** Lease, grace, and what the messages take: the issue allows ten seconds. */
const DEAD_AFTER_MS = 10_000

async function threeDaemons(options: { isReachable?: (name: string) => boolean } = {}) {
  const simulation = new SimulatedCluster({ seed: 11 })
  const daemons: Daemon[] = []
  for (const name of ['h1', 'h2', 'h3']) {
    const { isReachable } = options
    daemons.push(await simulation.start(name, isReachable === undefined ? {} : { isReachable: async (host) => isReachable(host.name) }))
  }
  await simulation.run(daemons[0].cluster.createNetwork(simulation.network('net', '10.1.0.0/24')))
  const endpoints = []
  for (const [index, daemon] of daemons.entries()) {
    await simulation.run(daemon.cluster.sync())
    endpoints.push(await simulation.run(simulation.plug(daemon, 'net-net', `c${index + 1}`)))
  }
  for (const { cluster, changes } of daemons) {
    await simulation.run(cluster.sync())
    changes.length = 0
  }
  return { simulation, daemons, endpoints }
}

const isAlive = ({ cluster }: Daemon, id: string): boolean | undefined => cluster.endpoints('net-net').get(id)?.isAlive
const deaths = ({ changes }: Daemon): string[] =>
  changes.flatMap((change) => (change.kind === 'endpoint' && !change.endpoint.isAlive ? [change.endpoint.name] : []))

describe('a daemon dies', () => {
  test('its endpoints are dead to the others within ten seconds, and keep name and address', async () => {
    const { simulation, daemons, endpoints } = await threeDaemons()
    const [a, b, c] = daemons
    c.link.kill()
    await simulation.timers.pass(4000)
    assert.equal(isAlive(a, endpoints[2].id), true, 'its lease has not ended yet')
    await simulation.timers.pass(DEAD_AFTER_MS - 4000)
    for (const daemon of [a, b]) {
      assert.equal(isAlive(daemon, endpoints[2].id), false)
      assert.equal(isAlive(daemon, endpoints[0].id), true)
      assert.deepEqual([...daemon.cluster.hosts().keys()].sort(), ['id-h1', 'id-h2'])
      assert.deepEqual(deaths(daemon), ['c3'])
    }
    await assert.rejects(simulation.run(simulation.plug(a, 'net-net', 'c3')), { code: 'exists' })
    await assert.rejects(simulation.run(simulation.plug(a, 'net-net', 'other', endpoints[2].address)), { code: 'IPAM_IN_USE' })
    await assert.rejects(simulation.run(a.cluster.removeEndpoint('net-net', endpoints[2].id)), { code: 'conflict' })
    await simulation.run(a.cluster.removeEndpoint('net-net', endpoints[2].id, true))
    assert.equal((await simulation.run(simulation.plug(a, 'net-net', 'c3'))).address, endpoints[2].address)
    checkStore(simulation.server)
  })

  test('when it returns, what it kept is alive again, and what it did not is gone', async () => {
    const { simulation, daemons, endpoints } = await threeDaemons()
    const [a, , c] = daemons
    const second = await simulation.run(simulation.plug(c, 'net-net', 'c4'))
    c.link.kill()
    await simulation.timers.pass(DEAD_AFTER_MS)
    await simulation.start('h3', { keep: [second] })
    await simulation.run(a.cluster.sync())
    assert.equal(isAlive(a, second.id), true)
    assert.equal(isAlive(a, endpoints[2].id), undefined)
    checkStore(simulation.server)
  })

  test('a restart that is quicker than its lease is no death', async () => {
    const { simulation, daemons, endpoints } = await threeDaemons()
    const [a, , c] = daemons
    c.link.kill()
    await simulation.timers.pass(2000)
    await simulation.start('h3', { keep: [endpoints[2]] })
    await simulation.timers.pass(30_000)
    assert.equal(isAlive(a, endpoints[2].id), true)
    assert.deepEqual(deaths(a), [])
  })

  test('what it reserved and never used holds no network', async () => {
    const { simulation, daemons, endpoints } = await threeDaemons()
    const [a, b, c] = daemons
    await simulation.run(c.cluster.requestAddress('net-net', '10.1.0.0/24'))
    await simulation.run(a.cluster.removeEndpoint('net-net', endpoints[0].id))
    await simulation.run(b.cluster.removeEndpoint('net-net', endpoints[1].id))
    await simulation.run(c.cluster.removeEndpoint('net-net', endpoints[2].id))
    await assert.rejects(simulation.run(a.cluster.removeNetwork('net-net')), { code: 'conflict' })
    c.link.kill()
    await simulation.timers.pass(DEAD_AFTER_MS)
    await simulation.run(a.cluster.removeNetwork('net-net'))
    checkStore(simulation.server)
    // It comes back, and does not stumble over what is gone.
    const again = await simulation.start('h3')
    assert.ok(again.cluster.isAvailable)
  })

  test('one that leaves in order is gone after the grace', async () => {
    const { simulation, daemons, endpoints } = await threeDaemons()
    await simulation.run(daemons[2].cluster.removeEndpoint('net-net', endpoints[2].id))
    await simulation.run(daemons[2].cluster.close())
    await simulation.timers.pass(2100)
    assert.deepEqual([...daemons[0].cluster.hosts().keys()].sort(), ['id-h1', 'id-h2'])
    await assert.rejects(simulation.run(daemons[2].cluster.sync()), { code: 'closed' })
  })
})

describe('the store is away', () => {
  for (const seconds of [3, 60, 600]) {
    test(`for everybody, ${seconds} s: nobody is taken for dead, then or after`, async () => {
      const { simulation, daemons, endpoints } = await threeDaemons()
      for (const { link } of daemons) link.cut()
      await simulation.timers.pass(seconds * 1000)
      for (const [index, daemon] of daemons.entries()) {
        if (seconds > 10) assert.equal(daemon.cluster.isAvailable, false)
        await assert.rejects(simulation.run(simulation.plug(daemon, 'net-net', `new${index}`)), { code: 'unavailable' })
        await assert.rejects(simulation.run(daemon.cluster.sync()), { code: 'unavailable' })
        for (const { id } of endpoints) assert.equal(isAlive(daemon, id), true)
      }
      for (const { link } of daemons) link.heal()
      await simulation.timers.pass(30_000)
      for (const [index, daemon] of daemons.entries()) {
        assert.equal(daemon.cluster.isAvailable, true)
        await simulation.run(simulation.plug(daemon, 'net-net', `new${index}`))
        assert.deepEqual(deaths(daemon), [])
      }
      checkStore(simulation.server)
    })
  }

  test('for one daemon: without a word of it, it is dead to the others; it comes back with all it has', async () => {
    const { simulation, daemons, endpoints } = await threeDaemons()
    const [a, , c] = daemons
    c.link.cut()
    await simulation.timers.pass(60_000)
    assert.deepEqual([isAlive(a, endpoints[2].id), isAlive(c, endpoints[0].id), isAlive(c, endpoints[2].id)], [false, true, true])
    c.link.heal()
    await simulation.timers.pass(5000)
    for (const daemon of daemons) for (const { id } of endpoints) assert.equal(isAlive(daemon, id), true)
    checkStore(simulation.server)
  })

  test('for one daemon that answers when it is asked: it lives until it does not', async () => {
    let answers = true
    const { simulation, daemons, endpoints } = await threeDaemons({ isReachable: (name) => name === 'h3' && answers })
    const [a, b, c] = daemons
    c.link.cut()
    await simulation.timers.pass(60_000)
    for (const daemon of [a, b]) {
      assert.equal(isAlive(daemon, endpoints[2].id), true)
      assert.deepEqual(deaths(daemon), [])
    }
    answers = false
    await simulation.timers.pass(3000)
    assert.equal(isAlive(a, endpoints[2].id), false)
  })

  test('what a daemon gave up meanwhile leaves the store when that is back', async () => {
    const { simulation, daemons, endpoints } = await threeDaemons()
    const [a, , c] = daemons
    c.link.cut()
    await simulation.timers.pass(20_000)
    await assert.rejects(simulation.run(c.cluster.removeEndpoint('net-net', endpoints[2].id)), { code: 'unavailable' })
    c.link.heal()
    await simulation.timers.pass(5000)
    assert.equal(isAlive(a, endpoints[2].id), undefined)
    assert.equal((await simulation.run(simulation.plug(a, 'net-net', 'c3'))).address, endpoints[2].address)
    checkStore(simulation.server)
  })

  test('an endpoint that was removed by force meanwhile is claimed again, unless somebody has its place', async () => {
    const { simulation, daemons, endpoints } = await threeDaemons()
    const [a, , c] = daemons
    const second = await simulation.run(simulation.plug(c, 'net-net', 'c4'))
    c.link.cut()
    await simulation.timers.pass(20_000)
    await simulation.run(a.cluster.removeEndpoint('net-net', endpoints[2].id, true))
    await simulation.run(a.cluster.removeEndpoint('net-net', second.id, true))
    assert.equal((await simulation.run(simulation.plug(a, 'net-net', 'usurper'))).address, endpoints[2].address)
    c.link.heal()
    await simulation.timers.pass(5000)
    assert.deepEqual(
      c.changes.flatMap((change) => (change.kind === 'endpoint' && change.type === 'evicted' ? [change.endpoint.name] : [])),
      ['c3']
    )
    assert.equal(isAlive(a, second.id), true)
    checkStore(simulation.server)
  })

  test('an endpoint that is removed by force while its host is there is evicted', async () => {
    const { simulation, daemons, endpoints } = await threeDaemons()
    const [a, , c] = daemons
    await simulation.run(a.cluster.removeEndpoint('net-net', endpoints[2].id, true))
    await simulation.run(c.cluster.sync())
    assert.deepEqual(
      c.changes.flatMap((change) => (change.kind === 'endpoint' ? [change.type] : [])),
      ['removed', 'evicted']
    )
    await simulation.timers.pass(20_000)
    checkStore(simulation.server)
  })
})

describe('a store whose watch says every change by a whole list, as Consul', () => {
  const listing = (store: ClusterStore): ClusterStore =>
    new Proxy(store, {
      get(target, name) {
        if (name !== 'watch') {
          const member = Reflect.get(target, name)
          return typeof member === 'function' ? member.bind(target) : member
        }
        return (prefix: string, watcher: Watcher) => {
          const copy = new Map<string, StoreEntry>()
          const list = (): void => watcher.onList([...copy.values()])
          return target.watch(prefix, {
            onList: (entries) => {
              copy.clear()
              for (const entry of entries) copy.set(entry.key, entry)
              list()
            },
            onChanges: (changes) => {
              for (const change of changes) {
                if ('put' in change) copy.set(change.put.key, change.put)
                else copy.delete(change.remove)
              }
              list()
            },
            onLost: (error) => watcher.onLost(error)
          })
        }
      }
    })

  test('a daemon that dies is dead to the others in time, however much happens meanwhile', async () => {
    const simulation = new SimulatedCluster({ seed: 5 })
    const [a, b, c] = [
      await simulation.start('h1', { wrap: listing }),
      await simulation.start('h2', { wrap: listing }),
      await simulation.start('h3', { wrap: listing })
    ]
    await simulation.run(a.cluster.createNetwork(simulation.network('net', '10.1.0.0/24')))
    await simulation.run(c.cluster.sync())
    const { id } = await simulation.run(simulation.plug(c, 'net-net', 'c3'))
    c.link.kill()
    const end = simulation.timers.now + DEAD_AFTER_MS
    while (simulation.timers.now < end) {
      const { id } = await simulation.run(simulation.plug(a, 'net-net', 'c1'))
      await simulation.timers.pass(400)
      await simulation.run(a.cluster.removeEndpoint('net-net', id))
    }
    for (const daemon of [a, b]) {
      assert.equal(isAlive(daemon, id), false)
      assert.deepEqual([...daemon.cluster.hosts().keys()].sort(), ['id-h1', 'id-h2'])
    }
  })

  test('a store that was away: nobody is taken for dead then or after', async () => {
    const simulation = new SimulatedCluster({ seed: 6 })
    const daemons = [await simulation.start('h1', { wrap: listing }), await simulation.start('h2', { wrap: listing })]
    for (const { changes } of daemons) changes.length = 0
    for (const { link } of daemons) link.cut()
    await simulation.timers.pass(20_000)
    for (const { link } of daemons) link.heal()
    await simulation.timers.pass(20_000)
    for (const { cluster, changes } of daemons) {
      assert.deepEqual([cluster.isAvailable, cluster.hosts().size], [true, 2])
      assert.deepEqual(
        changes.filter(({ type }) => type === 'removed'),
        []
      )
    }
  })
})

describe('an answer that is later than what the watch says', () => {
  test('an endpoint that was removed by force before its adding was answered is refused, and stays away', async () => {
    const simulation = new SimulatedCluster({ seed: 12 })
    let isSlow = false
    const slow = (store: ClusterStore): ClusterStore =>
      new Proxy(store, {
        get(target, name) {
          const member = Reflect.get(target, name)
          if (typeof member !== 'function') return member
          if (name !== 'commit') return member.bind(target)
          return async (...args: unknown[]) => {
            const result = await member.apply(target, args)
            if (isSlow) await new Promise<void>((resolve) => simulation.timers.after(500, resolve))
            return result
          }
        }
      })
    const a = await simulation.start('h1')
    const b = await simulation.start('h2', { wrap: slow })
    await simulation.run(a.cluster.createNetwork(simulation.network('net', '10.1.0.0/24')))
    await simulation.run(b.cluster.sync())
    const address = await simulation.run(b.cluster.requestAddress('net-net', '10.1.0.0/24'))
    isSlow = true
    const spec = { id: 'e1', networkId: 'net-net', name: 'web', names: ['web'], address, subnet: '10.1.0.0/24', mac: '02:42:00:00:00:01' }
    const adding = b.cluster.addEndpoint(spec)
    const refused = assert.rejects(adding, { code: 'conflict' })
    await simulation.timers.pass(100)
    await simulation.run(a.cluster.removeEndpoint('net-net', 'e1', true))
    await simulation.run(refused)
    isSlow = false
    // Whatever a host has it claims again when it returns.
    b.link.cut()
    await simulation.timers.pass(10_000)
    b.link.heal()
    await simulation.timers.pass(10_000)
    assert.equal(b.cluster.isAvailable, true)
    assert.equal(a.cluster.endpoints('net-net').size, 0)
    checkStore(simulation.server)
  })
})

describe('a store that is not as it should be', () => {
  const failing = (store: ClusterStore, methods: (keyof ClusterStore)[], error: () => ClusterError | undefined): ClusterStore =>
    new Proxy(store, {
      get(target, name) {
        const method = Reflect.get(target, name)
        if (typeof method !== 'function') return method
        if (!methods.includes(name as keyof ClusterStore)) return method.bind(target)
        return async (...args: unknown[]) => {
          const failure = error()
          if (failure !== undefined) throw failure
          return method.apply(target, args)
        }
      }
    })

  test('none at all: the daemon starts, changes are refused, it joins when there is one', async () => {
    const simulation = new SimulatedCluster({ seed: 5 })
    let isThere = false
    const { cluster, warnings } = await simulation.start('h1', {
      wrap: (store) =>
        failing(store, ['lease', 'get', 'commit'], () => (isThere ? undefined : new ClusterError('unavailable', 'connect ECONNREFUSED')))
    })
    assert.equal(cluster.isAvailable, false)
    assert.equal(cluster.failure?.message, 'connect ECONNREFUSED')
    await assert.rejects(simulation.run(cluster.createNetwork(simulation.network('net'))), { code: 'unavailable', message: /ECONNREFUSED/ })
    await simulation.timers.pass(60_000)
    assert.equal(warnings.length, 1, 'the same reason is told once')
    isThere = true
    await simulation.timers.pass(3000)
    await simulation.run(cluster.createNetwork(simulation.network('net')))
  })

  test('wrong credentials', async () => {
    const simulation = new SimulatedCluster({ seed: 5 })
    const { cluster } = await simulation.start('h1', {
      wrap: (store) => failing(store, ['lease', 'get', 'list', 'commit'], () => new ClusterError('denied', 'authentication failed'))
    })
    assert.equal(cluster.failure?.code, 'denied')
    await assert.rejects(simulation.run(cluster.createNetwork(simulation.network('net'))), {
      code: 'unavailable',
      message: /authentication failed/
    })
  })

  test('read-only: everything is seen, nothing can be changed', async () => {
    const { simulation, endpoints } = await threeDaemons()
    const reader = await simulation.start('h4', {
      wrap: (store) => failing(store, ['commit'], () => new ClusterError('denied', 'permission denied'))
    })
    assert.equal(reader.cluster.isAvailable, false)
    assert.equal(isAlive(reader, endpoints[0].id), true)
    await assert.rejects(simulation.run(simulation.plug(reader, 'net-net', 'new')), { code: 'unavailable', message: /permission denied/ })
  })

  test('slow: everything works, slowly', async () => {
    const simulation = new SimulatedCluster({ seed: 5, delay: [300, 450] })
    const a = await simulation.start('h1')
    const b = await simulation.start('h2')
    await simulation.run(a.cluster.createNetwork(simulation.network('net')))
    await simulation.run(b.cluster.sync())
    await simulation.run(simulation.plug(b, 'net-net', 'c1'))
    await simulation.timers.pass(120_000)
    assert.ok(a.cluster.isAvailable && b.cluster.isAvailable)
    assert.deepEqual(deaths(a), [])
  })

  test('values that nobody of us wrote', async () => {
    const { simulation, daemons } = await threeDaemons()
    for (const [key, value] of [
      ['live/networks/x', 'no JSON'],
      ['live/endpoints/net-net/x', '{}'],
      ['live/hosts/x', '[]']
    ]) {
      simulation.server.commit([], [{ put: key, value }])
    }
    await simulation.timers.pass(5000)
    for (const { cluster, warnings } of daemons) {
      assert.ok(cluster.isAvailable)
      assert.equal(warnings.filter((text) => /did not write/.test(text)).length, 3)
    }
  })

  test('clocks that run at different speeds', async () => {
    const simulation = new SimulatedCluster({ seed: 5 })
    const daemons: Daemon[] = []
    for (const [index, rate] of [0.8, 1, 1.25].entries()) daemons.push(await simulation.start(`h${index + 1}`, { rate }))
    await simulation.timers.pass(600_000)
    for (const { cluster, warnings, changes } of daemons) {
      assert.deepEqual([cluster.hosts().size, warnings, changes.filter(({ type }) => type === 'removed')], [3, [], []])
    }
  })
})
