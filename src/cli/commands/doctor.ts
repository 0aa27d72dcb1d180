/** `netloom doctor`: can this machine, and this user, run TAPs and sandboxes, and what to do where not. */
import type { Command } from 'commander'
import { defaultConfig } from '../../daemon/daemon-config.ts'
import { loadNative } from '../../io/load-native.ts'
import { findShim, findUplink } from '../../sandbox/shim-binary.ts'
import { ExitCode } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import type { Check, CheckStatus } from '../doctor/check.ts'
import { type Diagnosis, examine } from '../doctor/examine.ts'
import { thisMachine } from '../doctor/machine.ts'
import { Output } from '../output.ts'
import type { Style } from '../terminal.ts'

const MARKS: Readonly<Record<CheckStatus, { word: string; style: Style }>> = {
  ok: { word: 'OK  ', style: 'green' },
  warn: { word: 'WARN', style: 'yellow' },
  fail: { word: 'FAIL', style: 'red' }
}

/** Under a check's text: its mark, a space, and the width of the longest id. */
const ID_WIDTH = 16
const INDENT = ' '.repeat(4 + 2 + ID_WIDTH + 2)

export function registerDoctor(program: Command, context: CliContext): void {
  program
    .command('doctor')
    .description('check what this machine allows and what is missing')
    .helpGroup(CommandGroup.machine)
    .option('--json', 'print the checks as JSON')
    .option('--state-dir <dir>', 'of the daemon whose changes on this machine are listed')
    .addHelpText(
      'after',
      `
OK works; WARN costs speed or a convenience; FAIL stops TAP devices or sandboxes.
Exit code 0 when nothing failed, else 1. Run it as the user who will run netloom.`
    )
    .action((options: { json?: boolean; stateDir?: string }) => {
      const machine = thisMachine(context.env)
      const stateDirectory = options.stateDir ?? defaultConfig(context.env, machine.uid === 0)['state-dir']
      const diagnosis = examine(machine, { loadNative, findShim, findUplink }, stateDirectory)
      printDiagnosis(diagnosis, new Output(context.stdout, { json: options.json, env: context.env }))
      if (!diagnosis.healthy) context.exitCode = ExitCode.failed
    })
}

export function printDiagnosis(diagnosis: Diagnosis, output: Output): void {
  output.result(diagnosis)
  for (const check of diagnosis.checks) printCheck(check, output)
  const count = (status: CheckStatus) => diagnosis.checks.filter((check) => check.status === status).length
  output.line()
  const who = `for ${diagnosis.user}${diagnosis.root ? '' : ' (not root)'}`
  if (diagnosis.healthy) output.line(`netloom works here ${who}${count('warn') > 0 ? `; warnings: ${count('warn')}` : ''}`)
  else output.line(`TAP devices or sandboxes do not work here ${who}: ${count('fail')} failed. Virtual hosts work all the same.`)
}

function printCheck(check: Check, output: Output): void {
  const { word, style } = MARKS[check.status]
  const [first, ...rest] = check.detail.split('\n')
  output.line(`${output.style(style, word)}  ${check.id.padEnd(ID_WIDTH)}  ${first}`)
  for (const line of rest) output.line(`${INDENT}${line}`)
  for (const line of check.fix?.split('\n') ?? []) output.line(`${INDENT}${output.style('cyan', 'fix:')} ${line}`)
}
