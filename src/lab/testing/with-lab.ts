/**
 * A test's lab: under the virtual clock, with a seed that is told when the test fails, and closed whatever happens. It knows no test
 * runner: it is a function that gives a promise.
 *
 *     test('a name is found', () => withLab(async (lab) => { ... }))
 */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { freshSeed } from '../../engine/index.ts'
import { NetworkError } from '../../network/network-error.ts'
import { runScenario, type Scenario, type ScenarioOptions } from './run-scenario.ts'

export interface WithLabOptions extends Omit<ScenarioOptions, 'seed'> {
  /** Always this one, whatever NETLOOM_SEED says: for tests that count on what it draws. Default: NETLOOM_SEED, else a fresh one. */
  readonly seed?: number | string
  /** Runs the script so many times, each with a fresh seed, unless `seed` or NETLOOM_SEED name one; default 1. */
  readonly runs?: number
  /** Told of a failure; prints to standard error by default. */
  readonly print?: (line: string) => void
}

/** Gives the result of the last run. Rejects with the script's error. */
export function withLab<T>(script: Scenario<T>): Promise<T>
export function withLab<T>(options: WithLabOptions, script: Scenario<T>): Promise<T>
export async function withLab<T>(...given: [Scenario<T>] | [WithLabOptions, Scenario<T>]): Promise<T> {
  const [options, script] = given.length === 1 ? [{}, given[0]] : given
  const { seed, runs = 1, print = (line) => process.stderr.write(`${line}\n`), ...scenario } = options
  if (!Number.isInteger(runs) || runs < 1) throw new NetworkError('invalid', `runs: ${runs} is not a whole number from 1`)
  const caller = callerOf(new Error().stack ?? '')
  const named = seed ?? (process.env['NETLOOM_SEED'] || undefined)
  let result: T
  let run = 0
  do {
    const drawn = named ?? freshSeed()
    try {
      result = await runScenario(script, { ...scenario, seed: drawn })
    } catch (error) {
      print(
        `netloom: failed with seed ${drawn}; run it again by: ${seed === undefined ? `NETLOOM_SEED=${drawn} ` : ''}${commandFor(caller)}`
      )
      throw error
    }
  } while (++run < runs && named === undefined)
  return result
}

/** The test's file: the first of the stack that is not of this folder, which is called as source maps have it (vitest follows them). */
function callerOf(stack: string): string | null {
  const places = [...stack.matchAll(/\(?((?:file:\/\/)?\/[^()\s]*?):\d+:\d+\)?$/gm)].map(([, place]) => place)
  const files = places.map((place) => (place.startsWith('file://') ? fileURLToPath(place) : place))
  const caller = files.find((file) => path.dirname(file) !== path.dirname(files[0]))
  return caller === undefined ? null : path.relative(process.cwd(), caller)
}

/** What runs the file again, as far as it can be told: each runner leaves a mark in the environment. */
function commandFor(caller: string | null): string {
  const file = caller ?? process.argv[1] ?? ''
  if (process.env['VITEST'] !== undefined) return `npx vitest run ${file}`
  return process.env['NODE_TEST_CONTEXT'] === undefined ? `node ${file}` : `node --test ${file}`
}
