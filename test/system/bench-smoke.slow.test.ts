// The system benchmark in its quick form: each path that is installed here gives a figure, and nothing is left afterwards,
// whether it ends by itself, is interrupted or killed.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Metric } from '../../bench/bench-suite.ts'
import { MARK } from '../../bench/system/bench-process.ts'
import { measures } from '../../bench/system/measures.ts'
import { cases } from '../../bench/system/system-suite.ts'
import { namespacesMissing } from './test-namespace.ts'

const PROGRAM = fileURLToPath(new URL('../../bench/run.js', import.meta.url))

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [PROGRAM, '--suite', 'system', '--quick', ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
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

/** Interfaces of the machine itself, which the benchmark must never touch. */
function machine(): string {
  return spawnSync('sh', ['-c', 'ip -o link show | cut -d: -f2'], { encoding: 'utf8' }).stdout
}

/** Death signals take a moment. */
async function assertNothingLeft(bench: number): Promise<void> {
  for (let attempt = 0; attempt < 2400 && processesOf(bench).length > 0; attempt++) await sleep(25)
  assert.deepEqual(processesOf(bench), [])
}

describe('system benchmark', { skip: namespacesMissing('iperf3', 'ping', 'setpriv', 'ip', 'cc') }, () => {
  test('every path gives figures and leaves nothing', async () => {
    const before = machine()
    const folder = mkdtempSync(path.join(tmpdir(), 'netloom-test-'))
    try {
      const file = path.join(folder, 'result.json')
      const bench = start('--json', file, '--svg', path.join(folder, 'result.svg'))
      const errors = text(bench.stderr!)
      const [code, signal] = await once(bench, 'exit')
      assert.equal(signal, null)
      // A trial of somebody else's program may fail on a busy machine; the bench then says which, and ends with 1.
      const failed = [...(await errors).matchAll(/^round \d+, \S+ of (\S+):/gm)].map(([, pathName]) => pathName)
      assert.deepEqual(
        failed.filter((pathName) => pathName.startsWith('netloom')),
        [],
        await errors
      )
      assert.equal(code, failed.length > 0 ? 1 : 0, await errors)
      await assertNothingLeft(bench.pid!)
      assert.deepEqual(foldersOf(bench.pid!), [])
      assert.equal(machine(), before)

      const { metrics } = JSON.parse(readFileSync(file, 'utf8')) as { metrics: Metric[] }
      const figure = (name: string): number | undefined => metrics.find((metric) => metric.name === name)?.samples[0]
      for (const pathCase of cases.filter(({ name, missing }) => missing() === null && !failed.includes(name))) {
        assert.ok(figure(`${pathCase.name}: tcp1`)! > 0, `${pathCase.name} moved no TCP`)
      }
      for (const name of ['netloom', 'c-forwarder', 'kernel-bridge'].filter((each) => !failed.includes(each))) {
        for (const { key } of measures.filter(({ key }) => key !== 'captured')) {
          const value = figure(`${name}: ${key}`)
          if (key === 'cpu-forwarder' && name === 'kernel-bridge') assert.equal(value, undefined)
          else assert.ok(value !== undefined && value >= 0, `${name} has no ${key}`)
        }
      }
      assert.ok(figure('netloom-capture-128: captured')! > 0)
      assert.match(readFileSync(path.join(folder, 'result.svg'), 'utf8'), /^<svg/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    test(`${signal} in the middle leaves nothing`, async () => {
      // What it has by then is written at SIGINT: not over the results that are kept.
      const bench = start('--only', 'netloom,c-forwarder,kernel-bridge,vde', '--json', '/dev/null', '--svg', '/dev/null')
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
