/** `netloom replay`: a capture's frames enter at an endpoint's port, as if its owner had sent them. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import type { ReplayMessage, ReplayStatus } from '../../api/replay-json.ts'
import { CaptureFileError } from '../../capture/capture-error.ts'
import type { Client } from '../../client/client.ts'
import type { ReplayRequest } from '../../client/replay-calls.ts'
import { CliError, usageError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { type HostOption, openClient } from '../docker/docker-command.ts'
import { humanSize } from '../docker/human-units.ts'
import { Output } from '../output.ts'
import type { Progress } from '../progress.ts'

interface ReplayOptions extends HostOption {
  readonly into?: string
  readonly verify?: boolean
  readonly speed?: string
  readonly asFastAsPossible?: boolean
  readonly map?: readonly string[]
  readonly limit?: string
  readonly loop?: string
  readonly interface?: string
  readonly filter?: string
  readonly json?: boolean
}

/** What became of all rounds. */
type Total = Omit<ReplayStatus, 'position'>

const HELP = `
FILE is a pcap or pcapng file of any program, - standard input. PORT is a container or endpoint (web, or front/web where it is on several
networks): from its port on the frames go the way of what it sends itself, through filters, links and captures.

  netloom replay web.pcapng --into web                      at the pace at which they were captured
  netloom replay web.pcapng --into web --speed 10           ten times as fast
  netloom replay web.pcapng --into web --as-fast-as-possible --loop 100
  netloom replay web.pcapng --into web --map 10.0.0.0/24=172.20.0.0/24 --map 00:11:22:33:44:55=02:42:ac:14:00:02
  netloom replay lab.pcapng --interface lan/alice --into web      what one interface of a capture has
  netloom replay host.pcap --filter 'src host 10.0.0.1' --map 10.0.0.1=172.20.0.2 --into web    what one station sent
  tcpdump -i eth0 -U -w - | netloom replay - --into web

--map rewrites MACs, IPv4 and IPv6 addresses and prefixes in Ethernet, ARP, neighbor discovery, IP and what ICMP errors quote, and mends
the checksums. A filter drops what comes from addresses that are not the port's: map them, or see \`dropped\` below.
Packets of raw IP, Linux cooked and loopback captures get an Ethernet header. Exit code 1 when nothing could be sent.

  netloom replay run.pcapng --verify      needs no daemon: what the endpoints sent is played into the same networks under the virtual
                                          clock, and what each of them got is compared; exit code 1 when it is not the same`

export function registerReplay(program: Command, context: CliContext): void {
  program
    .command('replay')
    .description("play a capture into an endpoint's port")
    .helpGroup(CommandGroup.run)
    .usage('FILE|- --into PORT [options]\n       netloom replay FILE --verify [--json]')
    .argument('<file>', 'a pcap or pcapng file; -: standard input')
    .option('-H, --host <host>', 'the daemon: unix:///path (default: NETLOOM_HOST, or the one of this user)')
    .option('--into <port>', 'the endpoint as whose frames they enter')
    .option('--verify', 'play a capture of every port into the same networks under the virtual clock, and compare what comes out')
    .option('--speed <factor>', '2: twice as fast as recorded (default: 1)')
    .option('--as-fast-as-possible', 'as fast as the engine takes them')
    .option('--map <old=new>', 'another address in place of one, or of a prefix; may be repeated', collect)
    .option('--limit <frames>', 'end after so many')
    .option('--loop <times>', 'play the file so often', '1')
    .option('--interface <name>', 'only what the capture has from this interface (its number, where it has no name)')
    .option('-f, --filter <filter>', "only frames that it wants, in tcpdump's words and under the addresses of the capture")
    .option('--json', 'print what became of the frames as JSON')
    .addHelpText('after', HELP)
    .action(async (file: string, options: ReplayOptions) => {
      if (options.verify !== true) return replay(file, options, context)
      if (file === '-' || options.into !== undefined) throw usageError('--verify takes a file, and no port: it makes the networks itself')
      const { verifyReplay } = await import('./verify-replay.ts')
      return verifyReplay(file, options, context)
    })
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

async function replay(file: string, options: ReplayOptions, context: CliContext): Promise<void> {
  const { into } = options
  if (into === undefined) throw usageError('--into is missing: the endpoint as whose frames they enter')
  if (options.speed !== undefined && options.asFastAsPossible) throw usageError('--speed and --as-fast-as-possible contradict each other')
  const loop = readCount('loop', options.loop ?? '1')
  if (file === '-' && loop > 1) throw usageError('--loop needs a file: standard input can be read once')
  const request: ReplayRequest = {
    into,
    ...(options.asFastAsPossible && { speed: 'max' as const }),
    ...(options.speed !== undefined && { speed: readSpeed(options.speed) }),
    ...(options.map !== undefined && { map: options.map }),
    ...(options.limit !== undefined && { limit: readCount('limit', options.limit) }),
    ...(options.interface !== undefined && { interface: options.interface }),
    ...(options.filter !== undefined && { filter: options.filter })
  }
  const size = file === '-' ? 0 : await fileSize(file)
  const client = await openClient(options, context)
  const output = new Output(context.stdout, { json: options.json, env: context.env })
  const progress = size > 0 ? output.progress({ label: 'replay', total: size * loop, format: (bytes) => humanSize(bytes) }) : null
  const total: Total = { sent: 0, bytes: 0, refused: {}, dropped: {} }
  try {
    for (let round = 0; round < loop; round++) await playRound(client, request, file, { done: round * size, total, progress })
  } catch (error) {
    progress?.abandon()
    throw error
  }
  progress?.finish(`${total.sent} frames`)
  output.result(total)
  await tell(total, into, output)
  if (total.sent === 0)
    throw new CliError('no frame of the capture could be sent', { code: 'ERR_NOTHING_SENT', fix: reasonsOf(total.refused) })
}

interface Round {
  /** Bytes of the rounds before. */
  readonly done: number
  readonly total: Total
  readonly progress: Progress | null
}

async function playRound(client: Client, request: ReplayRequest, file: string, { done, total, progress }: Round): Promise<void> {
  const capture = file === '-' ? process.stdin : createReadStream(file)
  let last: ReplayMessage | undefined
  try {
    for await (const message of client.replays.play(request, capture)) {
      last = message
      if ('status' in message) progress?.update(done + message.status.position, `${total.sent + message.status.sent} frames`)
    }
  } finally {
    // Nobody reads on, and an open pipe would keep the program alive.
    capture.destroy()
  }
  if (last === undefined || 'status' in last) throw new CliError('the daemon ended before the replay did', { code: 'ERR_PROTOCOL' })
  addTo(total, last.summary)
  if (!('error' in last)) return
  const played = `${total.sent} frames had been sent by then`
  throw new CliError(last.error, { code: last.code ?? 'ERR_REPLAY', fix: played })
}

function addTo(total: Total, round: ReplayStatus): void {
  Object.assign(total, { sent: total.sent + round.sent, bytes: total.bytes + round.bytes })
  for (const key of ['refused', 'dropped'] as const) {
    const sums: Record<string, number> = { ...total[key] }
    for (const [reason, count] of Object.entries(round[key])) sums[reason] = (sums[reason] ?? 0) + count
    Object.assign(total, { [key]: sums })
  }
}

async function tell({ sent, bytes, refused, dropped }: Total, into: string, output: Output): Promise<void> {
  if (output.json) return
  output.line(`${sent} frames (${humanSize(bytes)}) sent into ${into}, ${sum(refused)} refused, ${sum(dropped)} dropped`)
  for (const [reason, count] of Object.entries(refused)) output.line(`  refused ${count}: ${reason}`)
  if (sum(dropped) === 0) return
  const { dropTexts } = await import('../../network/inspection.ts')
  const texts = dropTexts()
  for (const [reason, count] of Object.entries(dropped)) output.line(`  dropped ${count}: ${reason}. ${texts.get(reason) ?? ''}`)
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, count) => all + count, 0)
}

function reasonsOf(refused: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(refused).map(([reason, count]) => `${count}: ${reason}`)
  return reasons.length === 0 ? 'it has none, or none of that interface' : reasons.join('\n')
}

function readSpeed(text: string): number {
  const speed = Number(text)
  if (speed > 0 && Number.isFinite(speed)) return speed
  throw usageError(`--speed '${text}' is no number above 0`)
}

function readCount(name: string, text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw usageError(`--${name} '${text}' is no whole number from 1 on`)
}

/** 0 for what is no file: nobody knows how long a pipe is. Throws CaptureFileError. */
async function fileSize(file: string): Promise<number> {
  try {
    const stats = await stat(file)
    if (stats.isDirectory()) throw Object.assign(new Error('is a folder'), { code: 'EISDIR' })
    return stats.isFile() ? stats.size : 0
  } catch (error) {
    throw CaptureFileError.from('read', file, error)
  }
}
