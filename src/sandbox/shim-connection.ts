import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { loadNative } from '../io/load-native.ts'
import type { NativeBinding, NativeWatch, StartedProgram } from '../io/native-binding.ts'
import { SandboxError } from './sandbox-error.ts'
import { findShim } from './shim-binary.ts'
import { encodeShimMessage, MAX_MESSAGE, type ShimField, ShimMessage } from './shim-message.ts'

/** What a request brought: the last message of the answer, and the `data` of all its parts. */
export interface ShimReply {
  readonly message: ShimMessage
  readonly data: Buffer
}

interface PendingRequest {
  readonly parts: Buffer[]
  readonly resolve: (reply: ShimReply) => void
  readonly reject: (error: SandboxError) => void
}

/**
 * One client's connection to a shim: numbered requests and their replies, events in between. Requests are sent one at a time,
 * so that the socket's buffer always has room. File descriptors that arrive belong to who made the request.
 */
export class ShimConnection {
  /** Called for each event (a message with number 0), in order with the replies. */
  onEvent: (event: ShimMessage) => void = () => {}
  /** Called once, when the shim has gone or another client has taken its place. */
  onClose: () => void = () => {}
  private readonly native: NativeBinding
  private readonly child: ChildProcess | null
  private readonly watch: NativeWatch
  private readonly pending = new Map<number, PendingRequest>()
  private readonly closeListeners: (() => void)[] = []
  private fd: number
  private nextNumber = 1
  private last: Promise<unknown> = Promise.resolve()
  private diagnostics = ''

  private constructor(native: NativeBinding, fd: number, child: ChildProcess | null) {
    this.native = native
    this.fd = fd
    this.child = child
    child?.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.diagnostics = (this.diagnostics + text).slice(-2048)
    })
    this.watch = native.watchReadable(fd, () => this.receive())
  }

  /** Starts a shim that lives as long as this connection. Throws SandboxError, NativeUnavailableError. */
  static async startOwnerBound(): Promise<ShimConnection> {
    return ShimConnection.startProgram(findShim(), ['--owner-bound'])
  }

  /**
   * Starts a program that speaks the shim's messages on fd 3 and ends when this connection does. `more`: descriptors for it, from
   * fd 4 on; they stay the caller's. Throws SandboxError, NativeUnavailableError.
   */
  static async startProgram(program: string, args: readonly string[], more: readonly number[] = []): Promise<ShimConnection> {
    const native = loadNative()
    const [ours, theirs] = native.socketpairSeqpacket()
    try {
      const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe', theirs, ...more], cwd: '/', env: {} })
      try {
        await once(child, 'spawn')
      } catch (error) {
        throw cannotStart(program, error)
      }
      return new ShimConnection(native, ours, child)
    } catch (error) {
      native.closeFd(ours)
      throw error
    } finally {
      native.closeFd(theirs)
    }
  }

  /** Starts a shim that outlives this process, listening on `socketPath`, and connects to it. */
  static async startSurviving(socketPath: string, stateDirectory: string): Promise<ShimConnection> {
    const native = loadNative()
    const shim = findShim()
    let program: StartedProgram
    try {
      program = native.startProgram(shim, ['--listen', socketPath, '--state', stateDirectory])
    } catch (error) {
      throw cannotStart(shim, error)
    }
    try {
      await readable(native, program.pidfd)
      const status = native.takeExitStatus(program.pid)
      if (status !== 0) throw new SandboxError('ERR_SANDBOX_START', lastWords(program.stderr) || `netloom-shim ended with status ${status}`)
      return ShimConnection.connect(socketPath)
    } finally {
      native.closeFd(program.pidfd)
      native.closeFd(program.stderr) // by which the shim would have heard of our end until now
    }
  }

  /** Connects to a surviving shim; a client that it had before loses its connection. Throws ENOENT or ECONNREFUSED. */
  static connect(socketPath: string): ShimConnection {
    const native = loadNative()
    return new ShimConnection(native, native.connectSeqpacket(socketPath), null)
  }

  get closed(): boolean {
    return this.fd < 0
  }

  /** Throws SandboxError: the shim's own, or ERR_SANDBOX_CLOSED when it has gone. */
  request(fields: readonly ShimField[], fds: readonly number[] = []): Promise<ShimReply> {
    const result = this.last.then(() => this.exchange(fields, fds))
    this.last = result.catch(() => {})
    return result
  }

  /** Resolves when the shim has gone, or another client has taken this one's place. */
  untilClosed(): Promise<void> {
    return new Promise((resolve) => {
      if (this.closed) resolve()
      else this.closeListeners.push(resolve)
    })
  }

  /** Leaves: an owner-bound shim then ends everything, a surviving one waits for the next client. */
  async disconnect(): Promise<void> {
    this.end()
    if (this.child && this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit')
  }

  private exchange(fields: readonly ShimField[], fds: readonly number[]): Promise<ShimReply> {
    return new Promise((resolve, reject) => {
      if (this.closed) throw this.closedError()
      const number = this.nextNumber++
      const message = encodeShimMessage(number, fields)
      try {
        this.native.sendWithFds(this.fd, message, fds)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code !== 'EPIPE' && code !== 'ECONNRESET') throw error
        throw this.closedError() // gone already; that will be read in a moment
      }
      this.pending.set(number, { parts: [], resolve, reject })
    })
  }

  private receive(): void {
    if (this.closed) return
    let message: ShimMessage
    try {
      const received = this.native.receiveWithFds(this.fd, MAX_MESSAGE, 0)
      if (received.data.length === 0) return this.end()
      message = new ShimMessage(received.data, received.fds)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ETIMEDOUT') return // woken for nothing
      return this.end()
    }
    if (message.number === 0) return this.onEvent(message)
    const request = this.pending.get(message.number)
    if (request === undefined) {
      for (const fd of message.fds) this.native.closeFd(fd)
      return
    }
    const data = message.bytes('data')
    if (data !== null) request.parts.push(data)
    if (message.word === 'part') return
    this.pending.delete(message.number)
    if (message.word === 'ok') return request.resolve({ message, data: Buffer.concat(request.parts) })
    request.reject(SandboxError.fromShim(message.integer('errno') ?? 0, message.text('syscall') ?? '', message.text('text') ?? ''))
  }

  private end(): void {
    if (this.closed) return
    this.native.unwatchReadable(this.watch)
    this.native.closeFd(this.fd)
    this.fd = -1
    for (const request of this.pending.values()) request.reject(this.closedError())
    this.pending.clear()
    this.onClose()
    for (const listener of this.closeListeners.splice(0)) listener()
  }

  private closedError(): SandboxError {
    const said = this.diagnostics.trim()
    return new SandboxError('ERR_SANDBOX_CLOSED', `the sandbox is closed${said ? `: ${said}` : ''}`)
  }
}

function cannotStart(shim: string, error: unknown): SandboxError {
  const { code = 'ERR_SANDBOX_START', message } = error as NodeJS.ErrnoException
  return new SandboxError(code, `${shim} could not be started: ${message}`)
}

function readable(native: NativeBinding, fd: number): Promise<void> {
  return new Promise((resolve) => {
    const watch = native.watchReadable(fd, () => {
      native.unwatchReadable(watch)
      resolve()
    })
  })
}

/** What a program that has ended wrote to a pipe. */
function lastWords(fd: number): string {
  return readFileSync(fd, 'utf8').trim()
}
