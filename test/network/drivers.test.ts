/** What a driver beside bridge may do: share elements, open what lies outside, tell its elements of endpoints, have several subnets. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { type Element, type ElementContext, type ElementType, type Engine, type Plain, Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import type { Driver } from '../../src/network/driver.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { type Endpoint, endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import type { Network } from '../../src/network/network.ts'
import type { PingResult } from '../../src/stack/pinger.ts'
import { VirtualUplink } from './virtual-uplink.ts'

let engine: InlineEngine
let controller: NetworkController
let calls: string[]
let failure: { open?: Error; close?: Error }

/** A hub that remembers what it was told. */
class Hub implements Element {
  private readonly context: ElementContext
  private readonly told = new Map<string, string>()

  constructor(context: ElementContext) {
    this.context = context
  }

  push(): void {
    const { ports, frames } = this.context
    for (let ingress = this.context.nextReady(); ingress >= 0; ingress = this.context.nextReady()) {
      const { rx } = ports[ingress]!
      while (!rx.empty) {
        const frame = rx.receive()
        for (const port of ports.keys()) if (ports[port] !== null && port !== ingress) this.context.transmit(port, frames.copy(frame))
        frames.free(frame)
      }
    }
  }

  update(change: Plain): Plain {
    const before: Record<string, string | null> = {}
    for (const [key, value] of Object.entries(change as Record<string, string | null>)) {
      before[key] = this.told.get(key) ?? null
      if (value === null) this.told.delete(key)
      else this.told.set(key, value)
    }
    return before
  }

  command(_verb: string, _argument: Plain, reply: (error: Error | null, value?: Plain) => void): void {
    reply(null, [...this.told].map(([key, value]) => `${key}: ${value}`).sort())
  }
}

const hubType: ElementType = { type: 'hub', maxPorts: 101, counters: [], create: (context) => new Hub(context) }

/** Networks whose bridges hang on one switch; the switch is told of endpoints. A network's number is in its options. */
const lanDriver: Driver = {
  name: 'lan',
  isRouted: false,
  reserved: ['switch'],
  addresses: new AddressSpace(),
  async open({ name }) {
    if (failure.open !== undefined) throw failure.open
    calls.push(`open ${name}`)
  },
  async close({ name }) {
    calls.push(`close ${name}`)
    if (failure.close !== undefined) throw failure.close
  },
  network(network) {
    const bridge = this.element(network)
    return {
      elements: { [bridge]: { type: 'bridge' }, 'switch/core': { type: 'hub' }, 'switch/edge': { type: 'hub' } },
      links: [
        { a: ['switch/core', 100], b: ['switch/edge', 100] },
        { a: [bridge, 0], b: ['switch/core', portOf(network)] }
      ]
    }
  },
  networkUpdates(network, gone) {
    return [{ element: 'switch/edge', change: { [network.name]: gone ? null : `at ${portOf(network)}` } }]
  },
  element: ({ element }) => `${element}/bridge`,
  port: (network, { slot }) => [lanDriver.element(network), slot + 1],
  endpointUpdates(_network, { mac }, gone) {
    return [{ element: 'switch/core', change: { [mac]: gone ? null : 'here' } }]
  },
  mac: ({ driverOptions }) => (driverOptions as { mac?: string }).mac
}

function portOf({ driverOptions }: Network): number {
  return (driverOptions as { number: number }).number
}

function start(hasUplink = false): void {
  calls = []
  failure = {}
  engine = new InlineEngine({ elements: elementRegistry().register(hubType), seed: 1 })
  const drivers = [{ ...lanDriver, addresses: new AddressSpace() }]
  const uplink = hasUplink ? { uplink: new VirtualUplink() } : {}
  controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids'), drivers, ...uplink })
}

beforeEach(() => start())

function lan(name: string, number: number, more: object = {}): Promise<Network> {
  return controller.createNetwork({ name, driver: 'lan', driverOptions: { number, ...(more as { mac?: string }) } })
}

function host(network: string, name: string, address?: string, mac?: string): Promise<Endpoint> {
  return controller.connect(network, { name, address, mac }, (begun) => ({
    type: 'host',
    options: { mac: begun.mac, addresses: endpointAddresses(begun) }
  }))
}

async function received(from: Endpoint, address: string): Promise<number> {
  return ((await engine.settle(engine.command(from.element, 'ping', { address, timeoutMs: 100 }))) as PingResult).received
}

function elements(): string[] {
  return Object.keys((engine as unknown as { engine: Engine }).engine.running.elements).sort()
}

describe('shared elements', () => {
  test('come with the first network, join the others, and go with the last', async () => {
    await lan('a', 1)
    await lan('b', 2)
    assert.deepEqual(elements(), ['a/bridge', 'b/bridge', 'dns', 'switch/core', 'switch/edge'])
    await controller.removeNetwork('a')
    assert.deepEqual(elements(), ['b/bridge', 'dns', 'switch/core', 'switch/edge'])
    await lan('a', 1)
    await controller.removeNetwork('b')
    await controller.removeNetwork('a')
    assert.deepEqual(elements(), ['dns'])
    await lan('a', 1)
    assert.equal(elements().length, 4)
  })

  test('carry frames between networks, and stay whole when one of these goes', async () => {
    for (const [name, number] of [
      ['a', 1],
      ['b', 2],
      ['c', 3]
    ] as const) {
      await controller.createNetwork({ name, driver: 'lan', subnet: `10.0.${number}.0/24`, driverOptions: { number } })
    }
    // Stations of one subnet on different networks, as on a LAN.
    const station = (network: string, name: string, address: string): Promise<Endpoint> =>
      controller.connect(network, { name }, ({ mac }) => ({ type: 'host', options: { mac, addresses: [`${address}/24`] } }))
    const one = await station('a', 'one', '198.51.100.1')
    await station('c', 'three', '198.51.100.3')
    assert.equal(await received(one, '198.51.100.3'), 1)
    await controller.removeNetwork('b')
    assert.equal(await received(one, '198.51.100.3'), 1)
    assert.equal(await received(one, '198.51.100.2'), 0)
  })

  test("their names are nobody else's", async () => {
    const { element } = await controller.createNetwork({ name: 'switch' })
    assert.match(element, /^switch~[0-9a-f]{12}$/)
  })
})

describe('what lies outside', () => {
  test('is opened before the elements run and closed after them', async () => {
    await lan('a', 1)
    await controller.removeNetwork('a')
    assert.deepEqual(calls, ['open a', 'close a'])
  })

  test('a refusal leaves nothing', async () => {
    failure.open = new Error('no such interface')
    await assert.rejects(lan('a', 1), /no such interface/)
    assert.deepEqual([calls, elements(), controller.networks.size], [[], [], 0])
    failure = {}
    await lan('a', 1)
    // Its elements are refused: there is no such port.
    await assert.rejects(lan('b', 101))
    assert.deepEqual(calls, ['open a', 'open b', 'close b'])
    assert.deepEqual(elements(), ['a/bridge', 'dns', 'switch/core', 'switch/edge'])
    await controller.removeNetwork('a')
    assert.deepEqual(elements(), ['dns'])
  })

  test('what cannot be closed is told, and the network is gone', async () => {
    await lan('a', 1)
    failure.close = new Error('busy')
    await assert.rejects(controller.removeNetwork('a'), { code: 'unclean', message: /network a is removed.*busy/ })
    assert.equal(controller.networks.size, 0)
  })
})

describe('addresses', () => {
  test('no gateway unless one is given, and no default one is reserved', async () => {
    const none = await lan('none', 1)
    assert.deepEqual([none.pool.gateway, (await host('none', 'h')).address], [null, '172.17.0.1'])
    const given = await controller.createNetwork({
      name: 'given',
      driver: 'lan',
      subnet: '10.1.0.0/24',
      gateway: '10.1.0.254',
      driverOptions: { number: 2 }
    })
    assert.deepEqual([given.pool.gateway, (await host('given', 'h')).address], ['10.1.0.254', '10.1.0.1'])
  })

  test('the gateway of the engine has no part in it', async () => {
    start(true)
    const network = await controller.createNetwork({
      name: 'a',
      driver: 'lan',
      subnet: '10.1.0.0/24',
      gateway: '10.1.0.1',
      driverOptions: { number: 2 }
    })
    assert.equal(network.gateway, null)
    const { element } = await host('a', 'h')
    assert.ok(!elements().includes(`${element}/filter`))
    await assert.rejects(
      controller.publish([
        { key: 'k', network: network.id, protocol: 'tcp', address: '0.0.0.0', port: 80, target: '10.1.0.2', targetPort: 80 }
      ]),
      { code: 'invalid' }
    )
  })

  test('a driver may have an address space of its own', async () => {
    await controller.createNetwork({ name: 'x', subnet: '10.1.0.0/24' })
    await controller.createNetwork({ name: 'y', driver: 'lan', subnet: '10.1.0.0/24', driverOptions: { number: 2 } })
    await controller.removeNetwork('y')
    await assert.rejects(controller.createNetwork({ name: 'z', subnet: '10.1.0.0/24' }), { code: 'IPAM_OVERLAP' })
  })

  test('of several subnets: the first by itself, any when asked for', async () => {
    const network = await controller.createNetwork({
      name: 'multi',
      driver: 'lan',
      subnet: '10.1.0.0/24',
      subnet6: '2001:db8:1::/64',
      subnets: [{ subnet: '10.2.0.0/20', gateway: '10.2.0.1' }, { subnet: '2001:db8:2::/80' }],
      driverOptions: { number: 1 }
    })
    assert.deepEqual(
      network.pools.map(({ subnet, gateway }) => [subnet, gateway]),
      [
        ['10.1.0.0/24', null],
        ['2001:db8:1::/64', null],
        ['10.2.0.0/20', '10.2.0.1'],
        ['2001:db8:2::/80', null]
      ]
    )
    const first = await host('multi', 'first')
    assert.deepEqual(endpointAddresses(first), ['10.1.0.1/24', '2001:db8:1::1/64'])
    const spec = { name: 'second', address: '10.2.1.9', address6: '2001:db8:2::9' }
    const make = (): { type: string; options: object } => ({
      type: 'host',
      options: { mac: '02:cc:00:00:00:09', addresses: ['10.2.1.9/20'] }
    })
    assert.deepEqual(endpointAddresses(await controller.connect('multi', spec, make)), ['10.2.1.9/20', '2001:db8:2::9/80'])
    await assert.rejects(host('multi', 'again', '10.2.1.9'), { code: 'IPAM_IN_USE' })
    await assert.rejects(host('multi', 'router', '10.2.0.1'), { code: 'IPAM_IN_USE' })
    await assert.rejects(host('multi', 'away', '10.9.0.1'), { code: 'IPAM_OUTSIDE' })
    await controller.disconnect('multi', 'second')
    assert.equal((await host('multi', 'again', '10.2.1.9')).prefixLength, 20)
    for (const name of ['first', 'again']) await controller.disconnect('multi', name)
    await controller.removeNetwork('multi')
    await controller.createNetwork({
      name: 'free',
      driver: 'lan',
      subnet: '10.2.0.0/16',
      subnet6: '2001:db8::/32',
      driverOptions: { number: 1 }
    })
  })

  test('a subnet that cannot be leaves none of the others', async () => {
    const spec = { name: 'multi', driver: 'lan', subnet: '10.1.0.0/24', driverOptions: { number: 1 } }
    await assert.rejects(controller.createNetwork({ ...spec, subnets: [{ subnet: '10.2.0.0/24' }, { subnet: '10.1.0.0/16' }] }), {
      code: 'IPAM_OVERLAP'
    })
    await assert.rejects(controller.createNetwork({ ...spec, subnets: [{ subnet: '10.2.0.0/24' }, { subnet: '2001:db8::/64' }] }), {
      code: 'invalid'
    })
    assert.equal((await controller.createNetwork({ ...spec, subnets: [{ subnet: '10.2.0.0/24' }] })).pools.length, 2)
  })
})

test('one MAC for all endpoints, and no other', async () => {
  await lan('a', 1, { mac: '02:cc:00:00:00:01' })
  const [one, two] = [await host('a', 'one'), await host('a', 'two', undefined, '02:CC:00:00:00:01')]
  assert.deepEqual([one.mac, two.mac], ['02:cc:00:00:00:01', '02:cc:00:00:00:01'])
  await assert.rejects(host('a', 'three', undefined, '02:cc:00:00:00:03'), { code: 'invalid', message: /have the parent's/ })
})

test('elements are told of endpoints that come and go', async () => {
  await lan('a', 1)
  const { mac } = await host('a', 'one')
  const told = (element: string): Promise<Plain> => engine.command(element, 'told', null)
  assert.deepEqual([await told('switch/core'), await told('switch/edge')], [[`${mac}: here`], ['a: at 1']])
  await lan('b', 2)
  await controller.disconnect('a', 'one')
  await controller.removeNetwork('a')
  assert.deepEqual([await told('switch/core'), await told('switch/edge')], [[], ['b: at 2']])
})
