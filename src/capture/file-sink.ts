import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs'
import type { ByteSink } from './block-buffer.ts'
import { CaptureFileError } from './capture-error.ts'

// Without O_NONBLOCK a FIFO that nobody reads would hold the thread in open(2), where not even process.exit reaches it.
const OPEN_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NONBLOCK
const WAIT_MILLISECONDS = 10
/** Waits in a row for a reader that takes nothing: 5 s. */
const PATIENCE = 500

/** A file or FIFO that is written front to back. An existing file is replaced, as other capture tools do. */
export class FileSink implements ByteSink {
  readonly path: string
  /** Bytes in the file. */
  length = 0
  private readonly fd: number
  private readonly patience: number
  private readonly pause = new Int32Array(new SharedArrayBuffer(4))

  /** `patience`: waits of 10 ms for a FIFO's reader before it counts as stuck. Throws CaptureFileError. */
  constructor(path: string, patience = PATIENCE) {
    this.path = path
    this.patience = patience
    try {
      this.fd = openSync(path, OPEN_FLAGS, 0o666)
    } catch (error) {
      throw CaptureFileError.from('open', path, error)
    }
  }

  /**
   * Writes all of `bytes`, waiting for a FIFO's reader. Throws CaptureFileError; then takes back what was written in part,
   * so that the file ends with a whole block and stays readable.
   */
  write(bytes: Uint8Array): void {
    try {
      this.writeAll(bytes)
      this.length += bytes.length
    } catch (error) {
      try {
        ftruncateSync(this.fd, this.length)
      } catch {
        // A FIFO cannot be cut; the failed write is what the caller has to hear about.
      }
      throw CaptureFileError.from('write', this.path, error)
    }
  }

  private writeAll(bytes: Uint8Array): void {
    let waits = 0
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(this.fd, bytes, at, bytes.length - at)
        waits = 0
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'EAGAIN') throw error
        if (waits++ >= this.patience) throw Object.assign(new Error('its reader takes nothing'), { code: 'ETIMEDOUT' })
        Atomics.wait(this.pause, 0, 0, WAIT_MILLISECONDS)
      }
    }
  }

  close(): void {
    closeSync(this.fd)
  }
}
