/** Two controllers on one engine, each with names of its own. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { type Endpoint, endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import { NetworkError } from '../../src/network/network-error.ts'
import { ScopedEngine } from '../../src/network/scoped-engine.ts'
import { NoUplink } from '../../src/network/uplinks/no-uplink.ts'
import type { PingResult } from '../../src/stack/pinger.ts'
import type { ResolveResult } from '../../src/stack/resolver.ts'

let engine: InlineEngine

beforeEach(() => {
  engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
})

async function part(prefix: string): Promise<NetworkController> {
  const controller = new NetworkController({
    engine: new ScopedEngine(engine, prefix),
    addresses: new AddressSpace(),
    random: new Random(prefix),
    uplink: new NoUplink()
  })
  await controller.start()
  await controller.createNetwork({ name: 'net', subnet: '192.0.2.0/24' })
  return controller
}

function host(controller: NetworkController, name: string): Promise<Endpoint> {
  return controller.connect('net', { name }, (begun, { pool }) => ({
    type: 'host',
    options: { mac: begun.mac, addresses: endpointAddresses(begun), gateway: pool.gateway ?? undefined }
  }))
}

function ask<T>(controller: NetworkController, { element }: Endpoint, verb: string, argument: object): Promise<T> {
  return engine.settle(controller.engine.command(element, verb, argument)) as Promise<T>
}

describe('a part of an engine', () => {
  test('the same names and addresses twice, and neither hears the other', async () => {
    const [one, two] = [await part('host1/'), await part('host2/')]
    const a = await host(one, 'a')
    await host(two, 'a')
    const b = await host(two, 'b')
    assert.equal(a.address, '192.0.2.2')
    assert.equal((await ask<PingResult>(one, a, 'ping', { address: '192.0.2.1', timeoutMs: 100 })).received, 1)
    assert.equal((await ask<PingResult>(one, a, 'ping', { address: b.address, timeoutMs: 100 })).received, 0)
    assert.equal((await ask<PingResult>(two, b, 'ping', { address: a.address, timeoutMs: 100 })).received, 1)
    assert.deepEqual((await ask<ResolveResult>(one, a, 'resolve', { name: 'b', family: 4 })).addresses, [])
    assert.deepEqual((await ask<ResolveResult>(two, b, 'resolve', { name: 'a', family: 4 })).addresses, ['192.0.2.2'])
  })

  test('sees its own counters only, under its own names', async () => {
    const [one] = [await part('host1/'), await part('host2/')]
    const a = await host(one, 'a')
    await ask(one, a, 'ping', { address: '192.0.2.1' })
    const names = [...one.engine.counters().keys()].sort()
    assert.deepEqual(names, [
      'dns',
      'gateway/divert',
      'gateway/nat',
      'gateway/router',
      'net/a',
      'net/a/dns-tap',
      'net/a/filter',
      'net/bridge'
    ])
    assert.ok(one.engine.elementCounters('net/a')!.counters['txFrames']! > 0)
    assert.ok(engine.counters().has('host2/net/bridge'))
  })

  test('a name with a slash in front is outside of it', async () => {
    const { engine: own } = await part('host1/')
    await engine.patch({ elements: { 'lan/office': { type: 'bridge' } } })
    await own.patch({ linked: [{ a: ['net/bridge', 9], b: ['/lan/office', 0] }] })
    assert.deepEqual(await own.command('/lan/office', 'fdb', null), [])
    await own.patch({ unlinked: [{ a: ['net/bridge', 9], b: ['/lan/office', 0] }] })
  })

  test('its end takes away what it put in, and nothing else', async () => {
    const [one, two] = [await part('host1/'), await part('host2/')]
    await host(one, 'a')
    await one.close()
    assert.deepEqual(
      [...engine.counters().keys()].filter((name) => name.startsWith('host1/')),
      []
    )
    assert.equal((await host(two, 'b')).address, '192.0.2.2')
    await assert.rejects(one.engine.patch({}), { code: 'closed' })
  })

  test('the whole graph is not its to say', async () => {
    const { engine: own } = await part('host1/')
    await assert.rejects(own.configure({ elements: {}, links: [] }), NetworkError)
  })
})
