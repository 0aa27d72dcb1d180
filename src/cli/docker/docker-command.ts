/** What the commands that are Docker's have in common: the daemon they speak to, and how they tell its errors. */
import type { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import { usageError } from '../cli-error.ts'
import type { CliContext } from '../context.ts'
import { markDockerLike } from './docker-arguments.ts'
import { FlagError } from './flag-value.ts'

export interface HostOption {
  readonly host?: string
}

/** Docker's exit code for what its client or the daemon refused. */
export const REFUSED = 125

/** A command of Docker's, with the option that names the daemon. */
export function dockerCommand(parent: Command, usage: string, description: string): Command {
  const command = parent.command(usage).description(description)
  command.option('-H, --host <host>', 'the daemon: unix:///path (default: NETLOOM_HOST, or the one of this user)')
  return markDockerLike(command)
}

/** By the option, else NETLOOM_HOST, else where a daemon of this user listens. */
export async function openClient(options: HostOption, context: CliContext): Promise<Client> {
  const { Client: DaemonClient } = await import('../../client/client.ts')
  const host = options.host ?? context.env['NETLOOM_HOST'] ?? (await defaultHost(context))
  try {
    return new DaemonClient(host)
  } catch (error) {
    throw usageError((error as Error).message)
  }
}

export async function defaultHost({ env }: CliContext): Promise<string> {
  const { defaultConfig } = await import('../../daemon/daemon-config.ts')
  return defaultConfig(env, process.getuid?.() === 0).hosts[0]!
}

/** Does the same for several objects: a line for each that went well, an error for each that did not, and failure in the end if any. Returns the names that failed. */
export async function forEach(names: readonly string[], work: (name: string) => Promise<void>, context: CliContext): Promise<string[]> {
  const failed: string[] = []
  for (const name of names) {
    try {
      await work(name)
      context.stdout.write(`${name}\n`)
    } catch (error) {
      tellRefusal(error, context)
      context.exitCode = 1
      failed.push(name)
    }
  }
  return failed
}

/** Writes what the daemon said. Rethrows what it did not say. */
export function tellRefusal(error: unknown, context: CliContext): void {
  if (!isRefusal(error)) throw error
  context.stderr.write(`${refusalText(error)}\n`)
}

export function isRefusal(error: unknown): error is Error & { status: number } {
  // By its name: the class itself would load the client for `--help`.
  return error instanceof Error && error.name === 'ClientError' && (error as { code?: unknown }).code === 'ERR_DAEMON'
}

export function refusalText(error: Error): string {
  return `Error response from daemon: ${error.message}`
}

/** Option parsers for commander: repeated options become a list. */
export function collect(value: string, values: string[] | undefined): string[] {
  return [...(values ?? []), value]
}

/** `--filter key=value`, repeated. FlagError for one without an equals sign. */
export function readFilters(filters: readonly string[] | undefined): Record<string, string[]> {
  const result: Record<string, string[]> = {}
  for (const filter of filters ?? []) {
    const equals = filter.indexOf('=')
    if (equals === -1) {
      throw new FlagError(filter, '-f, --filter', 'bad format of filter (expected name=value)')
    }
    const name = filter.slice(0, equals).trim().toLowerCase()
    result[name] = [...(result[name] ?? []), filter.slice(equals + 1).trim()]
  }
  return result
}

/** `key=value` settings; a key alone has the value ''. */
export function readPairs(settings: readonly string[] | undefined): Record<string, string> {
  return Object.fromEntries(
    (settings ?? []).map((setting) => {
      const equals = setting.indexOf('=')
      return equals === -1 ? [setting, ''] : [setting.slice(0, equals), setting.slice(equals + 1)]
    })
  )
}
