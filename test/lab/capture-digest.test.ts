/**
 * The same bytes on any machine: what scenarios write is compared with digests that are kept in captures/labs.sha256, and were made
 * elsewhere. The captures name no version, host or system.
 *
 * A digest may be made anew (`npm test -- --only lab --update`) only when what a lab sends, draws or records was meant to change; say why
 * in the commit.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type Lab, readCapture } from '../../src/index.ts'
import { runScenario } from '../../src/testing.ts'
import { temporaryFolder } from '../capture/judge.ts'
import { everyLink, manyThings, troubled } from './sample-scenarios.ts'

const DIGESTS = path.resolve(import.meta.dirname, '../../../captures/labs.sha256')
const SCENARIOS: Readonly<Record<string, (lab: Lab) => Promise<void>>> = { manyThings, troubled, everyLink }

/** As sha256sum writes it, the scenario in place of a file. */
function kept(): Map<string, string> {
  const lines = readFileSync(DIGESTS, 'utf8').trim().split('\n')
  return new Map(lines.map((line) => line.split(/ +/)).map(([digest, name]) => [name!, digest!]))
}

test('scenarios write the captures whose digests are kept', async (t) => {
  const folder = temporaryFolder(t)
  const digests = new Map<string, string>()
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    const capture = path.join(folder, `${name}.pcapng`)
    await runScenario(scenario, { seed: 2026, description: name, capture })
    const bytes = readFileSync(capture)
    assert.ok([...readCapture(bytes)].length > 200, name)
    digests.set(name, createHash('sha256').update(bytes).digest('hex'))
  }
  if (process.env['NETLOOM_UPDATE'] === '1') {
    writeFileSync(DIGESTS, Array.from(digests, ([name, digest]) => `${digest}  ${name}\n`).join(''))
  }
  assert.deepEqual(digests, kept())
})
