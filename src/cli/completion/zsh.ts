/** A zsh script in the manner of compdef: one function, a case for each command, \`_describe\` for sub-commands with their texts. */
import { type CommandNode, flatten, type OptionNode } from './command-node.ts'

export function zshCompletion(program: CommandNode): string {
  return `#compdef netloom
# zsh completion of netloom: source <(netloom completion zsh)
_netloom() {
  local node="" index
  local -a commands
  for ((index = 2; index < CURRENT; index++)); do
    case "$node \${words[index]}" in
${flatten(program)
  .filter(({ path }) => path.length > 0)
  .map(({ path }) => `      ${quote(`${key(path.slice(0, -1))} ${path.at(-1)}`)}) node=${quote(key(path))} ;;`)
  .join('\n')}
    esac
  done
  case "$node" in
${flatten(program)
  .map((node) => offer(node, program))
  .join('\n')}
  esac
}
if [ "$funcstack[1]" = _netloom ]; then _netloom "$@"; else compdef _netloom netloom; fi
`
}

/** The path with a blank before each name, so that '' is the program. */
function key(path: readonly string[]): string {
  return path.map((name) => ` ${name}`).join('')
}

function offer(node: CommandNode, program: CommandNode): string {
  const listed = (node.namesCommands ? program : node).commands
  const described = listed.map(({ path, description }) => quote(`${path.at(-1)}:${description.replaceAll(':', '\\:')}`))
  const commands = described.length > 0 ? `commands=(${described.join(' ')}); _describe command commands` : ''
  const choices = node.choices.length > 0 ? `compadd -- ${node.choices.join(' ')}` : ''
  const values = node.options.filter(({ value }) => value).map(valueCase)
  const flags = node.options.flatMap((option) => option.flags).join(' ')
  const words = [commands, choices].filter((line) => line !== '').join('; ') || '_default'
  const otherwise = `if [[ $words[CURRENT] == -* ]]; then compadd -- ${flags}; else ${words}; fi`
  if (values.length === 0) return `    ${quote(key(node.path))}) ${otherwise} ;;`
  return `    ${quote(key(node.path))}) case "$words[CURRENT - 1]" in ${values.join(' ')} *) ${otherwise} ;; esac ;;`
}

function valueCase({ flags, choices }: OptionNode): string {
  return `${flags.join(' | ')}) ${choices.length > 0 ? `compadd -- ${choices.join(' ')}` : '_files'} ;;`
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
