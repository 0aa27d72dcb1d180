/** `netloom help [COMMAND...]`: commander's own takes one level only and answers an unknown command with the whole help. */
import type { Command } from 'commander'
import { CommandGroup } from '../command-group.ts'

export function registerHelp(program: Command): void {
  program
    .command('help')
    .argument('[command...]', 'the command, with its sub-command if it has one')
    .description('print the help of a command')
    .helpGroup(CommandGroup.machine)
    .action(async (names: string[]) => {
      let found = program
      for (const name of names) {
        const next = found.commands.find((command) => command.name() === name || command.aliases().includes(name))
        // Parsing the unknown name gives the same error, with the same suggestion, as running it.
        if (!next) return void (await program.parseAsync([...names.slice(0, names.indexOf(name)), name], { from: 'user' }))
        found = next
      }
      found.outputHelp()
    })
}
