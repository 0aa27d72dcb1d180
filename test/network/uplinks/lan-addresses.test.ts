import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LanAddresses } from '../../../src/network/uplinks/lan-addresses.ts'
import { stationMac } from '../../../src/network/uplinks/station-mac.ts'

const BOUND = {
  kind: 'bound',
  address: '192.0.2.100/24',
  routers: ['192.0.2.1'],
  nameServers: [],
  server: '192.0.2.1',
  leaseSeconds: 3600
} as const
const LOST = { kind: 'lost', address: '192.0.2.100', reason: 'no server has renewed it' } as const
const SILENT = { kind: 'silent' } as const

test('given ones', () => {
  const both = new LanAddresses(['192.0.2.9/24', '2001:DB8::9/64'], false)
  assert.deepEqual([both.ipv4, both.ipv6, both.routers], ['192.0.2.9', '2001:DB8::9', []])
  assert.deepEqual(both.hosts, ['192.0.2.9', '2001:db8::9'])
  assert.deepEqual(both.cidrs, ['192.0.2.9/24', '2001:DB8::9/64'])
})

test('a leased one comes, stays and goes', () => {
  const leased = new LanAddresses(['2001:db8::9/64'], true)
  assert.deepEqual([leased.cidrs, leased.ipv4], [['2001:db8::9/64'], undefined])
  assert.equal(leased.take(BOUND), true)
  assert.equal(leased.take(BOUND), false)
  assert.deepEqual([leased.cidrs, leased.routers], [['192.0.2.100/24', '2001:db8::9/64'], ['192.0.2.1']])
  assert.equal(leased.take({ ...BOUND, routers: ['192.0.2.2'] }), true)
  assert.equal(leased.take(SILENT), false)
  assert.equal(leased.take(LOST), true)
  assert.deepEqual([leased.hosts, leased.routers], [['2001:db8::9'], []])
})

test('a given IPv4 address stands in while no server answers', () => {
  const leased = new LanAddresses(['192.0.2.9/24'], true)
  assert.deepEqual(leased.cidrs, [])
  assert.equal(leased.take(SILENT), true)
  assert.deepEqual(leased.cidrs, ['192.0.2.9/24'])
  assert.match(leased.sentence(SILENT), /192\.0\.2\.9\/24 is used until one does/)
  assert.equal(leased.take(BOUND), true)
  assert.deepEqual(leased.cidrs, ['192.0.2.100/24'])
  assert.equal(leased.take(LOST), true)
  assert.deepEqual(leased.cidrs, [])
})

test('what is told', () => {
  const leased = new LanAddresses([], true)
  assert.equal(leased.sentence(BOUND), 'our address is 192.0.2.100/24, leased by 192.0.2.1 for 3600 s, router 192.0.2.1')
  assert.match(leased.sentence({ ...BOUND, leaseSeconds: null, routers: [] }), /for ever, router unknown$/)
  assert.match(leased.sentence(LOST), /192\.0\.2\.100 is lost: no server/)
  assert.match(leased.sentence(SILENT), /no way out by IPv4/)
  assert.match(leased.sentence({ kind: 'taken', address: '192.0.2.100', mac: '02:cc:00:00:00:33' }), /02:cc:00:00:00:33 already/)
})

test('the MAC follows from what is known beforehand', () => {
  const link = { mac: '02:cc:00:00:00:50', name: 'eth0' }
  const mac = (given: readonly string[], isLeased = false): string => stationMac(undefined, new LanAddresses(given, isLeased), link)
  assert.equal(stationMac('02-CC-0-0-0-9', new LanAddresses([], true), link), '02:cc:00:00:00:09')
  assert.equal(mac(['2001:db8::9/64', '192.0.2.9/24']), '02:42:c0:00:02:09')
  assert.equal(mac(['2001:db8::9/64'], true), '02:42:00:00:00:09')
  assert.match(mac([], true), /^02:42:/)
  assert.equal(mac([], true), mac([], true))
  assert.notEqual(mac([], true), stationMac(undefined, new LanAddresses([], true), { ...link, mac: '02:cc:00:00:00:51' }))
})
