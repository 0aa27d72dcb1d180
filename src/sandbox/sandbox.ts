import path from 'node:path'
import type { Writable } from 'node:stream'
import { ALL_OFFLOADS } from '../io/frame-device.ts'
import { loadNative } from '../io/load-native.ts'
import type { OpenedTap } from '../io/native-binding.ts'
import { Netlink } from '../io/netlink/netlink.ts'
import { checkInterfaceName, VNET_HEADER_LENGTH } from '../io/tap-device.ts'
import { EMBEDDED_RESOLV_CONF, type HostsEntry, renderHosts } from './hosts-file.ts'
import { InterfaceConfig, type InterfaceOptions, type ResolverRoute } from './interface-config.ts'
import { SandboxError } from './sandbox-error.ts'
import type { SandboxOptions, SurvivingMode } from './sandbox-options.ts'
import { type ExitStatus, inputStream, SandboxProcess, type SpawnOptions, signalName, streamsOf } from './sandbox-process.ts'
import { SandboxSysctls } from './sandbox-sysctls.ts'
import { setupRequest } from './setup-request.ts'
import { ShimConnection } from './shim-connection.ts'
import { bytesField, MAX_MESSAGE, type ShimMessage } from './shim-message.ts'
import { spawnRequest } from './spawn-request.ts'
import { terminalInput } from './terminal-stream.ts'

export type { MountOptions, ResourceLimits, RootOptions, SandboxNetwork, SandboxOptions, SurvivingMode } from './sandbox-options.ts'

export interface SandboxTapOptions {
  /** 1 to 15 bytes. Default 'eth0'. */
  readonly name?: string
  /** False: every frame is finished and at most an MTU long. Default true. */
  readonly vnetHeader?: boolean
  /** Offload bits that the kernel may use towards us. Default: all. */
  readonly offloads?: number
  /** '02:42:ac:19:00:02'. Default: the kernel's random choice. */
  readonly mac?: string
  /** Bytes. Default 1500. */
  readonly mtu?: number
}

/** A process of a sandbox that this client did not start. */
export interface ProcessState {
  readonly id: number
  readonly pid: number
  /** null while it runs. */
  readonly exitStatus: ExitStatus | null
  /** Bytes of output that a full disk kept out of the log. */
  readonly lostLogBytes: number
}

/** What its processes use. */
export interface SandboxUsage {
  /** Of all processes that are or were in it, ns, counted in the kernel's clock ticks. */
  readonly cpu: bigint
  /** Bytes: with a limit the cgroup's, as Docker counts them; else what the processes have beside files, shared pages for each. */
  readonly memory: number
  /** Bytes it may have; null without a limit. */
  readonly memoryLimit: number | null
  /** Processes and threads. */
  readonly pids: number
  readonly pidsLimit: number | null
}

type PrivateFile = 'hosts' | 'hostname' | 'resolv.conf'

const NETLINK_ROUTE = 0

/** A file's content travels in parts of this size. */
const FILE_PART = MAX_MESSAGE / 2

/**
 * Namespaces (network, mount, UTS, PID, IPC, and user where we are not root) with processes in them, held by one shim
 * (native/shim). Close it; an owner-bound one also ends with this process.
 */
export class Sandbox {
  readonly name: string
  /** What was refused but can be done without, in sentences. */
  readonly warnings: string[] = []
  /** The shim's PID, as seen from outside. /proc/SHIM-PID/ns/net is the sandbox's network namespace. */
  readonly shimPid: number
  readonly userNamespace: boolean
  readonly hostname: string
  /** Whether it was paused when this client came. */
  readonly foundPaused: boolean
  /** Links, addresses, routes, rules and neighbors of its network namespace. */
  readonly netlink: Netlink
  private readonly interfaces: InterfaceConfig
  private readonly connection: ShimConnection
  private readonly known = new Map<number, SandboxProcess>()
  private readonly sysctls: SandboxSysctls
  private readonly endListeners: (() => void)[] = []
  /** Of a surviving one. */
  private readonly stateDir: string | null
  private first: number | null
  private ended: boolean

  private constructor(name: string, stateDir: string | null, connection: ShimConnection, hello: ShimMessage) {
    this.name = name
    this.stateDir = stateDir
    this.connection = connection
    this.shimPid = hello.integer('shim')!
    this.userNamespace = hello.integer('userns') === 1
    this.netlink = new Netlink((request) => this.netlinkExchange(NETLINK_ROUTE, request))
    this.interfaces = new InterfaceConfig(this.netlink, (sysctl, value) => this.writeSysctl(sysctl, value))
    this.sysctls = new SandboxSysctls((sysctl, value) => this.writeSysctl(sysctl, value), this.userNamespace)
    this.hostname = hello.text('hostname') ?? name
    this.foundPaused = hello.integer('paused') === 1
    this.first = hello.integer('first')
    this.ended = hello.integer('ended') === 1
    this.warnings.push(...hello.all('warning'))
    connection.onEvent = (event) => this.handleEvent(event)
    connection.onClose = () => this.handleClose()
  }

  /**
   * Throws SandboxError: EPERM or ENOSPC with the kernel setting that forbids it, ERR_SHIM_MISSING; NativeUnavailableError.
   */
  static async create(options: SandboxOptions): Promise<Sandbox> {
    const fields = setupRequest(options)
    const hosts = renderHosts(options.hosts ?? [])
    const mode = options.mode ?? 'owner-bound'
    const connection =
      mode === 'owner-bound'
        ? await ShimConnection.startOwnerBound()
        : await ShimConnection.startSurviving(path.resolve(mode.surviving), path.resolve(mode.stateDir))
    try {
      const { message } = await connection.request(fields)
      const sandbox = new Sandbox(options.name, mode === 'owner-bound' ? null : path.resolve(mode.stateDir), connection, message)
      if (!options.root) {
        await sandbox.writeFile('hosts', hosts)
        await sandbox.setResolvConf(options.resolvConf ?? EMBEDDED_RESOLV_CONF)
      }
      await sandbox.sysctls.apply(options)
      return sandbox
    } catch (error) {
      // A shim that was not set up ends by itself; one that was is told to.
      await connection.request(['close']).catch(() => {})
      await connection.disconnect()
      throw error
    }
  }

  /** The sandbox behind a surviving shim's socket. A client that it had loses its connection. Throws ENOENT, ECONNREFUSED. */
  static async reconnect(name: string, mode: SurvivingMode): Promise<Sandbox> {
    const connection = ShimConnection.connect(path.resolve(mode.surviving))
    try {
      const { message } = await connection.request(['hello'])
      if (message.integer('ready') !== 1) throw new SandboxError('ERR_SANDBOX_CLOSED', `sandbox ${name} was never set up`)
      return new Sandbox(name, path.resolve(mode.stateDir), connection, message)
    } catch (error) {
      await connection.disconnect()
      throw error
    }
  }

  /** PID 1 of the sandbox as seen from outside; before there is one, the shim, which is in all namespaces but that of PIDs. */
  get pid(): number {
    return this.first ?? this.shimPid
  }

  /** Whether the connection to the shim is gone. */
  get closed(): boolean {
    return this.connection.closed
  }

  /** Calls back when PID 1 has ended (no process can be started any more) or the shim was lost; at once if that has happened. */
  onExit(listener: () => void): void {
    if (this.ended) queueMicrotask(listener)
    else this.endListeners.push(listener)
  }

  /**
   * Creates a TAP in the sandbox. A surviving shim keeps the device open, so that the same call after a reconnect gives the
   * same device, its queue and its addresses. Throws SandboxError: EACCES, ENOENT for /dev/net/tun, EBUSY for a name in use.
   */
  async openTap(options: SandboxTapOptions = {}): Promise<OpenedTap> {
    const { name = 'eth0', offloads = ALL_OFFLOADS } = options
    checkInterfaceName(name)
    const vnetHeaderLength = (options.vnetHeader ?? true) ? VNET_HEADER_LENGTH : 0
    const { message } = await this.connection.request(['tap', `name=${name}`, `vnet=${vnetHeaderLength}`, `offloads=${offloads}`])
    const [fd] = message.fds as [number]
    try {
      const { mac, mtu } = options
      if (mac !== undefined || mtu !== undefined) await this.netlink.links.set(name, { mac, mtu })
    } catch (error) {
      loadNative().closeFd(fd)
      throw error
    }
    return {
      fd,
      name: message.text('name')!,
      ifindex: message.integer('ifindex')!,
      offloads: message.integer('offloads')!,
      vnetHeaderLength: message.integer('vnet')!,
      kept: message.integer('kept') === 1
    }
  }

  /**
   * Addresses, switches on and routes an interface. May be repeated. The sandbox's own sysctls say more than `ignoreAdvertisements`.
   * Throws NetlinkError, AddressError.
   */
  configureInterface(options: InterfaceOptions): Promise<void> {
    const names = ['default', options.name].map((name) => `net/ipv6/conf/${name}/accept_ra`)
    return this.interfaces.configure(
      names.some((name) => this.sysctls.wasAsked(name)) ? { ...options, ignoreAdvertisements: false } : options
    )
  }

  /** Sends 127.0.0.11 out of a device; again with another one, the route moves. Throws NetlinkError. */
  routeResolver(route: ResolverRoute): Promise<void> {
    return this.interfaces.routeResolver(route)
  }

  /** Puts 127.0.0.11 back on lo. */
  unrouteResolver(): Promise<void> {
    return this.interfaces.unrouteResolver()
  }

  /** Raw netlink messages to the sandbox's kernel side, all answers back. Each has NLM_F_ACK or NLM_F_DUMP, one dump at most. */
  async netlinkExchange(protocol: number, request: Uint8Array): Promise<Uint8Array> {
    return (await this.connection.request(['netlink', `protocol=${protocol}`, bytesField('request', request)])).data
  }

  /** Writes /proc/sys/NAME, where NAME starts with 'net/'. */
  async writeSysctl(name: string, value: string): Promise<void> {
    await this.connection.request(['sysctl', `name=${name}`, `value=${value}`])
  }

  /** Reads /proc/sys/NAME, where NAME starts with 'net/', without the newline. */
  async readSysctl(name: string): Promise<string> {
    const { message } = await this.connection.request(['sysctl', `name=${name}`])
    return message.text('value')!.trimEnd()
  }

  /** Rewrites a private file of /etc in place, so that processes which hold it see the new content. */
  async writeFile(name: PrivateFile, content: string): Promise<void> {
    const bytes = Buffer.from(content)
    for (let at = 0; at === 0 || at < bytes.length; at += FILE_PART) {
      const part = bytesField('content', bytes.subarray(at, at + FILE_PART))
      await this.connection.request(['file', `name=${name}`, `append=${at === 0 ? 0 : 1}`, part])
    }
  }

  /** The standard entries and these. */
  setHosts(entries: readonly HostsEntry[]): Promise<void> {
    return this.writeFile('hosts', renderHosts(entries))
  }

  setResolvConf(text: string): Promise<void> {
    return this.writeFile('resolv.conf', text)
  }

  /**
   * Starts a process and resolves when its program runs. Throws SandboxError with Docker's sentence: ENOENT
   * `exec: "foo": executable file not found in $PATH`, EACCES, a missing cwd; ESRCH when PID 1 has ended.
   */
  async spawn(options: SpawnOptions): Promise<SandboxProcess> {
    const { fields, fds, piped, hasTerminal } = spawnRequest(options, this.hostname, this.stateDir)
    await this.sysctls.applyLate()
    const { message } = await this.connection.request(fields, fds)
    const process = this.adopt(message.integer('id')!, message.integer('pid')!, streamsOf(message.fds, piped, hasTerminal))
    this.first ??= process.pid
    this.warnings.push(...message.all('warning'))
    return process
  }

  /** All processes whose end was not forgotten, whoever started them. */
  async list(): Promise<ProcessState[]> {
    const { message } = await this.connection.request(['list'])
    return message.all('process').map((line) => {
      const [id, pid, lost, state] = line.split(' ')
      return { id: Number(id), pid: Number(pid), exitStatus: parseOutcome(state!), lostLogBytes: Number(lost) }
    })
  }

  /** After a reconnect: a handle on a process that the earlier client started. Throws SandboxError ESRCH. */
  async process(id: number): Promise<SandboxProcess> {
    const known = this.known.get(id)
    if (known) return known
    const state = (await this.list()).find((candidate) => candidate.id === id)
    if (!state) throw new SandboxError('ESRCH', `sandbox ${this.name} has no process ${id}`)
    const process = this.adopt(id, state.pid, { stdin: null, stdout: null, stderr: null })
    if (state.exitStatus) process.settle(state.exitStatus)
    return process
  }

  /** A writer to the kept stdin, or to the kept terminal, of a process. Ending it closes this writer only. */
  async openInput(id: number): Promise<Writable> {
    const { message } = await this.connection.request(['input', `id=${id}`])
    const fd = message.fds[0]!
    return message.integer('tty') === 1 ? terminalInput(fd) : inputStream(fd)
  }

  /** The end of file on a kept stdin, once every writer of openInput is closed too. */
  async closeInput(id: number): Promise<void> {
    await this.connection.request(['close-input', `id=${id}`])
  }

  /** Stops every process where it is, until unpause(). Survives a reconnect. Throws SandboxError EALREADY when it is paused. */
  async pause(): Promise<void> {
    await this.connection.request(['pause'])
  }

  /** Throws SandboxError EALREADY when it is not paused. */
  async unpause(): Promise<void> {
    await this.connection.request(['unpause'])
  }

  /** Whether pause() was the last of the two. */
  async paused(): Promise<boolean> {
    return (await this.connection.request(['hello'])).message.integer('paused') === 1
  }

  /** PIDs of all its processes as seen from outside, PID 1 first; without the shim. */
  async processes(): Promise<number[]> {
    return (await this.connection.request(['processes'])).message.all('pid').map(Number)
  }

  async usage(): Promise<SandboxUsage> {
    const { message } = await this.connection.request(['usage'])
    return {
      cpu: BigInt(message.text('cpu')!),
      memory: message.integer('memory')!,
      memoryLimit: message.integer('memory-limit'),
      pids: message.integer('threads')!,
      pidsLimit: message.integer('threads-limit')
    }
  }

  /** Lets the shim forget an ended process and its exit status. */
  async forget(id: number): Promise<void> {
    await this.connection.request(['forget', `id=${id}`])
    this.known.delete(id)
  }

  /**
   * Leaves a surviving sandbox to itself, for a later reconnect. An owner-bound one ends, and so does a surviving one whose
   * client is killed before a process was started in it.
   */
  async disconnect(): Promise<void> {
    if (this.stateDir !== null) await this.connection.request(['leave']).catch(() => {}) // gone already, or not there any more
    await this.connection.disconnect()
  }

  /**
   * Kills every process and waits until they and the shim are gone. The network namespace itself lives until the descriptors
   * of its TAPs are closed, which are the callers'. May be called again.
   */
  async close(): Promise<void> {
    try {
      await this.connection.request(['close'])
      await this.connection.untilClosed() // the reply comes before the shim's own end
    } catch (error) {
      if ((error as SandboxError).code !== 'ERR_SANDBOX_CLOSED') throw error
    }
    await this.connection.disconnect()
  }

  private adopt(id: number, pid: number, streams: ConstructorParameters<typeof SandboxProcess>[2]): SandboxProcess {
    const process = new SandboxProcess(id, pid, streams, {
      signal: async (target, number) => {
        await this.connection.request(['signal', `id=${target}`, `signal=${number}`])
      },
      resize: async (target, size) => {
        await this.connection.request(['resize', `id=${target}`, `columns=${size.columns}`, `rows=${size.rows}`])
      }
    })
    this.known.set(id, process)
    return process
  }

  private handleEvent(event: ShimMessage): void {
    if (event.word === 'ended') this.handleEnd()
    if (event.word !== 'exit') return
    const code = event.integer('code')
    const signal = event.integer('signal')
    const status = { code, signal: signal === null ? null : signalName(signal) }
    // The reply that brought the id was handled, and its promise settled, before this event came up.
    this.known.get(event.integer('id')!)?.settle(status)
  }

  private handleEnd(): void {
    this.ended = true
    for (const listener of this.endListeners.splice(0)) listener()
  }

  private handleClose(): void {
    for (const process of this.known.values()) {
      process.settle(new SandboxError('ERR_SANDBOX_CLOSED', `sandbox ${this.name} is closed; how process ${process.id} ended is not known`))
    }
    this.handleEnd()
  }
}

/** 'running', 'code=3' or 'signal=9'. */
function parseOutcome(state: string): ExitStatus | null {
  if (state === 'running') return null
  const [kind, value] = state.split('=')
  return kind === 'signal' ? { code: null, signal: signalName(Number(value)) } : { code: Number(value), signal: null }
}
