// Containers with real kernels behind our router and NAT, and the world another kernel: TCP, UDP, ICMP, published ports.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { Inspection } from '../../src/network/inspection.ts'
import type { ContainerWorld, TestContainer } from '../docker/container-world.ts'
import { dockerHost } from '../docker/docker-host.ts'
import { eventually, run } from './sandbox-set-up.ts'
import { OUR_ADDRESS, TapUplink, WORLD_ADDRESS } from './tap-uplink.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/** Tells everybody under which address it sees them, by TCP and UDP on one port. */
const SERVER = `
const port = Number(process.argv[1])
const bare = (address) => address.replace('::ffff:', '')
require('net').createServer((socket) => { socket.on('error', () => {}); socket.end('you are ' + bare(socket.remoteAddress)) }).listen(port, '::', () => {
  const udp = require('dgram').createSocket({ type: 'udp6' })
  udp.on('message', (data, from) => udp.send('you are ' + bare(from.address) + ' and sent ' + data.length, from.port, from.address))
  udp.bind(port, '::', () => console.log('up'))
})`

/** Prints what the server says, or the error's code. */
const CLIENT = `
const [protocol, host, port, size] = process.argv.slice(1)
const give = (text) => { console.log(text); process.exit() }
setTimeout(() => give('silence'), 60_000)
if (protocol === 'tcp') {
  let text = ''
  require('net').connect(Number(port), host).on('data', (data) => { text += data }).on('end', () => give(text)).on('error', ({ code }) => give(code))
} else {
  const udp = require('dgram').createSocket(host.includes(':') ? 'udp6' : 'udp4')
  udp.on('message', (data) => give(String(data))).on('error', ({ code }) => give(code))
  udp.connect(Number(port), host, () => udp.send(Buffer.alloc(Number(size ?? 5))))
}`

const IPV6 = { EnableIPv6: true }

describe('networks behind the gateway', { skip: namespacesMissing('ip', 'ping') }, () => {
  let world: TestNamespace
  let docker: ContainerWorld
  let inspection: Inspection
  let web: TestContainer
  let client: TestContainer
  let far: TestContainer

  before(async () => {
    world = new TestNamespace()
    docker = await dockerHost(new TapUplink(world))
    inspection = new Inspection(docker.world.controller)
    const create = (Name: string, subnets: string[], more: object = {}): Promise<unknown> =>
      docker.world.networks.create({ Name, IPAM: { Config: subnets.map((Subnet) => ({ Subnet })) }, ...more })
    await create('front', ['10.71.0.0/24', '2001:db8:71::/64'], IPV6)
    await create('back', ['10.72.0.0/24'])
    await create('closed', ['10.73.0.0/24'], { Internal: true })
    web = await docker.run('web', {
      ExposedPorts: { '80/tcp': {}, '80/udp': {} },
      HostConfig: {
        NetworkMode: 'front',
        PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }], '80/udp': [{ HostIp: '', HostPort: '8080' }] }
      }
    })
    client = await docker.run('client', { HostConfig: { NetworkMode: 'front' } })
    far = await docker.run('far', { HostConfig: { NetworkMode: 'back' } })
    const server = await web.sandbox!.spawn({ argv: [process.execPath, '-e', SERVER, '80'], stdio: ['null', 'pipe', 'inherit'] })
    await Promise.all([once(server.stdout!, 'data'), once(world.start(process.execPath, '-e', SERVER, '7000').stdout!, 'data')])
  })
  after(async () => {
    await docker?.close()
    world?.close()
  })

  const ask = async ({ sandbox }: TestContainer, ...words: string[]): Promise<string> =>
    (await run(sandbox!, [process.execPath, '-e', CLIENT, ...words])).stdout.trim()
  const askFromWorld = async (...words: string[]): Promise<string> =>
    (await world.exec(process.execPath, '-e', CLIENT, ...words)).stdout.trim()
  const ping = async ({ sandbox }: TestContainer, ...words: string[]): Promise<string> =>
    (await run(sandbox!, ['ping', '-n', '-c', '1', '-W', '60', ...words])).stdout
  /** Where no answer is to come: that is not waited for. */
  const vainPing = async ({ sandbox }: TestContainer, address: string): Promise<string> =>
    (await run(sandbox!, ['ping', '-n', '-c', '1', '-W', '1', address])).stdout

  test('masquerade: TCP, UDP, echo, fragments, IPv6; one hop, and a gateway that traceroute sees', async () => {
    assert.equal(await ask(client, 'tcp', WORLD_ADDRESS, '7000'), `you are ${OUR_ADDRESS}`)
    assert.equal(await ask(far, 'udp', WORLD_ADDRESS, '7000'), `you are ${OUR_ADDRESS} and sent 5`)
    assert.equal(await ask(client, 'udp', WORLD_ADDRESS, '7000', '20000'), `you are ${OUR_ADDRESS} and sent 20000`)
    assert.equal(await ask(client, 'tcp', '2001:db8:2::60', '7000'), 'you are 2001:db8:2::50')
    const hears = await run(client.sandbox!, ['cat', '/proc/sys/net/ipv6/conf/eth0/accept_ra'])
    assert.equal(hears.stdout, '0\n', 'the gateway is given, and no advertisement takes its place')
    assert.match(await ping(client, WORLD_ADDRESS), /icmp_seq=1 ttl=63 /)
    assert.match(await ping(client, '-s', '4000', WORLD_ADDRESS), /4008 bytes from/)
    assert.match(await ping(client, '-t', '1', WORLD_ADDRESS), /From 10\.71\.0\.1 icmp_seq=1 Time to live exceeded/)
    assert.equal(await ask(client, 'tcp', WORLD_ADDRESS, '7001'), 'ECONNREFUSED')
    assert.equal(await ask(client, 'udp', WORLD_ADDRESS, '7001'), 'ECONNREFUSED', 'ICMP errors come back through the NAT')
    const flows = await inspection.flows({ address: WORLD_ADDRESS, protocol: 'tcp' })
    assert.ok(flows.length > 0 && flows.every(({ snat, egress }) => snat && egress === 'wan0'))
  })

  test('networks are isolated, and the world cannot walk in', async () => {
    assert.match(await vainPing(far, '10.71.0.2'), / 0 received/)
    assert.match(await ping(far, '10.71.0.1'), / 1 received/)
    world.run('ip', 'route', 'add', '10.71.0.0/24', 'via', OUR_ADDRESS)
    assert.match((await world.exec('ping', '-n', '-c', '1', '-W', '1', '10.71.0.3')).stdout, / 0 received/)
    world.run('ip', 'route', 'delete', '10.71.0.0/24')
    const closed = await docker.run('closed', { HostConfig: { NetworkMode: 'closed' } })
    assert.match(await vainPing(closed, WORLD_ADDRESS), / 0 received/)
    for (const wanted of ['filter.isolated', 'filter.internal', 'filter.notPublished'])
      await eventually(`a drop as ${wanted}`, () => inspection.drops().some(({ reason }) => reason === wanted))
  })

  test('a published port: from the world, from other networks, from itself; gone with its container, back with it', async () => {
    assert.equal(await askFromWorld('tcp', OUR_ADDRESS, '8080'), `you are ${WORLD_ADDRESS}`)
    assert.equal(await askFromWorld('udp', OUR_ADDRESS, '8080'), `you are ${WORLD_ADDRESS} and sent 5`)
    for (const [who, address] of [
      [client, '10.71.0.1'],
      [far, '10.72.0.1'],
      [far, '10.71.0.1'],
      [far, OUR_ADDRESS],
      [web, OUR_ADDRESS]
    ] as const) {
      assert.equal(await ask(who, 'tcp', address, '8080'), 'you are 10.71.0.1', `${who.name} asks ${address}`)
    }
    assert.equal(await askFromWorld('tcp', OUR_ADDRESS, '8081'), 'ECONNREFUSED')
    const { verdict, text } = await inspection.explain('far', '10.72.0.1:8080')
    assert.deepEqual([verdict, text], ['delivered', 'web on front gets it as from 10.71.0.1'])
    await docker.stop(web)
    assert.equal(await askFromWorld('tcp', OUR_ADDRESS, '8080'), 'ECONNREFUSED')
    await docker.start(web)
    const server = await web.sandbox!.spawn({ argv: [process.execPath, '-e', SERVER, '80'], stdio: ['null', 'pipe', 'inherit'] })
    await once(server.stdout!, 'data')
    assert.equal(await askFromWorld('tcp', OUR_ADDRESS, '8080'), `you are ${WORLD_ADDRESS}`)
  })

  test('neighbors, routes and FDB are shown', async () => {
    const neighbors = await inspection.neighbors()
    assert.ok(neighbors.some(({ address, mac }) => address === '10.71.0.2' && mac === '02:42:0a:47:00:02'))
    assert.ok((await inspection.fdb('front')).some(({ endpoint }) => endpoint === 'web'))
    assert.deepEqual(
      (await inspection.routes()).find(({ prefix }) => prefix === '0.0.0.0/0'),
      { prefix: '0.0.0.0/0', kind: 'static', via: WORLD_ADDRESS, interface: 'wan0', active: true }
    )
  })
})
