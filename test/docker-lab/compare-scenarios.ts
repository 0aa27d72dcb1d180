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
    const sum = { passed: 0, failed: 0, skipped: 0 }

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
            context.diagnostic(`${name}: ${counts(result)}`)
            assert.equal(status, 0, stdout)
            assert.equal(result.failed, 0, stdout)
            assert.ok(result.passed > 0, `no step was compared:\n${stdout}`)
          } finally {
            give(lab)
          }
        })
      }
    })

    test('0 failed', (context) => {
      context.diagnostic(`${title}: ${counts(sum)}`)
      assert.ok(sum.passed > 0)
      assert.equal(sum.failed, 0)
    })
  })
}

function counts({ passed, failed, skipped }: { passed: number; failed: number; skipped: number }): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} steps skipped` : ''}`
}
