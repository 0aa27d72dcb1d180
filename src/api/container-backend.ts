/**
 * What the routes of /containers and /exec need behind them. References are names, ids or prefixes of ids; every method throws
 * ApiError with Docker's status and text.
 */
import type { Duplex, Readable, Writable } from 'node:stream'
import type { ContainerInspect, ContainerSummary, CreateResponse, ExecInspect } from './container-json.ts'
import type { CreateBody, execBody, updateBody } from './container-shapes.ts'
import type { Decoded } from './decode.ts'
import type { Filters } from './filters.ts'

export interface ListOptions {
  /** Default: only those that run. */
  readonly all: boolean
  /** 0 or less: no limit. A limit shows stopped ones too. */
  readonly limit: number
  readonly size: boolean
  readonly filters: Filters
}

export interface LogsOptions {
  readonly follow: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  /** Nanoseconds since 1970; null: no bound. */
  readonly since: bigint | null
  readonly until: bigint | null
  readonly timestamps: boolean
  readonly details: boolean
  /** Lines from the end; null: all. */
  readonly tail: number | null
}

export interface AttachOptions {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  /** Go on with what comes. Without it only `logs` are shown. */
  readonly stream: boolean
  readonly logs: boolean
  /** 'ctrl-p,ctrl-q'; null: the default. */
  readonly detachKeys: string | null
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed'

export interface WaitResult {
  readonly StatusCode: number
  readonly Error: { readonly Message: string } | null
}

export interface TerminalDimensions {
  readonly columns: number
  readonly rows: number
}

/** What a path in a container is: `X-Docker-Container-Path-Stat`. */
export interface PathStat {
  readonly name: string
  readonly size: number
  /** Go's os.FileMode. */
  readonly mode: number
  readonly mtime: string
  readonly linkTarget: string
}

export interface ContainerBackend {
  /** `name` empty: a random one. `platform` empty: whatever the image is for. */
  create(name: string, request: CreateBody, platform: string): Promise<CreateResponse>
  /** False: it runs already. `detachKeys` replace those of the daemon for later attaches without their own. */
  start(reference: string): Promise<boolean>
  /** False: it was not running. `seconds` undefined: the container's own, -1: for ever. `signal` empty: the container's own. */
  stop(reference: string, seconds: number | undefined, signal: string): Promise<boolean>
  /** As `stop`. */
  restart(reference: string, seconds: number | undefined, signal: string): Promise<void>
  /** `signal` empty: SIGKILL. */
  kill(reference: string, signal: string): Promise<void>
  pause(reference: string): Promise<void>
  unpause(reference: string): Promise<void>
  /** Throws at once, not by the promise, for an unknown container. The result comes when the condition is met, or never when `gone`. */
  wait(reference: string, condition: WaitCondition, gone: AbortSignal): Promise<WaitResult>
  rename(reference: string, name: string): Promise<void>
  remove(reference: string, options: { force: boolean; volumes: boolean; link: boolean }): Promise<void>
  list(options: ListOptions): Promise<ContainerSummary[]>
  inspect(reference: string, size: boolean): Promise<ContainerInspect>
  update(reference: string, change: Decoded<typeof updateBody>): Promise<{ Warnings: string[] }>
  prune(filters: Filters): Promise<{ ContainersDeleted: string[] | null; SpaceReclaimed: number }>
  /** Whether it has a terminal, which decides how its output is framed. */
  isTerminal(reference: string): boolean
  /** Checks first, so that errors come as an answer; the function returned writes until the end or `gone`. */
  logs(reference: string, options: LogsOptions, gone: AbortSignal): Promise<(to: Writable) => Promise<void>>
  /** As `logs`: the function returned takes the hijacked connection over. */
  attach(reference: string, options: AttachOptions): Promise<(connection: Duplex) => Promise<void>>
  resize(reference: string, size: TerminalDimensions): Promise<void>
  top(reference: string, psArgs: string): Promise<{ Titles: string[]; Processes: string[][] }>
  /** One sample, or with `stream` one a second until it returns; `oneShot`: without the earlier sample that rates need. */
  stats(reference: string, options: { stream: boolean; oneShot: boolean; gone: AbortSignal }): AsyncIterable<unknown>
  changes(reference: string): Promise<{ Path: string; Kind: number }[]>
  /** A tar of the whole file system. */
  exportRoot(reference: string): Promise<(to: Writable) => Promise<void>>
  archiveStat(reference: string, path: string): Promise<PathStat>
  archiveGet(reference: string, path: string): Promise<{ stat: PathStat; send: (to: Writable) => Promise<void> }>
  /** `path` must be a directory. `keepKinds`: a directory and what is none never replace each other. */
  archivePut(reference: string, path: string, tar: Readable, keepKinds: boolean): Promise<void>
}

export interface ExecBackend {
  execCreate(container: string, config: Decoded<typeof execBody>): Promise<{ Id: string }>
  /** As `attach`; with `Detach` null, the process then runs already. */
  execStart(
    id: string,
    options: { detach: boolean; tty: boolean; size: TerminalDimensions | null }
  ): Promise<((connection: Duplex) => Promise<void>) | null>
  execInspect(id: string): ExecInspect
  execResize(id: string, size: TerminalDimensions): Promise<void>
}
