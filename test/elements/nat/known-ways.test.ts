// A new flow between two addresses of which another flow has just gone through the router goes past it; what ports decide is decided anew.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NatBench } from './nat-bench.ts'
import { echo, tcp, udp } from './packets.ts'

const WORLD = '203.0.113.200'
const HERE = '192.0.2.2'
const OUT = '198.51.100.50'

/** After one flow between HERE and WORLD. */
function warm(options = {}): NatBench {
  const bench = new NatBench(options)
  bench.send(0, udp(`${HERE}:4000`, `${WORLD}:53`, { payload: 100 }))
  bench.send(2, udp(`${WORLD}:53`, `${OUT}:4000`, { payload: 100 }))
  return bench
}

/** What comes out for a frame, and how many frames the router forwarded meanwhile. */
function sent(bench: NatBench, from: number, frame: Uint8Array): { out: string[]; routed: number } {
  const before = bench.router.forwarded
  return { out: bench.send(from, frame), routed: bench.router.forwarded - before }
}

test('UDP, TCP and queries go past the router with their first frame, and their answers', () => {
  const bench = warm()
  assert.deepEqual(sent(bench, 0, udp(`${HERE}:4001`, `${WORLD}:53`)), { out: [`2: udp ${OUT}:4001 > ${WORLD}:53`], routed: 0 })
  assert.deepEqual(sent(bench, 2, udp(`${WORLD}:53`, `${OUT}:4001`)), { out: [`0: udp ${WORLD}:53 > ${HERE}:4001`], routed: 0 })
  const syn = sent(bench, 0, tcp(`${HERE}:4001`, `${WORLD}:80`, { flags: 'S', seq: 7 }))
  assert.match(syn.out[0], /^2: tcp 198\.51\.100\.50:4001 > 203\.0\.113\.200:80/)
  assert.equal(syn.routed, 0)
  const ping = sent(bench, 0, echo(HERE, WORLD, 9))
  assert.match(ping.out[0], /^2: echo request 198\.51\.100\.50 > 203\.0\.113\.200 id 9/)
  assert.equal(ping.routed, 0)
  assert.deepEqual(
    bench.flows().map(({ protocol, state, reply }) => [protocol, state ?? null, reply.destination]),
    [
      ['udp', null, OUT],
      ['udp', null, OUT],
      ['tcp', 'SYN_SENT', OUT],
      ['icmp', null, OUT]
    ]
  )
  assert.equal(bench.counters('nat').counters['flowsOpened'], 4)
  bench.checkBooks()
})

test('a source port that is taken becomes another one', () => {
  const bench = warm()
  bench.send(0, udp('192.0.2.3:4001', `${WORLD}:53`))
  const { out, routed } = sent(bench, 0, udp(`${HERE}:4001`, `${WORLD}:53`))
  assert.match(out[0], /^2: udp 198\.51\.100\.50:\d+ > 203\.0\.113\.200:53$/)
  assert.doesNotMatch(out[0], /:4001 /)
  assert.equal(routed, 0)
})

test('a published port is one whatever flows there were to its address', () => {
  const bench = warm()
  bench.change({ published: { far: { protocol: 'udp', address: WORLD, port: 99, target: '192.0.2.7', targetPort: 53, interface: 0 } } })
  bench.send(0, udp(`${HERE}:4002`, `${WORLD}:53`, { payload: 100 }))
  bench.send(2, udp(`${WORLD}:53`, `${OUT}:4002`, { payload: 100 }))
  assert.deepEqual(sent(bench, 0, udp(`${HERE}:4003`, `${WORLD}:53`)).routed, 0, 'control')
  assert.deepEqual(sent(bench, 0, udp(`${HERE}:4004`, `${WORLD}:99`)).out, ['0: udp 192.0.2.1:4004 > 192.0.2.7:53'])
})

test('a published port of ours: the second client flow goes past the router, policy is asked', () => {
  const bench = new NatBench()
  bench.send(2, udp(`${WORLD}:6000`, `${OUT}:5353`, { payload: 100 }))
  bench.send(0, udp(`${HERE}:53`, `${WORLD}:6000`, { payload: 100 }))
  assert.deepEqual(sent(bench, 2, udp(`${WORLD}:6001`, `${OUT}:5353`)), { out: [`0: udp ${WORLD}:6001 > ${HERE}:53`], routed: 0 })
  assert.deepEqual(sent(bench, 2, udp(`${WORLD}:6002`, `${HERE}:54`)).out, [], 'the station itself, a port that is not published')
  assert.deepEqual(bench.drops(), { 'filter.notPublished': 1 })
})

test("answers that Docker's proxy would send keep its address", () => {
  const bench = new NatBench()
  const ask = (port: number): string[] => bench.send(1, udp(`192.0.2.130:${port}`, `${OUT}:5353`, { payload: 100 }))
  for (const port of [7000, 7001]) {
    assert.deepEqual(ask(port), [`0: udp 192.0.2.1:${port} > ${HERE}:53`])
    assert.deepEqual(bench.send(0, udp(`${HERE}:53`, `192.0.2.1:${port}`)), [`1: udp 192.0.2.129:5353 > 192.0.2.130:${port}`])
  }
})

test('whose answers pass by the gateway of another network begins nothing there', () => {
  const bench = new NatBench()
  bench.send(2, udp(`${WORLD}:6000`, `${OUT}:5353`, { payload: 100 }))
  const answer = udp(`${HERE}:53`, `${WORLD}:6000`, { payload: 100 })
  assert.equal(bench.send(1, answer).length, 1, 'the answer')
  assert.deepEqual(sent(bench, 1, udp(`${HERE}:54`, `${WORLD}:6000`)).out, [])
  assert.deepEqual(bench.drops(), { 'nat.spoofed': 1 })
})

test('a damaged datagram, or one cut off, begins nothing', () => {
  const bench = warm()
  const damaged = udp(`${HERE}:4001`, `${WORLD}:53`, { payload: 20 })
  damaged[50] ^= 1
  const cut = udp(`${HERE}:4001`, `${WORLD}:53`, { payload: 20 })
  cut[39] += 1
  assert.deepEqual(bench.send(0, damaged, cut), [])
  assert.deepEqual(bench.drops(), { 'nat.badChecksum': 1, 'nat.malformed': 1 })
  assert.equal(bench.flows().length, 1)
})

test('a full table refuses it', () => {
  const bench = warm({ capacity: 4 })
  for (let port = 1; port < 4; port++) {
    bench.send(0, udp(`${HERE}:${4000 + port}`, `${WORLD}:53`))
    bench.send(2, udp(`${WORLD}:53`, `${OUT}:${4000 + port}`))
  }
  bench.advance(2.5)
  for (let port = 0; port < 4; port++) bench.send(0, udp(`${HERE}:${4000 + port}`, `${WORLD}:53`))
  assert.deepEqual(bench.send(0, udp(`${HERE}:4099`, `${WORLD}:53`)), [])
  assert.deepEqual(bench.drops(), { 'nat.tableFull': 1 })
})

test('not after a second, nor after an update, nor by another interface, nor for more bytes than passed', () => {
  const routed = (prepare: (bench: NatBench) => void, frame = udp(`${HERE}:4001`, `${WORLD}:53`, { payload: 100 })): number => {
    const bench = warm()
    prepare(bench)
    return sent(bench, 0, frame).routed
  }
  assert.equal(
    routed(() => {}),
    0
  )
  assert.equal(
    routed((bench) => bench.advance(1.1)),
    1
  )
  assert.equal(
    routed((bench) => bench.change({ local: [OUT] })),
    1
  )
  assert.equal(
    routed(() => {}, udp(`${HERE}:4001`, `${WORLD}:53`, { payload: 101 })),
    1
  )
})
