/** A fish script: one \`complete\` line for each command, option and set of choices, with its text. */
import { type CommandNode, flatten, type OptionNode } from './command-node.ts'

export function fishCompletion(program: CommandNode): string {
  const lines = flatten(program).flatMap((node) => [
    ...commandLines(node, program),
    ...choiceLines(node),
    ...node.options.map((option) => optionLine(node, option))
  ])
  return `# fish completion of netloom: netloom completion fish | source
complete -c netloom -f
${lines.join('\n')}
`
}

function commandLines(node: CommandNode, program: CommandNode): string[] {
  const listed = (node.namesCommands ? program : node).commands
  return listed.map((child) => `complete -c netloom ${condition(node)} -a ${child.path.at(-1)} -d ${quote(child.description)}`)
}

function choiceLines(node: CommandNode): string[] {
  return node.choices.length > 0 ? [`complete -c netloom ${condition(node)} -a ${quote(node.choices.join(' '))}`] : []
}

function optionLine(node: CommandNode, { flags, description, value, choices }: OptionNode): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(' ')
  // -x: the value is one of these, no file; -r -F: any file.
  const takes = choices.length > 0 ? ` -x -a ${quote(choices.join(' '))}` : value ? ' -r -F' : ''
  return `complete -c netloom ${condition(node)} ${names}${takes} -d ${quote(description)}`
}

/** True where the words so far name this command and none below it. */
function condition({ path, commands }: CommandNode): string {
  const here = path.map((name) => `__fish_seen_subcommand_from ${name}`)
  const below = commands.map((child) => child.path.at(-1)).join(' ')
  const notBelow = below === '' ? [] : [`not __fish_seen_subcommand_from ${below}`]
  return `-n ${quote([...here, ...notBelow].join('; and ') || 'true')}`
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
