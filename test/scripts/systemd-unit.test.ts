/** packaging/netloom.service: what it starts exists, and systemd takes it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const UNIT = 'packaging/netloom.service'
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

const unit = readFileSync(UNIT, 'utf8')
const [program, ...words] = /^ExecStart=(.*)$/m.exec(unit)![1]!.split(/\s+/) as [string, ...string[]]
const hasSystemd = spawnSync('systemd-analyze', ['--version']).error === undefined

describe('the systemd unit', () => {
  it('starts the program that the package installs', () => {
    const { bin } = JSON.parse(readFileSync('package.json', 'utf8')) as { bin: Record<string, string> }
    assert.ok(path.isAbsolute(program) && Object.hasOwn(bin, path.basename(program)), program)
  })

  it('gives the daemon flags that it has', () => {
    assert.equal(words[0], 'daemon')
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'daemon', '--help'], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    const known = new Set(stdout.match(/(?<=^ .*)-[-\w]+(?=[ ,[])/gm))
    const flags = words.filter((word) => word.startsWith('-')).map((word) => word.split('=')[0]!)
    assert.ok(flags.includes('--host'), words.join(' '))
    for (const flag of flags) assert.ok(known.has(flag), `${flag} is none of ${[...known].join(' ')}`)
  })

  it('is one to systemd', { skip: hasSystemd ? false : 'systemd-analyze is not installed' }, () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'netloom-unit-'))
    try {
      const file = path.join(folder, 'netloom.service')
      // The program is not installed where tests run.
      writeFileSync(file, unit.replace(program, process.execPath))
      const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' })
      const told = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('netloom.service'))
      assert.deepEqual({ status, told }, { status: 0, told: [] }, `${stdout}${stderr}`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
