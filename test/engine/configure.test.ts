import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Element, ElementContext, ElementType } from '../../src/engine/element.ts'
import { checkTopology, diffTopology, EMPTY_TOPOLOGY, type Topology, TopologyError, type TopologyLink } from '../../src/engine/topology.ts'
import { seededRandom } from '../wire/seeded-random.ts'
import { TestBench } from './test-bench.ts'

const SOURCE = { type: 'source', options: { count: 1e9, batch: 8 } }
const SINK = { type: 'sink' }

test('the difference of two topologies', () => {
  const before: Topology = {
    elements: { a: { type: 'x', options: { n: 1 } }, b: { type: 'x' }, c: { type: 'x' }, d: { type: 'x' } },
    links: [
      { a: ['a', 0], b: ['b', 0] },
      { a: ['b', 1], b: ['c', 0] },
      { a: ['c', 1], b: ['d', 0], capacity: 16 }
    ]
  }
  const after: Topology = {
    elements: { a: { type: 'x', options: { n: 2 } }, b: { type: 'x' }, c: { type: 'y' }, e: { type: 'x' } },
    links: [
      { a: ['b', 0], b: ['a', 0] },
      { a: ['b', 1], b: ['c', 0] }
    ]
  }
  assert.deepEqual(diffTopology(before, after), {
    removed: ['c', 'd'],
    added: ['c', 'e'],
    changed: ['a'],
    unlinked: [before.links[1], before.links[2]],
    linked: [after.links[1]]
  })
  assert.deepEqual(diffTopology(before, before), { removed: [], added: [], changed: [], unlinked: [], linked: [] })
})

test('a link of another capacity is a new link', () => {
  const topology = (capacity: number): Topology => ({
    elements: { a: SINK, b: SINK },
    links: [{ a: ['a', 0], b: ['b', 0], capacity }]
  })
  const { unlinked, linked } = diffTopology(topology(16), topology(32))
  assert.deepEqual([unlinked.length, linked.length], [1, 1])
})

test('what cannot be is refused with a TopologyError before anything changes', () => {
  const bench = new TestBench()
  bench.configure({ s: SOURCE, k: SINK }, [{ a: ['s', 0], b: ['k', 0] }])
  const { running } = bench.engine
  const cases: [Topology['elements'], TopologyLink[], RegExp][] = [
    [{ s: { type: 'nothing' } }, [], /'s' has the unknown type 'nothing'; known: test-port, source/],
    [{ s: SOURCE }, [{ a: ['s', 0], b: ['x', 0] }], /names the element 'x'/],
    [{ s: SOURCE }, [{ a: ['s', 0], b: ['constructor', 0] }], /names the element 'constructor'/],
    [{ s: SOURCE, k: SINK }, [{ a: ['s', -1], b: ['k', 0] }], /no port -1/],
    [{ s: SOURCE, k: SINK }, [{ a: ['s', 0.5], b: ['k', 0] }], /no port 0.5/],
    [{ s: SOURCE, k: SINK }, [{ a: ['s', 0], b: ['k', 16] }], /'k' has ports 0 to 15, not 16/],
    [
      { s: SOURCE, t: SOURCE, k: SINK },
      [
        { a: ['s', 0], b: ['k', 0] },
        { a: ['k', 0], b: ['t', 0] }
      ],
      /port k.0 is linked twice/
    ],
    [{ k: SINK }, [{ a: ['k', 1], b: ['k', 1] }], /port k.1 is linked twice/]
  ]
  for (const [elements, links, message] of cases) {
    assert.throws(
      () => bench.configure(elements, links),
      (error) => error instanceof TopologyError && error.code === 'ERR_TOPOLOGY' && message.test(error.message)
    )
    assert.equal(bench.engine.running, running)
  }
  checkTopology(EMPTY_TOPOLOGY)
  bench.engine.turn()
  assert.equal(bench.sink('k').received, 8)
})

test('elements that stay keep their state; others see their ports change, once', () => {
  const bench = new TestBench()
  bench.configure({ s: SOURCE, k: SINK }, [{ a: ['s', 0], b: ['k', 0] }])
  bench.engine.turn()
  const sink = bench.sink('k')
  bench.configure({ s: SOURCE, k: SINK, t: SOURCE, u: SOURCE }, [
    { a: ['s', 0], b: ['k', 0] },
    { a: ['t', 0], b: ['k', 1] },
    { a: ['u', 0], b: ['k', 2] }
  ])
  assert.equal(bench.sink('k'), sink)
  assert.equal(sink.portChanges, 2, 'one for each configure that touched it')
  bench.engine.turn()
  assert.deepEqual(sink.byPort.slice(0, 3), [16, 8, 8])
  const same = { ...bench.engine.running }
  bench.engine.configure(same)
  assert.equal(sink.portChanges, 2)
})

test('frames in a link that goes are dropped as reconfigured, at both ends', () => {
  const bench = new TestBench()
  bench.configure({ a: { type: 'fifo' }, b: { type: 'fifo' } }, [{ a: ['a', 1], b: ['b', 0] }])
  const context = (name: string) => (bench.fifo(name) as unknown as { context: ElementContext }).context
  const { frames } = bench.engine
  for (let i = 0; i < 5; i++) context('a').transmit(1, frames.allocate(60))
  for (let i = 0; i < 3; i++) context('b').transmit(0, frames.allocate(60))
  bench.configure({ a: { type: 'fifo' }, b: { type: 'fifo' } }, [])
  assert.equal(frames.inUse, 0)
  assert.deepEqual(bench.counters('b').drops, { 'engine.reconfigured': 5 })
  assert.deepEqual(bench.counters('a').drops, { 'engine.reconfigured': 3 })
  bench.run()
})

test('a port that was waiting and is connected anew is not named without frames', () => {
  const bench = new TestBench()
  const seen: number[] = []
  const strict: ElementType = {
    type: 'strict',
    maxPorts: 4,
    counters: [],
    create: (context) => ({
      push() {
        for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
          assert.ok(!context.ports[port]!.rx.empty)
          while (!context.ports[port]!.rx.empty) context.frames.free(context.ports[port]!.rx.receive())
          seen.push(port)
        }
      }
    })
  }
  const strictBench = new TestBench({ types: [strict as ElementType<never>] })
  const elements = { strict: { type: 'strict' }, f: { type: 'fifo' } }
  strictBench.configure(elements, [{ a: ['f', 0], b: ['strict', 2] }])
  const context = (strictBench.fifo('f') as unknown as { context: ElementContext }).context
  context.transmit(0, strictBench.engine.frames.allocate(60))
  strictBench.configure(elements, [{ a: ['f', 1], b: ['strict', 2] }])
  strictBench.run()
  assert.deepEqual(seen, [])
  context.transmit(1, strictBench.engine.frames.allocate(60))
  strictBench.run()
  assert.deepEqual(seen, [2])
  assert.equal(strictBench.engine.frames.inUse, 0)
  assert.equal(bench.engine.frames.inUse, 0)
})

test('removed elements are closed, give back what they hold, and are not pushed or pulled any more', () => {
  const bench = new TestBench()
  const all = { s: SOURCE, f: { type: 'fifo', options: { hold: true } }, k: SINK }
  bench.configure(all, [
    { a: ['s', 0], b: ['f', 0] },
    { a: ['f', 1], b: ['k', 0] }
  ])
  bench.engine.turn()
  const fifo = bench.fifo('f')
  const source = bench.source('s')
  assert.equal(bench.engine.frames.inUse, 8)
  const context = (fifo as unknown as { context: ElementContext }).context
  context.schedule()
  const { pushes } = fifo
  const { sent } = source
  bench.configure({ k: SINK }, [])
  assert.equal(fifo.freedAtClose, 8)
  assert.ok(source.closed)
  bench.run()
  assert.equal(fifo.pushes, pushes, 'it stood in the run queue')
  assert.equal(source.sent, sent)
  assert.equal(bench.engine.frames.inUse, 0)
})

test('new options: reconfigure when the element can, a new element behind the same links when it cannot', () => {
  const bench = new TestBench()
  const links: TopologyLink[] = [
    { a: ['s', 0], b: ['f', 0] },
    { a: ['f', 1], b: ['k', 0] }
  ]
  bench.configure({ s: SOURCE, f: { type: 'fifo', options: { hold: true } }, k: SINK }, links)
  bench.engine.turn()
  const [source, fifo] = [bench.source('s'), bench.fifo('f')]
  bench.configure(
    { s: { type: 'source', options: { count: 8 + 5, batch: 100 } }, f: { type: 'fifo', options: { hold: false } }, k: SINK },
    links
  )
  assert.equal(bench.source('s'), source)
  assert.notEqual(bench.fifo('f'), fifo)
  assert.equal(fifo.freedAtClose, 8)
  bench.run()
  assert.equal(bench.sink('k').received, 5, 'the links were kept')
  assert.equal(bench.engine.frames.inUse, 0)
})

/** An element with a timer and a descriptor, that can be told to fail. */
function fragile(fired: string[]): ElementType<{ fail?: boolean; tag: string }> {
  return {
    type: 'fragile',
    maxPorts: 4,
    counters: ['c'],
    create(context, { fail = false, tag }): Element {
      context.timer(() => fired.push(tag)).arm(1e9)
      context.poll(7)
      if (fail) throw new Error('cannot be made')
      return {
        push() {
          for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
            while (!context.ports[port]!.rx.empty) context.frames.free(context.ports[port]!.rx.receive())
          }
        }
      }
    }
  }
}

test('an element that replaces another one ends its timers and descriptors', () => {
  const fired: string[] = []
  const open: number[] = []
  const bench = new TestBench({
    types: [fragile(fired) as ElementType<never>],
    poller: { add: (fd) => open.push(fd), remove: (fd) => open.splice(open.indexOf(fd), 1) }
  })
  bench.configure({ x: { type: 'fragile', options: { tag: 'old' } } }, [])
  bench.configure({ x: { type: 'fragile', options: { tag: 'new' } } }, [])
  assert.deepEqual(open, [7])
  bench.advance(2)
  assert.deepEqual(fired, ['new'])
})

test('an element that cannot be made is left out, the error is told, and the rest runs as the topology then says', () => {
  const fired: string[] = []
  const bench = new TestBench({ types: [fragile(fired) as ElementType<never>] })
  bench.configure({ s: SOURCE, k: SINK, old: SINK }, [{ a: ['s', 0], b: ['k', 0] }])
  const before = bench.engine.counters.layout().blocks.length
  assert.throws(
    () =>
      bench.configure({ s: SOURCE, k: SINK, x: { type: 'fragile', options: { fail: true, tag: 'x' } } }, [
        { a: ['s', 0], b: ['k', 0] },
        { a: ['x', 0], b: ['k', 1] }
      ]),
    /cannot be made/
  )
  assert.deepEqual(Object.keys(bench.engine.running.elements).sort(), ['k', 's'])
  assert.deepEqual(bench.engine.running.links, [{ a: ['s', 0], b: ['k', 0] }])
  assert.ok(bench.engine.counters.layout().blocks.length < before, 'nothing of it is left among the counters')
  bench.engine.turn()
  assert.equal(bench.sink('k').received, 8)
  bench.configure({ s: SOURCE, k: SINK, x: { type: 'fragile', options: { tag: 'x' } } }, [
    { a: ['s', 0], b: ['x', 0] },
    { a: ['x', 1], b: ['k', 1] }
  ])
  bench.clock.advanceTo(2e9)
  bench.engine.turn()
  assert.deepEqual(fired, ['x'], 'once')
  assert.equal(bench.engine.frames.inUse, 0)
})

test('an element whose change fails is put back as it was', () => {
  const bench = new TestBench({ types: [fragile([]) as ElementType<never>] })
  const links: TopologyLink[] = [
    { a: ['s', 0], b: ['x', 0] },
    { a: ['x', 1], b: ['k', 0] }
  ]
  const topology = { s: SOURCE, x: { type: 'fragile', options: { tag: 'x' } }, k: SINK }
  bench.configure(topology, links)
  bench.engine.turn()
  assert.throws(
    () => bench.configure({ s: SOURCE, x: { type: 'fragile', options: { fail: true, tag: 'x' } }, k: SINK }, links),
    /cannot be made/
  )
  assert.deepEqual(bench.engine.running.elements, topology)
  assert.equal(bench.engine.running.links.length, 2)
  for (let i = 0; i < 10; i++) bench.engine.turn()
  assert.equal(bench.engine.frames.inUse, 0)
  assert.deepEqual(bench.counters('s').drops, {})
})

test('an element whose change fails and that cannot be put back goes with its links, its neighbors hear of it, nothing is stuck', () => {
  let left = 1
  const once: ElementType = {
    type: 'once',
    maxPorts: 4,
    counters: [],
    create: () => {
      if (left-- <= 0) throw new Error('made once only')
      return { push() {} }
    }
  }
  const bench = new TestBench({ types: [once] })
  const links: TopologyLink[] = [
    { a: ['s', 0], b: ['x', 0] },
    { a: ['x', 1], b: ['k', 0] }
  ]
  bench.configure({ s: SOURCE, x: { type: 'once' }, k: SINK }, links)
  bench.engine.turn()
  const { portChanges } = bench.sink('k')
  assert.throws(() => bench.configure({ s: SOURCE, x: { type: 'once', options: 1 }, k: SINK }, links), /made once only/)
  assert.deepEqual(Object.keys(bench.engine.running.elements).sort(), ['k', 's'])
  assert.deepEqual(bench.engine.running.links, [])
  assert.equal(bench.sink('k').portChanges, portChanges + 1)
  for (let i = 0; i < 10; i++) bench.engine.turn()
  assert.equal(bench.engine.frames.inUse, 0)
  assert.equal(bench.counters('s').drops['engine.unlinked'], 80)
  left = 1
  bench.configure({ s: SOURCE, x: { type: 'once' }, k: SINK }, links)
  assert.equal(bench.engine.running.links.length, 2)
})

test('numbers are used again, counters begin at zero', () => {
  const bench = new TestBench()
  bench.configure({ s: SOURCE, k: SINK }, [{ a: ['s', 0], b: ['k', 0] }])
  bench.engine.turn()
  assert.equal(bench.counters('k').counters['received'], 8)
  const blocks = bench.engine.counters.layout()
  for (let i = 0; i < 100; i++) {
    bench.configure({}, [])
    bench.configure({ s: SOURCE, k: SINK }, [{ a: ['s', 0], b: ['k', 0] }])
    assert.equal(bench.counters('k').counters['received'], 0)
    bench.engine.turn()
  }
  assert.equal(bench.engine.counters.layout().pages.length, blocks.pages.length, 'the same memory')
})

test('random changes while frames flow: nothing thrown, nothing leaked, the books balance', () => {
  for (let seed = 1; seed <= 8; seed++) {
    const random = seededRandom(seed)
    const bench = new TestBench()
    const made = new Map<object, () => { in: number; out: number }>()
    for (let step = 0; step < 150; step++) {
      const elements: Record<string, Topology['elements'][string]> = {}
      const free: [string, number][] = []
      for (let i = 0; i < 4; i++) if (random(3) > 0) elements[`s${i}`] = { type: 'source', options: { count: 1e9, batch: 1 + random(20) } }
      for (let i = 0; i < 6; i++) if (random(3) > 0) elements[`f${i}`] = { type: 'fifo', options: { perPush: 1 + random(9) } }
      for (let i = 0; i < 2; i++) elements[`k${i}`] = SINK
      for (const [name, { type }] of Object.entries(elements)) {
        const ports = type === 'source' ? 1 : type === 'fifo' ? 2 : 3
        for (let port = 0; port < ports; port++) free.push([name, port])
      }
      const links: TopologyLink[] = []
      while (free.length > 1 && random(12) > 0) {
        const [a] = free.splice(random(free.length), 1)
        const [b] = free.splice(random(free.length), 1)
        links.push({ a, b, capacity: 2 ** (1 + random(6)) })
      }
      bench.configure(elements, links)
      for (const source of bench.elements.sources.values()) made.set(source, () => ({ in: source.sent, out: 0 }))
      for (const sink of bench.elements.sinks.values()) made.set(sink, () => ({ in: 0, out: sink.received }))
      for (let turns = random(4); turns >= 0; turns--) bench.engine.turn()
    }
    bench.engine.close()
    assert.equal(bench.engine.frames.inUse, 0, `seed ${seed}`)
    const total = [...made.values()].map((read) => read()).reduce((sum, each) => ({ in: sum.in + each.in, out: sum.out + each.out }))
    assert.ok(total.in > 1000 && total.out > 0 && total.out <= total.in, `seed ${seed}: ${JSON.stringify(total)}`)
  }
})

/** Elements of this type cannot be closed without an error. */
const stubborn: ElementType = {
  type: 'stubborn',
  maxPorts: 1,
  counters: [],
  create: () => ({
    push() {},
    close() {
      throw new Error('will not close')
    }
  })
}

test('an element that fails to close is gone all the same, the rest of the change is made, and running says what is there', () => {
  const bench = new TestBench({ types: [stubborn] })
  const first = { a: { type: 'stubborn' }, b: { type: 'stubborn' }, k: SINK }
  bench.configure(first, [
    { a: ['a', 0], b: ['k', 0] },
    { a: ['b', 0], b: ['k', 1] }
  ])
  const after = { k: SINK, s: SOURCE, b: { type: 'stubborn', options: { changed: true } } }
  const links: TopologyLink[] = [
    { a: ['s', 0], b: ['k', 0] },
    { a: ['b', 0], b: ['k', 1] }
  ]
  assert.throws(() => bench.configure(after, links), /will not close/)
  const { running } = bench.engine
  assert.deepEqual(running.elements, after)
  assert.deepEqual(new Set(running.links), new Set(links))
  bench.engine.turn()
  assert.equal(bench.sink('k').received, 8)
  assert.throws(() => bench.engine.close(), /will not close/)
  assert.deepEqual(bench.engine.running, EMPTY_TOPOLOGY)
  assert.equal(bench.engine.frames.inUse, 0)
  bench.configure(first, [])
})

test('a removed element leaves the run queue', () => {
  let pushes = 0
  const waker: ElementType = {
    type: 'waker',
    maxPorts: 1,
    counters: [],
    create: (context) => ({
      push: () => pushes++,
      command: (_verb, _argument, reply) => {
        context.schedule()
        reply(null)
      }
    })
  }
  const { engine } = new TestBench({ types: [waker], poller: { add() {}, remove() {} } })
  engine.configure({ elements: { gone: { type: 'waker' }, stays: { type: 'waker' } }, links: [] })
  engine.command('gone', 'wake', null, () => {})
  engine.configure({ elements: { stays: { type: 'waker' } }, links: [] })
  assert.equal(engine.busy, false)
  engine.command('stays', 'wake', null, () => {})
  engine.configure({ elements: { stays: { type: 'waker' }, gone: { type: 'waker' } }, links: [] })
  assert.equal(engine.busy, true)
  engine.turn()
  assert.equal(pushes, 1)
})
