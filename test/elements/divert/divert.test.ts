import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DivertDrop } from '../../../src/elements/divert/divert-drop.ts'
import { dropReasons } from '../../../src/engine/drop-reason.ts'
import { ArpOperation, emitArp } from '../../../src/wire/arp.ts'
import { EtherType, emitEthernet } from '../../../src/wire/ethernet.ts'
import { IpProtocol } from '../../../src/wire/ipv4.ts'
import { fragmentOf, pattern } from '../fragment/fragment-frames.ts'
import { fragment6Of } from '../fragment/ipv6-frames.ts'
import { DivertBench, GATEWAY, icmpError, packet, STATION } from './divert-bench.ts'

const HOST = '192.0.2.1'
const HOST6 = '2001:db8::1'
const PEER = '192.0.2.2'
const PEER6 = '2001:db8::2'
const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const HOSTS = { hosts: [HOST, '198.51.100.7', HOST6] }
const WEB = { published: { web: { protocol: 'udp', address: null, port: 8080 } } } as const

function arp(destination: string): Uint8Array {
  const bytes = new Uint8Array(60)
  emitEthernet({ destination, source: STATION, type: EtherType.arp }, bytes, 0)
  emitArp({ operation: ArpOperation.reply, senderMac: STATION, senderIp: PEER, targetMac: GATEWAY, targetIp: HOST }, bytes, 14)
  return bytes
}

/** A neighbor advertisement as far as the divert looks at it. */
function advertisement(destination: string): Uint8Array {
  return packet({ source: PEER6, destination, protocol: IpProtocol.icmpv6, payload: Uint8Array.of(136, ...new Uint8Array(23)) })
}

describe('from the bridge', () => {
  test('addresses of the host to the host, everything else to the router', () => {
    const bench = new DivertBench(HOSTS)
    assert.equal(bench.way('bridge', packet({ source: PEER, destination: HOST })), 'host')
    assert.equal(bench.way('bridge', packet({ source: PEER, destination: '198.51.100.7' })), 'host')
    assert.equal(bench.way('bridge', packet({ source: PEER, destination: '203.0.113.9' })), 'router')
    assert.equal(bench.way('bridge', packet({ source: PEER6, destination: HOST6 })), 'host')
    assert.equal(bench.way('bridge', packet({ source: PEER6, destination: '2001:db8::9' })), 'router')
    assert.equal(
      bench.way('bridge', packet({ source: PEER, destination: HOST, protocol: IpProtocol.icmp, payload: new Uint8Array(8) })),
      'host'
    )
  })
  test('groups to both, as they are', () => {
    const bench = new DivertBench(HOSTS)
    const frame = packet({ source: PEER, destination: '255.255.255.255', mac: BROADCAST })
    bench.send('bridge', frame)
    assert.deepEqual(bench.port('router0').take(), [frame])
    assert.deepEqual(bench.port('host0').take(), [frame])
    assert.equal(bench.way('bridge', arp(BROADCAST)), 'router host')
    assert.equal(bench.way('bridge', packet({ source: PEER6, destination: 'ff02::1', mac: '33:33:00:00:00:01' })), 'router host')
  })
  test('ARP and neighbor discovery to the gateway itself: to both', () => {
    const bench = new DivertBench(HOSTS)
    assert.equal(bench.way('bridge', arp(GATEWAY)), 'router host')
    assert.equal(bench.way('bridge', advertisement(HOST6)), 'router host')
    assert.equal(bench.way('bridge', advertisement('fe80::1')), 'router host')
  })
  test('other MACs and runts end here', () => {
    const bench = new DivertBench(HOSTS)
    assert.equal(bench.way('bridge', packet({ source: PEER, destination: HOST, mac: '02:cc:00:00:00:03' })), '')
    assert.equal(bench.way('bridge', packet({ source: PEER, destination: HOST, mac: '02:cd:00:00:00:01' })), '')
    assert.equal(bench.way('bridge', new Uint8Array(13)), '')
    assert.deepEqual(bench.counters('divert').drops, { 'divert.notOurs': 2, 'divert.runt': 1 })
    assert.equal(bench.engine.frames.inUse, 0)
  })
  test('what is no sound IP packet is the router’s, which says why it drops it', () => {
    const bench = new DivertBench(HOSTS)
    const bad = packet({ source: PEER, destination: HOST })
    bad[14] = 0x43
    assert.equal(bench.way('bridge', bad), 'router')
    for (let length = 14; length < 54; length++)
      assert.equal(bench.way('bridge', packet({ source: PEER, destination: HOST }).subarray(0, length)), 'router')
  })
  test('loopback destinations are no way to the host, whatever it calls its own', () => {
    const bench = new DivertBench({
      hosts: [HOST, '127.0.0.1', '::1'],
      published: { lo: { protocol: 'udp', address: '127.0.0.1', port: 9 } }
    })
    assert.equal(bench.way('bridge', packet({ source: PEER, destination: '127.0.0.1' })), 'router')
    assert.equal(bench.way('bridge', packet({ source: PEER6, destination: '::1' })), 'router')
  })
})

test('from router and host: to the bridge', () => {
  const bench = new DivertBench(HOSTS)
  for (const from of ['router', 'host']) {
    assert.equal(bench.way(from, packet({ source: HOST, destination: PEER, mac: STATION })), 'bridge')
    assert.equal(bench.way(from, new Uint8Array(5)), 'bridge')
  }
  assert.equal(bench.counters('divert').counters.toBridge, 4)
})

describe('published ports', () => {
  const to = (destination: string, destinationPort: number, fields = {}): Uint8Array =>
    packet({ source: destination.includes(':') ? PEER6 : PEER, destination, destinationPort, ...fields })

  test('on any address of the host', () => {
    const bench = new DivertBench({ ...HOSTS, ...WEB })
    assert.equal(bench.way('bridge', to(HOST, 8080)), 'router')
    assert.equal(bench.way('bridge', to(HOST6, 8080)), 'router')
    assert.equal(bench.way('bridge', to(HOST, 8081)), 'host')
    assert.equal(bench.way('bridge', to(HOST, 8080, { protocol: IpProtocol.tcp })), 'host')
  })
  test('on one address, or one family', () => {
    const bench = new DivertBench({
      ...HOSTS,
      published: {
        one: { protocol: 'udp', address: '198.51.100.7', port: 1 },
        four: { protocol: 'udp', address: '0.0.0.0', port: 4 },
        six: { protocol: 'udp', address: '::', port: 6 },
        exact: { protocol: 'udp', address: HOST6, port: 66 }
      }
    })
    const ways = (port: number): string[] => [HOST, '198.51.100.7', HOST6].map((address) => bench.way('bridge', to(address, port)))
    assert.deepEqual(ways(1), ['host', 'router', 'host'])
    assert.deepEqual(ways(4), ['router', 'router', 'host'])
    assert.deepEqual(ways(6), ['host', 'host', 'router'])
    assert.deepEqual(ways(66), ['host', 'host', 'router'])
  })
  test('come and go by key; two may share a port', () => {
    const bench = new DivertBench({ ...HOSTS, ...WEB })
    bench.update({ published: { more: { protocol: 'udp', address: HOST, port: 8080 } } })
    bench.update({ published: { web: null, never: null } })
    assert.equal(bench.way('bridge', to(HOST, 8080)), 'router')
    bench.update({ published: { more: { protocol: 'tcp', address: HOST, port: 8080 } } })
    assert.equal(bench.way('bridge', to(HOST, 8080)), 'host')
    assert.equal(bench.way('bridge', to(HOST, 8080, { protocol: IpProtocol.tcp })), 'router')
  })
  test('all fragments of a datagram go the same way, whole to the router, as they came to the host', () => {
    const bench = new DivertBench({ ...HOSTS, ...WEB })
    const fragments = (port: number, id: number): Uint8Array[] => {
      const payload = pattern(2000)
      payload.set([4, 0, port >> 8, port & 255], 0)
      return [
        fragmentOf(payload, 1000, 2000, { id, destination: HOST, source: PEER }),
        fragmentOf(payload, 0, 1000, { id, destination: HOST, source: PEER })
      ].map((frame) => {
        frame.set([2, 0xcc, 0, 0, 0, 1])
        return frame
      })
    }
    assert.deepEqual(bench.send('bridge', ...fragments(8080, 1)), ['router'])
    assert.equal(bench.port('router0').take()[0].length, 2034)
    const other = fragments(53, 2)
    assert.deepEqual(bench.send('bridge', ...other), ['host'])
    assert.deepEqual(bench.port('host0').take(), [other[1], other[0]])
    bench.update({ published: { web: null } })
    assert.deepEqual(bench.send('bridge', other[0]), ['host'], 'nothing published: the host puts its own together')
    assert.deepEqual(bench.counters('divert').counters.reassembled, 2)
    assert.equal(bench.engine.frames.inUse, 0)
  })
  test('IPv6 fragments too; a fragment header alone makes none', () => {
    const bench = new DivertBench({ ...HOSTS, ...WEB })
    const fragments = (port: number, ...cuts: number[]): Uint8Array[] => {
      const payload = pattern(2000)
      payload.set([4, 0, port >> 8, port & 255], 0)
      return cuts.slice(1).map((to, i) => {
        const frame = fragment6Of(payload, cuts[i], to, { source: PEER6, destination: HOST6 })
        frame.set([2, 0xcc, 0, 0, 0, 1])
        return frame
      })
    }
    assert.equal(bench.way('bridge', ...fragments(8080, 0, 1000, 2000)), 'router')
    assert.equal(bench.way('bridge', ...fragments(8080, 0, 2000)), 'router')
    const other = fragments(53, 0, 1000, 2000)
    assert.deepEqual(bench.send('bridge', ...other), ['host'])
    assert.deepEqual(bench.port('host0').take(), other)
    assert.equal(bench.engine.frames.inUse, 0)
  })
  test('a later IPv6 fragment is no neighbor discovery, whatever it begins with', () => {
    const piece = (destination: string): Uint8Array =>
      packet({
        source: PEER6,
        destination,
        protocol: IpProtocol.fragment,
        payload: Uint8Array.of(IpProtocol.icmpv6, 0, 1448 >> 8, 1448 & 0xff, 0, 0, 0, 7, ...new Uint8Array(1400).fill(136))
      })
    const bench = new DivertBench(HOSTS)
    assert.equal(bench.way('bridge', piece(HOST6)), 'host')
    assert.equal(bench.way('bridge', piece('2001:db8::9')), 'router')
    bench.update(WEB)
    assert.equal(bench.way('bridge', piece(HOST6)), '', 'waits for the others')
  })
  test('a fragment with a wrong header sum is not believed', () => {
    const bench = new DivertBench({ ...HOSTS, ...WEB })
    const frame = fragmentOf(pattern(2000), 0, 1000, { destination: HOST })
    frame.set([2, 0xcc, 0, 0, 0, 1])
    frame[25] ^= 1
    assert.equal(bench.way('bridge', frame), 'host')
  })
})

describe('answers to our NAT', () => {
  const hairpin = packet({ source: HOST, destination: PEER, sourcePort: 40_000, destinationPort: 80, mac: STATION })
  const answer = packet({ source: PEER, destination: HOST, sourcePort: 80, destinationPort: 40_000 })

  test('what the router sent from an address of the host is answered to the router', () => {
    const bench = new DivertBench(HOSTS)
    assert.equal(bench.way('bridge', answer), 'host')
    bench.way('router', hairpin)
    assert.equal(bench.way('bridge', answer), 'router')
    const others = [
      packet({ source: PEER, destination: HOST, sourcePort: 81, destinationPort: 40_000 }),
      packet({ source: PEER, destination: HOST, sourcePort: 80, destinationPort: 40_001 }),
      packet({ source: PEER, destination: HOST, sourcePort: 40_000, destinationPort: 80 }),
      packet({ source: '192.0.2.3', destination: HOST, sourcePort: 80, destinationPort: 40_000 }),
      packet({ source: PEER, destination: '198.51.100.7', sourcePort: 80, destinationPort: 40_000 }),
      packet({ source: PEER, destination: HOST, sourcePort: 80, destinationPort: 40_000, protocol: IpProtocol.tcp })
    ]
    for (const other of others) assert.equal(bench.way('bridge', other), 'host')
  })
  test('IPv6 too', () => {
    const bench = new DivertBench(HOSTS)
    const back = packet({ source: PEER6, destination: HOST6, sourcePort: 80, destinationPort: 40_000 })
    bench.way('router', packet({ source: HOST6, destination: PEER6, sourcePort: 40_000, destinationPort: 80, mac: STATION }))
    assert.equal(bench.way('bridge', back), 'router')
    bench.way('host', packet({ source: HOST6, destination: PEER6, sourcePort: 40_000, destinationPort: 80, mac: STATION }))
    assert.equal(bench.way('bridge', back), 'host')
  })
  test('an ICMP error about such a flow goes to the router, one about another flow to the host', () => {
    const bench = new DivertBench(HOSTS)
    bench.way('router', hairpin)
    assert.equal(bench.way('bridge', icmpError(PEER, HOST, hairpin)), 'router')
    assert.equal(bench.way('bridge', icmpError(PEER, HOST, packet({ source: HOST, destination: PEER, sourcePort: 40_001 }))), 'host')
    assert.equal(bench.way('bridge', icmpError(PEER, HOST, answer)), 'host', 'it quotes what the peer sent itself')
    const cut = icmpError(PEER, HOST, hairpin).subarray(0, 14 + 20 + 8 + 10)
    cut[17] = 38
    assert.equal(bench.way('bridge', cut), 'host')
  })
  test('when the host takes the tuple, the answers are its own; who spoke last is meant', () => {
    const bench = new DivertBench(HOSTS)
    bench.way('router', hairpin)
    bench.way('host', hairpin)
    assert.equal(bench.way('bridge', answer), 'host')
    bench.way('router', hairpin)
    assert.equal(bench.way('bridge', answer), 'router')
    assert.equal((bench.command('divert', 'tables') as { flows: number }).flows, 1)
  })
  test('what the router forwards from elsewhere is not remembered', () => {
    const bench = new DivertBench(HOSTS)
    bench.way('router', packet({ source: '203.0.113.5', destination: PEER, mac: STATION }))
    assert.equal(bench.counters('divert').counters.flows, 0)
  })
})

test('several gateways: each has its MAC and its three ports, the tables are common', () => {
  const bench = new DivertBench({ ...HOSTS, gateways: { 1: '02:cc:00:00:01:01' } }, { mac: GATEWAY }, 3)
  const second = { mac: '02:cc:00:00:01:01' }
  assert.equal(bench.way('bridge1', packet({ source: PEER, destination: HOST, ...second })), 'host1')
  assert.equal(bench.way('bridge1', packet({ source: PEER, destination: '203.0.113.1', ...second })), 'router1')
  assert.equal(bench.way('bridge1', packet({ source: PEER, destination: HOST })), '')
  assert.equal(bench.way('bridge2', packet({ source: PEER, destination: HOST })), '')
  assert.equal(bench.way('host1', packet({ source: HOST, destination: PEER })), 'bridge1')
  assert.equal(bench.way('bridge', packet({ source: PEER, destination: '203.0.113.1' })), 'router')
  bench.update({ gateways: { 1: null } })
  assert.equal(bench.way('bridge1', packet({ source: PEER, destination: HOST, ...second })), '')
})

describe('updates', () => {
  test('bad ones are refused whole, by value', () => {
    const bench = new DivertBench({ ...HOSTS, ...WEB })
    const before = bench.command('divert', 'tables')
    const bad = [
      { hosts: ['1.2.3'], published: { web: null } },
      { published: { web: null, x: { protocol: 'sctp', address: null, port: 5 } } },
      { published: { web: null, x: { protocol: 'tcp', address: 'nowhere', port: 5 } } },
      { hosts: [], published: { x: { protocol: 'tcp', address: null, port: 0 } } },
      { hosts: [], gateways: { 0: 'xyz' } },
      { hosts: [], gateways: { 32768: GATEWAY } }
    ]
    for (const change of bad) assert.throws(() => bench.update(change as never), /1\.2\.3|sctp|nowhere|0 is no port|xyz|32768/)
    assert.deepEqual(bench.command('divert', 'tables'), before)
  })
  test('what is returned undoes the change', () => {
    const bench = new DivertBench({ ...HOSTS, ...WEB })
    const before = bench.command('divert', 'tables')
    const change = {
      hosts: ['203.0.113.1'],
      gateways: { 0: STATION, 2: GATEWAY },
      published: { web: null, x: { protocol: 'tcp', address: null, port: 1 } }
    }
    // The second element refuses: what the first has taken is put back.
    assert.throws(
      () =>
        bench.engine.patch({
          updates: [
            { element: 'divert', change },
            { element: 'divert', change: { hosts: ['bad'] } }
          ]
        }),
      /bad/
    )
    assert.deepEqual(bench.command('divert', 'tables'), before)
  })
  test('many hosts, and those that left', () => {
    const bench = new DivertBench()
    const hosts = Array.from({ length: 2000 }, (_, i) => `10.${i >> 8}.${i & 255}.1`)
    const hosts6 = Array.from({ length: 2000 }, (_, i) => `2001:db8:${i.toString(16)}::1`)
    bench.update({ hosts: [...hosts, ...hosts6] })
    const isHost = (destination: string): boolean =>
      bench.way('bridge', packet({ source: destination.includes(':') ? PEER6 : PEER, destination })) === 'host'
    assert.ok([...hosts, ...hosts6].every((_, i) => i % 97 !== 0 || isHost([...hosts, ...hosts6][i])))
    assert.ok(!isHost('10.8.0.1') && !isHost('10.0.0.2') && !isHost('2001:db8:ffff::1'))
    bench.update({ hosts: hosts.slice(1) })
    assert.ok(!isHost(hosts[0]) && !isHost(hosts6[0]) && isHost(hosts[1]))
  })
})

test('explain says where a frame would go and changes nothing', () => {
  const bench = new DivertBench({ ...HOSTS, ...WEB })
  const hairpin = packet({ source: HOST, destination: PEER, sourcePort: 40_000, destinationPort: 80, mac: STATION })
  bench.way('router', hairpin)
  const before = bench.counters('divert')
  assert.deepEqual(bench.explain(packet({ source: PEER, destination: HOST })), { to: 'host', why: 'an address of the host' })
  assert.deepEqual(bench.explain(packet({ source: PEER, destination: '203.0.113.1' })), { to: 'router', why: 'no address of the host' })
  assert.deepEqual(bench.explain(packet({ source: PEER, destination: HOST, destinationPort: 8080 })), {
    to: 'router',
    why: 'a published port'
  })
  assert.deepEqual(bench.explain(packet({ source: PEER, destination: HOST, sourcePort: 80, destinationPort: 40_000 })), {
    to: 'router',
    why: 'the answer to a flow of the NAT'
  })
  assert.deepEqual(bench.explain(arp(GATEWAY)), { to: 'both', why: 'group, ARP or neighbor discovery' })
  assert.deepEqual(bench.explain(packet({ source: PEER, destination: HOST, mac: STATION })), {
    to: null,
    why: 'not the MAC of the gateway'
  })
  assert.deepEqual(bench.explain(hairpin, 1), { to: 'bridge', why: 'everything from router and host' })
  assert.deepEqual(bench.counters('divert'), before)
  assert.throws(() => bench.command('divert', 'explain', {}), /Uint8Array/)
  assert.throws(() => bench.command('divert', 'learn'), /explain and tables/)
})

test('a pool without frames: the router has the original', () => {
  const bench = new DivertBench(HOSTS)
  const { frames } = bench.engine
  const held: number[] = []
  frames.reserve(1, 0)
  for (let frame = frames.allocate(60); frames.tops[0] > 1 || held.length < 4 * 8192 - 2; frame = frames.allocate(60)) held.push(frame)
  assert.equal(bench.way('bridge', arp(BROADCAST)), 'router')
  assert.equal(bench.counters('divert').counters.copyFailures, 1)
})

test('every reason has a sentence', () => {
  for (const number of Object.values(DivertDrop)) assert.match(dropReasons()[number].text, /^[A-Z].{20,}\.$/)
})
