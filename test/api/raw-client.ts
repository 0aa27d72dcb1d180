// A client that says what a test wants it to say, byte by byte, over a server on a unix socket.
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Logger } from '../../src/api/logger.ts'
import type { Router } from '../../src/api/router.ts'
import { ApiServer } from '../../src/api/server.ts'

export class RawClient {
  readonly socket: Socket
  received = ''
  private readonly wake = new Set<() => void>()
  private isEnded = false

  constructor(file: string) {
    this.socket = connect({ path: file, allowHalfOpen: true })
    this.socket.setEncoding('latin1').on('data', (text) => {
      this.received += text
      for (const wake of this.wake) wake()
    })
    const end = (): void => {
      this.isEnded = true
      for (const wake of this.wake) wake()
    }
    this.socket.on('end', end).on('close', end).on('error', end)
  }

  write(text: string | Buffer): this {
    this.socket.write(text)
    return this
  }

  /** Resolves to all that came so far once `pattern` is in it. Rejects when the server ends first. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.received)) {
      if (this.isEnded) throw new Error(`the connection ended before ${pattern} came; there was: ${this.received}`)
      await this.news()
    }
    return this.received
  }

  /** Resolves to all that came when the server has ended its direction, or the connection. */
  async end(): Promise<string> {
    while (!this.isEnded) await this.news()
    return this.received
  }

  close(): void {
    this.socket.destroy()
  }

  private news(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.wake.delete(wake)
        resolve()
      }
      this.wake.add(wake)
    })
  }
}

/** A server with these routes for one piece of work; `logged` is what it wrote to its log. */
export async function withServer(router: Router, work: (client: () => RawClient, logged: () => string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'netloom-api-'))
  const file = path.join(folder, 's')
  let log = ''
  const server = new ApiServer(router, new Logger('debug', (line) => (log += line)))
  const clients: RawClient[] = []
  try {
    await server.listen({ path: file })
    await work(
      () => {
        const client = new RawClient(file)
        clients.push(client)
        return client
      },
      () => log
    )
  } finally {
    for (const client of clients) client.close()
    await server.close()
    rmSync(folder, { recursive: true })
  }
}

/** A request as most clients write it. */
export function request(method: string, target: string, body?: string, headers: Readonly<Record<string, string>> = {}): string {
  const all: Record<string, string> = { Host: 'd', ...headers }
  if (body !== undefined) Object.assign(all, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body), ...headers })
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`
}
