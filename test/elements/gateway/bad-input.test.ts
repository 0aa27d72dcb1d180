/** What a station or the world may try at the gateway: filter, divert, NAT and router together, each refusal with its reason. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ArpOperation, emitArp } from '../../../src/wire/arp.ts'
import { EtherType, emitEthernet } from '../../../src/wire/ethernet.ts'
import { IpProtocol } from '../../../src/wire/ipv4.ts'
import { emitIpv6 } from '../../../src/wire/ipv6.ts'
import { emitNeighborDiscovery } from '../../../src/wire/neighbor-discovery.ts'
import { GATEWAYS, GatewayNetwork, MACS, UPLINK } from '../../fuzz/gateway-network.ts'
import { type PacketFields, packet } from '../divert/divert-bench.ts'
import { fragmentOf, ipv4Frame, pattern } from '../fragment/fragment-frames.ts'

const A = '192.0.2.2'
const FAR = '8.8.8.8'
const network = new GatewayNetwork(1)
const { seen } = network

/** Reasons for which frames ended since the last call, and the names of the ways by which any left. */
function refused(port: string, ...frames: Uint8Array[]): Record<string, number> {
  const drops = network.allDrops
  const left = { ...seen }
  network.sendBytes(port, ...frames)
  assert.deepEqual(seen, left, 'nothing leaves')
  assert.deepEqual(network.breaches, [])
  return Object.fromEntries(
    Object.entries(network.allDrops)
      .map(([reason, count]): [string, number] => [reason, count - (drops[reason] ?? 0)])
      .filter(([, count]) => count > 0)
  )
}

const MAC_OF: Readonly<Record<string, readonly [from: string, to: string]>> = {
  a: [MACS.a, GATEWAYS.a],
  in: [MACS.in, GATEWAYS.in],
  outside: ['02:cc:00:00:00:07', GATEWAYS.world]
}

/** Gives a frame the MACs of a port's station and gateway. */
function at(port: string, frame: Uint8Array): Uint8Array {
  const [from, to] = MAC_OF[port].map((text) => text.split(':').map((byte) => Number.parseInt(byte, 16)))
  frame.set([...to, ...from])
  return frame
}

function udp(port: string, source: string, destination = FAR, fields: Partial<PacketFields> = {}): Uint8Array {
  return at(port, packet({ source, destination, ...fields }))
}

test('spoofed sources: refused at the endpoint, and where it has no filter, by the NAT', () => {
  assert.deepEqual(refused('a', udp('a', '192.0.2.3'), udp('a', FAR), udp('a', '198.51.100.2')), { 'filter.spoofedSource': 3 })
  assert.deepEqual(refused('in', udp('in', '198.51.100.2'), udp('in', '8.8.4.4')), { 'nat.spoofed': 2 })
  assert.deepEqual(refused('outside', udp('outside', A, UPLINK), udp('outside', '198.51.100.2', UPLINK)), { 'nat.spoofed': 2 })
  assert.deepEqual(refused('a', udp('a', '2001:db8:a::3', '2001:db8:ffff::1')), { 'filter.spoofedSource': 1 })
})

test('martians', () => {
  const destinations = ['127.0.0.1', '0.1.2.3', '224.0.0.5', '255.255.255.255']
  assert.deepEqual(refused('a', ...destinations.map((destination) => udp('a', A, destination))), { 'nat.martian': 4 })
  const sources = ['127.0.0.1', '0.0.0.0', '239.1.1.1', '255.255.255.255']
  assert.deepEqual(refused('outside', ...sources.map((source) => udp('outside', source, UPLINK))), { 'nat.martian': 4 })
  assert.deepEqual(refused('a', udp('a', '2001:db8:a::2', '::1')), { 'nat.martian': 1 })
})

test('land: a packet from oneself to oneself', () => {
  const land = { sourcePort: 80, destinationPort: 80 }
  assert.deepEqual(refused('a', udp('a', A, A, land)), { 'nat.land': 1 })
  assert.deepEqual(refused('outside', udp('outside', UPLINK, UPLINK, land)), { 'nat.land': 1 })
})

test('fragments: tiny ones, overlaps, those that never become whole', () => {
  const payload = pattern(2000)
  const piece = (from: number, to: number, id: number): Uint8Array =>
    at('a', fragmentOf(payload, from, to, { id, source: A, destination: FAR }))
  assert.deepEqual(refused('a', piece(0, 24, 1)), { 'fragment.tiny': 1 })
  assert.deepEqual(refused('a', piece(0, 1000, 2), piece(992, 2000, 2)), { 'fragment.overlap': 2 })
  assert.deepEqual(refused('a', piece(0, 1000, 3)), {})
  network.advance(31)
  assert.equal(network.allDrops['fragment.timeout'], 1)
  const death = ipv4Frame({ source: A, destination: FAR, id: 4, fragmentOffset: 65_528 }, pattern(100))
  assert.deepEqual(refused('a', at('a', death)), { 'fragment.oversize': 1 })
})

test('checksums: of the header always, of the transport where a flow would begin', () => {
  const header = udp('a', A)
  header[24] ^= 0x40
  const transport = udp('a', A)
  transport[transport.length - 1] ^= 1
  assert.deepEqual(refused('a', header, transport), { 'nat.badChecksum': 2 })
})

describe('who has which MAC', () => {
  const claim = (port: string, ip: string, operation: number, mac: string, to = 'ff:ff:ff:ff:ff:ff'): Uint8Array => {
    const bytes = new Uint8Array(60)
    emitEthernet({ destination: to, source: mac, type: EtherType.arp }, bytes, 0)
    emitArp({ operation, senderMac: mac, senderIp: ip, targetMac: MAC_OF[port][1], targetIp: ip }, bytes, 14)
    return bytes
  }
  const table = (): string => JSON.stringify(network.command('router', 'neighbors'))

  test('ARP: nobody is the gateway, nor a station whose MAC is known', () => {
    const { request, reply } = ArpOperation
    const drops = refused('a', claim('a', '192.0.2.1', reply, MACS.a), claim('a', '192.0.2.9', request, MACS.a, GATEWAYS.a))
    assert.deepEqual(drops, { 'filter.falseClaim': 2 })
    assert.deepEqual(refused('in', claim('in', '203.0.113.1', reply, MACS.in, GATEWAYS.in)), { 'router.neighborConflict': 1 })
    assert.equal(network.ask(1) >= 0, true)
    network.advance(1)
    const before = table()
    // The world's address is bound: the stranger beside it takes nothing.
    const theft = claim('outside', '203.0.113.65', reply, '02:cc:00:00:00:07', GATEWAYS.world)
    assert.deepEqual(refused('outside', theft), { 'router.neighborConflict': 1 })
    assert.equal(table(), before)
    assert.equal(network.ask(5), 5, 'and who was spoken to still is')
  })
  test('neighbor discovery', () => {
    const advertise = (target: string): Uint8Array => {
      const bytes = new Uint8Array(14 + 40 + 32)
      emitEthernet({ destination: GATEWAYS.a, source: MACS.a, type: EtherType.ipv6 }, bytes, 0)
      const ip = { source: '2001:db8:a::2', destination: 'ff02::1', nextHeader: IpProtocol.icmpv6, payloadLength: 32, hopLimit: 255 }
      emitIpv6(ip, bytes, 14)
      emitNeighborDiscovery({ kind: 'neighbor-advertisement', target, flags: 0x20, linkLayer: MACS.a }, bytes, 54, 14)
      return bytes
    }
    assert.deepEqual(refused('a', advertise('2001:db8:a::1'), advertise('fe80::1'), advertise('2001:db8:a::7')), { 'filter.falseClaim': 3 })
  })
  test('a frame under the MAC of the gateway', () => {
    const frame = udp('a', A)
    frame.set([2, 0xcc, 0, 0, 1, 1], 6)
    assert.deepEqual(refused('a', frame), { 'filter.gatewayMac': 1 })
  })
})

describe('exhaustion', () => {
  /** Flows that begin: a new port each. */
  const flood = (of: GatewayNetwork, count: number): void => {
    for (let i = 0; i < count; i += 100) {
      of.sendBytes('a', ...Array.from({ length: 100 }, (_, j) => udp('a', A, FAR, { sourcePort: 1024 + i + j, destinationPort: 9 })))
    }
  }
  test('a full table refuses newcomers or gives up what has no answer, never what is established', () => {
    const full = new GatewayNetwork(2, { capacity: 64 })
    full.ask(1)
    full.advance(2)
    // Two answers, seconds apart: streams.
    for (let second = 0; second < 4; second++) {
      assert.equal(full.ask(40), 40)
      full.advance(1)
    }
    flood(full, 5000)
    assert.equal(full.ask(40), 40)
    const { flowsEvicted, flowsRefused, flows } = full.counters('nat').counters
    assert.ok(flowsEvicted > 0 && flowsEvicted + flowsRefused > 4000, `${flowsEvicted} evicted, ${flowsRefused} refused`)
    assert.equal(full.allDrops['nat.tableFull'] ?? 0, flowsRefused)
    assert.ok(flows <= 64)
    assert.deepEqual(full.breaches, [])
  })
  test('no port is left for one destination: refused with the reason, others are served', () => {
    const narrow = new GatewayNetwork(3, { portRange: [50_000, 50_003] })
    narrow.ask(1)
    narrow.advance(2)
    // Station b asks the same from a port that a has, and the four that are to be given are a's as well.
    const from = (sourcePort: number): Uint8Array => udp('a', A, FAR, { sourcePort, destinationPort: 9 })
    for (let port = 50_000; port < 50_004; port++) narrow.sendBytes('a', from(port))
    narrow.command('b', 'udpBind', { port: 50_000 })
    narrow.engine.command('b', 'udpSend', { port: 50_000, address: FAR, toPort: 9, data: Uint8Array.of(1) }, () => {})
    narrow.run()
    narrow.advance(1)
    assert.equal(narrow.allDrops['nat.portsExhausted'], 1)
    assert.equal(narrow.ask(10), 10)
    assert.deepEqual(narrow.breaches, [])
  })
})

test('after all of it nothing is held', () => {
  network.advance(120)
  network.checkCounters()
  assert.equal(network.engine.frames.inUse, 0)
})
