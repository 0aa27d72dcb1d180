import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { ORACLE, ROOT } from './docker-lab.ts'
import { LEFT_OUT, scenarioNames } from './oracle-scenarios.ts'

/** Where the oracle is kept: beside the checkout. */
const ORIGIN = path.resolve(ROOT, '../shared/oracle')

/** Path -> content and whether it is executable, of all files but what Python leaves behind. */
function contents(folder: string): Map<string, { bytes: Buffer; executable: boolean }> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => !name.includes('__pycache__'))
  return new Map(
    files
      .sort()
      .filter((name) => statSync(path.join(folder, name)).isFile())
      .map((name) => {
        const file = path.join(folder, name)
        return [name, { bytes: readFileSync(file), executable: (statSync(file).mode & 0o100) !== 0 }]
      })
  )
}

test('the copy of the oracle is the oracle', { skip: existsSync(ORIGIN) ? false : 'there is no oracle beside the checkout' }, () => {
  const ours = contents(ORACLE)
  const theirs = contents(ORIGIN)
  assert.deepEqual([...ours.keys()], [...theirs.keys()])
  for (const [name, file] of theirs)
    assert.ok(ours.get(name)!.bytes.equals(file.bytes) && ours.get(name)!.executable === file.executable, name)
})

test('every scenario has its transcript', () => {
  const names = scenarioNames(path.join(ORACLE, 'scenarios'))
  assert.ok(names.length > 50)
  assert.deepEqual(
    names.filter((name) => !existsSync(path.join(ORACLE, 'transcripts', `${name}.json`))),
    []
  )
})

test('what is left out, or wants its host, exists', () => {
  const names = new Set(scenarioNames(path.join(ORACLE, 'scenarios')))
  assert.deepEqual(
    Object.keys(LEFT_OUT).filter((name) => !names.has(name)),
    []
  )
})
