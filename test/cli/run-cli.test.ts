import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { runHere } from './fake-world.ts'

describe('the command line', () => {
  it('prints the version of package.json', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    assert.deepEqual(await runHere(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('lists its commands in groups, with examples', async () => {
    const { code, stdout, stderr } = await runHere(['--help'])
    assert.equal(code, 0)
    assert.equal(stderr, '')
    assert.match(stdout, /^This machine:\n {2}doctor /m)
    assert.match(stdout, /^Examples:\n {2}netloom /m)
  })

  it('prints the same help for `help CMD` as for `CMD --help`', async () => {
    const [one, other] = [await runHere(['help', 'doctor']), await runHere(['doctor', '--help'])]
    assert.deepEqual(one, other)
    assert.equal(one.code, 0)
    assert.match(one.stdout, /^Usage: netloom doctor/)
  })

  it('without arguments is a usage error that shows the help', async () => {
    const { code, stdout, stderr } = await runHere([])
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, /^Usage: netloom/)
  })

  const wrong: [args: string[], told: string][] = [
    [['doctr'], "netloom: unknown command 'doctr'\n  fix: did you mean doctor?\n"],
    [['help', 'doctr'], "netloom: unknown command 'doctr'\n  fix: did you mean doctor?\n"],
    [['xyzzy'], "netloom: unknown command 'xyzzy'\n  fix: see `netloom --help`\n"],
    [['doctor', '--jsn'], "netloom: unknown option '--jsn'\n  fix: did you mean --json?\n"],
    [['completion'], "netloom: missing required argument 'shell'\n  fix: see `netloom completion --help`\n"]
  ]
  for (const [args, told] of wrong) {
    it(`answers \`${args.join(' ')}\` with what was wrong, a fix and exit code 2`, async () => {
      assert.deepEqual(await runHere(args), { code: 2, stdout: '', stderr: told })
    })
  }

  it('names the allowed values of an argument', async () => {
    const { code, stderr } = await runHere(['completion', 'tcsh'])
    assert.equal(code, 2)
    assert.match(stderr, /'tcsh' is invalid.*bash, zsh, fish$/m)
  })

  it('shows a stack with --debug or NETLOOM_DEBUG=1 only', async () => {
    assert.match((await runHere(['doctr', '--debug'])).stderr, /\n {4}at /)
    assert.match((await runHere(['doctr'], { NETLOOM_DEBUG: '1' })).stderr, /\n {4}at /)
    assert.doesNotMatch((await runHere(['doctr'], { NETLOOM_DEBUG: '0' })).stderr, /\n {4}at /)
    assert.doesNotMatch((await runHere(['doctr', '--', '--debug'])).stderr, /\n {4}at /)
  })
})
