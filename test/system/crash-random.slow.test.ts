// kill -9 of the daemon at random moments of random work. All 200 rounds: npm run test:crash
import { after, before, describe, test } from 'node:test'
import { Random } from '../../src/engine/random.ts'
import { CrashLab } from '../crash/crash-lab.ts'
import { daemonMissing } from '../docker/daemon-process.ts'
import { fuzzSeed } from '../fuzz/fuzz-seed.ts'

/** With live restore, and as many without. */
const rounds = Number(process.env['NETLOOM_CRASH_ROUNDS'] ?? 10) / 2
const seed = process.env['NETLOOM_CRASH_SEED'] ?? String(fuzzSeed())

for (const liveRestore of [true, false]) {
  describe(`killed at random moments, live-restore ${liveRestore}, seed ${seed}`, { skip: daemonMissing('dig', 'ip', 'tar') }, () => {
    let lab: CrashLab
    before(async () => {
      lab = new CrashLab({ liveRestore })
      await lab.start()
    })
    after(() => lab.daemon.down())
    for (let round = 0; round < Math.ceil(rounds); round++) {
      test(`round ${round}`, async (context) => {
        // Each round draws from its own source, so that a round is known by seed and number.
        const random = new Random(`${seed}/${liveRestore}/${round}`)
        try {
          await lab.killDuring(random, 2 + random.below(5), 20 + random.below(1200))
          context.diagnostic(lab.summary())
          await lab.recover()
          if (round % 5 === 4) await lab.fillSmall()
        } catch (error) {
          context.diagnostic(`seed ${seed}, round ${round}\n${lab.told.join('\n')}\ndaemon: ${lab.daemon.log}`)
          throw error
        }
      })
    }
  })
}
