import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CounterReader } from '../../src/engine/counter-reader.ts'
import type { Element, ElementType, Plain } from '../../src/engine/element.ts'
import {
  EMPTY_TOPOLOGY,
  patchBetween,
  type Topology,
  type TopologyElement,
  TopologyError,
  type TopologyLink,
  type TopologyPatch
} from '../../src/engine/topology.ts'
import { seededRandom } from '../wire/seeded-random.ts'
import { TestBench } from './test-bench.ts'

const SOURCE = { type: 'source', options: { count: 1e9, batch: 8 } }
const SINK = { type: 'sink' }
const CABLE: TopologyLink = { a: ['s', 0], b: ['k', 0] }

/** Holds a number that updates add to; refuses odd ones, and cannot be made or closed when told so. */
class Sum implements Element {
  static readonly closed: string[] = []
  value = 0
  private readonly options: { name?: string; fail?: boolean; stubborn?: boolean }

  constructor(options: Sum['options'] = {}) {
    if (options.fail) throw new Error('cannot be made')
    this.options = options
  }

  push(): void {}

  reconfigure(options: Plain): boolean {
    if ((options as Sum['options']).fail) throw new Error('cannot be changed')
    return false
  }

  update(change: Plain): Plain {
    if ((change as number) % 2 !== 0) throw new Error(`${change} is odd`)
    this.value += change as number
    return -(change as number)
  }

  close(): void {
    if (this.options.stubborn) throw new Error('will not close')
    Sum.closed.push(this.options.name ?? '')
  }
}

function bench(): { bench: TestBench; sums: Map<string, Sum> } {
  const sums = new Map<string, Sum>()
  const type: ElementType<never> = {
    type: 'sum',
    maxPorts: 4,
    counters: ['c'],
    create: ({ name }, options) => {
      const sum = new Sum(options)
      sums.set(name, sum)
      return sum
    }
  }
  return { bench: new TestBench({ types: [type] }), sums }
}

test('elements and links come and go, those that are not named see nothing', () => {
  const net = new TestBench()
  net.engine.patch({ elements: { s: SOURCE, k: SINK }, linked: [CABLE] })
  net.engine.turn()
  assert.equal(net.sink('k').received, 8)
  const { portChanges } = net.sink('k')
  net.engine.patch({ elements: { t: SOURCE, l: SINK }, linked: [{ a: ['t', 0], b: ['l', 3] }] })
  assert.equal(net.sink('k').portChanges, portChanges)
  net.engine.turn()
  assert.deepEqual([net.sink('k').received, net.sink('l').byPort[3]], [16, 8])
  // From one sink to the other, and an element with its link goes.
  net.engine.patch({ unlinked: [CABLE], removed: ['t'], linked: [{ a: ['s', 0], b: ['l', 3] }] })
  net.engine.turn()
  assert.deepEqual([net.sink('k').received, net.sink('l').byPort[3]], [16, 16])
  assert.deepEqual(net.engine.running, {
    elements: { s: SOURCE, k: SINK, l: SINK },
    links: [{ a: ['s', 0], b: ['l', 3] }]
  })
  assert.equal(net.engine.frames.inUse, 0)
})

test('what contradicts the graph is refused before anything changes', () => {
  const net = new TestBench()
  net.engine.patch({ elements: { s: SOURCE, k: SINK }, linked: [CABLE] })
  const { running } = net.engine
  const cases: [TopologyPatch, RegExp][] = [
    [{ elements: { x: { type: 'nothing' } } }, /'x' has the unknown type 'nothing'/],
    [{ elements: { s: SINK } }, /'s' is a source and cannot become a sink/],
    [{ elements: { k: SINK }, removed: ['k'] }, /'k' is to go and to come/],
    [{ removed: ['x'] }, /'x' is to go and is not there/],
    [{ unlinked: [{ a: ['s', 0], b: ['k', 1] }] }, /s\.0 to k\.1 is to go and is not there/],
    [{ unlinked: [{ a: ['s', 0], b: ['x', 1] }] }, /s\.0 to x\.1 is to go/],
    [{ linked: [{ a: ['k', 1], b: ['x', 0] }] }, /names the element 'x'/],
    [{ linked: [{ a: ['k', 1], b: ['constructor', 0] }] }, /names the element 'constructor'/],
    [{ elements: { t: SOURCE }, removed: ['k'], linked: [{ a: ['t', 0], b: ['k', 0] }] }, /names the element 'k'/],
    [{ elements: { t: SOURCE }, linked: [{ a: ['t', 0], b: ['k', 0] }] }, /port k\.0 is linked twice/],
    [{ elements: { t: SOURCE }, linked: [{ a: ['t', 0], b: ['t', 0] }] }, /port t\.0 is linked twice/],
    [{ elements: { t: SOURCE }, linked: [{ a: ['t', 0], b: ['k', 16] }] }, /'k' has ports 0 to 15, not 16/],
    [{ elements: { t: SOURCE }, linked: [{ a: ['t', -1], b: ['k', 1] }] }, /not -1/],
    [{ updates: [{ element: 'x', change: 1 }] }, /'x' is to be updated and is not/],
    [{ removed: ['s'], updates: [{ element: 's', change: 1 }] }, /'s' is to be updated and is not/],
    [{ elements: { t: SOURCE }, updates: [{ element: 'k', change: 1 }] }, /'k' takes no updates/]
  ]
  for (const [patch, message] of cases) {
    assert.throws(
      () => net.engine.patch(patch),
      (error) => error instanceof TopologyError && message.test(error.message)
    )
    assert.deepEqual(net.engine.running, running)
  }
  net.engine.turn()
  assert.equal(net.sink('k').received, 8)
})

test('a patch that an element refuses leaves everything as it was', () => {
  const { bench: net, sums } = bench()
  const first = { elements: { a: { type: 'sum', options: { name: 'first' } }, s: SOURCE, k: SINK }, links: [CABLE] }
  net.engine.configure(first)
  net.engine.patch({ updates: [{ element: 'a', change: 10 }] })
  const { portChanges } = net.sink('k')
  Sum.closed.length = 0
  const good = { elements: { b: { type: 'sum', options: { name: 'b' } } }, removed: ['s'] }
  const cases: [TopologyPatch, RegExp][] = [
    [{ ...good, elements: { ...good.elements, c: { type: 'sum', options: { fail: true } } } }, /cannot be made/],
    [{ ...good, elements: { ...good.elements, a: { type: 'sum', options: { fail: true } } } }, /cannot be changed/],
    [
      {
        ...good,
        updates: [
          { element: 'a', change: 4 },
          { element: 'b', change: 2 },
          { element: 'a', change: 3 }
        ]
      },
      /3 is odd/
    ]
  ]
  for (const [patch, message] of cases) {
    assert.throws(() => net.engine.patch(patch), message)
    assert.deepEqual(net.engine.running, first)
    assert.equal(sums.get('a')!.value, 10)
  }
  assert.deepEqual(Sum.closed, ['b', 'b', 'b'], 'what was made is closed again')
  assert.equal(net.sink('k').portChanges, portChanges)
  net.engine.turn()
  assert.equal(net.sink('k').received, 8)
})

test('an element that fails to close is gone, the patch is applied, the error comes back', () => {
  const { bench: net } = bench()
  net.engine.patch({ elements: { a: { type: 'sum', options: { stubborn: true } }, s: SOURCE, k: SINK }, linked: [CABLE] })
  const errors = net.engine.patch({ removed: ['a'], elements: { t: SOURCE }, linked: [{ a: ['t', 0], b: ['k', 1] }] })
  assert.deepEqual(
    errors.map((error) => (error as Error).message),
    ['will not close']
  )
  assert.deepEqual(Object.keys(net.engine.running.elements).sort(), ['k', 's', 't'])
  net.engine.turn()
  assert.equal(net.sink('k').received, 16)
})

test('devices without a descriptor are pulled as long as they are there', () => {
  const net = new TestBench()
  net.engine.patch({ elements: { s: SOURCE, t: SOURCE, k: SINK }, linked: [CABLE, { a: ['t', 0], b: ['k', 1] }] })
  net.engine.turn()
  net.engine.patch({ removed: ['s'] })
  net.engine.turn()
  assert.deepEqual(net.sink('k').byPort.slice(0, 2), [8, 16])
})

test('a reader that is told the changes reads what the whole layout says', () => {
  const net = new TestBench()
  const reader = new CounterReader()
  const take = (): void => {
    const change = net.engine.counters.takeChange()
    if (change !== null) reader.apply(structuredClone(change))
  }
  net.engine.patch({ elements: { s: SOURCE, k: SINK }, linked: [CABLE] })
  take()
  net.engine.turn() // the source's ingress block comes with its first frame
  net.engine.patch({ elements: { t: SOURCE, l: SINK }, linked: [{ a: ['t', 0], b: ['l', 0] }] })
  net.engine.patch({ removed: ['k'] })
  net.engine.patch({ elements: { brief: SINK } })
  net.engine.patch({ removed: ['brief'] })
  net.engine.turn()
  take()
  assert.deepEqual([...reader.all().keys()].sort(), ['l', 's', 't'])
  for (const name of ['l', 's', 't']) assert.deepEqual(reader.element(name), net.counters(name))
  assert.equal(reader.element('l')?.counters['received'], 8)
  assert.equal(reader.element('k'), undefined)
  assert.equal(net.engine.counters.takeChange(), null)
})

test('random graphs: a patch of the difference makes the same graph as configure', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed)
    const [patched, configured] = [new TestBench(), new TestBench()]
    let before: Topology = EMPTY_TOPOLOGY
    for (let step = 0; step < 40; step++) {
      const after = randomTopology(random)
      assert.deepEqual(patched.engine.patch(patchBetween(before, after)), [])
      configured.engine.configure(after)
      for (const { engine } of [patched, configured]) {
        assert.deepEqual(engine.running.elements, after.elements)
        assert.deepEqual(new Set(engine.running.links.map(ends)), new Set(after.links.map(ends)))
        engine.turn()
      }
      before = after
    }
    for (const { engine } of [patched, configured]) {
      engine.close()
      assert.equal(engine.frames.inUse, 0)
    }
  }
})

function ends({ a, b }: TopologyLink): string {
  return [a.join('.'), b.join('.')].sort().join(' ')
}

function randomTopology(random: (below: number) => number): Topology {
  const elements: Record<string, TopologyElement> = {}
  const free: [string, number][] = []
  for (let i = 0; i < 4; i++) if (random(2) > 0) elements[`s${i}`] = { type: 'source', options: { count: 1e9, batch: 1 + random(3) } }
  for (let i = 0; i < 3; i++) if (random(3) > 0) elements[`k${i}`] = SINK
  for (const [name, { type }] of Object.entries(elements))
    for (let port = 0; port < (type === 'source' ? 1 : 3); port++) free.push([name, port])
  const links: TopologyLink[] = []
  while (free.length > 1 && random(8) > 0) {
    const [a] = free.splice(random(free.length), 1)
    const [b] = free.splice(random(free.length), 1)
    links.push({ a, b })
  }
  return { elements, links }
}
