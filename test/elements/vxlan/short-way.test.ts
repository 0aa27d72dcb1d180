// The loops over batches and the code for single frames are two tellings of one RFC: whatever comes in, both do the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { VxlanChange } from '../../../src/elements/vxlan/vxlan-options.ts'
import { FrameFlag } from '../../../src/engine/frame-pool.ts'
import { seededRandom } from '../../wire/seeded-random.ts'
import { inner, innerBack, OWN, outer, PEER_MAC, REMOTE, VNI, VtepBench } from './vtep-bench.ts'

const OUTER = { 4: 50, 6: 70 } as const

function recordsOf(family: 4 | 6): VxlanChange {
  return {
    segments: { [VNI]: { port: 1 } },
    vteps: { [REMOTE[family]]: true },
    peers: { [`${VNI}/${PEER_MAC}`]: { vtep: REMOTE[family] } }
  }
}

for (const family of [4, 6] as const) {
  for (const udpChecksum of family === 6 ? [true, false] : [false]) {
    test(`out, over IPv${family}${udpChecksum ? ', with a checksum' : ''}: every byte`, () => {
      const random = seededRandom(family)
      const [short, long] = [0, 1].map(() => new VtepBench({ ...recordsOf(family), udpChecksum }))
      for (let step = 0; step < 400; step++) {
        const isSix = step % 3 === 0
        const addresses = isSix ? { from: '2001:db8:a::2', to: '2001:db8:a::3' } : { from: '10.0.0.2', to: '10.0.0.3' }
        const frame = inner({ ...addresses, sourcePort: 1 + random(65_535), payload: random(1300), ...(!isSix && { tos: random(256) }) })
        // ... of any content: all sums.
        for (let at = isSix ? 62 : 42; at < frame.length; at++) frame[at] = random(256)
        const [a] = short.send('s1', frame).u
        const [b] = long.send('s1', frame, { flags: FrameFlag.reassembled }).u
        // Identifications of two VTEPs are two rows, and with them the headers' checksums.
        if (family === 4) for (const { bytes } of [a, b]) bytes.fill(0, 18, 20).fill(0, 24, 26)
        assert.deepEqual(Buffer.from(a.bytes), Buffer.from(b.bytes), `frame ${step}`)
        assert.equal(a.bytes.length, frame.length + OUTER[family])
      }
      assert.deepEqual([short.counters('vtep').counters, short.drops], [long.counters('vtep').counters, long.drops])
    })
  }

  test(`in, over IPv${family}: a changed byte in any header ends or passes alike`, () => {
    const random = seededRandom(40 + family)
    const bench = new VtepBench(recordsOf(family))
    const good = (payload = 22): Uint8Array => outer(innerBack({ payload }), { source: REMOTE[family], destination: OWN[family] })
    // The first frame of a source is judged, from then on they go the short way.
    bench.send('u', good())
    const outcome = (bytes: Uint8Array, flags: number): string[][] => {
      const before = bench.drops
      const { u, s1, s2 } = bench.send('u', bytes, { flags })
      const dropped = Object.entries(bench.drops).filter(([reason, count]) => count !== before[reason])
      return [u, s1, s2, dropped.map(([reason]) => reason)].map((each) =>
        each.map((one) => (typeof one === 'string' ? one : Buffer.from(one.bytes).toString('hex')))
      )
    }
    let passed = 0
    for (let at = 0; at < OUTER[family] + 14; at++) {
      for (let step = 0; step < 12; step++) {
        const bytes = good(random(200))
        // Without a checksum over IPv6 the other fields decide.
        if (family === 6 && step % 2 === 0) bytes.fill(0, 60, 62)
        bytes[at] ^= step < 8 ? 1 << step : random(256)
        const short = outcome(bytes, 0)
        assert.deepEqual(short, outcome(bytes, FrameFlag.reassembled), `byte ${at}, ${bytes[at]}`)
        passed += short[1].length
      }
    }
    assert.ok(passed > 100, `${passed} passed`)
    assert.ok(Object.keys(bench.drops).length >= 6, `reasons: ${Object.keys(bench.drops)}`)
    assert.equal(bench.engine.frames.inUse, 0)
  })
}

test('in, over IPv6: a checksum that is wrong, zero, or verified by the device', () => {
  const bench = new VtepBench(recordsOf(6))
  const frame = outer(innerBack({ payload: 777 }), { source: REMOTE[6], destination: OWN[6] })
  const count = (bytes: Uint8Array, flags = 0): number => bench.send('u', bytes, { flags }).s1.length
  assert.deepEqual([count(frame), count(frame)], [1, 1])
  const wrong = frame.slice()
  wrong[wrong.length - 1] ^= 1
  assert.deepEqual([count(wrong), count(wrong, FrameFlag.csumValid)], [0, 1])
  wrong.fill(0, 60, 62)
  assert.equal(count(wrong), 1)
  bench.change({ vteps: { [REMOTE[6]]: null }, peers: { [`${VNI}/${PEER_MAC}`]: null } })
  assert.equal(count(frame), 0)
  assert.deepEqual(bench.drops, { 'vxlan.badChecksum': 1, 'vxlan.unknownVtep': 1 })
})
