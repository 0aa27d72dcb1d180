/**
 * A process that runs a scenario for the seeds that it is sent, one after the other: `sim-worker.js FILE`, with an IPC channel.
 */
import { pathToFileURL } from 'node:url'
import { runScenario, type Scenario } from '../../lab/testing/run-scenario.ts'

export interface SeedRequest {
  readonly seed: number | string
  readonly capture?: string
}

/** What a worker tells: that it is ready, that the file is none to run, or how a seed went. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unusable'; readonly message: string }
  | { readonly kind: 'done'; readonly error: SeedError | null }

export interface SeedError {
  readonly name: string
  readonly message: string
  readonly stack: string
}

async function load(file: string): Promise<Scenario> {
  const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>
  const scenario = module['scenario'] ?? module['default']
  if (typeof scenario !== 'function') throw new Error("it exports neither a function 'scenario' nor a default one")
  return scenario as Scenario
}

function tell(message: WorkerMessage): void {
  process.send?.(message)
}

async function run(scenario: Scenario, request: SeedRequest): Promise<void> {
  try {
    await runScenario(scenario, request)
    tell({ kind: 'done', error: null })
  } catch (error) {
    const { name = 'Error', message = String(error), stack = '' } = (error ?? {}) as Partial<Error>
    tell({ kind: 'done', error: { name, message, stack } })
  }
}

// Ctrl-C is for whoever started this process: he ends it, and knows what was done.
process.on('SIGINT', () => {})

try {
  const scenario = await load(process.argv[2])
  process.on('message', (request: SeedRequest) => run(scenario, request))
  tell({ kind: 'ready' })
} catch (error) {
  tell({ kind: 'unusable', message: (error as Error).message })
  process.disconnect()
}
