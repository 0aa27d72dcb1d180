/**
 * Runs a scenario for many seeds in processes of their own: one that hangs or crashes is ended and counts as failed, and the next seed gets a
 * fresh process.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { CliError } from '../cli-error.ts'
import type { SeedError, SeedRequest, WorkerMessage } from './sim-worker.ts'

export interface ExploreOptions {
  /** Absolute path of the scenario's module. */
  readonly file: string
  readonly seeds: readonly (number | string)[]
  /** Processes at once. */
  readonly jobs: number
  /** For one seed, on this machine's clock. */
  readonly timeoutMs: number
  /** No more seeds are begun after one that failed. */
  readonly untilFailure: boolean
  readonly capture?: string | undefined
  /** Ends everything; what is done counts. */
  readonly signal: AbortSignal
  readonly onResult: (result: SeedResult) => void
}

export interface SeedResult {
  readonly seed: number | string
  readonly error: SeedError | null
}

const WORKER = fileURLToPath(new URL('./sim-worker.js', import.meta.url))

/** Resolves when all seeds are done, or the signal aborts. Rejects with CliError for a file that cannot be run. */
export async function exploreSeeds(options: ExploreOptions): Promise<void> {
  const { seeds, jobs, untilFailure, signal, onResult } = options
  let next = 0
  let hasFailed = false
  const work = async (): Promise<void> => {
    let worker: SeedWorker | null = null
    try {
      while (next < seeds.length && !signal.aborted && !(untilFailure && hasFailed)) {
        const seed = seeds[next++]
        worker ??= await SeedWorker.start(options.file, signal)
        const error = await worker.run({ seed, ...(options.capture !== undefined && { capture: options.capture }) }, options.timeoutMs)
        if (signal.aborted) return
        if (worker.isGone) worker = null
        hasFailed ||= error !== null
        onResult({ seed, error })
      }
    } finally {
      worker?.end()
    }
  }
  const results = await Promise.allSettled(Array.from({ length: Math.min(jobs, seeds.length) }, work))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined && !signal.aborted) throw failed.reason
}

class SeedWorker {
  isGone = false
  private readonly child: ChildProcess
  private tell: (message: WorkerMessage | null) => void = () => {}

  private constructor(file: string, signal: AbortSignal) {
    // What scenarios print goes to standard error: standard output is the result's.
    this.child = fork(WORKER, [file], { stdio: ['ignore', 2, 2, 'ipc'] })
    const kill = (): void => this.end()
    signal.addEventListener('abort', kill)
    this.child.on('message', (message: WorkerMessage) => this.tell(message))
    this.child.on('exit', () => {
      this.isGone = true
      signal.removeEventListener('abort', kill)
      this.tell(null)
    })
  }

  static async start(file: string, signal: AbortSignal): Promise<SeedWorker> {
    const worker = new SeedWorker(file, signal)
    const message = await worker.hear()
    if (message?.kind === 'ready') return worker
    worker.end()
    const why = message?.kind === 'unusable' ? message.message : 'its process ended'
    throw new CliError(`${file} cannot be run: ${why}`, { code: 'ERR_SCENARIO', fix: 'export async function scenario (lab) { ... }' })
  }

  /** null: it went well. */
  async run(request: SeedRequest, timeoutMs: number): Promise<SeedError | null> {
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.end()
    }, timeoutMs)
    const heard = this.hear()
    this.child.send(request)
    const message = await heard
    clearTimeout(timer)
    if (message?.kind === 'done') return message.error
    const text = late ? `it took longer than ${timeoutMs / 1000} s on this machine` : 'its process ended'
    return { name: 'Error', message: text, stack: '' }
  }

  /** At once: nothing is written to files that could be left half. */
  end(): void {
    if (!this.isGone) this.child.kill('SIGKILL')
  }

  private hear(): Promise<WorkerMessage | null> {
    if (this.isGone) return Promise.resolve(null)
    return new Promise((resolve) => {
      this.tell = resolve
    })
  }
}
