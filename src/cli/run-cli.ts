/**
 * Runs one command line: parses it, runs the command, and turns whatever goes wrong into the two lines on stderr and the exit
 * code that every command shares.
 *
 *   netloom: unknown network 'front'
 *     fix: `netloom network ls` lists them
 */
import { type Command, CommanderError } from 'commander'
import { CliError, ExitCode } from './cli-error.ts'
import type { CliContext } from './context.ts'
import { commandOf, isDockerLike, normalizeArguments } from './docker/docker-arguments.ts'
import { isRefusal, REFUSED, refusalText } from './docker/docker-command.ts'
import { usageProblem } from './docker/usage-problem.ts'
import { explainError } from './explain-error.ts'
import { createProgram } from './program.ts'
import { hasColours, paint } from './terminal.ts'

/** `args` without the two of node. Resolves to the exit code and never rejects. */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  let program: Command | undefined
  try {
    program = createProgram(context)
    if (args.length === 0) {
      program.outputHelp({ error: true })
      return ExitCode.usage
    }
    await program.parseAsync(normalizeArguments(program, args), { from: 'user' })
    return context.exitCode
  } catch (error) {
    // Help and --version end the parse by an error that is none.
    if (error instanceof CommanderError && error.exitCode === 0) return ExitCode.ok
    // A group of commands without one of them: commander has printed the group's help.
    if (error instanceof CommanderError && error.code === 'commander.help') return ExitCode.usage
    const called = program === undefined ? undefined : calledCommand(program, args)
    const explained =
      called !== undefined && (called.isDockerLike || isRefusal(error)) ? asDocker(error, called) : explainError(error, called?.path)
    tellError(explained, isDebug(args, context.env), context)
    return context.exitCode === ExitCode.interrupted ? ExitCode.interrupted : explained.exitCode
  }
}

interface CalledCommand {
  readonly command: Command
  /** 'network create', for a hint at its help; undefined: none was named. */
  readonly path: string | undefined
  readonly isDockerLike: boolean
}

function calledCommand(program: Command, args: readonly string[]): CalledCommand {
  const { command } = commandOf(program, args)
  const path: string[] = []
  for (let at: Command | null = command; at !== null && at !== program; at = at.parent) path.unshift(at.name())
  return { command, path: path.length === 0 ? undefined : path.join(' '), isDockerLike: isDockerLike(command) }
}

/** What the daemon said is told in its own words, as Docker's client does; a wrong command line is told and ends as there. */
function asDocker(error: unknown, { command, path = '' }: CalledCommand): CliError {
  const explained = explainError(error, path)
  if (isRefusal(error)) return new CliError(refusalText(error), { code: explained.code, isPlain: true, cause: error })
  const usage = usageProblem(error, command, path)
  return usage === undefined
    ? explained
    : new CliError(usage.message, { code: 'ERR_USAGE', exitCode: usage.isFlag ? REFUSED : ExitCode.failed, isPlain: true, cause: error })
}

function tellError(error: CliError, debug: boolean, context: CliContext): void {
  if (error.isPlain) {
    context.stderr.write(`${error.message}\n`)
    if (!debug) return
  }
  const colours = hasColours(context.stderr, context.env)
  if (!error.isPlain) context.stderr.write(`${paint(colours, 'red', 'netloom:')} ${error.message}\n`)
  for (const line of error.fix?.split('\n') ?? []) context.stderr.write(`  ${paint(colours, 'cyan', 'fix:')} ${line}\n`)
  if (!debug) return
  for (let shown: unknown = error; shown instanceof Error; shown = shown.cause) context.stderr.write(`${shown.stack}\n`)
}

/** Read from the bare arguments, because it must also hold for those that cannot be parsed. What follows `--` is not ours. */
function isDebug(args: readonly string[], env: NodeJS.ProcessEnv): boolean {
  const end = args.indexOf('--')
  return args.slice(0, end === -1 ? args.length : end).includes('--debug') || env['NETLOOM_DEBUG'] === '1'
}
