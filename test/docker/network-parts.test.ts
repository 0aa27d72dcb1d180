import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goTime, parseGoDuration, parseGoTime, parseUntil } from '../../src/docker/go-time.ts'
import { checkedMac } from '../../src/docker/network/endpoint-checks.ts'
import { linkEnvironment, parseLink } from '../../src/docker/network/legacy-links.ts'
import { PortAllocator } from '../../src/docker/network/port-allocator.ts'
import { parsePortRange } from '../../src/docker/network/port-spec.ts'
import { embeddedText, plainText, upstreamServers } from '../../src/docker/network/resolv-conf-file.ts'

test('times as Go writes them', () => {
  const time = 1_795_204_548_196_144_182n
  assert.equal(goTime(time), '2026-11-20T19:55:48.196144182Z')
  assert.equal(goTime(1_795_204_548_000_000_000n), '2026-11-20T19:55:48Z')
  assert.equal(goTime(1_795_204_548_100_000_000n), '2026-11-20T19:55:48.1Z')
  assert.equal(parseGoTime('2026-11-20T19:55:48.196144182Z'), time)
  assert.equal(parseGoTime('2026-11-20T20:55:48.1+01:00'), 1_795_204_548_100_000_000n)
  assert.deepEqual(['1h30m', '-1.5s', '300ms', '0', '', '5', 'h'].map(parseGoDuration), [
    5_400_000_000_000n,
    -1_500_000_000n,
    300_000_000n,
    0n,
    undefined,
    undefined,
    undefined
  ])
  assert.equal(parseUntil('10m', time), time - 600_000_000_000n)
  assert.equal(parseUntil('1795204548.5', time), 1_795_204_548_500_000_000n)
  assert.equal(parseUntil('2026-11-20', time), parseGoTime('2026-11-20T00:00:00Z'))
  assert.equal(parseUntil('2026-11-20T19:55', time), parseGoTime('2026-11-20T19:55:00Z'))
  assert.throws(() => parseUntil('soon', time), RangeError)
})

test('resolv.conf: the host’s, the flags over it, and the embedded server over either', () => {
  const host =
    '# made by hand\nnameserver 127.0.0.53\nnameserver 192.0.2.60\nnameserver 2001:db8::53\nsearch a.example\noptions timeout:1\n'
  assert.equal(plainText(host, {}, false), '# made by hand\nnameserver 192.0.2.60\nsearch a.example\noptions timeout:1\n')
  assert.equal(
    plainText(host, {}, true),
    '# made by hand\nnameserver 192.0.2.60\nnameserver 2001:db8::53\nsearch a.example\noptions timeout:1\n'
  )
  const flags = { Dns: ['192.0.2.1', 'fd00::53'], DnsSearch: ['corp.example', 'lab.example'], DnsOptions: ['ndots:3'] }
  const text = plainText(host, flags, false)
  assert.equal(text, 'search corp.example lab.example\nnameserver 192.0.2.1\nnameserver fd00::53\noptions ndots:3\n')
  assert.equal(embeddedText(text), 'search corp.example lab.example\nnameserver 127.0.0.11\nnameserver fd00::53\noptions ndots:3\n')
  assert.equal(embeddedText('nameserver 192.0.2.60\n'), 'nameserver 127.0.0.11\noptions ndots:0\n')
  assert.equal(plainText('nameserver 192.0.2.60\nsearch x\n', { DnsSearch: ['.'] }, false), 'nameserver 192.0.2.60\n')
  assert.equal(upstreamServers(host, {}), undefined)
  assert.deepEqual(upstreamServers(host, { Dns: ['192.0.2.1', 'nonsense'] }), ['192.0.2.1'])
  assert.deepEqual(upstreamServers('nameserver 192.0.2.60\n', { DnsOptions: ['ndots:1'] }), ['192.0.2.60'])
})

test('links: three ways to write them, and their variables', () => {
  assert.deepEqual(['db', 'db:x', '/db:/web/x', 'a:b:c', ''].map(parseLink), [
    { name: 'db', alias: 'db' },
    { name: 'db', alias: 'x' },
    { name: 'db', alias: 'x' },
    undefined,
    undefined
  ])
  const env = linkEnvironment({
    alias: 'my-db',
    linkName: '/web/my-db',
    address: '172.17.0.2',
    env: ['PATH=/bin', 'MODE=fast=yes', 'BARE'],
    exposedPorts: ['1002/tcp', '1000/tcp', '1001/tcp', '53/udp']
  })
  assert.deepEqual(env.slice(0, 7), [
    'MY_DB_PORT=udp://172.17.0.2:53',
    'MY_DB_PORT_1000_TCP_START=tcp://172.17.0.2:1000',
    'MY_DB_PORT_1000_TCP_ADDR=172.17.0.2',
    'MY_DB_PORT_1000_TCP_PROTO=tcp',
    'MY_DB_PORT_1000_TCP_PORT_START=1000',
    'MY_DB_PORT_1002_TCP_END=tcp://172.17.0.2:1002',
    'MY_DB_PORT_1002_TCP_PORT_END=1002'
  ])
  assert.deepEqual(env.slice(-2), ['MY_DB_NAME=/web/my-db', 'MY_DB_ENV_MODE=fast=yes'])
  assert.equal(env.length, 7 + 4 * 4 + 2)
})

test('ports: the next after the last, round the range, by address and protocol', () => {
  const ports = new PortAllocator({ first: 10, last: 12 })
  assert.deepEqual(
    [1, 2, 3, 4].map(() => ports.claimAny('0.0.0.0', 'tcp')),
    [10, 11, 12, undefined]
  )
  ports.release('0.0.0.0', 'tcp', 10)
  ports.release('0.0.0.0', 'tcp', 11)
  assert.equal(ports.claimAny('0.0.0.0', 'tcp'), 10)
  ports.release('0.0.0.0', 'tcp', 10)
  assert.equal(ports.claimAny('0.0.0.0', 'tcp'), 11)
  assert.equal(ports.claimAny('0.0.0.0', 'udp'), 10)
  assert.equal(ports.claim('192.0.2.1', 'tcp', 11), true)
  assert.equal(ports.claim('192.0.2.1', 'tcp', 11), false)
  assert.deepEqual(['80', '80-90', '', '90-80', '70000', '-1', 'a', '1-2-3'].map(parsePortRange), [
    { first: 80, last: 80 },
    { first: 80, last: 90 },
    { first: 0, last: 0 },
    undefined,
    undefined,
    undefined,
    undefined,
    undefined
  ])
})

test('MACs in the three forms that Go reads', () => {
  for (const text of ['12:34:56:78:9A:BC', '12-34-56-78-9a-bc', '1234.5678.9abc']) assert.equal(checkedMac(text), '12:34:56:78:9a:bc')
  for (const text of ['nonsense', '12:34:56:78:9a', '12:34-56:78:9a:bc', '1234567890ab']) {
    assert.throws(() => checkedMac(text), { status: 500, message: `address ${text}: invalid MAC address` })
  }
})
