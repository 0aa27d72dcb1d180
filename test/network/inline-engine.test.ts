import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Element, type ElementContext, ElementRegistry, type ElementType, type Reply } from '../../src/engine/index.ts'
import { InlineEngine } from '../../src/network/inline-engine.ts'

/** Answers `wait` after so many nanoseconds, and tells an event at that time. */
class Alarm implements Element {
  private readonly context: ElementContext

  constructor(context: ElementContext) {
    this.context = context
  }

  push(): void {}

  command(verb: string, argument: unknown, reply: Reply): void {
    if (verb !== 'wait') return reply(new Error(`unknown verb ${verb}`))
    this.context
      .timer((now) => {
        this.context.emit(now)
        reply(null, now)
      })
      .arm(this.context.now + (argument as number))
  }
}

const alarm: ElementType = { type: 'alarm', maxPorts: 0, counters: [], create: (context) => new Alarm(context) }

async function start(): Promise<InlineEngine> {
  const engine = new InlineEngine({ elements: new ElementRegistry().register(alarm), seed: 1 })
  await engine.configure({ elements: { a: { type: 'alarm' }, b: { type: 'alarm' } }, links: [] })
  return engine
}

test('time stands still until it is advanced, and then stops exactly there', async () => {
  const engine = await start()
  let fired = -1
  engine.command('a', 'wait', 1000).then((now) => {
    fired = now as number
  })
  await engine.advance(999)
  assert.deepEqual([engine.now(), fired], [999, -1])
  await engine.advance(5)
  assert.deepEqual([engine.now(), fired], [1004, 1000])
})

test('a script that answers an event acts at the time of the event', async () => {
  const engine = await start()
  const times: number[] = []
  const chain = async (element: string, step: number): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      await engine.command(element, 'wait', step)
      times.push(engine.now())
    }
  }
  await engine.settle(Promise.all([chain('a', 100), chain('b', 70)]))
  assert.deepEqual(times, [70, 100, 140, 200, 210, 300])
})

test('settle gives the outcome, also when it is an error', async () => {
  const engine = await start()
  assert.equal(await engine.settle(engine.command('a', 'wait', 50)), 50)
  await assert.rejects(engine.settle(engine.command('a', 'nonsense', 0)), /unknown verb nonsense/)
  assert.equal(await engine.settle(Promise.resolve('at once')), 'at once')
})

test('a script that waits for nothing is told so', async () => {
  const engine = await start()
  await assert.rejects(engine.settle(new Promise(() => {})), { code: 'stuck' })
})

test('listeners hear their own element and can stop', async () => {
  const engine = await start()
  const heard: unknown[] = []
  engine.listen('a', (event) => heard.push(event))
  engine.command('a', 'wait', 10)
  engine.command('b', 'wait', 20)
  await engine.advance(30)
  engine.listen('a', null)
  engine.command('a', 'wait', 10)
  await engine.advance(30)
  assert.deepEqual(heard, [10])
})
