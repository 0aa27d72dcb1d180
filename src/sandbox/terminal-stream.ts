import { closeSync, readSync, writeSync } from 'node:fs'
import { Duplex, Writable } from 'node:stream'
import { ReadStream } from 'node:tty'
import { realTimers } from '../engine/clock.ts'

/** Bytes of one read, the most that a terminal's line discipline keeps (N_TTY_BUF_SIZE, drivers/tty/n_tty.c). */
const PIECE = 4096
/** Reads after the end: the kernel has some 12 KiB then, in pieces of any length. A process that opens the terminal anew may write for ever. */
const MOST_PIECES = 64
/** Between two looks whether a program has read what was typed: 4 KiB each time, as the kernel takes no more before it reads. */
const RETRY_MS = 10

/**
 * Writes to a terminal's client end, a descriptor that does not block. libuv would wait for the program to read, with everything else
 * (UV_HANDLE_BLOCKING_WRITES in uv_tty_init, src/unix/tty.c), and what is pasted may be longer than the kernel keeps.
 */
class TerminalWriter {
  private readonly fd: number
  private isStopped = false
  private waiting: { readonly cancel: () => void; readonly done: () => void } | undefined

  constructor(fd: number) {
    this.fd = fd
  }

  /** EIO, with no process on the terminal, is no error: who reads sees the end. */
  write(bytes: Buffer, done: (error?: Error | null) => void): void {
    if (this.isStopped) return done()
    let rest = bytes
    try {
      rest = rest.subarray(writeSync(this.fd, rest))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EAGAIN') return done(code === 'EIO' ? null : (error as Error))
    }
    if (rest.length === 0) return done()
    this.waiting = {
      done,
      cancel: realTimers.after(RETRY_MS, () => {
        this.waiting = undefined
        this.write(rest, done)
      })
    }
  }

  /** Before the descriptor is closed: nothing is written any more, and what waited for the program is given up. */
  stop(): void {
    this.isStopped = true
    this.waiting?.cancel()
    this.waiting?.done()
    this.waiting = undefined
  }
}

/** A writer to a terminal that somebody else reads: whatever this one read would be missing there. Its end closes `fd`. */
export function terminalInput(fd: number): Writable {
  const writer = new TerminalWriter(fd)
  const input = new Writable({
    write: (bytes: Buffer, _encoding, done) => writer.write(bytes, done),
    destroy: (error, done) => {
      writer.stop()
      closeSync(fd)
      done(error)
    }
  })
  // Who writes hears of it in the write's callback; nobody else needs to die of it.
  input.on('error', () => {})
  return input
}

/**
 * The client's end of a pseudo terminal. The kernel tells the end of the last process on it as EIO; readers see an end.
 *
 * libuv's end may come too early: where it sees a hang-up together with output, it takes a short read for the last one (uv__stream_io of
 * src/unix/stream.c), but the kernel hands on a terminal's output in pieces. The rest is read here.
 */
export class TerminalStream extends Duplex {
  private readonly handle: ReadStream
  private readonly writer: TerminalWriter

  constructor(fd: number) {
    super({ allowHalfOpen: false })
    this.writer = new TerminalWriter(fd)
    this.handle = new ReadStream(fd)
    this.handle.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) this.handle.pause()
    })
    this.handle.on('end', () => {
      this.pushRest(fd)
      this.finish()
    })
    this.handle.on('close', () => this.finish())
    this.handle.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EIO') this.finish()
      else this.destroy(error)
    })
  }

  /** All that the kernel still has: the descriptor is open until the handle's 'end' has been told. */
  private pushRest(fd: number): void {
    try {
      for (let pieces = 0; pieces < MOST_PIECES; pieces++) {
        const bytes = Buffer.allocUnsafe(PIECE)
        const length = readSync(fd, bytes)
        if (length === 0) return
        this.push(bytes.subarray(0, length))
      }
    } catch {
      // EIO: nothing is left. EAGAIN: a process has opened the terminal anew, and its client is gone with this end.
    }
  }

  /** The handle closes its descriptor next. */
  private finish(): void {
    this.writer.stop()
    this.push(null)
  }

  override _read(): void {
    this.handle.resume()
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.handle.destroyed) done()
    else this.writer.write(bytes, done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.writer.stop()
    this.handle.destroy()
    done(error)
  }
}
