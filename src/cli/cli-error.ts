/**
 * What a command ends with, and the error that carries it. A command throws a CliError (or any error: see explain-error.ts)
 * and never prints or exits itself.
 */
export const ExitCode = {
  ok: 0,
  /** The command was understood and did not succeed. */
  failed: 1,
  /** The command line itself was wrong. */
  usage: 2,
  /** Stopped by Ctrl-C, as shells count it: 128 + SIGINT. */
  interrupted: 130
} as const

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

export interface CliErrorOptions {
  /** For scripts (`--json` prints it): 'ERR_TUN_MISSING'. */
  readonly code: string
  /** What the user can do, as one line or several; a command when there is one. */
  readonly fix?: string | undefined
  /** Default `ExitCode.failed`. Docker's own commands have more: 125 to 127, and those of a container's process. */
  readonly exitCode?: number
  /** The message says all, and stands alone: what Docker's client would print. */
  readonly isPlain?: boolean
  /** The error behind it; shown with `--debug`. */
  readonly cause?: unknown
}

/** `message` says what was wrong, with the value, in one sentence without a full stop. */
export class CliError extends Error {
  readonly code: string
  readonly fix: string | undefined
  readonly exitCode: number
  readonly isPlain: boolean

  constructor(message: string, options: CliErrorOptions) {
    super(message, { cause: options.cause })
    this.name = 'CliError'
    this.code = options.code
    this.fix = options.fix
    this.exitCode = options.exitCode ?? ExitCode.failed
    this.isPlain = options.isPlain ?? false
  }
}

/** The command line was wrong: exit code 2. */
export function usageError(message: string, fix?: string): CliError {
  return new CliError(message, { code: 'ERR_USAGE', fix, exitCode: ExitCode.usage })
}
