import { closeSync, constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { encodeToolbarMessage, ToolbarDecoder, type ToolbarMessage } from './toolbar-message.ts'

export interface ControlPaths {
  /** The FIFO that we read. */
  readonly in: string
  /** The FIFO that we write. */
  readonly out: string
}

/** The two FIFOs between the toolbar and us. Whoever closes them on the other side ends the toolbar, not the capture. */
export class ControlPipes {
  private readonly sockets: Socket[] = []
  private readonly output: Socket

  /** Throws the system's error when one cannot be opened. */
  constructor(paths: ControlPaths, receive: (message: ToolbarMessage) => void) {
    const decoder = new ToolbarDecoder()
    const input = this.open(paths.in, { readable: true, writable: false })
    input.on('data', (chunk) => {
      try {
        for (const message of decoder.push(chunk)) receive(message)
      } catch {
        input.destroy()
      }
    })
    // Not readable: it would read what it writes.
    this.output = this.open(paths.out, { readable: false, writable: true })
  }

  send(message: ToolbarMessage): void {
    if (!this.output.destroyed) this.output.write(encodeToolbarMessage(message))
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  private open(path: string, direction: { readable: boolean; writable: boolean }): Socket {
    // For both: so that opening does not wait for the other side, nor its absence end the stream.
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    try {
      const socket = new Socket({ fd, ...direction })
      socket.on('error', () => socket.destroy())
      this.sockets.push(socket)
      return socket
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }
}
