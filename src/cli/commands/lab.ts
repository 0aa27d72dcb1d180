/** `netloom up`, `netloom down` and `netloom lab ...`: labs of Compose files. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { LabView } from '../../emulation/lab-view.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { findLab, type LabOptions, labFileName, labsFolder, readLab, withLabOptions } from '../lab/lab-options.ts'
import { printLab } from '../lab/print-lab.ts'
import type { LabReport } from '../lab/run-lab.ts'
import { Output } from '../output.ts'
import type { Progress } from '../progress.ts'

interface UpOptions extends LabOptions {
  readonly detach?: boolean
  /** Set in the process that `-d` leaves behind. */
  readonly report?: number
}

/** More than containers have by default to end, twice. */
const DOWN_SECONDS = 40

const UP_HELP = `
FILE is netloom.yaml or compose.yaml of this folder unless another one is named: a Compose file, with x-netloom for what Compose
lacks (docs/labs.md). It runs until Ctrl-C or \`netloom down\`. Each host has a socket of its own:

  netloom up -d examples/macvlan/compose.yaml
  docker -H unix:///run/netloom/labs/macvlan/host2.sock network ls`

export function registerLab(program: Command, context: CliContext): void {
  withLabOptions(program.command('up'))
    .description('run the hosts, networks and services of a lab file')
    .helpGroup(CommandGroup.lab)
    .argument('[file]')
    .option('-d, --detach', 'leave it running in the background')
    .addOption(new Option('--report <fd>', 'where a background process tells how far it is').argParser(Number).hideHelp())
    .addHelpText('after', UP_HELP)
    .action((file: string | undefined, options: UpOptions) => up(labFileName(file), options, context))

  withLabOptions(program.command('down'))
    .description('end a lab, also one whose process was killed, and remove what it made')
    .helpGroup(CommandGroup.lab)
    .argument('[lab]', 'its name, or its file')
    .option('-t, --timeout <seconds>', 'how long its process may take', seconds, DOWN_SECONDS)
    .action(async (file: string | undefined, options: LabOptions & { timeout: number }) => {
      const { removeLab } = await import('../../emulation/remove-lab.ts')
      const output = new Output(context.stdout, { json: options.json, env: context.env })
      const lab = await findLab(file, options, context)
      await removeLab(lab, options.timeout * 1000)
      output.line(`lab ${lab.name} is down`)
      output.result({ name: lab.name, status: 'down' })
    })

  const group = program.command('lab').description('look at labs that run').helpGroup(CommandGroup.lab).helpCommand(false)
  withLabOptions(group.command('ls'))
    .description('labs of this user')
    .action((options: LabOptions) => list(options, context))
  withLabOptions(group.command('ps'))
    .description('hosts and services of a lab')
    .argument('[lab]', 'its name, or its file')
    .action(async (file: string | undefined, options: LabOptions) => {
      const output = new Output(context.stdout, { json: options.json, env: context.env })
      const view = await look(await findLab(file, options, context))
      printLab(view, output)
      output.result(view)
    })
}

/** The process that `-d` leaves behind: all that goes wrong is the other one's to print. */
async function upInBackground(file: string, options: UpOptions, fd: number, context: CliContext): Promise<void> {
  const [{ runLab }, { reportTo }] = await Promise.all([import('../lab/run-lab.ts'), import('../lab/background-lab.ts')])
  const report = reportTo(fd)
  try {
    const lab = await readLab(file, options.project, context)
    await runLab(lab, file, await labsFolder(options, context), report, context)
  } catch (error) {
    report.failed(error as Error)
    throw error
  }
}

async function up(file: string, options: UpOptions, context: CliContext): Promise<void> {
  if (options.report !== undefined) return upInBackground(file, options, options.report, context)
  const lab = await readLab(file, options.project, context)
  const labs = await labsFolder(options, context)
  const output = new Output(context.stdout, { json: options.json, env: context.env })
  const report = new ShownReport(output, lab.name, options.detach ?? false)
  try {
    if (options.detach !== true) {
      const { runLab } = await import('../lab/run-lab.ts')
      return await runLab(lab, file, labs, report, context)
    }
    const [{ startInBackground }, { LabDirectory }] = await Promise.all([
      import('../lab/background-lab.ts'),
      import('../../emulation/lab-directory.ts')
    ])
    const args = ['up', file, '--project', lab.name, '--labs', labs]
    return await startInBackground(args, new LabDirectory(labs, lab.name), report, context)
  } finally {
    report.end()
  }
}

/** Progress while it starts, then what there is. */
class ShownReport implements LabReport {
  private readonly output: Output
  private readonly name: string
  private readonly isDetached: boolean
  private bar: Progress | null = null

  constructor(output: Output, name: string, isDetached: boolean) {
    this.output = output
    this.name = name
    this.isDetached = isDetached
  }

  progress(done: number, total: number, next: string): void {
    this.bar ??= this.output.progress({ label: `lab ${this.name}`, total: Math.max(1, total) })
    this.bar.update(done, next)
  }

  up(view: LabView): void {
    this.bar?.finish()
    this.bar = null
    this.output.line()
    printLab(view, this.output)
    this.output.line()
    this.output.line(this.isDetached ? `netloom down --project ${this.name} ends it` : 'Ctrl-C ends it')
    this.output.result(view)
  }

  /** It did not come up: the line of the bar ends where it is. */
  end(): void {
    this.bar?.abandon()
  }
}

async function list(options: LabOptions, context: CliContext): Promise<void> {
  const { LabDirectory } = await import('../../emulation/lab-directory.ts')
  const output = new Output(context.stdout, { json: options.json, env: context.env })
  const labs = LabDirectory.list(await labsFolder(options, context)).map((lab) => {
    const { holder } = lab
    const record = lab.read()
    const status = holder === null && lab.starter === null ? 'dead' : (record?.status ?? 'starting')
    return {
      name: lab.name,
      status,
      pid: holder?.pid ?? null,
      hosts: record?.hosts.map(({ name }) => name) ?? [],
      file: record?.file ?? ''
    }
  })
  output.table(
    ['LAB', 'STATUS', 'PID', 'HOSTS', 'FILE'],
    labs.map(({ name, status, pid, hosts, file }) => [name, status, pid === null ? '-' : String(pid), hosts.join(' '), file])
  )
  output.result(labs)
}

async function look(lab: Awaited<ReturnType<typeof findLab>>): Promise<LabView> {
  const [{ viewLab }, { LabError }] = await Promise.all([import('../../emulation/lab-view.ts'), import('../../emulation/lab-error.ts')])
  const record = lab.read()
  if (record !== undefined && lab.holder !== null) return viewLab(record)
  throw new LabError('ERR_NO_LAB', `the lab '${lab.name}' does not run`, {
    fix: `netloom down --project ${lab.name} clears up what it left`
  })
}

function seconds(text: string): number {
  const number = Number(text)
  if (text === '' || !Number.isFinite(number) || number < 0) throw new InvalidArgumentError('It is no number of seconds.')
  return number
}
