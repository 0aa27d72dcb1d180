import path from 'node:path'
import { capabilityMask } from './capabilities.ts'
import { SandboxError } from './sandbox-error.ts'
import type { LogOptions, SpawnOptions, StandardStream } from './sandbox-process.ts'
import type { ShimField } from './shim-message.ts'

/** What the shim is sent to start a process. */
export interface SpawnRequest {
  readonly fields: readonly ShimField[]
  /** Descriptors that travel along, for the streams that are one. */
  readonly fds: readonly number[]
  /** Which of stdin, stdout and stderr come back as pipes. */
  readonly piped: [boolean, boolean, boolean]
  readonly hasTerminal: boolean
}

/** Puts the options into the shim's words (native/shim/README.md, verb spawn). Throws SandboxError EINVAL. */
export function spawnRequest(options: SpawnOptions, hostname: string, stateDir: string | null): SpawnRequest {
  const streams = standardStreams(options.stdio ?? 'pipe')
  const tty = options.tty === true ? { columns: 80, rows: 24 } : options.tty || null
  const env = options.env ?? defaultEnvironment(hostname, tty !== null)
  const fields: ShimField[] = ['spawn', `cwd=${options.cwd ?? '/'}`]
  fields.push(...options.argv.map((argument) => `arg=${argument}`))
  fields.push(...Object.entries(env).map(([name, value]) => `env=${name}=${value}`))
  if (options.user) fields.push(`user=${options.user}`)
  if (options.log !== undefined) fields.push(...logFields(typeof options.log === 'string' ? { path: options.log } : options.log, stateDir))
  if (options.capabilities !== undefined) fields.push(`caps=${capabilityMask(options.capabilities)}`)
  if (options.outsideLimits === true) fields.push('outside=1')
  if (tty) fields.push('tty=1', `columns=${tty.columns}`, `rows=${tty.rows}`)
  const fds: number[] = []
  for (const [i, stream] of streams.entries()) {
    const fd = stream === 'inherit' ? i : stream
    if (typeof fd === 'number' && !tty) fds.push(fd)
    fields.push(`${STREAM_NAMES[i]}=${typeof fd === 'number' ? 'fd' : fd}`)
  }
  if (fields.some((field) => (field as string).includes('\0'))) {
    throw new SandboxError('EINVAL', 'a NUL byte in a command, its environment or its directory')
  }
  const piped = streams.map((stream) => stream === 'pipe') as [boolean, boolean, boolean]
  return { fields, fds, piped, hasTerminal: tty !== null }
}

/** The shim's own in the state directory. */
const RESERVED_FILES = ['status', 'shim.log']

const STREAM_NAMES = ['stdin', 'stdout', 'stderr']

function standardStreams(stdio: NonNullable<SpawnOptions['stdio']>): readonly [StandardStream, StandardStream, StandardStream] {
  return typeof stdio === 'string' || typeof stdio === 'number' ? [stdio, stdio, stdio] : stdio
}

function defaultEnvironment(hostname: string, tty: boolean): Record<string, string> {
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOSTNAME: hostname,
    ...(tty ? { TERM: 'xterm' } : {})
  }
}

function logFields({ path: file = 'log', maxBytes, maxFiles }: LogOptions, stateDir: string | null): ShimField[] {
  const inState = stateDir !== null && path.dirname(file) === stateDir
  const fields = [`log=${checkedLogName(inState ? path.basename(file) : file)}`]
  for (const [key, value] of Object.entries({ 'log-bytes': maxBytes, 'log-files': maxFiles })) {
    if (value === undefined) continue
    if (!Number.isSafeInteger(value) || value < 1)
      throw new SandboxError('EINVAL', `log ${file}: a limit of ${value} is no positive integer`)
    fields.push(`${key}=${value}`)
  }
  return fields
}

function checkedLogName(name: string): string {
  if (/^[\w-][\w.-]*$/.test(name) && !RESERVED_FILES.includes(name)) return name
  throw new SandboxError(
    'EINVAL',
    `log '${name}' must be a file name of letters, digits, '.', '_' and '-', not ${RESERVED_FILES.join(' or ')}`
  )
}
