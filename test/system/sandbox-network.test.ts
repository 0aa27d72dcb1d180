import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, readSync, writeSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import type { InterfaceOptions, ResolverRoute } from '../../src/sandbox/interface-config.ts'
import { NetworkNamespace } from '../../src/sandbox/network-namespace.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { eventually, noSandbox, run, withSandbox } from './sandbox-set-up.ts'

const SERVICE_MAC = '02:42:7f:00:00:0b'
const VNET_HEADER = 12
const ETH0: InterfaceOptions = { name: 'eth0', address: '172.25.0.2/16', gateway: '172.25.0.1', mac: '02:42:ac:19:00:02', mtu: 1450 }
const ROUTE: ResolverRoute = { device: 'eth0', source: '172.25.0.2', serviceMac: SERVICE_MAC }

/** What iproute2 sees, as JSON, with the shell's `ip` in front. */
async function ip(sandbox: Sandbox, words: string): Promise<Record<string, unknown>[]> {
  const { stdout, stderr } = await run(sandbox, ['sh', '-c', `ip -j ${words}`])
  assert.equal(stderr, '')
  return stdout.trim() === '' ? [] : JSON.parse(stdout)
}

/** The next frame of a TAP for which `wanted` holds, without its virtio_net_hdr. */
async function nextFrame(fd: number, wanted: (frame: Buffer) => boolean): Promise<Buffer> {
  const bytes = Buffer.alloc(70_000)
  let found: Buffer | undefined
  await eventually('the frame has come', () => {
    try {
      const frame = bytes.subarray(VNET_HEADER, readSync(fd, bytes))
      if (wanted(frame)) found = Buffer.from(frame)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
    return found !== undefined
  })
  return found!
}

const isIpv4To = (address: number[]) => (frame: Buffer) =>
  frame.readUInt16BE(12) === 0x0800 && frame.subarray(30, 34).equals(Buffer.from(address))

/** A UDP frame sent back to where it came from, with other data of the same length. */
function answerTo(frame: Buffer, data: Buffer): Buffer {
  const part = (at: number, length: number): Buffer => frame.subarray(at, at + length)
  const udpAt = 14 + 4 * (frame[14]! & 15)
  const noChecksum = Buffer.alloc(2)
  const udp = [part(udpAt + 2, 2), part(udpAt, 2), part(udpAt + 4, 2), noChecksum, data]
  // Swapped addresses leave the IPv4 header's sum as it is.
  return Buffer.concat([part(6, 6), part(0, 6), part(12, 14), part(30, 4), part(26, 4), ...udp])
}

/** In the sandbox: sends 'query?' to 127.0.0.11 and prints who answered what. */
const QUERY = `
  const socket = require('node:dgram').createSocket('udp4')
  socket.on('message', (data, from) => { console.log(String(data), from.address, from.port); socket.close() })
  socket.send('query?', 53, '127.0.0.11')`

async function assertResolverAt(sandbox: Sandbox, fd: number, source: number[]): Promise<void> {
  const process = await sandbox.spawn({ argv: [globalThis.process.execPath, '-e', QUERY] })
  const query = await nextFrame(fd, isIpv4To([127, 0, 0, 11]))
  assert.equal(query.toString('hex', 0, 6), SERVICE_MAC.replaceAll(':', ''))
  assert.deepEqual([...query.subarray(26, 30)], source)
  writeSync(fd, Buffer.concat([Buffer.alloc(VNET_HEADER), answerTo(query, Buffer.from('answer'))]))
  assert.equal(await text(process.stdout!), 'answer 127.0.0.11 53\n')
}

describe('the network of a sandbox', { skip: noSandbox }, () => {
  test('an interface has the address, broadcast, MAC, MTU and route that were asked for', () =>
    withSandbox({}, async (sandbox) => {
      const tap = await sandbox.openTap({ name: 'eth0', mtu: 9000 })
      await sandbox.configureInterface(ETH0)
      await sandbox.configureInterface(ETH0) // again: as after a reconnect
      const [link] = await ip(sandbox, 'address show dev eth0')
      assert.ok(link)
      assert.equal(link['address'], '02:42:ac:19:00:02')
      assert.equal(link['mtu'], 1450)
      assert.ok((link['flags'] as string[]).includes('UP'))
      const addresses = link['addr_info'] as Record<string, unknown>[]
      assert.deepEqual(
        addresses.map(({ local, prefixlen, broadcast }) => [local, prefixlen, broadcast]),
        [['172.25.0.2', 16, '172.25.255.255']]
      )
      const [route] = await ip(sandbox, 'route show default')
      assert.equal(route!['gateway'], '172.25.0.1')
      assert.equal(route!['dev'], 'eth0')
      assert.equal(await sandbox.readSysctl('net/ipv6/conf/eth0/disable_ipv6'), '1')
      closeSync(tap.fd)
    }))

  test('IPv6 addresses can be used at once', () =>
    withSandbox({}, async (sandbox) => {
      const tap = await sandbox.openTap({ name: 'eth0' })
      await sandbox.configureInterface({
        name: 'eth0',
        address: '192.0.2.2/31',
        gateway: 'device',
        address6: '2001:db8::2/64',
        gateway6: '2001:db8::1'
      })
      const addresses = await sandbox.netlink.addresses.list('eth0')
      const v6 = addresses.find(({ address }) => address === '2001:db8::2/64')
      assert.equal(v6?.tentative, false)
      assert.equal(addresses.find(({ address }) => address === '192.0.2.2/31')?.broadcast, undefined)
      const routes = await sandbox.netlink.routes.list()
      assert.ok(routes.some((route) => route.to === '::/0' && route.via === '2001:db8::1'))
      assert.ok(routes.some((route) => route.to === '0.0.0.0/0' && route.via === undefined))
      closeSync(tap.fd)
    }))

  test('router advertisements are ignored where that is wanted, unless a sysctl of the sandbox says otherwise', async () => {
    const heard = async (sysctls: Record<string, string>, options: Partial<InterfaceOptions>): Promise<string> => {
      let value = ''
      await withSandbox({ sysctls }, async (sandbox) => {
        const tap = await sandbox.openTap({ name: 'eth0' })
        await sandbox.configureInterface({ ...ETH0, address6: '2001:db8::2/64', ...options })
        value = (await run(sandbox, ['cat', '/proc/sys/net/ipv6/conf/eth0/accept_ra'])).stdout.trim()
        closeSync(tap.fd)
      })
      return value
    }
    const ignore = { ignoreAdvertisements: true }
    assert.equal(await heard({}, {}), '1')
    assert.equal(await heard({}, ignore), '0')
    for (const name of ['default', 'eth0']) assert.equal(await heard({ [`net.ipv6.conf.${name}.accept_ra`]: '2' }, ignore), '2')
  })

  test('a bad name, address, MAC or system setting is refused with its value', () =>
    withSandbox({}, async (sandbox) => {
      await assert.rejects(sandbox.openTap({ name: 'a-name-too-long-for-linux' }), /a-name-too-long-for-linux/)
      await assert.rejects(sandbox.openTap({ name: 'eth0', mac: 'nonsense' }), /nonsense/)
      await assert.rejects(sandbox.configureInterface({ name: 'eth9', address: '192.0.2.2/24' }), /eth9/)
      await assert.rejects(sandbox.configureInterface({ name: 'lo', address: '192.0.2.2/33' }), /192\.0\.2\.2\/33/)
      await assert.rejects(sandbox.writeSysctl('kernel/hostname', 'x'), /kernel\/hostname/)
      await assert.rejects(sandbox.writeSysctl('net/../kernel/hostname', 'x'), { code: 'EINVAL' })
      await assert.rejects(sandbox.writeSysctl('net/nonesuch', 'x'), { code: 'ENOENT' })
    }))

  test('127.0.0.11 is on the wire, the rest of 127/8 is not, and it moves with the network', () =>
    withSandbox({}, async (sandbox) => {
      const rulesBefore = await sandbox.netlink.rules.list()
      const eth0 = await sandbox.openTap({ name: 'eth0' })
      const eth1 = await sandbox.openTap({ name: 'eth1' })
      await sandbox.configureInterface(ETH0)
      await sandbox.configureInterface({ name: 'eth1', address: '172.26.0.2/16' })
      await sandbox.routeResolver(ROUTE)
      await sandbox.routeResolver(ROUTE)
      // One rule would slow down every look-up of the namespace.
      assert.deepEqual(await sandbox.netlink.rules.list(), rulesBefore)
      await assertResolverAt(sandbox, eth0.fd, [172, 25, 0, 2])
      for (const local of ['127.0.0.1', '127.0.0.53', '172.25.0.2']) {
        assert.equal((await run(sandbox, ['ping', '-c', '1', '-W', '60', local])).code, 0, local)
      }
      await sandbox.routeResolver({ device: 'eth1', source: '172.26.0.2', serviceMac: SERVICE_MAC })
      await assertResolverAt(sandbox, eth1.fd, [172, 26, 0, 2])
      // The network goes while the resolver is on it: the route goes with its interface and can be set anew.
      await sandbox.netlink.links.delete('eth1')
      await sandbox.routeResolver(ROUTE)
      await assertResolverAt(sandbox, eth0.fd, [172, 25, 0, 2])
      await assert.rejects(sandbox.routeResolver({ ...ROUTE, source: '198.51.100.1' }), { code: 'EINVAL' })
      await sandbox.unrouteResolver()
      await sandbox.unrouteResolver()
      assert.deepEqual(await sandbox.netlink.rules.list(), rulesBefore)
      assert.ok((await sandbox.netlink.routes.list(255)).every(({ to }) => to !== '127.0.0.11/32'))
      assert.equal((await run(sandbox, ['ping', '-c', '1', '-W', '60', '127.0.0.11'])).code, 0)
      closeSync(eth0.fd)
      closeSync(eth1.fd)
    }))

  test('an answer of many messages arrives whole', () =>
    withSandbox({}, async (sandbox) => {
      // 3,000 routes are some 180 KB of answer, more than one message of the shim holds.
      const batch = Array.from({ length: 3000 }, (_, i) => `route add 198.18.${i >> 8}.${i & 255}/32 dev lo`).join('\n')
      const added = await sandbox.spawn({ argv: ['ip', '-batch', '-'] })
      added.stdin!.end(batch)
      assert.deepEqual(await added.wait(), { code: 0, signal: null })
      assert.equal((await sandbox.netlink.routes.list()).filter((route) => route.to.startsWith('198.18.')).length, 3000)
    }))
})

describe('a network namespace that we did not make', { skip: noSandbox }, () => {
  test('it is configured like a sandbox, and put back', async () => {
    const stranger = spawn('unshare', ['-n', 'sh', '-c', 'echo ready; exec sleep 1000'], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(stranger.stdout, 'data')
      const inside = (words: string): string =>
        spawnSync('nsenter', ['-t', String(stranger.pid), '-n', 'sh', '-c', words], { encoding: 'utf8' }).stdout
      const rulesBefore = inside('ip rule')
      const namespace = await NetworkNamespace.open({ pid: stranger.pid! })
      const tap = namespace.openTap({ name: 'eth0' })
      await namespace.netlink.links.set('lo', { up: true })
      await namespace.configureInterface(ETH0)
      await namespace.routeResolver(ROUTE)
      assert.match(inside('ip -4 -o address show dev eth0'), /172\.25\.0\.2\/16 brd 172\.25\.255\.255/)
      assert.match(inside('ip route get 127.0.0.11'), /127\.0\.0\.11 dev eth0 src 172\.25\.0\.2/)
      assert.match(inside('ip route get 127.0.0.1'), /dev lo/)
      assert.match(inside('ip neigh show dev eth0'), /127\.0\.0\.11 lladdr 02:42:7f:00:00:0b PERMANENT/)
      await namespace.unrouteResolver()
      assert.equal(inside('ip rule'), rulesBefore)
      namespace.close()
      closeSync(tap.fd)
      assert.equal(inside('ip -o link').trim().split('\n').length, 1, 'the interface went with its descriptor')
    } finally {
      stranger.kill('SIGKILL')
      await once(stranger, 'exit')
    }
  })

  test('what cannot be opened says why', async () => {
    await assert.rejects(NetworkNamespace.open({ pid: 2 ** 22 + 1 }), { code: 'ESRCH', message: /no process 4194305/ })
    await assert.rejects(NetworkNamespace.open({ pid: -1 }), { code: 'EINVAL' })
    await assert.rejects(NetworkNamespace.open({ path: '/run/netns/nonesuch' }), { code: 'ENOENT' })
    await assert.rejects(NetworkNamespace.open({ path: '/etc/passwd' }), {
      code: 'EINVAL',
      message: '/etc/passwd is not a network namespace'
    })
    await assert.rejects(NetworkNamespace.open({ path: '/proc/self/ns/uts' }), { code: 'EINVAL' })
  })
})
