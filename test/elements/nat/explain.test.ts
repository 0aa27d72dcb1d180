// What the command `explain` says, and that it changes nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ExplainArgument, NatExplanation } from '../../../src/elements/nat/explain.ts'
import { NatBench } from './nat-bench.ts'
import { tcp, udp } from './packets.ts'

const WORLD = '203.0.113.200'

function ask(bench: NatBench, argument: ExplainArgument): NatExplanation {
  const before = [bench.counters('nat'), bench.command('nat', 'flows'), bench.command('nat', 'stats')]
  const answer = bench.command('nat', 'explain', argument) as NatExplanation
  assert.deepEqual([bench.counters('nat'), bench.command('nat', 'flows'), bench.command('nat', 'stats')], before, 'nothing changes')
  return answer
}

test('a new flow to the outside', () => {
  const packet = { protocol: 'udp', source: '192.0.2.2', destination: WORLD, sourcePort: 5000, destinationPort: 53 } as const
  const answer = ask(new NatBench(), { ingress: 0, egress: 2, packet })
  assert.deepEqual(answer, {
    verdict: 'forward',
    reason: null,
    flow: 'new',
    source: '198.51.100.50',
    sourcePort: 5000,
    destination: WORLD,
    destinationPort: 53,
    steps: ['a new flow', 'allowed from a to up', 'source becomes 198.51.100.50 port 5000']
  })
})

test('each answer is what then happens', () => {
  const cases: [ingress: number, egress: number, from: string, to: string][] = [
    [0, 2, '192.0.2.2:7', `${WORLD}:80`],
    [1, 0, '192.0.2.130:7', '198.51.100.50:8080'],
    [1, 0, '192.0.2.130:7', '192.0.2.129:8080'],
    [2, 0, `${WORLD}:7`, '198.51.100.50:8080'],
    [0, 1, '192.0.2.2:7', '192.0.2.130:80'],
    [0, 2, '192.0.2.130:7', `${WORLD}:80`],
    [3, 2, '203.0.113.2:7', `${WORLD}:80`],
    [2, 0, `${WORLD}:7`, '192.0.2.2:999'],
    [0, 2, '[2001:db8:a::2]:7', '[2001:db8:f::1]:80'],
    [0, 2, '192.0.2.2:7', '192.0.2.2:80'],
    [0, 2, '192.0.2.2:7', '127.0.0.1:80'],
    [2, 0, '0.1.2.3:7', '198.51.100.50:8080'],
    [0, 2, '[2001:db8:a::2]:7', '[::1]:80'],
    [0, 2, '192.0.2.130:7', '192.0.2.1:8080']
  ]
  for (const [ingress, egress, from, to] of cases) {
    const bench = new NatBench()
    const [source, sourcePort, destination, destinationPort] = [from, to].flatMap((text) => {
      const at = text.lastIndexOf(':')
      return [text.slice(0, at).replace(/[[\]]/g, ''), Number(text.slice(at + 1))]
    }) as [string, number, string, number]
    const packet = { protocol: 'tcp', source, sourcePort, destination, destinationPort } as const
    for (const flow of ['new', 'established']) {
      const answer = ask(bench, { ingress, egress, packet })
      const out = bench.send(ingress, tcp(from, to))
      if (answer.verdict === 'drop') {
        assert.deepEqual([out, bench.drops()], [[], { [answer.reason!]: 1 }])
        continue
      }
      const name = (address: string): string => (address.includes(':') ? `[${address}]` : address)
      assert.deepEqual(out, [
        `${egress}: tcp ${name(answer.source)}:${answer.sourcePort} > ${name(answer.destination)}:${answer.destinationPort} S`
      ])
      assert.equal(answer.flow, flow)
    }
  }
})

test('what is for the gateway itself is local; a taken port is told', () => {
  const bench = new NatBench()
  const local = ask(bench, { ingress: 0, packet: { protocol: 'icmp', source: '192.0.2.2', destination: '192.0.2.1', sourcePort: 1 } })
  assert.equal(local.verdict, 'local')
  bench.send(0, udp('192.0.2.2:5000', `${WORLD}:53`))
  const packet = { protocol: 'udp', source: '192.0.2.3', sourcePort: 5000, destination: WORLD, destinationPort: 53 } as const
  assert.match(ask(bench, { ingress: 0, egress: 2, packet }).steps.join('; '), /port 5000 is taken/)
  assert.throws(() => bench.command('nat', 'explain', { ingress: 0, packet: { ...packet, source: '::1' } }), /two families/)
  assert.throws(() => bench.command('nat', 'conntrack'), /flows, flush, explain and stats/)
})

test('a guest: a station of another network may answer a flow that exists, and begins none', () => {
  const bench = new NatBench()
  bench.send(2, tcp(`${WORLD}:7`, '198.51.100.50:8080'))
  const packet = { protocol: 'tcp', source: '192.0.2.2', sourcePort: 80, destination: WORLD, destinationPort: 7 } as const
  const answer = ask(bench, { ingress: 1, egress: 2, packet })
  assert.deepEqual([answer.verdict, answer.flow], ['forward', 'established'])
  assert.deepEqual(bench.send(1, tcp('192.0.2.2:80', `${WORLD}:7`, { flags: 'SA', ack: 1 })), [
    `2: tcp ${answer.source}:${answer.sourcePort} > ${WORLD}:7 SA`
  ])
  const other = { ...packet, sourcePort: 81 }
  assert.equal(ask(bench, { ingress: 1, egress: 2, packet: other }).reason, 'nat.spoofed')
})

test('a full table: dropped where nobody may go, with a remark where somebody may', () => {
  const bench = new NatBench({ capacity: 4 })
  const packet = { protocol: 'udp', source: '192.0.2.9', sourcePort: 5000, destination: WORLD, destinationPort: 53 } as const
  const published = { protocol: 'tcp', source: WORLD, sourcePort: 9, destination: '198.51.100.50', destinationPort: 8080 } as const
  for (let host = 2; host < 6; host++) bench.send(0, udp(`192.0.2.${host}:5000`, `${WORLD}:53`))
  const remark = ask(bench, { ingress: 0, egress: 2, packet })
  assert.equal(remark.verdict, 'forward')
  assert.match(remark.steps[0], /table is full/)
  // Answers, and more from inside, over more than two seconds: streams are assured.
  for (let i = 0; i < 4; i++) {
    for (let host = 2; host < 6; host++) {
      const { reply } = bench.flows()[host - 2]
      bench.send(2, udp(`${WORLD}:53`, `${reply.destination}:${reply.destinationPort}`))
      bench.send(0, udp(`192.0.2.${host}:5000`, `${WORLD}:53`))
    }
    bench.advance(1)
  }
  assert.ok(bench.flows().every(({ assured }) => assured))
  assert.equal(ask(bench, { ingress: 0, egress: 2, packet }).reason, 'nat.tableFull')
  assert.equal(ask(bench, { ingress: 2, egress: 0, packet: published }).reason, 'nat.tableFull')
  assert.deepEqual(bench.send(0, udp('192.0.2.9:5000', `${WORLD}:53`)), [])
  assert.deepEqual(bench.drops(), { 'nat.tableFull': 1 })
})

test('no port left: dropped; a source that has another port keeps that', () => {
  const bench = new NatBench({ portRange: [2000, 2003] })
  const from = (source: string) => ({ protocol: 'udp', source, sourcePort: 5000, destination: WORLD, destinationPort: 53 }) as const
  for (let host = 2; host < 7; host++) bench.send(0, udp(`192.0.2.${host}:5000`, `${WORLD}:53`))
  // Before and after one was refused: what is noted of that is not needed to know.
  for (let i = 0; i < 2; i++) {
    assert.equal(ask(bench, { ingress: 0, egress: 2, packet: from('192.0.2.7') }).reason, 'nat.portsExhausted')
    assert.deepEqual(bench.send(0, udp('192.0.2.7:5000', `${WORLD}:53`)), [])
  }
  assert.deepEqual(bench.drops(), { 'nat.portsExhausted': 2 })
  const answer = ask(bench, { ingress: 0, egress: 2, packet: { ...from('192.0.2.3'), destinationPort: 54 } })
  assert.ok(answer.sourcePort >= 2000 && answer.sourcePort <= 2003)
  assert.deepEqual(bench.send(0, udp('192.0.2.3:5000', `${WORLD}:54`)), [`2: udp ${answer.source}:${answer.sourcePort} > ${WORLD}:54`])
})
