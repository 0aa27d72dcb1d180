import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FragmentDrop } from '../../../src/elements/fragment/fragment-drop.ts'
import { dropReasons } from '../../../src/engine/drop-reason.ts'
import { FrameFlag } from '../../../src/engine/frame-pool.ts'
import type { Ipv4Repr } from '../../../src/wire/ipv4.ts'
import { fragmentOf, ipv4Frame, pattern, readPacket, udpPacket } from './fragment-frames.ts'
import { ReassemblyBench } from './reassembly-bench.ts'

const PAYLOAD = pattern(2800)
const part = (from: number, to: number, repr: Partial<Ipv4Repr> = {}): Uint8Array => fragmentOf(PAYLOAD, from, to, repr)
const A = part(0, 1000)
const B = part(1000, 2000)
const C = part(2000, 2800)

test('in any order', () => {
  for (const order of [
    [A, B, C],
    [C, B, A],
    [B, A, C],
    [B, C, A],
    [C, A, B],
    [A, C, B]
  ]) {
    const bench = new ReassemblyBench()
    const whole = bench.send(...order)
    assert.equal(whole.length, 1)
    assert.deepEqual(whole[0], ipv4Frame({ id: 7 }, PAYLOAD))
    assert.equal(bench.engine.frames.inUse, 0)
    assert.equal(bench.engine.nextDeadline, Number.POSITIVE_INFINITY, 'no timer without anything held')
  }
})

test('the header is that of the first part, with its options; length, flags and checksum are those of the whole', () => {
  const options = Uint8Array.of(148, 4, 0, 0)
  const [whole] = new ReassemblyBench().send(part(1000, 2800, { ttl: 3, tos: 8 }), part(0, 1000, { options, ttl: 60, tos: 4 }))
  const packet = readPacket(whole)
  assert.deepEqual([packet.ttl, packet.tos, packet.payloadLength, packet.moreFragments, packet.fragmentOffset], [60, 4, 2800, false, 0])
  assert.deepEqual(packet.options, options)
  assert.deepEqual(packet.payload, PAYLOAD)
})

test('what the whole frame says of its fragments: reassembled, and the longest packet', () => {
  const [whole] = new ReassemblyBench().sendWith({ flags: FrameFlag.captured | FrameFlag.csumValid }, part(0, 1480), part(1480, 2800))
  assert.equal(whole.flags, FrameFlag.reassembled)
  assert.equal(whole.gsoSize, 1500)
})

test('cut again as it came, or smaller when the way is narrower', () => {
  const fragments = [part(0, 1000), part(1000, 2000), part(2000, 2800)]
  assert.deepEqual(new ReassemblyBench({ mtu: 1500 }).send(...fragments), fragments)
  assert.equal(new ReassemblyBench({ mtu: 576 }).send(...fragments).length, 6)
})

test('DF on the longest fragment is on the whole and on what is cut of it (Linux: IPSKB_FRAG_PMTU)', () => {
  const send = (first: boolean, second: boolean): boolean =>
    readPacket(new ReassemblyBench().send(part(0, 2000, { dontFragment: first }), part(2000, 2800, { dontFragment: second }))[0])
      .dontFragment
  assert.equal(send(true, true), true)
  assert.equal(send(true, false), true)
  assert.equal(send(false, true), false)
  const again = new ReassemblyBench({ mtu: 9000 }).send(part(0, 2000, { dontFragment: true }), part(2000, 2800, { dontFragment: true }))
  assert.deepEqual(
    again.map((frame) => readPacket(frame).dontFragment),
    [true, true]
  )
})

test('datagrams differ by addresses, id, protocol and zone', () => {
  const others: Partial<Ipv4Repr>[] = [{ id: 8 }, { source: '192.0.2.9' }, { destination: '192.0.2.9' }, { protocol: 6 }, { tos: 64 }]
  for (const other of others) {
    const bench = new ReassemblyBench({ zoneByTos: true })
    assert.deepEqual(bench.send(part(0, 1000), part(1000, 2800, other)), [])
    assert.equal(bench.send(part(1000, 2800)).length, 1)
    assert.equal(bench.send(part(0, 1000, other)).length, 1)
    assert.equal(bench.engine.frames.inUse, 0)
  }
})

test('padding is no payload', () => {
  const padded = new Uint8Array(1060)
  padded.set(A)
  assert.deepEqual(readPacket(new ReassemblyBench().send(padded, B, C)[0]).payload, PAYLOAD)
})

test('the longest datagram there is', () => {
  const payload = pattern(65_515)
  const bench = new ReassemblyBench()
  const parts = Array.from({ length: 45 }, (_, i) => fragmentOf(payload, i * 1480, Math.min(65_515, (i + 1) * 1480)))
  const [whole] = bench.send(...parts)
  assert.deepEqual(readPacket(whole).payload, payload)
})

describe('bad input', () => {
  /** Reasons that are counted when these come, and what is held then. */
  const refuse = (frames: Uint8Array[], expected: Record<string, number>, held: number, flags = 0): ReassemblyBench => {
    const bench = new ReassemblyBench()
    assert.deepEqual(bench.sendWith({ flags }, ...frames), [])
    assert.deepEqual(bench.drops, expected)
    const { reassembler } = bench.element
    assert.equal(reassembler.held, held)
    assert.equal(bench.engine.frames.inUse, held)
    assert.equal(reassembler.received, reassembler.joined + reassembler.dropped + reassembler.held)
    return bench
  }

  test('overlap ends the datagram: RFC 5722', () => {
    refuse([A, part(992, 2000), C], { 'fragment.overlap': 2 }, 1)
    refuse([B, part(0, 1008)], { 'fragment.overlap': 2 }, 0)
    refuse([part(1000, 1504), C, part(0, 1600)], { 'fragment.overlap': 3 }, 0)
    refuse([part(0, 400), part(600, 1000), part(0, 1000)], { 'fragment.overlap': 3 }, 0)
  })
  test('a repeat, or a part of what has come, is dropped alone', () => {
    const bench = refuse([A, A, part(0, 496), part(504, 1000), B], { 'fragment.duplicate': 3 }, 2)
    assert.equal(bench.send(C).length, 1)
  })
  test('a repeat may span fragments that touch', () => {
    const bench = refuse([A, B, part(504, 1504)], { 'fragment.duplicate': 1 }, 2)
    assert.equal(bench.send(C).length, 1)
  })
  test('a datagram with two ends, or with bytes behind its end', () => {
    refuse([C, fragmentOf(pattern(2400), 2000, 2400)], { 'fragment.contradiction': 2 }, 0)
    refuse([fragmentOf(pattern(1500), 1000, 1500), C], { 'fragment.contradiction': 2 }, 0)
    refuse([fragmentOf(pattern(1500), 1000, 1500), part(1600, 2000)], { 'fragment.contradiction': 2 }, 0)
    refuse([B, fragmentOf(pattern(900), 400, 900)], { 'fragment.contradiction': 2 }, 0)
  })
  test('tiny fragments, but a short last one is none', () => {
    refuse([part(0, 40)], { 'fragment.tiny': 1 }, 0)
    refuse([part(0, 48), part(2792, 2800)], {}, 2)
    refuse([ipv4Frame({ moreFragments: true, options: new Uint8Array(40) }, pattern(8))], {}, 1)
  })
  test('empty, or not a multiple of 8', () => {
    refuse([part(0, 0), part(0, 1001), part(2800, 2800), B], { 'fragment.malformed': 3 }, 1)
  })
  test('a super-frame or a partial checksum in a fragment', () => {
    refuse([A], { 'fragment.malformed': 1 }, 0, FrameFlag.gso)
    refuse([A], { 'fragment.malformed': 1 }, 0, FrameFlag.csum)
  })
  test('a ping of death: fragments beyond 65,535 bytes', () => {
    refuse([ipv4Frame({ fragmentOffset: 65_528 }, pattern(100))], { 'fragment.oversize': 1 }, 0)
    refuse([ipv4Frame({ fragmentOffset: 65_512 }, pattern(4))], { 'fragment.oversize': 1 }, 0)
  })
  test('options of the first fragment may make the whole too long', () => {
    const payload = pattern(65_515)
    const parts = Array.from({ length: 9 }, (_, i) => fragmentOf(payload, i * 8000, Math.min(65_515, (i + 1) * 8000)))
    parts[0] = fragmentOf(payload, 0, 8000, { options: new Uint8Array(4) })
    refuse(parts, { 'fragment.oversize': 9 }, 0)
  })
  test('ECN: RFC 3168 5.3', () => {
    const ecn = (first: number, second: number): number[] =>
      new ReassemblyBench().send(part(0, 1000, { tos: first }), part(1000, 2800, { tos: second })).map((frame) => readPacket(frame).tos)
    assert.deepEqual(ecn(2, 3), [3])
    assert.deepEqual(ecn(3, 1), [3])
    assert.deepEqual(ecn(2, 1), [2])
    for (const other of [1, 2, 3]) {
      refuse([part(0, 1000, { tos: 0 }), part(1000, 2800, { tos: other })], { 'fragment.ecn': 2 }, 0)
      refuse([part(0, 1000, { tos: other }), part(1000, 2800, { tos: 0 })], { 'fragment.ecn': 2 }, 0)
    }
  })
})

describe('bounds', () => {
  test('a datagram is given up 30 s after its first fragment', () => {
    const bench = new ReassemblyBench()
    bench.send(A)
    bench.advance(20)
    bench.send(B)
    bench.send(fragmentOf(PAYLOAD, 0, 1000, { id: 9 }))
    bench.advance(9.9)
    assert.equal(bench.element.reassembler.held, 3)
    bench.advance(0.2)
    assert.deepEqual(bench.drops, { 'fragment.timeout': 2 })
    assert.equal(bench.element.reassembler.held, 1)
    bench.advance(20)
    assert.deepEqual(bench.drops, { 'fragment.timeout': 3 })
    assert.equal(bench.engine.frames.inUse, 0)
    assert.equal(bench.engine.nextDeadline, Number.POSITIVE_INFINITY)
  })
  test('a full memory gives up what waits longest: a flood does not stop those who come whole', () => {
    const bench = new ReassemblyBench({ memory: 100 * 2112 })
    for (let id = 0; id < 1000; id++) {
      bench.send(part(0, 1000, { id: id + 10_000 }))
      if (id % 100 !== 0) continue
      assert.equal(bench.send(part(0, 1000, { id }), part(1000, 2800, { id })).length, 1)
    }
    const { reassembler } = bench.element
    assert.equal(reassembler.held, 100)
    assert.equal(reassembler.heldBytes, 100 * 2112)
    assert.deepEqual(bench.drops, { 'fragment.evicted': 900 })
    bench.engine.close()
    assert.equal(bench.engine.frames.inUse, 0)
  })
  test('large frames weigh what they hold', () => {
    const bench = new ReassemblyBench({ memory: 69_632 * 2 })
    for (let id = 0; id < 3; id++) bench.send(ipv4Frame({ id, moreFragments: true }, pattern(4000)))
    assert.deepEqual(bench.drops, { 'fragment.evicted': 1 })
    assert.equal(bench.element.reassembler.heldBytes, 69_632 * 2)
  })
  test('no frame for the whole: its fragments are dropped', () => {
    const bench = new ReassemblyBench({}, { maxLargeChunks: 0 })
    assert.deepEqual(bench.send(A, B, C), [])
    assert.deepEqual(bench.drops, { 'engine.poolExhausted': 3 })
    assert.equal(bench.engine.frames.inUse, 0)
  })
})

test('a whole packet is not held, and counters tell', () => {
  const bench = new ReassemblyBench()
  const packet = udpPacket(100)
  assert.deepEqual(bench.send(packet, A, B, A, C), [packet, ipv4Frame({ id: 7 }, PAYLOAD)])
  const { received, datagrams, joined, dropped, held } = bench.element.reassembler
  assert.deepEqual({ received, datagrams, joined, dropped, held }, { received: 4, datagrams: 1, joined: 3, dropped: 1, held: 0 })
})

test('every reason has a sentence', () => {
  for (const number of Object.values(FragmentDrop)) assert.match(dropReasons()[number].text, /^[A-Z].{20,}\.$/)
})
