/** `netloom sim`, as a process: seeds explored, failing ones told and run again. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { readCapture } from '../../src/index.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-sim-'))
after(() => rmSync(folder, { recursive: true }))

function scenario(name: string, text: string): string {
  const file = path.join(folder, name)
  writeFileSync(file, text)
  return file
}

function sim(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['bin/netloom.js', 'sim', ...args], { encoding: 'utf8', timeout: 180_000 })
}

/** Fails for the seeds that draw a loss: which, nobody can know but by running. */
const LOSSY = scenario(
  'lossy.mjs',
  `export async function scenario (lab) {
     const lan = await lab.network('lan')
     const a = await lan.host('a', { link: 'loss 30%' })
     const b = await lan.host('b')
     const { received } = await a.ping(b.address, { count: 1 })
     if (received !== 1) throw new Error('no answer')
   }`
)

test('seeds are explored, the failing ones told, and each fails again alone, with the same frames', () => {
  const { status, stdout } = sim(LOSSY, '--seeds', '1..12', '--json', '--jobs', '2')
  const { done, failed } = JSON.parse(stdout) as { done: number; failed: { seed: number; error: string; command: string }[] }
  assert.deepEqual([status, done], [1, 12])
  assert.ok(failed.length > 0 && failed.length < 12, `${failed.length} failed`)
  const [{ seed, error, command }] = failed
  assert.equal(error, 'Error: no answer')
  assert.equal(command, `netloom sim ${LOSSY} --seed ${seed}`)
  const captures = ['one', 'two'].map((name) => path.join(folder, `${name}.pcapng`))
  for (const capture of captures) {
    const again = sim(LOSSY, '--seed', String(seed), '--capture', capture)
    assert.equal(again.status, 1)
    assert.ok(again.stdout.includes(`seed ${seed} failed: Error: no answer\n`))
    assert.ok(again.stdout.includes(`run it again: ${command}\n`))
  }
  assert.ok([...readCapture(readFileSync(captures[0]))].length > 0)
  assert.deepEqual(readFileSync(captures[0]), readFileSync(captures[1]))
})

test('a scenario that hangs or ends its process is a failed seed, and the others go on', () => {
  const file = scenario(
    'bad.mjs',
    `export default async (lab) => {
       if (lab.seed === 1) for (;;);
       if (lab.seed === 2) process.exit(3)
       console.log('well')
     }`
  )
  const { status, stdout } = sim(file, '--seeds', '1..3', '--timeout', '1', '--json', '--jobs', '1')
  const { done, failed } = JSON.parse(stdout) as { done: number; failed: { seed: number; error: string }[] }
  assert.deepEqual([status, done], [1, 3])
  assert.deepEqual(
    failed.map(({ error }) => error),
    ['Error: it took longer than 1 s on this machine', 'Error: its process ended']
  )
})

test('what cannot be run is refused', () => {
  const none = sim(scenario('none.mjs', 'export const answer = 42'))
  assert.equal(none.status, 1)
  assert.match(none.stderr, /none\.mjs cannot be run: it exports neither a function 'scenario' nor a default one/)
  assert.equal(sim(LOSSY, '--seeds', '5..1').status, 2)
  assert.equal(sim(LOSSY, '--seeds', '1..2', '--seed', '1').status, 2)
})
