// Netlink against the kernel's own tables, in namespaces of our own; iproute2 is the judge, in both directions.
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { tryLoadNative } from '../../src/io/load-native.ts'
import { Netlink } from '../../src/io/netlink/netlink.ts'
import { NetlinkError } from '../../src/io/netlink/netlink-error.ts'
import { openTap } from '../../src/io/tap-device.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!

describe('netlink', { skip: namespacesMissing('ip') }, () => {
  let netns: TestNamespace
  let netlink: Netlink
  let tap: number
  beforeEach(() => {
    netns = new TestNamespace()
    netlink = Netlink.inNamespace(native, netns.fd)
    tap = openTap(native, { netns: netns.fd, name: 'eth0' }).fd
  })
  afterEach(() => {
    native.closeFd(tap)
    netns.close()
  })

  test('links: up, mtu, mac, queue, name', async () => {
    await netlink.links.set('eth0', { mtu: 1450, mac: '02:42:ac:19:00:02', txQueueLength: 700 })
    await netlink.links.set('eth0', { name: 'lan0' })
    await netlink.links.set('lan0', { up: true })
    await netlink.links.set('lo', { up: true })
    const [seen] = netns.ip('link', 'show', 'lan0')
    assert.deepEqual([seen['mtu'], seen['address'], seen['txqlen']], [1450, '02:42:ac:19:00:02', 700])
    assert.ok((seen['flags'] as string[]).includes('UP'))
    assert.deepEqual(await netlink.links.find('lan0'), {
      index: seen['ifindex'],
      name: 'lan0',
      mac: '02:42:ac:19:00:02',
      mtu: 1450,
      up: true,
      running: true,
      linkKind: 'tun',
      master: 0
    })
    await netlink.links.set('lan0', { up: false })
    assert.equal((await netlink.links.find('lan0'))!.up, false)
    assert.equal(await netlink.links.find('eth0'), null)
    const names = (await netlink.links.list()).map(({ name, up }) => `${name} ${up}`)
    assert.deepEqual(names, ['lo true', 'lan0 false'])
  })

  test('links: veth into another namespace, bridge, master, move, delete', async () => {
    const other = new TestNamespace()
    try {
      await netlink.links.addVeth('veth0', 'peer0', { fd: other.fd })
      await netlink.links.addBridge('br0')
      const bridge = (await netlink.links.find('br0'))!
      assert.equal(bridge.linkKind, 'bridge')
      await netlink.links.set('veth0', { master: bridge.index, up: true })
      assert.equal(netns.ip('link', 'show', 'veth0')[0]['master'], 'br0')
      assert.equal((await netlink.links.find('veth0'))!.master, bridge.index)
      assert.equal(other.ip('link', 'show', 'peer0').length, 1)
      await netlink.links.set('veth0', { master: 0 })
      await netlink.links.set('veth0', { netns: { fd: other.fd } })
      assert.equal(other.ip('link', 'show', 'veth0').length, 1)
      await netlink.links.delete('br0')
      assert.deepEqual(
        netns.ip('link').map((link) => link['ifname']),
        ['lo', 'eth0']
      )
    } finally {
      other.close()
    }
  })

  test('addresses with an explicit broadcast, IPv6 without duplicate detection', async () => {
    await netlink.links.set('eth0', { up: true })
    await netlink.addresses.add('eth0', '172.25.0.2/16', { broadcast: '172.25.255.255' })
    await netlink.addresses.add('eth0', '192.0.2.9/32')
    await netlink.addresses.add('eth0', '2001:db8::2/64', { noDad: true })
    const seen = (netns.ip('address', 'show', 'eth0')[0]['addr_info'] as Record<string, unknown>[]).filter(
      ({ scope }) => scope === 'global'
    )
    assert.deepEqual(
      seen.map(({ local, prefixlen, broadcast, tentative }) => [local, prefixlen, broadcast, tentative]),
      [
        ['172.25.0.2', 16, '172.25.255.255', undefined],
        ['192.0.2.9', 32, undefined, undefined],
        ['2001:db8::2', 64, undefined, undefined]
      ]
    )
    const { index } = (await netlink.links.find('eth0'))!
    const global = (await netlink.addresses.list('eth0')).filter(({ scope }) => scope === 0)
    assert.deepEqual(global, [
      { link: index, address: '172.25.0.2/16', broadcast: '172.25.255.255', scope: 0, tentative: false },
      { link: index, address: '192.0.2.9/32', scope: 0, tentative: false },
      { link: index, address: '2001:db8::2/64', scope: 0, tentative: false }
    ])
    await netlink.addresses.delete('eth0', '172.25.0.2/16')
    assert.deepEqual(await netlink.addresses.list('lo'), [])
    assert.deepEqual(
      (netns.ip('-4', 'address', 'show', 'eth0')[0]['addr_info'] as Record<string, unknown>[]).map(({ local }) => local),
      ['192.0.2.9']
    )
    assert.ok(!(await netlink.addresses.list()).some(({ address }) => address === '172.25.0.2/16'))
  })

  test('routes: default, table, source, scope, gateway, IPv6, replace, delete', async () => {
    await netlink.links.set('eth0', { up: true })
    await netlink.addresses.add('eth0', '192.0.2.2/24')
    await netlink.addresses.add('eth0', '2001:db8::2/64', { noDad: true })
    await netlink.routes.add({ to: 'default', via: '192.0.2.1' })
    await netlink.routes.add({ to: 'default', via: '2001:db8::1', dev: 'eth0', metric: 50 })
    await netlink.routes.add({ to: '198.51.100.0/24', dev: 'eth0', table: 1000, source: '192.0.2.2' })
    await netlink.routes.add({ to: '203.0.113.7', via: '192.0.2.3' })
    await netlink.routes.replace({ to: '203.0.113.7', via: '192.0.2.4' })
    const pick = (routes: Record<string, unknown>[]): unknown[] =>
      routes.map(({ dst, gateway, dev, prefsrc, scope }) => [dst, gateway, dev, prefsrc, scope])
    assert.deepEqual(pick(netns.ip('route')), [
      ['default', '192.0.2.1', 'eth0', undefined, 'global'],
      ['192.0.2.0/24', undefined, 'eth0', '192.0.2.2', 'link'],
      ['203.0.113.7', '192.0.2.4', 'eth0', undefined, 'global']
    ])
    assert.deepEqual(pick(netns.ip('route', 'show', 'table', '1000')), [['198.51.100.0/24', undefined, 'eth0', '192.0.2.2', 'link']])
    assert.deepEqual(pick(netns.ip('-6', 'route', 'show', 'default')), [['default', '2001:db8::1', 'eth0', undefined, 'global']])

    const { index } = (await netlink.links.find('eth0'))!
    const own = await netlink.routes.list()
    assert.deepEqual(own[0], { to: '0.0.0.0/0', table: 254, type: 1, scope: 0, via: '192.0.2.1', dev: index })
    assert.ok(own.some(({ to, via, metric }) => to === '::/0' && via === '2001:db8::1' && metric === 50))
    assert.deepEqual(await netlink.routes.list(1000), [
      { to: '198.51.100.0/24', table: 1000, type: 1, scope: 253, dev: index, source: '192.0.2.2' }
    ])
    await netlink.routes.delete({ to: '198.51.100.0/24', table: 1000 })
    assert.deepEqual(await netlink.routes.list(1000), [])
    await netlink.routes.delete({ to: 'default', via: '192.0.2.1' })
    assert.equal(netns.ip('route', 'show', 'default').length, 0)
  })

  test('the routing of 127.0.0.11 out of the TAP, as the sandbox sets it', async () => {
    await netlink.links.set('lo', { up: true })
    await netlink.links.set('eth0', { up: true })
    await netlink.addresses.add('eth0', '172.25.0.2/16')
    const localnet = '/proc/sys/net/ipv4/conf/eth0/route_localnet'
    native.writeFileInNetns(netns.fd, localnet, '1')
    assert.equal(native.readFileInNetns(netns.fd, localnet), '1\n')
    await netlink.rules.add({ priority: 10, table: 255 })
    await netlink.rules.delete({ priority: 0, table: 255 })
    await netlink.rules.add({ priority: 5, to: '127.0.0.11', table: 11 })
    await netlink.routes.add({ to: '127.0.0.11/32', dev: 'eth0', source: '172.25.0.2', table: 11 })
    await netlink.neighbors.setPermanent('eth0', '127.0.0.11', '02:42:7f:00:00:0b')
    const [route] = netns.ip('route', 'get', '127.0.0.11')
    assert.deepEqual([route['dev'], route['prefsrc'], route['table']], ['eth0', '172.25.0.2', '11'])
    assert.equal(netns.ip('route', 'get', '127.0.0.1')[0]['dev'], 'lo')
    const [neighbor] = netns.ip('neighbor', 'show', 'dev', 'eth0')
    assert.deepEqual([neighbor['dst'], neighbor['lladdr'], neighbor['state']], ['127.0.0.11', '02:42:7f:00:00:0b', ['PERMANENT']])
    const { index } = (await netlink.links.find('eth0'))!
    assert.deepEqual(
      (await netlink.neighbors.list('eth0')).filter(({ state }) => state === 0x80),
      [{ link: index, address: '127.0.0.11', mac: '02:42:7f:00:00:0b', state: 0x80 }]
    )
    await netlink.neighbors.delete('eth0', '127.0.0.11')
    assert.deepEqual(
      (await netlink.neighbors.list('eth0')).filter(({ state }) => state === 0x80),
      []
    )
  })

  test('rules with from, not, input interface, and for IPv6', async () => {
    await netlink.rules.add({ priority: 100, table: 7, to: '172.25.0.0/16', from: '192.0.2.0/24', inputInterface: 'lo', not: true })
    await netlink.rules.add({ priority: 101, table: 300, to: '2001:db8::/32' })
    const [rule] = netns.ip('rule', 'show', 'pref', '100')
    assert.deepEqual(
      [rule['dst'], rule['dstlen'], rule['src'], rule['srclen'], rule['iif'], rule['not'], rule['table']],
      ['172.25.0.0', 16, '192.0.2.0', 24, 'lo', null, '7']
    )
    assert.equal(netns.ip('-6', 'rule', 'show', 'pref', '101')[0]['table'], '300')
    const rules = await netlink.rules.list()
    assert.deepEqual(
      rules.find(({ priority }) => priority === 100),
      { family: 4, priority: 100, table: 7, to: '172.25.0.0/16', from: '192.0.2.0/24', inputInterface: 'lo', not: true }
    )
    assert.deepEqual(
      rules.map(({ priority }) => priority),
      [0, 100, 32766, 32767]
    )
    assert.ok((await netlink.rules.list(6)).some(({ table, to }) => table === 300 && to === '2001:db8::/32'))
  })

  test('a refusal names what was asked, its code, and the kernel’s sentence where there is one', async () => {
    await netlink.addresses.add('eth0', '192.0.2.1/24')
    await assert.rejects(netlink.addresses.add('eth0', '192.0.2.1/24'), (error: NetlinkError) => {
      assert.ok(error instanceof NetlinkError)
      assert.equal(error.code, 'EEXIST')
      assert.equal(error.request, 'address add 192.0.2.1/24 dev eth0')
      return true
    })
    await assert.rejects(netlink.links.set('none0', { up: true }), { code: 'ENODEV', message: /none0: .*no such interface/ })
    await assert.rejects(netlink.links.set('eth0', { mtu: 100_000 }), { code: 'EINVAL', message: /mtu (greater|less) than device/ })
    await assert.rejects(netlink.routes.add({ to: 'default', via: '198.51.100.1' }), {
      code: 'ENETUNREACH',
      message: /Nexthop has invalid gateway/
    })
    await assert.rejects(netlink.routes.delete({ to: '203.0.113.0/24' }), { code: 'ESRCH' })
    await assert.rejects(netlink.rules.delete({ priority: 77, table: 7 }), { code: 'ENOENT' })
    await assert.rejects(netlink.addresses.add('eth0', '192.0.2.300/24'), { code: 'INVALID_ADDRESS', value: '192.0.2.300/24' })
  })

  test('a table longer than one answer is listed whole', async () => {
    const lines = Array.from(
      { length: 1500 },
      (_, i) => `neighbor add 10.9.${i >> 8}.${i & 255} lladdr 02:cc:00:00:00:01 dev eth0 nud permanent`
    )
    netns.run('sh', '-c', `printf '%s\\n' "$0" | ip -batch -`, lines.join('\n'))
    assert.equal((await netlink.neighbors.list('eth0')).filter(({ state }) => state === 0x80).length, 1500)
  })
})
