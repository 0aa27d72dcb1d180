/** A program at an interface of the router, such as a VTEP: what it gets, and what it sends. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { frame, INTERFACES, type Payload, ROUTER_MACS, RouterLab, station, udp } from './router-lab.ts'

const PORT = 4789
const PROGRAM = '02:cc:00:00:00:99'
/** Interface 1 is the program's; it has no addresses. */
const SERVICE = { name: 'vtep', mac: ROUTER_MACS[1], addresses: [], mtu: 1500, answers: false, noDecrement: true, service: PORT }
const interfaces = { ...INTERFACES, 1: SERVICE }

function lab(): RouterLab {
  const made = new RouterLab({ interfaces })
  made.arp(0, 1, station(0, 7), '192.0.2.7', '192.0.2.1')
  made.take(0)
  return made
}

function fromProgram(source: string, destination: string): Uint8Array {
  return frame(source, destination, udp(PORT), { from: PROGRAM, to: ROUTER_MACS[1] })
}

describe('a program at an interface', () => {
  test('gets UDP for any address of the router at its port, as it came', () => {
    const router = lab()
    router.send(0, 7, '192.0.2.7', '192.0.2.1', udp(PORT))
    router.send(0, 7, '192.0.2.7', '203.0.113.1', udp(PORT))
    router.send(0, 7, '2001:db8:a::7', '2001:db8:a::1', udp(PORT))
    const way = `${station(0, 7)} > ${ROUTER_MACS[0]}`
    assert.deepEqual(router.take(1), [
      `${way}: 192.0.2.7 > 192.0.2.1 ttl 64 udp 4000 > 4789 20`,
      `${way}: 192.0.2.7 > 203.0.113.1 ttl 64 udp 4000 > 4789 20`,
      `${way}: 2001:db8:a::7 > 2001:db8:a::1 hops 64 udp 4000 > 4789 20`
    ])
    assert.deepEqual(router.take(0), [])
    router.ends()
  })

  test('gets ICMP errors about datagrams from the router’s address to its port elsewhere, and no others', () => {
    const router = lab()
    for (const [own, far, from] of [
      ['192.0.2.1', '203.0.113.9', '192.0.2.7'],
      ['2001:db8:a::1', '2001:db8:c::9', '2001:db8:a::7']
    ] as const) {
      const isIpv6 = own.includes(':')
      const about = (source: string, port: number): Payload => {
        const quoted = frame(source, far, udp(port), { from: PROGRAM, to: PROGRAM }).slice(14)
        if (!isIpv6) return { icmp: { kind: 'unreachable', code: 4, word: 1400, quoted } }
        return { icmpv6: { kind: 'packet-too-big', code: 0, word: 1400, quoted } }
      }
      router.send(0, 7, from, own, about(own, PORT))
      const [got] = router.take(1)
      assert.match(got!, new RegExp(`${from} > ${own} .*(unreachable 4|packet-too-big 0) \\(1400\\)`))
      // Another port, and one that this address has not sent.
      router.send(0, 7, from, own, about(own, PORT + 1))
      router.send(0, 7, from, own, about(isIpv6 ? '2001:db8:b::1' : '198.51.100.1', PORT))
      assert.deepEqual(router.take(1), [])
    }
    assert.equal(router.drops['router.unexpected'], 4)
    router.ends()
  })

  test('other ports are refused, and what is for others is forwarded', () => {
    const router = lab()
    router.send(0, 7, '192.0.2.7', '192.0.2.1', udp(PORT + 1))
    router.send(0, 7, '192.0.2.7', '203.0.113.9', udp(PORT))
    assert.deepEqual(router.take(1), [])
    assert.equal(router.drops['router.portClosed'], 1)
    assert.match(router.take(2)[0]!, /who has 203\.0\.113\.9/)
    router.run(5)
    router.ends()
  })

  test('sends under the addresses of the router, with its TTL, to neighbors that are asked for', () => {
    const router = lab()
    router.put(1, fromProgram('192.0.2.1', '192.0.2.7'))
    assert.deepEqual(router.take(0), [`${ROUTER_MACS[0]} > ${station(0, 7)}: 192.0.2.1 > 192.0.2.7 ttl 64 udp 4000 > 4789 20`])
    router.put(1, fromProgram('203.0.113.1', '198.51.100.9'))
    assert.deepEqual(router.take(2), [`${ROUTER_MACS[2]} > ff:ff:ff:ff:ff:ff: who has 203.0.113.254? tell 203.0.113.1`])
    router.arp(2, 2, station(2, 254), '203.0.113.254', '203.0.113.1', ROUTER_MACS[2])
    assert.equal(router.take(2).length, 1)
    router.ends()
  })

  test('sends under no other address, also to whom a way is known', () => {
    const router = lab()
    router.put(1, fromProgram('192.0.2.1', '192.0.2.7'))
    router.put(1, fromProgram('192.0.2.1', '192.0.2.7'))
    router.take(0)
    for (const source of ['192.0.2.9', '203.0.113.77', '0.0.0.0']) router.put(1, fromProgram(source, '192.0.2.7'))
    assert.deepEqual(router.take(0), [])
    assert.equal(router.drops['router.martianSource'], 3)
    router.ends()
  })

  test('is gone with its interface: the port is refused', () => {
    const router = lab()
    router.update({ interfaces: { 1: null } })
    router.send(0, 7, '192.0.2.7', '192.0.2.1', udp(PORT))
    assert.equal(router.drops['router.portClosed'], 1)
    router.ends()
  })

  test('a port that cannot be is refused', () => {
    const router = lab()
    assert.throws(
      () => router.update({ interfaces: { 1: { ...SERVICE, service: 65_536 } } }),
      /interfaces\.1\.service 65536: is not a UDP port/
    )
    router.ends()
  })
})
