/** ARP and neighbor discovery of a router, frame by frame: states and their times, what waits, who is believed. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BROADCAST, ECHO, ECHO6, INTERFACES, NOBODY, ROUTER_MACS, RouterLab, station, udp } from './router-lab.ts'

const [A, B] = ROUTER_MACS
const A7 = '192.0.2.7'
const B9 = '198.51.100.9'
const S7 = station(0, 7)
const B9_MAC = station(1, 9)
const FORGED = '02:cc:00:00:66:66'

/** How the router asks for 198.51.100.9. */
const ASKS_ALL = `${B} > ${BROADCAST}: who has ${B9}? tell 198.51.100.1`
const ASKS_ONE = `${B} > ${B9_MAC}: who has ${B9}? tell 198.51.100.1`

/** Only the sender of packets is known. */
function knowingSender(options: ConstructorParameters<typeof RouterLab>[0] = {}): RouterLab {
  const lab = new RouterLab(options)
  lab.arp(0, 1, S7, A7, '192.0.2.1')
  lab.take(0)
  return lab
}

/** 198.51.100.9 was asked for and has answered. */
function reachable(options: ConstructorParameters<typeof RouterLab>[0] = {}): RouterLab {
  const lab = knowingSender(options)
  lab.send(0, 7, A7, B9, udp())
  lab.arp(1, 2, B9_MAC, B9, '198.51.100.1', B)
  lab.take(1)
  return lab
}

const stateOf = (lab: RouterLab, address = B9): string | undefined =>
  lab.neighbors.find((line) => line.startsWith(`${address} `))?.split(' ')[1]

describe('asking', () => {
  test('once for all packets that wait; they leave in order when the answer comes', () => {
    const lab = knowingSender()
    for (let port = 1; port <= 3; port++) lab.send(0, 7, A7, B9, udp(port))
    assert.deepEqual(lab.take(1), [ASKS_ALL])
    assert.equal(stateOf(lab), 'incomplete')
    lab.arp(1, 2, B9_MAC, B9, '198.51.100.1', B)
    assert.deepEqual(
      lab.take(1),
      [1, 2, 3].map((port) => `${B} > ${B9_MAC}: ${A7} > ${B9} ttl 63 udp 4000 > ${port} 20`)
    )
    assert.equal(stateOf(lab), 'reachable')
    lab.ends()
  })
  test('three times, a second apart, then every sender that waits is told, and the neighbor has failed', () => {
    const lab = knowingSender()
    for (let i = 0; i < 2; i++) lab.send(0, 7, A7, B9, udp())
    for (const expected of [[ASKS_ALL], [ASKS_ALL], [ASKS_ALL]]) {
      assert.deepEqual(lab.take(1), expected)
      lab.run(1)
    }
    assert.deepEqual(lab.take(1), [])
    assert.deepEqual(lab.take(0), Array(2).fill(`${A} > ${S7}: 192.0.2.1 > ${A7} ttl 64 unreachable 1 quoting 48`))
    assert.deepEqual(lab.drops, { 'router.neighborUnresolved': 2 })
    assert.equal(stateOf(lab), 'failed')
    lab.ends()
  })
  test('who failed is refused at once for a second, then asked again', () => {
    const lab = knowingSender()
    lab.send(0, 7, A7, B9, udp())
    lab.run(3)
    lab.take(0)
    lab.take(1)
    lab.run(0.9)
    lab.send(0, 7, A7, B9, udp())
    assert.equal(lab.take(0).length, 1)
    assert.deepEqual(lab.take(1), [])
    lab.run(0.2)
    lab.send(0, 7, A7, B9, udp())
    assert.deepEqual(lab.take(1), [ASKS_ALL])
    lab.ends()
  })
  test('who failed and speaks is known at once', () => {
    const lab = knowingSender()
    lab.send(0, 7, A7, B9, udp())
    lab.run(3)
    lab.take(1)
    lab.arp(1, 1, B9_MAC, B9, B9)
    lab.send(0, 7, A7, B9, udp())
    assert.deepEqual(lab.take(1), [`${B} > ${B9_MAC}: ${A7} > ${B9} ttl 63 udp 4000 > 5000 20`])
    lab.ends()
  })
  test('the queue keeps 128 frames; the oldest makes room', () => {
    const lab = knowingSender()
    for (let port = 1; port <= 130; port++) lab.send(0, 7, A7, B9, udp(port))
    assert.deepEqual(lab.drops, { 'router.neighborQueueFull': 2 })
    lab.take(1)
    lab.arp(1, 2, B9_MAC, B9, '198.51.100.1', B)
    const out = lab.take(1)
    assert.equal(out.length, 128)
    assert.match(out[0], /> 3 20$/)
    lab.ends()
  })
  test('the queue keeps 212,992 bytes', () => {
    const lab = knowingSender()
    for (let i = 0; i < 5; i++) lab.send(0, 7, A7, '203.0.113.9', udp(5000, 60_000))
    // 60,042 bytes each, but cut for the MTU of 1,400: 44 frames a packet.
    const { waiting } = lab.command<{ waiting: number }>('stats')
    assert.equal(waiting, 128)
    lab.ends()
  })
  test('the queues of an interface together keep 1,024 frames, and another one has room as before', () => {
    const lab = knowingSender({
      neighborCapacity: 65_536,
      interfaces: { ...INTERFACES, 1: { ...INTERFACES[1], addresses: ['10.0.0.1/16'] } }
    })
    for (let i = 0; i < 1500; i++) lab.send(0, 7, A7, `10.0.${1 + (i >> 8)}.${i & 255}`, udp())
    assert.equal(lab.command<{ waiting: number }>('stats').waiting, 1024)
    assert.deepEqual(lab.drops, { 'router.neighborQueueFull': 476 })
    for (let i = 0; i < 20; i++) lab.send(0, 7, A7, '203.0.113.77', udp())
    assert.equal(lab.command<{ waiting: number }>('stats').waiting, 1044)
    assert.deepEqual(lab.drops, { 'router.neighborQueueFull': 476 })
    lab.run(10)
    assert.equal(lab.command<{ waiting: number }>('stats').waiting, 0)
    lab.ends()
  })
})

describe('reachability (RFC 4861 7.3)', () => {
  test('reachable for 15 to 45 s, stale then; used: asked directly after 5 s, and confirmed by the answer', () => {
    const lab = reachable()
    lab.run(14.9)
    assert.equal(stateOf(lab), 'reachable')
    lab.run(31)
    assert.equal(stateOf(lab), 'stale')
    lab.take(1)
    lab.send(0, 7, A7, B9, udp())
    assert.equal(lab.take(1).length, 1, 'used as it is')
    assert.equal(stateOf(lab), 'delay')
    lab.run(4.9)
    assert.deepEqual(lab.take(1), [])
    lab.run(0.2)
    assert.deepEqual(lab.take(1), [ASKS_ONE])
    assert.equal(stateOf(lab), 'probe')
    lab.arp(1, 2, B9_MAC, B9, '198.51.100.1', B)
    assert.equal(stateOf(lab), 'reachable')
    lab.ends()
  })
  test('a probe that another MAC answers: it is the neighbor at once, also for ways that are known', () => {
    const lab = reachable()
    lab.run(46)
    lab.send(0, 7, A7, B9, udp())
    lab.run(5.5)
    lab.send(0, 7, A7, B9, udp())
    lab.take(1)
    assert.equal(stateOf(lab), 'probe')
    lab.arp(1, 2, FORGED, B9, '198.51.100.1', B)
    assert.equal(stateOf(lab), 'reachable')
    lab.send(0, 7, A7, B9, udp())
    assert.deepEqual(lab.take(1), [`${B} > ${FORGED}: ${A7} > ${B9} ttl 63 udp 4000 > 5000 20`])
    lab.ends()
  })
  test('no answer to three probes: failed, and everybody is asked as soon as it is needed', () => {
    const lab = reachable()
    lab.run(46)
    lab.send(0, 7, A7, B9, udp())
    lab.run(5)
    lab.take(1)
    lab.run(1.5)
    lab.send(0, 7, A7, B9, udp())
    assert.deepEqual(lab.take(1), [ASKS_ONE, `${B} > ${B9_MAC}: ${A7} > ${B9} ttl 63 udp 4000 > 5000 20`], 'used while it is probed')
    lab.run(2)
    assert.equal(stateOf(lab), 'failed')
    lab.take(1)
    lab.send(0, 7, A7, B9, udp())
    assert.deepEqual(lab.take(1), [ASKS_ALL])
    lab.ends()
  })
  test('traffic without end does not keep a neighbor from being probed', () => {
    const lab = reachable()
    for (let second = 0; second < 120; second++) {
      lab.send(0, 7, A7, B9, udp())
      lab.run(1)
      for (const line of lab.take(1)) if (line === ASKS_ONE) lab.arp(1, 2, B9_MAC, B9, '198.51.100.1', B)
    }
    const { arpRequests } = lab.counters
    assert.ok(arpRequests >= 3 && arpRequests <= 9, `${arpRequests} questions in 120 s`)
    assert.equal(lab.counters['forwarded'], 121)
    lab.ends()
  })
  test('a quiet router has no timer', () => {
    const lab = reachable()
    lab.run(60)
    assert.equal(lab.net.engine.nextDeadline, Number.POSITIVE_INFINITY)
    lab.ends()
  })
})

describe('answering', () => {
  test('for the address of the interface; the asker is remembered', () => {
    const lab = new RouterLab()
    lab.arp(0, 1, S7, A7, '192.0.2.1')
    assert.deepEqual(lab.take(0), [`${A} > ${S7}: 192.0.2.1 is at ${A}, to ${A7} ${S7}`])
    assert.deepEqual(lab.neighbors, [`${A7} stale`])
    lab.ends()
  })
  test('a probe (RFC 5227), learning nothing', () => {
    const lab = new RouterLab()
    lab.arp(0, 1, S7, '0.0.0.0', '192.0.2.1')
    assert.deepEqual(lab.take(0), [`${A} > ${S7}: 192.0.2.1 is at ${A}, to 0.0.0.0 ${S7}`])
    assert.deepEqual(lab.neighbors, [])
    lab.ends()
  })
  test("not for another interface's address, nor for others, whose questions leave no trace", () => {
    const lab = new RouterLab()
    lab.arp(0, 1, S7, A7, '198.51.100.1')
    lab.arp(0, 1, S7, A7, '192.0.2.9')
    assert.deepEqual(lab.take(0), [])
    assert.deepEqual(lab.neighbors, [])
    lab.ends()
  })
  test('answers: false: silent, but all ears, and the sender of packets is still told of errors', () => {
    const lab = new RouterLab({ interfaces: { ...INTERFACES, 0: { ...INTERFACES[0], answers: false } } })
    lab.arp(0, 1, S7, A7, '192.0.2.1')
    lab.send(0, 7, A7, '192.0.2.1', ECHO)
    lab.nd(0, S7, '2001:db8:a::7', 'ff02::1:ff00:1', { kind: 'neighbor-solicitation', target: '2001:db8:a::1', flags: 0, linkLayer: S7 })
    lab.send(0, 7, '2001:db8:a::7', '2001:db8:a::1', ECHO6)
    assert.deepEqual(lab.take(0), [])
    assert.deepEqual(lab.neighbors, [`${A7} stale`, '2001:db8:a::7 stale'])
    assert.deepEqual(lab.drops, { 'router.notAnswered': 2 })
    lab.send(0, 7, A7, B9, udp(), { ttl: 1 })
    assert.deepEqual(lab.take(0), [`${A} > ${S7}: 192.0.2.1 > ${A7} ttl 64 time-exceeded 0 quoting 48`])
    lab.ends()
  })
  test('proxy ARP: for what is routed by another interface', () => {
    const lab = new RouterLab({ interfaces: { ...INTERFACES, 0: { ...INTERFACES[0], proxyArp: true } } })
    for (const target of [B9, '203.0.113.9', '198.18.0.1', '192.0.2.9', '198.51.100.1']) lab.arp(0, 1, S7, A7, target)
    assert.deepEqual(
      lab.take(0),
      [B9, '203.0.113.9', '198.18.0.1'].map((target) => `${A} > ${S7}: ${target} is at ${A}, to ${A7} ${S7}`)
    )
    lab.ends()
  })
})

describe('neighbor discovery', () => {
  const TARGET = '2001:db8:b::9'
  const NS = `${B} > 33:33:ff:00:00:09: fe80::cc:ff:fe00:b > ff02::1:ff00:9 hops 255 neighbor-solicitation ${TARGET} ${B} flags 0`
  const asked = (): RouterLab => {
    const lab = new RouterLab()
    lab.meet()
    lab.send(0, 7, '2001:db8:a::7', TARGET, udp())
    assert.deepEqual(lab.take(1), [NS])
    return lab
  }
  const advertise = (lab: RouterLab, flags: number, linkLayer: string | null, from = B9_MAC, source = TARGET): void =>
    lab.nd(1, from, source, 'fe80::cc:ff:fe00:b', { kind: 'neighbor-advertisement', target: TARGET, flags, linkLayer })

  test('the solicited-node group is asked, from the link-local address; what waited leaves', () => {
    const lab = asked()
    advertise(lab, 0x60, B9_MAC)
    assert.deepEqual(lab.take(1), [`${B} > ${B9_MAC}: 2001:db8:a::7 > ${TARGET} hops 63 udp 4000 > 5000 20`])
    assert.equal(stateOf(lab, TARGET), 'reachable')
    lab.ends()
  })
  test('an advertisement that nobody asked for (S clear) makes it stale, not reachable', () => {
    const lab = asked()
    advertise(lab, 0x20, B9_MAC)
    assert.equal(lab.take(1).length, 1)
    assert.equal(stateOf(lab, TARGET), 'delay')
    lab.ends()
  })
  test('without the override flag a known MAC stays, and a reachable neighbor becomes stale (7.2.5)', () => {
    const lab = asked()
    advertise(lab, 0x60, B9_MAC)
    lab.run(2)
    advertise(lab, 0x40, FORGED)
    assert.equal(stateOf(lab, TARGET), 'stale')
    lab.take(1)
    lab.send(0, 7, '2001:db8:a::7', TARGET, udp())
    assert.match(lab.take(1)[0], new RegExp(`> ${B9_MAC}: `))
    lab.ends()
  })
  test('a probe goes to the neighbor itself, and may be answered without a MAC', () => {
    const lab = asked()
    advertise(lab, 0x20, B9_MAC)
    lab.take(1)
    lab.run(5.1)
    assert.deepEqual(lab.take(1), [
      `${B} > ${B9_MAC}: fe80::cc:ff:fe00:b > ${TARGET} hops 255 neighbor-solicitation ${TARGET} ${B} flags 0`
    ])
    advertise(lab, 0x40, null)
    assert.equal(stateOf(lab, TARGET), 'reachable')
    lab.ends()
  })
  test('no answer: address unreachable', () => {
    const lab = asked()
    lab.run(3)
    assert.deepEqual(lab.take(0), [`${A} > ${S7}: 2001:db8:a::1 > 2001:db8:a::7 hops 64 unreachable 3 quoting 68`])
    lab.ends()
  })
  test('answers for its own addresses, as a router; to all where a host looks for a duplicate', () => {
    const lab = new RouterLab()
    const target = '2001:db8:a::1'
    lab.nd(0, S7, 'fe80::7', 'ff02::1:ff00:1', { kind: 'neighbor-solicitation', target, flags: 0, linkLayer: S7 })
    lab.nd(0, S7, '::', 'ff02::1:ff00:1', { kind: 'neighbor-solicitation', target, flags: 0, linkLayer: null })
    lab.nd(0, S7, 'fe80::7', 'fe80::cc:ff:fe00:a', {
      kind: 'neighbor-solicitation',
      target: 'fe80::cc:ff:fe00:a',
      flags: 0,
      linkLayer: null
    })
    assert.deepEqual(lab.take(0), [
      `${A} > ${S7}: ${target} > fe80::7 hops 255 neighbor-advertisement ${target} ${A} flags e0`,
      `${A} > 33:33:00:00:00:01: ${target} > ff02::1 hops 255 neighbor-advertisement ${target} ${A} flags a0`,
      `${A} > ${S7}: fe80::cc:ff:fe00:a > fe80::7 hops 255 neighbor-advertisement fe80::cc:ff:fe00:a ${A} flags e0`
    ])
    assert.deepEqual(lab.neighbors, ['fe80::7 stale'])
    lab.ends()
  })
  test('what breaks the rules is dropped: hop limit, no MAC in a question to all, a MAC in a search for duplicates, redirects', () => {
    const lab = new RouterLab()
    const target = '2001:db8:a::1'
    const ns = (linkLayer: string | null) => ({ kind: 'neighbor-solicitation', target, flags: 0, linkLayer }) as const
    lab.nd(0, S7, 'fe80::7', 'ff02::1:ff00:1', ns(S7), 64)
    lab.nd(0, S7, 'fe80::7', 'ff02::1:ff00:1', ns(null))
    lab.nd(0, S7, '::', 'ff02::1:ff00:1', ns(S7))
    lab.nd(0, S7, '::', target, ns(null))
    lab.nd(0, S7, 'fe80::7', 'ff02::1', { kind: 'neighbor-advertisement', target: 'fe80::7', flags: 0x40, linkLayer: S7 })
    lab.nd(0, S7, 'fe80::7', 'ff02::1:ff00:1', ns('03:00:00:00:00:01'))
    assert.deepEqual(lab.drops, { 'router.neighborInvalid': 6 })
    assert.deepEqual(lab.take(0), [])
    assert.deepEqual(lab.neighbors, [])
    lab.ends()
  })
})

describe('cache poisoning', () => {
  test('nobody speaks for an address of ours, on any interface', () => {
    const lab = new RouterLab()
    lab.arp(0, 1, FORGED, '192.0.2.1', '192.0.2.1')
    lab.arp(0, 2, FORGED, '198.51.100.1', '192.0.2.1', A)
    lab.nd(0, FORGED, '2001:db8:a::1', 'ff02::1', {
      kind: 'neighbor-advertisement',
      target: '2001:db8:a::1',
      flags: 0x20,
      linkLayer: FORGED
    })
    lab.nd(0, FORGED, 'fe80::6', 'ff02::1', {
      kind: 'neighbor-advertisement',
      target: 'fe80::cc:ff:fe00:a',
      flags: 0x20,
      linkLayer: FORGED
    })
    assert.deepEqual(lab.drops, { 'router.neighborConflict': 3, 'router.martianSource': 1 })
    assert.deepEqual(lab.neighbors, [])
    lab.ends()
  })
  test('announcements of strangers make no entries', () => {
    const lab = new RouterLab()
    lab.arp(1, 1, FORGED, B9, B9)
    lab.arp(1, 2, FORGED, B9, B9)
    lab.arp(1, 2, FORGED, B9, '198.51.100.1', B)
    lab.nd(1, FORGED, 'fe80::6', 'ff02::1', { kind: 'neighbor-advertisement', target: '2001:db8:b::9', flags: 0x20, linkLayer: FORGED })
    assert.deepEqual(lab.neighbors, [])
    lab.ends()
  })
  test('an address of another network is not learned, though its question is answered', () => {
    const lab = new RouterLab()
    lab.arp(0, 1, FORGED, B9, '192.0.2.1')
    assert.equal(lab.take(0).length, 1)
    assert.deepEqual(lab.neighbors, [])
    lab.ends()
  })
  test('of two answers within a second the first counts, and the other is told apart', () => {
    const lab = reachable()
    lab.arp(1, 2, FORGED, B9, '198.51.100.1', B)
    lab.arp(1, 1, FORGED, B9, B9)
    lab.run(0.5)
    lab.arp(1, 1, FORGED, B9, '198.51.100.1')
    assert.deepEqual(lab.drops, { 'router.neighborLocked': 3 })
    lab.send(0, 7, A7, B9, udp())
    assert.deepEqual(lab.take(1), [`${B} > ${B9_MAC}: ${A7} > ${B9} ttl 63 udp 4000 > 5000 20`])
    lab.ends()
  })
  test('a neighbor that moves is believed after a second, as stale: it is asked where it is before long', () => {
    const lab = reachable()
    lab.run(1)
    lab.arp(1, 1, FORGED, B9, B9)
    assert.equal(stateOf(lab), 'stale')
    lab.take(1)
    lab.send(0, 7, A7, B9, udp())
    assert.match(lab.take(1)[0], new RegExp(`> ${FORGED}: `))
    lab.run(5.1)
    assert.deepEqual(lab.take(1), [`${B} > ${FORGED}: who has ${B9}? tell 198.51.100.1`])
    lab.ends()
  })
  test('a binding is the last word: claims of another MAC are refused, in every state', () => {
    const lab = knowingSender({ bindings: { [B9]: B9_MAC, '2001:db8:b::9': B9_MAC } })
    lab.send(0, 7, A7, B9, udp())
    lab.arp(1, 2, FORGED, B9, '198.51.100.1', B)
    assert.equal(stateOf(lab), 'incomplete')
    lab.arp(1, 2, B9_MAC, B9, '198.51.100.1', B)
    assert.equal(stateOf(lab), 'reachable')
    lab.run(2)
    lab.arp(1, 1, FORGED, B9, B9)
    lab.arp(1, 1, FORGED, B9, '198.51.100.1')
    lab.nd(1, FORGED, '2001:db8:b::9', 'ff02::1:ff00:1', {
      kind: 'neighbor-solicitation',
      target: '2001:db8:b::1',
      flags: 0,
      linkLayer: FORGED
    })
    assert.deepEqual(lab.drops, { 'router.neighborConflict': 4 })
    lab.take(1)
    lab.send(0, 7, A7, B9, udp())
    assert.match(lab.take(1)[0], new RegExp(`> ${B9_MAC}: `))
    lab.ends()
  })
  test('with `bindings` an address without one is nobody', () => {
    const lab = knowingSender({ interfaces: { ...INTERFACES, 1: { ...INTERFACES[1], bindings: true } }, bindings: { [B9]: B9_MAC } })
    lab.arp(1, 1, FORGED, '198.51.100.10', '198.51.100.1')
    lab.arp(1, 1, B9_MAC, B9, '198.51.100.1')
    assert.deepEqual(lab.drops, { 'router.neighborConflict': 1 })
    assert.deepEqual(lab.neighbors, [`${A7} stale`, `${B9} stale`])
    lab.ends()
  })
  test('a binding that comes later ends what was believed', () => {
    const lab = reachable()
    lab.update({ bindings: { [B9]: station(1, 10) } })
    assert.equal(stateOf(lab), undefined)
    lab.send(0, 7, A7, B9, udp())
    assert.deepEqual(lab.take(1), [ASKS_ALL])
    lab.arp(1, 2, B9_MAC, B9, '198.51.100.1', B)
    assert.equal(stateOf(lab), 'incomplete')
    lab.arp(1, 2, station(1, 10), B9, '198.51.100.1', B)
    assert.equal(stateOf(lab), 'reachable')
    lab.update({ bindings: { [B9]: null } })
    lab.ends()
  })
  test('a station that invents neighbors fills no more than the table, and cannot push out those in use', () => {
    const lab = reachable({ neighborCapacity: 32, interfaces: { ...INTERFACES, 0: { ...INTERFACES[0], addresses: ['192.0.2.1/16'] } } })
    for (let i = 0; i < 500; i++) {
      lab.arp(
        0,
        1,
        `02:cc:00:01:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`,
        `192.0.3.${i & 255}`,
        '192.0.2.1'
      )
    }
    assert.equal(lab.command<{ neighbors: number }>('stats').neighbors, 32)
    assert.equal(stateOf(lab), 'reachable')
    lab.ends()
  })
  test('questions that nobody answers take a quarter of the table for each interface, the newest ones', () => {
    const lab = knowingSender({ neighborCapacity: 16 })
    for (let i = 10; i < 40; i++) lab.send(0, 7, A7, `198.51.100.${i}`, udp())
    assert.deepEqual(lab.neighbors, [`${A7} stale`, ...[36, 37, 38, 39].map((i) => `198.51.100.${i} incomplete`)])
    assert.deepEqual(lab.drops, { 'router.neighborTableFull': 26 })
    lab.send(0, 7, A7, '203.0.113.99', udp())
    assert.equal(stateOf(lab, '203.0.113.99'), 'incomplete', 'others have room')
    lab.ends()
  })
  test('a station that scans does not keep another one from being found', () => {
    const lab = knowingSender({ interfaces: { ...INTERFACES, 1: { ...INTERFACES[1], addresses: ['10.0.0.1/16'] } }, neighborCapacity: 256 })
    for (let i = 0; i < 1000; i++) {
      lab.send(0, 7, A7, `10.0.${1 + (i >> 8)}.${i & 255}`, udp())
      if (i === 500) lab.send(0, 7, A7, '10.0.9.9', udp())
      if (i === 520) lab.arp(1, 2, B9_MAC, '10.0.9.9', '10.0.0.1', B)
    }
    assert.equal(stateOf(lab, '10.0.9.9'), 'reachable')
    lab.ends()
  })
  test('a full table whose neighbors fail at once tells every sender that it has room for', () => {
    const lab = new RouterLab({ neighborCapacity: 16, interfaces: { ...INTERFACES, 0: { ...INTERFACES[0], addresses: ['192.0.2.1/24'] } } })
    // Nobody is known, neither the senders: telling one needs a place for it while others are failing.
    for (let i = 0; i < 16; i++)
      lab.send(i % 2 === 0 ? 0 : 1, 9, i % 2 === 0 ? `192.0.2.${100 + i}` : `198.51.100.${100 + i}`, `203.0.113.${100 + i}`, udp())
    lab.run(20)
    assert.equal(lab.command<{ waiting: number }>('stats').waiting, 0)
    assert.equal(lab.counters['errors'] > 0, true)
    lab.ends()
  })
  test('who invents neighbors does not end the ways that others use', () => {
    const lab = reachable()
    lab.send(0, 7, A7, B9, udp())
    assert.equal(lab.command<{ cached: number }>('stats').cached, 1)
    for (let i = 20; i < 60; i++) {
      lab.arp(0, 1, station(0, i), `192.0.2.${i}`, '192.0.2.1')
      lab.send(0, 7, A7, `198.51.100.${i}`, udp())
      lab.arp(1, 2, station(1, i), `198.51.100.${i}`, '198.51.100.1', B)
    }
    lab.send(0, 7, A7, '198.51.100.77', udp())
    lab.run(3)
    assert.equal(stateOf(lab, '198.51.100.77'), 'failed')
    assert.equal(lab.command<{ cached: number }>('stats').cached, 1)
    lab.ends()
  })
  test('messages that no station may send', () => {
    const lab = new RouterLab()
    lab.arp(0, 1, '03:00:00:00:00:01', A7, '192.0.2.1', BROADCAST, S7)
    lab.arp(0, 1, NOBODY, A7, '192.0.2.1', BROADCAST, S7)
    lab.arp(0, 1, S7, '224.0.0.1', '192.0.2.1')
    lab.arp(0, 1, S7, '255.255.255.255', '192.0.2.1')
    lab.arp(0, 1, S7, '127.0.0.1', '192.0.2.1')
    lab.arp(0, 1, S7, A7, '127.0.0.1')
    lab.arp(0, 1, S7, A7, '192.0.2.1', BROADCAST, '03:00:00:00:00:01')
    assert.deepEqual(lab.drops, { 'router.neighborInvalid': 7 })
    assert.deepEqual(lab.take(0), [])
    lab.ends()
  })
})
