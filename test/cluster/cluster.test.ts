// The Cluster's own rules, on virtual time over a store in memory.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SimulatedCluster } from './simulated-cluster.ts'

const SEED = 7

async function twoDaemons() {
  const simulation = new SimulatedCluster({ seed: SEED })
  const a = await simulation.start('h1')
  const b = await simulation.start('h2')
  return { simulation, a, b }
}

describe('networks of a cluster', () => {
  test('a network is seen by every daemon, also by one that was away', async () => {
    const { simulation, a, b } = await twoDaemons()
    const network = await simulation.run(a.cluster.createNetwork(simulation.network('net', '10.0.9.0/24')))
    assert.deepEqual(network.subnets, [{ subnet: '10.0.9.0/24', ipRange: null, gateway: '10.0.9.1', auxiliary: {}, vni: null }])
    await simulation.run(b.cluster.sync())
    assert.deepEqual(b.cluster.networks().get('net-net'), network)
    const late = await simulation.start('h3')
    assert.deepEqual(late.cluster.networks().get('net-net'), network)
  })

  test('automatic subnets: each daemon goes round from its own last one and skips those of others', async () => {
    const { simulation, a, b } = await twoDaemons()
    const create = async (daemon: typeof a, name: string) =>
      (await simulation.run(daemon.cluster.createNetwork(simulation.network(name)))).subnets[0].subnet
    // As recorded: overlay-ipam-kv, steps 1 to 9.
    assert.deepEqual([await create(a, 'o1'), await create(a, 'o2'), await create(a, 'o3')], ['10.0.0.0/24', '10.0.1.0/24', '10.0.2.0/24'])
    assert.deepEqual([await create(b, 'o4'), await create(b, 'o5')], ['10.0.3.0/24', '10.0.4.0/24'])
    await simulation.run(a.cluster.removeNetwork('net-o2'))
    assert.deepEqual([await create(a, 'o6'), await create(a, 'o7')], ['10.0.5.0/24', '10.0.6.0/24'])
    await simulation.run(a.cluster.createNetwork(simulation.network('o8', '10.0.7.0/24')))
    for (const [daemon, subnet] of [
      [a, '10.0.0.128/25'],
      [b, '10.0.0.0/16']
    ] as const) {
      await assert.rejects(simulation.run(daemon.cluster.createNetwork(simulation.network('o9', subnet))), { code: 'IPAM_OVERLAP' })
    }
    assert.equal(await create(b, 'o10'), '10.0.8.0/24')
  })

  test('a name is unique', async () => {
    const { simulation, a, b } = await twoDaemons()
    await simulation.run(a.cluster.createNetwork(simulation.network('net')))
    await assert.rejects(simulation.run(b.cluster.createNetwork({ ...simulation.network('net'), id: 'other' })), { code: 'exists' })
  })
})

describe('addresses and endpoints of a cluster', () => {
  async function onNetwork() {
    const daemons = await twoDaemons()
    await daemons.simulation.run(daemons.a.cluster.createNetwork(daemons.simulation.network('net', '10.55.0.0/24')))
    await daemons.simulation.run(daemons.b.cluster.sync())
    return daemons
  }

  test('the lowest free address over all hosts; freed with the endpoint', async () => {
    const { simulation, a, b } = await onNetwork()
    const plug = (daemon: typeof a, name: string) => simulation.run(simulation.plug(daemon, 'net-net', name))
    const a1 = await plug(a, 'a1')
    const b1 = await plug(b, 'b1')
    assert.deepEqual([a1.address, b1.address, (await plug(a, 'a2')).address], ['10.55.0.2', '10.55.0.3', '10.55.0.4'])
    await simulation.run(a.cluster.removeEndpoint('net-net', a1.id))
    assert.equal((await plug(b, 'b2')).address, '10.55.0.2')
    await assert.rejects(simulation.run(simulation.plug(a, 'net-net', 'a3', '10.55.0.3')), { code: 'IPAM_IN_USE' })
    assert.equal(a.cluster.networks().get('net-net')!.subnets[0].vni, 256)
  })

  test('the name of an endpoint is unique over all hosts; who is refused keeps nothing', async () => {
    const { simulation, a, b } = await onNetwork()
    await simulation.run(simulation.plug(a, 'net-net', 'web'))
    await assert.rejects(simulation.run(simulation.plug(b, 'net-net', 'web')), { code: 'exists' })
    assert.equal((await simulation.run(simulation.plug(b, 'net-net', 'web2'))).address, '10.55.0.3')
  })

  test('a network with an endpoint anywhere stays', async () => {
    const { simulation, a, b } = await onNetwork()
    const { id } = await simulation.run(simulation.plug(a, 'net-net', 'web'))
    await assert.rejects(simulation.run(b.cluster.removeNetwork('net-net')), { code: 'conflict' })
    await simulation.run(a.cluster.removeEndpoint('net-net', id))
    await simulation.run(b.cluster.removeNetwork('net-net'))
    assert.deepEqual(simulation.server.list('pools/'), [])
    assert.deepEqual(simulation.server.list('reserved/'), [])
    assert.deepEqual(simulation.server.list('names/'), [])
    assert.deepEqual(JSON.parse(simulation.server.get('vnis')!.value), [])
  })

  test('every daemon sees every endpoint, with its VTEP', async () => {
    const { simulation, a, b } = await onNetwork()
    const { id } = await simulation.run(simulation.plug(a, 'net-net', 'web'))
    await simulation.run(b.cluster.sync())
    const seen = b.cluster.endpoints('net-net').get(id)!
    assert.deepEqual([seen.name, seen.address, seen.vtep, seen.isAlive, seen.hostId], ['web', '10.55.0.2', '192.0.2.1', true, 'id-h1'])
    assert.deepEqual(
      b.changes.filter(({ kind }) => kind === 'endpoint').map(({ type }) => type),
      ['added']
    )
  })
})
