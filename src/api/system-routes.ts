/** `/_ping`, `/version`, `/info`, `/events`, `/system/df`. */
import type { Writable } from 'node:stream'
import { ApiError } from './api-error.ts'
import type { ApiRequest } from './api-request.ts'
import type { ApiResponse } from './api-response.ts'
import { type EventMessage, eventJson } from './event-message.ts'
import { parseGoTimestamp } from './go-timestamp.ts'
import type { Router } from './router.ts'
import type { SystemBackend } from './system-backend.ts'
import { API_VERSION, ENGINE_VERSION, MIN_API_VERSION } from './version.ts'
import { whenAborted } from './when-aborted.ts'

/** Bytes that may wait for a client that does not read; then it is let go. */
const EVENT_BACKLOG = 4 << 20

/** setTimeout counts in 31 bits of milliseconds. */
const LONGEST_WAIT_MS = 2 ** 31 - 1

export function systemRoutes(router: Router, backend: SystemBackend): void {
  const ping = (_request: ApiRequest, response: ApiResponse): void => {
    response.header('Cache-Control', 'no-cache, no-store, must-revalidate')
    response.header('Pragma', 'no-cache')
    response.text(200, 'OK')
  }
  router.add('GET', '/_ping', ping)
  router.add('HEAD', '/_ping', (_request, response) => {
    response.header('Cache-Control', 'no-cache, no-store, must-revalidate')
    response.header('Pragma', 'no-cache')
    response.text(200, '')
  })
  router.add('OPTIONS', '/{anything}', (_request, response) => response.empty(200))
  router.add('GET', '/version', (_request, response) =>
    response.json(200, { ...backend.version(), Version: ENGINE_VERSION, ApiVersion: API_VERSION, MinAPIVersion: MIN_API_VERSION })
  )
  router.add('GET', '/info', async (_request, response) => response.json(200, await backend.info()))
  router.add('GET', '/system/df', async (_request, response) => response.json(200, await backend.diskUsage()))
  router.add('GET', '/events', (request, response) => streamEvents(backend, request, response))
}

async function streamEvents(backend: SystemBackend, request: ApiRequest, response: ApiResponse): Promise<void> {
  const { query, gone } = request
  const since = timeOf(query.get('since'))
  const until = timeOf(query.get('until'))
  if (until !== undefined && until < (since ?? 0n)) {
    throw ApiError.badRequest(`\`since\` time (${query.get('since') ?? ''}) cannot be after \`until\` time (${query.get('until')})`)
  }
  const filters = request.filters()
  const stream = response.stream(200, 'application/json')
  if (since !== undefined || until !== undefined) {
    for (const message of backend.events.history(filters, since ?? 0n, until)) send(stream, message)
  }
  const left = until === undefined ? Number.POSITIVE_INFINITY : Number((until - backend.now()) / 1_000_000n)
  if (left > 0) {
    const stop = backend.events.listen(filters, (message) => send(stream, message))
    await Promise.race([whenAborted(gone), whenElapsed(left, gone)])
    stop()
  }
  stream.end()
}

function send(stream: Writable, message: EventMessage): void {
  if (stream.writableLength > EVENT_BACKLOG) stream.destroy()
  else stream.write(`${eventJson(message)}\n`)
}

/** undefined when there is none. ApiError 500, as Docker has it, for what is no time. */
function timeOf(text: string | null): bigint | undefined {
  if (text === null || text === '') return undefined
  try {
    return parseGoTimestamp(text)
  } catch (error) {
    throw ApiError.internal((error as Error).message, { cause: error })
  }
}

/** Never when it is longer than a timer can wait, which is 24 days. */
function whenElapsed(ms: number, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (ms > LONGEST_WAIT_MS) return
    const timer = setTimeout(resolve, ms)
    gone.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
}
