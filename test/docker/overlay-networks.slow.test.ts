/** Overlay networks as Docker shows them, on two hosts that share a store: what one does, and what the other sees of it. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, type TestContext, test } from 'node:test'
import { Filters } from '../../src/api/filters.ts'
import { Attachments } from '../../src/docker/network/attachments.ts'
import type { NetworkEndpoint } from '../../src/docker/network/network-record.ts'
import { NetworkError } from '../../src/network/network-error.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'
import type { TestContainer } from './container-world.ts'
import { type DockerHostWorld, OverlayWorld } from './overlay-world.ts'

let world: OverlayWorld
let one: DockerHostWorld
let two: DockerHostWorld

beforeEach(async () => {
  world = new OverlayWorld()
  one = await world.host(1)
  two = await world.host(2)
})
afterEach(async () => {
  for (const host of [one, two]) {
    host.link.heal()
    await host.containers.close()
  }
})

const address = (host: DockerHostWorld, container: TestContainer, network = 'net'): string =>
  host.containers.service.settings(container).Networks[network]!.IPAddress

const filtered = (name: string, value: string): Filters => new Filters(new Map([[name, new Map([[value, true]])]]))

/** Resolves when it holds: changes of another host come a moment later. */
async function eventually(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    assert.ok(tries < 6000, what)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('networks', () => {
  test('one host makes it, all have it, any removes it', async () => {
    const id = await one.overlay('net', '10.55.0.0/24')
    await two.networks.sync()
    const { Scope, Driver, IPAM, Created } = two.networks.inspect('net')
    assert.deepEqual({ Scope, Driver, config: IPAM.Config }, { Scope: 'global', Driver: 'overlay', config: [{ Subnet: '10.55.0.0/24' }] })
    assert.equal(Created, one.networks.inspect('net').Created)
    assert.deepEqual(
      two.networks.list(filtered('scope', 'global')).map(({ Id }) => Id),
      [id]
    )
    assert.equal(one.networks.list(filtered('scope', 'local')).length, 3)
    await two.networks.remove('net')
    await one.networks.sync()
    assert.throws(() => one.networks.inspect('net'), { status: 404, message: 'network net not found' })
  })

  test('automatic subnets: each host goes round from its own last one, past those of all and of the LAN', async () => {
    const subnetOf = (name: string): string => two.networks.inspect(name).IPAM.Config[0]!.Subnet!
    for (const name of ['o1', 'o2']) await one.overlay(name)
    await two.overlay('o3')
    await one.networks.remove('o1')
    await one.overlay('o4')
    await two.networks.sync()
    assert.deepEqual(['o2', 'o3', 'o4'].map(subnetOf), ['10.0.2.0/24', '10.0.3.0/24', '10.0.4.0/24'])
    assert.equal(two.networks.inspect('o4').IPAM.Config[0]!.Gateway, '10.0.4.1')
  })

  test('refused, in Docker’s words', async () => {
    await one.overlay('net', '10.55.0.0/24')
    await two.networks.sync()
    await assert.rejects(two.overlay('net'), { status: 409, message: 'network with name net already exists' })
    await assert.rejects(two.networks.create({ Name: 'net', CheckDuplicate: true }), { message: 'network with name net already exists' })
    await assert.rejects(two.overlay('big', '10.55.0.0/16'), { status: 403, message: 'Pool overlaps with other one on this address space' })
    const create = (Options: Record<string, string>) => one.networks.create({ Name: 'other', Driver: 'overlay', Options })
    await assert.rejects(create({ 'com.docker.network.driver.mtu': 'abc' }), {
      message: 'failed to parse abc: strconv.Atoi: parsing "abc": invalid syntax'
    })
    await assert.rejects(create({ 'com.docker.network.driver.mtu': '-5' }), { message: 'invalid MTU value: -5' })
    await assert.rejects(create({ encrypted: '' }), { status: 501, message: /^encrypted overlay networks are not part of netloom yet/ })
    await assert.rejects(create({ 'com.docker.network.driver.overlay.bum': 'loud' }), {
      status: 400,
      message: /"loud" is neither flood nor drop/
    })
    const [learning, remotes] = ['netloom.overlay.learning', 'netloom.overlay.remotes']
    await assert.rejects(create({ [learning]: 'yes' }), { status: 400, message: /"yes" is neither true nor false/ })
    await assert.rejects(create({ [remotes]: '192.0.2.9' }), { status: 400, message: /remotes needs netloom\.overlay\.learning=true/ })
    await assert.rejects(create({ [learning]: 'true', [remotes]: '192.0.2.9,router' }), { status: 400, message: /"router" is no address/ })
    assert.equal(one.networks.list(filtered('driver', 'overlay')).length, 1)
  })

  test('a bridge may have the same addresses', async () => {
    await one.overlay('net', '10.55.0.0/24')
    await one.networks.create({ Name: 'local', IPAM: { Config: [{ Subnet: '10.55.0.0/24' }] } })
    const container = await one.run('c1', 'net')
    assert.equal(address(one, container), '10.55.0.2')
  })

  test('a VNI of one’s own, and one for each subnet of several', async () => {
    const Config = [{ Subnet: '10.56.0.0/24' }, { Subnet: '10.57.0.0/24' }]
    const Options = { 'com.docker.network.driver.overlay.vxlanid_list': '4711,4712' }
    const { Id } = await one.networks.create({ Name: 'net', Driver: 'overlay', IPAM: { Config }, Options })
    assert.deepEqual(
      one.cluster
        .networks()
        .get(Id)!
        .subnets.map(({ vni }) => vni),
      [4711, 4712]
    )
    const few = { 'com.docker.network.driver.overlay.vxlanid_list': '4713' }
    await assert.rejects(one.networks.create({ Name: 'more', Driver: 'overlay', IPAM: { Config }, Options: few }), {
      message: 'insufficient vnis(1) passed to overlay'
    })
  })
})

describe('containers', () => {
  beforeEach(async () => {
    await one.overlay('net', '10.55.0.0/24')
  })

  test('addresses: the lowest free one over all hosts, and who has which is known on all', async () => {
    const a1 = await one.run('a1', 'net')
    const b1 = await two.run('b1', 'net')
    const a2 = await one.run('a2', 'net')
    assert.deepEqual([address(one, a1), address(two, b1), address(one, a2)], ['10.55.0.2', '10.55.0.3', '10.55.0.4'])
    assert.deepEqual(await one.listed('net'), ['ep b1 10.55.0.3/24', 'id a1 10.55.0.2/24', 'id a2 10.55.0.4/24'])
    assert.deepEqual(await two.listed('net'), ['ep a1 10.55.0.2/24', 'ep a2 10.55.0.4/24', 'id b1 10.55.0.3/24'])
    await one.containers.remove(a1)
    assert.equal(address(two, await two.run('b2', 'net')), '10.55.0.2')
  })

  test('a name or an address that another host’s container has is refused', async () => {
    await one.run('far', 'net', { ip: '10.55.0.100' })
    const taken = { status: 403, message: 'endpoint with name far already exists in network net' }
    await assert.rejects(two.run('far', 'net'), taken)
    await assert.rejects(two.run('s2', 'net', { ip: '10.55.0.100' }), { status: 403, message: 'Address already in use' })
    await assert.rejects(two.run('s3', 'net', { ip: '10.55.0.1' }), { message: 'Address already in use' })
    await assert.rejects(two.run('s4', 'net', { ip: '10.56.0.1' }), {
      message: "Invalid address 10.56.0.1: It does not belong to any of this network's subnets"
    })
    assert.deepEqual(await two.listed('net'), ['ep far 10.55.0.100/24'], 'nothing of those is left')
    const renamed = await two.run('near', 'net')
    renamed.name = 'far'
    await assert.rejects(two.containers.service.renamed(renamed, 'near'), taken)
    renamed.name = 'near'
  })

  test('names, aliases and their ends reach the other host', async () => {
    const asker = await one.run('c1', 'net')
    const other = await two.run('c2', 'net', { aliases: ['two'] })
    const endpoint = () => one.host.controller.network(one.networks.find('net').id).endpoints.get('c1')!
    await one.networks.sync()
    for (const name of ['c2', 'two', other.id.slice(0, 12), 'c2.net']) assert.equal(await one.host.resolve(endpoint(), name), '10.55.0.3')
    assert.equal((await one.host.ping(endpoint(), '10.55.0.3')).received, 1)
    other.name = 'c9'
    await two.containers.service.renamed(other, 'c2')
    await one.networks.sync()
    assert.equal(await one.host.resolve(endpoint(), 'c9'), '10.55.0.3')
    assert.equal(await one.host.resolve(endpoint(), 'c2'), 'SERVFAIL')
    await two.containers.stop(other)
    await one.networks.sync()
    assert.equal(await one.host.resolve(endpoint(), 'c9'), 'SERVFAIL')
    await one.containers.stop(asker)
    assert.equal(one.host.controller.networks.has(one.networks.find('net').id), false, 'nothing runs for nobody')
  })

  test('a subnet that is full leaves the rest to the next one', async () => {
    await one.overlay('small', '10.56.0.0/30', '10.57.0.0/24')
    const first = await one.run('s1', 'small')
    const second = await one.run('s2', 'small')
    assert.deepEqual([address(one, first, 'small'), address(one, second, 'small')], ['10.56.0.2', '10.57.0.2'])
  })

  test('a network in use on any host stays', async () => {
    const container = await one.run('c1', 'net')
    await two.networks.sync()
    const { Id } = two.networks.inspect('net')
    await assert.rejects(two.networks.remove('net'), {
      status: 403,
      message: `error while removing network: network net id ${Id} has active endpoints`
    })
    await one.containers.stop(container)
    await two.networks.sync()
    await two.networks.remove('net')
  })

  test('a refused connect stays in the settings, as recorded, and can be taken back', async () => {
    await one.overlay('other', '10.56.0.0/24')
    await two.run('hidden', 'other')
    const container = await one.run('hidden', 'net')
    const { service } = one.containers
    await assert.rejects(service.connect(container, 'other', { IPAMConfig: {} }), {
      message: 'endpoint with name hidden already exists in network other'
    })
    assert.equal(service.settings(container).Networks['other']?.EndpointID, '')
    await service.disconnect(container, 'other', false)
    assert.deepEqual(Object.keys(service.settings(container).Networks), ['net'])
  })

  test('removed by force from another host: it lets go', async () => {
    const container = await two.run('c2', 'net')
    await one.networks.sync()
    const network = one.networks.find('net')
    await one.networks.removeStale(network, network.endpointNamed('c2')!)
    assert.deepEqual(await one.listed('net'), [])
    await eventually(() => two.host.controller.networks.size === 0 || address(two, container) === '', 'the container was not unplugged')
    assert.equal(address(one, await one.run('heir', 'net')), '10.55.0.2')
  })

  test('removed by force, and its network with it, before it lets go: nothing runs on for nobody', async () => {
    const container = await two.run('c2', 'net')
    let letGo = (): void => {}
    const held = new Promise<void>((resolve) => {
      letGo = resolve
    })
    two.onEvicted = (network, endpoint) => held.then(() => two.containers.service.evict(network, endpoint))
    await one.networks.sync()
    const network = one.networks.find('net')
    await one.networks.removeStale(network, network.endpointNamed('c2')!)
    await one.networks.remove('net')
    await eventually(() => two.networks.get(network.id) === undefined, 'the network is still known')
    letGo()
    await eventually(() => container.networking.attachments[0]!.endpoint === null, 'the container was not unplugged')
    await eventually(() => !two.host.controller.networks.has(network.id), 'the network runs for nobody')
  })

  describe('removed by force while it is being plugged in', () => {
    /** Another host removes what the second one plugs into the overlay, after that and before anybody has been told of it. */
    const removeMeanwhile = (t: TestContext): string => {
      const { id } = one.networks.find('net')
      const { controller } = two.host
      const connect = controller.connect.bind(controller)
      t.mock.method(controller, 'connect', async (...all: Parameters<typeof connect>) => {
        const endpoint = await connect(...all)
        if (all[0] !== id) return endpoint
        await one.networks.sync()
        const network = one.networks.find('net')
        await one.networks.removeStale(network, network.endpointNamed(endpoint.name)!)
        await eventually(() => two.cluster.ownEndpoint(endpoint.id) === undefined, 'the second host has not heard')
        return endpoint
      })
      return id
    }
    const gone = { status: 409, message: 'endpoint c2 was removed from network net by another host' }

    test('a start fails', async (t) => {
      const id = removeMeanwhile(t)
      await assert.rejects(two.run('c2', 'net'), gone)
      assert.equal(two.host.controller.networks.has(id), false)
      assert.equal(address(one, await one.run('heir', 'net')), '10.55.0.2')
    })

    test('a connect fails, and what was there before stays', async (t) => {
      await two.networks.create({ Name: 'local' })
      const container = await two.run('c2', 'local')
      const id = removeMeanwhile(t)
      await assert.rejects(two.containers.service.connect(container, 'net', null), gone)
      assert.equal(two.host.controller.networks.has(id), false)
      assert.notEqual(address(two, container, 'local'), '')
    })

    test('an attach fails', async (t) => {
      const id = removeMeanwhile(t)
      const { networks, host, containers } = two
      const attachments = new Attachments({ networks, controller: host.controller, random: containers.world.random })
      await assert.rejects(attachments.attach({ network: 'net', name: 'c2', virtual: { udpEcho: [] } }), gone)
      assert.equal(attachments.has(id, 'c2'), false)
      assert.equal(host.controller.networks.has(id), false)
    })
  })
})

test('a host whose VXLAN has another port is told, once', async () => {
  await two.end()
  two = await world.host(2, new MemoryStore(), { vxlanPort: 14_789 })
  const { logged } = one.containers.world
  await eventually(() => logged.length > 0, 'nothing was told')
  await two.overlay('net', '10.55.0.0/24')
  await one.networks.sync()
  assert.equal(logged.length, 1)
  assert.match(logged[0]!, /^host dk2 \(192\.0\.2\.2\) uses UDP 14789 for overlay networks, this one UDP 4789: .* --overlay-port$/)
})

describe('attached to an overlay', () => {
  const attachmentsOf = ({ networks, host, containers }: DockerHostWorld) =>
    new Attachments({ networks, controller: host.controller, random: containers.world.random })

  beforeEach(async () => {
    await one.overlay('net', '10.55.0.0/24')
    await two.run('c2', 'net')
    await one.networks.sync()
  })

  test('a virtual host has a name and an address over all hosts, until it is detached', async () => {
    const attachments = attachmentsOf(one)
    const { ip, gateway } = await attachments.attach({ network: 'net', name: 'guest', virtual: { udpEcho: [] }, aliases: ['vm'] })
    assert.deepEqual([ip, gateway], ['10.55.0.3', ''])
    assert.deepEqual(await two.listed('net'), ['ep guest 10.55.0.3/24', 'id c2 10.55.0.2/24'])
    const { controller } = two.host
    const asker = controller.network(two.networks.find('net').id).endpoints.get('c2')!
    assert.equal(await two.host.resolve(asker, 'vm'), '10.55.0.3')
    assert.equal((await two.host.ping(asker, '10.55.0.3')).received, 1)
    const taken = { message: 'endpoint with name c2 already exists in network net' }
    await assert.rejects(attachments.attach({ network: 'net', name: 'c2', virtual: { udpEcho: [] } }), taken)
    await assert.rejects(two.run('guest', 'net'), { message: 'endpoint with name guest already exists in network net' })
    await attachments.detach('net', 'guest')
    assert.deepEqual(await two.listed('net'), ['id c2 10.55.0.2/24'])
    assert.equal(one.host.controller.networks.has(one.networks.find('net').id), false)
  })

  test('one that another host removes by force is unplugged', async () => {
    const attachments = attachmentsOf(one)
    one.onEvicted = async (network, endpoint) => assert.ok(await attachments.evict(network, endpoint))
    await attachments.attach({ network: 'net', name: 'guest', virtual: { udpEcho: [] } })
    await two.networks.sync()
    const network = two.networks.find('net')
    await two.networks.removeStale(network, network.endpointNamed('guest')!)
    await eventually(() => !attachments.has(network.id, 'guest'), 'it is still attached')
    await eventually(() => !one.host.controller.networks.has(network.id), 'it is still plugged in')
  })
})

describe('the way out', () => {
  const interfaces = (container: TestContainer): string[] => {
    const { attachments, gateway } = container.networking
    return [...attachments, gateway].flatMap((each) => each?.endpoint?.ifname ?? []).sort()
  }

  test('docker_gwbridge comes with the first container and is eth1', async () => {
    await one.overlay('net', '10.55.0.0/24')
    const before = one.networks.list(new Filters()).map(({ Name }) => Name)
    assert.ok(!before.includes('docker_gwbridge'))
    const container = await one.run('c1', 'net')
    const { Options, IPAM, Containers } = one.networks.inspect('docker_gwbridge')
    assert.deepEqual(Options, {
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.enable_ip_masquerade': 'true',
      'com.docker.network.bridge.name': 'docker_gwbridge'
    })
    assert.equal(IPAM.Options, null)
    assert.equal(Containers[container.id]?.Name, `gateway_${container.networking.sandboxId.slice(0, 12)}`)
    assert.deepEqual(interfaces(container), ['eth0', 'eth1'])
    assert.deepEqual(Object.keys(one.containers.service.settings(container).Networks), ['net'], 'it is no network of the container’s')
  })

  test('a bridge takes over, and gives back to a new interface', async () => {
    await one.overlay('net', '10.55.0.0/24')
    await one.networks.create({ Name: 'local' })
    const container = await one.run('c1', 'net')
    const { service } = one.containers
    await service.connect(container, 'local', null)
    assert.deepEqual(interfaces(container), ['eth0', 'eth2'])
    assert.equal(one.networks.find('docker_gwbridge').endpoints.size, 0)
    await service.disconnect(container, 'local', false)
    assert.deepEqual(interfaces(container), ['eth0', 'eth3'])
  })

  test('an internal overlay has none', async () => {
    await one.networks.create({ Name: 'closed', Driver: 'overlay', Internal: true })
    const container = await one.run('c1', 'closed')
    assert.deepEqual(interfaces(container), ['eth0'])
  })
})

describe('what fails half-way', () => {
  const controllerOf = (host: DockerHostWorld) => host.host.controller
  const unclean = new NetworkError('unclean', 'a device could not be closed')

  beforeEach(async () => {
    await one.overlay('net', '10.55.0.0/24')
  })

  test('an end that is not clean is told, when all is given back', async (t) => {
    const container = await one.run('c1', 'net')
    const controller = controllerOf(one)
    for (const method of ['disconnect', 'removeNetwork'] as const) {
      const original = controller[method].bind(controller) as (...all: string[]) => Promise<void>
      t.mock.method(controller, method, async (...all: string[]) => {
        await original(...all)
        throw unclean
      })
    }
    await assert.rejects(one.containers.service.stop(container), { code: 'unclean' })
    t.mock.restoreAll()
    assert.deepEqual(await two.listed('net'), [])
    assert.equal(one.networks.find('docker_gwbridge').endpoints.size, 0)
    assert.equal(address(two, await two.run('c1', 'net')), '10.55.0.2', 'name and address are free')
  })

  test('a disconnect that is not clean settles what follows from it', async (t) => {
    await one.networks.create({ Name: 'local' })
    const container = await one.run('c1', 'net')
    await one.containers.service.connect(container, 'local', null)
    const controller = controllerOf(one)
    const original = controller.disconnect.bind(controller)
    t.mock.method(controller, 'disconnect', async (network: string, endpoint: string) => {
      await original(network, endpoint)
      throw unclean
    })
    await assert.rejects(one.containers.service.disconnect(container, 'local', false), { code: 'unclean' })
    t.mock.restoreAll()
    assert.equal(container.networking.gateway?.endpoint.ifname, 'eth3', 'it has its way out again')
  })

  test('a network that did not hear of the other hosts is made anew', async (t) => {
    const far = await two.run('far', 'net')
    await one.networks.sync()
    const controller = controllerOf(one)
    t.mock.method(controller, 'updateRemotes', () => Promise.reject(new Error('the engine is busy')))
    await assert.rejects(one.run('c1', 'net'), /the engine is busy/)
    t.mock.restoreAll()
    assert.equal(controller.networks.has(one.networks.find('net').id), false)
    await one.run('c2', 'net')
    const endpoint = controller.network(one.networks.find('net').id).endpoints.get('c2')!
    assert.equal((await one.host.ping(endpoint, address(two, far))).received, 1)
  })

  test('a plug that fails says why, whatever is left', async (t) => {
    const controller = controllerOf(one)
    t.mock.method(controller, 'connect', () => Promise.reject(new Error('no TAP')))
    t.mock.method(controller, 'removeNetwork', () => Promise.reject(unclean))
    await assert.rejects(one.run('c1', 'net'), /no TAP/)
  })

  test('a way out that cannot be recorded is taken back', async (t) => {
    await one.run('c1', 'net')
    const add = one.networks.addEndpoint.bind(one.networks)
    t.mock.method(one.networks, 'addEndpoint', async (endpoint: NetworkEndpoint) => {
      if (endpoint.name.startsWith('gateway_')) throw new Error('the disk is full')
      return add(endpoint)
    })
    const container = one.containers.create('c2', { HostConfig: { NetworkMode: 'net' } })
    await assert.rejects(one.containers.start(container), /the disk is full/)
    assert.equal(controllerOf(one).network(one.networks.find('docker_gwbridge').id).endpoints.size, 1)
    assert.equal(container.networking.gateway, null)
  })
})

describe('the store', () => {
  test('away: what runs goes on, overlays cannot be found; what ended meanwhile is free afterwards', async () => {
    await one.overlay('net', '10.55.0.0/24')
    const kept = await one.run('kept', 'net')
    const ended = await one.run('ended', 'net')
    await two.run('c2', 'net')
    await one.networks.sync()
    one.link.cut()
    await eventually(() => !one.cluster.isAvailable, 'the cut was not noticed')
    assert.throws(() => one.networks.find('net'), { status: 404, message: 'network net not found' })
    assert.ok(!one.networks.list(new Filters()).some(({ Name }) => Name === 'net'))
    await assert.rejects(one.run('new', 'net'), { status: 404, message: 'network net not found' })
    await assert.rejects(one.overlay('more'), /cluster store cannot be reached/)
    await one.networks.create({ Name: 'local' })
    await one.containers.stop(ended)
    assert.equal(one.networks.find('docker_gwbridge').endpoints.size, 1, 'its way out is given back at once')
    const network = [...one.host.controller.networks.values()].find(({ name }) => name === 'net')!
    assert.equal((await one.host.ping(network.endpoints.get('kept')!, '10.55.0.4')).received, 1)
    one.link.heal()
    await eventually(() => one.cluster.isAvailable, 'the store is not used again')
    await eventually(async () => !(await two.listed('net')).some((line) => line.includes('ended')), 'the ended one is still there')
    assert.equal(address(two, await two.run('heir', 'net')), '10.55.0.3')
    assert.equal(address(one, kept), '10.55.0.2')
    await one.containers.start(ended)
    assert.equal(ended.networking.gateway?.endpoint.ifname, 'eth1', 'it starts as if nothing had been')
    assert.equal(one.networks.find('docker_gwbridge').endpoints.size, 2)
  })

  test('away: a disconnect by force unplugs, and the name and the address are free afterwards', async () => {
    const id = await one.overlay('net', '10.55.0.0/24')
    const container = await one.run('c1', 'net')
    one.link.cut()
    await eventually(() => !one.cluster.isAvailable, 'the cut was not noticed')
    const { service } = one.containers
    await assert.rejects(service.disconnect(container, 'net', false), { status: 404, message: 'network net not found' })
    await service.disconnect(container, 'net', true)
    assert.deepEqual(container.networking.attachments, [])
    assert.equal(one.host.controller.networks.has(id), false, 'the network runs for nobody')
    one.link.heal()
    await eventually(() => one.cluster.isAvailable, 'the store is not used again')
    assert.deepEqual(await two.listed('net'), [])
    assert.equal(address(two, await two.run('c1', 'net')), '10.55.0.2')
  })

  test('the daemon’s next start claims what its containers still have, and nothing else', async () => {
    const store = new MemoryStore()
    await one.end()
    one = await world.host(1, store)
    await one.overlay('net', '10.55.0.0/24')
    await one.run('kept', 'net')
    await two.run('c2', 'net')
    await one.end()
    one = await world.host(1, store)
    assert.deepEqual(await two.listed('net'), ['ep kept 10.55.0.2/24', 'id c2 10.55.0.3/24'])
    await one.networks.reconcile()
    assert.deepEqual(await two.listed('net'), ['id c2 10.55.0.3/24'], 'what no container claimed')
    await one.end()
    one = await world.host(1, new MemoryStore())
    assert.deepEqual(await two.listed('net'), ['id c2 10.55.0.3/24'])
  })

  describe('away when the daemon starts under containers that run', () => {
    const store = new MemoryStore()
    let kept: TestContainer

    beforeEach(async () => {
      await one.end()
      one = await world.host(1, store)
      await one.overlay('net', '10.55.0.0/24', '10.56.0.0/24')
      kept = await one.run('kept', 'net', { ip: '10.56.0.7', aliases: ['self'] })
      await two.run('c2', 'net', { ip: '10.56.0.8' })
      await one.end()
      one = await world.host(1, store, { isCut: true })
      await one.containers.restore(kept)
      await one.networks.reconcile()
    })
    const network = () => [...one.host.controller.networks.values()].find(({ name }) => name === 'net')!
    const records = () => Array.from(store.list<NetworkEndpoint>('endpoint/'), ([, { name, overlay }]) => `${name} ${overlay?.vni}`)

    test('they keep their interfaces; the network cannot be found; all is as it was when the store is back', async () => {
      assert.equal(network().endpoints.get('kept')?.address, '10.56.0.7')
      assert.equal(await one.host.resolve(network().endpoints.get('kept')!, 'self'), '10.56.0.7')
      assert.equal(address(one, kept), '10.56.0.7')
      assert.throws(() => one.networks.find('net'), { status: 404 })
      assert.ok(records().includes('kept 256'), `the next daemon has to know, too: ${records()}`)
      one.link.heal()
      await eventually(() => one.cluster.isAvailable, 'the store is not used again')
      assert.deepEqual(await one.listed('net'), ['ep c2 10.56.0.8/24', 'id kept 10.56.0.7/24'])
      assert.deepEqual(await two.listed('net'), ['ep kept 10.56.0.7/24', 'id c2 10.56.0.8/24'])
      const endpoint = network().endpoints.get('kept')!
      await eventually(async () => (await one.host.ping(endpoint, '10.56.0.8')).received === 1, 'the other host is not reached')
      await one.containers.stop(kept)
      assert.deepEqual(await two.listed('net'), ['id c2 10.56.0.8/24'])
    })

    test('what was removed by force meanwhile, and its network with it, goes', async () => {
      const shown = two.networks.find('net')
      await two.networks.removeStale(shown, shown.endpointNamed('kept')!)
      await two.containers.remove(two.containers.find('c2'))
      await two.networks.remove('net')
      one.link.heal()
      await eventually(() => address(one, kept) === '', 'it was not unplugged')
      await eventually(() => network() === undefined, 'the network runs for nobody')
      await one.networks.sync()
      assert.throws(() => one.networks.find('net'), { status: 404 })
      assert.equal((await two.overlay('net', '10.55.0.0/24')).length, 64)
      assert.deepEqual(await one.listed('net'), [])
    })
  })
})
