import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { ThreadedEngine } from '../../src/network/threaded-engine.ts'

const BRIDGE = { elements: { lan: { type: 'bridge', options: {} } }, links: [] }

test('configure is answered when the graph runs, and counters are there at once', async () => {
  const engine = new ThreadedEngine({ seed: 1 })
  await engine.configure(BRIDGE)
  assert.ok(engine.counters().get('lan'))
  assert.ok(Array.isArray(await engine.command('lan', 'fdb', null)))
  await engine.configure({ elements: {}, links: [] })
  assert.equal(engine.counters().get('lan'), undefined)
  await engine.close()
})

test('the engine refuses a wrong topology by name and goes on', async () => {
  const engine = new ThreadedEngine({ seed: 1 })
  const wrong = { elements: { x: { type: 'nonsense' } }, links: [] }
  await assert.rejects(engine.configure(wrong), (error: Error & { code: string }) => {
    assert.equal(error.code, 'ERR_TOPOLOGY')
    assert.match(error.message, /'x' has the unknown type 'nonsense'/)
    return true
  })
  await assert.rejects(engine.command('nobody', 'fdb', null), /no element 'nobody'/)
  await engine.configure(BRIDGE)
  await engine.close()
})

test('a patch is made whole or not at all', async () => {
  const engine = new ThreadedEngine({ seed: 1 })
  assert.deepEqual(await engine.patch(BRIDGE), [])
  const two = { elements: { second: { type: 'bridge', options: {} }, bad: { type: 'bridge', options: { ageing: -1 } } } }
  await assert.rejects(engine.patch(two), (error: Error & { code: string }) => {
    assert.deepEqual([error.code, error.message.startsWith('ageing is -1')], ['ERR_BRIDGE_OPTION', true])
    return true
  })
  assert.deepEqual([...engine.counters().keys()], ['lan'])
  await assert.rejects(engine.patch({ removed: ['second'] }), { code: 'ERR_TOPOLOGY' })
  assert.deepEqual(await engine.patch({ elements: { second: { type: 'bridge' } }, linked: [{ a: ['lan', 0], b: ['second', 0] }] }), [])
  assert.deepEqual(await engine.patch({ removed: ['lan'] }), [])
  assert.deepEqual([engine.elementCounters('lan'), engine.counters().size], [undefined, 1])
  await engine.close()
})

test('requests after close are refused, close twice is one close', async () => {
  const engine = new ThreadedEngine({ seed: 1 })
  await Promise.all([engine.close(), engine.close()])
  await assert.rejects(engine.configure(BRIDGE), /closed|ended/)
})

test('thirty engines come and go without a descriptor left open', async () => {
  const descriptors = (): number => readdirSync('/proc/self/fd').length
  const before = descriptors()
  for (let i = 0; i < 30; i++) {
    const engine = new ThreadedEngine({ seed: i })
    await engine.configure(BRIDGE)
    await engine.close()
  }
  // Some of node's own may come meanwhile; a leak would be thirty.
  assert.ok(descriptors() < before + 10, `${before} before, ${descriptors()} after`)
})

for (const native of ['with', 'without']) {
  test(`process.exit() does not wait for the engine, ${native} the addon`, () => {
    const module = new URL('../../src/network/threaded-engine.js', import.meta.url).href
    const script = `import { ThreadedEngine } from '${module}'; const e = new ThreadedEngine({ seed: 1 }); await e.configure({ elements: {}, links: [] }); process.exit(7)`
    const env = { ...process.env, NETLOOM_NO_NATIVE: native === 'with' ? '0' : '1' }
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      env,
      encoding: 'utf8',
      timeout: 120_000
    })
    assert.equal(status, 7, stderr)
  })
}

test('many engines at once are no leak of listeners, and the listener goes with the last', async () => {
  const before = process.listenerCount('exit')
  const engines = Array.from({ length: 12 }, (_, seed) => new ThreadedEngine({ seed }))
  try {
    assert.equal(process.listenerCount('exit'), before + 1)
  } finally {
    await Promise.all(engines.map((engine) => engine.close()))
  }
  assert.equal(process.listenerCount('exit'), before)
})
