/**
 * A socket that speaks JSON, one object per line.
 */
import type { Socket } from 'node:net'

/** A line longer than this is not ours. */
const LINE_MAX = 64 * 1024

export class JsonLines {
  private readonly socket: Socket
  private rest = ''

  /** `onMessage` gets each object; a peer that does not speak JSON lines is cut off. */
  constructor(socket: Socket, onMessage: (message: unknown) => void) {
    this.socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      const lines = (this.rest + text).split('\n')
      this.rest = lines.pop()!
      if (this.rest.length > LINE_MAX) socket.destroy()
      for (const line of lines) {
        let message: unknown
        try {
          message = JSON.parse(line)
        } catch {
          socket.destroy()
          return
        }
        onMessage(message)
      }
    })
    // The end of the connection says it all.
    socket.on('error', () => {})
  }

  send(message: unknown): void {
    if (this.socket.writable) this.socket.write(`${JSON.stringify(message)}\n`)
  }
}
