/** CoDel by the times of its drops, FQ-CoDel by what flows get. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { QueueSettings } from '../../../src/elements/netem/link-settings.ts'
import { ipPacket, type Packet } from './ip-packet.ts'
import { NetemBench } from './netem-bench.ts'

const MS = 1e6
/** 1,000 bytes take a millisecond. */
const RATE = { bitsPerSecond: 8e6 }

function link(queue: QueueSettings): NetemBench {
  return new NetemBench({ forward: { rate: RATE, queue: { packets: 100_000, ...queue } } })
}

function send(bench: NetemBench, packet: Packet): void {
  const { frames } = bench.engine
  const bytes = ipPacket(packet)
  const frame = frames.allocate(bytes.length)
  frames.bytes(frame).set(bytes, frames.start[frame])
  bench.enter(frame)
}

describe('CoDel', () => {
  test('drops begin an interval after the wait was first too long, and come at interval / sqrt(n)', () => {
    const bench = link({ discipline: 'codel' })
    const drops: number[] = []
    for (let i = 0; i < 900; i++) {
      const before = bench.drops()['netem.queueDelay'] ?? 0
      bench.runTo(i * 0.5 * MS)
      bench.send(1000, i)
      bench.run()
      for (let n = before; n < (bench.drops()['netem.queueDelay'] ?? 0); n++) drops.push(bench.clock.now())
    }
    // A frame that leaves at t had to wait t / 2: 5 ms at t = 10 ms.
    assert.ok(Math.abs(drops[0]! - 110 * MS) <= 1.5 * MS, `first drop at ${drops[0]}`)
    let expected = drops[0]!
    for (let n = 1; n < 8; n++) {
      expected += (100 * MS) / Math.sqrt(n)
      if (expected > 440 * MS) break
      assert.ok(Math.abs(drops[n]! - expected) <= 1.5 * MS, `drop ${n} at ${drops[n]}, not ${expected}`)
    }
    bench.advance(10)
    assert.equal(bench.take().length + bench.drops()['netem.queueDelay']!, 900)
    assert.equal(bench.engine.frames.inUse, 0)
  })

  test('a queue that is never long drops nothing', () => {
    const bench = link({ discipline: 'codel' })
    assert.equal(bench.stream(2000, 1.01 * MS, 1000).length, 2000)
    assert.deepEqual(bench.drops(), {})
  })

  test('with ECN, capable packets are marked in place of dropped', () => {
    const bench = link({ discipline: 'codel', ecn: true })
    for (const family of [4, 6] as const) {
      for (let i = 0; i < 600; i++) {
        bench.runTo(bench.clock.now() + 0.5 * MS)
        send(bench, { family, port: 1, length: 1000, tos: 2 })
        bench.run()
      }
      bench.advance(10)
      const arrivals = bench.take()
      const marked = arrivals.filter(({ bytes }) => (family === 4 ? bytes[15]! & 3 : (bytes[15]! >> 4) & 3) === 3)
      assert.deepEqual([arrivals.length, bench.drops()], [600, {}])
      assert.ok(marked.length > 2)
      for (const { bytes } of marked) assert.ok(family === 6 || headerSum(bytes) === 0xffff)
    }
  })
})

/** The sum of an IPv4 header behind 14 bytes, its checksum included: 0xffff when it is right. */
function headerSum(bytes: Uint8Array): number {
  let sum = 0
  for (let at = 14; at < 34; at += 2) sum += bytes[at]! * 256 + bytes[at + 1]!
  return (sum & 0xffff) + (sum >>> 16)
}

describe('FQ-CoDel', () => {
  test('two flows that want all get half each, whatever they send', () => {
    const bench = link({ discipline: 'fq-codel', targetNs: 1e9 })
    for (let i = 0; i < 2000; i++) {
      bench.runTo(i * 0.5 * MS)
      send(bench, { family: 4, port: 1, length: 1000 })
      if (i % 2 === 0) for (let n = 0; n < 4; n++) send(bench, { family: 4, port: 2, length: 300 })
      bench.run()
    }
    const arrivals = bench.take()
    const [one, two] = [1, 2].map((port) =>
      arrivals.filter(({ bytes }) => portOf(bytes) === port).reduce((sum, { length }) => sum + length, 0)
    )
    assert.ok(Math.abs(one! / two! - 1) < 0.02, `${one} and ${two} bytes`)
  })

  test('a sparse flow does not wait behind a greedy one', () => {
    const waits = (discipline: 'drop-tail' | 'fq-codel'): number => {
      const bench = link({ discipline, packets: 200 })
      for (let i = 0; i < 2000; i++) {
        bench.runTo(i * 0.5 * MS)
        send(bench, { family: 4, port: 1, length: 1000 })
        if (i % 40 === 39) send(bench, { family: 4, port: 2, length: 100 })
        bench.run()
      }
      bench.advance(5)
      return Math.max(
        ...bench
          .take()
          .filter((frame) => portOf(frame.bytes) === 2)
          .map(({ sent, at }) => at - sent)
      )
    }
    assert.ok(waits('fq-codel') < 2.2 * MS)
    assert.ok(waits('drop-tail') > 100 * MS)
  })

  test('when it is full the longest flow pays', () => {
    const bench = link({ discipline: 'fq-codel', packets: 50 })
    for (let i = 0; i < 200; i++) send(bench, { family: 4, port: 1, length: 1000 })
    for (let i = 0; i < 10; i++) send(bench, { family: 4, port: 2, length: 1000 })
    bench.run()
    bench.advance(5)
    const arrivals = bench.take()
    assert.equal(arrivals.filter(({ bytes }) => portOf(bytes) === 2).length, 10)
    assert.deepEqual([arrivals.length, bench.drops()], [51, { 'netem.queueFull': 159 }])
    assert.equal(bench.engine.frames.inUse, 0)
  })
})

function portOf(bytes: Uint8Array): number {
  return bytes[34]! * 256 + bytes[35]!
}
