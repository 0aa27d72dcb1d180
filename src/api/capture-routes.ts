/**
 * `/netloom/captures`: GET lists those that run, POST starts one, whose file is the answer's body until it is stopped or the client goes,
 * DELETE of an id stops it in order. `/netloom/captures/points`: where frames can be captured.
 */
import type { Writable } from 'node:stream'
import { ApiError } from './api-error.ts'
import type { ApiRequest } from './api-request.ts'
import type { ApiResponse } from './api-response.ts'
import type { CaptureBackend, CaptureOutlet, CaptureRequest } from './capture-backend.ts'
import { CAPTURE_ID_HEADER } from './capture-header.ts'
import { boolean, type Decoded, integer, nullable, string, struct, words } from './decode.ts'
import type { Router } from './router.ts'

const CONTENT_TYPE = { pcapng: 'application/x-pcapng', pcap: 'application/vnd.tcpdump.pcap' } as const

const requestShape = struct('netloom.CaptureRequest', {
  targets: words,
  filter: string,
  snapLength: integer('uint32'),
  everyPort: boolean,
  drops: nullable(boolean),
  format: string,
  segment: boolean,
  comment: string
})

export function captureRoutes(router: Router, backend: CaptureBackend): void {
  router.add('GET', '/netloom/captures', (_request, response) => response.json(200, backend.captures()))
  router.add('GET', '/netloom/captures/points', (_request, response) => response.json(200, backend.capturePoints()))
  router.add('POST', '/netloom/captures', (request, response) => stream(backend, request, response))
  router.add('DELETE', '/netloom/captures/{id}', async ({ params }, response) => {
    response.json(200, await backend.stopCapture(params['id']!))
  })
}

async function stream(backend: CaptureBackend, request: ApiRequest, response: ApiResponse): Promise<void> {
  const wish = captureRequest((await request.decodeOptional(requestShape)) ?? requestShape.zero())
  const outlet = new AnswerOutlet()
  const capture = await backend.openCapture(wish, outlet)
  response.header(CAPTURE_ID_HEADER, capture.id)
  outlet.attach(response.stream(200, CONTENT_TYPE[wish.format ?? 'pcapng']))
  const stop = (): void => void capture.stop().catch(() => {})
  if (request.gone.aborted) stop()
  else request.gone.addEventListener('abort', stop, { once: true })
  await capture.ended
}

function captureRequest(body: Decoded<typeof requestShape>): CaptureRequest {
  const { targets, filter, snapLength, everyPort, drops, format, segment, comment } = body
  if (format !== '' && format !== 'pcapng' && format !== 'pcap') throw ApiError.badRequest(`format '${format}' must be pcapng or pcap`)
  return {
    targets,
    filter,
    everyPort,
    drops: drops ?? true,
    format: format === '' ? 'pcapng' : format,
    segment,
    ...(snapLength !== 0 && { snapLength }),
    ...(comment !== '' && { comment })
  }
}

/** A capture's file as the body of an answer, at the client's pace. */
class AnswerOutlet implements CaptureOutlet {
  private body: Writable | null = null
  private begin: () => void = () => {}
  private readonly begun = new Promise<void>((resolve) => {
    this.begin = resolve
  })

  /** The headers are out: what was written before goes now. */
  attach(body: Writable): void {
    this.body = body
    // A client that goes is told by `gone` and by the next write; the error itself says no more.
    body.on('error', () => {})
    this.begin()
  }

  write(chunk: Uint8Array): void | Promise<void> {
    return this.body === null ? this.begun.then(() => this.send(this.body!, chunk)) : this.send(this.body, chunk)
  }

  close(error?: Error): void {
    if (this.body === null) void this.begun.then(() => this.close(error))
    else if (error === undefined) this.body.end()
    else this.body.destroy(error)
  }

  private send(body: Writable, chunk: Uint8Array): void | Promise<void> {
    if (body.destroyed) throw new Error('the client has gone')
    if (body.write(chunk)) return
    return new Promise((resolve, reject) => {
      const done = (): void => {
        body.off('drain', done)
        body.off('close', done)
        if (body.destroyed) reject(new Error('the client has gone'))
        else resolve()
      }
      body.on('drain', done)
      body.on('close', done)
    })
  }
}
