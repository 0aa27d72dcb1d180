import type { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex, PassThrough, type Readable, type Writable } from 'node:stream'
import type { ApiResponse } from './api-response.ts'

const RAW_STREAM = 'application/vnd.docker.raw-stream'

/** A connection that the client asked to upgrade, which speaks no HTTP after the answer. */
export type UpgradedSocket = Duplex

export class HttpResponse implements ApiResponse {
  private readonly message: IncomingMessage
  private readonly response: ServerResponse
  private readonly gone: AbortSignal
  private readonly upgraded: UpgradedSocket | undefined
  private isHijacked = false

  /** `gone`: the client has ended its direction, or the connection. */
  constructor(message: IncomingMessage, response: ServerResponse, gone: AbortSignal, upgraded?: UpgradedSocket) {
    this.message = message
    this.gone = gone
    this.response = response
    this.upgraded = upgraded
  }

  get isSent(): boolean {
    return this.isHijacked || this.response.headersSent
  }

  header(name: string, value: string): void {
    this.response.setHeader(name, value)
  }

  json(status: number, value: unknown): void {
    this.send(status, `${JSON.stringify(value)}\n`, 'application/json')
  }

  text(status: number, text: string): void {
    this.send(status, text, 'text/plain; charset=utf-8')
  }

  empty(status: number): void {
    this.response.statusCode = status
    // A status that could have a body says that it has none.
    if (status !== 204 && status !== 304) this.response.setHeader('Content-Length', 0)
    this.response.end()
  }

  stream(status: number, contentType: string): Writable {
    this.response.writeHead(status, contentType === '' ? {} : { 'Content-Type': contentType })
    this.response.flushHeaders()
    return this.response
  }

  async hijack(contentType = RAW_STREAM): Promise<Duplex> {
    const { upgraded, response } = this
    if (upgraded === undefined) {
      // Without it Node would send chunks; the stream ends with the connection.
      response.removeHeader('Transfer-Encoding')
      response.writeHead(200, { 'Content-Type': contentType, Connection: 'close' })
      response.flushHeaders()
      return Duplex.from({ readable: this.rawInput(), writable: response })
    }
    this.isHijacked = true
    response.detachSocket(upgraded as Parameters<ServerResponse['detachSocket']>[0])
    upgraded.write(`HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`)
    return upgraded
  }

  /** A body that still comes; else nothing, until the client ends its direction. */
  private rawInput(): Readable {
    const { message, gone } = this
    const isComing = message.headers['transfer-encoding'] !== undefined || Number(message.headers['content-length'] ?? 0) > 0
    if (isComing && !message.complete) return message
    const silent = new PassThrough()
    if (gone.aborted) silent.end()
    else gone.addEventListener('abort', () => silent.end(), { once: true })
    return silent
  }

  /** Ends the connection where an answer cannot be ended well any more. */
  destroy(): void {
    if (this.isHijacked) this.upgraded?.destroy()
    else this.response.destroy()
  }

  private send(status: number, text: string, contentType: string): void {
    const body = Buffer.from(text)
    this.response.statusCode = status
    this.response.setHeader('Content-Type', contentType)
    this.response.setHeader('Content-Length', body.length)
    this.response.end(body)
  }
}
