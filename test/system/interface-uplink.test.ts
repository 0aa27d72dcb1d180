// The uplink `interface`: a station of our own on the LAN behind an existing interface, which its machine goes on using.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { realTimers } from '../../src/engine/clock.ts'
import { loadNative } from '../../src/io/load-native.ts'
import { Netlink } from '../../src/io/netlink/netlink.ts'
import type { UplinkPart } from '../../src/network/uplink.ts'
import { InterfaceUplink } from '../../src/network/uplinks/interface-uplink.ts'
import type { ContainerWorld, TestContainer } from '../docker/container-world.ts'
import { dockerHost } from '../docker/docker-host.ts'
import { run } from './sandbox-set-up.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

/** `host` is the machine with eth0 on the LAN; `lan` is everybody else there, and the way to 198.51.100.0/24. */
describe('uplink interface', { skip: namespacesMissing('ip', 'ping', 'curl') }, () => {
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
    commands(host, 'link set eth0 up', 'address add 192.0.2.50/24 dev eth0', 'address add 2001:db8::50/64 dev eth0 nodad')
    commands(lan, 'link set lan0 up', 'link set lo up', 'address add 192.0.2.1/24 dev lan0', 'address add 198.51.100.10/32 dev lo')
    commands(lan, 'address add 2001:db8::1/64 dev lan0 nodad', 'address add fe80::1/64 dev lan0 nodad')
    commands(lan, 'address add 2001:db8:f::10/128 dev lo')
    commands(host, 'route add default via 192.0.2.1', 'route add default via fe80::1 dev eth0')
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

  const uplink = (more: Partial<{ addresses: string[]; dhcp: boolean; interface: string; gateways: string[] }> = {}): InterfaceUplink => {
    const native = loadNative()
    const netlink = Netlink.inNamespace(native, host.fd)
    return new InterfaceUplink({
      native,
      netlink,
      netns: host.fd,
      interface: 'eth0',
      addresses: ['192.0.2.9/24', '2001:db8::9/64'],
      timers: { after: (ms, fire) => realTimers.after(ms / 20, fire) },
      ...more
    })
  }
  const ping = async (...words: string[]): Promise<string> =>
    (await run(client.sandbox!, ['ping', '-n', '-c', '1', '-W', '60', ...words])).stdout

  test('out to the LAN and by its router; the machine keeps its own address and traffic', async () => {
    assert.match(await ping('192.0.2.1'), /ttl=63 /)
    assert.match(await ping('198.51.100.10'), / 1 received/)
    assert.match(await ping('-s', '4000', '192.0.2.1'), /4008 bytes from/)
    assert.match(host.run('ping', '-n', '-c', '1', '-W', '60', '192.0.2.1'), / 1 received/)
    assert.match(lan.run('ping', '-n', '-c', '1', '-W', '60', '192.0.2.9'), / 1 received/)
    const [neighbor] = lan.ip('neighbor', 'show', '192.0.2.9')
    assert.equal(neighbor['lladdr'], '02:42:c0:00:02:09')
  })

  test('IPv6: out under our address, by the router of the machine; in by a published port', async () => {
    const config = [{ Subnet: '10.76.0.0/24' }, { Subnet: 'fd00:76::/64' }]
    await docker.world.networks.create({ Name: 'six', EnableIPv6: true, IPAM: { Config: config } })
    const six = await docker.run('six', {
      ExposedPorts: { '80/tcp': {} },
      HostConfig: { NetworkMode: 'six', PortBindings: { '80/tcp': [{ HostIp: '2001:db8::9', HostPort: '8086' }] } }
    })
    const inside = async (...argv: string[]): Promise<string> => (await run(six.sandbox!, argv)).stdout
    assert.match(await inside('ping', '-n', '-c', '1', '-W', '60', '2001:db8::1'), /ttl=63 /)
    assert.match(await inside('ping', '-n', '-c', '1', '-W', '60', '2001:db8:f::10'), / 1 received/)
    assert.match(await inside('ping', '-n', '-c', '1', '-W', '60', '192.0.2.1'), / 1 received/)
    const [neighbor] = lan.ip('-6', 'neighbor', 'show', '2001:db8::9')
    assert.equal(neighbor['lladdr'], '02:42:c0:00:02:09')
    const server = "require('http').createServer((q, a) => a.end(q.socket.remoteAddress)).listen(80, '::', () => console.log('up'))"
    const { stdout } = await six.sandbox!.spawn({ argv: [process.execPath, '-e', server], stdio: ['null', 'pipe', 'inherit'] })
    await once(stdout!, 'data')
    assert.equal(lan.run('curl', '-sS', '-m', '60', 'http://[2001:db8::9]:8086/'), '2001:db8::1')
  })

  test('ports are published on the LAN, on our address alone', async () => {
    const server =
      "require('dgram').createSocket('udp4').on('message', function (data, from) { this.send('hello ' + from.address, from.port, from.address) })"
    await client.sandbox!.spawn({ argv: [process.execPath, '-e', `${server}.bind(80)`], stdio: ['null', 'null', 'inherit'] })
    const ask = `const udp = require('dgram').createSocket('udp4')
      udp.on('message', (data) => { console.log(String(data)); process.exit() })
      const send = () => udp.send('x', 8080, '192.0.2.9')
      setInterval(send, 200); setTimeout(() => process.exit(1), 60_000); send()`
    assert.equal((await lan.exec(process.execPath, '-e', ask)).stdout, 'hello 192.0.2.1\n')
    const port = { key: 'a', protocol: 'udp', address: '192.0.2.50', port: 1, target: '10.75.0.2', targetPort: 1, network: '' } as const
    await assert.rejects(uplink().publish([port]), { code: 'unsupported', errno: 'EADDRNOTAVAIL' })
  })

  test('the MTU and the default route are those that the machine has now', async () => {
    const ip = (command: string): string => host.run('ip', ...command.split(' '))
    for (const command of ['link add eth6 type veth peer name eth66', 'link set eth66 up', 'link set eth6 up']) ip(command)
    ip('address add 203.0.113.50/24 dev eth6')
    const following = uplink({ interface: 'eth6', addresses: ['203.0.113.9/24'] })
    const parts: UplinkPart[] = []
    const logs: string[] = []
    const first = await following.start({
      hostAddresses: () => {},
      changed: async (part) => {
        parts.push(part)
      },
      listen: () => {},
      log: (message) => logs.push(message),
      failed: () => {}
    })
    const told = async (isTold: (part: UplinkPart) => boolean): Promise<void> => {
      for (let attempt = 0; attempt < 3000; attempt++) {
        if (parts.some(isTold)) return
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      assert.fail(`told only: ${JSON.stringify(parts)}`)
    }
    try {
      assert.deepEqual([first.routes, first.interface.mtu], [{}, 1500])
      ip('route add default via 203.0.113.1 dev eth6 metric 50')
      await told(({ routes }) => routes['0.0.0.0/0']?.via === '203.0.113.1')
      ip('link set eth6 mtu 1400')
      await told(({ interface: station }) => station.mtu === 1400)
      assert.deepEqual(parts.at(-1)!.elements, { 'uplink/eth6': { type: 'packet-socket', options: { ...socketOf(first), mtu: 1400 } } })
      ip('route replace default via 203.0.113.2 dev eth6 metric 50')
      await told(({ routes }) => routes['0.0.0.0/0']?.via === '203.0.113.2')
      const [route, mtu] = ['eth6: the way out is now by 203.0.113.1', 'eth6: its MTU is 1400 bytes now']
      assert.deepEqual(logs.slice(0, 2), [route, mtu])
    } finally {
      await following.close()
      loadNative().closeFd(socketOf(first).fd)
      ip('link delete eth6')
    }
  })

  test('an interface that goes is told; one that is down, has another name or was not ours is not', async () => {
    host.run('ip', 'link', 'add', 'eth7', 'type', 'veth', 'peer', 'name', 'eth8')
    const failures: string[] = []
    let told = (): void => {}
    const gone = new Promise<void>((resolve) => {
      told = resolve
    })
    const going = uplink({ interface: 'eth7' })
    const { elements } = await going.start({
      hostAddresses: () => {},
      changed: async () => {},
      listen: () => {},
      log: () => {},
      failed: ({ message }) => {
        failures.push(message)
        told()
      }
    })
    host.run('ip', 'link', 'add', 'other', 'type', 'veth', 'peer', 'name', 'other1')
    host.run('ip', 'link', 'delete', 'other')
    host.run('ip', 'link', 'set', 'eth7', 'down', 'name', 'eth9')
    await Netlink.inNamespace(loadNative(), host.fd).links.list()
    assert.deepEqual(failures, [])
    host.run('ip', 'link', 'delete', 'eth9')
    await gone
    assert.deepEqual(failures, ['the interface eth7 was deleted, or moved to another namespace'])
    await going.close()
    loadNative().closeFd((elements['uplink/eth7'].options as { fd: number }).fd)
  })

  test('what cannot be is refused, with the name or value in the message', async () => {
    const world = {
      hostAddresses: (): void => {},
      changed: async (): Promise<void> => {},
      listen: (): void => {},
      log: (): void => {},
      failed: (): void => {}
    }
    await assert.rejects(uplink({ interface: 'eth9' }).start(world), { code: 'invalid', message: 'there is no interface eth9' })
    assert.throws(() => uplink({ addresses: ['nonsense'] }), { code: 'invalid', message: /^uplink address 'nonsense' is wrong/ })
    assert.throws(() => uplink({ gateways: ['x'] }), { code: 'invalid', message: "uplink gateway 'x' is no address" })
    assert.throws(() => uplink({ addresses: [], dhcp: false }), { code: 'invalid', message: /needs an address/ })
    assert.throws(() => uplink({ addresses: ['192.0.2.9/24', '192.0.2.8/24'] }), { code: 'invalid', message: /one more of IPv4/ })
  })
})

function socketOf({ elements }: UplinkPart): { readonly fd: number } {
  return elements['uplink/eth6'].options as { fd: number }
}
