// The uplink `interface` with an address that a real DHCP server leases.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { loadNative } from '../../src/io/load-native.ts'
import { Netlink } from '../../src/io/netlink/netlink.ts'
import { InterfaceUplink } from '../../src/network/uplinks/interface-uplink.ts'
import type { ContainerWorld, TestContainer } from '../docker/container-world.ts'
import { until } from '../docker/daemon-process.ts'
import { dockerHost } from '../docker/docker-host.ts'
import { run } from './sandbox-set-up.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/** Seconds, with half of which the client renews it. */
const LEASE = 4

/** `host` is the machine with eth0 on the LAN; `lan` is everybody else there, and the way to 198.51.100.0/24. */
describe('uplink interface with DHCP', { skip: namespacesMissing('ip', 'ping', 'busybox') }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-dhcp-'))
  let host: TestNamespace
  let lan: TestNamespace
  let docker: ContainerWorld
  let client: TestContainer
  let stopServer = (): void => {}
  let told = ''

  /** A server with one address to give, in place of the one before. */
  const serve = (address: string): void => {
    stopServer()
    const file = path.join(folder, `${address}.conf`)
    const lines = [
      `start ${address}\nend ${address}\ninterface lan0\nmin_lease 1`,
      `lease_file ${path.join(folder, `${address}.leases`)}\npidfile ${path.join(folder, `${address}.pid`)}`,
      `option subnet 255.255.255.0\noption router 192.0.2.1\noption lease ${LEASE}\n`
    ]
    writeFileSync(file, lines.join('\n'))
    const server = lan.start('busybox', 'udhcpd', '-f', file)
    for (const stream of [server.stdout!, server.stderr!]) {
      stream.on('data', (data) => {
        told += data
      })
    }
    stopServer = () => void server.kill('SIGKILL')
  }
  const ping = async (address: string): Promise<string> => {
    const { stdout } = await run(client.sandbox!, ['ping', '-n', '-c', '1', '-W', '2', address])
    return stdout
  }
  const addresses = (): readonly string[] => {
    const neighbors = lan.ip('neighbor', 'show', 'dev', 'lan0')
    return neighbors.filter(({ lladdr }) => lladdr !== undefined).map(({ dst, lladdr }) => `${dst} ${lladdr}`)
  }

  before(async () => {
    host = new TestNamespace()
    lan = new TestNamespace()
    const commands = (namespace: TestNamespace, ...lines: string[]): void => {
      for (const line of lines) namespace.run('ip', ...line.split(' '))
    }
    commands(host, `link add eth0 type veth peer name lan0 netns ${lan.path}`, 'link set eth0 up', 'link set lo up')
    commands(lan, 'link set lan0 up', 'link set lo up', 'address add 192.0.2.1/24 dev lan0', 'address add 198.51.100.10/32 dev lo')
    serve('192.0.2.100')
    const native = loadNative()
    const netlink = Netlink.inNamespace(native, host.fd)
    docker = await dockerHost(
      new InterfaceUplink({ native, netlink, netns: host.fd, interface: 'eth0', addresses: [], hostName: 'loom', mac: '02:cc:00:00:00:09' })
    )
    await docker.world.networks.create({ Name: 'front', IPAM: { Config: [{ Subnet: '10.77.0.0/24' }] } })
    client = await docker.run('client', { HostConfig: { NetworkMode: 'front' } })
  })
  after(async () => {
    await docker?.close()
    host?.close()
    lan?.close()
    rmSync(folder, { recursive: true })
  })

  test('a lease, and with it the way out by the router that the server names', async () => {
    await until('a container reaches what lies behind the router', async () => (await ping('198.51.100.10')).includes(' 1 received'))
    assert.ok(addresses().includes('192.0.2.100 02:cc:00:00:00:09'), String(addresses()))
    lan.run('ping', '-n', '-c', '1', '-w', '60', '192.0.2.100')
  })

  test('renewed before it ends', async () => {
    const acknowledged = (): number => told.split('sending ACK to 192.0.2.100').length - 1
    await until('the server acknowledges it again', () => acknowledged() >= 2)
    // A client that the machine kept from renewing in time begins anew, and is without an address meanwhile.
    await until('a container gets out', async () => (await ping('198.51.100.10')).includes(' 1 received'))
  })

  test('another server gives another address: that of the lease that ended is not used any more', async () => {
    serve('192.0.2.101')
    await until('the new address is in use', async () => {
      await ping('198.51.100.10')
      return addresses().includes('192.0.2.101 02:cc:00:00:00:09')
    })
    await assert.rejects(async () => lan.run('ping', '-n', '-c', '1', '-W', '1', '192.0.2.100'))
  })
})
