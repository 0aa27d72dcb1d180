/** `netloom logs`: what a container wrote. */
import type { Command } from 'commander'
import { demultiplex } from '../../client/demultiplex.ts'
import { CliError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { dockerCommand, type HostOption, openClient } from '../docker/docker-command.ts'
import { write } from '../docker/interactive-session.ts'

interface LogsOptions extends HostOption {
  readonly follow?: boolean
  readonly since?: string
  readonly until?: string
  readonly timestamps?: boolean
  readonly tail: string
  readonly details?: boolean
}

export function registerLogs(program: Command, context: CliContext): void {
  dockerCommand(program, 'logs', 'what a container wrote')
    .helpGroup(CommandGroup.docker)
    .argument('<container>')
    .option('-f, --follow', 'go on with what comes')
    .option('--since <time>', 'not before: 2026-01-02T13:23:37Z, or 42m ago')
    .option('--until <time>', 'not after')
    .option('-t, --timestamps', 'with the time of each line')
    .option('-n, --tail <lines>', 'so many from the end', 'all')
    .option('--details', 'with the settings of the log')
    .action(async (name: string, options: LogsOptions) => {
      const client = await openClient(options, context)
      const { Config, Id } = await client.containers.inspect(name)
      const now = Date.now()
      const output = await client.containers.logs(Id, {
        stdout: true,
        stderr: true,
        follow: options.follow ?? false,
        timestamps: options.timestamps ?? false,
        details: options.details ?? false,
        tail: options.tail,
        since: timeOf(options.since, now),
        until: timeOf(options.until, now)
      })
      if (Config.Tty) for await (const chunk of output) await write(process.stdout, chunk as Uint8Array)
      else for await (const { stream, data } of demultiplex(output)) await write(process[stream], data)
    })
}

const UNITS: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 }

/** Seconds since 1970 of a date, a length of time before `now` (milliseconds), or such seconds. CliError for anything else. */
export function timeOf(text: string | undefined, now: number): string | undefined {
  if (text === undefined || /^\d+(\.\d+)?$/.test(text)) return text
  if (/^(\d+(\.\d+)?(h|m|s|ms))+$/.test(text)) {
    let seconds = 0
    for (const [, count, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|h|m|s)/g)) seconds += Number(count) * UNITS[unit!]!
    return (now / 1000 - seconds).toFixed(9)
  }
  const date = Date.parse(text)
  if (Number.isNaN(date)) throw new CliError(`invalid value for time: ${text}`, { code: 'ERR_USAGE' })
  return (date / 1000).toFixed(9)
}
