/** `/containers`. */
import { ApiError } from './api-error.ts'
import type { ApiRequest } from './api-request.ts'
import type { ContainerBackend, PathStat, TerminalDimensions, WaitCondition } from './container-backend.ts'
import { createBody, updateBody } from './container-shapes.ts'
import { messageOf, statusOf } from './error-status.ts'
import type { Filters } from './filters.ts'
import { parseGoTimestamp } from './go-timestamp.ts'
import type { Router } from './router.ts'
import { whenAborted } from './when-aborted.ts'

/** How Docker answers where it does not say that the request is at fault. */
const UNREADABLE = { status: 500, empty: 'EOF' }

/** Bytes of a body that says nothing: '{}', 'null', with what else clients put behind it. Docker's measure. */
const LONGEST_EMPTY = 7

const STAT_HEADER = 'X-Docker-Container-Path-Stat'

export function containerRoutes(router: Router, backend: ContainerBackend): void {
  recordRoutes(router, backend)
  runRoutes(router, backend)
  streamRoutes(router, backend)
  fileRoutes(router, backend)
}

/** What containers there are. */
function recordRoutes(router: Router, backend: ContainerBackend): void {
  router.add('GET', '/containers/json', async (request, response) => {
    const filters = request.filters()
    const limit = limitOf(request)
    const list = await backend.list({ all: request.flag('all'), limit, size: request.flag('size'), filters })
    response.json(200, list)
  })
  router.add('POST', '/containers/create', async (request, response) => {
    const body = await request.decode(createBody, UNREADABLE)
    response.json(201, await backend.create(request.query.get('name') ?? '', body, request.query.get('platform') ?? ''))
  })
  router.add('POST', '/containers/prune', async (request, response) => response.json(200, await backend.prune(pruneFilters(request))))
  router.add('GET', '/containers/{id}/json', async (request, response) => {
    response.json(200, await backend.inspect(request.params['id']!, request.flag('size')))
  })
  router.add('POST', '/containers/{id}/rename', async ({ params, query }, response) => {
    await backend.rename(params['id']!, query.get('name') ?? '')
    response.empty(204)
  })
  router.add('POST', '/containers/{id}/update', async (request, response) => {
    response.json(200, await backend.update(request.params['id']!, await request.decode(updateBody, UNREADABLE)))
  })
  router.add('DELETE', '/containers/{id}', async (request, response) => {
    const options = { force: request.flag('force'), volumes: request.flag('v'), link: request.flag('link') }
    await backend.remove(request.params['id']!, options)
    response.empty(204)
  })
}

/** From start to end. */
function runRoutes(router: Router, backend: ContainerBackend): void {
  router.add('POST', '/containers/{id}/start', async ({ params, headers }, response) => {
    if (Number(headers['content-length'] ?? 0) > LONGEST_EMPTY || headers['transfer-encoding'] !== undefined) {
      throw ApiError.badRequest('starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24')
    }
    response.empty((await backend.start(params['id']!)) ? 204 : 304)
  })
  router.add('POST', '/containers/{id}/stop', async (request, response) => {
    response.empty((await backend.stop(request.params['id']!, secondsOf(request), signalOf(request))) ? 204 : 304)
  })
  router.add('POST', '/containers/{id}/restart', async (request, response) => {
    await backend.restart(request.params['id']!, secondsOf(request), signalOf(request))
    response.empty(204)
  })
  router.add('POST', '/containers/{id}/kill', async ({ params, query }, response) => {
    await backend.kill(params['id']!, query.get('signal') ?? '')
    response.empty(204)
  })
  router.add('POST', '/containers/{id}/pause', async ({ params }, response) => {
    await backend.pause(params['id']!)
    response.empty(204)
  })
  router.add('POST', '/containers/{id}/unpause', async ({ params }, response) => {
    await backend.unpause(params['id']!)
    response.empty(204)
  })
  router.add('POST', '/containers/{id}/wait', async ({ params, query, gone }, response) => {
    const waiting = backend.wait(params['id']!, conditionOf(query.get('condition')), gone)
    // The headers tell the client that whatever happens from now on will be told: `docker run` starts the container then.
    const stream = response.stream(200, 'application/json')
    const result = await Promise.race([waiting, whenAborted(gone)])
    // Nobody reads it any more, and the connection of a client that only ended its direction would stay for ever.
    if (result === undefined) stream.destroy()
    else stream.end(`${JSON.stringify(result)}\n`)
  })
  router.add('POST', '/containers/{id}/resize', async ({ params, query }, response) => {
    await backend.resize(params['id']!, dimensionsOf(query))
    response.empty(200)
  })
  router.add('GET', '/containers/{id}/top', async ({ params, query }, response) => {
    response.json(200, await backend.top(params['id']!, query.get('ps_args') ?? ''))
  })
}

/** Output, as it comes. */
function streamRoutes(router: Router, backend: ContainerBackend): void {
  router.add('GET', '/containers/{id}/logs', async (request, response) => {
    const [stdout, stderr] = [request.flag('stdout'), request.flag('stderr')]
    if (!stdout && !stderr) throw ApiError.badRequest('Bad parameters: you must choose at least one stream')
    const options = {
      follow: request.flag('follow'),
      stdout,
      stderr,
      since: timeOf(request.query.get('since')),
      until: timeOf(request.query.get('until')),
      timestamps: request.flag('timestamps'),
      details: request.flag('details'),
      tail: tailOf(request.query.get('tail'))
    }
    const send = await backend.logs(request.params['id']!, options, request.gone)
    // Docker sends the headers before it knows what will follow, and so says nothing of it.
    const stream = response.stream(200, '')
    await send(stream)
    stream.end()
  })
  router.add('POST', '/containers/{id}/attach', async (request, response) => {
    const attaching = backend.attach(request.params['id']!, {
      stdin: request.flag('stdin'),
      stdout: request.flag('stdout'),
      stderr: request.flag('stderr'),
      stream: request.flag('stream'),
      logs: request.flag('logs'),
      detachKeys: request.query.get('detachKeys')
    })
    const serve = await attaching.catch((error: unknown) => {
      // Docker answers in the words of the stream that was asked for.
      response.stream(statusOf(error), 'application/vnd.docker.raw-stream').end(`${messageOf(error)}\r\n`)
    })
    if (serve !== undefined) await serve(await response.hijack())
  })
  router.add('GET', '/containers/{id}/attach/ws', () => {
    throw ApiError.notImplemented('attaching by WebSocket is outside of what netloom does: use POST /containers/{id}/attach')
  })
  router.add('GET', '/containers/{id}/stats', async (request, response) => {
    const stream = request.flag('stream', true)
    const samples = backend.stats(request.params['id']!, { stream, oneShot: request.flag('one-shot'), gone: request.gone })
    // The first is awaited before the headers go out, so that an unknown container is a 404.
    const iterator = samples[Symbol.asyncIterator]()
    let sample = await iterator.next()
    const body = response.stream(200, 'application/json')
    for (; sample.done !== true && !request.gone.aborted; sample = await iterator.next()) body.write(`${JSON.stringify(sample.value)}\n`)
    body.end()
  })
}

/** The file system. */
function fileRoutes(router: Router, backend: ContainerBackend): void {
  router.add('GET', '/containers/{id}/changes', async ({ params }, response) => {
    response.json(200, await backend.changes(params['id']!))
  })
  router.add('GET', '/containers/{id}/export', async ({ params }, response) => {
    const send = await backend.exportRoot(params['id']!)
    await send(response.stream(200, 'application/octet-stream'))
  })
  router.add('HEAD', '/containers/{id}/archive', async (request, response) => {
    response.header(STAT_HEADER, encodeStat(await backend.archiveStat(request.params['id']!, pathOf(request))))
    response.empty(200)
  })
  router.add('GET', '/containers/{id}/archive', async (request, response) => {
    const { stat, send } = await backend.archiveGet(request.params['id']!, pathOf(request))
    response.header(STAT_HEADER, encodeStat(stat))
    await send(response.stream(200, 'application/x-tar'))
  })
  router.add('PUT', '/containers/{id}/archive', async (request, response) => {
    await backend.archivePut(request.params['id']!, pathOf(request), request.body, request.flag('noOverwriteDirNonDir'))
    response.empty(200)
  })
  for (const method of ['GET', 'POST']) {
    router.add(method, '/containers/{id}/checkpoints', () => {
      throw ApiError.notImplemented('checkpoints are outside of what netloom does: it emulates networks')
    })
  }
  router.add('POST', '/containers/{id}/copy', () => {
    throw ApiError.notImplemented('POST /containers/{id}/copy was replaced by /containers/{id}/archive')
  })
}

/** Columns and rows of `h` and `w`. ApiError 400 with Go's words. */
export function dimensionsOf(query: URLSearchParams): TerminalDimensions {
  const [rows, columns] = ['h', 'w'].map((name) => {
    const text = query.get(name) ?? ''
    if (!/^[+-]?\d+$/.test(text)) throw ApiError.badRequest(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`)
    return Number(text)
  }) as [number, number]
  return { columns, rows }
}

/** What cannot be read is 400 here and 500 elsewhere, as Docker has it. */
function pruneFilters(request: ApiRequest): Filters {
  try {
    return request.filters()
  } catch (error) {
    throw ApiError.badRequest(messageOf(error), { cause: error })
  }
}

function limitOf({ query }: ApiRequest): number {
  const text = query.get('limit') ?? ''
  if (text === '') return 0
  if (!/^[+-]?\d+$/.test(text)) throw ApiError.internal(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`)
  return Number(text)
}

function secondsOf({ query }: ApiRequest): number | undefined {
  const text = query.get('t') ?? ''
  if (text === '') return undefined
  if (!/^[+-]?\d+$/.test(text)) throw ApiError.internal(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`)
  return Number(text)
}

/** Since API 1.42. We take it from every client, as older ones have no way to send it. */
function signalOf({ query }: ApiRequest): string {
  return query.get('signal') ?? ''
}

/** Anything else is the first one, as Docker has it. */
function conditionOf(text: string | null): WaitCondition {
  return text === 'next-exit' || text === 'removed' ? text : 'not-running'
}

/** null for no bound. */
function timeOf(text: string | null): bigint | null {
  if (text === null || text === '' || text === '0') return null
  try {
    return parseGoTimestamp(text)
  } catch (error) {
    throw ApiError.internal((error as Error).message, { cause: error })
  }
}

/** Anything but a number of lines is all of them, as Docker has it. */
function tailOf(text: string | null): number | null {
  return text !== null && /^\d+$/.test(text) ? Number(text) : null
}

function pathOf({ query }: ApiRequest): string {
  const path = query.get('path') ?? ''
  // As daemon 20.10 has it, without the blank.
  if (path === '') throw ApiError.badRequest('bad parameter: pathcannot be empty')
  return path
}

function encodeStat(stat: PathStat): string {
  return Buffer.from(JSON.stringify(stat)).toString('base64')
}
