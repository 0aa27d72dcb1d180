/** `netloom sim FILE`: a scenario in virtual time, for one seed or many. */
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { ExitCode, usageError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { Output } from '../output.ts'
import type { SeedResult } from '../sim/explore-seeds.ts'
import { seedList } from '../sim/seed-list.ts'

interface SimOptions {
  readonly seed?: string
  readonly seeds?: number[]
  readonly jobs: number
  readonly timeout: number
  readonly untilFailure?: boolean
  readonly capture?: string
  readonly json?: boolean
}

const HELP = `
FILE is a JavaScript module that exports \`scenario(lab)\` (docs/testing.md). Its lab runs under the virtual clock.

  netloom sim lossy.js                        one run, with a fresh seed
  netloom sim lossy.js --seeds 1..1000        explores a thousand seeds; those that fail are told
  netloom sim lossy.js --seed 17 --capture 17.pcapng    one of them again, with a capture`

export function registerSim(program: Command, context: CliContext): void {
  program
    .command('sim')
    .description('run a scenario in virtual time, for one seed or many')
    .helpGroup(CommandGroup.run)
    .argument('<file>', 'a module that exports scenario(lab)')
    .option('--seed <seed>', 'run it for this seed alone')
    .option('--seeds <list>', 'explore seeds: 1..1000, or 3,5,10..20', seedList)
    .option('-j, --jobs <count>', 'processes at once', positive, availableParallelism())
    .option('--timeout <seconds>', 'how long one seed may take', positive, 60)
    .option('--until-failure', 'begin no more seeds after one that failed')
    .option('-w, --capture <file>', 'write the frames of the run to a file; with one seed')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', HELP)
    .action((file: string, options: SimOptions) => simulate(file, options, context))
}

async function simulate(file: string, options: SimOptions, context: CliContext): Promise<void> {
  if (options.seed !== undefined && options.seeds !== undefined) throw usageError('--seed and --seeds exclude each other')
  if (options.capture !== undefined && options.seeds !== undefined)
    throw usageError('--capture is for one seed', 'netloom sim FILE --seed N --capture FILE')
  const [{ exploreSeeds }, { freshSeed }] = await Promise.all([import('../sim/explore-seeds.ts'), import('../../engine/random.ts')])
  const output = new Output(context.stdout, { json: options.json, env: context.env })
  const seeds = options.seeds ?? [options.seed ?? freshSeed()]
  const signal = context.interruption()
  const begun = performance.now()
  const failed: SeedResult[] = []
  let done = 0
  const progress = seeds.length > 1 ? output.progress({ label: path.basename(file), total: seeds.length }) : null
  try {
    await exploreSeeds({
      file: path.resolve(file),
      seeds,
      jobs: options.jobs,
      timeoutMs: options.timeout * 1000,
      untilFailure: options.untilFailure ?? false,
      capture: options.capture === undefined ? undefined : path.resolve(options.capture),
      signal,
      onResult: (result) => {
        done++
        if (result.error !== null) failed.push(result)
        progress?.update(done, failed.length === 0 ? undefined : `${failed.length} failed`)
      }
    })
  } finally {
    if (done === seeds.length) progress?.finish()
    else progress?.abandon()
  }
  const again = (seed: number | string): string => `netloom sim ${file} --seed ${seed}`
  for (const { seed, error } of failed) {
    output.line(output.style('red', `seed ${seed} failed: ${error?.name}: ${error?.message}`))
    const [, ...trace] = error?.stack.split('\n    at ') ?? []
    if (trace.length > 0) output.line(`    at ${trace[0]}`)
    output.line(`  run it again: ${again(seed)}`)
  }
  const seconds = (performance.now() - begun) / 1000
  const stopped = done < seeds.length ? ` of ${seeds.length}` : ''
  output.line(
    `${done}${stopped} seed${seeds.length === 1 ? '' : 's'} run in ${seconds.toFixed(1)} s, ${failed.length} failed${done === 1 ? ` (seed ${seeds[0]})` : ''}`
  )
  output.result({
    file,
    seeds: seeds.length,
    done,
    failed: failed.map(({ seed, error }) => ({ seed, error: `${error?.name}: ${error?.message}`, command: again(seed) })),
    seconds
  })
  if (signal.aborted) throw signal.reason
  if (failed.length > 0) context.exitCode = ExitCode.failed
}

function positive(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new InvalidArgumentError('it must be a whole number from 1')
}
