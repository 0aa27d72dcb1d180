import type { Duplex, Readable } from 'node:stream'
import { ApiError } from '../../api/api-error.ts'
import type { TerminalDimensions } from '../../api/container-backend.ts'
import type { ExecInspect } from '../../api/container-json.ts'
import type { execBody } from '../../api/container-shapes.ts'
import type { Decoded } from '../../api/decode.ts'
import { outputFrame } from '../../api/output-frame.ts'
import type { SandboxProcess, SpawnOptions } from '../../sandbox/sandbox-process.ts'
import { newDockerId } from '../docker-id.ts'
import type { Container } from './container.ts'
import type { ContainerContext } from './container-context.ts'
import { restarting } from './container-runner.ts'
import { DetachFilter, parseDetachKeys } from './detach-keys.ts'
import { exitCodeOf } from './exit-code.ts'
import { isAboutUser } from './launch.ts'
import { processEnvironment } from './process-environment.ts'
import { endConnection, writeAll } from './stream-write.ts'

/** A process that is to run, runs or ran in a container beside its own. It does not outlive the daemon as such: its streams end. */
interface Exec {
  readonly id: string
  readonly container: Container
  readonly config: Decoded<typeof execBody>
  readonly detachKeys: Buffer
  process: SandboxProcess | null
  /** null before the start, and while it runs. */
  exitCode: number | null
  isStarted: boolean
  /** ns since 1970; when it ended. */
  endedAt: bigint | null
  /** Sizes that the client told before the process was there. */
  size: TerminalDimensions | null
}

/** How long an ended exec can be inspected, as in Docker. ns. */
const KEPT_NS = 300_000_000_000n

/** Docker's exit status of an exec whose program could not be run. */
const NOT_RUN = 126

/**
 * How long a background child of an ended process may still write: two seconds, as in Docker, but by turns. On a machine that stood still
 * a timer is due before what lies in a pipe is read; between two timers it is.
 */
const LAST_OUTPUT_TURNS = 4
const LAST_OUTPUT_TURN_MS = 500

export class ExecService {
  private readonly context: ContainerContext
  private readonly execs = new Map<string, Exec>()

  constructor(context: ContainerContext) {
    this.context = context
  }

  create(reference: string, config: Decoded<typeof execBody>): { Id: string } {
    const container = this.context.options.registry.find(reference)
    if ((config.Cmd ?? []).length === 0) throw ApiError.badRequest('No exec command specified')
    this.checkRunning(container, reference)
    const detachKeys = escapeKeys(config.DetachKeys)
    this.forgetOld()
    const id = newDockerId(this.context.options.random)
    const exec: Exec = { id, container, config, detachKeys, process: null, exitCode: null, isStarted: false, endedAt: null, size: null }
    this.execs.set(id, exec)
    this.publish(exec, 'exec_create')
    return { Id: id }
  }

  /** null when detached: the process runs. Else a function that serves the client. */
  async start(
    id: string,
    { detach, size }: { detach: boolean; size: TerminalDimensions | null }
  ): Promise<((connection: Duplex) => Promise<void>) | null> {
    const exec = this.find(id)
    if (exec.endedAt !== null) throw ApiError.conflict(`Error: Exec command ${id} has already run`)
    if (exec.isStarted) throw ApiError.conflict(`Error: Exec command ${id} is already running`)
    this.checkRunning(exec.container, exec.container.id)
    exec.isStarted = true
    exec.size = size ?? exec.size
    if (!detach) return (connection) => this.serve(exec, connection)
    const process = await this.spawn(exec, true)
    process.stdout?.resume() // a terminal that nobody reads would stop its writers
    return null
  }

  inspect(id: string): ExecInspect {
    const { container, config, detachKeys, process, exitCode, endedAt, isStarted } = this.find(id)
    const [entrypoint = '', ...args] = config.Cmd ?? []
    const { User, Tty, Privileged } = config
    return {
      ID: id,
      Running: isStarted && endedAt === null,
      ExitCode: exitCode,
      ProcessConfig: { tty: Tty, entrypoint, arguments: args, privileged: Privileged, ...(User !== '' && { user: User }) },
      OpenStdin: config.AttachStdin,
      OpenStderr: config.AttachStderr,
      OpenStdout: config.AttachStdout,
      CanRemove: endedAt !== null,
      ContainerID: container.id,
      DetachKeys: config.DetachKeys === '' ? '' : Buffer.from(detachKeys).toString('base64'),
      Pid: endedAt === null ? (process?.pid ?? 0) : 0
    }
  }

  async resize(id: string, size: TerminalDimensions): Promise<void> {
    const exec = this.find(id)
    exec.size = size
    if (exec.config.Tty && exec.endedAt === null) await exec.process?.resize(size)
  }

  /** Runs a command without streams to its end: -1 when it took longer than `ms`, and was killed. For health checks; told as an exec. */
  async probe(container: Container, argv: string[], ms: number): Promise<{ exitCode: number; output: string }> {
    const { sandbox, config } = container
    if (sandbox === null) return { exitCode: -1, output: '' }
    const env = processEnvironment(container, false)
    const user = config.User === '' ? {} : { user: config.User }
    const execID = newDockerId(this.context.options.random)
    const [command, ...args] = argv
    for (const action of ['exec_create', 'exec_start'])
      this.context.publish(container, `${action}: ${command} ${args.join(' ')}`, { execID })
    const process = await sandbox.spawn({ argv, env, cwd: config.WorkingDir || '/', stdio: ['null', 'pipe', 'pipe'], ...user })
    let output = ''
    for (const stream of [process.stdout!, process.stderr!]) {
      stream.on('data', (bytes: Buffer) => {
        if (output.length < 4096) output += bytes.toString()
      })
    }
    let isLate = false
    const cancel = this.context.options.timers.after(ms, () => {
      isLate = true
      void process.kill('SIGKILL')
    })
    const status = await process.wait().finally(cancel)
    await sandbox.forget(process.id).catch(() => {})
    this.context.publish(container, 'exec_die', { execID, exitCode: String(exitCodeOf(status)) })
    if (isLate) return { exitCode: -1, output: `Health check exceeded timeout (${ms / 1000}s)` }
    return { exitCode: exitCodeOf(status), output }
  }

  private async serve(exec: Exec, connection: Duplex): Promise<void> {
    connection.on('error', () => {})
    try {
      const process = await this.spawn(exec, false)
      void this.passInput(exec, process, connection)
      const sent = this.sendOutput(exec, process, connection)
      const ended = process.wait().then(
        () => this.lastOutput(),
        () => {}
      )
      await Promise.race([sent, ended])
    } catch (error) {
      connection.resume()
      // The client has its answer already: this is where Docker says it, too.
      const text = Buffer.from(`${(error as Error).message}\r\n`)
      connection.write(exec.config.Tty ? text : outputFrame(1, text))
    }
    endConnection(connection)
  }

  private async spawn(exec: Exec, detached: boolean): Promise<SandboxProcess> {
    const { container, config } = exec
    const { sandbox } = container
    try {
      if (sandbox === null) throw ApiError.conflict(`Container ${container.id} is not running`)
      const process = await sandbox.spawn(spawnOptions(exec, detached)).catch((error: Error) => {
        throw new ApiError(400, isAboutUser(error) ? error.message : execMessage(error.message), { cause: error })
      })
      exec.process = process
      container.execIds.add(exec.id)
      this.publish(exec, 'exec_start')
      if (config.Tty && exec.size !== null) await process.resize(exec.size).catch(() => {})
      process.wait().then(
        (status) => {
          this.ended(exec, exitCodeOf(status))
          void sandbox.forget(process.id).catch(() => {})
        },
        () => this.ended(exec, exitCodeOf(null))
      )
      return process
    } catch (error) {
      exec.exitCode = NOT_RUN
      exec.endedAt = this.context.now()
      throw error
    }
  }

  private ended(exec: Exec, exitCode: number): void {
    const { container, id } = exec
    exec.exitCode = exitCode
    exec.endedAt = this.context.now()
    container.execIds.delete(id)
    this.context.publish(container, 'exec_die', { execID: id, exitCode: String(exitCode) })
  }

  private async sendOutput({ config }: Exec, process: SandboxProcess, connection: Duplex): Promise<void> {
    const send = async (stream: Readable | null, number: 1 | 2): Promise<void> => {
      if (stream === null) return
      // Read to the end also when the client has gone: the process must not stand still.
      for await (const data of stream) await writeAll(connection, config.Tty ? (data as Buffer) : outputFrame(number, data as Buffer))
    }
    await Promise.all([send(process.stdout, 1), send(process.stderr, 2), process.wait().catch(() => {})])
  }

  private async passInput(exec: Exec, process: SandboxProcess, connection: Duplex): Promise<void> {
    const { stdin } = process
    if (!exec.config.AttachStdin || stdin === null) {
      connection.resume()
      return
    }
    const filter = exec.config.Tty ? new DetachFilter(exec.detachKeys) : null
    try {
      for await (const chunk of connection.iterator({ destroyOnReturn: false })) {
        const { data, isDetached } = filter?.take(chunk as Buffer) ?? { data: chunk as Buffer, isDetached: false }
        if (data.length > 0) await writeAll(stdin, data)
        if (!isDetached) continue
        this.context.publish(exec.container, 'exec_detach', { execID: exec.id })
        endConnection(connection)
        return
      }
    } catch {
      // The client has gone without a farewell.
    }
    if (!exec.config.Tty) stdin.end()
  }

  private async lastOutput(): Promise<void> {
    for (let turn = 0; turn < LAST_OUTPUT_TURNS; turn++) await this.elapsed(LAST_OUTPUT_TURN_MS)
  }

  private elapsed(ms: number): Promise<void> {
    return new Promise((resolve) => void this.context.options.timers.after(ms, resolve))
  }

  private checkRunning(container: Container, reference: string): void {
    const { state, id } = container
    if (!state.Running) throw ApiError.conflict(`Container ${id} is not running`)
    if (state.Paused) throw ApiError.conflict(`Container ${reference} is paused, unpause the container before exec`)
    if (state.Restarting) throw restarting(reference)
  }

  private find(id: string): Exec {
    const exec = this.execs.get(id)
    if (exec === undefined || this.context.options.registry.get(exec.container.id) === undefined) {
      throw ApiError.notFound(`No such exec instance: ${id}`)
    }
    return exec
  }

  private publish({ id, container, config }: Exec, action: 'exec_create' | 'exec_start'): void {
    // Docker's blank stands behind the command, also when no argument follows.
    const [command, ...args] = config.Cmd ?? []
    this.context.publish(container, `${action}: ${command} ${args.join(' ')}`, { execID: id })
  }

  private forgetOld(): void {
    const bound = this.context.now() - KEPT_NS
    for (const exec of this.execs.values()) {
      const isGone = this.context.options.registry.get(exec.container.id) === undefined
      if (isGone || (exec.endedAt !== null && exec.endedAt < bound)) this.execs.delete(exec.id)
    }
  }
}

function execMessage(reason: string): string {
  return `OCI runtime exec failed: exec failed: unable to start container process: ${reason}: unknown`
}

/** The keys in Docker's words for exec, which are others than those for attach. */
function escapeKeys(text: string): Buffer {
  try {
    return parseDetachKeys(text)
  } catch (error) {
    throw ApiError.internal(`Invalid escape keys (${text}) provided`, { cause: error })
  }
}

function spawnOptions({ container, config, size }: Exec, detached: boolean): SpawnOptions {
  const { Cmd, Tty, Env, User, WorkingDir, Privileged, AttachStdin, AttachStdout, AttachStderr } = config
  const user = User || container.config.User
  const stream = (isWanted: boolean): 'pipe' | 'null' => (isWanted && !detached ? 'pipe' : 'null')
  return {
    argv: Cmd!,
    env: processEnvironment(container, Tty, Env ?? []),
    cwd: WorkingDir || container.config.WorkingDir || '/',
    stdio: Tty ? 'pipe' : [stream(AttachStdin), stream(AttachStdout), stream(AttachStderr)],
    ...(Tty && { tty: size ?? true }),
    ...(user !== '' && { user }),
    ...(Privileged && { capabilities: 'all' as const })
  }
}
