/**
 * Seeded disorder: whatever fragments come in whatever order, what leaves is a datagram that was sent, and nothing stays behind.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../wire/seeded-random.ts'
import { fragmentOf, ipv4Frame, pattern, readPacket } from './fragment-frames.ts'
import { ReassemblyBench } from './reassembly-bench.ts'

type Draw = (bound: number) => number

/** Places at which a payload is cut: multiples of 8, pieces of at least 48 bytes. */
function cuts(draw: Draw, length: number): [number, number][] {
  const pieces: [number, number][] = []
  for (let at = 0; at < length; ) {
    const to = Math.min(length, at + 48 + 8 * draw(180))
    pieces.push([at, to])
    at = to
  }
  return pieces
}

function shuffle<T>(draw: Draw, items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = draw(i + 1)
    ;[items[i], items[j]] = [items[j], items[i]]
  }
  return items
}

/** One element for all seeds: it must be empty after each. */
const bench = new ReassemblyBench()

test('many datagrams at once, shuffled and repeated: each leaves once and as it was sent', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const draw = seededRandom(seed)
    const sent = Array.from({ length: 1 + draw(8) }, (_, id) => ({ id, payload: pattern(100 + draw(6000), id) }))
    const fragments = sent.flatMap(({ id, payload }) => {
      const pieces = cuts(draw, payload.length)
      return pieces.length > 1 ? pieces.map(([from, to]) => fragmentOf(payload, from, to, { id })) : [ipv4Frame({ id }, payload)]
    })
    const came = bench.send(...shuffle(draw, fragments)).map(readPacket)
    assert.equal(came.length, sent.length, `seed ${seed}`)
    for (const { id, payload } of came) assert.deepEqual(payload, sent[id].payload, `seed ${seed}, datagram ${id}`)
    assert.equal(bench.engine.frames.inUse, 0)
  }
})

test('lost, overlapping, mutated: never a byte that was not sent there, no leak, every fragment accounted for', () => {
  const small = new ReassemblyBench({ memory: 2112 * 12 })
  for (let seed = 1; seed <= 60; seed++) {
    const draw = seededRandom(1000 + seed)
    const unit = draw(2) === 0 ? bench : small
    const sent = Array.from({ length: 6 }, (_, id) => pattern(200 + draw(5000), id))
    const fragments = sent.flatMap((payload, id) =>
      cuts(draw, payload.length).flatMap(([from, to]) => {
        const kind = draw(20)
        if (kind === 0) return []
        const whole = fragmentOf(payload, from, to, { id })
        if (kind === 1) return [whole, whole]
        if (kind === 2) return [whole, fragmentOf(payload, from & ~63, Math.min(payload.length, (from & ~63) + 64), { id })]
        if (kind !== 3) return [whole]
        // Any header that is still one: flags, offset, length.
        const mutated = ipv4Frame({ id, fragmentOffset: 8 * draw(8192), moreFragments: draw(2) === 0, protocol: 99 }, pattern(draw(80)))
        return [whole, mutated]
      })
    )
    for (const { id, payload, protocol } of unit.send(...shuffle(draw, fragments)).map(readPacket)) {
      if (protocol !== 99) assert.deepEqual(payload, sent[id], `seed ${seed}, datagram ${id}`)
    }
    const { reassembler } = unit.element
    assert.equal(reassembler.received, reassembler.joined + reassembler.dropped + reassembler.held)
    unit.advance(31)
    assert.equal(reassembler.held + reassembler.heldBytes, 0)
    assert.equal(unit.engine.frames.inUse, 0, `seed ${seed}`)
  }
})

test('cut and put together again, for any length and MTU', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const draw = seededRandom(2000 + seed)
    const packet = ipv4Frame({ id: seed, options: new Uint8Array(4 * draw(11)).fill(1) }, pattern(1 + draw(20_000), seed))
    const mtu = 68 + draw(3000)
    const parts = bench.cutBytes(packet, mtu)
    for (const part of parts) assert.ok(readPacket(part).payloadLength > 0 && part.length <= mtu + 14)
    assert.deepEqual(bench.send(...shuffle(draw, parts)), [packet], `seed ${seed}, MTU ${mtu}`)
  }
})
