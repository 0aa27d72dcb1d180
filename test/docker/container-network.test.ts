import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { Filters } from '../../src/api/filters.ts'
import { ContainerWorld, type TestContainer, VirtualInterfaces } from './container-world.ts'
import { networkWorld } from './network-world.ts'

/** A container on one network. */
const on = (network: string, config: object = {}): object => ({
  HostConfig: { NetworkMode: network },
  NetworkingConfig: { EndpointsConfig: { [network]: config } }
})

describe('containers on networks', () => {
  let docker: ContainerWorld
  let interfaces: VirtualInterfaces

  beforeEach(async () => {
    const world = await networkWorld()
    interfaces = new VirtualInterfaces(world.controller)
    docker = new ContainerWorld(world, { interfaces })
  })
  afterEach(() => docker.close())

  const create = (Name: string, Subnet?: string, more: object = {}): Promise<unknown> =>
    docker.world.networks.create({ Name, IPAM: Subnet === undefined ? null : { Config: [{ Subnet }] }, ...more })
  const file = (container: TestContainer, name: string): string => readFileSync(path.join(container.directory, name), 'utf8')
  const ownLines = (container: TestContainer): string => file(container, 'hosts').split('\n').slice(6).join('\n')
  const address = (container: TestContainer, network: string): string => docker.service.settings(container).Networks[network]!.IPAddress

  test('addresses: lowest free first, given back by stop, static ones kept for nobody', async () => {
    await create('net', '10.70.0.0/24')
    const [c1, c2, c3] = [await docker.run('c1', on('net')), await docker.run('c2', on('net')), await docker.run('c3', on('net'))]
    assert.deepEqual(
      [c1, c2, c3].map((container) => address(container, 'net')),
      ['10.70.0.2', '10.70.0.3', '10.70.0.4']
    )
    await docker.remove(c2)
    assert.equal(address(await docker.run('c4', on('net')), 'net'), '10.70.0.3')
    await docker.stop(c1)
    assert.deepEqual(docker.service.settings(c1).Networks['net'], {
      IPAMConfig: null,
      Links: null,
      Aliases: [c1.id.slice(0, 12)],
      NetworkID: docker.world.networks.find('net').id,
      EndpointID: '',
      Gateway: '',
      IPAddress: '',
      IPPrefixLen: 0,
      IPv6Gateway: '',
      GlobalIPv6Address: '',
      GlobalIPv6PrefixLen: 0,
      MacAddress: '',
      DriverOpts: null
    })
    const d1 = await docker.run('d1', on('net', { IPAMConfig: { IPv4Address: '10.70.0.2' } }))
    await assert.rejects(docker.run('d2', on('net', { IPAMConfig: { IPv4Address: '10.70.0.2' } })), {
      status: 403,
      message: 'Address already in use'
    })
    await docker.start(c1)
    assert.equal(address(c1, 'net'), '10.70.0.5')
    await docker.stop(d1)
    await docker.start(d1)
    assert.equal(address(d1, 'net'), '10.70.0.2')
  })

  test('a network that is full says so, and names itself', async () => {
    await create('thirty', '10.60.0.0/30')
    await docker.run('a1', on('thirty'))
    const { id } = docker.world.networks.find('thirty')
    const message = `no available IPv4 addresses on this network's address pools: thirty (${id})`
    await assert.rejects(docker.run('a2', on('thirty')), { status: 500, message })
    assert.equal(docker.world.networks.find('thirty').endpoints.size, 1)
  })

  test('interfaces are numbered and the way out is chosen in libnetwork’s order', async () => {
    for (const [name, number] of Object.entries({ bbb: 161, aaa: 162, ccc: 163 })) await create(name, `10.${number}.0.0/24`)
    await create('zint', '10.164.0.0/24', { Internal: true })
    const c1 = await docker.run('c1', on('bbb'))
    for (const name of ['ccc', 'aaa', 'zint']) await docker.service.connect(c1, name, null)
    assert.deepEqual(interfaces.told, [
      'eth0 10.161.0.2/24',
      '0.0.0.0/0 via 10.161.0.1 eth0',
      'resolver eth0 10.161.0.2',
      'eth1 10.163.0.2/24',
      'eth2 10.162.0.2/24',
      '0.0.0.0/0 via 10.162.0.1 eth2',
      'resolver eth2 10.162.0.2',
      'eth3 10.164.0.2/24'
    ])
    await docker.stop(c1)
    interfaces.told.length = 0
    await docker.start(c1)
    assert.deepEqual(interfaces.told.filter((line) => line.startsWith('eth')).sort(), [
      'eth0 10.162.0.2/24',
      'eth1 10.161.0.2/24',
      'eth2 10.163.0.2/24',
      'eth3 10.164.0.2/24'
    ])
    interfaces.told.length = 0
    for (const name of ['aaa', 'bbb', 'ccc']) await docker.service.disconnect(c1, name, false)
    await docker.service.connect(c1, 'aaa', null)
    assert.deepEqual(
      interfaces.told.filter((line) => /^(eth|0)/.test(line)),
      [
        '0.0.0.0/0 via 10.161.0.1 eth1',
        '0.0.0.0/0 via 10.163.0.1 eth2',
        '0.0.0.0/0 via 10.164.0.1 eth3',
        'eth4 10.162.0.2/24',
        '0.0.0.0/0 via 10.162.0.1 eth4'
      ]
    )
  })

  test('/etc/hosts follows the networks and keeps what the container wrote', async () => {
    await create('net', '10.110.0.0/24')
    await create('net2', '10.111.0.0/24')
    const c2 = await docker.run('c2', { ...on('net'), Hostname: 'two' })
    await docker.service.connect(c2, 'net2', null)
    assert.equal(ownLines(c2), '10.110.0.2\ttwo\n10.111.0.2\ttwo\n')
    await docker.service.disconnect(c2, 'net', false)
    assert.equal(ownLines(c2), '')
    const { appendFileSync } = await import('node:fs')
    appendFileSync(path.join(c2.directory, 'hosts'), '10.9.9.9 mine\n')
    await docker.service.connect(c2, 'net', null)
    assert.equal(ownLines(c2), '10.9.9.9 mine\n10.110.0.2\ttwo\n')
    assert.deepEqual(docker.service.settings(c2).Networks['net']!.Aliases, [c2.id.slice(0, 12), 'two'])
    await docker.stop(c2)
    await docker.start(c2)
    assert.equal(ownLines(c2), '10.111.0.2\ttwo\n10.110.0.2\ttwo\n')
  })

  test('resolv.conf: the host’s until the first user-defined network, then ours until the next start', async () => {
    await create('net', '10.110.0.0/24')
    const plain = await docker.run('plain')
    assert.equal(file(plain, 'resolv.conf'), 'nameserver 192.0.2.60\n')
    await docker.service.connect(plain, 'net', null)
    assert.equal(file(plain, 'resolv.conf'), 'nameserver 127.0.0.11\noptions ndots:0\n')
    await docker.service.disconnect(plain, 'net', false)
    assert.equal(file(plain, 'resolv.conf'), 'nameserver 127.0.0.11\noptions ndots:0\n')
    assert.equal(interfaces.told.at(-1), 'resolver eth0 172.17.0.2')
    await docker.stop(plain)
    await docker.start(plain)
    assert.equal(file(plain, 'resolv.conf'), 'nameserver 192.0.2.60\n')
  })

  test('links on the default bridge: names, variables, and a target that moves', async () => {
    const nginx1 = await docker.run('nginx1', { ExposedPorts: { '80/tcp': {} } })
    const nginx2 = docker.create('nginx2', { HostConfig: { Links: ['nginx1', 'nginx1:other-web'] } })
    assert.deepEqual(nginx2.hostConfig.Links, ['/nginx1:/nginx2/nginx1', '/nginx1:/nginx2/other-web'])
    const environment = await docker.start(nginx2)
    const short = nginx1.id.slice(0, 12)
    assert.equal(
      ownLines(nginx2),
      `172.17.0.2\tnginx1 ${short}\n172.17.0.2\tother-web ${short} nginx1\n172.17.0.3\t${nginx2.id.slice(0, 12)}\n`
    )
    assert.deepEqual(environment.slice(0, 6), [
      'NGINX1_PORT=tcp://172.17.0.2:80',
      'NGINX1_PORT_80_TCP=tcp://172.17.0.2:80',
      'NGINX1_PORT_80_TCP_ADDR=172.17.0.2',
      'NGINX1_PORT_80_TCP_PORT=80',
      'NGINX1_PORT_80_TCP_PROTO=tcp',
      'NGINX1_NAME=/nginx2/nginx1'
    ])
    assert.ok(environment.includes('OTHER_WEB_NAME=/nginx2/other-web'))
    await docker.stop(nginx1)
    await docker.run('between')
    await docker.start(nginx1)
    assert.match(ownLines(nginx2), new RegExp(`^172.17.0.4\tnginx1 ${short}$`, 'm'))
    await docker.stop(nginx2)
    await docker.stop(nginx1)
    await assert.rejects(docker.start(nginx2), { message: 'Cannot link to a non running container: /nginx1 AS /nginx2/nginx1' })
  })

  test('connect and disconnect of a container that is stopped are wishes', async () => {
    await create('net', '10.90.0.0/24')
    const late = docker.create('late')
    await docker.service.connect(late, 'net', { IPAMConfig: { IPv4Address: '10.90.0.33' }, Aliases: ['tardy'] })
    await docker.service.connect(late, 'net', { IPAMConfig: { IPv4Address: '10.90.0.44' } })
    assert.deepEqual(docker.service.settings(late).Networks['net']!.Aliases, ['tardy', late.id.slice(0, 12)])
    await docker.service.connect(late, 'nosuch', null)
    await assert.rejects(docker.start(late), { status: 404, message: 'network nosuch not found' })
    assert.equal(docker.world.networks.find('net').endpoints.size, 0)
    await docker.service.disconnect(late, 'nosuch', false)
    await docker.start(late)
    assert.equal(address(late, 'net'), '10.90.0.33')
    assert.equal(docker.service.settings(late).IPAddress, '172.17.0.2')
    await docker.stop(late)
    await assert.rejects(docker.service.disconnect(late, 'none', false), {
      message: `container ${late.id} is not connected to the network none`
    })
  })

  test('what connect and disconnect refuse, as net-connect-errors recorded it', async () => {
    await create('net')
    await create('net2')
    const c1 = await docker.run('c1', on('net'))
    const h1 = await docker.run('h1', { HostConfig: { NetworkMode: 'host' } })
    const n1 = await docker.run('n1', { HostConfig: { NetworkMode: 'none' } })
    const shared = 'container sharing network namespace with another container or host cannot be connected to any other network'
    const hostOnly = 'container cannot be disconnected from host network or connected to host network'
    const none = 'container cannot be connected to multiple networks with one of the networks in private (none) mode'
    const connects: [TestContainer, string, object | null, string][] = [
      [c1, 'net', null, 'endpoint with name c1 already exists in network net'],
      [c1, 'nosuch', null, 'network nosuch not found'],
      [c1, 'host', null, hostOnly],
      [c1, 'none', null, none],
      [h1, 'net', null, shared],
      [n1, 'net', null, none],
      [c1, 'bridge', { Aliases: ['x'] }, 'network-scoped alias is supported only for containers in user defined networks'],
      [c1, 'bridge', { IPAMConfig: { IPv4Address: '172.17.0.9' } }, 'user specified IP address is supported on user defined networks only'],
      [
        c1,
        'net2',
        { IPAMConfig: { IPv4Address: '172.19.0.9' } },
        'user specified IP address is supported only when connecting to networks with user configured subnets'
      ]
    ]
    for (const [container, network, config, message] of connects) {
      await assert.rejects(docker.service.connect(container, network, config), { message })
    }
    await create('sub', '10.80.0.0/24')
    for (const [IPv4Address, message] of [
      ['nonsense', 'Invalid IPv4 address: nonsense)'],
      ['10.99.0.5', "Invalid address 10.99.0.5: It does not belong to any of this network's subnets"],
      ['10.80.0.1', 'Address already in use']
    ] as const) {
      await assert.rejects(docker.service.connect(c1, 'sub', { IPAMConfig: { IPv4Address } }), { message })
    }
    await assert.rejects(docker.service.disconnect(c1, 'net2', true), { message: `container ${c1.id} is not connected to network net2` })
    await assert.rejects(docker.service.disconnect(h1, 'host', false), { status: 400, message: hostOnly })
    await docker.service.disconnect(n1, 'none', false)
    assert.deepEqual(docker.service.settings(n1).Networks, {})
    await assert.rejects(docker.world.networks.remove('net'), {
      status: 403,
      message: `error while removing network: network net id ${docker.world.networks.find('net').id} has active endpoints`
    })
    assert.deepEqual(Object.keys(docker.service.settings(c1).Networks), ['net'])
  })

  test('what create refuses, as net-container-mode recorded it', async () => {
    const main = await docker.run('main')
    const refusals: [object, string][] = [
      [{ Hostname: 'x' }, 'conflicting options: hostname and the network mode'],
      [{ HostConfig: { PortBindings: { '80/tcp': [] } } }, 'conflicting options: port publishing and the container type network mode'],
      [{ HostConfig: { Dns: ['192.0.2.1'] } }, 'conflicting options: dns and the network mode'],
      [{ HostConfig: { ExtraHosts: ['a:192.0.2.1'] } }, 'conflicting options: custom host-to-IP mapping and the network mode'],
      [{ MacAddress: '02:42:00:00:00:01' }, 'conflicting options: mac-address and the network mode'],
      [
        { HostConfig: { Links: ['main'] } },
        "conflicting options: container type network can't be used with links. This would result in undefined behavior"
      ],
      [{ ExposedPorts: { '80/tcp': {} } }, 'conflicting options: port exposing and the container type network mode']
    ]
    for (const [request, message] of refusals) {
      const { HostConfig = {} } = request as { HostConfig?: object }
      assert.throws(() => docker.create('bad', { ...request, HostConfig: { ...HostConfig, NetworkMode: 'container:main' } }), {
        status: 400,
        message
      })
    }
    assert.throws(() => docker.create('bad', { HostConfig: { NetworkMode: 'container:' } }), {
      message: 'Invalid network mode: invalid container format container:<name|id>'
    })
    assert.throws(() => docker.create('bad', { HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '', HostPort: 'abc' }] } } }), {
      message: 'invalid port specification: "abc"'
    })
    assert.throws(() => docker.create('bad', { NetworkingConfig: { EndpointsConfig: { net: {}, bridge: {} } } }), {
      message: 'Container cannot be connected to network endpoints: net, bridge'
    })
    assert.throws(() => docker.create('bad', { HostConfig: { Links: ['nosuch'] } }), {
      status: 400,
      message: 'could not get container for nosuch: No such container: nosuch'
    })
    const side = docker.create('side', { HostConfig: { NetworkMode: 'container:main' } })
    assert.equal(side.hostConfig.NetworkMode, `container:${main.id}`)
    await docker.start(side)
    assert.equal(side.config.Hostname, main.config.Hostname)
    assert.equal(file(side, 'hosts'), file(main, 'hosts'))
    await docker.stop(side)
    await docker.stop(main)
    await assert.rejects(docker.start(side), { status: 409, message: `cannot join network of a non running container: ${main.id}` })
  })

  test('published ports: who gets which, and what is told of them', async () => {
    const aa = await docker.run('aa', { ExposedPorts: { '80/tcp': {} }, HostConfig: { PublishAllPorts: true } })
    const both = (port: number): object[] => [
      { HostIp: '0.0.0.0', HostPort: String(port) },
      { HostIp: '::', HostPort: String(port) }
    ]
    assert.deepEqual(docker.service.settings(aa).Ports, { '80/tcp': both(32768) })
    const bb = await docker.run('bb', {
      ExposedPorts: { '80/tcp': {}, '1000/tcp': {}, '1001/tcp': {}, '53/udp': {} },
      HostConfig: { PublishAllPorts: true }
    })
    assert.deepEqual(docker.service.settings(bb).Ports, {
      '1000/tcp': both(32770),
      '1001/tcp': both(32769),
      '53/udp': both(32768),
      '80/tcp': both(32771)
    })
    await docker.remove(aa)
    const published = (HostPort: string, HostIp = ''): object => ({
      ExposedPorts: { '80/tcp': {} },
      HostConfig: { PortBindings: { '80/tcp': [{ HostIp, HostPort }] } }
    })
    await docker.run('cc', published('8080'))
    const failed = 'driver failed programming external connectivity on endpoint'
    const refused = async (request: object, reason: string): Promise<void> => {
      const container = docker.create('refused', request)
      await assert.rejects(docker.start(container), (error: Error) => {
        assert.match(error.message, new RegExp(`^${failed} refused \\([0-9a-f]{64}\\): `))
        assert.equal(error.message.slice(error.message.indexOf('): ') + 3), reason)
        return true
      })
      await docker.remove(container)
    }
    await refused(published('8080'), 'Bind for 0.0.0.0:8080 failed: port is already allocated')
    await refused(published('8080', '127.0.0.1'), 'Error starting userland proxy: listen tcp4 127.0.0.1:8080: bind: address already in use')
    await refused(published('8400'), 'Error starting userland proxy: listen tcp4 0.0.0.0:8400: bind: address already in use')
    await docker.run('dd', published('8500-8501'))
    const ee = await docker.run('ee', published('8500-8501'))
    assert.deepEqual(docker.service.settings(ee).Ports, { '80/tcp': both(8501) })
    await refused(published('8500-8501'), 'all ports are allocated')
    assert.deepEqual(docker.service.ports(ee), [
      { IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8501, Type: 'tcp' },
      { IP: '::', PrivatePort: 80, PublicPort: 8501, Type: 'tcp' }
    ])
    await docker.stop(ee)
    assert.deepEqual([docker.service.settings(ee).Ports, docker.service.ports(ee)], [{}, []])
  })

  test('ports move with the way out', async () => {
    await create('net')
    await create('net2')
    await create('closed', undefined, { Internal: true })
    const port = (): string | undefined => docker.service.settings(ff).Ports['80/tcp']?.[0]?.HostPort
    const ff = await docker.run('ff', {
      ...on('net'),
      ExposedPorts: { '80/tcp': {} },
      HostConfig: { NetworkMode: 'net', PublishAllPorts: true }
    })
    assert.equal(port(), '32768')
    await docker.service.connect(ff, 'net2', null)
    assert.equal(port(), '32768')
    await docker.service.disconnect(ff, 'net', false)
    assert.equal(port(), '32769')
    await docker.service.connect(ff, 'closed', null)
    await docker.service.disconnect(ff, 'net2', false)
    assert.deepEqual(docker.service.settings(ff).Ports, {})
  })

  test('events as net-events recorded them', async () => {
    await create('net2', '10.210.0.0/24')
    const c1 = await docker.run('c1', on('net2'))
    await docker.service.connect(c1, 'bridge', null)
    await docker.service.disconnect(c1, 'bridge', false)
    await docker.remove(c1)
    await docker.world.networks.remove('net2')
    await create('net')
    assert.deepEqual(await docker.world.networks.prune(new Filters()), { NetworksDeleted: ['net'] })
    const said = docker.world.events.history(Filters.parse('{"type":["network"]}'), 0n)
    assert.deepEqual(
      said.map(({ Action, Actor }) => `${Action} ${Actor.Attributes['name']} ${Actor.Attributes['type']}`),
      [
        'create net2 bridge',
        'connect net2 bridge',
        'connect bridge bridge',
        'disconnect bridge bridge',
        'disconnect bridge bridge',
        'disconnect net2 bridge',
        'destroy net2 bridge',
        'create net bridge',
        'destroy net bridge',
        'prune undefined undefined'
      ]
    )
    assert.equal(said[1]!.Actor.Attributes['container'], c1.id)
  })

  // A daemon killed between the two would otherwise find one address with two containers.
  test('a disconnect is saved before its address is free', async () => {
    await create('net', '10.8.0.0/24')
    const c1 = await docker.run('c1', on('net'))
    const seen: [attachments: number, endpoints: number][] = []
    c1.onSave = () => {
      seen.push([c1.networking.attachments.length, docker.world.controller.network('net').endpoints.size])
    }
    await docker.service.disconnect(c1, 'net', false)
    assert.deepEqual(seen, [
      [0, 1],
      [0, 0]
    ])
  })

  test('a rename is seen in the network at once', async () => {
    await create('net')
    const c3 = await docker.run('c3', on('net'))
    c3.name = 'c9'
    await docker.service.renamed(c3, 'c3')
    const { Containers } = docker.world.networks.inspect('net')
    assert.equal(Containers[c3.id]!.Name, 'c9')
    const [endpoint] = docker.world.controller.network('net').endpoints.values()
    assert.deepEqual([endpoint!.name, endpoint!.names], ['c9', ['c9', c3.id.slice(0, 12)]])
  })
})

test('the next daemon: networks and endpoints as they were, and what nobody claims is dropped', async () => {
  const first = await networkWorld()
  const before = new ContainerWorld(first, { interfaces: new VirtualInterfaces(first.controller) })
  await first.networks.create({ Name: 'net', EnableIPv6: true, IPAM: { Config: [{ Subnet: 'fd00:5::/64' }] }, Labels: { a: 'b' } })
  await first.networks.create({ Name: 'a:b', IPAM: { Config: [{ Subnet: '10.5.0.0/24', IPRange: '10.5.0.64/26', Gateway: '10.5.0.9' }] } })
  const kept = await before.run('kept', on('net'))
  await before.run('lost', on('net'))
  await before.service.connect(kept, 'a:b', null)
  const shown = first.networks.inspect('net')
  const settings = before.service.settings(kept)
  const other = first.networks.inspect('a:b')

  const second = await networkWorld(first.store)
  const after = new ContainerWorld(second, { interfaces: new VirtualInterfaces(second.controller) })
  await after.service.restore(kept)
  await second.networks.reconcile()
  assert.deepEqual(second.networks.inspect('net'), { ...shown, Containers: { [kept.id]: shown.Containers[kept.id] } })
  assert.deepEqual(second.networks.inspect('a:b'), other)
  assert.deepEqual(after.service.settings(kept), settings)
  assert.equal([...second.store.list('endpoint/')].length, 2)
  const next = await after.run('next', on('net'))
  assert.equal(after.service.settings(next).Networks['net']!.GlobalIPv6Address, 'fd00:5::3')
  const ranged = await after.run('ranged', on('a:b'))
  assert.equal(after.service.settings(ranged).Networks['a:b']!.IPAddress, '10.5.0.65')
  await after.service.stop(kept)
  await after.close()
  await before.close()
})
