import type { Duplex, Writable } from 'node:stream'
import { ApiError } from '../../api/api-error.ts'
import type { AttachOptions, LogsOptions } from '../../api/container-backend.ts'
import { outputFrame } from '../../api/output-frame.ts'
import { whenAborted } from '../../api/when-aborted.ts'
import { followProcessLog, type LogLine, type LogPosition, logEnd, readLogLines } from '../../sandbox/process-log.ts'
import type { Container } from './container.ts'
import type { ContainerContext } from './container-context.ts'
import { restarting } from './container-runner.ts'
import { DetachFilter, parseDetachKeys } from './detach-keys.ts'
import { MAIN_PROCESS } from './launch.ts'
import { endConnection, writeAll } from './stream-write.ts'

/**
 * Output of containers. The shim writes all of it to the log, and every reader, `logs` or `attach`, follows the log at its own pace:
 * none can hold up the process or another, and a restarted daemon goes on where the log stands.
 */
export class ContainerOutput {
  private readonly context: ContainerContext

  constructor(context: ContainerContext) {
    this.context = context
  }

  /** Throws ApiError. The function returned writes the lines that were asked for. */
  async logs(container: Container, options: LogsOptions, gone: AbortSignal): Promise<(to: Writable) => Promise<void>> {
    if (container.isBeingRemoved || container.state.Dead) {
      throw ApiError.conflict('can not get logs from container which is dead or marked for removal')
    }
    if (container.hostConfig.LogConfig.Type === 'none') throw new ApiError(501, 'configured logging driver does not support reading')
    const isFollowing = options.follow && container.state.Running
    const stopped = isFollowing ? container.moments.next('stopped', gone) : undefined
    return (to) => this.sendLogs(container, options, stopped, to, gone)
  }

  /** Throws ApiError. The function returned serves one client until it goes, detaches, or the container's run ends. */
  async attach(container: Container, options: AttachOptions): Promise<(connection: Duplex) => Promise<void>> {
    const keys = parseDetachKeys(options.detachKeys)
    if (container.state.Paused) throw ApiError.conflict(`Container ${container.id} is paused, unpause the container before attach`)
    if (container.state.Restarting) throw restarting(container.id)
    // Both before the client hears that it is attached: it starts the container then, and misses nothing.
    const over = new AbortController()
    const ended = container.moments.next('ended', over.signal)
    const end = await logEnd(container.logPath).catch((error: unknown) => {
      over.abort()
      throw error
    })
    return (connection) => this.serve(container, options, { keys, ended, end, over }, connection)
  }

  private async sendLogs(
    container: Container,
    options: LogsOptions,
    stopped: Promise<void> | undefined,
    to: Writable,
    gone: AbortSignal
  ): Promise<void> {
    const over = new AbortController()
    const signal = AbortSignal.any([gone, over.signal])
    const { since, until, tail } = options
    const cancel = stopped && until !== null ? this.abortAt(until, over) : () => {}
    try {
      const lines = readLogLines(container.logPath, {
        signal,
        isOver: stopped !== undefined || !container.state.Running,
        ...(tail !== null && { tail }),
        ...(since !== null && { since }),
        ...(until !== null && { before: until }),
        ...(stopped !== undefined && { until: stopped })
      })
      for await (const line of lines) {
        if (line.stream === 1 ? !options.stdout : !options.stderr) continue
        const text = decorate(line, options)
        await writeAll(to, container.config.Tty ? text : outputFrame(line.stream, text))
        if (to.destroyed) return
      }
    } finally {
      cancel()
    }
  }

  private abortAt(time: bigint, over: AbortController): () => void {
    const ms = Number((time - this.context.now()) / 1_000_000n)
    return this.context.options.timers.after(Math.max(0, ms), () => over.abort())
  }

  private async serve(
    container: Container,
    options: AttachOptions,
    start: { keys: Buffer; ended: Promise<void>; end: LogPosition; over: AbortController },
    connection: Duplex
  ): Promise<void> {
    const { over } = start
    connection.on('close', () => over.abort())
    connection.on('error', () => over.abort())
    // It may have gone before it was handed over.
    if (connection.destroyed) over.abort()
    this.context.publish(container, 'attach')
    void this.passInput(container, options, start.keys, connection, over).catch((error: Error) => {
      if (!over.signal.aborted) this.context.options.log(`attach to ${container.name}: ${error.message}`)
    })
    if (options.stdout || options.stderr) {
      const until = options.stream ? start.ended : Promise.resolve()
      const records = followProcessLog(container.logPath, { from: options.logs ? 'start' : start.end, until, signal: over.signal })
      for await (const { stream, data } of records) {
        if (stream === 1 ? !options.stdout : !options.stderr) continue
        await writeAll(connection, container.config.Tty ? data : outputFrame(stream, data))
      }
    } else if (options.stream) {
      await Promise.race([start.ended, whenAborted(over.signal)])
    }
    endConnection(connection)
  }

  /** From the client to the process, once it runs. Also where nothing is passed on, the client's end is to be heard. */
  private async passInput(
    container: Container,
    options: AttachOptions,
    keys: Buffer,
    connection: Duplex,
    over: AbortController
  ): Promise<void> {
    if (!options.stdin || !container.config.OpenStdin) {
      connection.resume()
      return
    }
    if (!container.state.Running) {
      await Promise.race([container.moments.next('started', over.signal), container.moments.next('ended', over.signal)])
    }
    const { sandbox } = container
    if (sandbox === null || over.signal.aborted) {
      connection.resume()
      return
    }
    const { Tty, StdinOnce } = container.config
    const input = await sandbox.openInput(MAIN_PROCESS)
    try {
      if (await this.copyInput(container, Tty ? new DetachFilter(keys) : null, connection, input)) {
        connection.resume()
        return over.abort()
      }
    } catch {
      // The client has gone without a farewell: that is the end of its input as well.
    } finally {
      await new Promise<void>((resolve) => {
        input.on('close', resolve)
        if (Tty) input.destroy()
        else input.end(() => input.destroy())
      })
    }
    if (StdinOnce && !Tty) await sandbox.closeInput(MAIN_PROCESS)
  }

  /** True: the client has detached. */
  private async copyInput(container: Container, filter: DetachFilter | null, from: Duplex, to: Writable): Promise<boolean> {
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      const { data, isDetached } = filter?.take(chunk as Buffer) ?? { data: chunk as Buffer, isDetached: false }
      if (data.length > 0) await writeAll(to, data)
      if (!isDetached) continue
      this.context.publish(container, 'detach')
      return true
    }
    return false
  }
}

/** With what was asked for in front of each line. */
function decorate({ time, data }: LogLine, { timestamps, details }: LogsOptions): Buffer {
  const stamp = timestamps ? `${fixedTime(time)} ` : ''
  // Docker puts the line's attributes here, of which we keep none.
  const prefix = `${stamp}${details ? ' ' : ''}`
  return prefix === '' ? data : Buffer.concat([Buffer.from(prefix), data])
}

/** RFC 3339 with all nine digits, so that columns align. `time`: ns since 1970. */
function fixedTime(time: bigint): string {
  const whole = new Date(Number(time / 1_000_000n)).toISOString().slice(0, 19)
  return `${whole}.${(time % 1_000_000_000n).toString().padStart(9, '0')}Z`
}
