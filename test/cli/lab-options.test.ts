/** Which file, and which lab, a user means. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { CliContext } from '../../src/cli/context.ts'
import { findLab, labFileName, readLab } from '../../src/cli/lab/lab-options.ts'

const context = { env: {} } as CliContext

describe('lab files and names', () => {
  let folder = ''
  const home = process.cwd()
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'netloom-labs-'))
    for (const name of ['lab', 'none', 'labs/lab', 'labs/other']) mkdirSync(path.join(folder, name), { recursive: true })
    writeFileSync(path.join(folder, 'lab/compose.yaml'), 'name: other\nservices:\n  web: { image: alpine }\n')
    process.chdir(folder)
  })
  after(() => {
    process.chdir(home)
    rmSync(folder, { recursive: true })
  })

  test('a folder stands for the lab file in it', () => {
    assert.equal(labFileName('lab'), 'lab/compose.yaml')
    assert.equal(labFileName('lab/compose.yaml'), 'lab/compose.yaml')
    assert.equal(labFileName('nowhere.yaml'), 'nowhere.yaml')
    assert.throws(() => labFileName('none'), /there is no lab file in none: none of netloom\.yaml/)
    assert.throws(() => labFileName(undefined), /there is no lab file here/)
  })

  test('a lab that runs is meant by its name, also where a folder is called so; else its file says which', async () => {
    const options = { labs: 'labs' }
    assert.equal((await findLab('lab', options, context)).name, 'lab')
    assert.equal((await findLab('lab/compose.yaml', options, context)).name, 'other')
    await assert.rejects(findLab('nolab', options, context), { message: "there is no lab 'nolab'; there is lab, other" })
    await assert.rejects(findLab(undefined, options, context), { message: 'which lab? there is lab, other' })
  })

  test('a device that never ends is no lab file', { timeout: 120_000 }, async () => {
    await assert.rejects(readLab('/dev/zero', undefined, context), { code: 'ERR_LAB_FILE', message: /\/dev\/zero is longer than/ })
  })

  test('a name that would lead out of the folder of all labs is refused', async () => {
    for (const name of ['..', '../x', 'Bad Name', '/tmp/x', '']) {
      const said = `--project: '${name}' is no name of a lab: small letters, digits, '_' and '-'`
      await assert.rejects(readLab('lab/compose.yaml', name, context), { message: said })
    }
    assert.equal((await readLab('lab/compose.yaml', 'x-1', context)).name, 'x-1')
  })
})
