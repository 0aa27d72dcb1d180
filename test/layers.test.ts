import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findCycle, judge, type Violation } from './layer-rules.ts'

/** This file runs as dist/test/layers.test.js. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * What may break a rule, and why: `file kind` -> reason. An entry that is no longer needed fails too.
 * For an edge or a clock that cannot be otherwise, not for one that is only quicker to write.
 */
const ALLOWED: Readonly<Record<string, string>> = {}

function sources(...folders: string[]): string[] {
  return folders
    .filter((folder) => existsSync(path.join(ROOT, folder)))
    .flatMap((folder) => readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`))
    .filter((name) => name.endsWith('.ts'))
    .sort()
}

const judgements = sources('src', 'test', 'bench', 'examples').map((file) => judge(file, readFileSync(path.join(ROOT, file), 'utf8')))
const violations = judgements.flatMap((judgement) => judgement.violations)

function listed(kind: Violation['kind']): string[] {
  return violations
    .filter((violation) => violation.kind === kind && ALLOWED[`${violation.file} ${kind}`] === undefined)
    .map(({ file, line, detail }) => `${file}:${line} ${detail}`)
}

test('there are files to judge', () => assert.ok(judgements.length > 10))
test('imports go downward only', () => assert.deepEqual(listed('layer'), []))
test('folders do not import each other in a circle', () =>
  assert.equal(findCycle(judgements.flatMap((judgement) => judgement.edges))?.join(' -> '), undefined))
test('time, timers and chance come from the engine', () => assert.deepEqual(listed('time'), []))
test('no default exports', () => assert.deepEqual(listed('default-export'), []))
test('no file is named for being a heap', () => assert.deepEqual(listed('file-name'), []))
test('every exception is still needed', () => {
  const needed = new Set(violations.map((violation) => `${violation.file} ${violation.kind}`))
  assert.deepEqual(
    Object.keys(ALLOWED).filter((entry) => !needed.has(entry)),
    []
  )
})

/** The kinds broken by a text at a path. */
function kinds(file: string, text: string): string[] {
  return judge(file, text).violations.map((violation) => violation.kind)
}

test('the judge: edges', () => {
  assert.deepEqual(kinds('src/elements/bridge/fdb.ts', "import { a } from '../../wire/ethernet.ts'"), [])
  assert.deepEqual(kinds('src/elements/bridge/fdb.ts', "import { a } from '../../io/tap-device.ts'"), ['layer'])
  assert.deepEqual(kinds('src/elements/bridge/fdb.ts', "import type { A } from '../../io/tap-device.ts'"), ['layer'])
  assert.deepEqual(kinds('src/elements/a.ts', "export { a } from '../capture/ring.ts'"), ['layer'])
  assert.deepEqual(kinds('src/wire/a.ts', "import { a } from '../engine/link.ts'"), ['layer'])
  assert.deepEqual(kinds('src/engine/a.ts', "const a = await import('../stack/host.ts')"), ['layer'])
  assert.deepEqual(kinds('src/engine/a.ts', "let a: import('../io/tap-device.ts').Tap"), ['layer'])
  assert.deepEqual(kinds('src/capture/a.ts', "new Worker(new URL('../lab/worker.js', import.meta.url))"), ['layer'])
  assert.deepEqual(kinds('src/lab/a.ts', "import { a } from '../index.ts'"), ['layer'])
  assert.deepEqual(kinds('src/index.ts', "export { Lab } from './lab/lab.ts'"), [])
  assert.deepEqual(kinds('src/dns/a.ts', "import { a } from '../stack/host.ts'"), [])
  assert.deepEqual(kinds('src/odds/a.ts', ''), ['layer'])
  assert.deepEqual(kinds('src/wire/a.ts', "// import { a } from '../engine/link.ts'\nconst text = `from '../io/a.ts'`"), [])
  assert.deepEqual(kinds('test/a.test.ts', "import { a } from '../src/cli/main.ts'"), [])
})

test('the judge: time and chance', () => {
  for (const text of [
    'Date.now()',
    'globalThis.Date.now()',
    'new Date()',
    'Math.random()',
    'performance.now()',
    'process.hrtime.bigint()',
    'setTimeout(f, 1)',
    'globalThis.setInterval(f, 1)',
    'const later = setImmediate',
    "import { setTimeout } from 'node:timers/promises'"
  ]) {
    assert.deepEqual(kinds('src/stack/a.ts', text), ['time'], text)
    assert.deepEqual(kinds('src/cli/a.ts', text), [], text)
    assert.deepEqual(kinds('src/engine/real-clock.ts', text), [], text)
    assert.deepEqual(kinds('bench/a.ts', text), [], text)
  }
  for (const text of [
    'socket.setTimeout(5)',
    'new Date(0)',
    '// Date.now()',
    "'Math.random()'",
    'clock.now()',
    'const a = { setTimeout: 1 }'
  ]) {
    assert.deepEqual(kinds('src/stack/a.ts', text), [], text)
  }
})

test('the judge: names', () => {
  assert.deepEqual(kinds('src/wire/utils.ts', ''), ['file-name'])
  assert.deepEqual(kinds('src/wire/a.ts', 'export default 1'), ['default-export'])
  assert.deepEqual(kinds('src/wire/a.ts', 'export default class A {}'), ['default-export'])
  assert.deepEqual(kinds('src/wire/a.ts', 'const a = 1\nexport { a as default }'), ['default-export'])
})

test('the judge: circles', () => {
  assert.equal(findCycle([{ from: 'dns', to: 'stack' }]), null)
  assert.deepEqual(
    findCycle([
      { from: 'lab', to: 'dns' },
      { from: 'dns', to: 'stack' },
      { from: 'stack', to: 'dns' }
    ]),
    ['dns', 'stack', 'dns']
  )
})
