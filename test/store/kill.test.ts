// kill -9 at any moment: what was acknowledged is there, and nothing by halves.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { Random } from '../../src/engine/random.ts'
import { parseCrashPoint } from '../../src/store/crashing-store.ts'
import { LmdbStore } from '../../src/store/lmdb-store.ts'

const WRITER = path.join(import.meta.dirname, 'writer-process.js')
const ROUNDS = 12
const folder = mkdtempSync(path.join(tmpdir(), 'netloom-store-kill-'))
after(() => rmSync(folder, { recursive: true }))

/** Runs a writer; `killAt` ends it when it has acknowledged that many writes. Resolves to the last number that it told. */
function runWriter(file: string, options: { killAt?: number; crash?: string }): Promise<number> {
  return new Promise((resolve, reject) => {
    const writer = spawn(process.execPath, [WRITER, file, options.crash ?? ''], { stdio: ['ignore', 'pipe', 'inherit'] })
    let told = ''
    let count = 0
    writer.stdout.setEncoding('utf8').on('data', (text: string) => {
      told += text
      count += text.split('\n').length - 1
      if (options.killAt !== undefined && count >= options.killAt) writer.kill('SIGKILL')
    })
    writer.on('error', reject)
    writer.on('close', (code, signal) => {
      if (signal !== 'SIGKILL') reject(new Error(`the writer ended with ${code ?? signal}`))
      else resolve(Number(told.trimEnd().split('\n').at(-1)))
    })
  })
}

async function check(file: string, acknowledged: number): Promise<number> {
  const store = LmdbStore.open(file)
  try {
    const left = store.get<number>('left') ?? 0
    assert.equal(store.get<number>('right') ?? 0, left, 'both halves of a write')
    const log = [...store.list<string>('log/')]
    assert.deepEqual(
      log.map(([key]) => Number(key.slice(4))),
      Array.from({ length: Math.min(20, left) }, (_, index) => Math.max(0, left - 20) + index + 1)
    )
    for (const [key, text] of log) assert.equal(text.length, (Number(key.slice(4)) * 37) % 5000)
    assert.ok(left >= acknowledged, `write ${acknowledged} was acknowledged and ${left} is the last that is there`)
    return left
  } finally {
    await store.close()
  }
}

test(`${ROUNDS} kills at random moments on one file`, async () => {
  const file = path.join(folder, 'random.mdb')
  const random = new Random('kill')
  for (let round = 0; round < ROUNDS; round++) await check(file, await runWriter(file, { killAt: 1 + random.below(120) }))
})

test('the crash hook: before a write it is not there, after it is, and nobody has heard of it either way', async () => {
  const before = path.join(folder, 'before.mdb')
  assert.equal(await runWriter(before, { crash: 'before:4' }), 3)
  assert.equal(await check(before, 3), 3)
  const afterwards = path.join(folder, 'after.mdb')
  assert.equal(await runWriter(afterwards, { crash: 'after:4' }), 3)
  assert.equal(await check(afterwards, 3), 4)
})

test('a crash point is before:N or after:N', () => {
  assert.equal(parseCrashPoint(undefined), undefined)
  assert.equal(parseCrashPoint(''), undefined)
  assert.deepEqual(parseCrashPoint('after:12'), { when: 'after', write: 12 })
  for (const bad of ['after', 'after:0', 'during:1', 'before:-1', 'before:1x']) assert.throws(() => parseCrashPoint(bad), RangeError)
})
