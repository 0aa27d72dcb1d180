/** scripts/test.mjs run on small files of known outcome: a runner that counts wrongly would hide every other defect. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, describe, it } from 'node:test'

const RUNNER = path.resolve('scripts/test.mjs')
const PREAMBLE = "import { after, before, describe, it, test } from 'node:test'\nimport assert from 'node:assert'\n"

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly lastLine: string
}

const folders: string[] = []

/** Runs the runner on files of these texts. */
function runOn(files: Record<string, string>, ...args: string[]): Outcome {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'netloom-runner-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
    writeFileSync(path.join(folder, name), PREAMBLE + text)
  }
  // Without it node:test takes the runner for one of its own files and refuses to run().
  const { NODE_TEST_CONTEXT, ...env } = process.env
  const ran = spawnSync(process.execPath, [RUNNER, '--dir', folder, ...args], { encoding: 'utf8', env })
  return { code: ran.status, stdout: ran.stdout, stderr: ran.stderr, lastLine: ran.stdout.trimEnd().split('\n').at(-1) ?? '' }
}

describe('the test runner', () => {
  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true })
  })

  it('counts tests, and neither suites nor tests that hold tests', () => {
    const outcome = runOn({
      'a.test.mjs': `describe('suite', () => { describe('inner', () => { it('one', () => {}); it('two', () => {}) }) })
        describe('empty', () => {})
        test('parent', async (t) => { await t.test('three', () => {}); await t.test('four', async (u) => { await u.test('five', () => {}) }) })
        test('six', () => {})`
    })
    assert.deepEqual([outcome.lastLine, outcome.code], ['5 passed, 0 failed, 0 skipped', 0])
  })

  it('counts a failure once, at whatever depth', () => {
    const outcome = runOn({
      'a.test.mjs': `describe('suite', () => { describe('inner', () => { it('bad', () => assert.ok(false)); it('good', () => {}) }) })
        test('parent', async (t) => { await t.test('bad', () => assert.ok(false)) })`
    })
    assert.deepEqual([outcome.lastLine, outcome.code], ['1 passed, 2 failed, 0 skipped', 1])
  })

  it('counts a failing hook', () => {
    const outcome = runOn({ 'a.test.mjs': "describe('suite', () => { after(() => { throw new Error('no') }); it('good', () => {}) })" })
    assert.deepEqual([outcome.lastLine, outcome.code], ['1 passed, 1 failed, 0 skipped', 1])
  })

  it('lists what was skipped, with file, name and reason', () => {
    const outcome = runOn({
      'a.test.mjs': `it('first', { skip: 'not root' }, () => {})
        it('second', (t) => t.skip('no tshark'))
        it('third', { skip: true }, () => {})
        it.todo('fourth')
        it('fifth', { todo: 'issue 9' }, () => assert.ok(false))
        describe('sixth', { skip: 'whole' }, () => { it('x', () => {}) })`
    })
    assert.deepEqual([outcome.lastLine, outcome.code], ['0 passed, 0 failed, 6 skipped', 0])
    const told = ['first: not root', 'second: no tshark', 'third: no reason given', 'fourth: todo', 'fifth: issue 9', 'sixth: whole']
    assert.ok(outcome.stdout.includes(`skipped:\n${told.map((line) => `  a: ${line}\n`).join('')}`), outcome.stdout)
  })

  const broken: [name: string, text: string, passed: number, told: RegExp][] = [
    ['has a syntax error', 'const x = ', 0, /exit code 1/],
    ['holds no test', "console.log('hello')", 0, /ran no test/],
    ['holds an empty suite only', "describe('empty', () => {})", 0, /ran no test/],
    ['is killed', "it('a', () => process.kill(process.pid, 'SIGKILL'))", 0, /by SIGKILL/],
    ['throws after its tests', "it('a', () => void setTimeout(() => { throw new Error('late') }, 20))", 1, /exit code 1/],
    ['ends with an exit code', "it('a', () => {}); process.exitCode = 3", 1, /exit code 3/],
    ['leaves by process.exit(0)', "it('a', () => process.exit(0)); it('b', () => {})", 0, /ran no test|in the middle of 'a'/],
    [
      'leaves by process.exit(0) later',
      "it('a', () => {}); it('b', async () => { await new Promise((r) => setTimeout(r, 200)); process.exit(0) })",
      1,
      /in the middle of 'b'/
    ]
  ]
  for (const [name, text, passed, told] of broken) {
    it(`counts a file as failed that ${name}`, () => {
      const outcome = runOn({ 'good.test.mjs': "it('fine', () => {})", 'bad.test.mjs': text })
      assert.deepEqual([outcome.lastLine, outcome.code], [`${passed + 1} passed, 1 failed, 0 skipped`, 1])
      const line = outcome.stdout.split('\n').find((candidate) => /^ {2}\/.*bad\.test\.mjs: /.test(candidate))
      assert.match(line ?? '', told)
    })
  }

  it('counts the tests of a suite that several files share', () => {
    const suite = "export const suite = (name) => describe(name, () => { it('one', () => {}); it('two', () => assert.ok(name !== 'bad')) })"
    const use = (name: string) => `import { suite } from './suite.mjs'\nsuite('${name}')`
    const outcome = runOn({ 'suite.mjs': suite, 'a.test.mjs': use('good'), 'b.test.mjs': use('bad'), 'c.test.mjs': use('good') })
    assert.deepEqual([outcome.lastLine, outcome.code], ['5 passed, 1 failed, 0 skipped', 1])
  })

  it('runs many files without a warning', () => {
    const files = Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`${i}.test.mjs`, "it('a', () => {})"]))
    const outcome = runOn(files)
    assert.deepEqual([outcome.lastLine, outcome.stderr], ['15 passed, 0 failed, 0 skipped', ''])
  })

  it('ends a file that hangs, and goes on', () => {
    const outcome = runOn(
      { 'a.test.mjs': "it('hangs', () => new Promise((r) => setTimeout(r, 1e6)))", 'b.test.mjs': "it('b', () => {})" },
      '--timeout',
      '6'
    )
    assert.deepEqual([outcome.lastLine, outcome.code], ['1 passed, 1 failed, 0 skipped', 1])
    assert.match(outcome.stdout, /a\.test\.mjs: test timed out after 6000ms/)
  })

  it('leaves slow files out of the smoke set, and keeps to --only', () => {
    const files = {
      'one/a.test.mjs': "it('a', () => {})",
      'two/b.slow.test.mjs': "it('b', () => {}); it('c', () => {})",
      'two/notes.mjs': ''
    }
    assert.equal(runOn(files).lastLine, '3 passed, 0 failed, 0 skipped')
    assert.equal(runOn(files, '--smoke').lastLine, '1 passed, 0 failed, 0 skipped')
    assert.equal(runOn(files, '--only', 'two/').lastLine, '2 passed, 0 failed, 0 skipped')
  })

  describe('repeats', () => {
    const KEEPS = "import { appendFileSync, readFileSync } from 'node:fs'\nconst log = import.meta.filename + '.log'\n"
    const TIMES = "appendFileSync(log, '.')\nconst times = readFileSync(log, 'utf8').length\n"
    const failsFirst = `${KEEPS}${TIMES}it('good', () => {}); it('late', () => assert.ok(times > 1, 'the first time'))`
    const failsAlways = `${KEEPS}${TIMES}it('good', () => {}); it('bad', () => assert.fail('time ' + times))`

    it('a file that failed beside others, and tells what failed', () => {
      const { stdout, lastLine, code } = runOn({ 'a.test.mjs': failsFirst, 'b.test.mjs': "it('b', () => {})" })
      assert.deepEqual([lastLine, code], ['3 passed, 0 failed, 0 skipped', 0])
      assert.match(stdout, /a\.test\.mjs failed beside others:.*the first time.*once more, alone:/s)
      assert.match(stdout, /failed beside other files, and passed alone:\n {2}\/.*a\.test\.mjs: late\n/)
    })

    it('with both outputs, and one failure counted, when it fails again', () => {
      const { stdout, lastLine, code } = runOn({ 'a.test.mjs': failsAlways, 'b.test.mjs': "it('b', () => {})" })
      assert.deepEqual([lastLine, code], ['2 passed, 1 failed, 0 skipped', 1])
      assert.match(stdout, /time 1.*once more, alone:.*time 2/s)
      assert.doesNotMatch(stdout, /passed alone/)
    })

    it('none of more than two', () => {
      const three = Object.fromEntries(['a', 'b', 'c'].map((name) => [`${name}.test.mjs`, failsFirst]))
      assert.equal(runOn(three).lastLine, '3 passed, 3 failed, 0 skipped')
      assert.equal(runOn({ 'a.test.mjs': failsFirst }).lastLine, '1 passed, 1 failed, 0 skipped')
    })
  })

  it('fails when nothing ran', () => {
    const outcome = runOn({ 'a.test.mjs': "it('a', () => {})" }, '--only', 'nonesuch')
    assert.deepEqual([outcome.lastLine, outcome.code], ['0 passed, 0 failed, 0 skipped', 1])
    assert.match(outcome.stdout, /no test file was found whose path has 'nonesuch'/)
  })

  it('answers a wrong option with its usage and exit code 2', () => {
    assert.equal(runOn({}, '--smok').code, 2)
    assert.equal(runOn({}, '--timeout', 'soon').code, 2)
  })
})
