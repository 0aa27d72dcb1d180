/** The control plane over an engine in virtual time: what names, links and networks do for those who ask and send. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import type { NetworkControllerOptions } from '../../src/network/controller-options.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { type Endpoint, type EndpointSpec, endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import type { PingResult } from '../../src/stack/pinger.ts'
import type { ResolveResult } from '../../src/stack/resolver.ts'
import { encodeResponse } from './encode-response.ts'

let engine: InlineEngine
let controller: NetworkController

function start(options: Partial<NetworkControllerOptions> = {}): void {
  engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
  controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids'), ...options })
}

beforeEach(() => start())

/** Plugs in a virtual host. */
function host(network: string, spec: EndpointSpec): Promise<Endpoint> {
  return controller.connect(network, spec, (begun, { pool }) => ({
    type: 'host',
    options: { mac: begun.mac, addresses: endpointAddresses(begun), gateway: pool.gateway ?? undefined }
  }))
}

/** Addresses of a name as one endpoint gets them, sorted; the rcode where there are none. */
async function resolve(from: Endpoint, name: string): Promise<string> {
  const command = engine.command(from.element, 'resolve', { name, family: 4 })
  const { addresses, rcode } = (await engine.settle(command)) as ResolveResult
  return addresses.length > 0 ? [...addresses].sort().join(' ') : rcode
}

async function reaches(from: Endpoint, address: string): Promise<boolean> {
  const { received } = (await engine.settle(engine.command(from.element, 'ping', { address, timeoutMs: 100 }))) as PingResult
  return received === 1
}

describe('names', () => {
  test('of a network, shared, and gone with who had them', async () => {
    await controller.createNetwork({ name: 'net', subnet: '10.22.0.0/24' })
    const asker = await host('net', { name: 'tt' })
    await host('net', { name: 'aa', names: ['aa', 'app', '58e4f9bbf305'] })
    await host('net', { name: 'bb', aliases: ['app'] })
    assert.equal(await resolve(asker, 'app'), '10.22.0.3 10.22.0.4')
    assert.equal(await resolve(asker, '58e4f9bbf305.net'), '10.22.0.3')
    await controller.disconnect('net', 'aa')
    assert.equal(await resolve(asker, 'app'), '10.22.0.4')
    assert.equal(await resolve(asker, 'aa'), 'SERVFAIL')
  })

  test('of several networks, in their order, whichever was joined first', async () => {
    for (const [name, subnet] of [
      ['n2', '10.24.0.0/24'],
      ['n1', '10.23.0.0/24'],
      ['n3', '10.25.0.0/24']
    ] as const) {
      await controller.createNetwork({ name, subnet })
    }
    await controller.createNetwork({ name: 'a-closed', subnet: '10.26.0.0/24', internal: true })
    await host('a-closed', { name: 'web' })
    for (const network of ['n2', 'n1', 'n3']) await host(network, { name: 'web', sandbox: 'web' })
    const first = await host('a-closed', { name: 'tt', sandbox: 'tt' })
    assert.equal(await resolve(first, 'web'), '10.26.0.2')
    const second = await host('n2', { name: 'tt', sandbox: 'tt' })
    await host('n1', { name: 'tt', sandbox: 'tt' })
    for (const asker of [first, second]) {
      assert.equal(await resolve(asker, 'web'), '10.23.0.2')
      assert.equal(await resolve(asker, 'web.n2'), '10.24.0.2')
      assert.equal(await resolve(asker, 'web.a-closed'), '10.26.0.2')
      assert.equal(await resolve(asker, 'web.n3'), 'SERVFAIL')
    }
    await controller.disconnect('n1', 'tt')
    assert.equal(await resolve(first, 'web'), '10.24.0.2')
    await controller.disconnect('n2', 'web')
    assert.equal(await resolve(first, 'web'), '10.26.0.2')
  })

  test('links: for one asker, followed to whoever has the name now', async () => {
    await controller.createNetwork({ name: 'net', subnet: '10.25.0.0/24' })
    const linked = await host('net', { name: 'c4', links: { c5: 'container5' } })
    const other = await host('net', { name: 'c3' })
    assert.equal(await resolve(linked, 'c5'), 'SERVFAIL')
    await host('net', { name: 'container5' })
    assert.equal(await resolve(linked, 'c5'), '10.25.0.4')
    assert.equal(await resolve(linked, 'c5.net'), '10.25.0.4')
    assert.equal(await resolve(other, 'c5'), 'SERVFAIL')
    await controller.disconnect('net', 'container5')
    assert.equal(await resolve(linked, 'c5'), 'SERVFAIL')
    await host('net', { name: 'new', names: ['container5'], address: '10.25.0.99' })
    assert.equal(await resolve(linked, 'c5'), '10.25.0.99')
    await controller.updateEndpoint('net', 'c4', { links: { five: 'container5' } })
    assert.deepEqual([await resolve(linked, 'c5'), await resolve(linked, 'five')], ['SERVFAIL', '10.25.0.99'])
  })

  test('renamed: the element stays, a newcomer may take the old name', async () => {
    await controller.createNetwork({ name: 'net', subnet: '10.90.0.0/24' })
    const asker = await host('net', { name: 'tt' })
    const renamed = await host('net', { name: 'c3' })
    assert.equal(await controller.updateEndpoint('net', 'c3', { name: 'c9', names: ['c9'] }), renamed)
    assert.deepEqual([renamed.name, renamed.element], ['c9', 'net/c3'])
    assert.deepEqual([await resolve(asker, 'c9'), await resolve(asker, 'c3')], ['10.90.0.3', 'SERVFAIL'])
    const newcomer = await host('net', { name: 'c3' })
    assert.match(newcomer.element, /^net\/c3~[0-9a-f]{12}$/)
    assert.equal(await reaches(newcomer, renamed.address), true)
    await assert.rejects(controller.updateEndpoint('net', 'c9', { name: 'tt' }), { code: 'conflict' })
    await assert.rejects(controller.updateEndpoint('net', 'nobody', { names: [] }), { code: 'not-found' })
    assert.deepEqual([...controller.network('net').endpoints.keys()], ['tt', 'c9', 'c3'])
    await controller.disconnect('net', 'c9')
    assert.equal(await resolve(asker, 'c3'), '10.90.0.4')
  })

  test('a network without names; those who are on another one too can ask for that one there', async () => {
    await controller.createNetwork({ name: 'bridge', subnet: '172.17.0.0/16', dns: false })
    await controller.createNetwork({ name: 'net', subnet: '10.1.0.0/24' })
    const plain = await host('bridge', { name: 'c1', sandbox: 'c1' })
    const other = await host('bridge', { name: 'c2' })
    assert.equal(await resolve(plain, 'c2'), 'SERVFAIL')
    assert.equal(await reaches(plain, other.address), true)
    await host('net', { name: 'web' })
    const endpoint = await host('net', { name: 'c1', sandbox: 'c1' })
    for (const asker of [plain, endpoint])
      assert.deepEqual([await resolve(asker, 'web'), await resolve(asker, 'c2')], ['10.1.0.2', 'SERVFAIL'])
    assert.equal(await resolve(other, 'web'), 'SERVFAIL')
  })

  test('of networks of one name: each member knows its own', async () => {
    const ids = ['a'.repeat(64), 'b'.repeat(64)]
    for (const [index, id] of ids.entries()) await controller.createNetwork({ id, name: 'twin', subnet: `10.${index}.0.0/24` })
    await assert.rejects(controller.createNetwork({ name: 'twin', subnet: '10.9.0.0/24' }), { code: 'conflict' })
    await assert.rejects(controller.createNetwork({ id: ids[0], name: 'other', subnet: '10.9.0.0/24' }), { code: 'conflict' })
    const askers = [await host(ids[0], { name: 'a' }), await host(ids[1], { name: 'a' })]
    await host(ids[0], { name: 'web' })
    await host(ids[1], { name: 'web' })
    assert.deepEqual([await resolve(askers[0], 'web.twin'), await resolve(askers[1], 'web')], ['10.0.0.3', '10.1.0.3'])
    assert.equal(controller.network('twin').id, ids[0])
    assert.deepEqual(
      askers.map(({ element }) => element),
      ['twin/a', 'twin~bbbbbbbbbbbb/a']
    )
  })

  test('what is not known goes to the world outside, and says whose question it is; nothing of internal networks does', async () => {
    const asked: [string, boolean][] = []
    start({
      forward: async ({ query, tcp, sandbox }) => {
        asked.push([sandbox, tcp])
        return encodeResponse(query, '198.51.100.10')
      }
    })
    await controller.createNetwork({ name: 'open', subnet: '10.1.0.0/24' })
    await controller.createNetwork({ name: 'closed', subnet: '10.2.0.0/24', internal: true })
    const inside = await host('closed', { name: 'c1', sandbox: 'box1' })
    const outside = await host('open', { name: 'c2', sandbox: 'box2' })
    assert.equal(await resolve(outside, 'google.com'), '198.51.100.10')
    assert.equal(await resolve(inside, 'google.com'), 'SERVFAIL')
    await host('open', { name: 'c1', sandbox: 'box1' })
    assert.equal(await resolve(inside, 'google.com'), '198.51.100.10')
    assert.deepEqual(asked, [
      ['box2', false],
      ['box1', false]
    ])
  })
})

describe('networks', () => {
  test('icc off: the gateway is reached, other endpoints are not', async () => {
    await controller.createNetwork({ name: 'noicc', subnet: '10.140.0.0/24', icc: false })
    const [one, two] = [await host('noicc', { name: 'c1' }), await host('noicc', { name: 'web' })]
    assert.equal(await reaches(one, '10.140.0.1'), true)
    assert.equal(await reaches(one, two.address), false)
    assert.equal(await resolve(one, 'web'), two.address)
    await engine.advance(5e9) // the echo request waits for a neighbor that never answers
    assert.equal(await engine.framesInUse(), 0)
  })

  test("no gateway: its address is an endpoint's", async () => {
    const network = await controller.createNetwork({ name: 'flat', subnet: '10.1.0.0/24', gateway: null })
    assert.equal(network.pool.gateway, null)
    const [one, two] = [await host('flat', { name: 'a' }), await host('flat', { name: 'b' })]
    assert.equal(one.address, '10.1.0.1')
    assert.equal(await reaches(two, one.address), true)
  })

  test("endpoints that are called as the network's own elements are", async () => {
    const { id } = await controller.createNetwork({ name: 'net', subnet: '10.28.0.0/24' })
    const gateway = await host('net', { name: 'gateway' })
    const bridge = await host('net', { name: 'bridge' })
    assert.match(`${gateway.element} ${bridge.element}`, /^net\/gateway~[0-9a-f]{12} net\/bridge~[0-9a-f]{12}$/)
    assert.deepEqual([await reaches(gateway, bridge.address), await resolve(bridge, 'gateway')], [true, '10.28.0.2'])
    for (const name of ['gateway', 'bridge']) await controller.disconnect('net', name)
    await controller.removeNetwork(id)
  })

  test('automatic subnets go round what the host has, as recorded', async () => {
    let host = ['172.17.0.0/16', '172.18.5.1/24']
    start({ avoid: async () => host })
    assert.equal((await controller.createNetwork({ name: 'n1' })).pool.subnet, '172.19.0.0/16')
    host = [...host, '172.20.0.0/16', '0.0.0.0/0', 'fd00::/8', '192.0.2.60/32']
    assert.equal((await controller.createNetwork({ name: 'n2' })).pool.subnet, '172.21.0.0/16')
    assert.equal((await controller.createNetwork({ name: 'n3', subnet: '172.18.5.0/24' })).pool.subnet, '172.18.5.0/24')
  })

  test('ids, names and addresses that cannot be leave nothing behind', async () => {
    await assert.rejects(controller.createNetwork({ id: 'short', name: 'net' }), { code: 'invalid' })
    await assert.rejects(controller.createNetwork({ name: 'net', subnet: '10.1.0.0/24', subnet6: '10.2.0.0/24' }), { code: 'invalid' })
    const { pool } = await controller.createNetwork({ name: 'net', subnet: '10.1.0.0/24' })
    const before = pool.used
    await assert.rejects(host('net', { name: 'a', id: 'short' }), { code: 'invalid' })
    await assert.rejects(host('net', { name: 'a', address6: 'fd00::1' }), { code: 'invalid' })
    await assert.rejects(host('net', { name: 'a', mac: 'nonsense' }), { code: 'invalid' })
    await assert.rejects(host('net', { name: 'a', address: '10.9.0.1' }), { code: 'IPAM_OUTSIDE' })
    assert.equal(pool.used, before)
    assert.equal((await host('net', { name: 'a' })).slot, 0)
  })
})

describe('a change that fails', () => {
  test('the engine refuses the endpoint: addresses, names, ports and the graph are as before', async () => {
    const network = await controller.createNetwork({ name: 'net', subnet: '10.1.0.0/24' })
    const asker = await host('net', { name: 'a', sandbox: 'box' })
    const bad = { name: 'bad', sandbox: 'box' }
    await assert.rejects(
      controller.connect('net', bad, () => ({ type: 'host', options: { mac: 'nonsense', addresses: [] } })),
      /mac/
    )
    await assert.rejects(
      controller.connect('net', bad, () => ({ type: 'no such type', options: {} })),
      /unknown type/
    )
    await assert.rejects(
      controller.connect('net', bad, () => {
        throw new Error('no device')
      }),
      /no device/
    )
    assert.deepEqual([...network.endpoints.keys()], ['a'])
    assert.equal(await resolve(asker, 'bad'), 'SERVFAIL')
    const next = await host('net', { name: 'b' })
    assert.deepEqual([next.address, next.slot, next.dnsPort], ['10.1.0.3', 1, 1])
    assert.equal(engine.elementCounters('net/bad'), undefined)
    assert.equal(await reaches(asker, next.address), true)
  })

  test('an endpoint whose device cannot be closed is gone all the same, and the error says so', async () => {
    const elements = elementRegistry().register({
      type: 'stubborn',
      maxPorts: 1,
      counters: [],
      create: () => ({
        push() {},
        close() {
          throw new Error('device is stuck')
        }
      })
    })
    engine = new InlineEngine({ elements, seed: 1 })
    controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids') })
    const { pool } = await controller.createNetwork({ name: 'net', subnet: '10.1.0.0/24' })
    const asker = await host('net', { name: 'a' })
    await controller.connect('net', { name: 'box' }, () => ({ type: 'stubborn', options: {} }))
    assert.equal(await resolve(asker, 'box'), '10.1.0.3')
    await assert.rejects(controller.disconnect('net', 'box'), (error: Error & { code: string }) => {
      assert.equal(error.code, 'unclean')
      assert.match(error.message, /endpoint box is disconnected from network net, but .*: device is stuck/)
      return true
    })
    assert.equal(pool.isTaken('10.1.0.3'), false)
    assert.equal(await resolve(asker, 'box'), 'SERVFAIL')
    await assert.rejects(controller.disconnect('net', 'box'), { code: 'not-found' })
    assert.equal((await host('net', { name: 'box' })).address, '10.1.0.3')
  })
})
