// The tables beneath the NAT against plain models of them, with random work.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Conntrack, NO_FLOW, SWEPT_AT_ONCE } from '../../../src/elements/nat/conntrack.ts'
import { FlowEviction } from '../../../src/elements/nat/flow-eviction.ts'
import { InternedAddresses } from '../../../src/elements/nat/interned-addresses.ts'
import { NatOptionsError } from '../../../src/elements/nat/nat-options-error.ts'
import { PrefixSet } from '../../../src/elements/nat/prefix-set.ts'
import { NO_MAPPING, SourceMappings } from '../../../src/elements/nat/source-mappings.ts'
import { readTimeouts, TimeoutIndex } from '../../../src/elements/nat/timeouts.ts'
import { Tuple } from '../../../src/elements/nat/tuple.ts'
import { parseIpv6 } from '../../../src/wire/address.ts'
import { put32 } from '../../../src/wire/big-endian.ts'
import { parseAddress, parseCidr, prefixContains } from '../../../src/wire/cidr.ts'
import { seededRandom } from '../../wire/seeded-random.ts'
import { NatBench } from './nat-bench.ts'
import { icmpError, show, udp } from './packets.ts'

const random32 = (random: (bound: number) => number) => (): number => random(2 ** 32) | 0

function flows(capacity: number, seed = 1): Conntrack {
  const random = random32(seededRandom(seed))
  return new Conntrack(capacity, readTimeouts(), new InternedAddresses(random()), random)
}

/** Few values, so that tuples meet. */
function someTuple(random: (bound: number) => number): Tuple {
  const tuple = new Tuple()
  tuple.set(random(40), random(40), random(8), random(8), 17)
  return tuple
}

const nameOf = ({ a, b, c, d }: Tuple): string => [a, b, c, d].join()

test('a tuple keeps what it is given, and its opposite turns it round', () => {
  const random = seededRandom(3)
  for (let i = 0; i < 1000; i++) {
    const values = [random32(random)(), random32(random)(), random(65_536), random(65_536)] as const
    const tuple = new Tuple()
    tuple.set(...values, 6)
    assert.deepEqual([tuple.source, tuple.destination, tuple.sourcePort, tuple.destinationPort], values)
    const opposite = new Tuple()
    opposite.setOpposite(tuple)
    assert.deepEqual([opposite.destination, opposite.source, opposite.destinationPort, opposite.sourcePort], values)
  }
})

test('flows against a Map: 100,000 openings, confirmations, removals and sweeps', () => {
  const random = seededRandom(7)
  const table = flows(300)
  const model = new Map<string, number>()
  const alive = new Map<number, { original: string; reply: string | null }>()
  const forget = (flow: number): void => {
    const { original, reply } = alive.get(flow)!
    model.delete(original)
    if (reply !== null) model.delete(reply)
    alive.delete(flow)
  }
  for (let i = 0; i < 100_000; i++) {
    const tuple = someTuple(random)
    const what = random(10)
    if (what < 5) {
      if (model.has(nameOf(tuple))) continue
      const reply = new Tuple()
      reply.setOpposite(tuple)
      const flow = table.begin(tuple, reply, 0, 1 + random(1000))
      assert.equal(flow === NO_FLOW, alive.size === 300)
      if (flow === NO_FLOW) continue
      model.set(nameOf(tuple), flow << 1)
      alive.set(flow, { original: nameOf(tuple), reply: null })
      if (model.has(nameOf(reply))) continue
      table.confirm(flow, 0)
      model.set(nameOf(reply), (flow << 1) | 1)
      alive.get(flow)!.reply = nameOf(reply)
    } else if (what < 8 && alive.size > 0) {
      const flow = [...alive.keys()][random(alive.size)]
      table.remove(flow)
      forget(flow)
    }
    assert.equal(table.find(tuple.a, tuple.b, tuple.c, tuple.d), model.get(nameOf(tuple)) ?? NO_FLOW)
    assert.equal(table.size, alive.size)
    if (i % 20_000 === 19_999) {
      table.tick = random(1000)
      for (const flow of [...alive.keys()]) if (!table.isAlive(flow)) forget(flow)
      assert.equal(table.sweep(0, Number.POSITIVE_INFINITY), table.end)
      for (const [name, reference] of model)
        assert.equal(table.find(...(name.split(',').map(Number) as [number, number, number, number])), reference)
      table.tick = 0
    }
  }
})

test('a sweep looks at so many flows at once, whether or not it finds any', () => {
  const count = 2 * SWEPT_AT_ONCE + 10
  const table = flows(1 << 18)
  const [tuple, reply] = [new Tuple(), new Tuple()]
  for (let i = 0; i < count; i++) {
    tuple.set(i, 1, 2, 3, 17)
    reply.setOpposite(tuple)
    // The last ones are too old, and one before stays the shortest.
    table.begin(tuple, reply, 0, i >= count - 5 ? 50 : i === 7 ? 200 : 1000)
  }
  table.tick = 100
  const turns: number[] = []
  for (let at = 0; at < table.end; ) turns.push((at = table.sweep(at, 16_384)))
  assert.deepEqual(turns, [SWEPT_AT_ONCE, 2 * SWEPT_AT_ONCE, count])
  assert.deepEqual([table.size, table.swept, table.soonest], [count - 5, 5, 100])
})

test('a full table evicts what is not assured and nothing else', () => {
  const table = flows(64)
  const open = (number: number): number => {
    const tuple = new Tuple()
    tuple.set(number, 1, 2, 3, 17)
    const reply = new Tuple()
    reply.setOpposite(tuple)
    return table.begin(tuple, reply, 0, 1000)
  }
  for (let i = 0; i < 64; i++) table.status[open(i)] |= i === 40 ? 0 : 8
  assert.equal(open(99), NO_FLOW)
  let start = 0
  const eviction = new FlowEviction(table, () => start)
  assert.ok(!eviction.evict(), 'eight neighbors are looked at')
  start = 35
  for (let i = 0; i < 15; i++) assert.ok(!eviction.evict(), 'and then nobody for a while')
  assert.ok(eviction.evict())
  assert.equal(table.status[40], 0)
  assert.equal(open(99), 40)
})

test('under a full table established flows go on and new ones are refused', () => {
  const bench = new NatBench({ capacity: 16 })
  for (let i = 0; i < 16; i++) bench.send(0, udp(`192.0.2.2:${100 + i}`, '203.0.113.200:53'))
  for (let second = 0; second < 4; second++) {
    for (let i = 0; i < 16; i++) bench.send(2, udp('203.0.113.200:53', `198.51.100.50:${100 + i}`))
    bench.advance(1)
  }
  assert.ok(bench.flows().every(({ assured }) => assured))
  assert.deepEqual(bench.send(0, udp('192.0.2.2:999', '203.0.113.200:53')), [])
  assert.deepEqual(bench.drops(), { 'nat.tableFull': 1 })
  for (let i = 0; i < 16; i++) assert.equal(bench.send(0, udp(`192.0.2.2:${100 + i}`, '203.0.113.200:53')).length, 1)
  assert.equal(bench.counters('nat').counters['flowsRefused'], 1)
  // A flood of them is refused at once; what is for the router itself passes, and a flow that ends makes room.
  for (let i = 0; i < 100; i++) assert.deepEqual(bench.send(0, udp(`192.0.2.2:${2000 + i}`, '203.0.113.200:53')), [])
  assert.deepEqual(bench.drops(), { 'nat.tableFull': 100 })
  bench.send(0, udp('192.0.2.2:999', '192.0.2.1:9'))
  assert.equal(bench.router.consumed, 1)
  // An error is of the flow that it quotes, though its own bytes are no ports of any.
  for (let i = 0; i < 16; i++) {
    const error = icmpError('192.0.2.2', '203.0.113.200', udp('203.0.113.200:53', `192.0.2.2:${100 + i}`))
    const about = `udp 203.0.113.200:53 > 198.51.100.50:${100 + i}`
    assert.deepEqual(bench.send(0, error), [`2: error 3/3 198.51.100.50 > 203.0.113.200 about ${about}`])
  }
  assert.deepEqual(bench.drops(), {})
  bench.command('nat', 'flush', { port: 100 })
  assert.equal(bench.send(0, udp('192.0.2.2:999', '203.0.113.200:53')).length, 1)
})

test('a batch of newcomers under a full table: who finds room keeps it', () => {
  const bench = new NatBench({ capacity: 16 })
  for (let i = 0; i < 16; i++) bench.send(0, udp(`192.0.2.2:${100 + i}`, '203.0.113.200:53'))
  for (let second = 0; second < 4; second++) {
    for (let i = 0; i < 15; i++) bench.send(2, udp('203.0.113.200:53', `198.51.100.50:${100 + i}`))
    for (let i = 0; i < 16; i++) bench.send(0, udp(`192.0.2.2:${100 + i}`, '203.0.113.200:53'))
    bench.advance(1)
  }
  assert.equal(bench.flows().filter(({ assured }) => assured).length, 15)
  // Of each newcomer two frames, the second one longer; an established flow and the router between them.
  const others = [udp('192.0.2.2:100', '203.0.113.200:53'), udp('192.0.2.2:999', '192.0.2.1:9')]
  let refused = 0
  let twice = 0
  for (let round = 0; round < 10; round++) {
    const ports = Array.from({ length: 60 }, (_, i) => 2000 + round * 60 + i)
    const frames = ports.flatMap((port) => [2, 30].map((length) => udp(`192.0.2.2:${port}`, '203.0.113.200:53', { payload: length })))
    const sent = bench.sendRaw(0, ...frames.flatMap((frame) => [frame, ...others])).map(([, bytes]) => [show(bytes), bytes.length] as const)
    assert.equal(sent.filter(([text]) => text.includes(':100 >')).length, 120)
    for (const port of ports) {
      const lengths = sent.filter(([text]) => text.includes(`:${port} >`)).map(([, length]) => length)
      assert.ok(lengths.length !== 1 || lengths[0] > 60, `${port}: whose first frame found room has the second refused`)
      refused += 2 - lengths.length
      if (lengths.length === 2) twice++
    }
  }
  assert.equal(bench.router.consumed, 1200)
  assert.ok(refused > 0 && twice > 0, `${refused} ${twice}`)
  const { counters, drops } = bench.counters('nat')
  assert.deepEqual([drops, counters['flowsRefused']], [{ 'nat.tableFull': refused }, refused])
  assert.deepEqual(bench.counters('p0').ingressDrops, drops)
  assert.equal(bench.flows().filter(({ assured }) => assured).length, 15, 'nobody who is assured made room')
  bench.checkBooks()
})

test('a range of ports that is exhausted keeps nobody from the others', () => {
  const bench = new NatBench()
  const open = (source: string): string[] => bench.send(0, udp(source, '203.0.113.200:53'))
  for (let port = 1; port < 512; port++) assert.equal(open(`192.0.2.2:${port}`).length, 1)
  for (const port of [700, 5000]) open(`192.0.2.2:${port}`)
  for (const port of [1, 2]) assert.deepEqual(open(`192.0.2.3:${port}`), [])
  assert.deepEqual(bench.drops(), { 'nat.portsExhausted': 2 })
  for (const port of [700, 5000]) assert.equal(open(`192.0.2.3:${port}`).length, 1, `another port than ${port}`)
})

test('addresses against a Map: numbers are kept while somebody refers to them', () => {
  const random = seededRandom(11)
  const addresses = new InternedAddresses(0x1234567)
  const model = new Map<number, { number: number; references: number }>()
  const bytes = new Uint8Array(16)
  for (let i = 0; i < 50_000; i++) {
    const key = random(500)
    put32(bytes, 12, key * 7919)
    const known = model.get(key)
    assert.equal(addresses.find(bytes, 0), known?.number ?? -1)
    if (random(2) === 0) {
      const number = addresses.take(bytes, 0)
      if (known === undefined) model.set(key, { number, references: 1 })
      else known.references++
    } else if (known !== undefined) {
      addresses.release(known.number)
      if (--known.references === 0) model.delete(key)
    }
    assert.equal(addresses.size, model.size)
  }
})

test('source mappings against a Map', () => {
  const random = seededRandom(13)
  const mappings = new SourceMappings(random32(random))
  mappings.areExclusive = true
  const model = new Map<string, { port: number; references: number }>()
  for (let i = 0; i < 50_000; i++) {
    const [source, port] = [random(30), random(10)]
    const key = `${source}:${port}`
    const known = model.get(key)
    assert.equal(mappings.portOf(source, port, 17, 5), known?.port ?? NO_MAPPING)
    if (random(2) === 0) {
      const external = known?.port ?? random(65_536)
      mappings.take(source, port, 17, 5, external)
      if (known === undefined) model.set(key, { port: external, references: 1 })
      else known.references++
      assert.ok(mappings.isTaken(5, external, 17))
    } else if (known !== undefined) {
      mappings.release(source, port, 17, 5, known.port)
      if (--known.references === 0) model.delete(key)
    }
    assert.equal(mappings.size, model.size)
  }
})

test('prefixes against arithmetic', () => {
  const random = seededRandom(17)
  const set = new PrefixSet()
  const texts = Array.from({ length: 40 }, () => `10.${random(4)}.${random(4)}.0/${16 + random(12)}`)
  texts.push('2001:db8:1::/48', '2001:db8:1:2::/64', '2001:db8:ffff::/49', '::/127')
  for (const text of texts) set.add(parseCidr(text))
  for (const gone of texts.splice(0, 10)) set.remove(parseCidr(gone))
  for (let i = 0; i < 2000; i++) {
    const address = `10.${random(4)}.${random(4)}.${random(256)}`
    const bytes = Uint8Array.from(address.split('.').map(Number))
    const expected = texts.some((text) => !text.includes(':') && prefixContains(parseCidr(text), parseAddress(address)))
    assert.equal(set.hasIpv4(bytes, 0), expected, address)
  }
  for (const address of [
    '2001:db8:1:2::1',
    '2001:db8:1:ffff::',
    '2001:db8:2::',
    '2001:db8:ffff:7fff::',
    '2001:db8:ffff:8000::',
    '::1',
    '::2'
  ]) {
    const expected = texts.some((text) => text.includes(':') && prefixContains(parseCidr(text), parseAddress(address)))
    assert.equal(set.hasIpv6(parseIpv6(address), 0), expected, address)
  }
})

test('time-outs: Linux’s defaults, names that exist, numbers that can be', () => {
  const ticks = readTimeouts({ udp: 45 })
  assert.equal(ticks[TimeoutIndex.udp], 45 * 16)
  assert.equal(ticks[TimeoutIndex.tcpEstablished], 432_000 * 16)
  for (const wrong of [{ udp: 0 }, { udp: Number.NaN }, { sctp: 5 }, { tentative: 9 }]) {
    assert.throws(() => readTimeouts(wrong as object), NatOptionsError)
  }
})

test('records are checked before anything changes, and an update can be undone', () => {
  const bench = new NatBench()
  const wrong = [
    { interfaces: { x: null } },
    { interfaces: { 0: { role: 'lan' } } },
    { published: { web: { protocol: 'sctp', address: null, port: 1, target: '192.0.2.2', targetPort: 1, interface: 0 } } },
    { published: { web: { protocol: 'tcp', address: '::1', port: 1, target: '192.0.2.2', targetPort: 1, interface: 0 } } },
    { published: { web: { protocol: 'tcp', address: null, port: 0, target: '192.0.2.2', targetPort: 1, interface: 0 } } },
    { local: ['here'] }
  ]
  for (const change of wrong) assert.throws(() => bench.change({ interfaces: { 1: null }, ...change } as object))
  assert.equal(bench.send(1, udp('192.0.2.130:1', '203.0.113.200:2')).length, 1, 'interface 1 is still there')
})

test('an interface that goes takes its flows and its packets with it', () => {
  const bench = new NatBench()
  bench.send(0, udp('192.0.2.2:1', '203.0.113.200:2'))
  bench.send(1, udp('192.0.2.130:1', '203.0.113.200:2'))
  bench.change({ interfaces: { 0: null } })
  assert.deepEqual(
    bench.flows().map(({ ingress }) => ingress),
    ['b']
  )
  assert.deepEqual(bench.send(0, udp('192.0.2.2:1', '203.0.113.200:2')), [])
  assert.deepEqual(bench.drops(), { 'nat.unknownInterface': 1 })
})

test('flows are listed and flushed by what they are', () => {
  const bench = new NatBench()
  for (let i = 1; i <= 5; i++) bench.send(0, udp(`192.0.2.${i + 1}:${i}`, '203.0.113.200:53'))
  bench.send(2, udp('203.0.113.209:7', '198.51.100.50:5353'))
  assert.equal(bench.flows({ address: '192.0.2.3' }).length, 1)
  assert.equal(bench.flows({ port: 53 }).length, 6)
  assert.equal(bench.flows({ protocol: 'tcp' }).length, 0)
  assert.equal(bench.flows({ interface: 2 }).length, 6)
  assert.equal((bench.command('nat', 'flows', { limit: 2 }) as unknown[]).length, 2)
  assert.equal(bench.command('nat', 'flush', { address: '192.0.2.3' }), 1)
  assert.equal(bench.command('nat', 'flush', { interface: 0 }), 5)
})

test('an idle NAT has no timer; flows that are too old are swept', () => {
  const bench = new NatBench()
  assert.equal(bench.engine.nextDeadline, Number.POSITIVE_INFINITY)
  for (let i = 0; i < 100; i++) bench.send(0, udp(`192.0.2.2:${i + 1}`, '203.0.113.200:53'))
  bench.advance(45)
  assert.deepEqual([bench.counters('nat').counters['flows'], bench.counters('nat').counters['flowsExpired']], [0, 100])
  assert.equal(bench.engine.nextDeadline, Number.POSITIVE_INFINITY)
})
