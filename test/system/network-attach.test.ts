import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { Attachments } from '../../src/docker/network/attachments.ts'
import { DockerNetworkBackend } from '../../src/docker/network/network-backend.ts'
import type { ContainerWorld } from '../docker/container-world.ts'
import { dockerHost } from '../docker/docker-host.ts'
import { run } from './sandbox-set-up.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

describe('endpoints of processes and machines that no container holds', { skip: namespacesMissing('unshare', 'ping', 'dig', 'ip') }, () => {
  let docker: ContainerWorld
  let backend: DockerNetworkBackend
  let attachments: Attachments
  let machines: TestNamespace
  const children: ChildProcess[] = []

  before(async () => {
    docker = await dockerHost()
    machines = new TestNamespace()
    const { networks, controller, random } = docker.world
    attachments = new Attachments({ networks, controller, random, tapNamespace: machines.fd })
    backend = new DockerNetworkBackend({ networks, containerNetworks: docker.service, containers: docker, attachments })
    await networks.create({ Name: 'lan', IPAM: { Config: [{ Subnet: '10.46.0.0/24' }] } })
  })
  after(async () => {
    await attachments?.close()
    for (const child of children) child.kill('SIGKILL')
    machines?.close()
    await docker?.close()
  })

  /** A process of somebody else's, with an empty network namespace. */
  async function stranger(): Promise<number> {
    const child = spawn('unshare', ['--net', 'sh', '-c', 'echo up; exec sleep 1000'], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    await once(child.stdout!, 'data')
    return child.pid!
  }
  const inside = (pid: number, ...argv: string[]): string =>
    spawnSync('nsenter', [`--net=/proc/${pid}/ns/net`, ...argv], { encoding: 'utf8' }).stdout

  test('an endpoint whose record cannot be written is taken away again, and its address with it', async () => {
    const pid = await stranger()
    const { networks } = docker.world
    const addEndpoint = networks.addEndpoint.bind(networks)
    networks.addEndpoint = async (endpoint) => {
      networks.addEndpoint = addEndpoint
      throw new Error(`no space left for ${endpoint.name}`)
    }
    await assert.rejects(backend.attach({ network: 'lan', pid, name: 'db' }), { message: 'no space left for db' })
    assert.deepEqual((await backend.inspect('lan', '')).Containers, {})
    assert.equal(inside(pid, 'ip', '-o', 'link', 'show', 'eth0'), '')
    const { ip } = await backend.attach({ network: 'lan', pid, name: 'db' })
    assert.equal(ip, '10.46.0.2', 'the first address is free')
    await backend.detach('lan', 'db')
  })

  test('a process: seen by inspect, reached by name from a container, gone after detach', async () => {
    const pid = await stranger()
    const endpoint = await backend.attach({ network: 'lan', pid, name: 'db', aliases: ['base'], ip: '10.46.0.9' })
    const { id } = endpoint
    assert.deepEqual(endpoint, {
      network: 'lan',
      id,
      name: 'db',
      ip: '10.46.0.9',
      ip6: '',
      mac: '02:42:0a:2e:00:09',
      subnet: '10.46.0.0/24',
      gateway: '10.46.0.1',
      ifname: 'eth0'
    })
    assert.deepEqual((await backend.inspect('lan', '')).Containers, {
      [`ep-${id}`]: { Name: 'db', EndpointID: id, MacAddress: '02:42:0a:2e:00:09', IPv4Address: '10.46.0.9/24', IPv6Address: '' }
    })
    const web = await docker.run('web', { HostConfig: { NetworkMode: 'lan' } })
    const said = await run(web.sandbox!, ['sh', '-c', 'dig +short base @127.0.0.11; ping -c 1 -W 60 10.46.0.9'])
    assert.match(said.stdout, /^10\.46\.0\.9\n.* 0% packet loss/s)
    assert.equal(inside(pid, 'dig', '+short', 'web', '@127.0.0.11').trim(), '10.46.0.2')
    await assert.rejects(backend.remove('lan'), { status: 403 })
    await assert.rejects(backend.attach({ network: 'lan', pid, name: 'db' }), {
      message: 'endpoint with name db already exists in network lan'
    })
    await assert.rejects(backend.attach({ network: 'lan', pid, name: 'more' }), { status: 409 }, 'eth0 is there already')
    await backend.disconnect('lan', 'db', true)
    assert.deepEqual(Object.keys((await backend.inspect('lan', '')).Containers), [web.id])
    assert.equal(inside(pid, 'ip', '-o', 'link', 'show', 'eth0'), '')
    await assert.rejects(backend.detach('lan', 'db'), { status: 404, message: 'endpoint db not found' })
    await docker.remove(web)
  })

  test('a namespace by its path, with another name for the interface', async () => {
    const pid = await stranger()
    const endpoint = await backend.attach({ network: 'lan', netns: `/proc/${pid}/ns/net`, name: 'blue', ifname: 'lan0', mtu: 1400 })
    assert.match(inside(pid, 'ip', '-o', 'link', 'show', 'lan0'), /mtu 1400/)
    assert.match(inside(pid, 'ping', '-c', '1', '-W', '60', endpoint.gateway), / 0% packet loss/)
    await backend.detach('lan', 'blue')
  })

  test('a TAP for a virtual machine: made, kept an address for, taken away', async () => {
    const endpoint = await backend.attach({ network: 'lan', tap: { name: 'tap7', user: '65534' } })
    assert.deepEqual([endpoint.name, endpoint.ifname], ['tap7', 'tap7'])
    assert.match(JSON.stringify(machines.ip('link', 'show', 'tap7')), /"tap"/)
    await backend.detach('lan', 'tap7')
    assert.throws(() => machines.run('ip', 'link', 'show', 'tap7'), /does not exist/)
  })

  test('what cannot be attached', async () => {
    const refusals: [object, number, RegExp][] = [
      [{ network: 'nosuch', pid: 1 }, 404, /^network nosuch not found$/],
      [{ network: 'host', pid: 1 }, 400, /host has no endpoints/],
      [{ network: 'lan' }, 400, /exactly one of pid, netns, tap and virtual/],
      [{ network: 'lan', pid: 1, netns: '/x' }, 400, /exactly one/],
      [{ network: 'lan', pid: 4194300 }, 404, /there is no process 4194300/],
      [{ network: 'lan', netns: '/nosuch' }, 404, /nosuch/],
      [{ network: 'lan', netns: '/etc/passwd' }, 400, /not a network namespace/],
      [{ network: 'lan', pid: process.pid, name: '../x' }, 400, /endpoint name '\.\.\/x' is invalid/],
      [{ network: 'lan', tap: { name: 'tap8', user: 'no-such-user' } }, 400, /there is no such user/]
    ]
    for (const [request, status, message] of refusals) {
      await assert.rejects(backend.attach(request as { network: string }), (error: Error & { status?: number }) => {
        assert.match(error.message, message)
        assert.equal(error.status, status, error.message)
        return true
      })
    }
    const pid = await stranger()
    await assert.rejects(backend.attach({ network: 'lan', pid, ip: '10.47.0.1' }), /does not belong|It does not belong/)
    assert.equal(inside(pid, 'ip', '-o', 'link', 'show', 'eth0'), '', 'nothing is left in the namespace')
    assert.deepEqual((await backend.inspect('lan', '')).Containers, {})
  })
})
