// The crash tests at full length, after a build: rounds of random work with kill -9, and every crash point of the store.
//
//   node scripts/crash.mjs [--only rounds|points] [--rounds N] [--seed TEXT] [--from WRITE]
//
// A failure of the rounds is repeated with the seed that was printed; crash points go on from a write with --from.
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const FILES = { rounds: 'crash-random.slow', points: 'crash-points.slow' }

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string' },
    from: { type: 'string', default: '1' }
  }
})
for (const name of ['rounds', 'from']) {
  if (!(Number(values[name]) > 0)) throw new RangeError(`--${name} '${values[name]}' is no number above 0`)
}
if (values.only !== undefined && !Object.hasOwn(FILES, values.only))
  throw new RangeError(`--only '${values.only}' is neither rounds nor points`)
const seed = values.seed ?? String(Math.floor(Math.random() * 0x7fffffff))
console.log(`seed ${seed}`)
const env = {
  ...process.env,
  NETLOOM_CRASH_ROUNDS: values.rounds,
  NETLOOM_CRASH_SEED: seed,
  NETLOOM_CRASH_ALL: '1',
  NETLOOM_CRASH_FROM: values.from
}
const files = Object.entries(FILES).flatMap(([name, file]) => ((values.only ?? name) === name ? `dist/test/system/${file}.test.js` : []))
const args = ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files]
process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit', env }).status ?? 1
