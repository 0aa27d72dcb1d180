/**
 * A bash script: it walks the words so far down to the innermost command, then offers that command's sub-commands, options and
 * choices, or files for a value of no fixed kind. Needs bash only, not the bash-completion package.
 */
import { type CommandNode, flatten } from './command-node.ts'

export function bashCompletion(program: CommandNode): string {
  const nodes = flatten(program)
  return `# bash completion of netloom: source <(netloom completion bash)
_netloom() {
  local word="\${COMP_WORDS[COMP_CWORD]}" previous="" node="" index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "$node \${COMP_WORDS[index]}" in
${nodes
  .filter(({ path }) => path.length > 0)
  .map(descend)
  .join('\n')}
    esac
  done
  if ((COMP_CWORD > 1)); then previous="\${COMP_WORDS[COMP_CWORD - 1]}"; fi
  case "$node $previous" in
${nodes.flatMap(valueCases).join('\n')}
  esac
  local words=""
  case "$node" in
${nodes.map((node) => offer(node, program)).join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _netloom netloom
`
}

/** `node` is the path with a blank before each name, so that '' is the program. */
function key(path: readonly string[]): string {
  return path.map((name) => ` ${name}`).join('')
}

function descend({ path }: CommandNode): string {
  return `      ${quote(`${key(path.slice(0, -1))} ${path.at(-1)}`)}) node=${quote(key(path))} ;;`
}

function valueCases(node: CommandNode): string[] {
  return node.options
    .filter(({ value }) => value)
    .map(({ flags, choices }) => {
      const patterns = flags.map((flag) => quote(`${key(node.path)} ${flag}`)).join(' | ')
      // Without fixed choices nothing is offered, and \`-o default\` falls back to file names.
      return `    ${patterns}) mapfile -t COMPREPLY < <(compgen -W ${quote(choices.join(' '))} -- "$word"); return ;;`
    })
}

function offer(node: CommandNode, program: CommandNode): string {
  const names = (node.namesCommands ? program : node).commands.map(({ path }) => path.at(-1))
  const words = [...names, ...node.choices, ...node.options.flatMap(({ flags }) => flags)]
  return `    ${quote(key(node.path))}) words=${quote(words.join(' '))} ;;`
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
