// The daemon kills itself before, and after, each write to its store. All points: npm run test:crash
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Random } from '../../src/engine/random.ts'
import { CrashLab } from '../crash/crash-lab.ts'
import { EVERY_OPERATION } from '../crash/every-operation.ts'
import { daemonMissing } from '../docker/daemon-process.ts'
import { fuzzSeed } from '../fuzz/fuzz-seed.ts'

/** Every which write is tried; which of them is the seed's choice. */
const stride = process.env['NETLOOM_CRASH_ALL'] === '1' ? 1 : 4
/** All points from this one on. */
const from = process.env['NETLOOM_CRASH_FROM']
const seed = process.env['NETLOOM_CRASH_SEED'] ?? String(fuzzSeed())
/** More than there are: the daemon's living says where they end. */
const MOST_WRITES = 500

describe(`killed around writes, seed ${seed}`, { skip: daemonMissing('dig', 'ip', 'tar'), concurrency: 2 }, () => {
  for (const when of ['before', 'after']) {
    test(`${when} every write`, async (context) => {
      const first = from === undefined ? 1 + new Random(`${seed}/${when}`).below(stride) : Number(from)
      let tried = 0
      for (let write = first; write <= MOST_WRITES; write += stride) {
        const liveRestore = Math.floor((write - 1) / stride) % 2 === 0
        const hasDied = await dieAndRecover(`${when}:${write}`, liveRestore, (text) => context.diagnostic(text))
        if (!hasDied) break
        tried++
      }
      context.diagnostic(`${tried} crash points`)
      if (first > stride) return
      assert.ok(tried * stride >= EVERY_OPERATION.length - stride, `only ${tried} crash points: the operations did not happen`)
    })
  }
})

async function dieAndRecover(point: string, liveRestore: boolean, report: (text: string) => void): Promise<boolean> {
  const lab = new CrashLab({ liveRestore })
  try {
    const hasDied = await lab.dieAt(point, EVERY_OPERATION)
    if (hasDied) await lab.recover({ twice: false })
    return hasDied
  } catch (error) {
    report(`NETLOOM_CRASH=${point}, live-restore ${liveRestore}\n${lab.told.join('\n')}\ndaemon: ${lab.daemon.log}`)
    throw error
  } finally {
    await lab.daemon.down()
  }
}
