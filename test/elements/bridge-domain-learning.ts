/** The part of the bridge-domain suite for domains that learn: who is where is heard, moves, ages, and is flooded for while it is not known. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../wire/seeded-random.ts'
import {
  AGEING,
  BROADCAST,
  BridgeDomain,
  type BridgeDomainKind,
  type BridgeDomainOptions,
  type Capability,
  has,
  station,
  testFrame
} from './bridge-domain.ts'

export function learningTests(kind: BridgeDomainKind): void {
  const others = (ports: number, ...not: number[]): number[] =>
    Array.from({ length: ports }, (_, port) => port).filter((port) => !not.includes(port))
  const needing =
    (...needs: Capability[]) =>
    (title: string, ports: number, body: (domain: BridgeDomain) => void, options: Partial<BridgeDomainOptions> = {}): void => {
      if (!has(kind, ...needs)) return
      test(title, () => {
        const domain = new BridgeDomain(kind, ports, options)
        body(domain)
        domain.checkBooks()
      })
    }
  const learningTest = needing('learning')
  const tableTest = needing('learning', 'oneTable')

  learningTest('an unknown destination is flooded to every other port, byte for byte', 8, (domain) => {
    const bytes = testFrame(station(2), station(1), 142)
    const got = domain.deliver(3, bytes)
    assert.deepEqual([...got.keys()], others(8, 3))
    for (const frames of got.values())
      assert.deepEqual(
        frames.map((frame) => frame.bytes),
        [bytes]
      )
  })

  learningTest('broadcast and groups are flooded, also to a group that once was asked for', 4, (domain) => {
    assert.deepEqual(domain.send(0, testFrame(BROADCAST, station(1))), [1, 2, 3])
    assert.deepEqual(domain.send(1, testFrame('01:00:5e:00:00:fb', station(2))), [0, 2, 3])
    assert.deepEqual(domain.send(2, testFrame('33:33:00:00:00:01', station(3))), [0, 1, 3])
  })

  learningTest('a station is learned from its first frame, whatever its destination', 4, (domain) => {
    domain.send(2, testFrame(BROADCAST, station(1)))
    assert.deepEqual(domain.send(0, testFrame(station(1), station(2))), [2])
    assert.deepEqual(domain.send(2, testFrame(station(2), station(1))), [0])
    domain.send(0, testFrame(BROADCAST, station(2)))
    assert.deepEqual(domain.send(3, testFrame(station(2), station(3))), [0])
  })

  learningTest('a station that moves is found at its new port at once', 4, (domain) => {
    domain.send(0, testFrame(BROADCAST, station(1)))
    domain.send(3, testFrame(BROADCAST, station(2)))
    for (const port of [1, 2, 0, 1]) {
      domain.send(port, testFrame(station(9), station(1)))
      assert.deepEqual(domain.send(3, testFrame(station(1), station(2))), [port])
    }
  })

  learningTest('two ports that claim one address in turn within one second: the last one has it', 4, (domain) => {
    for (let round = 0; round < 3; round++) {
      for (const port of [0, 1]) {
        domain.send(port, testFrame(BROADCAST, station(1)))
        assert.deepEqual(domain.send(2, testFrame(station(1), station(2))), [port])
      }
    }
  })

  learningTest('an address is forgotten after the ageing time, not before', 4, (domain) => {
    domain.bench.advance(0.9)
    domain.send(0, testFrame(BROADCAST, station(1)))
    domain.bench.advance(AGEING - 1)
    assert.deepEqual(domain.send(1, testFrame(station(1), station(2))), [0], 'still known')
    domain.bench.advance(2.1)
    assert.deepEqual(domain.send(1, testFrame(station(1), station(2))), [0, 2, 3], 'forgotten')
  })

  learningTest('a frame from the address starts its time anew, a frame to it does not', 4, (domain) => {
    domain.send(0, testFrame(BROADCAST, station(1)))
    domain.send(3, testFrame(BROADCAST, station(2)))
    domain.bench.advance(200)
    domain.send(0, testFrame(BROADCAST, station(1)))
    domain.send(1, testFrame(station(2), station(9)))
    domain.bench.advance(200)
    assert.deepEqual(domain.send(1, testFrame(station(1), station(9))), [0], 'heard 200 s ago')
    assert.deepEqual(domain.send(1, testFrame(station(2), station(9))), [0, 2, 3], 'heard 400 s ago, asked for 200 s ago')
  })

  learningTest('an idle domain has no next event once everything has aged out', 2, (domain) => {
    domain.send(0, testFrame(BROADCAST, station(1)))
    domain.bench.advance(AGEING + 2)
    assert.equal(domain.bench.engine.nextDeadline, Number.POSITIVE_INFINITY)
  })

  learningTest('a frame for a station on its own port goes nowhere', 4, (domain) => {
    domain.send(1, testFrame(BROADCAST, station(1)))
    domain.send(1, testFrame(BROADCAST, station(2)))
    assert.deepEqual(domain.send(1, testFrame(station(1), station(2))), [])
    assert.equal(domain.drops('bridge.samePort'), 1)
  })

  learningTest('a group address as source is refused and not learned', 4, (domain) => {
    assert.deepEqual(domain.send(0, testFrame(BROADCAST, '03:cc:00:00:00:01')), [])
    assert.equal(domain.drops('bridge.groupSource'), 1)
    assert.deepEqual(domain.send(0, testFrame(station(1), '00:00:00:00:00:00')), [])
    assert.equal(domain.drops('bridge.zeroSource'), 1)
  })

  learningTest('01-80-C2-00-00-00 to -0F end here, the addresses beside them do not', 3, (domain) => {
    for (let last = 0; last < 16; last++) {
      assert.deepEqual(domain.send(0, testFrame(`01:80:c2:00:00:0${last.toString(16)}`, station(1))), [])
    }
    assert.equal(domain.drops('bridge.reserved'), 16)
    for (const address of ['01:80:c2:00:00:10', '01:80:c2:00:01:00', '01:80:c3:00:00:00', '01:81:c2:00:00:00']) {
      assert.deepEqual(domain.send(0, testFrame(address, station(1))), [1, 2], address)
    }
  })

  learningTest('a frame of a header alone is one', 3, (domain) => {
    assert.deepEqual(domain.send(0, testFrame(BROADCAST, station(1), 14)), [1, 2])
  })

  tableTest('a disconnected port takes what was learned with it; others stay', 4, (domain) => {
    domain.send(0, testFrame(BROADCAST, station(1)))
    domain.send(1, testFrame(BROADCAST, station(2)))
    domain.connect([1, 2, 3])
    assert.deepEqual(domain.send(2, testFrame(station(1), station(3))), [1, 3], 'flooded to what is there')
    assert.deepEqual(domain.send(2, testFrame(station(2), station(3))), [1])
    domain.connect([0, 1, 2, 3])
    assert.deepEqual(domain.send(2, testFrame(station(1), station(3))), [0, 1, 3])
    domain.send(0, testFrame(BROADCAST, station(1)))
    assert.deepEqual(domain.send(2, testFrame(station(1), station(3))), [0])
  })

  tableTest(
    'a full table floods for new addresses and keeps the known; room comes back by age',
    4,
    (domain) => {
      for (let number = 1; number <= 16; number++) domain.send(0, testFrame(BROADCAST, station(number)))
      domain.send(1, testFrame(BROADCAST, station(100)))
      assert.deepEqual(domain.send(2, testFrame(station(100), station(1000))), [0, 1, 3], 'not learned')
      for (let number = 1; number <= 16; number++) assert.deepEqual(domain.send(2, testFrame(station(number), station(1000))), [0])
      domain.send(3, testFrame(BROADCAST, station(5)))
      assert.deepEqual(domain.send(2, testFrame(station(5), station(1000))), [3], 'a known one still moves')
      domain.bench.advance(AGEING + 1)
      domain.send(1, testFrame(BROADCAST, station(100)))
      assert.deepEqual(domain.send(2, testFrame(station(100), station(1000))), [1], 'learned now')
    },
    { fdbCapacity: 16 }
  )

  if (!has(kind, 'learning')) return
  test('random traffic with moves agrees with a model, and the books balance', () => {
    const seed = 20_261
    const random = seededRandom(seed)
    const domain = new BridgeDomain(kind, 6)
    const where = new Map<string, number>()
    const stale = new Set<string>()
    for (let step = 0; step < 5000; step++) {
      const port = random(6)
      const source = station(random(40))
      const destination = random(10) === 0 ? BROADCAST : station(random(40))
      where.set(source, port)
      const known = where.get(destination)
      const expected = known === undefined ? others(6, port) : known === port ? [] : [known]
      const got = domain.send(port, testFrame(destination, source, 60 + random(1400)))
      const at = `seed ${seed}, step ${step}`
      if (has(kind, 'oneTable')) assert.deepEqual(got, expected, at)
      else assert.ok(!got.includes(port) && (known === undefined || stale.has(destination) || expected.every((to) => got.includes(to))), at)
      // A table that the frame did not pass still has the old place of a station that moved.
      stale.add(source)
      if (destination === BROADCAST) stale.delete(source)
    }
    domain.checkBooks()
  })
}
