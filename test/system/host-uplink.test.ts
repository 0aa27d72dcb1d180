// What the host uplink makes and puts back on its host, a namespace of the test's own; iproute2 and nft are the judges.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { tryLoadNative } from '../../src/io/load-native.ts'
import type { UplinkPart } from '../../src/network/uplink.ts'
import { HostUplinkClient } from './host-uplink-client.ts'
import { namespacesMissing, TestNamespace } from './test-namespace.ts'

const native = tryLoadNative()!
const NETLOOM = path.resolve(import.meta.dirname, '../../../bin/netloom.js')

const docker0 = {
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
}
const ipv6Network = {
  ...docker0,
  id: 'b'.repeat(64),
  name: 'six',
  bridgeName: 'br-bbbbbbbbbbbb',
  subnet: '10.20.0.0/24',
  gateway: '10.20.0.1/24',
  subnet6: '2001:db8:20::/64',
  gateway6: '2001:db8:20::1/64',
  mac: '02:42:0a:14:00:01',
  mtu: 1400
}
const web = {
  key: 'web',
  protocol: 'tcp',
  address: '0.0.0.0',
  port: 8080,
  target: '172.17.0.2',
  targetPort: 80,
  network: docker0.id
}

describe('host uplink', { skip: namespacesMissing('ip', 'nft') }, () => {
  let netns: TestNamespace
  let directory: string
  let uplinks: HostUplinkClient[]
  beforeEach(() => {
    netns = new TestNamespace()
    // Addresses that come by themselves, some time later, are in the way of comparisons.
    native.writeFileInNetns(netns.fd, '/proc/sys/net/ipv6/conf/default/addr_gen_mode', '1')
    for (const command of [
      'link set lo up',
      'link add eth0 type veth peer name lan0',
      'link set lan0 up',
      'link set eth0 mtu 1400 up',
      'address add 192.0.2.50/24 dev eth0',
      'address add 2001:db8::50/64 dev eth0 nodad',
      'route add default via 192.0.2.1'
    ]) {
      netns.run('ip', ...command.split(' '))
    }
    // Routes of its own come with the carrier, which the kernel declares in its own time.
    for (let tries = 0; netns.ip('link', 'show', 'eth0')[0]!['operstate'] !== 'UP' && tries < 1000; tries++);
    directory = mkdtempSync(path.join(os.tmpdir(), 'netloom-test-'))
    uplinks = []
  })
  afterEach(async () => {
    for (const uplink of uplinks) await uplink.kill()
    netns.close()
    rmSync(directory, { recursive: true })
  })

  const create = (): HostUplinkClient => {
    const uplink = new HostUplinkClient(netns, directory)
    uplinks.push(uplink)
    return uplink
  }
  const sysctl = (name: string): string => native.readFileInNetns(netns.fd, `/proc/sys/net/${name}`).trim()
  /** All that a host uplink may change, as others see it. */
  const state = (): object => ({
    links: netns.ip('link').map(({ ifname }) => ifname),
    rules: netns.run('ip', 'rule') + netns.run('ip', '-6', 'rule'),
    routes: netns.run('ip', 'route', 'show', 'table', 'all'),
    ruleset: netns.run('nft', 'list', 'ruleset'),
    forwarding: [sysctl('ipv4/ip_forward'), sysctl('ipv6/conf/all/forwarding'), sysctl('ipv6/conf/eth0/accept_ra')]
  })
  const journal = (): { changes: { kind: string }[] } => JSON.parse(readFileSync(path.join(directory, 'host-uplink.json'), 'utf8'))

  test('the way out: netloom0, its rule, masquerade and forwarding; close puts all of it back', async () => {
    const before = state()
    const uplink = create()
    const part = (await uplink.call('start')) as UplinkPart
    assert.deepEqual(part.interface, {
      name: 'netloom0',
      mac: '02:6e:6c:00:00:02',
      addresses: ['169.254.110.2/30', 'fe80::2/64'],
      mtu: 1400,
      speed: 10_000_000_000,
      snat: '169.254.110.2',
      noDecrement: true
    })
    assert.deepEqual(part.routes, { '0.0.0.0/0': { via: '169.254.110.1' }, '::/0': { via: 'fe80::1' } })
    assert.deepEqual(part.hostAddresses, ['169.254.110.1', '192.0.2.50', '2001:db8::50', 'fe80::1'])
    const [link] = netns.ip('address', 'show', 'netloom0')
    assert.deepEqual([link['mtu'], link['address']], [1400, '02:6e:6c:00:00:01'])
    assert.deepEqual(
      (link['addr_info'] as Record<string, unknown>[]).map(({ local, prefixlen, scope }) => `${local}/${prefixlen} ${scope}`),
      ['169.254.110.1/30 link', 'fe80::1/64 link']
    )
    assert.equal(sysctl('ipv4/conf/netloom0/rp_filter'), '2')
    assert.equal(sysctl('ipv4/ip_forward'), '1')
    assert.equal(sysctl('ipv6/conf/all/forwarding'), '0', 'no network has IPv6')
    assert.match(netns.run('ip', 'rule'), /1100:\tnot from all iif lo lookup 28268/)
    assert.match(netns.run('ip', '-6', 'rule'), /1100:\tnot from all iif lo lookup 28268/)
    const chain = (name: string): string[] =>
      netns
        .run('nft', '-n', 'list', 'chain', 'inet', 'netloom', name)
        .split('\n')
        .slice(3, -3)
        .map((line) => line.trim())
    assert.deepEqual(chain('postrouting'), ['ip saddr 169.254.110.2 oifname != "netloom0" masquerade'])
    assert.deepEqual(chain('forward'), [
      'oifgroup 28268 drop',
      'ip saddr 169.254.110.2 ct state 0x1 drop',
      'iifname "netloom0" accept',
      'oifname "netloom0" accept',
      'iifname "netloomvx" accept',
      'meta nfproto 2 drop'
    ])
    assert.deepEqual(chain('output'), [
      'fib daddr type 2 ip daddr != 127.0.0.0/8 dnat ip to ip daddr . meta l4proto . th dport map @exact4',
      'fib daddr type 2 ip daddr != 127.0.0.0/8 dnat ip to meta l4proto . th dport map @any4',
      'fib daddr type 2 ip6 daddr != ::1 dnat ip6 to ip6 daddr . meta l4proto . th dport map @exact6',
      'fib daddr type 2 ip6 daddr != ::1 dnat ip6 to meta l4proto . th dport map @any6'
    ])
    assert.deepEqual(
      journal().changes.map(({ kind }) => kind),
      ['nftables', 'rule', 'rule', 'sysctl']
    )

    await uplink.call('close')
    await uplink.kill()
    assert.deepEqual(state(), before)
    assert.deepEqual(journal().changes, [])
  })

  test('a network: its TAP with the gateway’s addresses, and the way of what is forwarded', async () => {
    const uplink = create()
    await uplink.call('start')
    const { tap } = (await uplink.call('addNetwork', docker0)) as { tap: { type: string; options: Record<string, unknown> } }
    assert.deepEqual([tap.type, tap.options['name'], tap.options['mtu']], ['tap', 'docker0', 1500])
    const [seen] = netns.ip('address', 'show', 'docker0')
    assert.deepEqual([seen['address'], seen['mtu'], (seen['flags'] as string[]).includes('UP')], ['02:42:ac:11:00:01', 1500, true])
    assert.deepEqual(
      (seen['addr_info'] as Record<string, unknown>[]).map(({ local, prefixlen, broadcast }) => [local, prefixlen, broadcast]),
      [['172.17.0.1', 16, '172.17.255.255']]
    )
    // What the host makes itself goes straight to its station; what it forwards goes through the router.
    assert.equal(netns.ip('route', 'get', '172.17.0.2')[0]['dev'], 'docker0')
    const [forwarded] = netns.ip('route', 'get', '172.17.0.2', 'from', '192.0.2.77', 'iif', 'eth0')
    assert.deepEqual([forwarded['dev'], forwarded['gateway']], ['netloom0', '169.254.110.2'])

    await uplink.call('addNetwork', ipv6Network)
    const [six] = netns.ip('address', 'show', 'br-bbbbbbbbbbbb')
    assert.deepEqual(
      (six['addr_info'] as Record<string, unknown>[]).map(
        ({ local, prefixlen, tentative }) => `${local}/${prefixlen} ${tentative ?? 'usable'}`
      ),
      ['10.20.0.1/24 usable', '2001:db8:20::1/64 usable', 'fe80::1/64 usable']
    )
    assert.equal(sysctl('ipv6/conf/all/forwarding'), '1')
    assert.equal(sysctl('ipv6/conf/eth0/accept_ra'), '2', 'the host goes on listening to its own routers')
    const [forwarded6] = netns.ip('-6', 'route', 'get', '2001:db8:20::2', 'from', '2001:db8::77', 'iif', 'eth0')
    assert.deepEqual([forwarded6['dev'], forwarded6['gateway']], ['netloom0', 'fe80::2'])

    await uplink.toldAddresses((addresses) => addresses.includes('172.17.0.1') && addresses.includes('2001:db8:20::1'))
    await uplink.call('removeNetwork', docker0.id)
    assert.doesNotMatch(netns.run('ip', 'route', 'show', 'table', '28268'), /172\.17/)
    assert.match(netns.run('ip', 'route', 'show', 'table', '28268'), /10\.20\.0\.0\/24 via 169\.254\.110\.2/)
    await uplink.call('removeNetwork', docker0.id)
  })

  test('after SIGKILL the next start puts back what was changed, and begins anew', async () => {
    const before = state()
    const first = create()
    await first.call('start')
    await first.call('addNetwork', ipv6Network)
    await first.call('publish', [web])
    await first.kill()
    assert.match(netns.run('ip', 'rule'), /lookup 28268/, 'a rule outlives its maker')
    assert.equal(sysctl('ipv4/ip_forward'), '1')
    const { checks } = JSON.parse(netns.run(process.execPath, NETLOOM, 'doctor', '--json', '--state-dir', directory)) as {
      checks: { id: string; status: string; fix?: string }[]
    }
    const told = checks.find(({ id }) => id === 'host-changes')!
    assert.equal(told.status, 'warn')
    assert.match(
      told.fix!,
      /sysctl -w net\.ipv4\.ip_forward=0\nip -6 rule delete priority 1100\nip rule delete priority 1100\nnft delete table/
    )

    const second = create()
    await second.call('start')
    assert.deepEqual(netns.run('ip', 'rule').match(/28268/g), ['28268'])
    assert.doesNotMatch(netns.run('nft', 'list', 'ruleset'), /8080/)
    assert.match(netns.run('nft', 'list', 'chain', 'inet', 'netloom', 'forward'), /ipv4 drop/, 'forwarding was off before the first one')
    await second.call('addNetwork', ipv6Network)
    await second.call('close')
    await second.kill()
    assert.deepEqual(state(), before)
  })

  test('without the journal of a killed one, what bears our names goes all the same', async () => {
    const first = create()
    await first.call('start')
    await first.kill()
    rmSync(path.join(directory, 'host-uplink.json'))
    const second = create()
    await second.call('start')
    assert.deepEqual(netns.run('ip', 'rule').match(/28268/g), ['28268'])
    await second.call('close')
    await second.kill()
    assert.doesNotMatch(netns.run('ip', 'rule'), /28268/)
    assert.equal(sysctl('ipv4/ip_forward'), '1', 'nobody knows whether it was on before')
  })

  test('a journal of another boot or namespace is not carried out', async () => {
    const other = { kind: 'sysctl', name: 'net/ipv4/ip_forward', was: '0', set: '1' }
    netns.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
    writeFileSync(path.join(directory, 'host-uplink.json'), JSON.stringify({ version: 1, namespace: 'elsewhere/1', changes: [other] }))
    const uplink = create()
    await uplink.call('start')
    assert.equal(sysctl('ipv4/ip_forward'), '1')
    assert.doesNotMatch(
      netns.run('nft', 'list', 'chain', 'inet', 'netloom', 'forward'),
      /nfproto .* drop/,
      'this host forwards for others too'
    )
    await uplink.call('close')
    assert.equal(sysctl('ipv4/ip_forward'), '1')
  })

  test('a setting that somebody changed meanwhile stays as it is', async () => {
    const uplink = create()
    await uplink.call('start')
    netns.run('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward')
    await uplink.call('close')
    assert.equal(sysctl('ipv4/ip_forward'), '0')
    assert.deepEqual(journal().changes, [])
  })

  test('published ports in the maps of the kernel, and their sockets', async () => {
    const uplink = create()
    await uplink.call('start')
    await uplink.call('addNetwork', docker0)
    await uplink.call('publish', [
      web,
      { ...web, key: 'web6', address: '::' },
      { ...web, key: 'one', address: '192.0.2.50', port: 8082 },
      { ...web, key: 'loop', address: '127.0.0.1', port: 8081 },
      { ...web, key: 'dns', protocol: 'udp', port: 5300, targetPort: 53 }
    ])
    const map = (name: string): string => netns.run('nft', '-n', 'list', 'map', 'inet', 'netloom', name)
    assert.match(map('any4'), /elements = \{ (6 \. 8080 : 172\.17\.0\.2 \. 80|17 \. 5300 : 172\.17\.0\.2 \. 53),/)
    assert.match(map('exact4'), /elements = \{ 192\.0\.2\.50 \. 6 \. 8082 : 172\.17\.0\.2 \. 80 \}/)
    assert.doesNotMatch(map('any6'), /elements/, 'a way that no frame goes')
    const sockets = (): string[] =>
      netns
        .run('ss', '-Hlntu')
        .split('\n')
        .map((line) => line.split(/\s+/)[4])
        .filter((address) => address !== undefined)
        .sort()
    assert.deepEqual(sockets(), ['0.0.0.0:5300', '0.0.0.0:8080', '127.0.0.1:8081', '192.0.2.50:8082', '[::]:8080'])

    await assert.rejects(
      uplink.call('publish', [
        { ...web, key: 'new', port: 9000 },
        { ...web, key: 'again' }
      ]),
      {
        name: 'UplinkPortError',
        code: 'conflict',
        message: '0.0.0.0:8080/tcp cannot be published: EADDRINUSE'
      }
    )
    await assert.rejects(uplink.call('publish', [{ ...web, key: 'new', address: '203.0.113.9' }]), {
      code: 'unsupported',
      message: '203.0.113.9:8080/tcp cannot be published: EADDRNOTAVAIL'
    })
    assert.equal(sockets().length, 5)
    await uplink.call('unpublish', ['web', 'web6', 'one', 'loop', 'dns', 'unknown'])
    assert.deepEqual(sockets(), [])
    assert.doesNotMatch(map('any4') + map('exact4'), /elements/)
  })

  test('a table that somebody flushes is there again, with its ports; what they took is no error to take away', async () => {
    const uplink = create()
    await uplink.call('start')
    await uplink.call('addNetwork', ipv6Network)
    await uplink.call('publish', [web, { ...web, key: 'one', address: '192.0.2.50', port: 8082 }, { ...web, key: 'last', port: 8083 }])
    const before = netns.run('nft', 'list', 'table', 'inet', 'netloom')
    netns.run('nft', 'flush', 'ruleset')
    await uplink.logged(/took the table inet netloom away/)
    assert.equal(sorted(netns.run('nft', 'list', 'table', 'inet', 'netloom')), sorted(before))

    netns.run('nft', 'delete', 'element', 'inet', 'netloom', 'any4', '{ tcp . 8080 }')
    await uplink.call('unpublish', ['web', 'one'])
    const ruleset = netns.run('nft', '-n', 'list', 'ruleset')
    assert.doesNotMatch(ruleset, /808[02]/)
    assert.match(ruleset, /6 \. 8083 : 172\.17\.0\.2/)

    // Before the kernel's word of it has come, too.
    netns.run('nft', 'flush', 'ruleset')
    await Promise.all([uplink.call('unpublish', ['last']), uplink.call('publish', [{ ...web, key: 'next', port: 8084 }])])
    assert.match(netns.run('nft', '-n', 'list', 'ruleset'), /elements = \{ 6 \. 8084 : 172\.17\.0\.2 \. 80 \}/)
    await uplink.call('close')
    assert.equal(netns.run('nft', 'list', 'ruleset'), '')
  })

  test('rules and routes that somebody flushes are there again, but for those of networks that went', async () => {
    const uplink = create()
    await uplink.call('start')
    await uplink.call('addNetwork', docker0)
    await uplink.call('addNetwork', ipv6Network)
    const ways = (): string[] =>
      ['rule', '-6 rule', 'route show table 28268', '-6 route show table 28268'].map((command) => netns.run('ip', ...command.split(' ')))
    const before = ways()
    netns.run('ip', 'rule', 'delete', 'priority', '1100')
    netns.run('ip', '-6', 'rule', 'delete', 'priority', '1100')
    await uplink.logged(/took the rule of IPv4 that leads to table 28268 away/)
    await uplink.logged(/took the rule of IPv6 that leads to table 28268 away/)
    netns.run('ip', 'route', 'flush', 'table', '28268')
    netns.run('ip', '-6', 'route', 'flush', 'table', '28268')
    for (const subnet of ['172.17.0.0/16', '10.20.0.0/24', '2001:db8:20::/64'])
      await uplink.logged(new RegExp(`took the route to ${subnet} in table 28268 away`))
    assert.deepEqual(ways(), before)

    await uplink.call('removeNetwork', docker0.id)
    netns.run('ip', 'route', 'flush', 'table', '28268')
    while (uplink.logs.filter((line) => line.includes('10.20.0.0/24')).length < 2) await sleep(50)
    assert.doesNotMatch(ways()[2]!, /172\.17/)
    assert.equal(uplink.logs.filter((line) => line.includes('10.20.0.0/24')).length, 2)
    await uplink.call('close')
    assert.doesNotMatch(ways().join(''), /28268/)
  })

  test('addresses of the host that come and go are told', async () => {
    const uplink = create()
    await uplink.call('start')
    netns.run('ip', 'address', 'add', '192.0.2.51/24', 'dev', 'eth0')
    await uplink.toldAddresses((addresses) => addresses.includes('192.0.2.51'))
    netns.run('ip', 'address', 'del', '192.0.2.51/24', 'dev', 'eth0')
    await uplink.toldAddresses((addresses) => !addresses.includes('192.0.2.51') && addresses.includes('192.0.2.50'))
  })

  test('a foreign forward policy of drop is told with what to do', async () => {
    netns.run('nft', 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }')
    netns.run('nft', 'add table inet firewall; add chain inet firewall passing { type filter hook forward priority 10; policy drop; }')
    const uplink = create()
    await uplink.call('start')
    assert.equal(uplink.logs.length, 2)
    assert.match(uplink.logs[0], /FORWARD .*ip filter drops .*iptables -I FORWARD -i netloom0 -j ACCEPT/)
    assert.match(uplink.logs[1], /passing .*inet firewall .*nft insert rule inet firewall passing iifname netloom0 accept/)
    assert.deepEqual(await uplink.call('obstacles'), uplink.logs, 'explanations say the same')
    netns.run('nft', 'delete', 'table', 'inet', 'firewall')
    for (let attempt = 0; attempt < 3000 && ((await uplink.call('obstacles')) as string[]).length > 1; attempt++) await sleep(20)
    assert.deepEqual(await uplink.call('obstacles'), [uplink.logs[0]])

    // One that comes while the uplink runs is told once, and again when it has gone and come back.
    const late = 'add table ip6 late; add chain ip6 late passing { type filter hook forward priority 0; policy drop; }'
    const told = (): number => uplink.logs.filter((message) => message.includes('the chain passing of the nftables table ip6 late')).length
    netns.run('nft', late)
    await uplink.logged(/the chain passing of the nftables table ip6 late drops/)
    await uplink.call('publish', [web])
    assert.equal(told(), 1)
    for (let attempt = 0; told() < 2 && attempt < 500; attempt++) {
      netns.run('nft', 'delete table ip6 late')
      await sleep(50)
      netns.run('nft', late)
      await sleep(50)
    }
    assert.ok(told() > 1)
  })

  test('the link’s addresses avoid what the host has there; a second uplink and foreign interfaces are refused', async () => {
    netns.run('ip', 'address', 'add', '169.254.110.3/32', 'dev', 'eth0')
    netns.run('ip', 'route', 'add', '169.254.0.0/16', 'dev', 'eth0')
    netns.run('ip', 'link', 'add', 'docker0', 'type', 'bridge')
    const uplink = create()
    const part = (await uplink.call('start')) as UplinkPart
    assert.equal(part.interface.snat, '169.254.110.6')
    await assert.rejects(uplink.call('addNetwork', docker0), { code: 'conflict', message: /docker0/, fix: /ip link delete docker0/ })
    await uplink.call('removeNetwork', docker0.id)
    assert.equal(netns.run('ip', 'route', 'show', 'table', 'all').includes('172.17'), false)

    const second = create()
    await assert.rejects(second.call('start'), { code: 'conflict', message: /netloom0/ })
    await second.call('close')
    assert.match(netns.run('ip', 'rule'), /28268/, 'the first one goes on')
    assert.ok(existsSync(path.join(directory, 'host-uplink.json')))
  })
})

/** The kernel lists a map's elements in any order. */
function sorted(table: string): string {
  return table
    .split(/[\s,]+/)
    .sort()
    .join(' ')
}
