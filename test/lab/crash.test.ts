import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { Lab } from '../../src/index.ts'
import { eventually, noSandbox } from '../system/sandbox-set-up.ts'

/** Makes the next frame of every host throw inside the engine's turn: a capture element whose sink has no `record`. */
async function breakEngine(lab: Lab): Promise<void> {
  const { controller } = lab
  await controller.engine.share('broken', { sink: { snapLength: 64, publish: null } })
  await controller.setCapture(() => ({ places: [{ target: 'broken' }] }))
}

test('an engine that ends by a defect is told, and the lab is closed with all that it had', { skip: noSandbox }, async () => {
  let told: (error: Error) => void = () => {}
  const crash = new Promise<Error>((resolve) => {
    told = resolve
  })
  const lab = await Lab.create({ upstreams: [], onCrash: (error) => told(error) })
  const lan = await lab.network('lan')
  const a = await lan.host('a')
  const sandbox = await lan.sandbox('b')
  const { pid } = await sandbox.spawn(['sleep', '100'])
  await breakEngine(lab)
  await assert.rejects(a.ping(sandbox.address))
  assert.match((await crash).message, /is not a function/)
  await eventually('the sandbox has ended', () => !existsSync(`/proc/${pid}`))
  await lab.close()
  await assert.rejects(lab.network('more'))
})

test('nobody listening, it ends the program', () => {
  const script = `
    import { Lab } from '${new URL('../../src/index.js', import.meta.url).href}'
    const lab = await Lab.create({ upstreams: [] })
    const lan = await lab.network('lan')
    const a = await lan.host('a')
    ${breakEngine.toString()}
    await breakEngine(lab)
    a.ping('192.0.2.1').catch(() => {})`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 120_000 })
  assert.equal(status, 1)
  assert.match(stderr, /is not a function/)
})

test('captures asked for at once: several files are written, one file by one of them; all ends are clean', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'netloom-test-capture-'))
  const lab = await Lab.create({ upstreams: [] })
  const names = ['1.pcapng', '2.pcapng', '2.pcapng']
  const all = await Promise.allSettled(names.map((name) => lab.capture(path.join(folder, name))))
  assert.deepEqual(
    all.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected']
  )
  // One that is still being opened is closed with the lab.
  for (const one of all) if (one.status === 'fulfilled') await one.value.close()
  const opening = lab.capture(path.join(folder, '3.pcapng'))
  await lab.close()
  await opening.catch(() => {})
  await rm(folder, { recursive: true })
})
