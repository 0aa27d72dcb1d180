import { freshSeed } from '../../src/engine/random.ts'

/** Any will do; what a run of all tests says of a change must not depend on a draw. */
const SAME = 2026

/** The seed of a random test: NETLOOM_FUZZ_SEED, else a new one in the long runs, which are there to find something, else always the same. */
export function fuzzSeed(env: NodeJS.ProcessEnv = process.env): number {
  const named = env['NETLOOM_FUZZ_SEED']
  if (named !== undefined && named !== '') return Number(named)
  return env['NETLOOM_FUZZ'] === 'long' ? freshSeed() : SAME
}
