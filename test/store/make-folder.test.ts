import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { makeFolder } from '../../src/store/make-folder.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'netloom-make-folder-'))
after(() => rmSync(folder, { recursive: true }))
const MODULE = new URL('../../src/store/make-folder.js', import.meta.url).href

test('makes what is missing with the mode, and leaves alone what is there', () => {
  mkdirSync(path.join(folder, 'there'), { mode: 0o755 })
  makeFolder(path.join(folder, 'there/a/b'), 0o700)
  makeFolder(path.join(folder, 'there/a/b'), 0o755)
  const mode = (name: string): number => statSync(path.join(folder, name)).mode & 0o777
  assert.deepEqual(['there', 'there/a', 'there/a/b'].map(mode), [0o755, 0o700, 0o700])
})

test('a file in the way is an error', () => {
  writeFileSync(path.join(folder, 'file'), '')
  assert.throws(() => makeFolder(path.join(folder, 'file')), { code: 'EEXIST' })
  assert.throws(() => makeFolder(path.join(folder, 'file/below')), { code: 'ENOTDIR' })
})

// In a process of its own: what it must not do is to go on for ever.
for (const missing of ['/proc/netloom', '/proc/netloom/below']) {
  test(`${missing}, where no folder can be made, is an error too`, () => {
    const script = `import { makeFolder } from ${JSON.stringify(MODULE)}
      try { makeFolder(${JSON.stringify(missing)}) } catch ({ code }) { console.log(code) }`
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 120_000 })
    assert.equal(stdout, 'ENOENT\n')
  })
}
