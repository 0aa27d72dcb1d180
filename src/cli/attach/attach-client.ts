/**
 * The asking side of `netloom attach` and `netloom detach`.
 */
import { connect, type Socket } from 'node:net'
import type { AttachedEndpoint, Message, Request } from './attach-protocol.ts'
import { JsonLines } from './json-lines.ts'

export class AttachClient {
  private readonly socket: Socket
  private readonly lines: JsonLines
  private readonly answers: { resolve: (endpoint: AttachedEndpoint | undefined) => void; reject: (error: Error) => void }[] = []
  private detached = false
  /** Resolves with `detached` when somebody took the endpoint away, `lost` when the network's process ended. */
  readonly ended: Promise<'detached' | 'lost'>

  private constructor(socket: Socket) {
    this.socket = socket
    this.lines = new JsonLines(socket, (message) => this.receive(message as Message))
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        for (const { reject } of this.answers.splice(0)) reject(new Error('the process that holds the network ended'))
        resolve(this.detached ? 'detached' : 'lost')
      })
    })
  }

  /** null when no process holds the network: no socket, or one that nobody listens on. */
  static connect(socketPath: string): Promise<AttachClient | null> {
    return new Promise((resolve, reject) => {
      const socket = connect(socketPath)
      socket.once('connect', () => resolve(new AttachClient(socket)))
      socket.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(null)
        else reject(error)
      })
    })
  }

  /** Rejects with the other side's error, its code and fix. */
  request(request: Request): Promise<AttachedEndpoint | undefined> {
    return new Promise((resolve, reject) => {
      this.answers.push({ resolve, reject })
      this.lines.send(request)
    })
  }

  /** Takes the endpoint along. */
  close(): void {
    this.socket.end()
  }

  private receive(message: Message): void {
    if ('detached' in message) {
      this.detached = true
      return
    }
    const answer = this.answers.shift()
    if (message.ok) answer?.resolve(message.endpoint)
    else answer?.reject(Object.assign(new Error(message.error.message), message.error))
  }
}
