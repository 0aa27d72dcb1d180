import { readSync } from 'node:fs'
import { Duplex, type Writable } from 'node:stream'
import { ReadStream } from 'node:tty'

/** A writer to a terminal that somebody else reads: whatever this one read would be missing there. */
export function terminalInput(fd: number): Writable {
  const handle = new ReadStream(fd) // it reads nothing until it is asked to
  handle.on('error', () => {})
  return handle
}

/** Bytes of one read; the kernel keeps 4 KiB at most for the reader of a terminal (N_TTY_BUF_SIZE, drivers/tty/n_tty.c). */
const PIECE = 4096

/**
 * The client's end of a pseudo terminal. The kernel tells the end of the last process on it as EIO; readers see an end.
 *
 * libuv's end may come too early: where it sees a hang-up together with output, it takes a short read for the last one (uv__stream_io of
 * src/unix/stream.c), but the kernel hands on a terminal's output in pieces. The rest is read here.
 */
export class TerminalStream extends Duplex {
  private readonly handle: ReadStream

  constructor(fd: number) {
    super({ allowHalfOpen: false })
    this.handle = new ReadStream(fd)
    this.handle.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) this.handle.pause()
    })
    this.handle.on('end', () => {
      this.pushRest(fd)
      this.push(null)
    })
    this.handle.on('close', () => this.push(null))
    this.handle.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EIO') this.push(null)
      else this.destroy(error)
    })
  }

  /** All that the kernel still has; the descriptor is open until the handle's 'end' has been told, and does not block. */
  private pushRest(fd: number): void {
    try {
      for (;;) {
        const bytes = Buffer.allocUnsafe(PIECE)
        const length = readSync(fd, bytes)
        if (length === 0) return
        this.push(bytes.subarray(0, length))
      }
    } catch {
      // EIO: nothing is left. EAGAIN: a process that opened the terminal anew lives on, and its client is gone with this end.
    }
  }

  override _read(): void {
    this.handle.resume()
  }

  override _write(bytes: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.handle.write(bytes, encoding, done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.handle.destroy()
    done(error)
  }
}
