// Raw requests to a daemon's socket, one at a time over one kept connection: the tests' and benchmarks' own client, so that what is
// measured and judged has no part in it.
import http from 'node:http'
import { buffer } from 'node:stream/consumers'

export interface ApiAnswer {
  readonly status: number
  readonly contentType: string
  readonly text: string
}

export class ApiConnection {
  private readonly socketPath: string
  private readonly agent = new http.Agent({ keepAlive: true, maxSockets: 1 })

  constructor(socketPath: string) {
    this.socketPath = socketPath
  }

  /** A string or bytes are sent as they are, anything else as JSON. Rejects when the connection breaks. */
  request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<ApiAnswer> {
    const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array
    const payload = raw ? (body as string | Uint8Array | undefined) : JSON.stringify(body)
    const sent: Record<string, string | number> = { ...headers }
    if (payload !== undefined) {
      sent['Content-Type'] ??= 'application/json'
      if (!('Transfer-Encoding' in sent)) sent['Content-Length'] ??= Buffer.byteLength(payload)
    }
    return new Promise((resolve, reject) => {
      const request = http.request({ socketPath: this.socketPath, agent: this.agent, method, path, headers: sent }, (response) => {
        buffer(response).then(
          (bytes) => resolve({ status: response.statusCode!, contentType: response.headers['content-type'] ?? '', text: bytes.toString() }),
          reject
        )
      })
      request.on('error', reject)
      request.end(payload)
    })
  }

  /** A request that must succeed: its answer read as JSON, undefined where there is none. */
  async ok<T>(method: string, path: string, body?: unknown): Promise<T> {
    const { status, text } = await this.request(method, path, body)
    if (status >= 400) throw new Error(`${method} ${path}: ${status} ${text.trim()}`)
    return (/^\s*[[{]/.test(text) ? JSON.parse(text) : undefined) as T
  }

  close(): void {
    this.agent.destroy()
  }
}
