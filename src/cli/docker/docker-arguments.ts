/**
 * Docker's way with a command line, for a parser that has another: options end at the first operand of `run`, `create` and `exec`
 * (what follows is the container's command), and a flag takes a value only after an equals sign (`--rm=false`).
 */
import type { Command, Option } from 'commander'
import { booleanOf, FlagError } from './flag-value.ts'

const endsAtOperand = new WeakSet<Command>()
const dockerLike = new WeakSet<Command>()
const takesFlagValues = new WeakSet<Command>()

/** Options of this command end at its first operand. */
export function endOptionsAtOperand(command: Command): Command {
  endsAtOperand.add(command)
  return command
}

/** The command takes flags with values, and ends as Docker's does when its command line is wrong. */
export function markDockerLike(command: Command): Command {
  dockerLike.add(command)
  return takeFlagValues(command)
}

/** A command of our own that is also one of Docker's: it takes flags with values. */
export function takeFlagValues(command: Command): Command {
  takesFlagValues.add(command)
  return command
}

/** The innermost command that the words name. */
export function commandOf(program: Command, args: readonly string[]): { command: Command; depth: number } {
  let command = program
  let depth = 0
  for (const word of args) {
    const next = command.commands.find((child) => child.name() === word || child.aliases().includes(word))
    if (next === undefined) break
    command = next
    depth++
  }
  return { command, depth }
}

export function isDockerLike(command: Command): boolean {
  return dockerLike.has(command)
}

/** The same command line in the form that commander reads. */
export function normalizeArguments(program: Command, args: readonly string[]): string[] {
  const { command, depth } = commandOf(program, args)
  if (!takesFlagValues.has(command)) return [...args]
  const result = args.slice(0, depth)
  for (let at = depth; at < args.length; at++) {
    const word = args[at]!
    if (word === '--') return [...result, ...args.slice(at)]
    if (!word.startsWith('-') || word === '-') {
      if (endsAtOperand.has(command)) return [...result, '--', ...args.slice(at)]
      result.push(word)
      continue
    }
    const flag = flagWithValue(command, word)
    if (flag !== undefined) {
      result.push(...flag)
      continue
    }
    result.push(word)
    if (takesNextWord(command, word) && at + 1 < args.length) result.push(args[++at]!)
  }
  return result
}

/** FlagError for a value that is not a truth value. `--rm=true` is `--rm`, and `--rm=false` is nothing, or `--no-rm` where there is that. undefined: no flag with a value. */
function flagWithValue(command: Command, word: string): string[] | undefined {
  const [, flag, value] = /^(--[^=]+|-[^=])=(.*)$/s.exec(word) ?? []
  const option = flag === undefined ? undefined : find(command, flag)
  if (option === undefined || takesValue(option)) return undefined
  const isSet = booleanOf(value!)
  if (isSet === undefined) throw new FlagError(value!, option.flags, `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`)
  if (isSet) return [flag!]
  const opposite = `--no-${option.long?.slice(2)}`
  return find(command, opposite) === undefined ? [] : [opposite]
}

/** `-e`, `-ite` and `--env` are followed by a value, `-eX` and `--env=X` have it. */
function takesNextWord(command: Command, word: string): boolean {
  if (word.startsWith('--')) return !word.includes('=') && takesValue(find(command, word))
  for (let at = 1; at < word.length; at++) {
    if (takesValue(find(command, `-${word[at]}`))) return at === word.length - 1
  }
  return false
}

function find(command: Command, flag: string): Option | undefined {
  return command.options.find((option) => option.short === flag || option.long === flag)
}

function takesValue(option: Option | undefined): boolean {
  return option?.required === true
}
