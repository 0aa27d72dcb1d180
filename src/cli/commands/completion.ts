/** `netloom completion SHELL`: prints a script that completes commands, options and choices with the Tab key. */
import { Argument, type Command } from 'commander'
import { CommandGroup } from '../command-group.ts'
import { bashCompletion } from '../completion/bash.ts'
import { describeCommands } from '../completion/command-node.ts'
import { fishCompletion } from '../completion/fish.ts'
import { zshCompletion } from '../completion/zsh.ts'
import type { CliContext } from '../context.ts'

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const

export function registerCompletion(program: Command, context: CliContext): void {
  program
    .command('completion')
    .description('print a script that completes commands with the Tab key')
    .helpGroup(CommandGroup.machine)
    .addArgument(new Argument('<shell>', 'the shell that will read it').choices(Object.keys(SHELLS)))
    .addHelpText(
      'after',
      `
For this shell only, or for every new one:
  bash   source <(netloom completion bash)
         netloom completion bash > ~/.local/share/bash-completion/completions/netloom
  zsh    source <(netloom completion zsh)
         netloom completion zsh > ~/.zsh/_netloom      (a folder of your fpath)
  fish   netloom completion fish | source
         netloom completion fish > ~/.config/fish/completions/netloom.fish`
    )
    .action((shell: keyof typeof SHELLS) => {
      context.stdout.write(SHELLS[shell](describeCommands(program)))
    })
}
