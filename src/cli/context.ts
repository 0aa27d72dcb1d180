/** What a command gets of the world around it. Tests make their own. */
import { CliError, ExitCode } from './cli-error.ts'
import type { TextStream } from './terminal.ts'

export interface CliContext {
  readonly stdout: TextStream
  readonly stderr: TextStream
  readonly env: NodeJS.ProcessEnv
  /** Set by a command that told its failure itself (a report with a FAIL in it). */
  exitCode: number
  /**
   * Aborted at the first Ctrl-C, SIGTERM or SIGHUP, so that the command can clean up; the second one ends the process. Until a
   * command asks for it, such a signal ends the process at once.
   */
  interruption(): AbortSignal
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export function processContext(): CliContext {
  let controller: AbortController | undefined
  const context: CliContext = {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    exitCode: ExitCode.ok,
    interruption() {
      if (controller) return controller.signal
      const created = new AbortController()
      controller = created
      const onSignal = (name: NodeJS.Signals) => {
        context.exitCode = ExitCode.interrupted
        created.abort(new CliError(`stopped by ${name}`, { code: 'ERR_INTERRUPTED', exitCode: ExitCode.interrupted }))
        // The default action is back for the next one.
        for (const signal of SIGNALS) process.removeListener(signal, onSignal)
      }
      for (const signal of SIGNALS) process.on(signal, onSignal)
      return created.signal
    }
  }
  return context
}
