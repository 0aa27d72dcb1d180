/** One capture from its start to its end: the daemon's stream, cut between blocks, to where it goes. */
import type { CaptureRequest, CaptureSummary } from '../../api/capture-backend.ts'
import { CaptureCutter, type CapturePiece } from '../../capture/capture-cutter.ts'
import type { Client } from '../../client/client.ts'
import { realTimers } from '../../engine/clock.ts'
import { CliError } from '../cli-error.ts'

/** Where a capture goes. */
export interface CaptureDestination {
  /** Bytes that fit before something has to change; a piece of frames is not longer, when it has more than one. */
  readonly room: number
  write(piece: CapturePiece): void | Promise<void>
  close(): void | Promise<void>
}

export interface CaptureLimits {
  readonly count: number
  readonly durationMs: number
}

export interface CaptureTotals {
  readonly frames: number
  /** Bytes of the file. */
  readonly bytes: number
  /** Frames that should have come and did not; undefined when it did not end by our doing, so that nobody said. */
  readonly dropped: number | undefined
}

export interface CaptureStart {
  readonly client: Client
  readonly request: CaptureRequest
  readonly limits: CaptureLimits
  readonly destination: CaptureDestination
  /** Ends it in order. */
  readonly stop: AbortSignal
  /** Frames are captured from now on. */
  readonly onStart?: (id: string) => void | Promise<void>
  /** Told in the end of what was started, also when it failed. */
  readonly onEnd?: (totals: CaptureTotals) => void
}

/** Rejects with ClientError, with what the destination rejects with, and with CliError when the daemon went away. */
export async function runCapture(start: CaptureStart): Promise<CaptureTotals> {
  const session = new CaptureSession(start)
  try {
    await session.run()
  } finally {
    if (session.isStarted) start.onEnd?.(session.totals)
  }
  return session.totals
}

class CaptureSession {
  isStarted = false
  private readonly start: CaptureStart
  private readonly cutter = new CaptureCutter()
  private frames = 0
  private bytes = 0
  private summary: CaptureSummary | undefined
  private ending: Promise<void> | undefined

  constructor(start: CaptureStart) {
    this.start = start
  }

  get totals(): CaptureTotals {
    return { frames: this.frames, bytes: this.bytes, dropped: this.summary?.dropped }
  }

  async run(): Promise<void> {
    const { client, request, limits, destination, stop, onStart } = this.start
    let forget = (): void => {}
    let onStop = (): void => {}
    try {
      const { id, stream } = await client.captures.open(request)
      this.isStarted = true
      onStop = () => this.end(id)
      if (stop.aborted) onStop()
      else stop.addEventListener('abort', onStop, { once: true })
      if (Number.isFinite(limits.durationMs)) forget = realTimers.after(limits.durationMs, onStop)
      try {
        await onStart?.(id)
        for await (const chunk of stream) await this.take(chunk as Uint8Array, onStop)
      } catch (error) {
        throw isBroken(error) && this.ending === undefined ? gone(error) : error
      } finally {
        stream.destroy()
      }
      await this.ending
    } finally {
      forget()
      stop.removeEventListener('abort', onStop)
      await destination.close()
    }
  }

  private async take(chunk: Uint8Array, onStop: () => void): Promise<void> {
    const { destination, limits } = this.start
    this.cutter.push(chunk)
    for (;;) {
      const left = limits.count - this.frames
      const piece = this.cutter.next(left > 0 ? left : Number.POSITIVE_INFINITY, destination.room)
      if (piece === null) return
      // What came after the last frame that was wanted; the statistics behind it are.
      if (piece.kind === 'frames' && left <= 0) continue
      await destination.write(piece)
      this.frames += piece.frames
      this.bytes += piece.bytes.length
      if (piece.frames === left) onStop()
    }
  }

  /** The stream ends by it. That the capture has ended by itself meanwhile is no error. */
  private end(id: string): void {
    this.ending ??= this.start.client.captures.stop(id).then(
      (summary) => {
        this.summary = summary
      },
      () => {}
    )
  }
}

function isBroken(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE'
}

function gone(cause: unknown): CliError {
  return new CliError('the daemon ended the capture, or itself', {
    code: 'ERR_CAPTURE_ENDED',
    fix: 'what was captured until then is there; see the log of the daemon',
    cause
  })
}
