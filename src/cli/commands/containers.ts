/** `netloom ps`, `stop`, `start`, `restart`, `kill`, `pause`, `unpause`, `rm`, `rename`, `wait`: containers that are there. */
import type { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import { CliError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { CONTAINER_HEADERS, CONTAINER_TABLE, containerRow } from '../docker/container-row.ts'
import { collect, dockerCommand, forEach, type HostOption, openClient, readFilters, tellRefusal } from '../docker/docker-command.ts'
import { intFlag } from '../docker/flag-value.ts'
import { printList } from '../docker/list-output.ts'

interface PsOptions extends HostOption {
  readonly all?: boolean
  readonly filter?: string[]
  readonly format?: string
  readonly last?: string
  readonly latest?: boolean
  readonly trunc: boolean
  readonly quiet?: boolean
  readonly size?: boolean
}

export function registerContainers(program: Command, context: CliContext): void {
  registerPs(program, context)
  several(
    program,
    context,
    'stop',
    'end containers: SIGTERM, and SIGKILL when they do not heed it',
    (command) => withSignalAndTime(command),
    stop
  )
  several(program, context, 'restart', 'stop containers, and start them again', (command) => withSignalAndTime(command), restart)
  several(program, context, 'kill', 'send containers a signal', withSignal, (client, name, { signal }: SignalOptions) =>
    client.containers.kill(name, signal)
  )
  several(
    program,
    context,
    'pause',
    'freeze containers',
    (command) => command,
    (client, name) => client.containers.pause(name)
  )
  several(
    program,
    context,
    'unpause',
    'let frozen containers go on',
    (command) => command,
    (client, name) => client.containers.unpause(name)
  )
  several(program, context, 'rm', 'remove containers', withRemoval, (client, name, options: RemoveOptions) =>
    client.containers.remove(name, options)
  )
  dockerCommand(program, 'rename', 'give a container another name')
    .helpGroup(CommandGroup.docker)
    .argument('<container>')
    .argument('<name>')
    .action(async (container: string, name: string, options: HostOption) => {
      const client = await openClient(options, context)
      await client.containers.rename(container, name).catch((error: unknown) => {
        tellRefusal(error, context)
        throw new CliError(`Error: failed to rename container named ${container}`, { code: 'ERR_DAEMON', isPlain: true })
      })
    })
  dockerCommand(program, 'wait', 'wait for the end of containers, and print their exit codes')
    .helpGroup(CommandGroup.docker)
    .argument('<container...>')
    .action(async (names: string[], options: HostOption) => {
      const client = await openClient(options, context)
      for (const name of names) {
        const { ended } = await client.containers.wait(name)
        context.stdout.write(`${(await ended).StatusCode}\n`)
      }
    })
}

function registerPs(program: Command, context: CliContext): void {
  dockerCommand(program, 'ps', 'the containers there are')
    .helpGroup(CommandGroup.docker)
    .option('-a, --all', 'also those that do not run')
    .option('-f, --filter <filter>', 'only those with name, id, label, status, network, ancestor...=VALUE', collect)
    .option('--format <template>', 'a Go template, table TEMPLATE, or json')
    .option('-n, --last <n>', 'the n made last, whether they run or not')
    .option('-l, --latest', 'the one made last')
    .option('--no-trunc', 'whole ids and commands')
    .option('-q, --quiet', 'ids only')
    .option('-s, --size', 'with what they wrote')
    .action(async (options: PsOptions) => {
      const last = options.last === undefined ? -1 : intFlag(options.last, '-n, --last')
      const limit = options.latest === true ? 1 : last > 0 ? last : undefined
      const client = await openClient(options, context)
      const filters = readFilters(options.filter)
      const list = await client.containers.list({
        all: options.all ?? false,
        size: options.size ?? false,
        filters,
        ...(limit === undefined ? {} : { limit })
      })
      const now = Date.now()
      const rows = list.map((container) => containerRow(container, options.trunc, now))
      const table = options.size === true ? `${CONTAINER_TABLE}\t{{.Size}}` : CONTAINER_TABLE
      const quiet = options.quiet === true ? '{{.ID}}' : undefined
      printList(rows, { format: options.format, table, headers: CONTAINER_HEADERS, quiet }, context.stdout)
    })
}

/** A command that does the same to each container that it is given. */
function several<T extends HostOption>(
  program: Command,
  context: CliContext,
  name: string,
  description: string,
  withOptions: (command: Command) => Command,
  work: (client: Client, container: string, options: T) => Promise<void>
): void {
  withOptions(dockerCommand(program, name, description).helpGroup(CommandGroup.docker).argument('<container...>')).action(
    async (names: string[], options: T) => {
      const client = await openClient(options, context)
      await forEach(names, (container) => work(client, container, options), context)
    }
  )
}

interface SignalOptions extends HostOption {
  readonly signal?: string
  readonly timeout?: string
  readonly time?: string
}

interface RemoveOptions extends HostOption {
  readonly force?: boolean
  readonly volumes?: boolean
  readonly link?: boolean
}

function withSignal(command: Command): Command {
  return command.option('-s, --signal <signal>', 'a name or a number')
}

function withSignalAndTime(command: Command): Command {
  return withSignal(command).option('-t, --timeout <seconds>', 'until they are killed; -1: for ever').option('--time <seconds>', 'the same')
}

function withRemoval(command: Command): Command {
  return command
    .option('-f, --force', 'also those that run')
    .option('-v, --volumes', 'their volumes too')
    .option('-l, --link', 'only the link of that name')
}

function stop(client: Client, container: string, options: SignalOptions): Promise<void> {
  return client.containers.stop(container, { seconds: secondsOf(options), signal: options.signal })
}

function restart(client: Client, container: string, options: SignalOptions): Promise<void> {
  return client.containers.restart(container, { seconds: secondsOf(options), signal: options.signal })
}

function secondsOf({ timeout, time }: SignalOptions): number | undefined {
  const text = timeout ?? time
  return text === undefined ? undefined : intFlag(text, '-t, --timeout')
}
