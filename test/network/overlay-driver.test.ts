/** Overlay networks over emulated hosts: who reaches whom, by which names, and what is left when they go. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import type { NetworkSpec } from '../../src/network/network.ts'
import { type OverlayHost, OverlayHosts } from './overlay-hosts.ts'

const ID = 'a'.repeat(64)
const NET: NetworkSpec = { id: ID, name: 'net', driver: 'overlay', subnet: '10.0.9.0/24', mtu: 1450 }

let hosts: OverlayHosts
let one: OverlayHost
let two: OverlayHost

beforeEach(async () => {
  hosts = new OverlayHosts()
  one = await hosts.host(1)
  two = await hosts.host(2)
  one.driver.setVteps([two.address])
  two.driver.setVteps([one.address])
})

/** One endpoint on each host, c1 (.2) on the first and c2 (.3) on the second, known to the other. */
async function pair(spec: NetworkSpec = NET, address1 = '10.0.9.2', address2 = '10.0.9.3', vni = 256) {
  for (const [host, address] of [
    [one, address1],
    [two, address2]
  ] as const) {
    const network = host.controller.networks.get(spec.id!) ?? (await host.controller.createNetwork(spec))
    host.driver.setVni(network, address, vni)
  }
  const c1 = await one.plug(spec.id!, { name: 'c1', address: address1 })
  const c2 = await two.plug(spec.id!, { name: 'c2', address: address2, aliases: ['two'] })
  await one.controller.updateRemotes(spec.id!, [remoteOf(two, c2)], [])
  await two.controller.updateRemotes(spec.id!, [remoteOf(one, c1)], [])
  return { c1, c2 }
}

function remoteOf(
  host: OverlayHost,
  { id, names, address, address6, mac }: { id: string; names: readonly string[]; address: string; address6: string; mac: string }
) {
  return { id, names, address, address6, mac, vtep: host.address }
}

describe('between hosts', () => {
  test('endpoints reach each other, by address, name, alias and name with network', async () => {
    const { c1, c2 } = await pair()
    assert.equal((await one.ping(c1, c2.address)).received, 1)
    assert.equal((await two.ping(c2, c1.address)).received, 1)
    for (const name of ['c2', 'two', 'c2.net']) assert.equal(await one.resolve(c1, name), '10.0.9.3')
    assert.equal(await two.resolve(c2, 'c1'), '10.0.9.2')
  })

  test('what no station has stays on its host, and so do broadcasts', async () => {
    const { c1 } = await pair()
    await one.ping(c1, '10.0.9.77')
    assert.equal(one.counted('overlay/vxlan').counters['encapsulated'], 0)
    assert.ok(one.counted('overlay/vxlan').drops['vxlan.broadcast']! > 0, JSON.stringify(one.counted('overlay/vxlan').drops))
  })

  test('with bum: flood an unknown address is asked of the other host', async () => {
    const { c1 } = await pair({ ...NET, driverOptions: { bum: 'flood' } })
    await one.ping(c1, '10.0.9.77')
    assert.ok(one.counted('overlay/vxlan').counters['encapsulated']! > 0)
    assert.ok(two.counted('overlay/vxlan').counters['decapsulated']! > 0)
  })

  test('a station that goes is not found and not reached; one that comes back with another MAC is', async () => {
    const { c1, c2 } = await pair()
    await one.controller.updateRemotes(ID, [], [c2.id])
    assert.equal(await one.resolve(c1, 'c2'), 'SERVFAIL')
    const before = two.counted('overlay/vxlan').counters['decapsulated']
    assert.equal((await one.ping(c1, c2.address)).received, 0)
    assert.equal(two.counted('overlay/vxlan').counters['decapsulated'], before)

    await two.controller.disconnect(ID, 'c2')
    const moved = await two.plug(ID, { name: 'c2', address: '10.0.9.3', mac: '02:cc:00:00:09:03' })
    await one.controller.updateRemotes(ID, [{ ...remoteOf(two, moved), id: c2.id }], [])
    await one.controller.updateRemotes(ID, [{ ...remoteOf(two, moved), id: c2.id, mac: c2.mac }], [])
    assert.equal((await one.ping(c1, moved.address)).received, 0, 'its old MAC is nobody’s')
    await one.controller.updateRemotes(ID, [{ ...remoteOf(two, moved), id: c2.id }], [])
    assert.equal(await one.resolve(c1, 'c2'), '10.0.9.3')
  })

  test('an address that moves from the other host to this one is reached, though nobody said a word', async () => {
    const { c1, c2 } = await pair()
    assert.equal((await one.ping(c1, c2.address)).received, 1)
    await one.controller.updateRemotes(ID, [], [c2.id])
    const heir = await one.plug(ID, { name: 'c2', address: c2.address })
    assert.equal(heir.mac, c2.mac)
    assert.equal((await one.ping(c1, heir.address)).received, 1)
  })

  test('IPv6 inside: the neighbor on the other host is answered for', async () => {
    const { c1, c2 } = await pair({ ...NET, subnet6: '2001:db8:9::/64' })
    assert.notEqual(c2.address6, '')
    assert.equal((await one.ping(c1, c2.address6)).received, 1)
  })

  test('a packet as long as the MTU passes', async () => {
    const { c1, c2 } = await pair()
    assert.equal((await one.ping(c1, c2.address, { size: 1450 - 28 })).received, 1)
  })
})

describe('subnets', () => {
  const TWO: NetworkSpec = { ...NET, subnets: [{ subnet: '10.0.10.0/24' }] }

  test('each is a segment of its own VNI; an endpoint is on that of its address', async () => {
    const { c1, c2 } = await pair(TWO, '10.0.10.2', '10.0.10.3', 300)
    assert.equal((await one.ping(c1, c2.address)).received, 1)
    const { vxlan } = { vxlan: one.counted('overlay/vxlan') }
    assert.ok(vxlan.counters['encapsulated']! > 0)
  })

  test('one that is full leaves the rest to the next', async () => {
    await one.controller.createNetwork({ ...NET, subnet: '10.0.9.0/30', subnets: [{ subnet: '10.0.10.0/24' }] })
    const addresses: string[] = []
    for (const name of ['s1', 's2', 's3']) addresses.push((await one.plug(ID, { name })).address)
    assert.deepEqual(addresses, ['10.0.9.1', '10.0.9.2', '10.0.10.1'])
  })

  test('their segments and stations elsewhere are told with the first endpoint of each, and not again', async () => {
    const { c1, c2 } = await pair(TWO)
    const network = one.controller.network(ID)
    one.driver.setVni(network, '10.0.10.2', 300)
    await one.controller.updateRemotes(ID, [{ ...remoteOf(two, c2), id: 'c3', address: '10.0.10.3', mac: '02:00:00:00:00:03' }], [])
    const told = (address: string) => one.driver.endpointUpdates(network, { ...c1, address }, false).map(({ change }) => change)
    assert.deepEqual(told('10.0.9.4'), [])
    const [change] = told('10.0.10.4') as [{ segments: object; peers: object }]
    assert.deepEqual(Object.keys(change.segments), ['300'])
    assert.deepEqual(Object.keys(change.peers), ['300/02:00:00:00:00:03'])
  })

  test('a VNI that is known is not another one', async () => {
    const network = await one.controller.createNetwork(NET)
    one.driver.setVni(network, '10.0.9.2', 256)
    assert.throws(() => one.driver.setVni(network, '10.0.9.2', 257), /has VNI 256 and cannot get 257/)
  })

  test('may be those of a bridge network', async () => {
    await one.controller.createNetwork({ name: 'bridge-net', subnet: '10.0.9.0/24' })
    const { c1, c2 } = await pair()
    assert.equal((await one.ping(c1, c2.address)).received, 1)
  })
})

describe('the underlay', () => {
  test('is open while there is a network, and opened anew after', async () => {
    const other = { ...NET, id: 'b'.repeat(64), name: 'other', subnet: '10.0.11.0/24' }
    await one.controller.createNetwork(NET)
    await one.controller.createNetwork(other)
    assert.deepEqual(one.underlays, { opened: 1, closed: 0 })
    await one.controller.removeNetwork(ID)
    assert.deepEqual(one.underlays, { opened: 1, closed: 0 })
    await one.controller.removeNetwork(other.id)
    assert.deepEqual(one.underlays, { opened: 1, closed: 1 })
    const { c1, c2 } = await pair()
    assert.equal((await one.ping(c1, c2.address)).received, 1)
    assert.deepEqual(one.underlays, { opened: 2, closed: 1 })
  })

  test('one that cannot be opened refuses the network and leaves nothing', async () => {
    const { underlay } = Reflect.get(one.driver, 'options') as { underlay: () => { open: () => Promise<never> } }
    Reflect.set(Reflect.get(one.driver, 'options') as object, 'underlay', () => ({
      ...underlay(),
      open: () => Promise.reject(new Error('UDP 4789 is taken'))
    }))
    await assert.rejects(one.controller.createNetwork(NET), /UDP 4789 is taken/)
    assert.equal(one.controller.networks.size, 0)
    assert.equal(one.underlays.closed, 1)
  })
})
