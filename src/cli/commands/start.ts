/** `netloom start`, and the way back into a container that runs: what `netloom attach CONTAINER` does. */
import type { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import type { Hijacked } from '../../client/http-transport.ts'
import { CliError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { DEFAULT_DETACH_KEYS } from '../docker/detach-keys.ts'
import { dockerCommand, forEach, type HostOption, openClient } from '../docker/docker-command.ts'
import { checkTerminal, startSession } from '../docker/interactive-session.ts'
import { forwardSignals } from '../docker/signal-proxy.ts'

export interface JoinOptions extends HostOption {
  readonly detachKeys?: string
  readonly stdin?: boolean
  readonly sigProxy?: boolean
}

interface StartOptions extends JoinOptions {
  readonly attach?: boolean
  readonly interactive?: boolean
}

export function registerStart(program: Command, context: CliContext): void {
  dockerCommand(program, 'start', 'start containers that do not run')
    .helpGroup(CommandGroup.docker)
    .argument('<container...>')
    .option('-a, --attach', 'see what it says, and end with its exit code')
    .option('-i, --interactive', 'with stdin')
    .option('--detach-keys <keys>', `keys that leave it to itself (default: ${DEFAULT_DETACH_KEYS})`)
    .action(async (names: string[], options: StartOptions) => {
      const client = await openClient(options, context)
      const isJoining = options.attach === true || options.interactive === true
      if (!isJoining) {
        const failed = await forEach(names, (name) => client.containers.start(name, options.detachKeys), context)
        if (failed.length > 0) context.stderr.write(`Error: failed to start containers: ${failed.join(', ')}\n`)
        return
      }
      if (names.length > 1) throw new CliError('you cannot start and attach multiple containers at once', { code: 'ERR_USAGE' })
      const joined = { ...options, stdin: options.interactive ?? false }
      await join(client, names[0]!, joined, context, () => client.containers.start(names[0]!, options.detachKeys))
    })
}

/** Joins a running container. */
export async function attachContainer(name: string, options: JoinOptions, context: CliContext): Promise<void> {
  const client = await openClient(options, context)
  const { State } = await client.containers.inspect(name)
  const problem = !State.Running ? 'a stopped' : State.Paused ? 'a paused' : State.Restarting ? 'a restarting' : undefined
  if (problem !== undefined) {
    const advice = { 'a stopped': 'start it first', 'a paused': 'unpause it first', 'a restarting': 'wait until it is running' }[problem]
    throw new CliError(`You cannot attach to ${problem} container, ${advice}`, { code: 'ERR_NOT_RUNNING', isPlain: true })
  }
  await join(client, name, options, context)
}

/** Streams to and fro, then the exit code. `begin` is called once everything that the container says is heard. */
async function join(client: Client, name: string, options: JoinOptions, context: CliContext, begin?: () => Promise<void>): Promise<void> {
  const { Config } = await client.containers.inspect(name)
  const { Tty: tty, OpenStdin } = Config
  const stdin = OpenStdin && options.stdin !== false
  checkTerminal(tty, stdin)
  const { detachKeys = DEFAULT_DETACH_KEYS } = options
  const call = { stdin, stdout: true, stderr: true, stream: true, detachKeys: options.detachKeys }
  // Before the first output: whoever sees it may signal at once.
  const stopSignals = tty || options.sigProxy === false ? () => {} : forwardSignals((signal) => client.containers.kill(name, signal))
  const waiting = new AbortController()
  let hijacked: Hijacked | undefined
  try {
    hijacked = await client.containers.attach(name, call)
    const session = startSession({
      hijacked,
      tty,
      stdin,
      detachKeys,
      resize: (rows, columns) => client.containers.resize(name, rows, columns)
    })
    const { ended } = await client.containers.wait(name, begin === undefined ? 'not-running' : 'next-exit', waiting.signal)
    await begin?.()
    await session.started()
    if ((await session.ended) === 'detached') {
      throw new CliError('read escape sequence', { code: 'ERR_DETACHED', isPlain: true })
    }
    context.exitCode = (await ended).StatusCode
  } finally {
    stopSignals()
    waiting.abort()
    hijacked?.connection.destroy()
  }
}
