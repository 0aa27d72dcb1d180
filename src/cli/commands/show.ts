/** `netloom show nat|routes|neighbors|fdb|drops`: what a daemon's engine holds right now. */
import type { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import { usageError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { type HostOption, openClient } from '../docker/docker-command.ts'
import { Output } from '../output.ts'

interface ShowOptions extends HostOption {
  readonly json?: boolean
  /** true: given without a number. */
  readonly watch?: string | true
  readonly limit?: string
  readonly address?: string
  readonly protocol?: string
  readonly port?: string
  readonly network?: string
}

/** A table and where it comes from. */
interface View {
  readonly description: string
  readonly header: readonly string[]
  readonly load: (client: Client, options: ShowOptions) => Promise<{ rows: readonly unknown[]; lines: string[][] }>
}

/** `columns`: heading -> a row's cell. */
function view<Row>(
  description: string,
  load: (client: Client, options: ShowOptions) => Promise<readonly Row[]>,
  columns: Readonly<Record<string, (row: Row) => string>>
): View {
  const cells = Object.values(columns)
  return {
    description,
    header: Object.keys(columns),
    load: async (client, options) => {
      const rows = await load(client, options)
      return { rows, lines: rows.map((row) => cells.map((cell) => cell(row))) }
    }
  }
}

const VIEWS: Readonly<Record<string, View>> = {
  nat: view(
    'flows that the gateway tracks, as they came and as their answers come',
    ({ inspection }, { limit, address, protocol, port }) => {
      const filter = { ...(address && { address }), ...(protocol && { protocol }), ...(port && { port: readWhole('--port', port) }) }
      return inspection.flows(filter, limit === undefined ? undefined : readWhole('--limit', limit))
    },
    {
      PROTOCOL: ({ protocol }) => protocol,
      STATE: ({ state, unreplied }) => [state ?? '', unreplied ? '(unreplied)' : ''].join(' ').trim(),
      SOURCE: ({ original: { source, sourcePort } }) => place(source, sourcePort),
      DESTINATION: ({ original: { destination, destinationPort } }) => place(destination, destinationPort),
      'REPLY SOURCE': ({ reply: { source, sourcePort } }) => place(source, sourcePort),
      'REPLY DESTINATION': ({ reply: { destination, destinationPort } }) => place(destination, destinationPort),
      NAT: ({ snat, dnat }) => [snat ? 'snat' : '', dnat ? 'dnat' : ''].join(' ').trim(),
      PACKETS: ({ original, reply }) => `${original.packets}/${reply.packets}`,
      EXPIRES: ({ timeout }) => seconds(timeout)
    }
  ),
  routes: view('routes of the gateway', ({ inspection }) => inspection.routes(), {
    PREFIX: ({ prefix }) => prefix,
    KIND: ({ kind }) => kind,
    VIA: ({ via }) => via ?? '',
    INTERFACE: ({ interface: name, active }) => (active ? name : `${name} (down)`)
  }),
  neighbors: view('neighbors of the gateway, and the MACs that they have', ({ inspection }) => inspection.neighbors(), {
    ADDRESS: ({ address }) => address,
    MAC: ({ mac }) => mac ?? '',
    INTERFACE: ({ interface: name }) => name,
    STATE: ({ state }) => state,
    AGE: ({ age }) => seconds(age),
    WAITING: ({ waiting }) => String(waiting)
  }),
  fdb: view('where each bridge has heard which MAC', ({ inspection }, { network }) => inspection.fdb(network), {
    NETWORK: ({ network }) => network,
    MAC: ({ mac }) => mac,
    PORT: ({ port }) => String(port),
    ENDPOINT: ({ endpoint }) => endpoint,
    AGE: (row) => (row.static ? 'static' : seconds(row.age))
  }),
  drops: view('frames that ended on their way, and why', ({ inspection }) => inspection.drops(), {
    FRAMES: ({ frames }) => String(frames),
    ELEMENT: ({ element }) => element,
    REASON: ({ reason }) => reason,
    TEXT: ({ text }) => text
  })
}

const CLEAR = '\u001b[H\u001b[2J'

export function registerShow(program: Command, context: CliContext): void {
  const group = program
    .command('show')
    .description("what the daemon's engine holds right now: flows, routes, neighbors, FDBs, drops")
    .helpGroup(CommandGroup.run)
    .helpCommand(false)
  for (const [name, shown] of Object.entries(VIEWS)) {
    const command = group
      .command(name)
      .description(shown.description)
      .option('-H, --host <host>', 'the daemon: unix:///path (default: NETLOOM_HOST, or the one of this user)')
      .option('--json', 'a JSON list; with --watch one a line')
      .option('--watch [seconds]', 'again and again, every second unless told otherwise')
    if (name === 'nat') {
      command
        .option('--limit <flows>', 'this many at most; default 1000')
        .option('--address <address>', 'flows with this address, anywhere in them')
        .option('--protocol <protocol>', 'tcp, udp, icmp or icmpv6')
        .option('--port <port>', 'flows with this port')
    }
    if (name === 'fdb') command.option('--network <network>', 'of this network only')
    command.action(async (options: ShowOptions) => show(await openClient(options, context), shown, options, context))
  }
}

async function show(client: Client, shown: View, options: ShowOptions, context: CliContext): Promise<void> {
  const interval = readInterval(options.watch)
  const signal = interval === 0 ? null : context.interruption()
  const clears = interval > 0 && context.stdout.isTTY === true && options.json !== true
  const output = new Output(context.stdout, { env: context.env })
  do {
    const { rows, lines } = await shown.load(client, options)
    if (clears) context.stdout.write(CLEAR)
    if (options.json) context.stdout.write(`${JSON.stringify(rows, null, interval === 0 ? 2 : 0)}\n`)
    else output.table(shown.header, lines)
    if (signal !== null && !signal.aborted) await pause(interval, signal)
  } while (signal?.aborted === false)
}

/** Milliseconds; 0: once. Throws CliError. */
function readInterval(watch: string | true | undefined): number {
  if (watch === undefined) return 0
  const interval = watch === true ? 1 : Number(watch)
  if (interval >= 0.1 && interval <= 3600) return interval * 1000
  throw usageError(`--watch ${watch}: not a number of seconds from 0.1 to 3600`)
}

/** What is too small or large is refused by the daemon. */
function readWhole(option: string, text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw usageError(`${option} ${text}: not a whole number`)
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

function seconds(value: number): string {
  return `${Math.round(value)} s`
}

function place(address: string, port: number): string {
  return port === 0 ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
