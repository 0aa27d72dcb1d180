import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { CaptureFileError } from './capture-error.ts'

const WINDOW = 1 << 20

/** Where a reader takes its bytes from. */
export interface CaptureBytes {
  /** Bytes that there are; of a stream, that have come so far. */
  readonly length: number
  /**
   * `length` bytes from `offset`, fewer where there are no more. The view stays valid. Throws CaptureFileError when a file cannot be
   * read.
   */
  slice(offset: number, length: number): Uint8Array
  close(): void
}

/**
 * The bytes of a capture, in memory or in a file that is read through a window: a capture larger than memory can be read,
 * and a hostile length field costs nothing, since never more is read than the file has.
 */
export class CaptureSource implements CaptureBytes {
  readonly length: number
  private window: Uint8Array
  private windowAt = 0
  private fd: number
  private readonly path: string

  private constructor(window: Uint8Array, length: number, fd: number, path: string) {
    this.window = window
    this.length = length
    this.fd = fd
    this.path = path
  }

  static fromBytes(bytes: Uint8Array): CaptureSource {
    return new CaptureSource(bytes, bytes.length, -1, '')
  }

  /** Opens a regular file; its length is what it is now. Throws CaptureFileError. */
  static open(path: string): CaptureSource {
    let fd = -1
    try {
      fd = openSync(path, 'r')
      const stat = fstatSync(fd)
      if (stat.isDirectory()) throw Object.assign(new Error('is a folder'), { code: 'EISDIR' })
      return new CaptureSource(new Uint8Array(0), stat.size, fd, path)
    } catch (error) {
      if (fd !== -1) closeSync(fd)
      throw CaptureFileError.from('read', path, error)
    }
  }

  /** See CaptureBytes: a window is replaced, never overwritten. */
  slice(offset: number, length: number): Uint8Array {
    const end = Math.min(offset + length, this.length)
    if (offset >= end) return this.window.subarray(0, 0)
    if (offset < this.windowAt || end > this.windowAt + this.window.length) this.move(offset, end - offset)
    return this.window.subarray(offset - this.windowAt, end - this.windowAt)
  }

  close(): void {
    if (this.fd !== -1) closeSync(this.fd)
    this.fd = -1
  }

  private move(offset: number, length: number): void {
    const window = new Uint8Array(Math.min(Math.max(WINDOW, length), this.length - offset))
    let filled = 0
    try {
      while (filled < window.length) {
        const count = readSync(this.fd, window, filled, window.length - filled, offset + filled)
        if (count === 0) break // the file became shorter under us
        filled += count
      }
    } catch (error) {
      throw CaptureFileError.from('read', this.path, error)
    }
    this.window = window.subarray(0, filled)
    this.windowAt = offset
  }
}
