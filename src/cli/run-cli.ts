/**
 * Runs one command line: parses it, runs the command, and turns whatever goes wrong into the two lines on stderr and the exit
 * code that every command shares.
 *
 *   netloom: unknown network 'front'
 *     fix: `netloom network ls` lists them
 */
import { type Command, CommanderError } from 'commander'
import { type CliError, ExitCode } from './cli-error.ts'
import type { CliContext } from './context.ts'
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
    await program.parseAsync([...args], { from: 'user' })
    return context.exitCode
  } catch (error) {
    // Help and --version end the parse by an error that is none.
    if (error instanceof CommanderError && error.exitCode === 0) return ExitCode.ok
    // A group of commands without one of them: commander has printed the group's help.
    if (error instanceof CommanderError && error.code === 'commander.help') return ExitCode.usage
    const explained = explainError(error, program?.commands.find((command) => command.name() === args[0])?.name())
    tellError(explained, isDebug(args, context.env), context)
    return context.exitCode === ExitCode.interrupted ? ExitCode.interrupted : explained.exitCode
  }
}

function tellError(error: CliError, debug: boolean, context: CliContext): void {
  const colours = hasColours(context.stderr, context.env)
  context.stderr.write(`${paint(colours, 'red', 'netloom:')} ${error.message}\n`)
  for (const line of error.fix?.split('\n') ?? []) context.stderr.write(`  ${paint(colours, 'cyan', 'fix:')} ${line}\n`)
  if (!debug) return
  for (let shown: unknown = error; shown instanceof Error; shown = shown.cause) context.stderr.write(`${shown.stack}\n`)
}

/** Read from the bare arguments, because it must also hold for those that cannot be parsed. What follows `--` is not ours. */
function isDebug(args: readonly string[], env: NodeJS.ProcessEnv): boolean {
  const end = args.indexOf('--')
  return args.slice(0, end === -1 ? args.length : end).includes('--debug') || env['NETLOOM_DEBUG'] === '1'
}
