// One test for each scenario, over several labs at once: scenarios mostly wait (for pings that get no answer, for retries).
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DockerLab, daemonKind, labMissing, ORACLE } from './docker-lab.ts'
import { ON_HOST } from './oracle-scenarios.ts'

export interface ScenarioList {
  title: string
  /** Directory with scenarios/ and transcripts/. */
  base: string
  names: readonly string[]
  leftOut?: Readonly<Record<string, string>>
}

/** Three labs: two cores are kept busy while one scenario waits. */
const LABS = 3

export function compareScenarios({ title, base, names, leftOut = {} }: ScenarioList): void {
  describe(title, { skip: labMissing() }, () => {
    const sum = { passed: 0, failed: 0, skipped: 0, unmasked: 0 }

    describe('scenarios', { concurrency: LABS }, () => {
      const labs: DockerLab[] = []
      const free: DockerLab[] = []
      const waiting: ((lab: DockerLab) => void)[] = []

      before(async () => {
        for (let index = 0; index < LABS; index++) labs.push(new DockerLab('cmp', daemonKind()))
        // As the recorded daemon ran: its default, not ours.
        for (const lab of labs) lab.daemonEnvironment['NETLOOM_DAEMON_ARGS'] = '--live-restore=false'
        for (const result of await Promise.allSettled(labs.map((lab) => lab.up()))) if (result.status === 'rejected') throw result.reason
        free.push(...labs)
      })
      after(() => {
        for (const lab of labs) lab.down()
      })
      const take = (): Promise<DockerLab> => {
        const lab = free.pop()
        return lab === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(lab)
      }
      const give = (lab: DockerLab): void => {
        const next = waiting.shift()
        if (next === undefined) free.push(lab)
        else next(lab)
      }

      for (const name of names) {
        test(name, { skip: leftOut[name] ?? false }, async (context) => {
          const lab = await take()
          try {
            const environment: Record<string, string> = ON_HOST.has(name) ? { ORACLE_HOST: `nsenter --net=/run/netns/${lab.prefix}1` } : {}
            const { status, stdout, stderr } = await lab.run(path.join(ORACLE, 'compare'), ['--base', base, name], environment)
            const last = /^(\d+) passed, (\d+) failed$/m.exec(stdout)
            assert.ok(last, `compare did not finish:\n${stdout}${stderr}${lab.logEnd()}`)
            const result = {
              passed: Number(last[1]),
              failed: Number(last[2]),
              skipped: Number(/^(\d+) steps skipped/m.exec(stdout)?.[1] ?? 0)
            }
            sum.passed += result.passed
            sum.failed += result.failed
            sum.skipped += result.skipped
            const unmasked = queueLengthsOnly(stdout)
            context.diagnostic(
              `${name}: ${counts(result)}${unmasked > 0 ? `, ${unmasked} of them by the length of a TAP's queue alone` : ''}`
            )
            sum.unmasked += unmasked
            assert.equal(result.failed - unmasked, 0, stdout)
            assert.equal(status, result.failed > 0 ? 1 : 0, stdout)
            assert.ok(result.passed > 0, `no step was compared:\n${stdout}`)
          } finally {
            give(lab)
          }
        })
      }
    })

    test('0 failed', (context) => {
      context.diagnostic(`${title}: ${counts(sum)}; ${sum.unmasked} of the failed by the length of a TAP's queue alone`)
      assert.ok(sum.passed > 0)
      assert.equal(sum.failed - sum.unmasked, 0)
    })
  })
}

/**
 * Steps that differ in nothing but an interface's txqueuelen. The oracle means to mask it (a TAP has a queue, a veth has none, and a
 * TAP without one drops every frame), but its mask looks for the interface's name before it, and a step that sorts lines has it after.
 */
function queueLengthsOnly(stdout: string): number {
  const changed = (block: string, sign: string): string =>
    block
      .split('\n')
      .filter((line) => line.startsWith(sign) && !line.startsWith(sign.repeat(3)))
      .map((line) => line.slice(1).replace(/txqueuelen:\d+/, 'txqueuelen:<q>'))
      .join('\n')
  const blocks = stdout.split(/^(?=FAIL \S+ +step )/m).filter((block) => block.startsWith('FAIL ') && block.includes(' step '))
  return blocks.filter((block) => block.includes('txqueuelen') && changed(block, '-') === changed(block, '+')).length
}

function counts({ passed, failed, skipped }: { passed: number; failed: number; skipped: number }): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} steps skipped` : ''}`
}
