import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FrameFlag } from '../../../src/engine/frame-pool.ts'
import { IpProtocol } from '../../../src/wire/ipv4.ts'
import { seededRandom } from '../../wire/seeded-random.ts'
import { pattern } from './fragment-frames.ts'
import { fragment6Of, type Ipv6Fragment, readFragment6 } from './ipv6-frames.ts'
import { ReassemblyBench } from './reassembly-bench.ts'

const PAYLOAD = pattern(2800)
const part = (from: number, to: number, repr: Ipv6Fragment = {}): Uint8Array => fragment6Of(PAYLOAD, from, to, repr)
const A = part(0, 1000)
const B = part(1000, 2000)
const C = part(2000, 2800)

test('in any order; the whole keeps its fragment header as an atomic fragment (RFC 6946)', () => {
  for (const order of [
    [A, B, C],
    [C, B, A],
    [B, C, A]
  ]) {
    const bench = new ReassemblyBench()
    const [whole, ...more] = bench.sendWith({}, ...order)
    assert.equal(more.length, 0)
    assert.deepEqual(whole.bytes, part(0, 2800))
    assert.equal(whole.flags, FrameFlag.reassembled)
    assert.equal(whole.gsoSize, 1048)
    assert.equal(bench.engine.frames.inUse, 0)
  }
})

test('extension headers before the fragment header are the first fragment’s', () => {
  const before = Uint8Array.of(IpProtocol.fragment, 0, 1, 4, 0, 0, 0, 0)
  const repr = { nextHeader: IpProtocol.destinationOptions, before }
  const [whole] = new ReassemblyBench().send(part(1000, 2800), part(0, 1000, repr))
  assert.deepEqual(whole, part(0, 2800, repr))
})

test('cut again as it came, or smaller; the identification stays', () => {
  assert.deepEqual(new ReassemblyBench({ mtu: 1500 }).send(A, B, C), [A, B, C])
  const smaller = new ReassemblyBench({ mtu: 600 }).send(A, B, C).map((frame) => readFragment6(frame))
  assert.deepEqual(
    smaller.map(({ offset, moreFragments, id, payload }) => [offset, payload.length, moreFragments, id]),
    [0, 1, 2, 3, 4].map((i) => [552 * i, Math.min(552, 2800 - 552 * i), 552 * (i + 1) < 2800, 7]).concat([[2760, 40, false, 7]])
  )
})

test('a packet that came whole with a fragment header goes as it is', () => {
  const atomic = fragment6Of(pattern(700), 0, 700)
  const bench = new ReassemblyBench()
  const [arrived] = bench.sendWith({}, atomic)
  assert.deepEqual(arrived.bytes, atomic)
  assert.equal(arrived.flags, 0)
})

test('a packet without a fragment header is never cut: RFC 8200 section 5', () => {
  const bench = new ReassemblyBench({ mtu: 1280 })
  const plain = part(0, 1400, { moreFragments: false, nextHeader: IpProtocol.none })
  assert.deepEqual(bench.send(plain), [])
  assert.equal(bench.element.pieces, 0)
})

test('datagrams differ by addresses and identification; the families do not meet', () => {
  for (const other of [{ id: 8 }, { source: '2001:db8::9' }, { destination: '2001:db8::9' }]) {
    const bench = new ReassemblyBench()
    assert.deepEqual(bench.send(part(0, 1000), part(1000, 2800, other)), [])
    assert.equal(bench.send(part(1000, 2800)).length, 1)
    assert.equal(bench.send(part(0, 1000, other)).length, 1)
    assert.equal(bench.engine.frames.inUse, 0)
  }
})

test('congestion experienced is so on the whole', () => {
  const [whole] = new ReassemblyBench().send(part(0, 1000, { trafficClass: 0xb9 }), part(1000, 2800, { trafficClass: 0xbb }))
  assert.equal(readFragment6(whole).trafficClass, 0xbb)
})

describe('bad input', () => {
  const refuse = (frames: Uint8Array[], expected: Record<string, number>, held: number): void => {
    const bench = new ReassemblyBench()
    assert.deepEqual(bench.send(...frames), [])
    assert.deepEqual(bench.drops, expected)
    assert.equal(bench.element.reassembler.held, held)
    assert.equal(bench.engine.frames.inUse, held)
  }
  test('overlap, repeat, two ends, tiny, malformed, oversize', () => {
    refuse([A, part(992, 2000), C], { 'fragment.overlap': 2 }, 1)
    refuse([A, A], { 'fragment.duplicate': 1 }, 1)
    refuse([fragment6Of(pattern(1600), 1000, 1600), C], { 'fragment.contradiction': 2 }, 0)
    refuse([part(0, 40)], { 'fragment.tiny': 1 }, 0)
    refuse([part(0, 1001), part(8, 8)], { 'fragment.malformed': 2 }, 0)
    refuse([fragment6Of(pattern(80_000), 65_520, 65_620, { moreFragments: false })], { 'fragment.oversize': 1 }, 0)
  })
  test('the first fragment must show its upper layer: RFC 7112', () => {
    const first = part(0, 1000)
    first[54] = IpProtocol.destinationOptions
    first[63] = 255
    refuse([first], { 'fragment.malformed': 1 }, 0)
  })
  test('truncated at every length: nothing is read outside', () => {
    const frames = Array.from({ length: 70 }, (_, i) => A.subarray(0, 54 + i))
    refuse(frames, { 'fragment.malformed': 70 }, 0)
  })
})

test('cut and put together again, for any length and MTU', () => {
  const bench = new ReassemblyBench()
  for (let seed = 1; seed <= 40; seed++) {
    const draw = seededRandom(seed)
    const payload = pattern(200 + draw(20_000), seed)
    const half = 8 + (draw(payload.length - 8) & ~7)
    const pieces = [fragment6Of(payload, 0, Math.max(48, half)), fragment6Of(payload, Math.max(48, half), payload.length)]
    const mtu = 120 + draw(3000)
    const [whole] = bench.send(...pieces)
    const parts = bench.cutBytes(whole, mtu)
    for (const piece of parts) assert.ok(piece.length <= mtu + 14)
    assert.deepEqual(bench.send(...parts.reverse()), [fragment6Of(payload, 0, payload.length)], `seed ${seed}, MTU ${mtu}`)
  }
})
