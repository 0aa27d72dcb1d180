// The crash tests at full length, after a build: rounds of random work with kill -9, and every crash point of the store.
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '200' }, seed: { type: 'string' } } })
if (!(Number(values.rounds) > 0)) throw new RangeError(`--rounds '${values.rounds}' is no number above 0`)
const seed = values.seed ?? String(Math.floor(Math.random() * 0x7fffffff))
console.log(`seed ${seed}`)
const env = { ...process.env, NETLOOM_CRASH_ROUNDS: values.rounds, NETLOOM_CRASH_SEED: seed, NETLOOM_CRASH_ALL: '1' }
const files = ['crash-random.slow', 'crash-points.slow'].map((name) => `dist/test/system/${name}.test.js`)
const args = ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files]
process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit', env }).status ?? 1
