// Behind the real router one frame shows the way to a whole block of addresses, and to none that the router would treat otherwise.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { natType } from '../../../src/elements/nat/nat.ts'
import { routerType } from '../../../src/elements/router/router.ts'
import type { ElementType } from '../../../src/engine/element.ts'
import { ArpOperation, emitArp } from '../../../src/wire/arp.ts'
import { EtherType, emitEthernet } from '../../../src/wire/ethernet.ts'
import { TestBench } from '../../engine/test-bench.ts'
import { INTERFACES, NAME, WEB } from './nat-bench.ts'
import { echo, ROUTER_MAC, STATION_MAC, show, tcp, udp } from './packets.ts'

const HERE = '192.0.2.2'
const OUT = '198.51.100.50'
const NEXT_HOP = '198.51.100.1'
const common = { mac: ROUTER_MAC, mtu: 1500, answers: true }

/** Network a and the uplink of NatBench with a real router, which knows HERE and the next hop. */
class RoutedBench extends TestBench {
  constructor() {
    super({ types: [natType as ElementType<never>, routerType as ElementType<never>] })
    const router = {
      interfaces: {
        0: { name: 'a', addresses: ['192.0.2.1/25'], ...common },
        2: { name: 'up', addresses: [`${OUT}/24`], ...common }
      },
      routes: { '0.0.0.0/0': { via: NEXT_HOP, interface: 2 }, '20.77.0.0/16': { via: NEXT_HOP, interface: 2 } }
    }
    const nat = { capacity: 64, interfaces: { 0: INTERFACES[0], 2: INTERFACES[2] }, published: { web: WEB, name: NAME }, local: [OUT] }
    this.configure(
      {
        nat: { type: 'nat', options: nat },
        router: { type: 'router', options: router },
        p0: { type: 'test-port' },
        p2: { type: 'test-port' }
      },
      [0, 2].flatMap((number) => [
        { a: ['nat', 2 * number] as const, b: [`p${number}`, 0] as const },
        { a: ['nat', 2 * number + 1] as const, b: ['router', number] as const }
      ])
    )
    this.ask(0, HERE, '192.0.2.1')
    this.ask(2, NEXT_HOP, OUT)
  }

  /** An ARP request, by which the router gets to know who asks. */
  private ask(number: number, sender: string, target: string): void {
    const bytes = new Uint8Array(60)
    emitEthernet({ destination: 'ff:ff:ff:ff:ff:ff', source: STATION_MAC, type: EtherType.arp }, bytes, 0)
    const unknown = '00:00:00:00:00:00'
    emitArp({ operation: ArpOperation.request, senderMac: STATION_MAC, senderIp: sender, targetMac: unknown, targetIp: target }, bytes, 14)
    this.send(number, bytes)
  }

  /** What leaves, and whether the router saw it. */
  send(number: number, bytes: Uint8Array): { out: string[]; routed: number } {
    const before = this.counters('router').counters['forwarded']
    this.port(`p${number}`).send(bytes)
    this.run()
    const out = [0, 2].flatMap((port) =>
      this.port(`p${port}`)
        .take()
        .filter((frame) => frame[13] === 0)
        .map((frame) => `${port}: ${show(frame)}`)
    )
    return { out, routed: this.counters('router').counters['forwarded'] - before }
  }

  /** A datagram from HERE, and how many frames the router forwarded. */
  routed(destination: string, source = HERE): number {
    const { out, routed } = this.send(0, udp(`${source}:4000`, `${destination}:53`))
    assert.deepEqual(out, [`2: udp ${OUT}:4000 > ${destination}:53`])
    return routed
  }
}

test('a block of /8 or /16 by one frame; other blocks, and addresses near a prefix, by one each', () => {
  const bench = new RoutedBench()
  assert.deepEqual(
    ['16.0.0.1', '16.255.0.1', '17.0.0.1', '20.77.1.1', '20.77.9.9', '20.78.0.1', '20.79.0.1'].map((to) => bench.routed(to)),
    [1, 0, 1, 1, 0, 1, 1]
  )
  assert.deepEqual(
    ['192.200.0.1', '192.200.99.1', '192.201.0.1', '192.0.1.9', '192.0.1.10', '192.0.1.9'].map((to) => bench.routed(to)),
    [1, 0, 1, 1, 1, 0]
  )
})

test('TCP and queries take such a way with their first frame, and answers come back', () => {
  const bench = new RoutedBench()
  bench.send(0, udp(`${HERE}:4000`, '16.0.0.1:53', { payload: 100 }))
  const syn = bench.send(0, tcp(`${HERE}:4000`, '16.9.9.9:80', { flags: 'S', seq: 7, options: { maxSegmentSize: 1460 } }))
  assert.match(syn.out[0], /^2: tcp 198\.51\.100\.50:4000 > 16\.9\.9\.9:80/)
  assert.equal(syn.routed, 0)
  const answer = bench.send(2, tcp('16.9.9.9:80', `${OUT}:4000`, { flags: 'SA', seq: 9, ack: 8 }))
  assert.match(answer.out[0], /^0: tcp 16\.9\.9\.9:80 > 192\.0\.2\.2:4000/)
  const ping = bench.send(0, echo(HERE, '16.8.8.8', 9))
  assert.match(ping.out[0], /^2: echo request 198\.51\.100\.50 > 16\.8\.8\.8 id 9/)
  assert.equal(ping.routed, 0)
  bench.routed('16.0.0.7', '192.0.2.3')
  const rival = bench.send(0, echo('192.0.2.3', '16.8.8.8', 9))
  assert.match(rival.out[0], /^2: echo request 198\.51\.100\.50 > 16\.8\.8\.8 id \d+/)
  assert.doesNotMatch(rival.out[0], /id 9$/)
  assert.equal(rival.routed, 0)
  assert.equal(bench.send(0, echo(HERE, '16.8.8.8', 9)).out.length, 1, 'the flow goes on')
  assert.equal(bench.counters('nat').counters['flowsOpened'], 5)
  const damaged = echo(HERE, '16.8.8.8', 10)
  damaged[damaged.length - 1] ^= 1
  assert.deepEqual(bench.send(0, damaged), { out: [], routed: 0 })
  assert.deepEqual(bench.counters('nat').drops, { 'nat.badChecksum': 1 })
})

test('every sender goes the long way once', () => {
  const bench = new RoutedBench()
  assert.deepEqual(
    [HERE, '192.0.2.3', '192.0.2.3'].map((source, i) => bench.routed(`16.0.0.${i}`, source)),
    [1, 1, 0]
  )
})

test('a published port: clients of a /8 by one frame, where none of our addresses is', () => {
  const bench = new RoutedBench()
  const visit = (from: string): number => {
    const { out, routed } = bench.send(2, tcp(`${from}:5000`, `${OUT}:8080`, { flags: 'S', seq: 7 }))
    assert.equal(out.length, 1)
    assert.match(out[0], new RegExp(`^0: tcp ${from}:5000 > ${HERE}:80`))
    return routed
  }
  assert.deepEqual(['16.0.0.1', '16.9.9.9', '17.0.0.1', '198.51.100.9', '198.51.100.10', '198.51.100.9'].map(visit), [1, 0, 1, 1, 1, 0])
  const answer = bench.send(0, tcp(`${HERE}:80`, '16.9.9.9:5000', { flags: 'SA', seq: 9, ack: 8 }))
  assert.match(answer.out[0], /^2: tcp 198\.51\.100\.50:8080 > 16\.9\.9\.9:5000/)
  const query = bench.send(2, udp('16.1.1.1:9', `${OUT}:5353`))
  assert.deepEqual(query, { out: [`0: udp 16.1.1.1:9 > ${HERE}:53`], routed: 0 })
  const refusal = bench.send(2, udp('16.1.1.1:9', `${OUT}:5354`))
  assert.match(refusal.out[0], /^2: error 3\/3 /, 'a port that is not published is for the router itself')
  assert.equal(refusal.routed, 0)
  assert.deepEqual(bench.send(2, tcp('198.51.100.255:5000', `${OUT}:8080`, { flags: 'S' })), { out: [], routed: 0 })
  assert.equal(bench.counters('router').drops['router.martianSource'], 1)
})

test('what the router refuses it refuses still', () => {
  const bench = new RoutedBench()
  bench.routed('16.0.0.1')
  bench.routed('198.51.101.1')
  const refused = (source: string, destination: string): void => {
    assert.deepEqual(bench.send(0, udp(`${source}:4000`, `${destination}:53`)), { out: [], routed: 0 }, `${source} > ${destination}`)
  }
  refused(HERE, '198.51.100.255')
  refused('192.0.2.127', '16.0.0.2')
  refused('192.0.2.1', '16.0.0.2')
  refused(HERE, HERE)
  refused(HERE, '127.0.0.1')
  refused(HERE, '224.0.0.9')
  assert.deepEqual(bench.counters('nat').drops, { 'nat.land': 1, 'nat.martian': 2 })
  assert.deepEqual(bench.counters('router').drops, { 'router.broadcast': 1, 'router.martianSource': 2 })
})

test('not after a second', () => {
  const bench = new RoutedBench()
  assert.deepEqual([bench.routed('16.0.0.1'), bench.routed('16.0.0.2')], [1, 0])
  bench.advance(1.1)
  assert.equal(bench.routed('16.0.0.3'), 1)
})
