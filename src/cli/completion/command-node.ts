/** The tree of commands as completion scripts need it, read off commander, so that it cannot fall behind. */
import type { Command, Option } from 'commander'

export interface OptionNode {
  /** '--json', '-V'. */
  readonly flags: readonly string[]
  readonly description: string
  /** It takes a value. */
  readonly value: boolean
  readonly choices: readonly string[]
}

export interface CommandNode {
  /** From the program down: ['network', 'create']; empty for the program. */
  readonly path: readonly string[]
  readonly description: string
  readonly commands: readonly CommandNode[]
  /** Its own and those that hold everywhere. */
  readonly options: readonly OptionNode[]
  /** What its first argument may be: names, when they are fixed. */
  readonly choices: readonly string[]
  /** The argument names commands, as that of `help`. */
  readonly namesCommands: boolean
}

export function describeCommands(program: Command): CommandNode {
  return describe(program, [], program)
}

function describe(command: Command, path: readonly string[], program: Command): CommandNode {
  const inherited = command === program ? [] : program.options.filter(({ long }) => long === '--debug')
  const help = { flags: ['-h', '--help'], description: 'print the help of this command', value: false, choices: [] }
  return {
    path,
    description: command.description(),
    commands: visible(command).map((child) => describe(child, [...path, child.name()], program)),
    options: [...[...command.options, ...inherited].filter(({ hidden }) => !hidden).map(describeOption), help],
    choices: command.registeredArguments[0]?.argChoices ?? [],
    namesCommands: command.registeredArguments[0]?.name() === 'command'
  }
}

/** Commander's own view of what its help lists: leaves hidden commands out. */
function visible(command: Command): readonly Command[] {
  return command.createHelp().visibleCommands(command)
}

function describeOption(option: Option): OptionNode {
  return {
    flags: [option.short, option.long].filter((flag) => flag !== undefined),
    description: option.description,
    value: option.required || option.optional,
    choices: option.argChoices ?? []
  }
}

/** The node and all below it, parents first. */
export function flatten(node: CommandNode): CommandNode[] {
  return [node, ...node.commands.flatMap(flatten)]
}
