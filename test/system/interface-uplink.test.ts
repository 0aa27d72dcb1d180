// The uplink `interface`: a station of our own on the LAN behind an existing interface, which its machine goes on using.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { loadNative } from '../../src/io/load-native.ts'
import { Netlink } from '../../src/io/netlink/netlink.ts'
import { InterfaceUplink } from '../../src/network/uplinks/interface-uplink.ts'
import type { ContainerWorld, TestContainer } from '../docker/container-world.ts'
import { dockerHost } from '../docker/docker-host.ts'
import { run } from './sandbox-set-up.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/** `host` is the machine with eth0 on the LAN; `lan` is everybody else there, and the way to 198.51.100.0/24. */
describe('uplink interface', { skip: namespacesMissing('ip', 'ping') }, () => {
  let host: TestNamespace
  let lan: TestNamespace
  let docker: ContainerWorld
  let client: TestContainer

  before(async () => {
    host = new TestNamespace()
    lan = new TestNamespace()
    const commands = (namespace: TestNamespace, ...lines: string[]): void => {
      for (const line of lines) namespace.run('ip', ...line.split(' '))
    }
    commands(host, `link add eth0 type veth peer name lan0 netns ${lan.path}`)
    commands(host, 'link set eth0 up', 'address add 192.0.2.50/24 dev eth0')
    commands(lan, 'link set lan0 up', 'link set lo up', 'address add 192.0.2.1/24 dev lan0', 'address add 198.51.100.10/32 dev lo')
    commands(host, 'route add default via 192.0.2.1')
    docker = await dockerHost(uplink())
    await docker.world.networks.create({ Name: 'front', IPAM: { Config: [{ Subnet: '10.75.0.0/24' }] } })
    client = await docker.run('client', {
      ExposedPorts: { '80/udp': {} },
      HostConfig: { NetworkMode: 'front', PortBindings: { '80/udp': [{ HostIp: '192.0.2.9', HostPort: '8080' }] } }
    })
  })
  after(async () => {
    await docker?.close()
    host?.close()
    lan?.close()
  })

  const uplink = (more: Partial<{ address: string; interface: string; gateway: string }> = {}): InterfaceUplink => {
    const native = loadNative()
    const netlink = Netlink.inNamespace(native, host.fd)
    return new InterfaceUplink({ native, netlink, netns: host.fd, interface: 'eth0', address: '192.0.2.9/24', ...more })
  }
  const ping = async (...words: string[]): Promise<string> =>
    (await run(client.sandbox!, ['ping', '-n', '-c', '1', '-W', '1', ...words])).stdout

  test('out to the LAN and by its router; the machine keeps its own address and traffic', async () => {
    assert.match(await ping('192.0.2.1'), /ttl=63 /)
    assert.match(await ping('198.51.100.10'), / 1 received/)
    assert.match(await ping('-s', '4000', '192.0.2.1'), /4008 bytes from/)
    assert.match(host.run('ping', '-n', '-c', '1', '-W', '1', '192.0.2.1'), / 1 received/)
    assert.match(lan.run('ping', '-n', '-c', '1', '-W', '1', '192.0.2.9'), / 1 received/)
    const [neighbor] = lan.ip('neighbor', 'show', '192.0.2.9')
    assert.equal(neighbor['lladdr'], '02:42:c0:00:02:09')
  })

  test('ports are published on the LAN, on our address alone', async () => {
    const server =
      "require('dgram').createSocket('udp4').on('message', function (data, from) { this.send('hello ' + from.address, from.port, from.address) })"
    await client.sandbox!.spawn({ argv: [process.execPath, '-e', `${server}.bind(80)`], stdio: ['null', 'null', 'inherit'] })
    const ask = `const udp = require('dgram').createSocket('udp4')
      udp.on('message', (data) => { console.log(String(data)); process.exit() })
      const send = () => udp.send('x', 8080, '192.0.2.9')
      setInterval(send, 200); setTimeout(() => process.exit(1), 5000); send()`
    assert.equal((await lan.exec(process.execPath, '-e', ask)).stdout, 'hello 192.0.2.1\n')
    const port = { key: 'a', protocol: 'udp', address: '192.0.2.50', port: 1, target: '10.75.0.2', targetPort: 1, network: '' } as const
    await assert.rejects(uplink().publish([port]), { code: 'unsupported', errno: 'EADDRNOTAVAIL' })
  })

  test('what cannot be is refused, with the name or value in the message', async () => {
    const world = { hostAddresses: (): void => {}, changed: async (): Promise<void> => {}, log: (): void => {}, failed: (): void => {} }
    await assert.rejects(uplink({ interface: 'eth9' }).start(world), { code: 'invalid', message: 'there is no interface eth9' })
    assert.throws(() => uplink({ address: 'nonsense' }), { code: 'invalid', message: /^uplink address 'nonsense' is wrong/ })
    assert.throws(() => uplink({ gateway: '::1' }), { code: 'invalid' })
  })
})
