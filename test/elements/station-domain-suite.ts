/**
 * What any layer-2 domain must do for stations that it knows, however it knows them: a bridge that heard them, a macvlan that was told
 * their MACs, an ipvlan that was told their addresses. Station N is at port N. The full suite of domains that learn is
 * bridge-domain-suite.ts.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FrameFlag } from '../../src/engine/frame-pool.ts'
import { seededRandom } from '../wire/seeded-random.ts'
import { BridgeDomain, type BridgeDomainKind } from './bridge-domain-suite.ts'

export interface StationDomainKind extends BridgeDomainKind {
  /** A frame of `length` bytes from one station to another; `fill` tells it from others. */
  unicast(from: number, to: number, length?: number, fill?: number): Uint8Array
  /** To all. */
  broadcast(from: number, length?: number, fill?: number): Uint8Array
  /** To a group (IPv4 multicast). */
  multicast(from: number): Uint8Array
}

const PORTS = 6

export function stationDomainSuite(name: string, kind: StationDomainKind): void {
  const others = (...not: number[]): number[] => Array.from({ length: PORTS }, (_, port) => port).filter((port) => !not.includes(port))

  /** All stations have been heard. */
  const introduced = (pool = {}): BridgeDomain => {
    const domain = new BridgeDomain(kind, PORTS, {}, pool)
    for (const port of others()) domain.send(port, kind.broadcast(port))
    return domain
  }
  const domainTest = (title: string, body: (domain: BridgeDomain) => void): void => {
    test(title, () => {
      const domain = introduced()
      body(domain)
      domain.checkBooks()
    })
  }

  describe(`stations of ${name}`, () => {
    domainTest('each reaches each other, byte for byte, and nobody else hears', (domain) => {
      for (const from of others()) {
        for (const to of others(from)) {
          const bytes = kind.unicast(from, to, 142, from * 16 + to)
          const got = domain.deliver(from, bytes)
          assert.deepEqual([...got.keys()], [to])
          assert.deepEqual(
            got.get(to)!.map((frame) => frame.bytes),
            [bytes]
          )
        }
      }
    })

    domainTest('broadcast and multicast reach all others, once and byte for byte', (domain) => {
      for (const from of others()) {
        for (const bytes of [kind.broadcast(from, 142), kind.multicast(from)]) {
          const got = domain.deliver(from, bytes)
          assert.deepEqual([...got.keys()], others(from))
          for (const frames of got.values()) {
            assert.deepEqual(
              frames.map((frame) => frame.bytes),
              [bytes]
            )
          }
        }
      }
    })

    domainTest('a super-frame passes whole with its offload fields, forwarded and copied', (domain) => {
      const fields = { flags: FrameFlag.gso | FrameFlag.csum, gsoType: 1, gsoSize: 1448, hdrLen: 66, csumStart: 34, csumOffset: 16 }
      const length = 60_000 - (kind.overhead ?? 0)
      for (const [bytes, expected] of [
        [kind.unicast(1, 4, length), [4]],
        [kind.broadcast(1, length), others(1)]
      ] as const) {
        const got = domain.deliver(1, bytes, fields)
        assert.deepEqual([...got.keys()], expected)
        for (const [frame] of got.values()) {
          assert.deepEqual(Buffer.from(frame.bytes), Buffer.from(bytes))
          const { flags, gsoType, gsoSize, csumOffset } = frame
          assert.deepEqual({ flags, gsoType, gsoSize, csumOffset }, { flags: fields.flags, gsoType: 1, gsoSize: 1448, csumOffset: 16 })
        }
      }
    })

    domainTest('a frame without a whole header ends inside', (domain) => {
      for (let length = 0; length < 14; length++)
        assert.deepEqual(domain.send(0, kind.broadcast(0).subarray(0, length)), [], `${length} bytes`)
    })

    domainTest('a station that is gone gets nothing, the others go on; back again it does', (domain) => {
      domain.connect(others(3))
      assert.equal(domain.send(0, kind.unicast(0, 3)).includes(3), false)
      assert.deepEqual(domain.send(0, kind.broadcast(0)), others(0, 3))
      assert.deepEqual(domain.send(0, kind.unicast(0, 4)), [4])
      domain.connect(others())
      domain.send(3, kind.broadcast(3))
      assert.deepEqual(domain.send(0, kind.unicast(0, 3)), [3])
    })

    test('an exhausted pool costs copies, never frames or the books', () => {
      const domain = introduced({ maxSmallChunks: 1, maxLargeChunks: 1 })
      const { frames } = domain.bench.engine
      const held: number[] = []
      while (frames.inUse < 8191) held.push(frames.allocate(60))
      const got = domain.send(0, kind.broadcast(0))
      assert.ok(got.length >= 1 && got.length < PORTS - 1, `got to ${got.length} ports`)
      assert.ok(domain.bench.total(({ counters }) => counters['copyFailures'] ?? 0) > 0)
      for (const frame of held) frames.free(frame)
      domain.checkBooks()
    })

    test("random traffic in batches: each pair's frames arrive in order, all of them", () => {
      const domain = introduced()
      const random = seededRandom(20_265)
      const expected = new Map<string, Uint8Array[]>()
      for (let round = 0; round < 40; round++) {
        for (const from of others()) {
          for (let count = random(12); count > 0; count--) {
            const to = others(from)[random(PORTS - 1)]
            const bytes = kind.unicast(from, to, 60 + random(400), random(256))
            const pair = `${from} ${to}`
            expected.set(pair, [...(expected.get(pair) ?? []), bytes])
            domain.bench.port(`p${from}`).send(bytes)
          }
        }
        domain.bench.run()
      }
      for (const to of others()) {
        const arrived = domain.bench.port(`p${to}`).take()
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
      assert.equal(domain.bench.engine.frames.inUse, 0)
    })
  })
}
