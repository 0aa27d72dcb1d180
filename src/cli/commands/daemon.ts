/** `netloom daemon`: Docker's API on netloom's networks, in the foreground. */
import { type Command, Option } from 'commander'
import type { Logger } from '../../api/logger.ts'
import type { PartialConfig } from '../../daemon/config-file.ts'
import { CliError, ExitCode } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { packageVersion } from '../package-root.ts'

/** As commander gives them. Absent: neither flag nor value was given. */
interface DaemonFlags {
  readonly host?: string[]
  readonly stateDir?: string
  readonly logLevel?: string
  readonly config?: string
  readonly liveRestore?: string | true
  readonly hostImages?: string | true
  readonly realtime?: string | true
  readonly uplink?: string
  readonly icc?: string | true
  readonly clusterStore?: string
  readonly clusterStoreOpt?: string[]
  readonly clusterAdvertise?: string
  readonly underlay?: string
  readonly overlayPort?: string
  readonly defaultAddressPool?: string[]
  readonly dns?: string[]
  readonly dnsSearch?: string[]
  readonly dnsOpt?: string[]
  readonly group?: string
  readonly tlscacert?: string
  readonly tlscert?: string
  readonly tlskey?: string
}

/** Flag -> member of the configuration, where the names differ. */
const MEMBERS: Readonly<Partial<Record<keyof DaemonFlags, string>>> = {
  host: 'hosts',
  stateDir: 'state-dir',
  logLevel: 'log-level',
  liveRestore: 'live-restore',
  hostImages: 'host-images',
  clusterStore: 'cluster-store',
  clusterStoreOpt: 'cluster-store-opts',
  clusterAdvertise: 'cluster-advertise',
  overlayPort: 'overlay-port',
  defaultAddressPool: 'default-address-pools',
  dnsSearch: 'dns-search',
  dnsOpt: 'dns-opts'
}

const HELP = `
It prints \`netloom daemon listening on unix:///path\` when it is ready. Then, in another terminal:

  docker context create netloom --docker host=unix:///run/netloom/netloom.sock
  docker --context netloom network create front

SIGTERM and Ctrl-C stop the containers and the daemon. A daemon that dies otherwise leaves the containers running; the next one on the
same state directory goes on with them (not so with --live-restore=false). SIGHUP reads the log level from the configuration file again.
The file is one JSON object with the names of the flags: { "hosts": ["unix:///run/n.sock"], "dns": ["192.0.2.53"] }.`

const collect = (value: string, values: string[] | undefined): string[] => [...(values ?? []), value]

export function registerDaemon(program: Command, context: CliContext): void {
  program
    .command('daemon')
    .description("serve Docker's API, so that the docker client works on netloom's networks")
    .helpGroup(CommandGroup.run)
    .option('-H, --host <host>', 'listen on unix:///path or tcp://address:port; may be repeated', collect)
    .option('--state-dir <dir>', 'networks, containers and images are kept here')
    .option('-l, --log-level <level>', 'debug, info, warn or error')
    .option('--config <file>', 'more settings, as JSON')
    .addOption(boolean('live-restore', 'containers outlive a daemon that dies'))
    .addOption(boolean('host-images', "unknown image names mean this machine's own root"))
    .addOption(boolean('realtime', "the engine's thread runs before ordinary ones: links keep their delays on busy cores"))
    .option('--uplink <way>', 'how frames leave the networks: auto, host, user, interface=NAME[,address=CIDR] or none (default: auto)')
    .addOption(boolean('icc', 'containers of the default bridge may talk with each other (default: true)'))
    .option('--cluster-store <url>', 'etcd://HOST:PORT, zk:// or consul://: share overlay networks with all daemons on that store')
    .option('--cluster-store-opt <key=value>', "the store's options; may be repeated", collect)
    .option('--cluster-advertise <address:port>', 'the address (or interface) by which the other hosts reach this one')
    .option('--underlay <kind>', 'how overlay networks cross between hosts: tap or udp (default: what this host can)')
    .option('--overlay-port <port>', 'UDP port of VXLAN, the same on all hosts (default: 4789)')
    .option('--default-address-pool <base=CIDR,size=LENGTH>', 'where automatic subnets come from; may be repeated', collect)
    .option('--dns <address>', 'name server of containers that name none; may be repeated', collect)
    .option('--dns-search <domain>', 'search domain of containers that name none; may be repeated', collect)
    .option('--dns-opt <option>', 'resolver option of containers that name none; may be repeated', collect)
    .option('-G, --group <name>', 'group of the unix sockets')
    .option('--tlscacert <file>', 'for TCP: clients show a certificate signed by this one')
    .option('--tlscert <file>', 'for TCP: the certificate of this daemon')
    .option('--tlskey <file>', 'for TCP: its key')
    .addHelpText('after', HELP)
    .action((flags: DaemonFlags) => runDaemon(flags, context))
}

/** `--name`, `--name=true` and `--name=false`, as dockerd takes them. */
function boolean(name: string, description: string): Option {
  return new Option(`--${name} [boolean]`, description).argParser((value: string) => value)
}

async function runDaemon(flags: DaemonFlags, context: CliContext): Promise<void> {
  const [
    { Daemon },
    { defaultConfig, readMember, runtimeDirectory },
    { mergeConfig, readConfigFile },
    { Logger: DaemonLogger },
    { parseCrashPoint }
  ] = await Promise.all([
    import('../../daemon/daemon.ts'),
    import('../../daemon/daemon-config.ts'),
    import('../../daemon/config-file.ts'),
    import('../../api/logger.ts'),
    import('../../store/crashing-store.ts')
  ])
  const given: Record<string, unknown> = {}
  for (const [flag, value] of Object.entries(flags)) {
    if (flag === 'config') continue
    const member = MEMBERS[flag as keyof DaemonFlags] ?? flag
    given[member] = readMember(member, value, `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`)
  }
  const readFile = (): PartialConfig => (flags.config === undefined ? {} : readConfigFile(flags.config))
  const isRoot = process.getuid?.() === 0
  const config = mergeConfig(defaultConfig(context.env, isRoot), given, readFile(), flags.config)
  const logger = new DaemonLogger(config['log-level'], (line) => context.stderr.write(line))

  let fail: (error: Error) => void = () => {}
  const ending = new Promise<Error | null>((resolve) => {
    let signals = 0
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        // Somebody who asks again does not want to wait for containers.
        if (++signals > 1) process.exit(ExitCode.failed)
        logger.info('stopping', { signal })
        resolve(null)
      })
    }
    fail = resolve
  })
  process.on('SIGHUP', () => reloadLevel(logger, given, readFile))
  // A defect in one answer is told; the others go on.
  process.on('unhandledRejection', (error) => logger.error('internal error', { error }))

  const crashPoint = parseCrashPoint(context.env['NETLOOM_CRASH'])
  const daemon = await Daemon.start({
    config,
    logger,
    version: packageVersion(),
    runtimeDirectory: runtimeDirectory(context.env, isRoot),
    crashPoint,
    onFailure: (error) => fail(error)
  })
  // In one piece: who reads the first line may go by it.
  context.stdout.write(config.hosts.map((host) => `netloom daemon listening on ${host}\n`).join(''))
  const failure = await ending
  await daemon.stop({ keepContainers: failure !== null })
  if (failure === null) return
  throw new CliError(`the engine ended: ${failure.message}`, {
    code: 'ERR_ENGINE',
    fix: 'containers run on: start the daemon again; and please report this defect with the log above',
    cause: failure
  })
}

/** The only setting that changes while the daemon runs. A file that cannot be read changes nothing. */
function reloadLevel(logger: Logger, given: PartialConfig, readFile: () => PartialConfig): void {
  try {
    logger.level = given['log-level'] ?? readFile()['log-level'] ?? 'info'
    logger.info('configuration read again', { level: logger.level })
  } catch (error) {
    logger.error('the configuration stays as it was', { error })
  }
}
