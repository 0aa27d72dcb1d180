/** POST /netloom/replay: a capture comes in as the body and is played into an endpoint's port, at the pace of its time stamps. */
import type { ReplayRun } from '../replay/replay-control.ts'
import { ApiError } from './api-error.ts'
import type { ApiRequest } from './api-request.ts'
import type { ApiResponse } from './api-response.ts'
import { messageOf, statusOf } from './error-status.ts'
import type { ReplayBackend, ReplayRequest } from './replay-backend.ts'
import type { ReplayMessage } from './replay-json.ts'
import type { Router } from './router.ts'

/** Between two lines that tell how far it is; what fails within the first of them is answered with a status of its own. */
const TELL_MS = 200
/** How long a client is waited for that goes on sending. */
const LINGER_MS = 2000

export function replayRoutes(router: Router, backend: ReplayBackend): void {
  router.add('POST', '/netloom/replay', async (request, response) => {
    try {
      // Who breaks off reading must not close the connection that the answer goes out on.
      const capture = request.body.iterator({ destroyOnReturn: false })
      await answer(await backend.startReplay(readWish(request.query), capture), request, response)
    } catch (error) {
      if (response.isSent) throw error
      const stream = response.stream(statusOf(error), 'application/json')
      stream.write(JSON.stringify({ message: messageOf(error) }))
      await linger(request)
      stream.end()
    }
  })
}

function readWish(query: URLSearchParams): ReplayRequest {
  const into = query.get('into') ?? ''
  if (into === '') throw ApiError.badRequest('into: the endpoint whose port is played into must be given: ?into=front/web')
  return {
    into,
    map: query.getAll('map'),
    ...(query.has('speed') && { speed: readSpeed(query.get('speed')!) }),
    ...(query.has('limit') && { limit: Number(query.get('limit')) }),
    ...(query.has('interface') && { interface: query.get('interface')! }),
    ...(query.has('filter') && { filter: query.get('filter')! })
  }
}

async function answer(run: ReplayRun, request: ApiRequest, response: ApiResponse): Promise<void> {
  const { gone } = request
  // Whoever started it is gone: it ends. What has been sent goes its way.
  const stop = (): void => void run.stop()
  gone.addEventListener('abort', stop, { once: true })
  if (gone.aborted) stop()
  let isOver = false
  const over = run.done.finally(() => {
    isOver = true
  })
  over.catch(() => {}) // told below
  try {
    await Promise.race([over, pause()])
    const stream = response.stream(200, 'application/json')
    const tell = (message: ReplayMessage): void => void stream.write(`${JSON.stringify(message)}\n`)
    while (!isOver && !gone.aborted) {
      tell({ status: run.status() })
      await Promise.race([over, pause()]).catch(() => {})
    }
    try {
      tell({ summary: await over })
    } catch (error) {
      const code = (error as { code?: unknown }).code
      tell({ error: messageOf(error), ...(typeof code === 'string' && { code }), summary: run.status() })
    }
    await linger(request)
    stream.end()
  } finally {
    gone.removeEventListener('abort', stop)
  }
}

/**
 * Takes what the client goes on sending until it has seen the answer and stops: a connection that is closed under its hands would cost it
 * the answer.
 */
async function linger({ body, gone }: ApiRequest): Promise<void> {
  if (body.readableEnded || body.destroyed || gone.aborted) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      gone.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, LINGER_MS)
    gone.addEventListener('abort', done, { once: true })
    body.once('end', done).once('close', done).on('error', done).resume()
  })
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, TELL_MS).unref()
  })
}

/** A number, or `max`. */
function readSpeed(text: string): number {
  return text === 'max' ? Number.POSITIVE_INFINITY : Number(text)
}
