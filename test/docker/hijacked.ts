import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A request of the API whose connection is taken over, as the docker client makes it; what comes back is collected. */
export class Hijacked {
  readonly socket: Socket
  private received = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (data: Buffer) => {
      this.received = Buffer.concat([this.received, data])
    })
  }

  /** Resolves when the daemon has answered 101. */
  static async open(socketPath: string, target: string, body?: unknown): Promise<Hijacked> {
    const socket = connect({ path: socketPath, allowHalfOpen: true })
    const hijacked = new Hijacked(socket)
    const data = body === undefined ? '' : JSON.stringify(body)
    const type = body === undefined ? 'text/plain' : 'application/json'
    socket.write(
      `POST ${target} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: ${type}\r\nContent-Length: ${data.length}\r\n\r\n${data}`
    )
    while (!hijacked.received.includes('\r\n\r\n')) await once(socket, 'data')
    const head = hijacked.received.toString('latin1')
    if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(head)
    hijacked.received = hijacked.received.subarray(head.indexOf('\r\n\r\n') + 4)
    return hijacked
  }

  /** What came so far, as it came. */
  get text(): string {
    return this.received.toString()
  }

  /** What came of each stream, taken out of Docker's frames. */
  get streams(): { stdout: string; stderr: string } {
    const parts: [string, string] = ['', '']
    for (let at = 0; at < this.received.length; ) {
      const end = at + 8 + this.received.readUInt32BE(at + 4)
      parts[this.received[at]! - 1] += this.received.toString('utf8', at + 8, end)
      at = end
    }
    return { stdout: parts[0], stderr: parts[1] }
  }

  /** Resolves when the daemon has closed its direction. */
  async end(): Promise<void> {
    if (!this.socket.readableEnded) await once(this.socket, 'end')
    this.socket.destroy()
  }
}
