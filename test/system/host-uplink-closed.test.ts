// Nothing goes round our router, and nothing leaves under its address, whatever somebody does to the rules, routes and interfaces that
// the host uplink has made: on a host that forwarded before, so that no rule of ours forbids forwarding as such.
//
//   world 192.0.2.60 --- eth0 192.0.2.50 | host | netloom0 --- up0 169.254.110.2 | inside, 172.17.0.2
//                                               | docker0  --- c0  172.17.0.2    |
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { HostUplinkClient } from './host-uplink-client.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!

describe('host uplink, with somebody else at its rules', { skip: namespacesMissing('ip', 'nft', 'ping', 'python3') }, () => {
  let host: TestNamespace
  let world: TestNamespace
  let inside: TestNamespace
  let directory: string
  let uplink: HostUplinkClient

  const ip = (netns: TestNamespace, ...commands: string[]): void => {
    for (const command of commands) netns.run('ip', ...command.split(' '))
  }
  /** `seconds`: what it waits for an answer at most; short where there is to be none. */
  const hears = async (from: TestNamespace, address: string, seconds = 10): Promise<boolean> =>
    (await from.exec('ping', '-c', '1', '-W', `${seconds}`, address)).status === 0
  const begin = async (): Promise<void> => {
    uplink = new HostUplinkClient(host, directory)
    await uplink.call('start')
    await uplink.call('addNetwork', {
      id: 'a'.repeat(64),
      name: 'bridge',
      bridgeName: 'docker0',
      subnet: '172.17.0.0/16',
      subnet6: null,
      gateway: '172.17.0.1/16',
      gateway6: null,
      mac: '02:42:ac:11:00:01',
      mtu: 1500,
      internal: false,
      masquerade: true
    })
    await uplink.call('wire', { tap: 'docker0', netns: inside.path, name: 'c0' })
    ip(inside, 'link set c0 address 02:42:ac:11:00:02 up', 'address add 172.17.0.2/16 dev c0')
  }
  const counted = (netns: TestNamespace, name: string): number =>
    Number(/packets (\d+)/.exec(netns.run('nft', 'list', 'counter', 'inet', 't', name))![1])

  before(async () => {
    host = new TestNamespace()
    world = new TestNamespace()
    inside = new TestNamespace()
    directory = mkdtempSync(path.join(os.tmpdir(), 'netloom-test-'))
    for (const netns of [host, world, inside]) ip(netns, 'link set lo up')
    ip(host, `link add eth0 type veth peer name lan0 netns ${world.path}`, 'link set eth0 up', 'address add 192.0.2.50/24 dev eth0')
    ip(world, 'link set lan0 up', 'address add 192.0.2.60/24 dev lan0', 'route add 172.17.0.0/16 via 192.0.2.50')
    native.writeFileInNetns(host.fd, '/proc/sys/net/ipv4/ip_forward', '1')

    await begin()
    await uplink.call('wire', { tap: 'netloom0', netns: inside.path, name: 'up0' })
    ip(inside, 'link set up0 address 02:6e:6c:00:00:02 up')
    ip(inside, 'address add 169.254.110.2/30 dev up0', 'address add fe80::2/64 dev up0 nodad')
    ip(inside, 'route add default via 169.254.110.1')
    host.run(
      'nft',
      'add table inet t; add counter inet t invalid; add chain inet t f { type filter hook forward priority -10; };' +
        'add rule inet t f iifname netloom0 ct state invalid counter name invalid'
    )
    world.run(
      'nft',
      'add table inet t; add counter inet t bare; add chain inet t p { type filter hook prerouting priority -400; };' +
        'add rule inet t p ip saddr 169.254.0.0/16 counter name bare'
    )
  })
  after(async () => {
    await uplink.kill()
    for (const netns of [host, world, inside]) netns.close()
    rmSync(directory, { recursive: true })
  })

  test('what is forwarded comes by the router or not at all', async () => {
    assert.ok(await hears(world, '172.17.0.2'), 'by netloom0')
    ip(host, 'rule add priority 1000 to 172.17.0.0/16 lookup main')
    assert.equal(host.ip('route', 'get', '172.17.0.2', 'from', '192.0.2.60', 'iif', 'eth0')[0]['dev'], 'docker0')
    assert.equal(await hears(world, '172.17.0.2', 0.5), false)
    assert.ok(await hears(host, '172.17.0.2'), 'the host itself is a station there')
    ip(host, 'rule delete priority 1000')
    assert.ok(await hears(world, '172.17.0.2'))
  })

  test('what the kernel cannot masquerade does not leave', async () => {
    // A reset of no connection.
    const reset = `import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 6).sendto(bytes([0, 1, 0, 2, *[0] * 8, 80, 4, *[0] * 6]), ('192.0.2.60', 0))`
    inside.run('python3', '-c', reset)
    for (let looked = 0; counted(host, 'invalid') === 0; looked++) {
      assert.ok(looked < 3000, 'the reset was never counted')
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(await hears(inside, '192.0.2.60'), 'under the host’s address, and after the reset')
    assert.equal(counted(world, 'bare'), 0)
  })

  test('addresses of netloom0 are there again, also those that go when it is set down', async () => {
    const addresses = (): string[] =>
      (host.ip('address', 'show', 'netloom0')[0]['addr_info'] as Record<string, unknown>[]).map(
        ({ local, prefixlen, scope }) => `${local}/${prefixlen} ${scope}`
      )
    const before = addresses()
    assert.deepEqual(before, ['169.254.110.1/30 link', 'fe80::1/64 link'])
    ip(host, 'address delete 169.254.110.1/30 dev netloom0', 'link set netloom0 down', 'link set netloom0 up')
    await uplink.logged(/took the address fe80::1\/64 of netloom0 away/)
    await uplink.logged(/took the address 169\.254\.110\.1\/30 of netloom0 away/)
    assert.deepEqual(addresses(), before)
    const permanent = host.run('ip', 'neighbor', 'show', 'dev', 'netloom0', 'nud', 'permanent')
    assert.match(permanent, /fe80::2 .*02:6e:6c:00:00:02/)
    assert.match(permanent, /169\.254\.110\.2 .*02:6e:6c:00:00:02/)
  })

  test('a network that overlaps the link to the way out is refused', async () => {
    const network = { id: 'b'.repeat(64), name: 'near', bridgeName: 'br-bbbbbbbbbbbb', subnet: '169.254.0.0/16', subnet6: null }
    const rest = { gateway: '169.254.0.1/16', gateway6: null, mac: '02:42:a9:fe:00:01', mtu: 1500, internal: false, masquerade: true }
    await assert.rejects(uplink.call('addNetwork', { ...network, ...rest }), {
      code: 'conflict',
      message: /169\.254\.0\.0\/16: it overlaps/
    })
    assert.doesNotMatch(host.run('ip', 'link'), /br-bbbbbbbbbbbb/)
  })

  test('who sent datagrams before their port was published is seen under an address of their own', async () => {
    const ask = (end: string): string =>
      `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20); s.bind(('', 5555)); s.connect(('192.0.2.50', 5300)); ${end}`
    world.run('python3', '-c', ask("s.send(b'early')\ntry: s.recv(9)\nexcept ConnectionRefusedError: pass"))
    const key = 'dns'
    const port = { key, protocol: 'udp', address: '0.0.0.0', port: 5300, target: '172.17.0.2', targetPort: 53, network: 'a'.repeat(64) }
    await uplink.call('publish', [port])
    const serve =
      "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('172.17.0.2', 53)); print(flush=True); p = s.recvfrom(9)[1]; s.sendto(p[0].encode(), p)"
    const server = inside.start('python3', '-c', serve)
    await new Promise((resolve) => server.stdout!.once('data', resolve))
    assert.equal(world.run('python3', '-c', ask("s.send(b'late'); print(s.recv(99).decode())")).trim(), '192.0.2.60')
    await uplink.call('unpublish', [key])
  })

  test('a host that was told to forward nothing is an obstacle', async () => {
    assert.deepEqual(await uplink.call('obstacles'), [])
    native.writeFileInNetns(host.fd, '/proc/sys/net/ipv4/ip_forward', '0')
    assert.deepEqual(await uplink.call('obstacles'), ['the host forwards nothing; to let it: sysctl -w net.ipv4.ip_forward=1'])
    native.writeFileInNetns(host.fd, '/proc/sys/net/ipv4/ip_forward', '1')
  })

  test('netloom0 that somebody deleted is told, and nothing is forwarded past it', async () => {
    await uplink.kill()
    await begin() // netloom0 is not wired: what wires it would fall over
    ip(host, 'link delete netloom0')
    await uplink.logged(/somebody deleted netloom0/)
    assert.equal(host.ip('route', 'get', '172.17.0.2', 'from', '192.0.2.60', 'iif', 'eth0')[0]['dev'], 'docker0')
    assert.ok(await hears(host, '172.17.0.2'))
    assert.equal(await hears(world, '172.17.0.2', 0.5), false)
  })
})
