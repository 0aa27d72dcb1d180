/** `netloom run` and `netloom create`: a new container. */
import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import type { WaitAnswer } from '../../client/container-calls.ts'
import { CliError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { type CreateOptions, withCreateOptions } from '../docker/create-options.ts'
import { attached, createRequest } from '../docker/create-request.ts'
import { DEFAULT_DETACH_KEYS } from '../docker/detach-keys.ts'
import { endOptionsAtOperand } from '../docker/docker-arguments.ts'
import { dockerCommand, isRefusal, openClient, REFUSED, refusalText } from '../docker/docker-command.ts'
import { checkTerminal, type Session, startSession } from '../docker/interactive-session.ts'
import { forwardSignals } from '../docker/signal-proxy.ts'

interface RunOptions extends CreateOptions {
  readonly detach?: boolean
  readonly detachKeys?: string
  readonly sigProxy: boolean
}

/** Of shells, and so of Docker: the command was found and could not be run; it was not found. */
const CANNOT_RUN = 126
const NOT_FOUND = 127

export function registerRun(program: Command, context: CliContext): void {
  const run = dockerCommand(program, 'run', 'make a container and run a command in it')
  endOptionsAtOperand(withCreateOptions(run))
    .helpGroup(CommandGroup.docker)
    .usage('[options] IMAGE [COMMAND] [ARG...]')
    .argument('<image>')
    .argument('[command...]')
    .option('-d, --detach', 'do not wait for it: print its id')
    .option('--detach-keys <keys>', `keys that leave it to itself (default: ${DEFAULT_DETACH_KEYS})`)
    .option('--sig-proxy', 'pass signals on (the default)', true)
    .option('--no-sig-proxy', 'do not pass signals on')
    .action((image: string, words: string[], options: RunOptions) =>
      inDockersWords('run', () => runContainer(image, words, options, context))
    )
  endOptionsAtOperand(withCreateOptions(dockerCommand(program, 'create', 'make a container, and do not run it yet')))
    .helpGroup(CommandGroup.docker)
    .usage('[options] IMAGE [COMMAND] [ARG...]')
    .argument('<image>')
    .argument('[command...]')
    .action((image: string, words: string[], options: CreateOptions) =>
      inDockersWords('create', async () => {
        const request = createRequest(image, words, options, false, context.env)
        const client = await openClient(options, context)
        context.stdout.write(`${await create(client, request, options, context)}\n`)
      })
    )
}

async function runContainer(image: string, words: string[], options: RunOptions, context: CliContext): Promise<void> {
  const detach = options.detach ?? false
  const tty = options.tty ?? false
  const streams = attached(options, detach)
  checkTerminal(tty, streams.stdin)
  const request = createRequest(image, words, options, detach, context.env)
  const client = await openClient(options, context)
  const id = await create(client, request, options, context)
  if (!streams.stdin && !streams.stdout && !streams.stderr) {
    // Also of a container that does not start: it is there.
    context.stdout.write(`${id}\n`)
    return start(client, id, options)
  }
  const { detachKeys = DEFAULT_DETACH_KEYS } = options
  const hijacked = await client.containers.attach(id, { ...streams, stream: true, detachKeys: options.detachKeys })
  const session = startSession({
    hijacked,
    tty,
    stdin: streams.stdin,
    detachKeys,
    resize: (rows, columns) => client.containers.resize(id, rows, columns)
  })
  const waiting = new AbortController()
  // Before it starts: its end may be quicker than the next request.
  const { ended } = await client.containers.wait(id, options.rm === true ? 'removed' : 'next-exit', waiting.signal)
  const stopSignals = tty || !options.sigProxy ? () => {} : forwardSignals((signal) => client.containers.kill(id, signal))
  try {
    await start(client, id, options)
    await finish(session, ended, context)
  } finally {
    stopSignals()
    waiting.abort()
    hijacked.connection.destroy()
  }
}

async function finish(session: Session, ended: Promise<WaitAnswer>, context: CliContext): Promise<void> {
  await session.started()
  const how = await session.ended
  if (how === 'detached') return
  const { StatusCode, Error: failure } = await ended
  if (failure !== null && failure !== undefined && failure.Message !== '')
    throw new CliError(failure.Message, { code: 'ERR_DAEMON', exitCode: REFUSED })
  context.exitCode = StatusCode
}

/** The container's id. An image that is not there is asked for once, so that the daemon can say how to get it. */
async function create(
  client: Client,
  request: ReturnType<typeof createRequest>,
  options: CreateOptions,
  context: CliContext
): Promise<string> {
  const { Id, Warnings } = await client.containers
    .create(request, options.name, options.platform)
    .catch(async (error: Error & { status?: number }) => {
      if (error.status !== 404 || !error.message.startsWith('No such image') || options.pull === 'never') throw error
      const wanted = error.message.replace(/^No such image: /, '')
      if (options.quiet !== true) context.stderr.write(`Unable to find image '${wanted}' locally\n`)
      const [, name, tag] = /^(.*?)(?::([\w.-]+))?$/.exec(wanted)!
      for await (const { status, error: problem } of client.images.pull(name!, tag ?? 'latest')) {
        if (problem !== undefined) throw new CliError(problem, { code: 'ERR_DAEMON', exitCode: REFUSED })
        if (options.quiet !== true) context.stderr.write(`${status}\n`)
      }
      return client.containers.create(request, options.name, options.platform)
    })
  for (const warning of Warnings ?? []) context.stderr.write(`WARNING: ${warning}\n`)
  if (options.cidfile !== undefined) writeFileSync(options.cidfile, Id, { flag: 'wx' })
  return Id
}

/** What the daemon says of a program that cannot be run tells the exit code. */
async function start(client: Client, id: string, options: RunOptions): Promise<void> {
  try {
    await client.containers.start(id, options.detachKeys)
  } catch (error) {
    if (!isRefusal(error)) throw error
    throw new CliError(`netloom: ${refusalText(error)}${hintAt('run')}`, {
      code: 'ERR_DAEMON',
      exitCode: startFailure(error.message),
      isPlain: true,
      cause: error
    })
  }
}

export function startFailure(message: string): number {
  if (/executable file not found|no such file or directory/.test(message)) return NOT_FOUND
  if (/permission denied|is a directory|not a directory/.test(message)) return CANNOT_RUN
  return REFUSED
}

/** What the reading of options refuses, and of `run` the daemon too, becomes "netloom: ..." and exit code 125, as Docker's client has it. */
async function inDockersWords(command: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    const text = isRefusal(error) && command === 'run' ? refusalText(error) : error instanceof RangeError ? error.message : undefined
    if (text === undefined) throw error
    throw new CliError(`netloom: ${text}${hintAt(command)}`, { code: 'ERR_DAEMON', exitCode: REFUSED, isPlain: true, cause: error })
  }
}

function hintAt(command: string): string {
  return `\n\nRun 'netloom ${command} --help' for more information`
}
