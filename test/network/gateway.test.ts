/** The control plane of the gateway over an engine in virtual time: a router with NAT between networks and a world of one host. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { Random } from '../../src/engine/index.ts'
import { AddressSpace } from '../../src/ipam/address-space.ts'
import { NetworkController } from '../../src/network/controller.ts'
import { elementRegistry } from '../../src/network/element-registry.ts'
import { type Endpoint, type EndpointSpec, endpointAddresses } from '../../src/network/endpoint.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'
import { Inspection } from '../../src/network/inspection.ts'
import type { NetworkSpec } from '../../src/network/network.ts'
import { NetworkError } from '../../src/network/network-error.ts'
import { type UplinkPart, type UplinkPort, UplinkPortError, type UplinkWorld } from '../../src/network/uplink.ts'
import { NoUplink } from '../../src/network/uplinks/no-uplink.ts'
import type { PingResult } from '../../src/stack/pinger.ts'
import { OUR_ADDRESS, VirtualUplink, WORLD_ADDRESS, WORLD_ELEMENT } from './virtual-uplink.ts'

let engine: InlineEngine
let uplink: VirtualUplink
let controller: NetworkController
let inspection: Inspection
let logged: string[]

beforeEach(() => {
  engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
  uplink = new VirtualUplink({ udpEcho: [7] })
  logged = []
  const log = (message: string): unknown => logged.push(message)
  controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids'), uplink, log })
  inspection = new Inspection(controller)
})

function network(name: string, subnet: string, more: Partial<NetworkSpec> = {}): Promise<{ id: string }> {
  return controller.createNetwork({ name, subnet, ...more })
}

/** Plugs in a virtual host that sends datagrams to port 7 and 80 back. */
function host(of: string, spec: EndpointSpec, options: object = {}): Promise<Endpoint> {
  return controller.connect(of, spec, (begun, { pool, pool6 }) => ({
    type: 'host',
    options: {
      mac: begun.mac,
      addresses: endpointAddresses(begun),
      gateway: pool.gateway ?? undefined,
      ...(pool6?.gateway && { gateway6: pool6.gateway }),
      udpEcho: [7, 80],
      ...options
    }
  }))
}

async function ping(element: string, address: string): Promise<PingResult> {
  return (await engine.settle(engine.command(element, 'ping', { address, timeoutMs: 500 }))) as PingResult
}

/** Sends a datagram; gives who answered, or null. */
async function ask(element: string, address: string, toPort: number): Promise<string | null> {
  const { port } = (await engine.settle(engine.command(element, 'udpBind', { port: 0 }))) as { port: number }
  let answer: string | null = null
  engine.listen(element, (event) => {
    const { kind, port: to, address: by, fromPort } = event as Record<string, string | number>
    if (kind === 'udp' && to === port) answer = `${by}:${fromPort}`
  })
  await engine.settle(engine.command(element, 'udpSend', { port, address, toPort, data: Uint8Array.of(1) }).catch(() => {}))
  await engine.advance(200e6)
  await engine.settle(engine.command(element, 'udpClose', { port }))
  return answer
}

/** Who has been heard at a port of an element. */
async function hear(element: string, port: number): Promise<string[]> {
  const heard: string[] = []
  await engine.settle(engine.command(element, 'udpBind', { port }))
  engine.listen(element, (event) => {
    const { kind, port: to, address } = event as Record<string, string | number>
    if (kind === 'udp' && to === port) heard.push(String(address))
  })
  return heard
}

function port(id: string, target: string, more: Partial<UplinkPort> = {}): UplinkPort {
  return { key: 'web', protocol: 'udp', address: '0.0.0.0', port: 8080, target, targetPort: 80, network: id, ...more }
}

function drops(): string[] {
  return [...new Set(inspection.drops().map(({ reason }) => reason))]
}

describe('the way out', () => {
  test('masquerade: the world sees our address, and answers come back', async () => {
    await network('front', '10.1.0.0/24')
    const web = await host('front', { name: 'web' })
    const heard = await hear(WORLD_ELEMENT, 9)
    assert.equal((await ping(web.element, WORLD_ADDRESS)).received, 1)
    assert.equal(await ask(web.element, WORLD_ADDRESS, 7), `${WORLD_ADDRESS}:7`)
    await ask(web.element, WORLD_ADDRESS, 9)
    assert.deepEqual(heard, [OUR_ADDRESS])
    const [flow] = await inspection.flows({ protocol: 'udp' })
    assert.deepEqual([flow.original.source, flow.reply.destination, flow.egress, flow.snat], [web.address, OUR_ADDRESS, 'world', true])
  })

  test('the NAT works as it is told to: a port outside for each address and port inside, whoever they talk to', async () => {
    const portsOutside = async (): Promise<Set<number>> => {
      await network('front', '10.1.0.0/24')
      for (const [name, toPort] of [
        ['web', 7],
        ['db', 9]
      ] as const) {
        const { element } = await host('front', { name })
        await engine.settle(engine.command(element, 'udpBind', { port: 5000 }))
        await engine.settle(engine.command(element, 'udpSend', { port: 5000, address: WORLD_ADDRESS, toPort, data: Uint8Array.of(1) }))
        await engine.advance(200e6)
      }
      const flows = await inspection.flows({ protocol: 'udp' })
      assert.equal(flows.length, 2)
      return new Set(flows.map(({ reply }) => reply.destinationPort))
    }
    assert.deepEqual(await portsOutside(), new Set([5000]), 'as Linux: one serves both while they talk to others')
    engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
    const nat = { mapping: 'endpoint-independent' } as const
    const uplinkOfItsOwn = new VirtualUplink({ udpEcho: [7] })
    controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids'), uplink: uplinkOfItsOwn, nat })
    inspection = new Inspection(controller)
    assert.equal((await portsOutside()).size, 2)
  })

  test('without masquerade the world sees who sends, and cannot answer; internal networks get nothing out', async () => {
    await network('plain', '10.2.0.0/24', { masquerade: false })
    await network('closed', '10.3.0.0/24', { internal: true })
    const plain = await host('plain', { name: 'web' })
    const closed = await host('closed', { name: 'db' })
    const heard = await hear(WORLD_ELEMENT, 9)
    for (const { element } of [plain, closed]) await ask(element, WORLD_ADDRESS, 9)
    assert.deepEqual(heard, [plain.address])
    assert.deepEqual(drops().includes('filter.internal'), true)
    assert.equal((await ping(closed.element, '10.3.0.1')).received, 1)
  })

  test('a station with a MAC of its own choice, where that is allowed; nobody else gets its address by it', async () => {
    await network('front', '10.1.0.0/24')
    const guest = await host('front', { name: 'guest', ownMac: true }, { mac: '02:cc:00:00:00:77' })
    const liar = await host('front', { name: 'liar' }, { mac: '02:cc:00:00:00:78' })
    const thief = await host('front', { name: 'thief', ownMac: true }, { mac: '02:cc:00:00:00:79', addresses: ['10.1.0.2/24'] })
    const web = await host('front', { name: 'web' })
    assert.equal((await ping(guest.element, WORLD_ADDRESS)).received, 1)
    assert.equal((await ping(web.element, guest.address)).received, 1)
    assert.equal((await ping(liar.element, WORLD_ADDRESS)).received, 0)
    assert.equal((await ping(thief.element, WORLD_ADDRESS)).received, 0)
    assert.equal((await ping(guest.element, WORLD_ADDRESS)).received, 1, 'still')
    assert.equal((await inspection.neighbors()).find(({ address }) => address === guest.address)?.mac, '02:cc:00:00:00:77')
  })

  test('the world cannot walk in, and nobody can take another address', async () => {
    const { id } = await network('front', '10.1.0.0/24')
    const web = await host('front', { name: 'web' })
    const thief = await host('front', { name: 'thief' }, { addresses: ['10.1.0.77/24'] })
    await engine.patch({ elements: { [WORLD_ELEMENT]: worldWith({ gateway: OUR_ADDRESS }) } })
    assert.equal((await ping(WORLD_ELEMENT, web.address)).received, 0)
    assert.equal((await ping(thief.element, WORLD_ADDRESS)).received, 0)
    assert.deepEqual(
      ['filter.notPublished', 'filter.falseClaim'].filter((reason) => !drops().includes(reason)),
      []
    )
    assert.equal((await ping(web.element, WORLD_ADDRESS)).received, 1)
    await controller.publish([port(id, web.address)])
    assert.equal(await ask(WORLD_ELEMENT, web.address, 80), `${web.address}:80`, "a published port's target itself, as in Docker's chain")
  })

  test('an uplink of none: routed, and the world is unreachable', async () => {
    engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
    controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids'), uplink: new NoUplink() })
    await network('front', '10.1.0.0/24')
    const web = await host('front', { name: 'web' })
    assert.equal((await ping(web.element, WORLD_ADDRESS)).unreachable, 1)
    assert.equal((await ping(web.element, '10.1.0.1')).received, 1)
    const { id } = await network('back', '10.2.0.0/24')
    const db = await host('back', { name: 'db' })
    await controller.publish([port(id, db.address)])
    assert.equal(await ask(web.element, '10.1.0.1', 8080), '10.1.0.1:8080')
  })
})

describe('between networks', () => {
  test('nothing passes: addresses, IPv6 too; gateways answer', async () => {
    await network('front', '10.1.0.0/24', { subnet6: '2001:db8:a::/64' })
    await network('back', '10.2.0.0/24', { subnet6: '2001:db8:b::/64' })
    const web = await host('front', { name: 'web' })
    const db = await host('back', { name: 'db' })
    const results = [web.address, web.address6, '10.1.0.1'].map(() => 0)
    for (const [at, address] of [web.address, web.address6, '10.1.0.1'].entries()) results[at] = (await ping(db.element, address)).received
    assert.deepEqual(results, [0, 0, 1])
    assert.ok(drops().includes('filter.isolated'))
    assert.equal((await ping(web.element, '2001:db8:a::1')).received, 1)
  })

  test('an endpoint with a MAC that no station can have comes and goes: its own kernel is to refuse it', async () => {
    await network('front', '10.1.0.0/24')
    for (const mac of ['01:00:5e:00:00:01', '00:00:00:00:00:00']) {
      await host('front', { name: 'web', mac }, { mac: '02:cc:00:00:00:01' })
      await controller.disconnect('front', 'web')
    }
  })

  test('a sandbox on two networks may send under either address; it can no more when it has left one', async () => {
    await network('front', '10.1.0.0/24')
    await network('back', '10.2.0.0/24')
    // Both addresses on one interface: what a container sends by its default route under the other network's address.
    const both = { addresses: ['10.1.0.2/24', '10.2.0.2/24'] }
    await host('front', { name: 'web', sandbox: 'web' }, both)
    const sources = (): unknown => (engineElements()['front/web/filter'].options as { sources: string[] }).sources
    await host('back', { name: 'web', sandbox: 'web' })
    assert.deepEqual(sources(), ['10.1.0.2', '10.2.0.2'])
    await controller.disconnect('back', 'web')
    assert.deepEqual(sources(), ['10.1.0.2'])
  })
})

describe('published ports', () => {
  test('from the world with its own address, from containers of any network as from the gateway; gone when unpublished', async () => {
    const { id } = await network('front', '10.1.0.0/24')
    await network('back', '10.2.0.0/24')
    const web = await host('front', { name: 'web' })
    const near = await host('front', { name: 'near' })
    const far = await host('back', { name: 'far' })
    await controller.publish([port(id, web.address), port(id, web.address, { key: 'nine', port: 8009, targetPort: 9 })])
    assert.equal(await ask(WORLD_ELEMENT, OUR_ADDRESS, 8080), `${OUR_ADDRESS}:8080`)
    for (const [{ element }, address] of [
      [near, '10.1.0.1'],
      [far, '10.2.0.1'],
      [far, '10.1.0.1'],
      [far, OUR_ADDRESS],
      [web, '10.1.0.1']
    ] as const) {
      // As Docker's UDP proxy: from the gateway of one's own network when an address of the host is asked that is no gateway's.
      const answers = address === OUR_ADDRESS ? '10.2.0.1' : address
      assert.equal(await ask(element, address, 8080), `${answers}:8080`, `${element} asks ${address}`)
    }
    const heard = await hear(web.element, 9)
    for (const { element } of [near, far]) await ask(element, '10.1.0.1', 8009)
    await ask(WORLD_ELEMENT, OUR_ADDRESS, 8009)
    assert.deepEqual(heard, ['10.1.0.1', '10.1.0.1', WORLD_ADDRESS])
    await controller.unpublish(['web', 'nine', 'never was'])
    assert.equal(await ask(WORLD_ELEMENT, OUR_ADDRESS, 8080), null)
    assert.deepEqual(uplink.calls.slice(-2), ['publish web nine', 'unpublish web nine'])
  })

  for (const servesLoopback of [false, true]) {
    const whom = servesLoopback ? 'whose frames are its own' : 'that others send by'
    test(`a port on loopback, by an uplink ${whom}: the target's own address is ${servesLoopback ? 'open' : 'shut'} there`, async () => {
      uplink = new (class extends VirtualUplink {
        override async start(world: UplinkWorld): Promise<UplinkPart> {
          return { ...(await super.start(world)), servesLoopback }
        }
      })({ gateway: OUR_ADDRESS })
      engine = new InlineEngine({ elements: elementRegistry(), seed: 1 })
      controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids'), uplink })
      const { id } = await network('front', '10.1.0.0/24')
      const web = await host('front', { name: 'web' })
      const open = `${web.address}:80`
      for (const address of ['127.0.0.1', '127.0.0.9', '::']) {
        await controller.publish([port(id, web.address, { address })])
        assert.equal(await ask(WORLD_ELEMENT, web.address, 80), servesLoopback ? open : null, address)
        await controller.publish([port(id, web.address, { key: 'any' })])
        assert.equal(await ask(WORLD_ELEMENT, web.address, 80), open, 'another port leads there too')
        await controller.unpublish(['web', 'any'])
        assert.equal(await ask(WORLD_ELEMENT, web.address, 80), null)
      }
    })
  }

  test('all or none: what the uplink or the NAT refuses leaves nothing behind', async () => {
    const { id } = await network('front', '10.1.0.0/24')
    const web = await host('front', { name: 'web' })
    const good = port(id, web.address)
    uplink.failures = { publish: new UplinkPortError(good, 'EADDRINUSE') }
    await assert.rejects(controller.publish([good]), {
      code: 'conflict',
      errno: 'EADDRINUSE',
      message: '0.0.0.0:8080/udp cannot be published: EADDRINUSE'
    })
    await assert.rejects(controller.publish([good, port(id, web.address, { key: 'b', targetPort: 70_000 })]))
    assert.equal(uplink.calls.at(-1), 'unpublish web b')
    await assert.rejects(controller.publish([good, good]), { code: 'conflict' })
    await assert.rejects(controller.publish([port('f'.repeat(64), web.address)]), { code: 'invalid' })
    await controller.publish([good])
    await assert.rejects(controller.publish([good]), { code: 'conflict', message: "the port 'web' is published already" })
    assert.equal(await ask(WORLD_ELEMENT, OUR_ADDRESS, 8080), `${OUR_ADDRESS}:8080`)
  })

  test("the host's addresses move: any of them is any of those it has now", async () => {
    const { id } = await network('front', '10.1.0.0/24')
    const web = await host('front', { name: 'web' })
    await controller.publish([port(id, web.address)])
    assert.equal(await ask(web.element, '198.51.100.7', 8080), null)
    uplink.world!.hostAddresses(['198.51.100.7'])
    assert.equal(await ask(web.element, '198.51.100.7', 8080), '10.1.0.1:8080')
    uplink.world!.hostAddresses(['198.51.100.8'])
    assert.equal(await ask(web.element, '198.51.100.7', 8080), null)
    assert.deepEqual(logged, [])
  })

  test('a port of an IPv4 target is taken from the host for IPv4 alone: its own socket serves the other family', async () => {
    const { id } = await network('front', '10.1.0.0/24', { subnet6: '2001:db8:1::/64' })
    const web = await host('front', { name: 'web' })
    const diverted = async (): Promise<unknown> =>
      ((await engine.settle(engine.command('gateway/divert', 'tables', null))) as { published: unknown }).published
    await controller.publish([port(id, web.address), port(id, web.address6, { key: 'six', address: '::' })])
    assert.deepEqual(await diverted(), [
      { protocol: 'udp', address: '0.0.0.0', port: 8080 },
      { protocol: 'udp', address: '::', port: 8080 }
    ])
    await controller.unpublish(['web', 'six'])
    assert.deepEqual(await diverted(), [])
  })

  test('a network that goes takes its ports with it', async () => {
    const { id } = await network('front', '10.1.0.0/24')
    const web = await host('front', { name: 'web' })
    await controller.publish([port(id, web.address)])
    await controller.disconnect('front', 'web')
    await controller.removeNetwork('front')
    assert.deepEqual(uplink.calls.slice(-2), ['unpublish web', `remove ${id.slice(0, 4)}`])
  })

  test('without an uplink there are none', async () => {
    controller = new NetworkController({ engine, addresses: new AddressSpace(), random: new Random('ids') })
    await assert.rejects(controller.publish([]), { code: 'unsupported' })
    await controller.unpublish(['web'])
    await assert.rejects(new Inspection(controller).routes(), { code: 'unsupported' })
  })
})

describe('interfaces', () => {
  test('more networks than a thousand', async () => {
    for (let number = 0; number < 1100; number++) await network(`n${number}`, `10.${number >> 8}.${number & 255}.0/24`)
    const last = await host('n1099', { name: 'web' })
    assert.equal((await ping(last.element, WORLD_ADDRESS)).received, 1)
    assert.equal((await ping(last.element, '10.0.0.1')).received, 1, 'another network’s gateway')
  })

  test('the lowest free number; the uplink hears of networks before they run and after they ended', async () => {
    const numbers = (): (number | undefined)[] => [...controller.networks.values()].map(({ gateway }) => gateway?.interface)
    const { id } = await network('a', '10.1.0.0/24')
    await network('b', '10.2.0.0/24')
    await network('none', '10.4.0.0/24', { gateway: null })
    await controller.removeNetwork('a')
    await network('c', '10.3.0.0/24')
    assert.deepEqual(numbers(), [2, undefined, 1])
    assert.deepEqual(uplink.calls, [
      'start',
      'add a 10.1.0.1/24 02:42:0a:01:00:01',
      'add b 10.2.0.1/24 02:42:0a:02:00:01',
      `remove ${id.slice(0, 4)}`,
      'add c 10.3.0.1/24 02:42:0a:03:00:01'
    ])
    const shown = (await inspection.routes()).filter(({ kind }) => kind === 'connected' || kind === 'static')
    assert.deepEqual(
      shown
        .filter(({ prefix }) => !prefix.includes(':'))
        .map(({ prefix, interface: name }) => `${prefix} ${name}`)
        .sort(),
      ['0.0.0.0/0 world', '10.2.0.0/24 b', '10.3.0.0/24 c', '192.0.2.0/24 world']
    )
  })

  test('what the uplink refuses is not there; what it cannot undo is said', async () => {
    uplink.failures = { add: new NetworkError('conflict', 'br-x is somebody else’s') }
    await assert.rejects(network('a', '10.1.0.0/24'), { code: 'conflict', message: 'br-x is somebody else’s' })
    await network('a', '10.1.0.0/24')
    uplink.failures = { remove: new Error('a rule stays') }
    await assert.rejects(controller.removeNetwork('a'), { code: 'unclean' })
    await network('a', '10.1.0.0/24')
    assert.equal(controller.network('a').gateway?.interface, 1)
    uplink.failures = { close: new NetworkError('unclean', 'a rule stays') }
    await assert.rejects(controller.close(), { code: 'unclean' })
  })

  test('an uplink that does not start: the error comes at the start, and it is closed', async () => {
    uplink.failures = { start: new NetworkError('unsupported', 'no TAPs here') }
    await assert.rejects(controller.start(), { code: 'unsupported' })
    assert.deepEqual(uplink.calls, ['start', 'close'])
    await controller.start()
    await controller.start()
    assert.deepEqual(uplink.calls.slice(2), ['start'])
  })

  test("networks that are called as the gateway's elements", async () => {
    for (const [at, name] of ['gateway', 'uplink'].entries()) {
      await network(name, `10.${at}.0.0/24`)
      const one = await host(name, { name: name === 'uplink' ? 'world' : 'nat' })
      assert.match(one.element, /^(gateway|uplink)~[0-9a-f]{12}\//)
      assert.equal((await ping(one.element, WORLD_ADDRESS)).received, 1)
    }
  })
})

/** The running graph's elements. */
function engineElements(): Readonly<Record<string, { options?: unknown }>> {
  return (engine as unknown as { engine: { running: { elements: Record<string, { options?: unknown }> } } }).engine.running.elements
}

function worldWith(more: object): { type: string; options: unknown } {
  return { type: 'host', options: { ...(engineElements()[WORLD_ELEMENT].options as object), ...more } }
}
