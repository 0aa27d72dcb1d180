/** `netloom exec`: one more process in a running container. */
import type { Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { environmentVariables } from '../docker/create-request.ts'
import { DEFAULT_DETACH_KEYS } from '../docker/detach-keys.ts'
import { endOptionsAtOperand } from '../docker/docker-arguments.ts'
import { collect, dockerCommand, type HostOption, openClient } from '../docker/docker-command.ts'
import { checkTerminal, startSession } from '../docker/interactive-session.ts'

interface ExecOptions extends HostOption {
  readonly detach?: boolean
  readonly detachKeys?: string
  readonly env?: string[]
  readonly envFile?: string[]
  readonly interactive?: boolean
  readonly privileged?: boolean
  readonly tty?: boolean
  readonly user?: string
  readonly workdir?: string
}

export function registerExec(program: Command, context: CliContext): void {
  endOptionsAtOperand(dockerCommand(program, 'exec', 'run one more command in a running container'))
    .helpGroup(CommandGroup.docker)
    .usage('[options] CONTAINER COMMAND [ARG...]')
    .argument('<container>')
    .argument('<command...>')
    .option('-d, --detach', 'do not wait for it')
    .option('--detach-keys <keys>', `keys that leave it to itself (default: ${DEFAULT_DETACH_KEYS})`)
    .option('-e, --env <name=value>', 'a variable of the environment; may be repeated', collect)
    .option('--env-file <file>', 'variables, one a line; may be repeated', collect)
    .option('-i, --interactive', 'keep stdin open')
    .option('--privileged', 'all capabilities')
    .option('-t, --tty', 'with a terminal')
    .option('-u, --user <user[:group]>', 'who runs it')
    .option('-w, --workdir <folder>', 'where it runs')
    .action((container: string, words: string[], options: ExecOptions) => exec(container, words, options, context))
}

async function exec(container: string, words: string[], options: ExecOptions, context: CliContext): Promise<void> {
  const { detach = false, tty = false, interactive = false, detachKeys = DEFAULT_DETACH_KEYS } = options
  const stdin = interactive && !detach
  const Env = variables(options, context)
  if (!detach) checkTerminal(tty, stdin)
  const client = await openClient(options, context)
  const { Id } = await client.execs.create(container, {
    User: options.user ?? '',
    Privileged: options.privileged ?? false,
    Tty: tty,
    AttachStdin: stdin,
    AttachStdout: !detach,
    AttachStderr: !detach,
    Env,
    WorkingDir: options.workdir ?? '',
    Cmd: words,
    ...(options.detachKeys === undefined ? {} : { DetachKeys: options.detachKeys })
  })
  if (detach) return client.execs.detach(Id, tty)
  const size: [number, number] | undefined =
    tty && process.stdout.isTTY === true ? [process.stdout.rows, process.stdout.columns] : undefined
  const hijacked = await client.execs.attach(Id, { tty, size })
  const session = startSession({ hijacked, tty, stdin, detachKeys, resize: (rows, columns) => client.execs.resize(Id, rows, columns) })
  await session.started()
  if ((await session.ended) === 'detached') return
  context.exitCode = (await client.execs.inspect(Id)).ExitCode ?? 0
}

/** A file of variables that is wrong is told plainly, as Docker's client does. */
function variables(options: ExecOptions, context: CliContext): string[] {
  try {
    return environmentVariables(options, context.env)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new CliError(error.message, { code: 'ERR_USAGE', isPlain: true, cause: error })
  }
}
