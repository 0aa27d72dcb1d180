// The system benchmark in its quick form: each path that is installed here gives a figure, and nothing is left afterwards,
// whether it ends by itself, is interrupted or killed.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MARK } from '../../bench/system/bench-process.ts'
import type { SystemResult } from '../../bench/system/system-suite.ts'
import { namespacesMissing } from './test-namespace.ts'

const PROGRAM = fileURLToPath(new URL('../../bench/system/run-system.js', import.meta.url))

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [PROGRAM, '--quick', ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Command lines of processes that this benchmark started and that still run (zombies have no environment). */
function processesOf(bench: number): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
        return environment.includes(`${MARK}=${bench}`) ? [readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')] : []
      } catch {
        return []
      }
    })
}

function foldersOf(bench: number): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(`netloom-bench-${bench}-`))
}

/** Interfaces and named namespaces of the machine itself, which the benchmark must never touch. */
function machine(): string {
  return spawnSync('sh', ['-c', 'ip -o link show | cut -d: -f2; ip netns list'], { encoding: 'utf8' }).stdout
}

/** Death signals take a moment. */
async function assertNothingLeft(bench: number): Promise<void> {
  for (let attempt = 0; attempt < 200 && processesOf(bench).length > 0; attempt++) await sleep(25)
  assert.deepEqual(processesOf(bench), [])
}

describe('system benchmark', { skip: namespacesMissing('iperf3', 'ping', 'setpriv', 'ip', 'cc') }, () => {
  test('every path gives figures and leaves nothing', async () => {
    const before = machine()
    const folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
    try {
      const file = path.join(folder, 'result.json')
      const bench = start('--json', file)
      bench.stderr!.resume()
      assert.deepEqual(await once(bench, 'exit'), [0, null])
      await assertNothingLeft(bench.pid!)
      assert.deepEqual(foldersOf(bench.pid!), [])
      assert.equal(machine(), before)

      const result = JSON.parse(readFileSync(file, 'utf8')) as SystemResult
      assert.deepEqual(result.problems, [])
      assert.equal(result.rounds, 1)
      for (const { name, skipped } of result.cases) {
        if (skipped !== null) continue
        assert.ok(result.samples[name].tcp1[0]! > 0, `${name} moved no TCP`)
      }
      for (const name of ['netloom', 'c-forwarder', 'kernel-bridge']) {
        for (const [key, [value]] of Object.entries(result.samples[name])) {
          if (key === 'cpu-forwarder' && name === 'kernel-bridge') assert.equal(value, null)
          else assert.ok(value !== null && value >= 0, `${name} has no ${key}`)
        }
      }
      const [{ frames, inFile }] = result.captures['netloom-capture-128']
      assert.ok(frames > 0)
      assert.equal(inFile, frames)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    test(`${signal} in the middle leaves nothing`, async () => {
      const bench = start('--only', 'netloom,c-forwarder,kernel-bridge,vde', '--measure', 'ping')
      const exit = once(bench, 'exit')
      await Promise.race([once(bench.stderr!, 'data'), exit])
      assert.notEqual(processesOf(bench.pid!).length, 0)
      bench.kill(signal)
      assert.equal((await exit)[1], signal === 'SIGKILL' ? signal : null)
      await assertNothingLeft(bench.pid!)
      // Nobody is left who could remove them; they hold no process and no device.
      if (signal === 'SIGKILL') for (const name of foldersOf(bench.pid!)) rmSync(path.join(tmpdir(), name), { recursive: true })
      assert.deepEqual(foldersOf(bench.pid!), [])
    })
  }
})
