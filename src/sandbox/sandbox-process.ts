import { Socket } from 'node:net'
import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { SandboxError } from './sandbox-error.ts'
import { TerminalStream } from './terminal-stream.ts'

/**
 * Where a standard stream goes: 'pipe' to a stream of the SandboxProcess, 'null', 'inherit' this process's own of the same
 * number, a file descriptor, or 'kept' by the shim of a surviving sandbox: stdout and stderr are written to its log, stdin
 * stays open until it is closed, whoever comes and goes.
 */
export type StandardStream = 'pipe' | 'null' | 'inherit' | 'kept' | number

export interface SpawnOptions {
  /** The command, looked up in the PATH of `env`, and its arguments. */
  readonly argv: readonly string[]
  /** The environment, to which the user's HOME is added when it lacks one. Default: PATH, HOSTNAME, and TERM with a terminal. */
  readonly env?: Readonly<Record<string, string>>
  /** Default '/'. */
  readonly cwd?: string
  /** For all three, or [stdin, stdout, stderr]. Default 'pipe'. With `tty`, stdout's: 'pipe' or 'kept'. */
  readonly stdio?: StandardStream | readonly [StandardStream, StandardStream, StandardStream]
  /** One pseudo terminal for all three streams. */
  readonly tty?: TerminalSize | boolean
  /** 'UID[:GID]' or names of the sandbox's /etc/passwd and /etc/group. Default: root of the sandbox. */
  readonly user?: string
  /** For 'kept' output: a file of the state directory. Default { path: 'log' }, never rotated. */
  readonly log?: string | LogOptions
  /** 'all': as `docker exec --privileged`. Default: the sandbox's. */
  readonly capabilities?: readonly string[] | 'all'
  /** Beside the sandbox's limits, and also while it is paused: for what the host does in it, such as copying files. Default false. */
  readonly outsideLimits?: boolean
}

/** See process-log.ts for the files. */
export interface LogOptions {
  /** A name in the state directory, or the same with the directory in front. Default 'log'. */
  readonly path?: string
  /** A file that has reached this size is followed by a new one. Default: never. */
  readonly maxBytes?: number
  /** How many are kept, the one that is written to included. Default 1. */
  readonly maxFiles?: number
}

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** As of node:child_process: exactly one of the two is not null. */
export interface ExitStatus {
  readonly code: number | null
  /** 'SIGTERM'. */
  readonly signal: NodeJS.Signals | null
}

/** What a process asks of its sandbox. */
export interface ProcessControl {
  signal(id: number, number: number): Promise<void>
  resize(id: number, size: TerminalSize): Promise<void>
}

export interface ProcessStreams {
  readonly stdin: Writable | null
  readonly stdout: Readable | null
  readonly stderr: Readable | null
}

/** A process in a sandbox. */
export class SandboxProcess implements ProcessStreams {
  /** Its number in the sandbox, never used again. */
  readonly id: number
  /** As seen from outside the sandbox. */
  readonly pid: number
  /** Not null where 'pipe'. With a terminal, stdin and stdout are the same duplex stream and stderr is null. */
  readonly stdin: Writable | null
  readonly stdout: Readable | null
  readonly stderr: Readable | null
  private readonly control: ProcessControl
  private outcome: ExitStatus | SandboxError | null = null
  private readonly waiting: (() => void)[] = []

  constructor(id: number, pid: number, streams: ProcessStreams, control: ProcessControl) {
    this.id = id
    this.pid = pid
    this.stdin = streams.stdin
    this.stdout = streams.stdout
    this.stderr = streams.stderr
    this.control = control
  }

  /** How it ended; null while it runs. */
  get exitStatus(): ExitStatus | null {
    return this.outcome instanceof SandboxError ? null : this.outcome
  }

  /** Resolves when it has ended. Throws SandboxError ERR_SANDBOX_CLOSED when the shim was lost before. */
  wait(): Promise<ExitStatus> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        if (this.outcome instanceof SandboxError) reject(this.outcome)
        else resolve(this.outcome!)
      }
      if (this.outcome !== null) settle()
      else this.waiting.push(settle)
    })
  }

  /** Sends a signal; does nothing when the process has ended, as its end may not be known here yet. */
  async kill(signal: NodeJS.Signals | number = 'SIGTERM'): Promise<void> {
    const number = typeof signal === 'number' ? signal : constants.signals[signal]
    if (number === undefined) throw new SandboxError('EINVAL', `unknown signal '${signal}'`)
    if (this.outcome !== null) return
    try {
      await this.control.signal(this.id, number)
    } catch (error) {
      if ((error as SandboxError).code !== 'ESRCH') throw error
    }
  }

  /** Tells the terminal's new size; the foreground processes get SIGWINCH. Throws SandboxError ENOTTY without a terminal. */
  resize(size: TerminalSize): Promise<void> {
    return this.control.resize(this.id, size)
  }

  /** For the sandbox: how it ended, or why that will never be known. The first call counts. */
  settle(outcome: ExitStatus | SandboxError): void {
    if (this.outcome !== null) return
    this.outcome = outcome
    for (const settle of this.waiting.splice(0)) settle()
  }
}

/** 'SIGKILL' of 9. Real-time signals have no name in Node and come out as 'SIG34'. */
export function signalName(number: number): NodeJS.Signals {
  const found = Object.entries(constants.signals).find(([, value]) => value === number)
  return (found?.[0] ?? `SIG${number}`) as NodeJS.Signals
}

/** Streams on the client's ends of the descriptors that a spawn brought: in the order stdin, stdout, stderr, where piped. */
export function streamsOf(fds: readonly number[], piped: readonly [boolean, boolean, boolean], tty: boolean): ProcessStreams {
  if (tty) {
    const terminal = fds.length > 0 ? new TerminalStream(fds[0]!) : null
    return { stdin: terminal, stdout: terminal, stderr: null }
  }
  const left = [...fds]
  return {
    stdin: piped[0] ? inputStream(left.shift()!) : null,
    stdout: piped[1] ? new Socket({ fd: left.shift()!, readable: true, writable: false }) : null,
    stderr: piped[2] ? new Socket({ fd: left.shift()!, readable: true, writable: false }) : null
  }
}

/** The write end of a process's stdin. */
export function inputStream(fd: number): Writable {
  const stream = new Socket({ fd, readable: false, writable: true })
  // The reader may end at any time. Who writes hears of it in the write's callback; nobody else needs to die of EPIPE.
  stream.on('error', () => {})
  return stream
}
