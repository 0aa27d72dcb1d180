/**
 * What any layer-2 domain must do. An implementation gives its element types, says how a domain with N ports is built and what it
 * lacks; the suite puts a test port on each and looks only at the frames that come out, so it holds for all of them:
 *
 *   bridgeDomainSuite('bridge', {
 *     types: [learningBridge as ElementType<never>],
 *     build: (ports, options) => ({
 *       elements: { bridge: { type: 'bridge', options } },
 *       links: [],
 *       edges: Array.from({ length: ports }, (_, port) => ['bridge', port] as const)
 *     })
 *   })
 *
 * The books of frames are checked after every test.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FrameFlag } from '../../src/engine/frame-pool.ts'
import { seededRandom } from '../wire/seeded-random.ts'
import { BridgeDomain, type BridgeDomainKind, type Capability, framesByMac, has } from './bridge-domain.ts'
import { learningTests } from './bridge-domain-learning.ts'

const PORTS = 6

export function bridgeDomainSuite(name: string, kind: BridgeDomainKind): void {
  const { frames = framesByMac } = kind
  const others = (...not: number[]): number[] => Array.from({ length: PORTS }, (_, port) => port).filter((port) => !not.includes(port))

  /** All stations have been heard. */
  const introduced = (pool = {}): BridgeDomain => {
    const domain = new BridgeDomain(kind, PORTS, {}, pool)
    for (const port of others()) domain.send(port, frames.broadcast(port))
    return domain
  }
  const domainTest = (title: string, needs: readonly Capability[], body: (domain: BridgeDomain) => void): void => {
    if (!has(kind, ...needs)) return
    test(title, () => {
      const domain = introduced()
      body(domain)
      domain.checkBooks()
    })
  }

  const without = Object.entries(kind.lacks ?? {}).map(([capability, reason]) => `no ${capability}: ${reason}`)
  describe(['bridge domain', name, ...without].join('; '), () => {
    domainTest('each station reaches each other, byte for byte, and nobody else hears', [], (domain) => {
      for (const from of others()) {
        for (const to of others(from)) {
          const bytes = frames.unicast(from, to, 142, from * 16 + to)
          const got = domain.deliver(from, bytes)
          assert.deepEqual([...got.keys()], [to])
          assert.deepEqual(
            got.get(to)!.map((frame) => frame.bytes),
            [bytes]
          )
        }
      }
    })

    domainTest('broadcast and multicast reach all others, once and byte for byte', [], (domain) => {
      for (const from of others()) {
        for (const bytes of [frames.broadcast(from, 142), frames.multicast(from)]) {
          const got = domain.deliver(from, bytes)
          assert.deepEqual([...got.keys()], others(from))
          for (const arrived of got.values()) {
            assert.deepEqual(
              arrived.map((frame) => frame.bytes),
              [bytes]
            )
          }
        }
      }
    })

    domainTest('a super-frame passes whole with its offload fields, forwarded and copied', ['inside'], (domain) => {
      const fields = { flags: FrameFlag.gso | FrameFlag.csum, gsoType: 1, gsoSize: 1448, hdrLen: 66, csumStart: 34, csumOffset: 16 }
      const length = 65_549 - (kind.overhead ?? 0)
      for (const [bytes, expected] of [
        [frames.unicast(1, 4, length, 0x5a), [4]],
        [frames.broadcast(1, length, 0x5a), others(1)]
      ] as const) {
        const got = domain.deliver(1, bytes, fields)
        assert.deepEqual([...got.keys()], expected)
        for (const [frame] of got.values()) {
          assert.deepEqual(Buffer.from(frame.bytes), Buffer.from(bytes))
          const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset } = frame
          const added = csumStart - fields.csumStart
          assert.deepEqual({ flags, gsoType, gsoSize, hdrLen: hdrLen - added, csumStart: csumStart - added, csumOffset }, fields)
        }
      }
    })

    domainTest('tags are carried', ['ownMacs'], (domain) => {
      const bytes = frames.broadcast(0)
      bytes.set([0x81, 0x00, 0x00, 0x1e], 12)
      for (const arrived of domain.deliver(0, bytes).values()) {
        assert.deepEqual(
          arrived.map((frame) => frame.bytes),
          [bytes]
        )
      }
    })

    domainTest('a frame without a whole header is dropped at every length', [], (domain) => {
      const before = domain.allDrops
      for (let length = 0; length < 14; length++)
        assert.deepEqual(domain.send(0, frames.broadcast(0).subarray(0, length)), [], `${length} bytes`)
      assert.equal(domain.allDrops - before, 14)
    })

    domainTest('a station that is gone gets nothing, the others go on; back again it does', [], (domain) => {
      domain.connect(others(3))
      assert.equal(domain.send(0, frames.unicast(0, 3)).includes(3), false)
      assert.deepEqual(domain.send(0, frames.broadcast(0)), others(0, 3))
      assert.deepEqual(domain.send(0, frames.unicast(0, 4)), [4])
      domain.connect(others())
      domain.send(3, frames.broadcast(3))
      assert.deepEqual(domain.send(0, frames.unicast(0, 3)), [3])
    })

    if (has(kind, 'inside')) {
      test('an exhausted pool costs copies, never frames or the books', () => {
        const domain = introduced({ maxSmallChunks: 1, maxLargeChunks: 1 })
        const pool = domain.bench.engine.frames
        const held: number[] = []
        while (pool.inUse < 8191) held.push(pool.allocate(60))
        const got = domain.send(0, frames.broadcast(0))
        assert.ok(got.length >= 1 && got.length < PORTS - 1, `got to ${got.length} ports`)
        assert.ok(domain.bench.total(({ counters }) => counters['copyFailures'] ?? 0) > 0)
        for (const frame of held) pool.free(frame)
        domain.checkBooks()
      })
    }

    test("random traffic in batches: each pair's frames arrive in order, all of them", () => {
      const domain = introduced()
      const random = seededRandom(20_265)
      const expected = new Map<string, Uint8Array[]>()
      for (let round = 0; round < 40; round++) {
        for (const from of others()) {
          for (let count = random(12); count > 0; count--) {
            const to = others(from)[random(PORTS - 1)]
            const bytes = frames.unicast(from, to, 60 + random(400), random(256))
            const pair = `${from} ${to}`
            expected.set(pair, [...(expected.get(pair) ?? []), bytes])
            domain.inject(from, bytes)
          }
        }
        domain.run()
      }
      for (const to of others()) {
        const arrived = domain.take(to).map(({ bytes }) => bytes)
        const due = others(to).flatMap((from) => expected.get(`${from} ${to}`) ?? [])
        assert.equal(arrived.length, due.length)
        for (const from of others(to)) {
          let at = 0
          for (const bytes of expected.get(`${from} ${to}`) ?? []) {
            while (at < arrived.length && Buffer.compare(arrived[at], bytes) !== 0) at++
            assert.ok(at++ < arrived.length, `from ${from} to ${to}: lost or out of order`)
          }
        }
      }
      domain.checkBooks()
    })

    test('random bytes of any length are relayed or dropped by name, never lost', () => {
      const random = seededRandom(7)
      const domain = new BridgeDomain(kind, 4)
      for (let step = 0; step < 5000; step++) {
        const bytes = Uint8Array.from({ length: random(200) }, () => random(256))
        domain.send(random(4), bytes)
      }
      domain.checkBooks()
    })

    learningTests(kind)
  })
}
