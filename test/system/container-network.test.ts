import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { ContainerWorld, TestContainer } from '../docker/container-world.ts'
import { until } from '../docker/daemon-process.ts'
import { dockerHost } from '../docker/docker-host.ts'
import { noSandbox, run } from './sandbox-set-up.ts'

/** A container on one network. */
const on = (network: string, config: object = {}): object => ({
  HostConfig: { NetworkMode: network },
  NetworkingConfig: { EndpointsConfig: { [network]: config } }
})

describe('containers on networks, with processes', { skip: noSandbox }, () => {
  let docker: ContainerWorld
  before(async () => {
    docker = await dockerHost()
  })
  after(() => docker?.close())

  const create = (Name: string, subnets: string[], more: object = {}): Promise<unknown> =>
    docker.world.networks.create({ Name, IPAM: { Config: subnets.map((Subnet) => ({ Subnet })) }, ...more })

  const said = async ({ sandbox }: TestContainer, command: string): Promise<string> => {
    const { stdout, stderr } = await run(sandbox!, ['sh', '-c', command])
    return `${stdout}${stderr}`.trim()
  }
  /** Asks the server that resolv.conf names, as a library would. */
  const resolves = (container: TestContainer, name: string, type = 'A'): Promise<string> =>
    said(container, `dig +short +tries=1 +time=60 ${type} ${name} @127.0.0.11 2>&1`)

  test('addresses, MAC, MTU, routes and IPv6 are those of the endpoint', async () => {
    await create('six', ['10.41.0.0/24', 'fd00:41::/64'], { EnableIPv6: true, Options: { 'com.docker.network.driver.mtu': '1400' } })
    await create('four', ['10.42.0.0/24'])
    const [one, two] = [await docker.run('one', on('six')), await docker.run('two', on('six'))]
    assert.equal(await said(one, 'ip -o -4 addr show eth0 | cut -d" " -f 7-11'), '10.41.0.2/24 brd 10.41.0.255 scope global')
    assert.match(await said(one, 'ip -o -6 addr show eth0 scope global'), /fd00:41::2\/64/)
    assert.match(await said(one, 'ip -o -6 addr show lo'), /::1\/128/)
    assert.equal(await said(one, 'cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu'), '02:42:0a:29:00:02\n1400')
    assert.match(await said(one, 'ip -4 route show default'), /^default via 10\.41\.0\.1 dev eth0/)
    assert.match(await said(one, 'ip -6 route show default'), /^default via fd00:41::1 dev eth0/)
    assert.match(await said(one, 'ping -c 1 -W 60 10.41.0.3'), / 0% packet loss/)
    assert.match(await said(one, 'ping -6 -c 1 -W 60 fd00:41::3'), / 0% packet loss/)
    const four = await docker.run('three', on('four'))
    assert.equal(await said(four, 'cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6; ip -6 addr'), '1')
    const counters = docker.service.counters(one)
    assert.ok(counters['eth0']!.tx_packets > 1 && counters['eth0']!.rx_bytes > 100, JSON.stringify(counters))
    for (const container of [one, two, four]) await docker.remove(container)
  })

  test('names: of all networks, aliases, links, PTR; gone with the endpoint; and DNS nowhere but at 127.0.0.11', async () => {
    await create('n1', ['10.43.0.0/24'])
    await create('n2', ['10.44.0.0/24'])
    const asker = await docker.run('asker', on('n1', { Links: ['late:l'] }))
    const web = await docker.run('web', on('n1', { Aliases: ['www'] }))
    await docker.service.connect(web, 'n2', null)
    assert.equal(await resolves(asker, 'web'), '10.43.0.3')
    assert.equal(await resolves(asker, 'www.n1'), '10.43.0.3')
    assert.equal(await resolves(asker, web.id.slice(0, 12)), '10.43.0.3')
    assert.equal(await resolves(asker, '3.0.43.10.in-addr.arpa', 'PTR'), 'web.n1.')
    assert.equal(await resolves(asker, 'l'), '')
    const late = await docker.run('late', on('n1'))
    assert.equal(await resolves(asker, 'l'), '10.43.0.4')
    assert.equal(await resolves(web, 'l'), '')
    await docker.service.connect(asker, 'n2', null)
    assert.equal(await resolves(asker, 'web.n2'), '10.44.0.2')
    await docker.service.disconnect(asker, 'n1', false)
    assert.equal(await resolves(asker, 'web'), '10.44.0.2')
    assert.equal(await said(asker, 'ip -o link | cut -d: -f2 | tr -d " " | sort | tr "\\n" " "'), 'eth1 lo')
    assert.match(await said(asker, 'ip route show default'), /via 10\.44\.0\.1 dev eth1/)
    assert.match(await said(asker, 'dig +tries=1 +time=1 web @10.44.0.1 2>&1'), /refused|no servers could be reached/)
    await docker.stop(web)
    assert.equal(await resolves(asker, 'web'), '')
    for (const container of [asker, web, late]) await docker.remove(container)
  })

  test('a shared namespace sees the other’s interfaces, and loses them with it', async () => {
    const main = await docker.run('main')
    const side = await docker.run('side', { HostConfig: { NetworkMode: 'container:main' } })
    assert.match(await said(side, 'ip -o -4 addr show eth0'), /172\.17\.0\.2\/16/)
    const none = await docker.run('none', { HostConfig: { NetworkMode: 'none' } })
    assert.equal(await said(none, 'ip -o link | wc -l; ip route'), '1')
    await docker.stop(main)
    await until('eth0 has gone', async () => (await said(side, 'ip -o link | wc -l')) === '1')
    for (const container of [side, none, main]) await docker.remove(container)
  })

  test('a MAC that no interface can have is refused, and nothing is left', async () => {
    await create('macs', ['10.45.0.0/24'])
    const request = { ...on('macs'), MacAddress: '01:00:5e:00:00:01' }
    await assert.rejects(docker.run('group', request), /MAC to \\"01:00:5e:00:00:01\\": cannot assign requested address/)
    assert.equal(docker.world.networks.find('macs').endpoints.size, 0)
    const own = await docker.run('own', { ...on('macs'), MacAddress: '12-34-56-78-9A-BC' })
    assert.equal(await said(own, 'cat /sys/class/net/eth0/address'), '12:34:56:78:9a:bc')
    assert.equal(docker.service.settings(own).Networks['macs']!.IPAddress, '10.45.0.2')
    await docker.remove(own)
  })
})
