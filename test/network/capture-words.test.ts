/** What captures say of endpoints, cables and other machines in words, and back: see docs/replay.md. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lab } from '../../src/index.ts'
import { cableWords, parseCableWords } from '../../src/network/emulated/cable-words.ts'
import { parseEndpointWords } from '../../src/network/endpoint-words.ts'
import { parentWords, parseParentWords } from '../../src/network/parents/parent-words.ts'
import { parseRemoteWords, parseVtepWords, remoteWords, vtepWords } from '../../src/network/remote-words.ts'
import { parseUnderlayWords, underlayWords } from '../../src/network/underlays/underlay-words.ts'

test('of an endpoint, only what is not as by default', async () => {
  await using lab = await Lab.create({ clock: 'virtual', seed: 1 })
  const plain = await lab.network('plain', { subnet: '192.0.2.0/24', subnet6: '2001:db8::/64' })
  const odd = await lab.network('odd', {
    subnet: '198.51.100.0/24',
    gateway: '198.51.100.9',
    mtu: 1400,
    internal: true,
    icc: false,
    dns: false
  })
  const none = await lab.network('none', { subnet: '203.0.113.0/24', gateway: null, masquerade: false })
  for (const network of [plain, odd, none]) await network.host('a')
  const comments = lab.controller.capturePoints().map(({ comment }) => comment)
  assert.deepEqual(comments, [undefined, 'gateway 198.51.100.9, mtu 1400, internal, no icc, no names', 'no gateway, no masquerade'])
  assert.deepEqual(parseEndpointWords(comments[1]!), {
    network: { gateway: '198.51.100.9', mtu: 1400, internal: true, icc: false, dns: false }
  })
  assert.deepEqual(parseEndpointWords(comments[2]!), { network: { gateway: null, masquerade: false } })
  assert.deepEqual(parseEndpointWords(''), { network: {} })
  assert.deepEqual(parseEndpointWords('mtu 1450, parent eth0.30, mode l3, vni 256, container 3a9ffad919fe'), {
    network: { mtu: 1450, driverOptions: { parent: 'eth0.30', mode: 'l3' } },
    vni: 256,
    container: '3a9ffad919fe'
  })
  assert.deepEqual(parseEndpointWords('bum flood, learning, remote 192.0.2.9, remote 2001:db8::9, vni 256'), {
    network: { driverOptions: { bum: 'flood', learning: true, remotes: ['192.0.2.9', '2001:db8::9'] } },
    vni: 256
  })
})

test('of an underlay, and of what is behind it', () => {
  const underlay = { mtu: 1500, port: 14_789, nextHopMac: '02:cc:00:00:00:02' }
  assert.equal(underlayWords(underlay), 'mtu 1500, port 14789, next hop 02:cc:00:00:00:02')
  assert.deepEqual(parseUnderlayWords(underlayWords(underlay)), underlay)
  assert.equal(parseUnderlayWords(''), null)
  for (const { mtu = 1500, port = 4789, hop = '02:6e:6c:76:78:01' } of [
    { mtu: 0 },
    { mtu: 70000 },
    { port: 0 },
    { port: 99999 },
    { hop: 'x' }
  ]) {
    assert.equal(parseUnderlayWords(`mtu ${mtu}, port ${port}, next hop ${hop}`), null)
  }
  const station = { network: 'a: network', mac: '02:cc:00:00:00:03', address: '198.51.100.3' }
  for (const [more, words] of [
    [{ address6: '', vtep: '192.0.2.12' }, '198.51.100.3 behind 192.0.2.12'],
    [{ address6: '2001:db8::3', vtep: '2001:db8:1::12' }, '198.51.100.3 2001:db8::3 behind 2001:db8:1::12'],
    [{ address6: '', vtep: null }, '198.51.100.3 gone'],
    [{ address6: '2001:db8::3', vtep: null }, '198.51.100.3 2001:db8::3 gone']
  ] as const) {
    assert.equal(remoteWords({ ...station, ...more }), `station of overlay network a: network: 02:cc:00:00:00:03 ${words}`)
    assert.deepEqual(parseRemoteWords(remoteWords({ ...station, ...more })), { ...station, ...more })
  }
  for (const vteps of [[], ['192.0.2.12'], ['192.0.2.12', '2001:db8::c']]) assert.deepEqual(parseVtepWords(vtepWords(vteps)), vteps)
  for (const words of ['', 'seen', vtepWords([])]) assert.equal(parseRemoteWords(words), null)
  assert.equal(parseVtepWords('a name'), null)
  // A capture may come from anybody.
  const words = 'station of overlay network a: 02:cc:00:00:00:03 10.0.9.3'
  for (const end of [' behind nowhere', ' 10:zz behind 192.0.2.12', `.9 gone`, ` 1${':'.repeat(50_000)}`]) {
    assert.equal(parseRemoteWords(words + end), null)
  }
  assert.equal(parseRemoteWords('station of overlay network a: x 10.0.9.3 gone'), null)
  assert.equal(parseVtepWords('VTEPs of other hosts: 192.0.2.12, nowhere'), null)
})

test('of a cable', () => {
  const routes = { '0.0.0.0/0': '192.0.2.126', '::/0': '2001:db8::7e' }
  const host = { end: 'host', lan: { mtu: 1500, vlan: null }, routes } as const
  assert.equal(cableWords(host), 'host, mtu 1500, route 0.0.0.0/0 via 192.0.2.126, route ::/0 via 2001:db8::7e')
  assert.deepEqual(parseCableWords(cableWords(host)), host)
  const guest = { end: 'router', lan: { mtu: 9000, vlan: { id: 30, trunk: 'the office' } }, routes: {} } as const
  assert.equal(cableWords(guest), 'router, mtu 9000, vlan 30 of the office')
  assert.deepEqual(parseCableWords(cableWords(guest)), guest)
  assert.deepEqual(parseCableWords(''), { end: 'station', lan: { mtu: 1500, vlan: null }, routes: {} })
})

test('of a parent', () => {
  const routes = { '192.0.2.0/24': {}, '0.0.0.0/0': { via: '192.0.2.254' } }
  const setting = { mtu: 9000, station: { addresses: ['192.0.2.1/24', '2001:db8::1/64'], routes } }
  const words = 'mtu 9000, address 192.0.2.1/24, address 2001:db8::1/64, route 192.0.2.0/24, route 0.0.0.0/0 via 192.0.2.254'
  assert.equal(parentWords(setting), words)
  assert.deepEqual(parseParentWords(words), setting)
  assert.deepEqual(parseParentWords(''), { mtu: 1500, station: { addresses: [], routes: {} } })
})
