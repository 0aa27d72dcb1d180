import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AddressError,
  addressFamily,
  formatIpv4,
  formatIpv6,
  formatMac,
  ipv6FromBigint,
  ipv6ToBigint,
  isIpv4Loopback,
  isIpv4Multicast,
  isIpv6LinkLocal,
  isIpv6Multicast,
  isIpv6Unspecified,
  linkLocalFromMac,
  MAC_BROADCAST,
  macAt,
  macForIpv4Multicast,
  macForIpv6Multicast,
  macFromIpv4,
  parseIpv4,
  parseIpv6,
  parseMac,
  solicitedNode
} from '../../src/wire/address.ts'
import { seededRandom } from './seeded-random.ts'

test('MAC: text to two integers and back', () => {
  assert.deepEqual(parseMac('02:42:ac:11:00:02'), { hi: 0x0242, lo: 0xac110002 | 0 })
  assert.deepEqual(parseMac('02-CC-00-00-00-0A'), { hi: 0x02cc, lo: 10 })
  assert.deepEqual(parseMac('2:42:a:0:9:3'), { hi: 0x0242, lo: 0x0a000903 })
  assert.equal(formatMac({ hi: 0x0242, lo: 0xac110002 | 0 }), '02:42:ac:11:00:02')
  assert.equal(formatMac({ hi: 0, lo: 1 }), '00:00:00:00:00:01')
  assert.equal(formatMac(MAC_BROADCAST), 'ff:ff:ff:ff:ff:ff')
  assert.deepEqual(macAt(Uint8Array.of(9, 0xff, 0xfe, 0x80, 0, 0, 1, 9), 1), { hi: 0xfffe, lo: 0x80000001 | 0 })
})

test('MAC: what is refused', () => {
  for (const bad of [
    '',
    '02:42:ac:11:00',
    '02:42:ac:11:00:02:03',
    '02:42:ac:11:00:0g',
    '02:42-ac:11:00:02',
    '0242ac110002',
    '002:42:ac:11:00:02'
  ]) {
    assert.throws(
      () => parseMac(bad),
      (error: AddressError) => error instanceof AddressError && error.value === bad && error.message.includes(JSON.stringify(bad))
    )
  }
})

test('IPv4: text to int32 and back', () => {
  assert.equal(parseIpv4('192.0.2.1'), 0xc0000201 | 0)
  assert.equal(parseIpv4('0.0.0.0'), 0)
  assert.equal(parseIpv4('255.255.255.255'), -1)
  assert.equal(formatIpv4(0xc0000201 | 0), '192.0.2.1')
  assert.equal(formatIpv4(0xc0000201), '192.0.2.1')
  assert.equal(formatIpv4(-1), '255.255.255.255')
})

test('IPv4: what is refused', () => {
  for (const bad of ['', '1.2.3', '1.2.3.4.5', '256.0.0.1', '01.2.3.4', '1.2.3.-4', ' 1.2.3.4', '1.2.3.4 ', '0x1.2.3.4', '1..2.3']) {
    assert.throws(() => parseIpv4(bad), { name: 'AddressError', code: 'INVALID_ADDRESS', value: bad })
  }
})

test('IPv6: RFC 5952 section 4 and 5', () => {
  for (const [text, canonical] of [
    ['2001:0db8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::0:1', '2001:db8::1'],
    ['2001:DB8:AAAA:bbbb:cccc:dddd:eeee:AAAA', '2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], // one group alone is not shortened
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'], // the longest run
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], // of equal ones the first
    ['0:0:0:0:0:0:0:0', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304']
  ]) {
    assert.equal(formatIpv6(parseIpv6(text)), canonical, text)
    assert.equal(formatIpv6(parseIpv6(canonical)), canonical)
  }
})

test('IPv6: what is refused', () => {
  for (const bad of [
    '',
    ':',
    ':::',
    '1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    ':1::2',
    '1::2:',
    '12345::',
    'g::',
    'fe80::1%eth0',
    '1.2.3.4::',
    '::1.2.3',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::256.1.1.1'
  ]) {
    assert.throws(() => parseIpv6(bad), { name: 'AddressError', value: bad }, bad)
  }
})

test('IPv6: formatting and parsing are inverse on 10,000 random addresses with many zero groups', () => {
  const random = seededRandom(5952)
  for (let i = 0; i < 10_000; i++) {
    const bytes = Uint8Array.from({ length: 16 }, () => (random(3) === 0 ? random(256) : 0))
    const text = formatIpv6(bytes)
    assert.deepEqual(parseIpv6(text), bytes, text)
    assert.deepEqual(ipv6FromBigint(ipv6ToBigint(bytes)), bytes)
  }
})

test('IPv6: the WHATWG URL parser, an independent reader, agrees on the shortening', () => {
  const random = seededRandom(4291)
  for (let i = 0; i < 2000; i++) {
    const bytes = Uint8Array.from({ length: 16 }, (_, j) => (j === 0 ? 0x20 : random(3) === 0 ? random(256) : 0))
    const text = formatIpv6(bytes)
    assert.equal(new URL(`http://[${text}]/`).hostname, `[${text}]`)
  }
})

test('IPv6: as a number', () => {
  assert.equal(ipv6ToBigint(parseIpv6('2001:db8::1')), 0x20010db8_00000000_00000000_00000001n)
  assert.equal(formatIpv6(ipv6FromBigint((1n << 128n) - 1n)), 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')
  assert.equal(ipv6ToBigint(Uint8Array.of(9, ...parseIpv6('::2')), 1), 2n)
})

test('the family of a text', () => {
  assert.equal(addressFamily('192.0.2.1'), 4)
  assert.equal(addressFamily('2001:db8::1'), 6)
  assert.equal(addressFamily('web'), 0)
  assert.equal(addressFamily('192.0.2.1/24'), 0)
})

test('derived addresses', () => {
  assert.equal(formatMac(macFromIpv4(parseIpv4('172.17.0.2'))), '02:42:ac:11:00:02') // as Docker
  assert.equal(formatMac(macForIpv4Multicast(parseIpv4('224.0.0.251'))), '01:00:5e:00:00:fb')
  assert.equal(formatMac(macForIpv4Multicast(parseIpv4('239.129.1.2'))), '01:00:5e:01:01:02') // 23 bits, not 24
  assert.equal(formatMac(macForIpv6Multicast(parseIpv6('ff02::1:ff11:2'))), '33:33:ff:11:00:02')
  assert.equal(formatIpv6(linkLocalFromMac(parseMac('02:42:ac:11:00:02'))), 'fe80::42:acff:fe11:2')
  assert.equal(formatIpv6(linkLocalFromMac(parseMac('34:56:78:9a:bc:de'))), 'fe80::3656:78ff:fe9a:bcde')
  assert.equal(formatIpv6(solicitedNode(parseIpv6('2001:db8::a:bcde:f012'))), 'ff02::1:ffde:f012')
})

test('kinds of address', () => {
  assert.deepEqual(
    ['223.255.255.255', '224.0.0.0', '239.255.255.255', '240.0.0.0'].map((text) => isIpv4Multicast(parseIpv4(text))),
    [false, true, true, false]
  )
  assert.deepEqual(
    ['126.255.255.255', '127.0.0.11', '128.0.0.0'].map((text) => isIpv4Loopback(parseIpv4(text))),
    [false, true, false]
  )
  assert.deepEqual(
    ['fe7f::', 'fe80::', 'febf::1', 'fec0::'].map((text) => isIpv6LinkLocal(parseIpv6(text))),
    [false, true, true, false]
  )
  assert.deepEqual(
    ['feff::', 'ff02::1'].map((text) => isIpv6Multicast(parseIpv6(text))),
    [false, true]
  )
  assert.deepEqual(
    ['::', '::1', '1::'].map((text) => isIpv6Unspecified(parseIpv6(text))),
    [true, false, false]
  )
})
