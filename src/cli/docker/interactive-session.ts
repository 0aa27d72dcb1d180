/**
 * A terminal, or pipes, joined to a container's process: keys and input go there, output comes back, the terminal's size follows, until
 * the process closes its side or the user leaves by the detach keys.
 */
import { demultiplex } from '../../client/demultiplex.ts'
import type { Hijacked } from '../../client/http-transport.ts'
import { CliError } from '../cli-error.ts'
import { DetachKeys, parseDetachKeys } from './detach-keys.ts'

export interface SessionOptions {
  readonly hijacked: Hijacked
  /** The container has a terminal: raw bytes both ways. */
  readonly tty: boolean
  readonly stdin: boolean
  readonly detachKeys: string
  /** Tells the daemon the terminal's size. */
  readonly resize: (rows: number, columns: number) => Promise<void>
}

export interface Session {
  /** 'detached': the user left it running. */
  readonly ended: Promise<'ended' | 'detached'>
  /** The process runs from now on: it can be told the terminal's size. */
  started(): Promise<void>
}

/** Refuses a terminal for the container where there is none here to drive it. */
export function checkTerminal(tty: boolean, stdin: boolean): void {
  if (tty && stdin && process.stdin.isTTY !== true) {
    throw new CliError('the input device is not a TTY', { code: 'ERR_NO_TTY', isPlain: true })
  }
}

/** Begins at once; `ended` resolves when all output has been written. The terminal is as before then. */
export function startSession(options: SessionOptions): Session {
  const { hijacked, tty, stdin, resize } = options
  const { connection } = hijacked
  const isRaw = tty && stdin && process.stdin.isTTY === true
  const sendSize = async (): Promise<void> => {
    if (tty && process.stdout.isTTY === true) await resize(process.stdout.rows, process.stdout.columns).catch(() => {})
  }
  const onResize = (): void => void sendSize()
  if (tty) process.stdout.on('resize', onResize)
  const input = stdin ? forwardInput(options, isRaw) : { detached: new Promise<never>(() => {}), stop: () => {} }
  const output = (hijacked.isMultiplexed || !tty ? writeFrames(connection) : writeRaw(connection)).then(() => 'ended' as const)
  const ended = Promise.race([output, input.detached]).finally(() => {
    input.stop()
    process.stdout.removeListener('resize', onResize)
    connection.destroy()
  })
  return { ended, started: sendSize }
}

function forwardInput({ hijacked, detachKeys }: SessionOptions, isRaw: boolean): { detached: Promise<'detached'>; stop: () => void } {
  const { connection } = hijacked
  const keys = new DetachKeys(parseDetachKeys(detachKeys))
  let detach: (word: 'detached') => void = () => {}
  const detached = new Promise<'detached'>((resolve) => {
    detach = resolve
  })
  const onData = (chunk: Buffer): void => {
    const { send, isDetached } = isRaw ? keys.take(chunk) : { send: chunk, isDetached: false }
    if (send.length > 0 && !connection.write(send)) {
      process.stdin.pause()
      connection.once('drain', () => process.stdin.resume())
    }
    if (isDetached) detach('detached')
  }
  const onEnd = (): void => void connection.end()
  if (isRaw) process.stdin.setRawMode(true)
  process.stdin.on('data', onData)
  process.stdin.on('end', onEnd)
  process.stdin.resume()
  const stop = (): void => {
    process.stdin.removeListener('data', onData)
    process.stdin.removeListener('end', onEnd)
    if (isRaw) process.stdin.setRawMode(false)
    process.stdin.pause()
    // A pipe that nobody closes must not keep the process.
    process.stdin.unref?.()
  }
  return { detached, stop }
}

async function writeFrames(source: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const { stream, data } of demultiplex(source)) await write(process[stream], data)
  } catch (error) {
    if (!isCut(error)) throw error
  }
}

async function writeRaw(source: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const chunk of source) await write(process.stdout, chunk)
  } catch (error) {
    if (!isCut(error)) throw error
  }
}

/** At the pace of who reads it. */
export async function write(to: NodeJS.WriteStream, data: Uint8Array): Promise<void> {
  if (!to.write(data)) await new Promise((resolve) => to.once('drain', resolve))
}

/** The connection was cut, by us or by the daemon: its end all the same. */
function isCut(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ABORT_ERR'
}
