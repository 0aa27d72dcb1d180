/** What the NAT does not track may end at the router; it must not get out by another interface. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IpProtocol } from '../../../src/wire/ipv4.ts'
import { packet } from '../divert/divert-bench.ts'
import { LOCAL, NatBench } from './nat-bench.ts'
import { ROUTER_MAC, tcp, udp } from './packets.ts'

/** ICMPv6 of a type that a host and its router have among themselves, sent to somebody behind the router. */
function discovery(type: number, source: string, destination: string): Uint8Array {
  const payload = Uint8Array.of(type, ...new Uint8Array(23))
  return packet({ source, destination, mac: ROUTER_MAC, protocol: IpProtocol.icmpv6, payload })
}

test('neighbor discovery and listener reports are not forwarded, wherever they are sent', () => {
  const bench = new NatBench()
  for (const type of [130, 131, 132, 133, 134, 135, 136, 137, 143]) {
    assert.deepEqual(bench.send(0, discovery(type, '2001:db8:a::2', '2001:db8:ffff::1')), [], `type ${type} to the uplink`)
    assert.deepEqual(bench.send(0, discovery(type, '2001:db8:a::2', '2001:db8:b::2')), [], `type ${type} to another network`)
    assert.deepEqual(bench.send(2, discovery(type, '2001:db8:ffff::1', '2001:db8:a::2')), [], `type ${type} from outside`)
  }
  assert.deepEqual(bench.drops(), { 'nat.untracked': 27 })
  bench.checkBooks()
})

test('link-local addresses are not forwarded', () => {
  const bench = new NatBench()
  assert.deepEqual(bench.send(0, udp('[fe80::2]:5', '[2001:db8:ffff::1]:53')), [])
  assert.deepEqual(bench.drops(), { 'nat.untracked': 1 })
})

test('an address of the host that the router has not: an ordinary flow, with policy and masquerade', () => {
  const bench = new NatBench({ local: [...LOCAL, '198.51.100.77'] })
  assert.deepEqual(bench.send(0, udp('192.0.2.2:5000', '198.51.100.77:53')), ['2: udp 198.51.100.50:5000 > 198.51.100.77:53'])
  assert.deepEqual(bench.send(3, udp('203.0.113.2:5000', '198.51.100.77:53')), [])
  assert.deepEqual(bench.drops(), { 'filter.internal': 1 })
})

test('a station on two networks may answer by the other gateway, and only answer', () => {
  const bench = new NatBench()
  bench.send(0, udp('192.0.2.2:5000', '203.0.113.200:53'))
  assert.deepEqual(bench.send(1, udp('192.0.2.2:5000', '203.0.113.200:53')), [], 'its packets do not join the flow of another')
  assert.deepEqual(bench.drops(), { 'nat.spoofed': 1 })
  bench.send(2, tcp('203.0.113.200:6000', '198.51.100.50:8080', { flags: 'S' }))
  const answer = tcp('192.0.2.2:80', '203.0.113.200:6000', { flags: 'SA', ack: 1 })
  assert.deepEqual(
    bench.send(1, answer).map((text) => text.split(' ').slice(0, 5).join(' ')),
    ['2: tcp 198.51.100.50:8080 > 203.0.113.200:6000']
  )
  assert.deepEqual(bench.send(3, answer), [], 'not from an internal network')
  assert.deepEqual(bench.drops(), { 'nat.spoofed': 1 })
})

test('what the bridge floods and is for another station begins no flow and moves none', () => {
  const bench = new NatBench()
  const flow = udp('192.0.2.2:5000', '203.0.113.200:53')
  const flooded = { destinationMac: '02:cc:00:00:00:99' }
  bench.send(0, flow)
  bench.send(2, udp('203.0.113.200:53', '198.51.100.50:5000'))
  assert.equal(bench.flows()[0].original.packets, 1)
  assert.deepEqual(bench.send(0, udp('192.0.2.2:5000', '203.0.113.200:53', flooded)), [])
  assert.deepEqual(bench.send(0, udp('192.0.2.2:5001', '203.0.113.200:53', flooded)), [])
  assert.deepEqual(bench.send(0, udp('192.0.2.2:5001', '203.0.113.200:53', { ...flooded, sourceMac: '02:cc:00:00:00:98' })), [])
  assert.equal(bench.flows().length, 1)
  assert.equal(bench.flows()[0].original.packets, 1)
  assert.deepEqual(bench.send(0, flow), ['2: udp 198.51.100.50:5000 > 203.0.113.200:53'])
})
