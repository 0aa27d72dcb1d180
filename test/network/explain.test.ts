/** What would happen to a frame: the walk says what then happens, and nothing moves while it is asked. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { type Endpoint, endpointAddresses } from '../../src/network/endpoint.ts'
import { type Explanation, explain } from '../../src/network/explain.ts'
import { parseTarget } from '../../src/network/explain-target.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import type { PingResult } from '../../src/stack/pinger.ts'
import { OUR_ADDRESS, VirtualUplink, WORLD_ADDRESS } from './virtual-uplink.ts'

let engine: InlineEngine
let controller: NetworkController
let uplink: VirtualUplink

beforeEach(() => {
  engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
  uplink = new VirtualUplink()
  controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids'), uplink })
})

function host(network: string, name: string, sandbox = name): Promise<Endpoint> {
  return controller.connect(network, { name, sandbox, names: [name, `${name}-alias`] }, (begun, { pool }) => ({
    type: 'host',
    options: { mac: begun.mac, addresses: endpointAddresses(begun), ...(pool.gateway !== null && { gateway: pool.gateway }), udpEcho: [80] }
  }))
}

/** Asks, and checks that nothing was counted, learned or opened by it. */
async function ask(from: string, to: string): Promise<Explanation> {
  const state = async (): Promise<unknown> => [
    engine.counters(),
    ...(await Promise.all(
      [...controller.networks.values()].map(({ element }) => engine.command(`${element}/bridge`, 'fdb', null).catch(() => null))
    )),
    await engine.command('gateway/router', 'neighbors', {}).catch(() => null),
    await engine.command('gateway/nat', 'flows', {}).catch(() => null)
  ]
  const before = structuredClone(await state())
  const explanation = await explain(controller, from, to)
  assert.deepEqual(await state(), before, 'nothing moved')
  return explanation
}

async function verdict(from: string, to: string): Promise<string> {
  const { verdict: end, reason } = await ask(from, to)
  return reason === null ? end : `${end} ${reason}`
}

async function ping({ element }: Endpoint, address: string): Promise<number> {
  return ((await engine.settle(engine.command(element, 'ping', { address, timeoutMs: 200 }))) as PingResult).received
}

describe('the walk', () => {
  test('on one network: before anything is learned, and after', async () => {
    await controller.createNetwork({ name: 'front', subnet: '10.1.0.0/24' })
    const web = await host('front', 'web')
    const db = await host('front', 'db')
    assert.equal(await verdict('web', 'db:80'), 'delivered')
    assert.equal(await ping(web, db.address), 1)
    const { hops, source, destination, text } = await ask('front/web', 'db-alias:80/udp')
    assert.deepEqual([source, destination], ['10.1.0.2', '10.1.0.3:80'])
    assert.deepEqual(
      hops.map(({ element }) => element),
      ['front/web', 'front/web/filter', 'front/bridge', 'front/db/filter']
    )
    assert.equal(hops[2].text, `${db.mac} is at port 2`)
    assert.match(text, /^db on front gets it as from 10\.1\.0\.2$/)
    assert.equal(await verdict('web', '10.1.0.99'), 'unreachable')
  })

  test('out: masqueraded, and told so; internal and isolated networks', async () => {
    await controller.createNetwork({ name: 'front', subnet: '10.1.0.0/24' })
    await controller.createNetwork({ name: 'closed', subnet: '10.2.0.0/24', internal: true })
    const web = await host('front', 'web')
    const db = await host('closed', 'db')
    const out = await ask('web', `${WORLD_ADDRESS}:443`)
    assert.equal(out.verdict, 'leaves')
    assert.match(out.text, new RegExp(`by world to ${WORLD_ADDRESS}, as from ${OUR_ADDRESS}`))
    assert.equal(await ping(web, WORLD_ADDRESS), 1)
    assert.equal(await verdict('web', WORLD_ADDRESS), 'leaves')
    assert.equal(await verdict('db', WORLD_ADDRESS), 'dropped filter.internal')
    assert.equal(await verdict('web', db.address), 'dropped filter.internal')
    assert.equal(await verdict('web', '10.1.0.1'), 'local')
    await controller.createNetwork({ name: 'back', subnet: '10.3.0.0/24' })
    await host('back', 'other')
    assert.equal(await verdict('web', 'other'), 'dropped filter.isolated')
    assert.equal(await ping(web, '10.3.0.2'), 0)
  })

  test('a published port: to the target, from the gateway', async () => {
    const { id } = await controller.createNetwork({ name: 'front', subnet: '10.1.0.0/24' })
    await controller.createNetwork({ name: 'back', subnet: '10.2.0.0/24' })
    const web = await host('front', 'web')
    await host('back', 'client')
    const rest = { protocol: 'tcp', address: '0.0.0.0', target: web.address, targetPort: 80, network: id } as const
    await controller.publish([{ key: 'w', port: 8080, ...rest }])
    const { verdict: end, text, hops } = await ask('client', '10.2.0.1:8080')
    assert.deepEqual([end, text], ['delivered', 'web on front gets it as from 10.1.0.1'])
    assert.ok(
      hops.some(({ text: step }) => step.includes('10.1.0.2 port 80')),
      JSON.stringify(hops)
    )
    assert.equal(await verdict('client', '10.2.0.1:8081'), 'local')
  })

  test('to itself: by lo, whichever of its networks has the address', async () => {
    await controller.createNetwork({ name: 'front', subnet: '10.1.0.0/24' })
    await controller.createNetwork({ name: 'back', subnet: '10.3.0.0/24' })
    const web = await host('front', 'web')
    const { address } = await host('back', 'web')
    for (const own of [web.address, `${address}:80`, 'web']) {
      const { verdict: end, reason, hops, text } = await ask('web', own)
      assert.deepEqual([end, reason, hops], ['delivered', null, []])
      assert.match(text, /is its own address/)
    }
  })

  test('loopback stays with the sender, but for its resolver', async () => {
    await controller.createNetwork({ name: 'front', subnet: '10.1.0.0/24' })
    await controller.createNetwork({ name: 'plain', subnet: '10.2.0.0/24', dns: false })
    await host('front', 'web')
    await host('plain', 'nameless')
    for (const [from, to] of [
      ['web', '127.0.0.1'],
      ['web', '127.0.0.1:80'],
      ['web', '[::1]:80'],
      ['nameless', '127.0.0.11:53/udp']
    ]) {
      const { verdict: end, reason, hops, text } = await ask(from, to)
      assert.deepEqual([end, reason, hops], ['delivered', null, []], to)
      assert.match(text, /by its lo/)
    }
    for (const protocol of ['udp', 'tcp']) {
      const { verdict: end, reason, hops, text } = await ask('web', `127.0.0.11:53/${protocol}`)
      assert.deepEqual([end, reason, text], ['local', null, 'the DNS service answers'])
      assert.deepEqual(
        hops.map(({ element }) => element),
        ['front/web', 'front/web/dns-tap']
      )
    }
    assert.equal(await verdict('web', '127.0.0.11:80/tcp'), 'unreachable')
    assert.equal(await verdict('web', '127.0.0.11:80/udp'), 'dropped dns.notDns')
    assert.equal(await verdict('web', '127.0.0.11'), 'dropped dns.notDns')
  })

  test('a broadcast: to all on the link, asked of nobody', async () => {
    await controller.createNetwork({ name: 'front', subnet: '10.1.0.0/24' })
    await host('front', 'web')
    assert.equal((await ask('web', '10.1.0.255:67/udp')).text, 'nobody else is on front')
    await host('front', 'db')
    await host('front', 'cache')
    for (const address of ['10.1.0.255', '255.255.255.255']) {
      const { verdict: end, reason, hops, text } = await ask('web', `${address}:67/udp`)
      assert.deepEqual([end, reason, text], ['delivered', null, 'a broadcast: db, cache on front get it as from 10.1.0.2'])
      assert.equal(hops[0].text, `${address} is a broadcast: to ff:ff:ff:ff:ff:ff`)
    }
    await controller.createNetwork({ name: 'apart', subnet: '10.2.0.0/24', icc: false })
    await host('apart', 'one')
    await host('apart', 'two')
    assert.equal(await verdict('one', '10.2.0.255:67/udp'), 'dropped bridge.isolated')
  })

  test('a group: to all on the link by its own MAC, and not by the gateway', async () => {
    await controller.createNetwork({ name: 'six', subnet: '10.1.0.0/24', subnet6: '2001:db8:1::/64' })
    const web = await host('six', 'web')
    await host('six', 'db')
    for (const [address, mac, source] of [
      ['224.0.0.1', '01:00:5e:00:00:01', '10.1.0.2'],
      ['239.129.2.3', '01:00:5e:01:02:03', '10.1.0.2'],
      ['ff02::1', '33:33:00:00:00:01', 'fe80::42:aff:fe01:2'],
      ['ff05::1:3', '33:33:00:01:00:03', web.address6]
    ] as const) {
      const { hops, text } = await ask('web', address)
      assert.equal(hops[0]!.text, `${address} is a group: to ${mac}`)
      assert.equal(text, `a group: db on six get it as from ${source}`)
    }
  })

  test('link-local IPv6: on the link itself, from the link-local address', async () => {
    await controller.createNetwork({ name: 'six', subnet: '10.1.0.0/24', subnet6: '2001:db8:1::/64' })
    await controller.createNetwork({ name: 'four', subnet: '10.2.0.0/24' })
    await host('six', 'web')
    await host('six', 'db')
    await host('four', 'old')
    const { verdict: end, source, text } = await ask('web', 'fe80::42:aff:fe01:3')
    assert.deepEqual([end, source, text], ['delivered', 'fe80::42:aff:fe01:2', 'db on six gets it as from fe80::42:aff:fe01:2'])
    assert.match((await ask('web', 'fe80::99')).text, /^nobody on six has fe80::99: neighbor discovery is not answered$/)
    const gateway = await ask('web', 'fe80::42:aff:fe01:1')
    assert.deepEqual([gateway.verdict, gateway.hops[0]!.text], ['local', 'to the gateway fe80::42:aff:fe01:1'])
    assert.match((await ask('old', 'fe80::1')).text, /^no interface of its sandbox has a way/)
  })

  test('addresses are those that a socket would use, however they are written', async () => {
    await controller.createNetwork({ name: 'six', subnet: '10.1.0.0/24', subnet6: '2001:db8:1::/64' })
    await host('six', 'web')
    await host('six', 'db')
    for (const [written, destination] of [
      ['[::ffff:10.1.0.3]:80', '10.1.0.3:80'],
      ['::FFFF:a01:3', '10.1.0.3'],
      ['2001:DB8:1:0::0003', '2001:db8:1::3']
    ] as const) {
      const { verdict: end, destination: seen } = await ask('web', written)
      assert.deepEqual([end, seen], ['delivered', destination])
    }
    for (const own of ['0.0.0.0:80', '::', '127.0.0.1']) assert.match((await ask('web', own)).text, /is its own address: by its lo/)
  })

  test('what leaves may be kept back by others, as the uplink knows', async () => {
    await controller.createNetwork({ name: 'front', subnet: '10.1.0.0/24' })
    await host('front', 'web')
    await host('front', 'db')
    uplink.inTheWay = ['the chain FORWARD drops']
    const { hops, verdict: end } = await ask('web', WORLD_ADDRESS)
    assert.deepEqual([end, hops.at(-1)], ['leaves', { element: 'uplink/world', text: 'beyond it: the chain FORWARD drops' }])
    assert.doesNotMatch((await ask('web', 'db')).hops.map(({ text }) => text).join(), /FORWARD/)
  })

  test('icc off', async () => {
    await controller.createNetwork({ name: 'front', subnet: '10.1.0.0/24', icc: false })
    await host('front', 'web')
    await host('front', 'db')
    assert.equal(await verdict('web', 'db'), 'dropped bridge.isolated')
    assert.equal(await verdict('web', WORLD_ADDRESS), 'leaves')
  })

  test('without an uplink: the gateway routes nothing', async () => {
    controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids') })
    await controller.createNetwork({ name: 'front', subnet: '10.1.0.0/24' })
    await host('front', 'web')
    assert.equal(await verdict('web', '10.1.0.1'), 'local')
    assert.equal(await verdict('web', WORLD_ADDRESS), 'unreachable')
  })
})

test('who is meant', async () => {
  assert.deepEqual(['web', 'web:80', 'web:53/udp', '192.0.2.1:80/tcp', '2001:db8::1', '[2001:db8::1]:80'].map(parseTarget), [
    { host: 'web', port: 0, protocol: 'icmp' },
    { host: 'web', port: 80, protocol: 'tcp' },
    { host: 'web', port: 53, protocol: 'udp' },
    { host: '192.0.2.1', port: 80, protocol: 'tcp' },
    { host: '2001:db8::1', port: 0, protocol: 'icmp' },
    { host: '2001:db8::1', port: 80, protocol: 'tcp' }
  ])
  for (const text of ['', ':80', 'web:0', 'web:99999', 'web:80/sctp', 'a:b', '[::1'])
    assert.throws(() => parseTarget(text), { code: 'invalid' }, text)
  await assert.rejects(explain(controller, 'nobody', WORLD_ADDRESS), { code: 'not-found' })
})
