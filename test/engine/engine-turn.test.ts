import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineDrop } from '../../src/engine/drop-reason.ts'
import type { ElementContext, ElementType } from '../../src/engine/element.ts'
import type { Timer } from '../../src/engine/timer-queue.ts'
import type { TopologyElement, TopologyLink } from '../../src/engine/topology.ts'
import { TestBench } from './test-bench.ts'

function never(type: ElementType<never> | ElementType): ElementType<never> {
  return type as ElementType<never>
}

test('frames go from source to sink, none is left', () => {
  const bench = new TestBench()
  bench.configure({ source: { type: 'source', options: { count: 5000 } }, sink: { type: 'sink' } }, [{ a: ['source', 0], b: ['sink', 4] }])
  bench.run()
  assert.equal(bench.sink('sink').byPort[4], 5000)
  assert.equal(bench.engine.frames.inUse, 0)
})

test('a chain of elements is gone through in one turn', () => {
  const bench = new TestBench()
  const elements: Record<string, TopologyElement> = { source: { type: 'source', options: { count: 10 } }, sink: { type: 'sink' } }
  const links: TopologyLink[] = []
  for (let i = 0; i < 50; i++) {
    elements[`f${i}`] = { type: 'fifo' }
    links.push({ a: i === 0 ? ['source', 0] : [`f${i - 1}`, 1], b: [`f${i}`, 0] })
  }
  links.push({ a: ['f49', 1], b: ['sink', 0] })
  bench.configure(elements, links)
  assert.equal(bench.engine.turn(), false)
  assert.equal(bench.sink('sink').received, 10)
  assert.equal(bench.fifo('f25').pushes, 1, 'as one batch')
})

test('an element that leaves frames behind comes again, after those that wait', () => {
  const bench = new TestBench()
  bench.configure(
    {
      one: { type: 'source', options: { count: 100, batch: 100 } },
      two: { type: 'source', options: { count: 100, batch: 100 } },
      slow: { type: 'fifo', options: { perPush: 1 } },
      fast: { type: 'fifo' },
      sink: { type: 'sink' }
    },
    [
      { a: ['one', 0], b: ['slow', 0] },
      { a: ['two', 0], b: ['fast', 0] },
      { a: ['slow', 1], b: ['sink', 0] },
      { a: ['fast', 1], b: ['sink', 1] }
    ]
  )
  bench.run()
  assert.deepEqual(bench.sink('sink').byPort.slice(0, 2), [100, 100])
  assert.equal(bench.fifo('slow').pushes, 100)
  assert.equal(bench.fifo('fast').pushes, 1)
})

test('a loop of elements ends its turn, and timers fire while it goes on', () => {
  let fired = 0
  const alarm: ElementType = {
    type: 'alarm',
    maxPorts: 0,
    counters: [],
    create(context) {
      context.timer(() => fired++).arm(1)
      return { push() {} }
    }
  }
  const bench = new TestBench({ types: [never(alarm)] })
  bench.configure({ a: { type: 'fifo' }, b: { type: 'fifo' }, alarm: { type: 'alarm' } }, [
    { a: ['a', 1], b: ['b', 0] },
    { a: ['b', 1], b: ['a', 0] }
  ])
  const { frames } = bench.engine
  contextOf(bench, 'a').transmit(1, frames.allocate(60))
  assert.equal(bench.engine.turn(), true, 'work is left')
  assert.equal(fired, 0)
  bench.clock.advanceTo(5)
  assert.equal(bench.engine.turn(), true)
  assert.equal(fired, 1)
  assert.equal(frames.inUse, 1)
  bench.engine.close()
  assert.equal(frames.inUse, 0)
})

/** The context of an element that a bench has made: what its code would use. */
function contextOf(bench: TestBench, name: string): ElementContext {
  return (bench.fifo(name) as unknown as { context: ElementContext }).context
}

test('ready ports come oldest first, each once, and only with frames', () => {
  const order: number[] = []
  const sizes: number[] = []
  const watcher: ElementType = {
    type: 'watcher',
    maxPorts: 64,
    counters: [],
    create: (context) => ({
      push() {
        for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
          order.push(port)
          const { rx } = context.ports[port]!
          sizes.push(rx.size)
          while (!rx.empty) context.frames.free(rx.receive())
        }
      }
    })
  }
  const bench = new TestBench({ types: [never(watcher)] })
  const elements: Record<string, TopologyElement> = { watcher: { type: 'watcher' } }
  const links: TopologyLink[] = []
  const ports = [40, 3, 17, 8, 63, 0, 5]
  for (const port of ports) {
    elements[`s${port}`] = { type: 'source', options: { count: 3 } }
    links.push({ a: [`s${port}`, 0], b: ['watcher', port] })
  }
  bench.configure(elements, links)
  bench.run()
  assert.deepEqual(order, ports)
  assert.deepEqual(sizes, new Array(ports.length).fill(3))
})

test('a full link drops at the producer, and the source knows it by its ingress drops', () => {
  const bench = new TestBench()
  bench.configure({ source: { type: 'source', options: { count: 100, batch: 100 } }, sink: { type: 'sink' } }, [
    { a: ['source', 0], b: ['sink', 0], capacity: 16 }
  ])
  bench.run()
  assert.equal(bench.sink('sink').received, 16)
  assert.deepEqual(bench.counters('source').drops, { 'engine.linkFull': 84 })
  assert.deepEqual(bench.counters('source').ingressDrops, { 'engine.linkFull': 84 })
})

test('dropAll counts, tells and traces as so many drops do', () => {
  const outcomes = [false, true].map((atOnce) =>
    ['none', 'tracer', 'watch'].map((who) => {
      const told: string[] = []
      const dropper: ElementType = {
        type: 'dropper',
        maxPorts: 2,
        counters: [],
        create: (context) => {
          if (who === 'watch')
            context.watchDrops((frame, reason, at, from) => told.push(`${context.frames.packetId[frame]} ${reason} ${at} ${from}`))
          return {
            push() {
              const frames: number[] = []
              for (let port = context.nextReady(); port >= 0; port = context.nextReady()) {
                const { rx } = context.ports[port]!
                while (!rx.empty) frames.push(rx.receive())
              }
              if (atOnce) context.dropAll(Int32Array.from(frames), frames.length, EngineDrop.unlinked)
              else for (const frame of frames) context.drop(frame, EngineDrop.unlinked)
            }
          }
        }
      }
      const bench = new TestBench({ types: [never(dropper)] })
      const source = { type: 'source', options: { count: 6, batch: 3 } }
      bench.configure({ a: source, b: source, dropper: { type: 'dropper' } }, [
        { a: ['a', 0], b: ['dropper', 0] },
        { a: ['b', 0], b: ['dropper', 1] }
      ])
      if (who === 'tracer') bench.engine.tracer.start(7, 3, (frames, frame) => frames.packetId[frame] % 2 === 0)
      bench.run()
      const walk = bench.engine.tracer.drain(7, 1).map(({ packetId, element, kind, text }) => `${packetId} ${element} ${kind} ${text}`)
      const drops = ['a', 'b', 'dropper'].map((name) => [bench.counters(name).drops, bench.counters(name).ingressDrops])
      assert.equal(bench.engine.frames.inUse, 0)
      assert.deepEqual(bench.counters('dropper').drops, { 'engine.unlinked': 12 })
      return { told, walk, drops }
    })
  )
  assert.deepEqual(outcomes[1], outcomes[0])
  assert.deepEqual([outcomes[0][2].told.length, outcomes[0][1].walk.length], [12, 9])
})

test('frames to a port that is not connected are dropped as unlinked, counted where they came in', () => {
  const bench = new TestBench()
  bench.configure({ source: { type: 'source', options: { count: 5 } }, fifo: { type: 'fifo' } }, [{ a: ['source', 0], b: ['fifo', 0] }])
  bench.run()
  assert.deepEqual(bench.counters('fifo').drops, { 'engine.unlinked': 5 })
  assert.deepEqual(bench.counters('fifo').ingressDrops, {})
  assert.deepEqual(bench.counters('source').ingressDrops, { 'engine.unlinked': 5 })
  assert.equal(bench.engine.frames.inUse, 0)
})

test('an exhausted pool stops the source, not the engine', () => {
  const bench = new TestBench({ pool: { maxSmallChunks: 1 } })
  bench.configure({ source: { type: 'source', options: { count: 9000, batch: 9000 } }, fifo: { type: 'fifo', options: { hold: true } } }, [
    { a: ['source', 0], b: ['fifo', 0], capacity: 16_384 }
  ])
  bench.run()
  assert.equal(bench.source('source').missed, 9000 - 8192)
  assert.equal(bench.engine.frames.inUse, 8192)
  bench.engine.close()
  assert.equal(bench.engine.frames.inUse, 0)
})

test('entering frames are stamped: element, time, a packet id of their own; enterAll does the same', () => {
  const bench = new TestBench()
  bench.configure({ port: { type: 'test-port' }, other: { type: 'test-port' } }, [{ a: ['port', 0], b: ['other', 0] }])
  bench.advance(3)
  for (let i = 0; i < 3; i++) bench.port('port').send(new Uint8Array(60))
  bench.run()
  const arrived = bench.port('other').arrived
  assert.deepEqual(
    arrived.map(({ packetId }) => packetId),
    [1, 2, 3]
  )
  const context = (bench.port('port') as unknown as { context: ElementContext }).context
  for (const { ingress, timestamp } of arrived) assert.deepEqual([ingress, timestamp], [context.number, 3e9])

  const { frames } = bench.engine
  const batch = Int32Array.from({ length: 4 }, () => frames.allocate(60))
  bench.engine.tracer.start(1, 1)
  context.enterAll(batch, 3)
  assert.deepEqual(
    [...batch].map((frame) => frames.packetId[frame]),
    [4, 5, 6, 0]
  )
  assert.deepEqual(
    [...batch].map((frame) => frames.flags[frame]),
    [1, 0, 0, 0]
  )
  assert.equal(frames.timestamp[batch[0]], 3e9)
})

test('a device that says "more" is pulled again, one that a poller names is pulled, others are not', () => {
  const polled: string[] = []
  const device: ElementType<{ more: number }> = {
    type: 'device',
    maxPorts: 1,
    counters: [],
    create(context, { more }) {
      let left = more
      context.poll(100 + context.number)
      return {
        push() {},
        pull() {
          polled.push(context.name)
          return left-- > 0
        }
      }
    }
  }
  const registered: [number, number][] = []
  const removed: number[] = []
  const bench = new TestBench({
    types: [never(device)],
    poller: { add: (fd, node) => registered.push([fd, node]), remove: (fd) => removed.push(fd) }
  })
  bench.configure(
    {
      a: { type: 'device', options: { more: 2 } },
      b: { type: 'device', options: { more: 0 } },
      c: { type: 'device', options: { more: 0 } }
    },
    []
  )
  assert.deepEqual(registered, [
    [100, 0],
    [101, 1],
    [102, 2]
  ])
  assert.equal(bench.engine.turn(), false)
  assert.deepEqual(polled, [])
  assert.equal(bench.engine.turn(Int32Array.of(0, 2), 2), true)
  assert.deepEqual(polled.splice(0), ['a', 'c'])
  assert.equal(bench.engine.turn(Int32Array.of(0), 1), true, 'named and waiting: once')
  assert.deepEqual(polled.splice(0), ['a'])
  assert.equal(bench.engine.turn(), false)
  assert.deepEqual(polled.splice(0), ['a'])
  bench.configure({ b: { type: 'device', options: { more: 0 } } }, [])
  assert.deepEqual(removed.sort(), [100, 102])
  bench.engine.turn(Int32Array.of(0, 1, 2), 3)
  assert.deepEqual(polled, ['b'], 'a number of an element that is gone is passed over')
})

test('timers: the engine time at the instant, order, and the next deadline', () => {
  const fired: [string, number][] = []
  const clockwork: ElementType<{ at: number[] }> = {
    type: 'clockwork',
    maxPorts: 0,
    counters: [],
    create(context, { at }) {
      for (const time of at) {
        const timer: Timer = context.timer((now) => {
          assert.equal(now, context.now)
          fired.push([context.name, now])
        })
        timer.arm(time)
      }
      return { push() {} }
    }
  }
  const bench = new TestBench({ types: [never(clockwork)] })
  bench.configure({ x: { type: 'clockwork', options: { at: [3e9, 1e9] } }, y: { type: 'clockwork', options: { at: [1e9, 2e9] } } }, [])
  assert.equal(bench.engine.nextDeadline, 1e9)
  bench.advance(2)
  assert.deepEqual(fired, [
    ['x', 1e9],
    ['y', 1e9],
    ['y', 2e9]
  ])
  bench.configure({}, [])
  bench.advance(5)
  assert.equal(fired.length, 3, 'timers end with their element')
  assert.equal(bench.engine.nextDeadline, Number.POSITIVE_INFINITY)
})

test('schedule has an element pushed in this turn without a frame', () => {
  let pushes = 0
  const idle: ElementType = {
    type: 'idle',
    maxPorts: 0,
    counters: [],
    create(context) {
      context
        .timer(() => {
          context.schedule()
          context.schedule()
        })
        .arm(1)
      return {
        push() {
          pushes++
        }
      }
    }
  }
  const bench = new TestBench({ types: [never(idle)] })
  bench.configure({ idle: { type: 'idle' } }, [])
  bench.advance(1)
  assert.equal(pushes, 1)
})

test('commands: answers, unknown elements, elements without commands, and a command that throws', () => {
  const oracle: ElementType = {
    type: 'oracle',
    maxPorts: 0,
    counters: [],
    create: (context) => ({
      push() {},
      command(verb, argument, reply) {
        if (verb === 'throw') throw new Error('broken')
        context.emit({ heard: argument })
        reply(null, [verb, argument])
      }
    })
  }
  const bench = new TestBench({ types: [never(oracle)] })
  bench.configure({ oracle: { type: 'oracle' }, sink: { type: 'sink' } }, [])
  assert.deepEqual(bench.command('oracle', 'ask', 7), ['ask', 7])
  assert.deepEqual(bench.events, [{ element: 'oracle', event: { heard: 7 } }])
  assert.throws(() => bench.command('nobody', 'ask'), /no element 'nobody'/)
  assert.throws(() => bench.command('sink', 'ask'), /'sink' takes no commands/)
  assert.throws(() => bench.command('oracle', 'throw'), /broken/)
})

test('the tracer follows as many frames as asked, by filter, from entry to drop', () => {
  const bench = new TestBench()
  bench.configure({ source: { type: 'source', options: { count: 10 } }, fifo: { type: 'fifo' } }, [{ a: ['source', 0], b: ['fifo', 0] }])
  bench.engine.tracer.start(7, 2, (frames, frame) => frames.packetId[frame] % 2 === 0)
  bench.run()
  assert.deepEqual(
    bench.engine.tracer.drain(7, 1).map(({ packetId, element, kind, text }) => `${packetId} ${element} ${kind} ${text}`),
    [
      '2 source enter ',
      '4 source enter ',
      '2 fifo arrive port 0',
      '4 fifo arrive port 0',
      '2 fifo drop engine.unlinked',
      '4 fifo drop engine.unlinked'
    ]
  )
  assert.equal(bench.engine.tracer.active, true)
  assert.deepEqual(bench.engine.tracer.drain(7, 2), [])
  assert.equal(bench.engine.tracer.active, false)
})

test('randomness: by seed and element name, whatever else is in the graph', () => {
  const draws = (seed: number, names: string[]): Record<string, number[]> => {
    const drawn: Record<string, number[]> = {}
    const dice: ElementType = {
      type: 'dice',
      maxPorts: 0,
      counters: [],
      create(context) {
        drawn[context.name] = Array.from({ length: 5 }, () => context.random.next())
        return { push() {} }
      }
    }
    const bench = new TestBench({ types: [never(dice)], seed })
    bench.configure(Object.fromEntries(names.map((name) => [name, { type: 'dice' }])), [])
    return drawn
  }
  const alone = draws(1, ['b'])
  assert.deepEqual(draws(1, ['a', 'b', 'c'])['b'], alone['b'])
  assert.notDeepEqual(draws(2, ['b'])['b'], alone['b'])
  assert.notDeepEqual(draws(1, ['a', 'b'])['a'], alone['b'])
})

test('packet ids begin again at 1 after 31 bits, one by one and in rows', () => {
  const bench = new TestBench()
  const { engine } = bench
  const state = engine as unknown as { packets: number }
  state.packets = 0x7fffffff - 1
  assert.deepEqual([engine.nextPacketId(), engine.nextPacketId()], [0x7fffffff, 1])
  state.packets = 0x7fffffff - 10
  assert.equal(engine.takePacketIds(10), 0x7fffffff - 9)
  assert.equal(engine.takePacketIds(10), 1)
  assert.equal(engine.nextPacketId(), 11)
})
