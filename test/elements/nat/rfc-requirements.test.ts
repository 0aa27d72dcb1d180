// RFC 4787 (UDP), RFC 5382 (TCP), RFC 5508 (ICMP): a test for each requirement, by its number. Verdicts stand in the README.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { NatOptions } from '../../../src/elements/nat/nat-options.ts'
import { formatIpv4 } from '../../../src/wire/address.ts'
import { get16 } from '../../../src/wire/big-endian.ts'
import { ipv4FragmentOffset, ipv4Source } from '../../../src/wire/ipv4.ts'
import type { OutFrame } from '../../differential/gateway.ts'
import { OurGateway } from '../../differential/our-gateway.ts'
import { NatBench } from './nat-bench.ts'
import { echo, icmpError, show, tcp, udp } from './packets.ts'

const WORLD = '203.0.113.200'
const OUT = '198.51.100.50'
const INDEPENDENT: NatOptions = { mapping: 'endpoint-independent' }

/** External port with which a UDP datagram (or a SYN) from inside leaves. */
function externalPort(bench: NatBench, from: string, to: string, make = udp): number {
  const [line] = bench.send(0, make(from, to))
  assert.match(line ?? 'nothing came out', /^2: (udp|tcp) 198\.51\.100\.50:/)
  return Number(/50:(\d+) >/.exec(line)?.[1])
}

/** An external port that is certainly not the own one: somebody else has that to the same destination. */
function movedPort(bench: NatBench, make = udp): number {
  externalPort(bench, '192.0.2.9:5000', `${WORLD}:53`, make)
  return externalPort(bench, '192.0.2.2:5000', `${WORLD}:53`, make)
}

describe('RFC 4787', () => {
  test('REQ-1: one external port for an internal one, whoever it talks to (mapping: endpoint-independent)', () => {
    const bench = new NatBench(INDEPENDENT)
    const port = movedPort(bench)
    assert.notEqual(port, 5000)
    for (let host = 1; host < 50; host++) assert.equal(externalPort(bench, '192.0.2.2:5000', `203.0.113.${host + 20}:${host}`), port)
    // It ends with the last flow.
    bench.command('nat', 'flush')
    assert.equal(externalPort(bench, '192.0.2.2:5000', `${WORLD}:53`), 5000)
  })

  test('REQ-1, default: address and port dependent, as Linux', () => {
    const bench = new NatBench()
    assert.equal(externalPort(bench, '192.0.2.2:5000', `${WORLD}:53`), 5000)
    assert.equal(externalPort(bench, '192.0.2.9:5000', `${WORLD}:54`), 5000)
  })

  test('REQ-2: an internal host has one external address', () => {
    const bench = new NatBench()
    for (let port = 1; port < 100; port++) externalPort(bench, `192.0.2.2:${port}`, `203.0.113.${port + 20}:9`)
  })

  test('REQ-3: no port overloading (mapping: endpoint-independent)', () => {
    const bench = new NatBench(INDEPENDENT)
    const ports = Array.from({ length: 60 }, (_, i) => externalPort(bench, `192.0.2.${i + 2}:5000`, `203.0.113.${i + 20}:9`))
    assert.equal(new Set(ports).size, ports.length)
  })

  test('REQ-3: ports that others than their sources have are kept from everybody when the option comes while flows are there', () => {
    const bench = new NatBench()
    const port = movedPort(bench)
    const setMapping = (mapping: NatOptions['mapping']): void => {
      const { elements, links } = bench.engine.running
      const { nat } = elements
      bench.configure({ ...elements, nat: { ...nat, options: { ...(nat.options as NatOptions), mapping } } } as typeof elements, links)
      assert.ok(bench.flows().length > 0, 'the flows are still there')
    }
    let number = 10
    const other = (): number => externalPort(bench, `192.0.2.${number}:${port}`, `203.0.113.${20 + number++}:9`)
    assert.equal(other(), port, 'shared while destinations differ')
    setMapping('endpoint-independent')
    assert.notEqual(other(), port)
    setMapping('address-and-port-dependent')
    assert.equal(other(), port)
    setMapping('endpoint-independent')
    assert.notEqual(other(), port)
    bench.command('nat', 'flush')
    assert.equal(other(), port, 'nobody has it any more')
  })

  test('REQ-3a: well-known ports stay below 1024, the others above', () => {
    for (const options of [{}, INDEPENDENT]) {
      const bench = new NatBench(options)
      externalPort(bench, '192.0.2.9:100', `${WORLD}:53`)
      externalPort(bench, '192.0.2.9:6000', `${WORLD}:53`)
      assert.ok(externalPort(bench, '192.0.2.2:100', `${WORLD}:53`) < 1024)
      assert.ok(externalPort(bench, '192.0.2.2:6000', `${WORLD}:53`) >= 1024)
    }
  })

  test('REQ-4: parity is that of the own port while that is free', () => {
    assert.equal(externalPort(new NatBench(), '192.0.2.2:5001', `${WORLD}:53`) % 2, 1)
  })

  test('REQ-5: mappings live two minutes when told so, 30 s without and 120 s with answers by default', () => {
    const told = new NatBench({ timeouts: { udp: 120, udpStream: 300 } })
    externalPort(told, '192.0.2.2:5000', `${WORLD}:53`)
    told.advance(119)
    assert.equal(told.send(2, udp(`${WORLD}:53`, `${OUT}:5000`)).length, 1)
    const bench = new NatBench()
    externalPort(bench, '192.0.2.2:5000', `${WORLD}:53`)
    bench.advance(31)
    assert.equal(bench.send(2, udp(`${WORLD}:53`, `${OUT}:5000`)).length, 0)
    externalPort(bench, '192.0.2.2:5000', `${WORLD}:53`)
    for (let i = 0; i < 4; i++) {
      assert.equal(bench.send(2, udp(`${WORLD}:53`, `${OUT}:5000`)).length, 1)
      bench.advance(1)
    }
    bench.advance(115)
    assert.equal(bench.send(2, udp(`${WORLD}:53`, `${OUT}:5000`)).length, 1)
  })

  test('REQ-6: outbound packets refresh the mapping, inbound ones too', () => {
    const bench = new NatBench()
    externalPort(bench, '192.0.2.2:5000', `${WORLD}:53`)
    for (let i = 0; i < 10; i++) {
      bench.advance(25)
      if (i % 2 === 0) externalPort(bench, '192.0.2.2:5000', `${WORLD}:53`)
      else assert.equal(bench.send(2, udp(`${WORLD}:53`, `${OUT}:5000`)).length, 1)
    }
  })

  test('REQ-7: the outside cannot have addresses of the inside; what claims to is dropped', () => {
    const bench = new NatBench()
    assert.deepEqual(bench.send(2, udp('192.0.2.77:53', `${OUT}:5353`), udp('192.0.2.200:53', `${OUT}:5353`)), [])
    assert.deepEqual(bench.drops(), { 'nat.spoofed': 2 })
  })

  test('REQ-8: filtering is address and port dependent', () => {
    const bench = new NatBench()
    externalPort(bench, '192.0.2.2:5000', `${WORLD}:53`)
    assert.deepEqual(bench.send(2, udp(`${WORLD}:54`, `${OUT}:5000`), udp('203.0.113.201:53', `${OUT}:5000`)), [])
  })

  test('REQ-9: hairpin to published ports', () => {
    const bench = new NatBench({ udpProxyAnswers: false })
    assert.deepEqual(bench.send(0, udp('192.0.2.3:5000', `${OUT}:5353`)), ['0: udp 192.0.2.1:5000 > 192.0.2.2:53'])
    assert.deepEqual(bench.send(0, udp('192.0.2.2:53', '192.0.2.1:5000')), [`0: udp ${OUT}:5353 > 192.0.2.3:5000`])
  })

  test('REQ-10: payloads are never touched', () => {
    const bench = new NatBench()
    const payload = new TextEncoder().encode('PORT 192,0,2,2,19,136\r\n')
    const [[, sent]] = bench.sendRaw(0, tcp('192.0.2.2:5000', `${WORLD}:21`, { flags: 'PA', payload }))
    assert.deepEqual(sent.slice(54), payload)
  })

  test('REQ-11: the same kind of mapping under collisions (mapping: endpoint-independent)', () => {
    const bench = new NatBench(INDEPENDENT)
    const port = movedPort(bench)
    assert.equal(externalPort(bench, '192.0.2.2:5000', '203.0.113.201:1'), port)
    assert.equal(externalPort(bench, '192.0.2.2:5000', `${WORLD}:53`), port)
  })

  test('REQ-12: no ICMP message ends a mapping', () => {
    const bench = new NatBench()
    const [[, sent]] = bench.sendRaw(0, udp('192.0.2.2:5000', `${WORLD}:53`))
    for (const code of [0, 1, 2, 3, 13]) assert.equal(bench.send(2, icmpError(WORLD, OUT, sent, { code })).length, 1)
    assert.equal(bench.send(2, udp(`${WORLD}:53`, `${OUT}:5000`)).length, 1)
  })

  test('REQ-12a, b: unreachables pass whoever on the way sends them', () => {
    const bench = new NatBench()
    const [[, sent]] = bench.sendRaw(0, udp('192.0.2.2:5000', `${WORLD}:53`))
    assert.equal(bench.send(2, icmpError('198.51.100.77', OUT, sent, { code: 1 })).length, 1)
  })

  test('REQ-13: too long packets: the router says so where DF is set, and cuts the others, translated both', () => {
    const gateway = new OurGateway()
    const send = (dontFragment: boolean): OutFrame[] =>
      gateway.send(0, udp('192.0.2.2:5000', '198.18.0.1:53', { payload: 1380, dontFragment }))
    const [refusal, ...rest] = send(true)
    assert.deepEqual([refusal.interface, rest], [0, []])
    assert.equal(show(refusal.bytes), 'error 3/4 192.0.2.1 > 192.0.2.2 about udp 192.0.2.2:5000 > 198.18.0.1:53')
    assert.equal(get16(refusal.bytes, 14 + 20 + 6), 1400)
    const pieces = send(false)
    assert.deepEqual(
      pieces.map(({ interface: number, bytes }) => [number, formatIpv4(ipv4Source(bytes, 14)), ipv4FragmentOffset(bytes, 14)]),
      [
        [2, '203.0.113.1', 0],
        [2, '203.0.113.1', 1376]
      ]
    )
    gateway.close()
  })

  test('REQ-14: fragments in any order', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0]
    ]) {
      const bench = new NatBench()
      const pieces = fragments(udp('192.0.2.2:5000', `${WORLD}:53`, { payload: 2992, id: 7 }), 1000)
      assert.deepEqual(bench.send(0, ...order.map((i) => pieces[i])), [`2: udp ${OUT}:5000 > ${WORLD}:53`])
      bench.checkBooks()
    }
  })
})

describe('RFC 5382', () => {
  test('REQ-1: endpoint-independent mapping (option)', () => {
    const bench = new NatBench(INDEPENDENT)
    const port = movedPort(bench, tcp)
    for (let host = 1; host < 20; host++) assert.equal(externalPort(bench, '192.0.2.2:5000', `203.0.113.${host + 20}:80`, tcp), port)
  })

  test('REQ-2: handshakes and simultaneous opens, from inside and from outside', () => {
    const bench = new NatBench()
    const [here, there, outside] = ['192.0.2.2:5000', `${WORLD}:80`, `${OUT}:5000`]
    externalPort(bench, here, there, tcp)
    assert.deepEqual(bench.send(2, tcp(there, outside, { seq: 9 })), [`0: tcp ${there} > ${here} S`])
    assert.deepEqual(bench.send(0, tcp(here, there, { flags: 'SA', ack: 10 })), [`2: tcp ${outside} > ${there} SA`])
    assert.deepEqual(bench.send(2, tcp(there, outside, { flags: 'SA', seq: 9, ack: 1 })), [`0: tcp ${there} > ${here} SA`])
    assert.equal(bench.send(2, tcp(`${WORLD}:7`, `${OUT}:8080`)).length, 1)
    assert.equal(bench.send(0, tcp('192.0.2.2:80', `${WORLD}:7`, { flags: 'SA', ack: 1 })).length, 1)
  })

  test('REQ-3: filtering is address and port dependent', () => {
    const bench = new NatBench()
    externalPort(bench, '192.0.2.2:5000', `${WORLD}:80`, tcp)
    assert.deepEqual(bench.send(2, tcp(`${WORLD}:81`, `${OUT}:5000`)), [])
  })

  test('REQ-4: the NAT itself answers no SYN; one that meets an outbound SYN is let through', () => {
    const bench = new NatBench()
    assert.deepEqual(bench.send(2, tcp(`${WORLD}:80`, `${OUT}:5000`, { seq: 9 })), [])
    externalPort(bench, '192.0.2.2:5000', `${WORLD}:80`, tcp)
    assert.equal(bench.send(2, tcp(`${WORLD}:80`, `${OUT}:5000`, { seq: 9 })).length, 1)
  })

  test('REQ-5: established connections live 2 h 4 min without a packet; transitory ones four minutes when told so', () => {
    const bench = new NatBench({ timeouts: { tcpSynSent: 240, tcpSynRecv: 240, tcpFinWait: 240 } })
    const [here, there, outside] = ['192.0.2.2:5000', `${WORLD}:80`, `${OUT}:5000`]
    externalPort(bench, here, there, tcp)
    bench.advance(239)
    assert.equal(bench.send(2, tcp(there, outside, { flags: 'SA', seq: 9, ack: 1 })).length, 1)
    bench.send(0, tcp(here, there, { flags: 'A', seq: 1, ack: 10 }))
    bench.advance(7440 + 1)
    assert.equal(bench.send(2, tcp(there, outside, { flags: 'A', seq: 10, ack: 1 })).length, 1)
  })

  test('REQ-6: payloads are never touched, in neither direction', () => {
    const bench = new NatBench()
    const [here, there, outside] = ['192.0.2.2:5000', `${WORLD}:21`, `${OUT}:5000`]
    const payload = new TextEncoder().encode('EPRT |1|192.0.2.2|5001|\r\n227 Entering Passive Mode (198,51,100,50,19,136)\r\n')
    externalPort(bench, here, there, tcp)
    bench.send(2, tcp(there, outside, { flags: 'SA', seq: 9, ack: 1 }))
    const [[, out]] = bench.sendRaw(0, tcp(here, there, { flags: 'PA', seq: 1, ack: 10, payload }))
    assert.deepEqual(out.slice(54), payload)
    const [[, back]] = bench.sendRaw(2, tcp(there, outside, { flags: 'PA', seq: 10, ack: 1 + payload.length, payload }))
    assert.deepEqual(back.slice(54), payload)
    // Nor is anything awaited because of what was said.
    assert.deepEqual(bench.send(2, tcp(`${WORLD}:20`, `${OUT}:5001`)), [])
  })

  test('REQ-7: no port overloading (mapping: endpoint-independent)', () => {
    const bench = new NatBench(INDEPENDENT)
    const ports = Array.from({ length: 60 }, (_, i) => externalPort(bench, `192.0.2.${i + 2}:5000`, `203.0.113.${i + 20}:80`, tcp))
    assert.equal(new Set(ports).size, ports.length)
  })

  test('REQ-8: hairpin to published ports', () => {
    assert.deepEqual(new NatBench().send(0, tcp('192.0.2.3:5000', `${OUT}:8080`)), ['0: tcp 192.0.2.1:5000 > 192.0.2.2:80 S'])
  })

  test('REQ-9, REQ-10: unreachables are translated and end nothing', () => {
    const bench = new NatBench()
    const [[, sent]] = bench.sendRaw(0, tcp('192.0.2.2:5000', `${WORLD}:80`))
    assert.deepEqual(bench.send(2, icmpError(WORLD, OUT, sent, { code: 1, quote: 40 })), [
      `0: error 3/1 ${WORLD} > 192.0.2.2 about tcp 192.0.2.2:5000 > ${WORLD}:80 S`
    ])
    assert.equal(bench.send(2, tcp(`${WORLD}:80`, `${OUT}:5000`, { flags: 'SA', ack: 1 })).length, 1)
  })
})

describe('RFC 5508', () => {
  test('REQ-1: queries from inside and their answers', () => {
    const bench = new NatBench()
    assert.equal(bench.send(0, echo('192.0.2.2', WORLD, 5)).length, 1)
    assert.equal(bench.send(2, echo(WORLD, OUT, 5, { reply: true })).length, 1)
    assert.equal(bench.send(2, echo(WORLD, OUT, 6, { reply: true })).length, 0)
  })

  test('REQ-2: a query mapping lives 60 s when told so, 30 s by default', () => {
    for (const [options, lives] of [
      [{ timeouts: { icmp: 60 } }, true],
      [{}, false]
    ] as const) {
      const bench = new NatBench(options)
      bench.send(0, echo('192.0.2.2', WORLD, 5))
      bench.advance(59)
      assert.equal(bench.send(2, echo(WORLD, OUT, 5, { reply: true })).length, lives ? 1 : 0)
    }
  })

  test('REQ-3: an error with a wrong checksum is dropped in silence', () => {
    const bench = new NatBench()
    const [[, sent]] = bench.sendRaw(0, udp('192.0.2.2:5000', `${WORLD}:53`))
    const error = icmpError(WORLD, OUT, sent)
    error[36] ^= 1
    assert.deepEqual(bench.send(2, error), [])
    assert.deepEqual(bench.drops(), { 'nat.badChecksum': 1 })
  })

  test('REQ-3b, c: the quote may have options; its transport checksum is not judged', () => {
    const bench = new NatBench()
    const ipOptions = Uint8Array.of(1, 1, 1, 0)
    const [[, sent]] = bench.sendRaw(0, udp('192.0.2.2:5000', `${WORLD}:53`, { ipOptions }))
    sent[14 + 24 + 8] ^= 1
    const quoted = icmpError(WORLD, OUT, sent, { quote: 32 })
    assert.deepEqual(bench.send(2, quoted), [`0: error 3/3 ${WORLD} > 192.0.2.2 about udp 192.0.2.2:5000 > ${WORLD}:53`])
  })

  test('REQ-4: errors from outside are translated, inside and out, or dropped when no flow is meant', () => {
    const bench = new NatBench()
    const [[, sent]] = bench.sendRaw(0, udp('192.0.2.2:5000', `${WORLD}:53`))
    assert.deepEqual(bench.send(2, icmpError('198.51.100.1', OUT, sent, { kind: 'time-exceeded', code: 0 })), [
      `0: error 11/0 198.51.100.1 > 192.0.2.2 about udp 192.0.2.2:5000 > ${WORLD}:53`
    ])
    assert.deepEqual(bench.send(2, icmpError(WORLD, OUT, udp(`198.51.100.51:5001`, `${WORLD}:53`))), [])
    assert.deepEqual(bench.drops(), { 'nat.unrelatedError': 1 })
  })

  test('REQ-5: errors from inside too; their source is the address that the outside knows', () => {
    const bench = new NatBench()
    bench.send(0, udp('192.0.2.2:5000', `${WORLD}:53`))
    const [[, answer]] = bench.sendRaw(2, udp(`${WORLD}:53`, `${OUT}:5000`))
    assert.deepEqual(bench.send(0, icmpError('192.0.2.2', WORLD, answer)), [
      `2: error 3/3 ${OUT} > ${WORLD} about udp ${WORLD}:53 > ${OUT}:5000`
    ])
  })

  test('REQ-6: errors neither refresh nor end a flow', () => {
    const bench = new NatBench()
    const [[, sent]] = bench.sendRaw(0, udp('192.0.2.2:5000', `${WORLD}:53`))
    bench.advance(20)
    const { timeout } = bench.flows()[0]
    assert.equal(bench.send(2, icmpError(WORLD, OUT, sent)).length, 1)
    assert.equal(bench.flows()[0].timeout, timeout)
  })

  test('REQ-7: errors about hairpinned packets', () => {
    const bench = new NatBench()
    const [[, request]] = bench.sendRaw(0, udp('192.0.2.3:5000', `${OUT}:5353`))
    assert.deepEqual(bench.send(0, icmpError('192.0.2.2', '192.0.2.1', request)), [
      `0: error 3/3 ${OUT} > 192.0.2.3 about udp 192.0.2.3:5000 > ${OUT}:5353`
    ])
  })

  test('REQ-8: what finds no room is dropped in silence and counted', () => {
    const bench = new NatBench({ portRange: [2000, 2003] })
    for (let host = 2; host < 7; host++) bench.send(0, udp(`192.0.2.${host}:5000`, `${WORLD}:53`))
    assert.deepEqual(bench.send(0, udp('192.0.2.7:5000', `${WORLD}:53`)), [])
    assert.deepEqual(bench.drops(), { 'nat.portsExhausted': 1 })
  })

  test('REQ-9: no policy: errors of the gateway go to every interface, about packets as their senders know them', () => {
    const bench = new NatBench()
    assert.deepEqual(bench.send(0, udp('192.0.2.2:5000', `${WORLD}:53`, { ttl: 1 })), [
      `0: error 11/0 192.0.2.1 > 192.0.2.2 about udp 192.0.2.2:5000 > ${WORLD}:53`
    ])
    assert.deepEqual(bench.send(2, udp(`${WORLD}:5000`, `${OUT}:5353`, { ttl: 1 })), [
      `2: error 11/0 ${OUT} > ${WORLD} about udp ${WORLD}:5000 > ${OUT}:5353`
    ])
  })

  test('REQ-10: unreachable, time exceeded, echo and timestamp cross; redirects do not', () => {
    const bench = new NatBench()
    const timestamp = echo('192.0.2.2', WORLD, 5, { payload: 12 })
    timestamp[34] = 13
    const sum = ((timestamp[36] << 8) | timestamp[37]) - 0x500
    timestamp[36] = sum >>> 8
    timestamp[37] = sum & 0xff
    assert.equal(bench.sendRaw(0, timestamp).length, 1)
    const [[, sent]] = bench.sendRaw(0, udp('192.0.2.2:5000', `${WORLD}:53`))
    const redirect = icmpError('198.51.100.1', OUT, sent)
    redirect[34] = 5
    assert.deepEqual(bench.send(2, redirect), [])
    assert.deepEqual(bench.drops(), { 'nat.redirect': 1 })
  })

  test('REQ-11: other ICMP messages are dropped', () => {
    const bench = new NatBench()
    const strange = echo('192.0.2.2', WORLD, 5)
    strange[34] = 40
    assert.deepEqual(bench.send(0, strange), [])
    assert.deepEqual(bench.drops(), { 'nat.icmpType': 1 })
  })
})

/** The packet of a frame cut into fragments of `size` bytes of payload, a multiple of 8. */
function fragments(frame: Uint8Array, size: number): Uint8Array[] {
  const payload = frame.slice(34)
  return Array.from({ length: Math.ceil(payload.length / size) }, (_, i) => {
    const part = payload.slice(i * size, (i + 1) * size)
    const piece = new Uint8Array(34 + part.length)
    piece.set(frame.slice(0, 34))
    piece.set(part, 34)
    const isLast = (i + 1) * size >= payload.length
    const field = (isLast ? 0 : 0x2000) | ((i * size) >> 3)
    const length = 20 + part.length
    piece.set([length >>> 8, length & 0xff], 16)
    piece.set([field >>> 8, field & 0xff, 64, 17, 0, 0], 20)
    let sum = 0
    for (let at = 14; at < 34; at += 2) sum += (piece[at] << 8) | piece[at + 1]
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    piece.set([(~sum >>> 8) & 0xff, ~sum & 0xff], 24)
    return piece
  })
}
