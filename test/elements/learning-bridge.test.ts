import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BridgeDrop } from '../../src/elements/bridge/bridge-drop.ts'
import { BridgeOptionError, type LearningBridgeOptions } from '../../src/elements/bridge/bridge-options.ts'
import type { FdbEntry } from '../../src/elements/bridge/fdb.ts'
import { learningBridge } from '../../src/elements/bridge/learning-bridge.ts'
import { dropReasons } from '../../src/engine/drop-reason.ts'
import type { ElementType } from '../../src/engine/element.ts'
import { FrameFlag } from '../../src/engine/frame-pool.ts'
import type { TopologyElement, TopologyLink } from '../../src/engine/topology.ts'
import { TestBench } from '../engine/test-bench.ts'
import { seededRandom } from '../wire/seeded-random.ts'
import { station, testFrame } from './bridge-domain.ts'

const BROADCAST = 'ff:ff:ff:ff:ff:ff'

class BridgeBench extends TestBench {
  private readonly numbers: readonly number[]

  constructor(numbers: readonly number[], options: LearningBridgeOptions = {}) {
    super({ types: [learningBridge as ElementType<never>] })
    this.numbers = numbers
    this.setOptions(options)
  }

  setOptions(options: LearningBridgeOptions): void {
    const elements: Record<string, TopologyElement> = { br: { type: 'bridge', options } }
    const links: TopologyLink[] = []
    for (const number of this.numbers) {
      elements[`p${number}`] = { type: 'test-port' }
      links.push({ a: ['br', number], b: [`p${number}`, 0] })
    }
    this.configure(elements, links)
  }

  /** Ports that the frame came out of. */
  send(port: number, bytes: Uint8Array, flags = 0): number[] {
    this.port(`p${port}`).send(bytes, { flags })
    this.run()
    return this.numbers.filter((number) => this.port(`p${number}`).take().length > 0)
  }

  fdb(): FdbEntry[] {
    return this.command('br', 'fdb') as FdbEntry[]
  }
}

test('counters tell what happened', () => {
  const bench = new BridgeBench([0, 1, 2])
  bench.send(0, testFrame(BROADCAST, station(1)))
  bench.send(1, testFrame(station(1), station(2)))
  bench.send(2, testFrame(station(1), station(2)))
  bench.advance(301)
  assert.deepEqual(bench.counters('br').counters, {
    rxFrames: 3,
    forwarded: 2,
    flooded: 1,
    copies: 1,
    copyFailures: 0,
    learned: 2,
    moved: 1,
    aged: 2,
    learnRefused: 0
  })
})

test('drops are counted at the bridge and at the port where the frame came in', () => {
  const bench = new BridgeBench([0, 1])
  bench.send(1, testFrame('01:80:c2:00:00:0e', station(1)))
  assert.deepEqual(bench.counters('br').drops, { 'bridge.reserved': 1 })
  assert.deepEqual(bench.counters('p1').ingressDrops, { 'bridge.reserved': 1 })
  assert.deepEqual(bench.counters('p0').ingressDrops, {})
})

test('every reason has a sentence', () => {
  for (const number of Object.values(BridgeDrop)) assert.match(dropReasons()[number].text, /^[A-Z].{20,}\.$/)
})

test('the command fdb shows port, kind and age', () => {
  const bench = new BridgeBench([0, 7], { staticEntries: [{ mac: station(9), port: 7 }] })
  bench.send(7, testFrame(BROADCAST, station(1)))
  bench.advance(10)
  bench.send(0, testFrame(BROADCAST, station(2)))
  assert.deepEqual(bench.fdb(), [
    { mac: station(2), port: 0, static: false, age: 0 },
    { mac: station(1), port: 7, static: false, age: 10 },
    { mac: station(9), port: 7, static: true, age: 0 }
  ])
  assert.equal(bench.command('br', 'flush', { port: 7 }), 1)
  assert.equal(bench.command('br', 'flush'), 1)
  assert.equal(bench.fdb().length, 1)
  assert.throws(() => bench.command('br', 'learn'), /fdb, flush and explain/)
})

test('after a flush the next frame is learned again, also within the same second', () => {
  const bench = new BridgeBench([0, 1])
  bench.send(0, testFrame(BROADCAST, station(1)))
  bench.command('br', 'flush')
  bench.send(0, testFrame(BROADCAST, station(1)))
  assert.equal(bench.fdb().length, 1)
})

test('static entries: traffic goes to their port before they speak, and stays when they speak elsewhere', () => {
  const bench = new BridgeBench([0, 1, 2], { staticEntries: [{ mac: station(1), port: 1 }] })
  assert.deepEqual(bench.send(0, testFrame(station(1), station(2))), [1])
  assert.deepEqual(bench.send(2, testFrame(station(2), station(1))), [0], 'the frame is relayed')
  assert.deepEqual(bench.send(0, testFrame(station(1), station(2))), [1])
})

test('a static entry on a port that is not connected: dropped as unlinked', () => {
  const bench = new BridgeBench([0, 1], { staticEntries: [{ mac: station(1), port: 5 }] })
  assert.deepEqual(bench.send(0, testFrame(station(1), station(2))), [])
  assert.deepEqual(bench.counters('br').drops, { 'engine.unlinked': 1 })
})

test('ageing 0: a hub', () => {
  const bench = new BridgeBench([0, 1, 2], { ageing: 0 })
  bench.send(0, testFrame(BROADCAST, station(1)))
  assert.deepEqual(bench.send(1, testFrame(station(1), station(2))), [0, 2])
  assert.deepEqual(bench.fdb(), [])
})

test('nothing is learned on silent ports', () => {
  const bench = new BridgeBench([0, 1, 2], { silentPorts: [0] })
  bench.send(0, testFrame(BROADCAST, station(1)))
  assert.deepEqual(bench.send(1, testFrame(station(1), station(2))), [0, 2])
  assert.deepEqual(
    bench.fdb().map(({ mac }) => mac),
    [station(2)]
  )
})

test('isolated ports exchange frames with the others, not with each other', () => {
  const bench = new BridgeBench([0, 1, 2, 3], { isolatedFrom: 2 })
  const all = [0, 1, 2, 3]
  assert.deepEqual(
    all.map((port) => bench.send(port, testFrame(BROADCAST, station(port)))),
    [
      [1, 2, 3],
      [0, 2, 3],
      [0, 1],
      [0, 1]
    ]
  )
  for (const from of all) {
    // Twice: the first frame of a station takes another way through the bridge than those that follow.
    for (const _ of [1, 2]) {
      const reached = all.filter((to) => to !== from && bench.send(from, testFrame(station(to), station(from))).length > 0)
      assert.deepEqual(
        reached,
        all.filter((to) => to !== from && (from < 2 || to < 2))
      )
    }
  }
  assert.deepEqual(bench.counters('br').drops, { 'bridge.isolated': 4 })
  assert.deepEqual(bench.send(2, testFrame(station(77), station(2))), [0, 1], 'unknown destination')
  bench.setOptions({})
  assert.deepEqual(bench.send(2, testFrame(station(3), station(2))), [3])
  bench.setOptions({ isolatedFrom: 0 })
  assert.deepEqual(bench.send(2, testFrame(BROADCAST, station(2))), [])
  assert.deepEqual(bench.counters('br').drops, { 'bridge.isolated': 4, 'bridge.noPort': 1 })
  assert.equal(bench.engine.frames.inUse, 0)
})

test('an MTU bounds plain frames with a tag, not super-frames', () => {
  const bench = new BridgeBench([0, 1], { mtu: 1500 })
  assert.deepEqual(bench.send(0, testFrame(BROADCAST, station(1), 1518)), [1])
  assert.deepEqual(bench.send(0, testFrame(BROADCAST, station(1), 1519)), [])
  assert.deepEqual(bench.send(0, testFrame(BROADCAST, station(1), 1519), FrameFlag.gso), [1])
  assert.deepEqual(bench.counters('br').drops, { 'bridge.oversize': 1 })
})

test('a bridge with one port has nowhere to flood', () => {
  const bench = new BridgeBench([3])
  assert.deepEqual(bench.send(3, testFrame(BROADCAST, station(1))), [])
  assert.deepEqual(bench.counters('br').drops, { 'bridge.noPort': 1 })
})

test('new options are taken over and what was learned stays', () => {
  const bench = new BridgeBench([0, 1, 2], { staticEntries: [{ mac: station(9), port: 2 }] })
  bench.send(0, testFrame(BROADCAST, station(1)))
  bench.advance(50)
  bench.setOptions({ ageing: 100, staticEntries: [{ mac: station(8), port: 1 }] })
  assert.deepEqual(
    bench.fdb().map(({ mac, port }) => `${mac} ${port}`),
    [`${station(1)} 0`, `${station(8)} 1`]
  )
  bench.advance(49)
  assert.equal(bench.fdb().length, 2)
  bench.advance(2)
  assert.equal(bench.fdb().length, 1)
  assert.equal(bench.counters('br').counters['aged'], 1)
})

test('options that cannot be are refused with their name and value', () => {
  const cases: [LearningBridgeOptions, RegExp][] = [
    [{ ageing: -1 }, /ageing is -1/],
    [{ ageing: 1.5 }, /ageing is 1.5/],
    [{ fdbCapacity: 1e9 }, /fdbCapacity is 1000000000/],
    [{ mtu: 10 }, /mtu is 10/],
    [{ silentPorts: [4096] }, /silentPorts is 4096/],
    [{ staticEntries: [{ mac: station(1), port: -1 }] }, /static entry is -1/],
    [{ staticEntries: [{ mac: '01:00:5e:00:00:01', port: 0 }] }, /group address/]
  ]
  for (const [options, message] of cases) {
    assert.throws(
      () => new BridgeBench([0], options),
      (error) => error instanceof BridgeOptionError && message.test(error.message)
    )
  }
  assert.throws(() => new BridgeBench([0], { staticEntries: [{ mac: 'x', port: 0 }] }), /invalid address "x"/)
})

test('options that are refused leave the running ones in force', () => {
  const bench = new BridgeBench([0, 1, 2])
  bench.send(0, testFrame(BROADCAST, station(1)))
  assert.throws(() => bench.setOptions({ ageing: -1 }), BridgeOptionError)
  assert.deepEqual(bench.send(1, testFrame(station(1), station(2))), [0])
})

test('traced frames tell their walk; others are silent', () => {
  const bench = new BridgeBench([0, 1, 2])
  bench.engine.tracer.start(1, 3)
  bench.send(0, testFrame(BROADCAST, station(1)))
  bench.send(1, testFrame(station(1), station(2)))
  bench.send(0, testFrame('01:80:c2:00:00:00', station(1)))
  bench.send(0, testFrame(BROADCAST, station(1)))
  const told = bench.engine.tracer.drain(1, 0).filter(({ element, kind }) => element === 'br' && (kind === 'note' || kind === 'drop'))
  assert.deepEqual(
    told.map(({ packetId, text }) => `${packetId} ${text}`),
    [
      `1 learn ${station(1)} at port 0`,
      '1 flood from port 0: group',
      `2 learn ${station(2)} at port 1`,
      `2 forward ${station(1)}: port 1 to 0`,
      '3 bridge.reserved'
    ]
  )
})

test('the highest port number works', () => {
  const bench = new BridgeBench([0, 4095])
  bench.send(4095, testFrame(BROADCAST, station(1)))
  assert.deepEqual(bench.send(0, testFrame(station(1), station(2))), [4095])
})

test('frames that come in a batch fare as they do one by one', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed)
    const together = new BridgeBench([0, 1, 2, 3])
    const alone = new BridgeBench([0, 1, 2, 3])
    for (let round = 0; round < 6; round++) {
      const port = random(4)
      // Mostly known stations; some that move, some that are new, broadcasts, runts, and frames of the large class.
      const frames = Array.from({ length: 1 + random(90) }, () => {
        const source = random(20) === 0 ? station(random(24)) : station(port + 4 * random(5))
        const destination = random(25) === 0 ? BROADCAST : station(random(22))
        const frame = testFrame(destination, source, random(12) === 0 ? 3000 : 50, random(256))
        return random(30) === 0 ? frame.subarray(0, 13) : frame
      })
      for (const frame of frames) together.port(`p${port}`).send(frame)
      together.run()
      for (const frame of frames) {
        alone.port(`p${port}`).send(frame)
        alone.run()
      }
    }
    for (const number of [0, 1, 2, 3]) {
      assert.deepEqual(together.port(`p${number}`).take(), alone.port(`p${number}`).take(), `seed ${seed}, port ${number}`)
    }
    assert.deepEqual(together.counters('br'), alone.counters('br'), `seed ${seed}`)
    assert.deepEqual(together.fdb(), alone.fdb(), `seed ${seed}`)
  }
})
