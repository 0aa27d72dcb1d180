/** `netloom capture`: frames as they pass, into a file, a pipe, or a line each. */
import { type Command, Option } from 'commander'
import type { Client } from '../../client/client.ts'
import type { CaptureDestination, CaptureTotals } from '../capture/capture-session.ts'
import type { CaptureOptions, CaptureSettings } from '../capture/capture-settings.ts'
import { ExitCode, usageError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { type HostOption, openClient } from '../docker/docker-command.ts'
import { Output } from '../output.ts'

const HELP = `
TARGET is a network (lan), a container or endpoint (web, or lan/web where several networks have one), a port of a lab's host
(host1/eth0), uplink, underlay, or all, which is the default; \`netloom capture --list\` names them.

  netloom capture                                        a line for each frame, as tcpdump prints it
  netloom capture lan -w - | wireshark -k -i -           live
  netloom capture web db -f 'tcp port 5432' -w db.pcapng
  netloom capture -w run.pcapng --rotate-size 100MB --rotate-files 10 -s 128
  netloom capture uplink --duration 10s -c 1000 --json

A frame that is dropped is captured where it ended, with the reason. Every content is recorded once, where it first appears:
--every-port shows it at all ports that it crosses. Ctrl-C ends the capture; it is then exit code 0.`

interface Options extends CaptureOptions, HostOption {
  readonly list?: boolean
}

export function registerCapture(program: Command, context: CliContext): void {
  program
    .command('capture')
    .description('frames as they pass: into a file, a pipe for Wireshark, or a line each')
    .usage('[options] [TARGET...]')
    .helpGroup(CommandGroup.run)
    .argument('[targets...]', 'what to capture; all of it unless told otherwise')
    .option('-H, --host <host>', 'the daemon: unix:///path (default: NETLOOM_HOST, or the one of this user)')
    .option('-w, --write <file>', 'into this file; - is standard output')
    .option('-f, --filter <filter>', "only frames that this filter in libpcap's language takes")
    .option('-s, --snaplen <bytes>', 'keep this much of each frame')
    .option('-c, --count <frames>', 'end after so many')
    .option('--duration <time>', 'end after this time: 500ms, 10s, 5m, 1h')
    .option('--rotate-size <size>', 'begin a new file when one has this size: file-00001.pcapng and so on')
    .option('--rotate-files <files>', 'keep this many, the newest')
    .addOption(new Option('--format <format>', 'of the file; default pcapng').choices(['pcapng', 'pcap']))
    .option('--segment', 'cut super-frames of offloading into packets as on a wire')
    .option('--every-port', 'record a frame at each port that it crosses')
    .option('--no-drops', 'leave out what was dropped on its way')
    .option('--comment <text>', 'into the header of the file')
    .option('-D, --list', 'print what can be captured, and the captures that run')
    .option('--json', 'a JSON document for each frame; with -w one for the whole capture')
    .addHelpText('after', HELP)
    .action(async (targets: string[], options: Options) => {
      const { captureSettings } = await import('../capture/capture-settings.ts')
      const settings = captureSettings(targets, options)
      const client = await openClient(options, context)
      if (options.list === true) await list(client, options, context)
      else await capture(client, settings, options, context)
    })
}

async function list(client: Client, options: Options, context: CliContext): Promise<void> {
  const { printPoints } = await import('../capture/print-points.ts')
  const [points, captures] = await Promise.all([client.captures.points(), client.captures.list()])
  printPoints(points, captures, new Output(context.stdout, { json: options.json, env: context.env }))
}

async function capture(client: Client, settings: CaptureSettings, options: Options, context: CliContext): Promise<void> {
  const { runCapture } = await import('../capture/capture-session.ts')
  const stop = context.interruption()
  const tell = (text: string): void => void context.stderr.write(`${text}\n`)
  const destination = await openDestination(settings, options, stop, context)
  if (destination === undefined) return
  const totals = await runCapture({
    client,
    request: settings.request,
    limits: settings,
    destination,
    stop,
    onStart: async (id) => tell(await startText(client, id, settings)),
    onEnd: (ended) => tell(endText(ended))
  }).catch((error: unknown) => {
    // A reader of a FIFO that goes has seen enough.
    if ((error as { code?: unknown }).code !== 'EPIPE') throw error
  })
  // To end it by Ctrl-C is the usual way.
  if (stop.aborted) context.exitCode = ExitCode.ok
  if (settings.path !== null && settings.path !== '-') {
    new Output(context.stdout, { json: options.json }).result({ path: settings.path, ...totals })
  }
}

/** undefined: a FIFO that nobody came to read until Ctrl-C. */
async function openDestination(
  settings: CaptureSettings,
  options: Options,
  stop: AbortSignal,
  context: CliContext
): Promise<CaptureDestination | undefined> {
  const { path } = settings
  if (path === null) {
    const { LinePrinter } = await import('../capture/line-printer.ts')
    return new LinePrinter(context.stdout, options.json === true)
  }
  if (path !== '-') {
    const { FifoDestination, isFifo } = await import('../capture/fifo-destination.ts')
    if (isFifo(path)) return FifoDestination.open(path, stop)
    const { CaptureFiles } = await import('../capture/capture-files.ts')
    return CaptureFiles.open({ path, rotateBytes: settings.rotateBytes, rotateFiles: settings.rotateFiles })
  }
  if (context.stdout.isTTY === true) {
    throw usageError('standard output is a terminal, which a capture would upset', 'pipe it: `netloom capture -w - | wireshark -k -i -`')
  }
  const { StreamDestination } = await import('../capture/stream-destination.ts')
  return new StreamDestination(context.stdout)
}

/** 'capturing lan/web, lan/db (tcp port 80) to run.pcapng; Ctrl-C ends it' */
async function startText(client: Client, id: string, { request, path }: CaptureSettings): Promise<string> {
  const status = (await client.captures.list()).find((running) => running.id === id)
  const points = status?.points ?? []
  const names = points.length === 0 ? 'nothing yet' : points.length <= 4 ? points.join(', ') : `${points.length} points`
  const filter = request.filter ? ` (${request.filter})` : ''
  return `capturing ${names}${filter}${path === null || path === '-' ? '' : ` to ${path}`}; Ctrl-C ends it`
}

function endText({ frames, dropped, bytes }: CaptureTotals): string {
  return `${frames} frames captured, ${dropped ?? 'an unknown number of'} dropped, ${bytes} bytes`
}
