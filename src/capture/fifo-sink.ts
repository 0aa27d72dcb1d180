import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs'
import { type Clock, RealClock } from '../engine/clock.ts'
import type { ByteSink } from './block-buffer.ts'
import { CaptureFileError } from './capture-error.ts'

// As FileSink: without a reader open(2) fails with ENXIO, and no write waits.
const OPEN_FLAGS = constants.O_WRONLY | constants.O_NONBLOCK
/** How long a reader may take nothing, nanoseconds. */
const PATIENCE_NS = 5e9

/**
 * A FIFO that is written by a thread which has other things to do: what the pipe does not take is kept, and pushed again later.
 *
 *   write -> | kept: [block][block]... | -> push -> pipe -> reader
 */
export class FifoSink implements ByteSink {
  readonly path: string
  private readonly fd: number
  private readonly clock: Clock
  private readonly patienceNs: number
  /** Whole pieces, the first one from `at` on. */
  private readonly kept: Uint8Array[] = []
  private at = 0
  /** When the pipe last took something. */
  private lastTime = 0

  /** Throws CaptureFileError. */
  constructor(path: string, { clock = new RealClock(), patienceNs = PATIENCE_NS }: { clock?: Clock; patienceNs?: number } = {}) {
    this.path = path
    this.clock = clock
    this.patienceNs = patienceNs
    try {
      this.fd = openSync(path, OPEN_FLAGS)
    } catch (error) {
      throw CaptureFileError.from('open', path, error)
    }
  }

  static isFifo(path: string): boolean {
    return statSync(path, { throwIfNoEntry: false })?.isFIFO() === true
  }

  /** Whether something is kept. */
  get isStuck(): boolean {
    return this.kept.length > 0
  }

  /** Takes all of it. Throws CaptureFileError when the reader has gone. */
  write(bytes: Uint8Array): void {
    if (!this.isStuck) this.lastTime = this.clock.now()
    this.kept.push(bytes)
    this.push()
    // The caller goes on using its buffer.
    if (this.kept.at(-1) === bytes) this.kept[this.kept.length - 1] = new Uint8Array(bytes)
  }

  /** Writes what the pipe takes now. Throws CaptureFileError: the reader has gone, or has taken nothing for 5 s. */
  push(): void {
    try {
      for (let [bytes] = this.kept; bytes !== undefined; [bytes] = this.kept) {
        this.at += writeSync(this.fd, bytes, this.at, bytes.length - this.at)
        this.lastTime = this.clock.now()
        if (this.at < bytes.length) continue
        this.kept.shift()
        this.at = 0
      }
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EAGAIN') throw this.failed(error)
      if (this.clock.now() - this.lastTime < this.patienceNs) return
      throw this.failed(Object.assign(new Error('its reader takes nothing'), { code: 'ETIMEDOUT' }))
    }
  }

  close(): void {
    closeSync(this.fd)
  }

  private failed(error: unknown): CaptureFileError {
    this.kept.length = this.at = 0
    return CaptureFileError.from('write', this.path, error)
  }
}
