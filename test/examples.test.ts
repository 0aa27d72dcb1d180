import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noSandbox } from './system/sandbox-set-up.ts'

/** What each example prints, and why it may be left out here. */
const EXAMPLES: Record<string, { prints: RegExp; skip: string | false }> = {
  hello: { prints: /^1 answered after \d+ ns, \d+ frames captured\n$/, skip: false },
  'udp-service': { prints: /^hour 0: 0 s\nhour 1: 3600 s\n$/, skip: false },
  'record-replay': { prints: /^lan\/alice: (\d+) of \1 frames\nlan\/bob: (\d+) of \2 frames\nthe same\n$/, skip: false },
  'two-processes': { prints: /^hello from server\n$/, skip: noSandbox },
  'attach-namespace': { prints: /^stranger is 192\.0\.2\.3, answered 1 of 1 pings\n.*inet 192\.0\.2\.3\/24/, skip: noSandbox }
}

describe('examples', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-examples-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  for (const [name, { prints, skip }] of Object.entries(EXAMPLES)) {
    test(name, { skip }, () => {
      const file = path.resolve(`dist/examples/${name}.js`)
      const { status, stdout, stderr } = spawnSync(process.execPath, [file], { cwd: folder, encoding: 'utf8', timeout: 180_000 })
      assert.equal(stderr, '')
      assert.match(stdout, prints)
      assert.equal(status, 0)
    })
  }

  test('lossy-client: tests of a runner, and a scenario for many seeds', () => {
    const { NODE_TEST_CONTEXT: _, ...others } = process.env
    const env = { ...others, NETLOOM_SEED: '1' }
    const run = (...args: string[]): string => {
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8', timeout: 180_000 })
      assert.deepEqual([status, stderr], [0, ''], stdout)
      return stdout
    }
    assert.match(run('--test', '--test-reporter=tap', 'dist/examples/lossy-client.js'), /^# pass 3$/m)
    const { done, failed } = JSON.parse(run('bin/netloom.js', 'sim', 'dist/examples/lossy-client.js', '--seeds', '1..10', '--json'))
    assert.deepEqual([done, failed], [10, []])
  })

  test('every example is run', () => {
    const files = readdirSync('examples').filter((file) => file.endsWith('.ts'))
    assert.deepEqual(files.map((file) => path.basename(file, '.ts')).sort(), [...Object.keys(EXAMPLES), 'lossy-client'].sort())
  })
})
