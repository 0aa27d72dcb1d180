/** The installed program, as a process of its own. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'

const PROGRAM = path.resolve('bin/netloom.js')

describe('bin/netloom.js', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'netloom-test-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  it('runs through a symbolic link, as npm installs it', () => {
    const link = path.join(folder, 'netloom')
    symlinkSync(PROGRAM, link)
    const ran = spawnSync(link, ['--version'], { encoding: 'utf8', cwd: folder })
    assert.deepEqual([ran.status, ran.stderr], [0, ''])
    assert.match(ran.stdout, /^\d+\.\d+\.\d+\n$/)
  })

  it('says how to build it where that has not been done', () => {
    cpSync(PROGRAM, path.join(folder, 'bin/netloom.js'))
    const ran = spawnSync(process.execPath, [path.join(folder, 'bin/netloom.js')], { encoding: 'utf8' })
    assert.equal(ran.status, 1)
    assert.match(ran.stderr, /not been built.*\n {2}fix: .*npm ci.*node scripts\/build\.mjs/)
  })

  it('gives the exit codes to the shell', () => {
    assert.equal(spawnSync(PROGRAM, ['nope']).status, 2)
    assert.equal(spawnSync(PROGRAM, ['--help']).status, 0)
  })

  it('is quiet when its reader goes away', () => {
    // The reader closes first; the writer then starts, so that its first write meets a closed pipe.
    const ran = spawnSync('bash', ['-c', `{ sleep 0.2; "$1" completion bash; echo "code $?" >&2; } | :`, 'bash', PROGRAM], {
      encoding: 'utf8'
    })
    assert.equal(ran.stderr, 'code 0\n')
  })
})
