/**
 * `/netloom/captures`: GET lists those that run, POST starts one, whose file is the answer's body until it is stopped or the client goes,
 * DELETE of an id stops it in order. `/netloom/captures/points`: where frames can be captured.
 */
import { AnswerOutlet } from './answer-outlet.ts'
import { ApiError } from './api-error.ts'
import type { ApiRequest } from './api-request.ts'
import type { ApiResponse } from './api-response.ts'
import type { CaptureBackend, CaptureRequest } from './capture-backend.ts'
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
