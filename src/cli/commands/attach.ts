/**
 * `netloom attach` and `netloom detach`: an endpoint for a process that somebody else started. On a network of the daemon, where one
 * runs; else on a network of its own that lives in the foreground. Without such a process, `attach` joins a container, as docker's does.
 */
import { rmSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import type { Lab } from '../../lab/lab.ts'
import { AttachClient } from '../attach/attach-client.ts'
import type { AttachedEndpoint, AttachTarget } from '../attach/attach-protocol.ts'
import type { AttachServer } from '../attach/attach-server.ts'
import { networkSocket } from '../attach/network-socket.ts'
import { CliError, ExitCode, usageError } from '../cli-error.ts'
import { CommandGroup } from '../command-group.ts'
import type { CliContext } from '../context.ts'
import { takeFlagValues } from '../docker/docker-arguments.ts'
import { type HostOption, openClient } from '../docker/docker-command.ts'
import { Output } from '../output.ts'
import { attachContainer } from './start.ts'

interface AttachOptions extends HostOption {
  readonly detachKeys?: string
  readonly stdin?: boolean
  readonly sigProxy?: boolean
  readonly pid?: string
  readonly netns?: string
  readonly tap?: string
  readonly ip?: string
  readonly mac?: string
  readonly name?: string
  readonly alias: readonly string[]
  readonly ifname: string
  readonly mtu: string
  readonly subnet?: string
  readonly capture?: string
  readonly json?: boolean
}

const EXAMPLES = `
With a daemon running, NETWORK is one of its own (\`netloom network create\`), which shows the endpoint in \`network inspect\` and keeps
it until \`netloom detach\`. Without one, the first attach to a NETWORK makes it and holds it in the foreground; later ones join it;
Ctrl-C, or \`netloom detach\`, takes the endpoint away.

  netloom attach lan --pid 4711 --name db        the network namespace of process 4711 gets an eth0
  netloom attach lan --netns /run/netns/blue     the same for a namespace with a path
  netloom attach lan --tap tap7,user=qemu        a TAP that a virtual machine of user qemu opens

  netloom attach web                             joins the container web, as \`docker attach\` does

Names of the network are answered at 127.0.0.11 in the namespace; let its /etc/resolv.conf say so. A virtual machine asks the
gateway's address. Its card may have any MAC, unless --mac says which.`

export function registerAttach(program: Command, context: CliContext): void {
  takeFlagValues(program.command('attach'))
    .description('give a process that you started elsewhere an interface on a network; or join a container')
    .helpGroup(CommandGroup.run)
    .argument('<network>', 'the network; or, without --pid, --netns and --tap, a container')
    .option('-H, --host <host>', 'the daemon: unix:///path (default: NETLOOM_HOST, or the one of this user if it runs)')
    .option('--pid <pid>', 'the network namespace of this process')
    .option('--netns <path>', 'a network namespace, such as /run/netns/NAME')
    .option('--tap <name[,user=U]>', 'a TAP in this namespace, for a virtual machine run by U')
    .option('--ip <address>', 'an IPv4 address of the subnet; the lowest free one by default')
    .option('--mac <mac>', '02:42 and the address by default')
    .option('--name <name>', 'the name that others find; made from the target by default')
    .option('--alias <name>', 'one more name; may be repeated', (name: string, names: string[]) => [...names, name], [])
    .option('--ifname <name>', 'the interface in the namespace', 'eth0')
    .option('--mtu <bytes>', 'the longest packet of the interface', '1500')
    .option('--subnet <cidr>', 'for the first attach: the subnet; the next free default one otherwise')
    .option('--capture <file>', 'for the first attach: write every frame of the network to a pcapng file')
    .option('--json', 'print the endpoint as JSON')
    .option('--detach-keys <keys>', 'of a container: keys that leave it to itself')
    .option('--no-stdin', 'of a container: without stdin')
    .option('--sig-proxy', 'of a container: pass signals on (the default)', true)
    .option('--no-sig-proxy', 'of a container: do not pass signals on')
    .addHelpText('after', EXAMPLES)
    .action(async (network: string, options: AttachOptions, command: Command) => {
      const client = await runningDaemon(options, context)
      if (client === null) return attach(network, options, context)
      const isContainer = [options.pid, options.netns, options.tap].every((given) => given === undefined)
      if (isContainer) return attachContainer(network, options, context)
      const hasMtu = command.getOptionValueSource('mtu') === 'cli'
      await attachToDaemon(client, network, options, hasMtu, context)
    })
  program
    .command('detach')
    .description('take an attached endpoint away')
    .helpGroup(CommandGroup.run)
    .argument('<network>', 'the network')
    .argument('<name>', "the endpoint's name")
    .option('-H, --host <host>', 'the daemon: unix:///path (default: NETLOOM_HOST, or the one of this user if it runs)')
    .action(async (network: string, name: string, options: HostOption) => {
      const client = await runningDaemon(options, context)
      if (client === null) await detach(network, name, context)
      else await client.networks.detach(network, name)
    })
}

async function attach(network: string, options: AttachOptions, context: CliContext): Promise<void> {
  const target = readTarget(options)
  const output = new Output(context.stdout, { json: options.json, env: context.env })
  const socketPath = networkSocket(network, context.env)
  const interrupted = context.interruption()
  const mtu = Number(options.mtu)
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65535) throw usageError(`--mtu ${options.mtu} is not a number from 68 to 65535`)

  const held = await holdOrJoin(network, socketPath, options, context)
  try {
    const request = { target, name: options.name ?? defaultName(target), ip: options.ip, mac: options.mac, aliases: options.alias }
    const endpoint = await held.client.request({ verb: 'attach', ...request, interfaceName: options.ifname, mtu })
    tell(endpoint!, target, options, output)
    const stop = new Promise<'stopped'>((resolve) => interrupted.addEventListener('abort', () => resolve('stopped')))
    const end = await Promise.race([held.client.ended, stop])
    if (end === 'lost') throw new CliError(`the process that held network ${network} ended`, { code: 'ERR_NETWORK_LOST' })
    output.line(end === 'detached' ? `${endpoint!.name} was detached` : `${endpoint!.name} is detached`)
    // Ctrl-C is how it is meant to end.
    if (end === 'stopped') context.exitCode = ExitCode.ok
    held.client.close()
    await held.client.ended
    if (held.server !== undefined && held.server.size > 0) {
      output.line(`${held.server.size} more on network ${network}: waiting for them (Ctrl-C ends it for all)`)
      await held.server.idle()
    }
  } finally {
    held.client.close()
    await held.lab?.close()
  }
}

/**
 * The daemon that was named, or the one of this user if it answers; null: there is none. With NETLOOM_RUNTIME_DIR only a named one:
 * that folder is for foreground networks apart from everything else.
 */
async function runningDaemon(options: HostOption, context: CliContext): Promise<Client | null> {
  const { env } = context
  if (options.host !== undefined || env['NETLOOM_HOST'] !== undefined) return openClient(options, context)
  if (env['NETLOOM_RUNTIME_DIR'] !== undefined) return null
  const client = await openClient(options, context)
  return (await client.ping()) ? client : null
}

/** The daemon holds the endpoint: nothing stays here. */
async function attachToDaemon(
  client: Client,
  network: string,
  options: AttachOptions,
  hasMtu: boolean,
  context: CliContext
): Promise<void> {
  if (options.subnet !== undefined || options.capture !== undefined) {
    throw usageError(
      '--subnet and --capture are for networks without a daemon',
      `make the network: netloom network create --subnet ... ${network}`
    )
  }
  const output = new Output(context.stdout, { json: options.json, env: context.env })
  const target = readTarget(options)
  const { ip, mac, alias, ifname, mtu } = options
  const endpoint = await client.networks.attach({
    network,
    name: options.name ?? defaultName(target),
    ...daemonTarget(target),
    ...(ip === undefined ? {} : { ip }),
    ...(mac === undefined ? {} : { mac }),
    ...('tap' in target ? {} : { ifname }),
    ...(hasMtu ? { mtu: Number(mtu) } : {}),
    aliases: [...alias]
  })
  output.result({ ...endpoint, interface: endpoint.ifname })
  output.line(`${endpoint.name} is on network ${endpoint.network}: ${endpoint.ifname} ${endpoint.ip} ${endpoint.mac}`)
  output.line(`\`netloom detach ${endpoint.network} ${endpoint.name}\` takes it away`)
}

function daemonTarget(target: AttachTarget): { pid: number } | { netns: string } | { tap: { name: string; user?: string } } {
  if ('pid' in target) return { pid: target.pid }
  if ('path' in target) return { netns: target.path }
  return { tap: { name: target.tap, ...(target.user === undefined ? {} : { user: target.user }) } }
}

interface Held {
  readonly client: AttachClient
  /** Of the process that made the network. */
  readonly lab?: Lab
  readonly server?: AttachServer
}

/** Joins the process that holds the network, or becomes it. */
async function holdOrJoin(network: string, socketPath: string, options: AttachOptions, context: CliContext): Promise<Held> {
  const joined = await AttachClient.connect(socketPath)
  if (joined !== null) {
    if (options.subnet === undefined && options.capture === undefined) return { client: joined }
    joined.close()
    throw usageError(`network ${network} is there already`, '--subnet and --capture are for the first attach')
  }
  // What is left of one that was killed: nobody listens.
  rmSync(socketPath, { force: true })
  const [{ Lab }, { AttachServer }] = await Promise.all([import('../../lab/lab.ts'), import('../attach/attach-server.ts')])
  // Closing the lab, as a crash does, ends all connections: each attach then says that the network is gone.
  const lab = await Lab.create({
    onCrash: (error) => context.stderr.write(`netloom: internal error: the engine ended: ${error.message}\n`)
  })
  try {
    const made = await lab.network(network, { subnet: options.subnet })
    // Later than that the network goes on without its capture.
    const onError = (error: Error): unknown => context.stderr.write(`netloom: ${error.message}\n`)
    if (options.capture !== undefined) await lab.capture(path.resolve(options.capture), { onError })
    const server = await AttachServer.start(lab, made, socketPath)
    return { client: (await AttachClient.connect(socketPath))!, lab, server }
  } catch (error) {
    await lab.close()
    // Somebody else was a moment faster.
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return holdOrJoin(network, socketPath, options, context)
    throw error
  }
}

async function detach(network: string, name: string, context: CliContext): Promise<void> {
  const client = await AttachClient.connect(networkSocket(network, context.env))
  if (client === null) {
    throw new CliError(`no process holds a network '${network}'`, {
      code: 'ERR_NO_NETWORK',
      fix: `\`netloom attach ${network} ...\` makes one`
    })
  }
  try {
    await client.request({ verb: 'detach', name })
  } finally {
    client.close()
  }
}

function readTarget({ pid, netns, tap }: AttachOptions): AttachTarget {
  if ([pid, netns, tap].filter((given) => given !== undefined).length !== 1) throw usageError('give one of --pid, --netns and --tap')
  if (pid !== undefined) {
    if (!/^[1-9]\d*$/.test(pid)) throw usageError(`--pid ${pid} is not a process id`)
    return { pid: Number(pid) }
  }
  if (netns !== undefined) return { path: path.resolve(netns) }
  const [name, ...settings] = tap!.split(',')
  const user = settings.find((setting) => setting.startsWith('user='))?.slice('user='.length)
  if (name === '' || settings.length > 1 || (settings.length === 1 && !user)) throw usageError(`--tap ${tap} is not NAME or NAME,user=USER`)
  return { tap: name, user }
}

function defaultName(target: AttachTarget): string {
  if ('pid' in target) return `pid-${target.pid}`
  return 'path' in target ? path.basename(target.path) : target.tap
}

function tell(endpoint: AttachedEndpoint, target: AttachTarget, options: AttachOptions, output: Output): void {
  const interfaceName = 'tap' in target ? target.tap : options.ifname
  output.result({ ...endpoint, interface: interfaceName })
  output.line(`${endpoint.name} is on network ${endpoint.network}: ${interfaceName} ${endpoint.ip} ${endpoint.mac}`)
  output.line(
    `subnet ${endpoint.subnet}, gateway ${endpoint.gateway}; names: ${'tap' in target ? `ask ${endpoint.gateway}` : 'ask 127.0.0.11'}`
  )
  output.line(`Ctrl-C or \`netloom detach ${endpoint.network} ${endpoint.name}\` takes it away`)
}
