import { Duplex, type Writable } from 'node:stream'
import { ReadStream } from 'node:tty'

/** A writer to a terminal that somebody else reads: whatever this one read would be missing there. */
export function terminalInput(fd: number): Writable {
  const handle = new ReadStream(fd) // it reads nothing until it is asked to
  handle.on('error', () => {})
  return handle
}

/**
 * The client's end of a pseudo terminal. The kernel tells the end of the last process on it as EIO; readers see an end.
 */
export class TerminalStream extends Duplex {
  private readonly handle: ReadStream

  constructor(fd: number) {
    super({ allowHalfOpen: false })
    this.handle = new ReadStream(fd)
    this.handle.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) this.handle.pause()
    })
    this.handle.on('end', () => this.push(null))
    this.handle.on('close', () => this.push(null))
    this.handle.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EIO') this.push(null)
      else this.destroy(error)
    })
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
