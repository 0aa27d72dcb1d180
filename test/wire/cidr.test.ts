import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIpv4 } from '../../src/wire/address.ts'
import {
  formatAddress,
  formatPrefix,
  ipv4Mask,
  parseAddress,
  parseCidr,
  prefixBroadcast,
  prefixContains,
  prefixesOverlap,
  prefixFirst,
  prefixIncludes,
  prefixLast,
  prefixOf,
  prefixSize
} from '../../src/wire/cidr.ts'

test('parse keeps the address as written and clears host bits in the network', () => {
  assert.deepEqual(parseCidr('172.25.3.3/16'), { family: 4, address: 0xac190303, network: 0xac190000, length: 16 })
  assert.deepEqual(parseCidr('2001:db8::5/64'), {
    family: 6,
    address: 0x20010db8_00000000_00000000_00000005n,
    network: 0x20010db8n << 96n,
    length: 64
  })
  assert.equal(formatPrefix(parseCidr('172.25.3.3/16')), '172.25.0.0/16')
  assert.equal(formatPrefix(parseCidr('2001:db8::5/64')), '2001:db8::/64')
  assert.equal(formatPrefix(parseCidr('0.0.0.0/0')), '0.0.0.0/0')
})

test('what is refused, with the whole text named', () => {
  for (const bad of [
    '',
    '/',
    '172.25.0.0',
    '172.25.0.0/',
    '172.25.0.0/33',
    '172.25.0.0/-1',
    '172.25.0.0/016',
    '172.25.0/16',
    '172.25.0.0/16/2',
    '::/129',
    'fe80::1%a/64',
    '1.2.3.4/255.255.0.0'
  ]) {
    assert.throws(() => parseCidr(bad), { name: 'AddressError', value: bad }, bad)
  }
  assert.throws(() => prefixOf(0, 33), RangeError)
  assert.throws(() => prefixOf(0n, 129), RangeError)
  assert.throws(() => prefixOf(0, 1.5), RangeError)
})

test('first, last, broadcast, size', () => {
  for (const [text, first, last, broadcast, size] of [
    ['192.0.2.77/24', '192.0.2.0', '192.0.2.255', '192.0.2.255', 256n],
    ['203.0.113.5/30', '203.0.113.4', '203.0.113.7', '203.0.113.7', 4n],
    ['203.0.113.4/31', '203.0.113.4', '203.0.113.5', null, 2n],
    ['203.0.113.4/32', '203.0.113.4', '203.0.113.4', null, 1n],
    ['0.0.0.0/0', '0.0.0.0', '255.255.255.255', '255.255.255.255', 1n << 32n],
    ['2001:db8::77/64', '2001:db8::', '2001:db8::ffff:ffff:ffff:ffff', null, 1n << 64n],
    ['2001:db8::77/128', '2001:db8::77', '2001:db8::77', null, 1n],
    ['::/0', '::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', null, 1n << 128n]
  ] as const) {
    const prefix = parseCidr(text)
    const end = prefixBroadcast(prefix)
    assert.equal(formatAddress(prefixFirst(prefix)), first, text)
    assert.equal(formatAddress(prefixLast(prefix)), last, text)
    assert.equal(end === null ? null : formatAddress(end), broadcast, text)
    assert.equal(prefixSize(prefix), size, text)
  }
})

test('contains: the edges, the int32 of a frame, and the other family', () => {
  const prefix = parseCidr('192.0.2.0/25')
  assert.deepEqual(
    ['192.0.1.255', '192.0.2.0', '192.0.2.127', '192.0.2.128'].map((text) => prefixContains(prefix, parseAddress(text))),
    [false, true, true, false]
  )
  assert.ok(prefixContains(prefix, parseIpv4('192.0.2.5')), 'int32, negative')
  assert.equal(prefixContains(prefix, parseAddress('::c000:205')), false)
  const v6 = parseCidr('2001:db8:1::/48')
  assert.deepEqual(
    ['2001:db8:0:ffff::', '2001:db8:1::', '2001:db8:1:ffff::1', '2001:db8:2::'].map((text) => prefixContains(v6, parseAddress(text))),
    [false, true, true, false]
  )
  assert.equal(prefixContains(v6, 0), false)
  assert.ok(prefixContains(parseCidr('0.0.0.0/0'), parseAddress('255.0.0.1')))
})

test('overlap and inclusion', () => {
  for (const [a, b, overlap] of [
    ['172.16.0.0/12', '172.25.0.0/16', true],
    ['172.25.0.0/16', '172.25.0.0/16', true],
    ['172.25.0.0/16', '172.26.0.0/16', false],
    ['10.0.0.0/9', '10.128.0.0/9', false],
    ['0.0.0.0/0', '203.0.113.1/32', true],
    ['2001:db8::/32', '2001:db8:5::/48', true],
    ['2001:db8::/48', '2001:db8:1::/48', false],
    ['::/0', '0.0.0.0/0', false]
  ] as const) {
    assert.equal(prefixesOverlap(parseCidr(a), parseCidr(b)), overlap, `${a} ${b}`)
    assert.equal(prefixesOverlap(parseCidr(b), parseCidr(a)), overlap, `${b} ${a}`)
  }
  assert.ok(prefixIncludes(parseCidr('10.0.0.0/8'), parseCidr('10.1.0.0/16')))
  assert.ok(!prefixIncludes(parseCidr('10.1.0.0/16'), parseCidr('10.0.0.0/8')))
})

test('masks and addresses', () => {
  assert.deepEqual(
    [0, 1, 8, 24, 31, 32].map((length) => ipv4Mask(length) >>> 0),
    [0, 0x80000000, 0xff000000, 0xffffff00, 0xfffffffe, 0xffffffff]
  )
  assert.equal(parseAddress('192.0.2.1'), 0xc0000201)
  assert.equal(formatAddress(parseAddress('2001:db8::1')), '2001:db8::1')
  assert.throws(() => parseAddress('web'), { name: 'AddressError', value: 'web' })
})
