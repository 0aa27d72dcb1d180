// Containers under a store that refuses writes, and under calls that come at the wrong moment.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { MemoryStore } from '../../src/store/memory-store.ts'
import { ServiceWorld } from '../docker/service-world.ts'
import { FailingStore } from '../store/failing-store.ts'
import { noSandbox } from './sandbox-set-up.ts'

const FORCE = { force: true, volumes: false, link: false }
const PATIENCE = { timeout: 240_000 }

describe('the container service', { skip: noSandbox }, () => {
  const store = new FailingStore(new MemoryStore())
  let world: ServiceWorld
  before(async () => {
    world = await ServiceWorld.open(store)
  })
  afterEach(() => {
    store.full = null
    world.logged.length = 0
  })
  after(() => world?.close())
  const nextExit = (name: string): Promise<unknown> => world.containers.wait(name, 'next-exit', new AbortController().signal)

  test('a start that cannot be recorded is none: nothing runs, who waits hears of it, and it can be started again', PATIENCE, async () => {
    const { containers } = world
    const container = await world.create('one', ['sleep', '1000'])
    const ended = nextExit('one')
    store.full = 'container/'
    await assert.rejects(containers.start('one'), { code: 'ERR_STORE_WRITE' })
    assert.deepEqual(await ended, { Error: null, StatusCode: 128 })
    const { Status, Running, Pid, Error: reason } = container.state
    assert.deepEqual({ Status, Running, Pid }, { Status: 'created', Running: false, Pid: 0 })
    assert.match(reason, /No space left/)
    await world.shimsEnd()
    assert.equal(await containers.stop('one', 0), false)
    store.full = null
    assert.equal(await containers.start('one'), true)
    await containers.kill('one', '')
    assert.equal(container.state.ExitCode, 137)
    await containers.remove('one', FORCE)
  })

  test('a start that fails on a full disk tells its own reason, and who waits hears of it', PATIENCE, async () => {
    const { containers, logged } = world
    await world.create('missing', ['no-such-program'], {}, { AutoRemove: true })
    const ended = nextExit('missing')
    store.full = 'container/'
    await assert.rejects(containers.start('missing'), /"no-such-program": executable file not found/)
    assert.deepEqual(await ended, { Error: null, StatusCode: 127 })
    const noSpace = 'the state could not be written: No space left on device'
    assert.deepEqual(logged, [`the end of missing is not recorded: ${noSpace}`, `container missing is left: ${noSpace}`])
    store.full = null
    await containers.remove('missing', FORCE)
  })

  test('rm -f that comes while it is being started ends and removes it', PATIENCE, async () => {
    const { containers, registry } = world
    await world.create('late', ['sleep', '1000'])
    const starting = containers.start('late')
    await containers.remove('late', FORCE)
    assert.equal(await starting, true)
    assert.equal(registry.size, 0)
    await world.shimsEnd()
  })

  test('a nameless volume goes with the last container that has it', async () => {
    const { containers, volumes } = world
    const removeWith = (name: string): Promise<void> => containers.remove(name, { ...FORCE, volumes: true })
    const one = await world.create('va', ['true'], { Volumes: { '/d': {} } })
    await world.create('vb', ['true'], {}, { VolumesFrom: ['va'], Binds: ['named:/e'] })
    await world.create('vc', ['true'], {}, { VolumesFrom: ['vb:ro'] })
    for (const { Source } of one.mounts) mkdirSync(Source, { recursive: true })
    const file = path.join(one.mounts[0]!.Source, 'kept')
    writeFileSync(file, '')
    mkdirSync(path.join(volumes, 'named'))
    await removeWith('va')
    assert.ok(existsSync(file), 'the others have it')
    await Promise.all([removeWith('vb'), removeWith('vc')])
    assert.deepEqual(readdirSync(volumes), ['named'], 'one with a name stays')
  })
})
