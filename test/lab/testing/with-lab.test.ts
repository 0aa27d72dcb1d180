/** What `withLab` says of a failure: the seed, and the command that runs it again, under each runner. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { withLab } from '../../../src/testing.ts'
import { temporaryFolder } from '../../capture/judge.ts'

const PACKAGE = path.resolve(import.meta.dirname, '../../../..')

/** A folder with a test file, from which `netloom/testing` is found as where it is installed. */
function project(context: TestContext, file: string, text: string): string {
  const folder = temporaryFolder(context)
  mkdirSync(path.join(folder, 'node_modules'))
  symlinkSync(PACKAGE, path.join(folder, 'node_modules/netloom'))
  writeFileSync(path.join(folder, file), text)
  return folder
}

function run(folder: string, args: readonly string[], seed: string | undefined) {
  const { NODE_TEST_CONTEXT, NETLOOM_SEED, ...env } = process.env
  const options = { cwd: folder, encoding: 'utf8', timeout: 180_000 } as const
  return spawnSync(process.execPath, args, { ...options, env: seed === undefined ? env : { ...env, NETLOOM_SEED: seed } })
}

const FAILING = `
  import { test } from 'node:test'
  import { withLab } from 'netloom/testing'
  test('it draws', () => withLab((lab) => { throw new Error('seed ' + lab.seed) }))`

test('a failure names the seed and the command, which fails with the same seed', (t) => {
  const folder = project(t, 'some.test.mjs', FAILING)
  for (const more of [[], ['--enable-source-maps']]) {
    const { stdout, stderr } = run(folder, [...more, '--test', 'some.test.mjs'], undefined)
    const told = /failed with seed (\d+); run it again by: NETLOOM_SEED=(\d+) node --test some\.test\.mjs/.exec(stdout + stderr)
    assert.ok(told !== null, stdout + stderr)
    assert.equal(told[1], told[2])
    assert.match(run(folder, ['--test', 'some.test.mjs'], told[1]).stdout, new RegExp(`seed ${told[1]}\\b`))
  }
  // Without a runner.
  assert.match(run(folder, ['some.test.mjs'], '7').stderr, /NETLOOM_SEED=7 node some\.test\.mjs/)
})

test('so many runs, each with a seed of its own, unless one is given', async () => {
  const seeds: (number | string)[] = []
  await withLab({ runs: 3 }, (lab) => seeds.push(lab.seed))
  assert.equal(new Set(seeds).size, process.env['NETLOOM_SEED'] === undefined ? 3 : 1)
  seeds.length = 0
  await withLab({ runs: 3, seed: 'mine' }, (lab) => seeds.push(lab.seed))
  assert.deepEqual(seeds, ['mine'])
  await assert.rejects(
    withLab({ runs: 0 }, () => {}),
    { code: 'invalid', message: 'runs: 0 is not a whole number from 1' }
  )
})

const REAL = `
  import { Lab } from 'netloom'
  import { icmp } from 'netloom/testing'
  const lab = await Lab.create({ probe: true, upstreams: [] })
  const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
  const [a, b] = [await lan.host('a'), await lan.host('b')]
  lab.at('2 h', () => console.log('two hours later'))
  const echo = lab.expectFrame(icmp({ type: 0 }), { within: '1 h' })
  await lab.run(() => a.ping(b.address))
  console.log((await echo).text.includes('ICMP echo reply'))
  await lab.close()`

test('in real time, what may still have come keeps no program alive when its lab is closed', (t) => {
  const folder = project(t, 'real.mjs', REAL)
  const { status, signal, stdout, stderr } = run(folder, ['real.mjs'], undefined)
  assert.deepEqual([status, signal, stdout, stderr], [0, null, 'true\n', ''])
})

const VITEST_FILE = `
  import { expect, test } from 'vitest'
  import { ipv4, udp, withLab } from 'netloom/testing'
  const ask = (within) => withLab(async (lab) => {
    const lan = await lab.network('lan', { subnet: '192.0.2.0/24' })
    const [client, server] = [await lan.host('client'), await lan.host('server', { udpEcho: [7] })]
    lab.faults.drop(udp({ dstPort: 7 }), { nth: 1 })
    const echo = lab.expectFrame(ipv4({ src: server.address }), udp({ srcPort: 7 }), { within })
    const socket = await client.udp()
    for (const text of ['lost', 'heard']) {
      await socket.send(server.address, 7, text)
      await lab.wait(1000)
    }
    expect((await echo).text).toMatch(/UDP, length 5$/)
  })
  test('passes', () => ask('1 h'))
  test('fails', () => ask('1 ms'))`

test('with vitest', { skip: vitest() === null && 'vitest is not installed (NETLOOM_VITEST names its folder)', timeout: 60_000 }, (t) => {
  const folder = project(t, 'some.test.ts', VITEST_FILE)
  symlinkSync(vitest()!, path.join(folder, 'node_modules/vitest'))
  const { status, stdout, stderr } = run(folder, [path.join(vitest()!, 'vitest.mjs'), 'run', '--reporter=json'], undefined)
  const said = stdout + stderr
  assert.equal(status, 1, said)
  const results = JSON.parse(stdout.slice(stdout.indexOf('{"num'))).testResults[0].assertionResults as Record<string, unknown>[]
  assert.deepEqual(
    results.map(({ title, status: outcome }) => [title, outcome]),
    [
      ['passes', 'passed'],
      ['fails', 'failed']
    ],
    said
  )
  assert.match(said, /ExpectationError: no frame matched ipv4\(/)
  assert.match(said, /failed with seed \d+; run it again by: NETLOOM_SEED=\d+ npx vitest run some\.test\.ts/)
})

/** The folder of the vitest to try; null: there is none, which is how this project's own tests run. */
function vitest(): string | null {
  const named = process.env['NETLOOM_VITEST']
  if (named !== undefined) return existsSync(path.join(named, 'vitest.mjs')) ? named : null
  try {
    return path.dirname(createRequire(import.meta.url).resolve('vitest/package.json'))
  } catch {
    return null
  }
}
