// gateway.md says which tests show what the gateway promises: they exist, and hold what is quoted.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

/** The sources: this file runs as dist/test/gateway-table.test.js. */
const TESTS = path.resolve(import.meta.dirname, '../../test')

test('every test that the table names is there', () => {
  const rows = readFileSync(path.join(TESTS, 'gateway.md'), 'utf8')
    .split('\n')
    .filter((line) => /^\| .* \|$/.test(line) && !line.startsWith('| promise'))
  assert.ok(rows.length > 20)
  for (const row of rows) {
    const shown = row.split(' | ')[1]!
    for (const [, name, quotes = ''] of shown.matchAll(/`([^`]+)`((?:,? "[^"]+")*)/g)) {
      const file = ['test.ts', 'slow.test.ts'].map((ending) => path.join(TESTS, `${name}.${ending}`)).find(existsSync)
      const isScenario = existsSync(path.join(TESTS, 'oracle/scenarios', `${name}.scn`))
      assert.ok(isScenario || file !== undefined, `${name} is no test and no scenario`)
      for (const [, title] of quotes.matchAll(/"([^"]+)"/g)) assert.ok(readFileSync(file!, 'utf8').includes(title!), `${name}: ${title}`)
    }
  }
})
