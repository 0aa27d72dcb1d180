/** What a change, and a turn, cost: counted in bytes and in calls of elements, with few networks and with many. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { serialize } from 'node:v8'
import { type Element, ElementRegistry, type ElementType, type Engine, Random, type TopologyPatch } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { type Endpoint, endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'
import type { Uplink } from '../../src/network/uplink.ts'
import type { PingResult } from '../../src/stack/pinger.ts'
import { VirtualUplink } from './virtual-uplink.ts'

/** What was done since the last reset. */
class Work {
  /** To the engine's thread, and of counters back, as structured clone writes it. */
  bytes = 0
  /** Calls of elements: made, pushed, told of ports or changes, closed. */
  calls = 0

  take(): { bytes: number; calls: number } {
    const { bytes, calls } = this
    this.bytes = this.calls = 0
    return { bytes, calls }
  }
}

/** The production types, each call of whose elements counts. */
function countingRegistry(work: Work): ElementRegistry {
  const production = elementRegistry()
  const registry = new ElementRegistry()
  for (const name of production.names) {
    const type = production.get(name)!
    const counted: ElementType = {
      ...type,
      create: (context, options) => {
        work.calls++
        return counting(type.create(context, options), work)
      }
    }
    registry.register(counted)
  }
  return registry
}

function counting(element: Element, work: Work): Element {
  return new Proxy(element, {
    get(target, key) {
      const value = Reflect.get(target, key)
      if (typeof value !== 'function') return value
      return (...parameters: unknown[]) => {
        work.calls++
        return Reflect.apply(value, target, parameters)
      }
    }
  })
}

class CountingEngine extends InlineEngine {
  private readonly work: Work

  constructor(work: Work) {
    super({ elements: countingRegistry(work), seed: 1 })
    this.work = work
  }

  override async patch(patch: TopologyPatch): Promise<readonly Error[]> {
    this.work.bytes += serialize(patch).length
    const errors = await super.patch(patch)
    const { engine } = this as unknown as { engine: Engine }
    const { pages = [], ...change } = engine.counters.takeChange() ?? {}
    this.work.bytes += serialize(change).length + pages.length
    return errors
  }
}

interface Rig {
  readonly work: Work
  readonly engine: CountingEngine
  readonly controller: NetworkController
}

function rig(uplink?: Uplink): Rig {
  const work = new Work()
  const engine = new CountingEngine(work)
  const options = { engine, addresses: new AddressSpace(), random: new Random('ids'), ...(uplink !== undefined && { uplink }) }
  return { work, engine, controller: new NetworkController(options) }
}

/** Names and addresses have the same length for every number: what is left to grow is what should not. */
const netName = (number: number): string => `n${1000 + number}`
const subnet = (number: number): string => `10.${100 + (number >> 7)}.${100 + (number & 127)}.0/24`

function createNetwork({ controller }: Rig, number: number): Promise<unknown> {
  return controller.createNetwork({ name: netName(number), subnet: subnet(number) })
}

function connect({ controller }: Rig, network: string, number: number): Promise<Endpoint> {
  const address = network === 'all' ? `10.50.${100 + (number >> 7)}.${100 + (number & 127)}` : undefined
  return controller.connect(network, { name: `h${1000 + number}`, address }, (begun) => ({
    type: 'host',
    options: { mac: begun.mac, addresses: endpointAddresses(begun) }
  }))
}

/** What each kind of change costs once, all undone again. */
async function costs(it: Rig, network: string, number: number): Promise<Record<string, { bytes: number; calls: number }>> {
  const { work, controller } = it
  work.take()
  await createNetwork(it, number)
  const create = work.take()
  const { name } = await connect(it, network, number)
  const plug = work.take()
  await controller.updateEndpoint(network, name, { names: ['other'], links: { a: 'b' } })
  const update = work.take()
  const { id } = controller.network(network)
  const port = { key: 'p', protocol: 'tcp', address: '0.0.0.0', port: 80, target: '10.250.0.1', targetPort: 80, network: id } as const
  if (controller.hasGateway) await controller.publish([port])
  const publish = work.take()
  await controller.unpublish(['p'])
  const unpublish = work.take()
  await controller.disconnect(network, name)
  const unplug = work.take()
  await controller.removeNetwork(netName(number))
  const remove = work.take()
  return { create, plug, update, publish, unpublish, unplug, remove }
}

/** Numbers grow by some bytes; nothing else may. */
function sameWork(few: Awaited<ReturnType<typeof costs>>, many: Awaited<ReturnType<typeof costs>>): void {
  for (const kind of Object.keys(few)) {
    assert.equal(many[kind].calls, few[kind].calls, `${kind}: calls of elements`)
    assert.ok(
      Math.abs(many[kind].bytes - few[kind].bytes) <= 64,
      `${kind}: ${few[kind].bytes} bytes with few, ${many[kind].bytes} with many`
    )
  }
}

const FEW = 10
const MANY = 500

describe('the cost of a change', () => {
  for (const uplink of [undefined, new VirtualUplink()]) {
    const which = uplink === undefined ? '' : ', with a gateway'
    test(`does not grow with the number of networks: ${FEW} and ${MANY}${which}`, () => amongNetworks(rig(uplink)))
  }
  async function amongNetworks(it: Rig): Promise<void> {
    for (let i = 0; i < FEW; i++) await createNetwork(it, i)
    for (let i = 0; i < FEW; i++) await connect(it, netName(i), i)
    const few = await costs(it, netName(0), 998)
    for (let i = FEW; i < MANY; i++) await createNetwork(it, i)
    for (let i = FEW; i < MANY; i++) await connect(it, netName(i), i)
    sameWork(few, await costs(it, netName(1), 999))
    assert.ok(few.plug.bytes < 8192 && few.plug.calls < 20, JSON.stringify(few.plug))
  }

  test(`does not grow with the number of endpoints on the network: ${FEW} and ${MANY}`, async () => {
    const it = rig()
    await it.controller.createNetwork({ name: 'all', subnet: '10.50.0.0/16' })
    for (let i = 0; i < FEW; i++) await connect(it, 'all', i)
    const few = await costs(it, 'all', 998)
    for (let i = FEW; i < MANY; i++) await connect(it, 'all', i)
    sameWork(few, await costs(it, 'all', 999))
  })
})

test('idle elements cost a turn nothing, and a ping what its way costs', async () => {
  const it = rig()
  const pings: number[] = []
  const ping = async (from: Endpoint, to: Endpoint): Promise<void> => {
    it.work.take()
    const answer = it.engine.settle(it.engine.command(from.element, 'ping', { address: to.address }))
    assert.equal(((await answer) as PingResult).received, 1)
    pings.push(it.work.take().calls)
  }
  await createNetwork(it, 0)
  const [one, two] = [await connect(it, netName(0), 0), await connect(it, netName(0), 1)]
  await ping(one, two) // they find each other
  await ping(one, two)
  for (let i = 1; i < MANY; i++) {
    await createNetwork(it, i)
    await connect(it, netName(i), i)
  }
  await it.engine.advance(1e6)
  it.work.take()
  await it.engine.advance(1e6)
  assert.equal(it.work.take().calls, 0)
  await ping(one, two)
  assert.equal(pings[2], pings[1])
})

for (const uplink of [undefined, new VirtualUplink()]) {
  const which = uplink === undefined ? '' : ', with a gateway'
  test(`1,000 endpoints, each on a network of its own, over the engine thread${which}: all are there, and all is given back`, () =>
    thousand(uplink))
}

async function thousand(uplink: Uplink | undefined): Promise<void> {
  const engine = new ThreadedEngine({ seed: 1 })
  const options = { engine, addresses: new AddressSpace(), random: new Random('ids'), ...(uplink !== undefined && { uplink }) }
  const controller = new NetworkController(options)
  const it = { controller } as Rig
  try {
    for (let i = 0; i < 1000; i++) await createNetwork(it, i)
    const endpoints: Endpoint[] = []
    for (let i = 0; i < 1000; i++) endpoints.push(await connect(it, netName(i), i))
    for (const i of [0, 500, 999]) {
      const gateway = controller.network(netName(i)).pool.gateway!
      // In real time: a machine that stands still between question and answer must not make it lost.
      const { received } = (await engine.command(endpoints[i].element, 'ping', { address: gateway, timeoutMs: 120_000 })) as PingResult
      assert.equal(received, 1)
      assert.equal(controller.endpointCounters(controller.network(netName(i)), endpoints[i]).counters['rxFrames'], 2, 'ARP and echo')
    }
    // Bridge, endpoint, dns-tap, and a virtual host or a filter; dns, and the gateway's three with the world.
    assert.equal(engine.counters().size, 4 * 1000 + (uplink === undefined ? 1 : 5))
    for (let i = 0; i < 1000; i++) await controller.disconnect(netName(i), endpoints[i].name)
    for (let i = 0; i < 1000; i++) await controller.removeNetwork(netName(i))
    assert.deepEqual(
      [...engine.counters().keys()].filter((name) => !name.includes('/') || /^n\d/.test(name)),
      ['dns']
    )
    assert.equal(await engine.framesInUse(), 0)
  } finally {
    await controller.close()
  }
}
