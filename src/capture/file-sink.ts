import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import type { ByteSink } from './block-buffer.ts'
import { CaptureFileError } from './capture-error.ts'

/** A file that is written front to back. An existing one is replaced, as other capture tools do. */
export class FileSink implements ByteSink {
  readonly path: string
  /** Bytes in the file. */
  length = 0
  private readonly fd: number

  /** Throws CaptureFileError. */
  constructor(path: string) {
    this.path = path
    try {
      this.fd = openSync(path, 'w')
    } catch (error) {
      throw CaptureFileError.from('open', path, error)
    }
  }

  /**
   * Writes all of `bytes`. Throws CaptureFileError; then takes back what was written in part, so that the file ends with a
   * whole block and stays readable.
   */
  write(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.fd, bytes, at, bytes.length - at)
      this.length += bytes.length
    } catch (error) {
      try {
        ftruncateSync(this.fd, this.length)
      } catch {
        // A pipe cannot be cut; the failed write is what the caller has to hear about.
      }
      throw CaptureFileError.from('write', this.path, error)
    }
  }

  close(): void {
    closeSync(this.fd)
  }
}
