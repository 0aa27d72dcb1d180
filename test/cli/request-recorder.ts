/** A daemon that answers nothing but "seen", and keeps what it was asked: what a client makes of a command line. */
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'

export interface SeenRequest {
  readonly method: string
  /** Without the version. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** Without members of no value: what Go's decoder takes for left out. */
  readonly body: unknown
}

export class RequestRecorder {
  private readonly folder: string
  private readonly server: http.Server
  private seen: SeenRequest[] = []

  private constructor(folder: string) {
    this.folder = folder
    this.server = http.createServer((request, response) => this.answer(request, response))
  }

  static async start(): Promise<RequestRecorder> {
    const recorder = new RequestRecorder(await mkdtemp(path.join(tmpdir(), 'netloom-test-recorder-')))
    await new Promise<void>((resolve) => recorder.server.listen(path.join(recorder.folder, 's'), resolve))
    return recorder
  }

  get host(): string {
    return `unix://${path.join(this.folder, 's')}`
  }

  /** What was asked since the last call. */
  take(): SeenRequest[] {
    return this.seen.splice(0)
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await rm(this.folder, { recursive: true, force: true })
  }

  private answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    let text = ''
    request.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    request.on('end', () => {
      response.setHeader('Api-Version', '1.43').setHeader('Ostype', 'linux')
      const url = new URL(request.url!, 'http://localhost')
      const where = url.pathname.replace(/^\/v[\d.]+/, '')
      if (where === '/_ping') return response.end('OK')
      const query = Object.fromEntries([...url.searchParams].map(([name, value]) => [name, value === 'true' ? '1' : value]))
      const left = withoutNothing(query) as Record<string, string>
      this.seen.push({
        method: request.method!,
        path: where,
        query: left,
        body: withoutNothing(text.trim() === '' ? {} : JSON.parse(text))
      })
      return response.writeHead(418, { 'content-type': 'application/json' }).end('{"message":"seen"}')
    })
  }
}

/** Without members that are null, 0, '', false or empty (`0` in a query, too). */
function withoutNothing(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNothing)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([key, member]) => [key, withoutNothing(member)] as const)
  return Object.fromEntries(members.filter(([, member]) => !NOTHING.has(JSON.stringify(member))))
}

const NOTHING = new Set(['null', '0', '"0"', '""', 'false', '{}', '[]', '[0,0]'])
