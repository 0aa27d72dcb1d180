// The host's side of the uplink under real traffic: its kernel, rules and sockets between an outside world and a namespace whose kernel
// takes the place of our router (up0) and of a container (c0).
//
//   world 192.0.2.60 --- eth0 192.0.2.50 | host | netloom0 --- up0 169.254.110.2 | inside, 172.17.0.2
//                                               | docker0  --- c0  172.17.0.2    |
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { HostUplinkClient } from './host-uplink-client.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!
const NETWORK = 'a'.repeat(64)

describe('host uplink under traffic', { skip: namespacesMissing('ip', 'nft', 'socat', 'ping') }, () => {
  let host: TestNamespace
  let world: TestNamespace
  let inside: TestNamespace
  let directory: string
  let uplink: HostUplinkClient

  const ip = (netns: TestNamespace, ...commands: string[]): void => {
    for (const command of commands) netns.run('ip', ...command.split(' '))
  }
  /** Says to each client which address it saw it come from. */
  const serve = async (netns: TestNamespace, port: number, address: string): Promise<void> => {
    for (const listener of [`TCP4-LISTEN:${port}`, `TCP6-LISTEN:${port},ipv6only=1`, `UDP4-RECVFROM:${port},bind=${address}`]) {
      netns.start('socat', '-T', '60', `${listener},fork,reuseaddr`, 'SYSTEM:read line; echo $SOCAT_PEERADDR')
    }
    while (netns.run('ss', '-Hlntu', `sport = :${port}`).trim().split('\n').length < 3) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  /** Over TCP; the answer, or why there is none. */
  const ask = async (netns: TestNamespace, address: string): Promise<string> => {
    const { stdout, stderr } = await netns.exec('sh', '-c', `echo | socat -t 60 - ${address},connect-timeout=60`)
    return stdout.trim() || stderr.replace(/^.*E /s, '').trim()
  }
  const askUdp = async (netns: TestNamespace, address: string, port: number): Promise<string> => {
    const program = `
      const socket = require('node:dgram').createSocket('udp4')
      socket.on('message', (data) => { console.log(String(data)); socket.close() })
      socket.send('\\n', ${port}, '${address}')
      setTimeout(() => process.exit(), 60_000).unref()`
    return (await netns.exec(process.execPath, '-e', program)).stdout.trim()
  }
  const published = (members: object) => ({
    key: JSON.stringify(members),
    protocol: 'tcp',
    address: '0.0.0.0',
    target: '172.17.0.2',
    targetPort: 80,
    network: NETWORK,
    ...members
  })

  before(async () => {
    host = new TestNamespace()
    world = new TestNamespace()
    inside = new TestNamespace()
    directory = mkdtempSync(path.join(os.tmpdir(), 'netloom-test-'))
    for (const netns of [host, world, inside]) {
      ip(netns, 'link set lo up')
      // Link-local addresses are there at once: neighbors are asked from them.
      native.writeFileInNetns(netns.fd, '/proc/sys/net/ipv6/conf/default/accept_dad', '0')
    }
    ip(host, `link add eth0 type veth peer name lan0 netns ${world.path}`, 'link set eth0 up', 'address add 192.0.2.50/24 dev eth0')
    ip(host, 'address add 192.0.2.51/24 dev eth0', 'address add 2001:db8::50/64 dev eth0 nodad')
    ip(world, 'link set lan0 up', 'address add 192.0.2.60/24 dev lan0', 'address add 2001:db8::60/64 dev lan0 nodad')
    // As on a careful host: strict, everywhere.
    native.writeFileInNetns(host.fd, '/proc/sys/net/ipv4/conf/all/rp_filter', '1')
    native.writeFileInNetns(host.fd, '/proc/sys/net/ipv4/conf/eth0/rp_filter', '1')

    uplink = new HostUplinkClient(host, directory)
    await uplink.call('start')
    await uplink.call('addNetwork', {
      id: NETWORK,
      name: 'bridge',
      bridgeName: 'docker0',
      subnet: '172.17.0.0/16',
      subnet6: '2001:db8:17::/64',
      gateway: '172.17.0.1/16',
      gateway6: '2001:db8:17::1/64',
      mac: '02:42:ac:11:00:01',
      mtu: 1500,
      internal: false,
      masquerade: true
    })
    await uplink.call('wire', { tap: 'netloom0', netns: inside.path, name: 'up0' })
    await uplink.call('wire', { tap: 'docker0', netns: inside.path, name: 'c0' })
    ip(inside, 'link set up0 address 02:6e:6c:00:00:02 up', 'link set c0 address 02:42:ac:11:00:02 up')
    ip(inside, 'address add 169.254.110.2/30 dev up0', 'address add fe80::2/64 dev up0 nodad', 'address add 172.17.0.2/16 dev c0')
    ip(inside, 'address add 2001:db8:17::2/64 dev c0 nodad', 'route add default via 169.254.110.1', 'route add default via fe80::1 dev up0')
    // What is for the host goes by its station, as divert has it.
    ip(inside, 'route add 192.0.2.50/32 via 172.17.0.1', 'route add 192.0.2.51/32 via 172.17.0.1')
    inside.run(
      'nft',
      'add table inet t; add chain inet t in { type filter hook input priority 0; }; add counter inet t up; add counter inet t down;' +
        'add rule inet t in iifname up0 meta l4proto { icmp, ipv6-icmp } counter name up; add rule inet t in iifname c0 meta l4proto icmp counter name down'
    )
    await serve(world, 7777, '192.0.2.60')
    await serve(inside, 80, '172.17.0.2')
  })
  after(async () => {
    await uplink.kill()
    for (const netns of [host, world, inside]) netns.close()
    rmSync(directory, { recursive: true })
  })

  test('what leaves has the host’s address outside; without our masquerade it keeps its own', async () => {
    assert.equal(await ask(inside, 'TCP:192.0.2.60:7777'), '192.0.2.50')
    assert.equal(await askUdp(inside, '192.0.2.60', 7777), '192.0.2.50')
    ip(world, 'route replace 172.17.0.0/16 via 192.0.2.50', 'route replace 2001:db8:17::/64 via 2001:db8::50')
    assert.equal(await ask(inside, 'TCP:192.0.2.60:7777,bind=172.17.0.2'), '172.17.0.2')
    assert.equal(await ask(inside, 'TCP6:[2001:db8::60]:7777'), '[2001:0db8:0017:0000:0000:0000:0000:0002]')
  })

  test('what is forwarded to a network comes by the router, never by the station', async () => {
    ip(world, 'route replace 172.17.0.0/16 via 192.0.2.50', 'route replace 2001:db8:17::/64 via 2001:db8::50')
    world.run('ping', '-c', '1', '-W', '60', '172.17.0.2')
    world.run('ping', '-c', '1', '-W', '60', '2001:db8:17::2')
    const packets = (name: string): number => Number(/packets (\d+)/.exec(inside.run('nft', 'list', 'counter', 'inet', 't', name))![1])
    assert.ok(packets('up') >= 2)
    assert.equal(packets('down'), 0)
    host.run('ping', '-c', '1', '-W', '60', '172.17.0.2')
    assert.equal(packets('down'), 1, 'the host’s own goes by its station')
  })

  test('a published port: from outside with the client’s address, from the host by each of its addresses', async () => {
    await uplink.call('publish', [
      published({ port: 8080 }),
      published({ port: 8080, address: '::' }),
      published({ port: 5300, protocol: 'udp' })
    ])
    assert.equal(await ask(world, 'TCP:192.0.2.50:8080'), '192.0.2.60')
    assert.equal(await ask(world, 'TCP:192.0.2.51:8080'), '192.0.2.60')
    assert.equal(await askUdp(world, '192.0.2.50', 5300), '192.0.2.60')
    assert.equal(await ask(world, 'TCP6:[2001:db8::50]:8080'), '172.17.0.1', 'of another family: by our socket')
    assert.equal(await ask(host, 'TCP:192.0.2.50:8080'), '192.0.2.50')
    assert.equal(await ask(host, 'TCP:172.17.0.1:8080'), '172.17.0.1')
    assert.equal(await ask(host, 'TCP:172.17.0.2:80'), '172.17.0.1')
    assert.equal(await ask(host, 'TCP:127.0.0.1:8080'), '172.17.0.1')
    assert.equal(await ask(host, 'TCP6:[::1]:8080'), '172.17.0.1')
    assert.equal(await askUdp(host, '127.0.0.1', 5300), '172.17.0.1')
    assert.equal(await askUdp(host, '192.0.2.50', 5300), '192.0.2.50')
    // One that goes on sending would keep its translation, to an address that may be another container's by then.
    const translations = (): number => host.run('cat', '/proc/net/nf_conntrack').match(/dport=5300 .*src=172\.17\.0\.2/g)?.length ?? 0
    const isShown = existsSync('/proc/net/nf_conntrack') // CONFIG_NF_CONNTRACK_PROCFS
    if (isShown) assert.equal(translations(), 2)
    await uplink.call('unpublish', [published({ port: 8080 }).key, published({ port: 5300, protocol: 'udp' }).key])
    if (isShown) assert.equal(translations(), 0)
    assert.match(await ask(world, 'TCP:192.0.2.50:8080'), /refused/)
    assert.match(await ask(host, 'TCP:127.0.0.1:8080'), /refused/)
  })

  test('a port of one address is that address’s alone, and one of loopback is the host’s', async () => {
    await uplink.call('publish', [
      published({ port: 8082, address: '192.0.2.51' }),
      published({ port: 8081, address: '127.0.0.1' }),
      published({ port: 8083, address: '::', target: '2001:db8:17::2' })
    ])
    assert.equal(await ask(world, 'TCP:192.0.2.51:8082'), '192.0.2.60')
    assert.match(await ask(world, 'TCP:192.0.2.50:8082'), /refused/)
    assert.match(await ask(host, 'TCP:127.0.0.1:8082'), /refused/)
    assert.match(await ask(world, 'TCP:192.0.2.50:8081'), /refused/)
    assert.equal(await ask(host, 'TCP:127.0.0.1:8081'), '172.17.0.1')
    assert.equal(await ask(world, 'TCP6:[2001:db8::50]:8083'), '[2001:0db8:0000:0000:0000:0000:0000:0060]')
    assert.equal(await ask(host, 'TCP6:[::1]:8083'), '[2001:0db8:0017:0000:0000:0000:0000:0001]')
  })

  test('switching forwarding on did not make a router of the host for others', async () => {
    ip(world, 'route add 203.0.113.0/24 via 192.0.2.50')
    native.writeFileInNetns(host.fd, '/proc/sys/net/ipv6/conf/default/disable_ipv6', '1') // says nothing of its own
    ip(host, 'link add spare0 type veth peer name spare1', 'link set spare0 up', 'address add 203.0.113.1/24 dev spare0')
    ip(host, 'link set spare1 up', 'neighbor add 203.0.113.9 lladdr 02:cc:00:00:00:09 dev spare0')
    const sent = (): number => (host.ip('-s', 'link', 'show', 'spare0')[0]['stats64'] as { tx: { packets: number } }).tx.packets
    const quiet = sent()
    const { status } = await world.exec('ping', '-c', '1', '-W', '1', '203.0.113.9')
    assert.notEqual(status, 0)
    assert.equal(sent(), quiet)
  })
})
