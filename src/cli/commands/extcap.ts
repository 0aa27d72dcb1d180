/** `netloom extcap`: what Wireshark calls to list interfaces and to capture on one (its extcap protocol). */
import type { Command } from 'commander'
import { Client } from '../../client/client.ts'
import type { CaptureDestination } from '../capture/capture-session.ts'
import { CliError, ExitCode, usageError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { defaultHost } from '../docker/docker-command.ts'
import type { DaemonPlace } from '../extcap/extcap-interfaces.ts'
import { packageVersion } from '../package-root.ts'

interface ExtcapOptions {
  readonly host?: string
  readonly extcapInterfaces?: boolean
  readonly extcapDlts?: boolean
  readonly extcapConfig?: boolean
  readonly extcapInterface?: string
  readonly extcapCaptureFilter?: string
  readonly extcapControlIn?: string
  readonly extcapControlOut?: string
  readonly capture?: boolean
  readonly fifo?: string
  readonly snaplen?: string
  readonly segment?: boolean | string
  readonly everyPort?: boolean | string
  /** false: --no-drops */
  readonly drops?: boolean
}

const HELP = `
Wireshark calls this; \`netloom wireshark install\` tells it to. By hand:

  netloom extcap --extcap-interfaces
  netloom extcap --extcap-interface netloom:lan/web --extcap-config
  netloom extcap --capture --extcap-interface netloom:lan/web --fifo web.pcapng --extcap-capture-filter 'tcp port 80'`

export function registerExtcap(program: Command, context: CliContext): void {
  program
    .command('extcap')
    .description("the extcap program of Wireshark: netloom's networks in its list of interfaces")
    .helpGroup(CommandGroup.machine)
    .option('-H, --host <host>', 'the daemon: unix:///path (default: NETLOOM_HOST, or the one of this user)')
    .option('--extcap-interfaces', 'list the interfaces')
    .option('--extcap-version <version>', "Wireshark's, as it says")
    .option('--extcap-interface <interface>', 'the interface that the rest is about')
    .option('--extcap-dlts', 'list its link types')
    .option('--extcap-config', 'list what can be set for a capture')
    .option('--extcap-reload-option <option>', 'list the values of one of them anew')
    .option('--extcap-capture-filter <filter>', 'only these frames; without --capture: say what is wrong with the filter')
    .option('--capture', 'capture')
    .option('--fifo <file>', 'to where')
    .option('--extcap-control-in <fifo>', 'what the toolbar says')
    .option('--extcap-control-out <fifo>', 'what is said to the toolbar')
    .option('--snaplen <bytes>', 'keep this much of each frame; 0 is all')
    // Wireshark gives boolean options a value in some versions, and none in others.
    .option('--segment [boolean]', 'cut super-frames of offloading into packets as on a wire')
    .option('--every-port [boolean]', 'record a frame at each port that it crosses')
    .option('--no-drops', 'leave out what was dropped on its way')
    .allowUnknownOption()
    .addHelpText('after', HELP)
    .action((options: ExtcapOptions) => answer(options, context))
}

async function answer(options: ExtcapOptions, context: CliContext): Promise<void> {
  const { CONFIG_ANSWER, DLTS_ANSWER, interfacesAnswer } = await import('../extcap/extcap-answers.ts')
  const { daemonPlaces, listInterfaces } = await import('../extcap/extcap-interfaces.ts')
  const places = daemonPlaces(options.host ?? context.env['NETLOOM_HOST'] ?? (await defaultHost(context)))
  if (options.extcapInterfaces) context.stdout.write(interfacesAnswer(packageVersion(), await listInterfaces(places)))
  else if (options.extcapDlts) context.stdout.write(DLTS_ANSWER)
  else if (options.extcapConfig) context.stdout.write(CONFIG_ANSWER)
  else if (options.capture) await capture(options, places, context)
  else if (options.extcapCaptureFilter !== undefined) await checkFilter(options.extcapCaptureFilter, context)
  else throw usageError('one of --extcap-interfaces, --extcap-dlts, --extcap-config, --capture is missing', HELP.trim().split('\n')[0])
}

/** Wireshark takes any text on standard output for what is wrong, and colours its field red. */
async function checkFilter(filter: string, context: CliContext): Promise<void> {
  const { captureFilter } = await import('../../lab/capture-filter.ts')
  try {
    await captureFilter(filter)
  } catch (error) {
    context.stdout.write(`${(error as Error).message}\n`)
    context.exitCode = ExitCode.failed
  }
}

async function capture(options: ExtcapOptions, places: readonly DaemonPlace[], context: CliContext): Promise<void> {
  const { resolveInterface } = await import('../extcap/extcap-interfaces.ts')
  const { captureSettings } = await import('../capture/capture-settings.ts')
  const { runCapture } = await import('../capture/capture-session.ts')
  const { host, target } = resolveInterface(options.extcapInterface, places)
  const { fifo, extcapControlIn, extcapControlOut } = options
  if (fifo === undefined) throw usageError('--capture needs --fifo, where the capture goes')
  const settings = captureSettings([target], {
    filter: options.extcapCaptureFilter ?? '',
    snaplen: options.snaplen ?? '0',
    segment: isSet(options.segment),
    everyPort: isSet(options.everyPort),
    drops: options.drops ?? true
  })
  const client = new Client(host)
  const stop = context.interruption()
  const destination = await openDestination(fifo, stop)
  if (destination === undefined) return
  const pipes =
    extcapControlIn === undefined || extcapControlOut === undefined
      ? undefined
      : await openToolbar(client, target, { in: extcapControlIn, out: extcapControlOut })
  try {
    await runCapture({ client, request: settings.request, limits: settings, destination, stop })
  } catch (error) {
    // Wireshark ends a capture by closing its end, or by a signal: neither is to be told.
    if ((error as { code?: unknown }).code !== 'EPIPE') throw error
  } finally {
    pipes?.close()
  }
  if (stop.aborted) context.exitCode = ExitCode.ok
}

async function openDestination(fifo: string, stop: AbortSignal): Promise<CaptureDestination | undefined> {
  const { FifoDestination, isFifo } = await import('../capture/fifo-destination.ts')
  if (isFifo(fifo)) return FifoDestination.open(fifo, stop)
  const { CaptureFiles } = await import('../capture/capture-files.ts')
  return CaptureFiles.open({ path: fifo, rotateBytes: Number.POSITIVE_INFINITY, rotateFiles: Number.POSITIVE_INFINITY })
}

async function openToolbar(client: Client, target: string, paths: { in: string; out: string }): Promise<{ close(): void }> {
  const { ControlPipes } = await import('../extcap/control-pipes.ts')
  const { LinkToolbar } = await import('../extcap/link-toolbar.ts')
  try {
    const pipes: InstanceType<typeof ControlPipes> = new ControlPipes(paths, (message) => void toolbar.receive(message))
    const toolbar = new LinkToolbar(client, target, (message) => pipes.send(message))
    return pipes
  } catch (error) {
    throw new CliError(`the toolbar's pipes cannot be opened: ${(error as Error).message}`, { code: 'ERR_EXTCAP_CONTROL', cause: error })
  }
}

function isSet(option: boolean | string | undefined): boolean {
  return option === true || option === 'true' || option === '1'
}
