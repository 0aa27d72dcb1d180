/** Packets for the router itself: echo, refusals of UDP, TCP and other protocols; which errors are sent, and how many. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FrameFlag } from '../../../src/engine/frame-pool.ts'
import { parseIcmpv6 } from '../../../src/wire/icmpv6.ts'
import { IpProtocol, parseIpv4Header } from '../../../src/wire/ipv4.ts'
import { BROADCAST, ECHO, ECHO6, frame, INTERFACES, type Payload, ROUTER_MACS, RouterLab, station, udp } from './router-lab.ts'

const A7 = '192.0.2.7'
const S7 = station(0, 7)
const OURS = '192.0.2.1'
const A6 = '2001:db8:a::7'
const OURS6 = '2001:db8:a::1'
const BACK = `${ROUTER_MACS[0]} > ${S7}`

function met(options: ConstructorParameters<typeof RouterLab>[0] = {}): RouterLab {
  const lab = new RouterLab(options)
  lab.meet()
  return lab
}

describe('echo', () => {
  test('is answered from the address that was asked, of any interface, with a fresh TTL', () => {
    const lab = met()
    for (const address of [OURS, '198.51.100.1']) lab.send(0, 7, A7, address, ECHO, { ttl: 1 })
    assert.deepEqual(
      lab.take(0),
      [OURS, '198.51.100.1'].map((address) => `${BACK}: ${address} > ${A7} ttl 64 echo-reply 7/1 56`)
    )
    lab.ends()
  })
  test('keeps TOS and drops DF and options, as Linux does with what it does not know', () => {
    const lab = met()
    lab.send(0, 7, A7, OURS, ECHO, { tos: 0x28, dontFragment: true, options: new Uint8Array(8).fill(1) })
    const [bytes] = lab.bytes(0)
    const { tos, dontFragment, options, payloadLength } = parseIpv4Header(bytes, 14, bytes.length)!
    assert.deepEqual([tos, dontFragment, options.length, payloadLength, bytes.length], [0x28, false, 0, 64, 98])
    lab.ends()
  })
  test('longer than the MTU (reassembled by the NAT): the answer is cut', () => {
    const lab = met()
    const payload: Payload = { icmp: { kind: 'echo-request', id: 1, sequence: 1, data: new Uint8Array(4000) } }
    lab.put(0, frame(A7, OURS, payload, { from: S7, to: ROUTER_MACS[0] }), (handle) => {
      lab.net.engine.frames.flags[handle] = FrameFlag.reassembled
      lab.net.engine.frames.gsoSize[handle] = 1500
    })
    const [first, second, third] = [1480, 1480, 1048]
    assert.deepEqual(
      lab.take(0).map((text) => text.split(' ttl 64 ')[1]),
      [`fragment 0+ ${first}`, `fragment 1480+ ${second}`, `fragment 2960 ${third}`]
    )
    lab.ends()
  })
  test('the same of IPv6, where the question came in fragments', () => {
    const lab = met()
    const payload = { icmpv6: { kind: 'echo-request', id: 1, sequence: 1, data: new Uint8Array(3000).map((_, i) => i) } } as const
    const plain = frame(A6, OURS6, payload, { from: S7, to: ROUTER_MACS[0] })
    // As the Reassembler leaves it: with a fragment header of offset 0.
    const bytes = new Uint8Array(plain.length + 8)
    bytes.set(plain.subarray(0, 54))
    bytes.set([58, 0, 0, 0, 1, 2, 3, 4], 54)
    bytes.set(plain.subarray(54), 62)
    bytes[20] = 44
    new DataView(bytes.buffer).setUint16(18, plain.length - 54 + 8)
    lab.put(0, bytes, (handle) => {
      lab.net.engine.frames.flags[handle] = FrameFlag.reassembled
      lab.net.engine.frames.gsoSize[handle] = 1500
    })
    const parts = lab.bytes(0)
    assert.deepEqual(
      parts.map(({ length }) => length - 62),
      [1448, 1448, 112]
    )
    const whole = Buffer.concat(parts.map((part) => part.subarray(62)))
    const [first] = parts
    assert.equal(first[54], 58)
    assert.deepEqual(new Set(parts.map((part) => part.subarray(58, 62).toString())).size, 1, 'one identification')
    assert.deepEqual(
      parts.map((part) => (part[56] << 8) | part[57]),
      [1, 1449, 2896]
    )
    const reply = Uint8Array.from(Buffer.concat([plain.subarray(0, 54), whole]))
    // Addresses are exchanged, which leaves the checksum as it is.
    assert.deepEqual(parseIcmpv6(reply, 54, reply.length, 14), { ...payload.icmpv6, kind: 'echo-reply' })
    lab.ends()
  })
  test('IPv6: unicast, link-local, and all nodes, there from the link-local address', () => {
    const lab = met()
    lab.send(0, 7, A6, OURS6, ECHO6)
    lab.nd(0, S7, 'fe80::7', 'ff02::1:ff00:1', { kind: 'neighbor-solicitation', target: OURS6, flags: 0, linkLayer: S7 })
    lab.send(0, 7, 'fe80::7', 'fe80::cc:ff:fe00:a', ECHO6)
    lab.put(0, frame('fe80::7', 'ff02::1', ECHO6, { from: S7, to: '33:33:00:00:00:01' }))
    assert.deepEqual(
      lab.take(0).filter((text) => text.includes('echo')),
      [
        `${BACK}: ${OURS6} > ${A6} hops 64 echo-reply 7/1 56`,
        `${BACK}: fe80::cc:ff:fe00:a > fe80::7 hops 64 echo-reply 7/1 56`,
        `${BACK}: fe80::cc:ff:fe00:a > fe80::7 hops 64 echo-reply 7/1 56`
      ]
    )
    lab.ends()
  })
  test('not to groups and broadcast, from nobody, or with a wrong checksum', () => {
    const lab = met()
    lab.put(0, frame(A7, '192.0.2.255', ECHO, { from: S7, to: BROADCAST }))
    lab.put(0, frame(A7, '224.0.0.1', ECHO, { from: S7, to: '01:00:5e:00:00:01' }))
    lab.put(0, frame('::', OURS6, ECHO6, { from: S7, to: ROUTER_MACS[0] }))
    const bad = frame(A7, OURS, ECHO, { from: S7, to: ROUTER_MACS[0] })
    bad[60] ^= 1
    lab.put(0, bad)
    assert.deepEqual(lab.take(0), [])
    assert.deepEqual(lab.drops, { 'router.broadcast': 1, 'router.group': 1, 'router.martianSource': 1, 'router.badChecksum': 1 })
    lab.ends()
  })
  test('what it makes carries no mark of the NAT', () => {
    const lab = met()
    let mark = 0
    const probe = lab.net.probe('probe0')
    const push = probe.push.bind(probe)
    probe.push = () => {
      mark = probe.context.frames.mark[probe.context.ports[0]!.rx.peek()]
      push()
    }
    lab.put(0, frame(A7, OURS, ECHO, { from: S7, to: ROUTER_MACS[0] }), (handle) => {
      lab.net.engine.frames.mark[handle] = 12
    })
    assert.equal(mark, -1)
    lab.ends()
  })
})

describe('refusals', () => {
  test('UDP: port unreachable from the address that was asked', () => {
    const lab = met()
    lab.send(0, 7, A7, OURS, udp(9, 2))
    lab.send(0, 7, A6, OURS6, udp(9, 2))
    assert.deepEqual(lab.take(0), [
      `${BACK}: ${OURS} > ${A7} ttl 64 unreachable 3 quoting 30`,
      `${BACK}: ${OURS6} > ${A6} hops 64 unreachable 4 quoting 50`
    ])
    assert.deepEqual(lab.drops, { 'router.portClosed': 2 })
    lab.ends()
  })
  test('TCP: a reset in answer to a SYN acknowledges it; in answer to an ACK it has its number; none in answer to a reset', () => {
    const lab = met()
    lab.send(0, 7, A7, OURS, { tcp: { flags: 2 } })
    lab.send(0, 7, A7, OURS, { tcp: { flags: 0x18, acknowledgment: 77, payload: new Uint8Array(5) } })
    lab.send(0, 7, A7, OURS, { tcp: { flags: 0x01, payload: new Uint8Array(5) } })
    lab.send(0, 7, A7, OURS, { tcp: { flags: 4 } })
    lab.send(0, 7, A6, OURS6, { tcp: { flags: 2 } })
    assert.deepEqual(lab.take(0), [
      `${BACK}: ${OURS} > ${A7} ttl 64 tcp 80 > 40000 flags 14 seq 0 ack 1001`,
      `${BACK}: ${OURS} > ${A7} ttl 64 tcp 80 > 40000 flags 4 seq 77 ack 0`,
      `${BACK}: ${OURS} > ${A7} ttl 64 tcp 80 > 40000 flags 14 seq 0 ack 1006`,
      `${BACK}: ${OURS6} > ${A6} hops 64 tcp 80 > 40000 flags 14 seq 0 ack 1001`
    ])
    assert.deepEqual(lab.drops, { 'router.portClosed': 4, 'router.unexpected': 1 })
    lab.ends()
  })
  test('other protocols: protocol unreachable, or a parameter problem that points at the next header', () => {
    const lab = met()
    lab.send(0, 7, A7, OURS, { raw: new Uint8Array(16), protocol: 132 })
    lab.send(0, 7, A6, OURS6, { raw: new Uint8Array(16), protocol: 132 })
    assert.deepEqual(lab.take(0), [
      `${BACK}: ${OURS} > ${A7} ttl 64 unreachable 2 quoting 36`,
      `${BACK}: ${OURS6} > ${A6} hops 64 parameter-problem 1 (6) quoting 56`
    ])
    lab.ends()
  })
  test('answers and errors that nobody waits for, and fragments, end in silence', () => {
    const lab = met()
    lab.send(0, 7, A7, OURS, { icmp: { kind: 'echo-reply', id: 1, sequence: 1, data: new Uint8Array(8) } })
    lab.send(0, 7, A7, OURS, { icmp: { kind: 'unreachable', code: 3, word: 0, quoted: new Uint8Array(28) } })
    lab.send(0, 7, A7, OURS, { raw: new Uint8Array(16), protocol: 17 }, { moreFragments: true })
    assert.deepEqual(lab.take(0), [])
    assert.deepEqual(lab.drops, { 'router.unexpected': 2, 'router.fragment': 1 })
    lab.ends()
  })
})

describe('errors', () => {
  test('carry precedence 6, no DF, and quote what fits in 576 bytes', () => {
    const lab = met()
    lab.send(0, 7, A7, '198.51.100.9', udp(5000, 1400), { ttl: 1, tos: 0x48, dontFragment: true })
    const [bytes] = lab.bytes(0)
    const { tos, dontFragment } = parseIpv4Header(bytes, 14, bytes.length)!
    assert.deepEqual([tos, dontFragment, bytes.length], [0xc8, false, 14 + 576])
    lab.ends()
  })
  const silent = (name: string, payload: Payload, change = {}): void => {
    test(`none about ${name}`, () => {
      const lab = met()
      lab.send(0, 7, A7, '198.51.100.9', payload, { ttl: 1, ...change })
      assert.deepEqual(lab.take(0), [])
      assert.deepEqual(lab.drops, { 'router.ttlExpired': 1 })
      lab.ends()
    })
  }
  silent('an error', { icmp: { kind: 'time-exceeded', code: 0, word: 0, quoted: new Uint8Array(28) } })
  silent('a redirect', { icmp: { kind: 'redirect', code: 1, word: 0, quoted: new Uint8Array(28) } })
  silent('a later fragment', { raw: new Uint8Array(16), protocol: 17 }, { fragmentOffset: 64 })
  silent('ICMP without a type', { raw: new Uint8Array(0), protocol: IpProtocol.icmp })
  test('about a first fragment and an echo request, yes', () => {
    const lab = met()
    lab.send(0, 7, A7, '198.51.100.9', { raw: new Uint8Array(16), protocol: 17 }, { moreFragments: true, ttl: 1 })
    lab.send(0, 7, A7, '198.51.100.9', ECHO, { ttl: 1 })
    assert.equal(lab.take(0).length, 2)
    lab.ends()
  })
  test('six at once to one destination, then one a second; "fragmentation needed" always', () => {
    const lab = met()
    for (let i = 0; i < 20; i++) lab.send(0, 7, A7, '198.51.100.9', udp(), { ttl: 1 })
    assert.equal(lab.take(0).length, 6)
    lab.run(2.5)
    for (let i = 0; i < 20; i++) lab.send(0, 7, A7, '198.51.100.9', udp(), { ttl: 1 })
    assert.equal(lab.take(0).length, 2)
    for (let i = 0; i < 20; i++) lab.send(0, 7, A7, '198.18.0.1', udp(5000, 1472), { dontFragment: true })
    assert.equal(lab.take(0).length, 20)
    assert.equal(lab.counters['errorsLimited'], 32)
    lab.ends()
  })
  test('fifty at once in all, then a thousand a second', () => {
    const lab = met({ interfaces: { ...INTERFACES, 0: { ...INTERFACES[0], addresses: ['10.0.0.1/8'] } } })
    const flood = (net: number): number => {
      const before = lab.counters['errors']
      for (let i = 1; i <= 200; i++) lab.send(0, 7, `10.${net}.0.${i}`, '198.51.100.9', udp(), { ttl: 1 })
      return lab.counters['errors'] - before
    }
    assert.equal(flood(1), 50)
    lab.run(0.02)
    assert.equal(flood(2), 20)
    lab.ends()
  })
  test('IPv6: a /64 has four a second', () => {
    const lab = met()
    const flood = (): number => {
      for (let i = 0; i < 20; i++) lab.send(0, 7, A6, '2001:db8:b::9', udp(), { hopLimit: 1 })
      return lab.take(0).length
    }
    assert.equal(flood(), 6)
    lab.run(1)
    assert.equal(flood(), 4)
    lab.ends()
  })
  test('masquerade: an unresolved neighbor there is reported from the address that the NAT gives', () => {
    const lab = met({ interfaces: { ...INTERFACES, 2: { ...INTERFACES[2], masquerade: true } } })
    lab.send(0, 7, A7, '203.0.113.99', ECHO)
    lab.run(3)
    assert.deepEqual(lab.take(0), [`${BACK}: 203.0.113.1 > ${A7} ttl 64 unreachable 1 quoting 84`])
    lab.ends()
  })
  test('to a sender behind another router they go by its route', () => {
    const lab = met()
    lab.send(0, 7, '198.18.5.5', '198.51.100.9', udp(), { ttl: 1 })
    assert.deepEqual(lab.take(2), [`${ROUTER_MACS[2]} > ${station(2, 254)}: 203.0.113.1 > 198.18.5.5 ttl 64 time-exceeded 0 quoting 48`])
    lab.ends()
  })
})
