/** A wrong command line, told as Docker's client tells it. */
import { type Argument, type Command, CommanderError } from 'commander'
import { FlagError } from './flag-value.ts'

export interface UsageProblem {
  readonly message: string
  /** A flag was wrong (exit code 125), not the number of arguments (1). */
  readonly isFlag: boolean
}

/** `path`: 'network create'. undefined: the error is of another kind. */
export function usageProblem(error: unknown, command: Command, path: string): UsageProblem | undefined {
  const text = flagProblem(error)
  const usage = `Usage:  netloom ${path} ${usageOf(command)}`
  if (text !== undefined) return { isFlag: true, message: `${text}\n\n${usage}\n\nRun 'netloom ${path} --help' for more information` }
  if (!(error instanceof CommanderError) || !['commander.missingArgument', 'commander.excessArguments'].includes(error.code))
    return undefined
  const { count, isLeast } = wanted(command)
  const what = count === 0 ? 'accepts no arguments' : `requires ${isLeast ? 'at least ' : ''}${count} argument${count === 1 ? '' : 's'}`
  const message = `netloom: 'netloom ${path}' ${what}\n\n${usage}\n\n${isLeast ? 'See' : 'Run'} 'netloom ${path} --help' for more information`
  return { isFlag: false, message }
}

/** In pflag's words. */
function flagProblem(error: unknown): string | undefined {
  if (error instanceof FlagError) return error.message
  if (!(error instanceof CommanderError)) return undefined
  const flag = /option '([^']*)'/.exec(error.message)?.[1] ?? ''
  if (error.code === 'commander.optionMissingArgument') return `flag needs an argument: ${/--[\w-]+/.exec(flag)?.[0] ?? flag}`
  if (error.code !== 'commander.unknownOption') return undefined
  return flag.startsWith('--') ? `unknown flag: ${flag.replace(/=.*/s, '')}` : `unknown shorthand flag: '${flag[1]}' in ${flag}`
}

/** '[OPTIONS] NETWORK [NETWORK...]' */
function usageOf(command: Command): string {
  const words = command.registeredArguments.map((argument) => placeholder(argument))
  return ['[OPTIONS]', ...words].join(' ')
}

function placeholder(argument: Argument): string {
  // The words of a container's command have a name of their own there.
  const name = argument.name() === 'command' ? 'COMMAND' : argument.name().toUpperCase()
  if (!argument.variadic) return argument.required ? name : `[${name}]`
  if (name === 'COMMAND') return argument.required ? 'COMMAND [ARG...]' : '[COMMAND] [ARG...]'
  return argument.required ? `${name} [${name}...]` : `[${name}...]`
}

function wanted(command: Command): { count: number; isLeast: boolean } {
  const { registeredArguments: list } = command
  return { count: list.filter(({ required }) => required).length, isLeast: list.some(({ variadic }) => variadic) }
}
