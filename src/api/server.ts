/**
 * The HTTP server of the API: takes requests off any number of listeners, checks path and version, calls the route, and turns what
 * it throws into Docker's errors.
 *
 *   listener --> HTTP (node:http) --> path, version --> Router --> handler(request, response)
 *                                                          '--> error-status --> {"message": ...}
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions as TlsOptions } from 'node:https'
import type { ListenOptions, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ApiError } from './api-error.ts'
import { messageOf, statusOf } from './error-status.ts'
import { BODY_LIMIT, HttpRequest } from './http-request.ts'
import { HttpResponse } from './http-response.ts'
import type { Logger } from './logger.ts'
import type { Router } from './router.ts'
import { API_VERSION, checkVersion, ENGINE_VERSION, hasJsonErrors, splitVersion } from './version.ts'

/** Bytes of all headers of a request: filters in the query may be long. */
const MAX_HEADER = 256 * 1024

const PATIENCE_MS = 10_000

/** Clients that may wait to be taken, as with Go's servers: as many as the kernel allows (net.core.somaxconn). Node's own is 511. */
const BACKLOG = 4096

const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request'

/** Certificates for a TCP listener; clients must show one that `ca` signed. PEM texts. */
export type TlsCredentials = Required<Pick<TlsOptions, 'ca' | 'cert' | 'key'>>

export class ApiServer {
  private readonly router: Router
  private readonly logger: Logger
  private readonly servers: Server[] = []
  private readonly sockets = new Set<Socket>()
  /** Handlers that have not ended. */
  private readonly atWork = new Set<Promise<void>>()

  constructor(router: Router, logger: Logger) {
    this.router = router
    this.logger = logger
  }

  /** Resolves when connections are taken. Rejects with the system's error (EADDRINUSE, EACCES...). */
  async listen(options: ListenOptions, tls?: TlsCredentials): Promise<void> {
    const http = { maxHeaderSize: MAX_HEADER, keepAliveTimeout: 0, requestTimeout: 0 }
    const onRequest: RequestListener = (message, response) => void this.answer(message, response)
    const server =
      tls === undefined
        ? createServer(http, onRequest)
        : createTlsServer({ ...http, ...tls, requestCert: true, rejectUnauthorized: true }, onRequest)
    // A client that has sent all may close its direction before the answer comes, as Go's server allows.
    Object.assign(server, { httpAllowHalfOpen: true })
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket)
      // One for each request that waits behind another.
      socket.setMaxListeners(0)
      socket.on('close', () => this.sockets.delete(socket))
    })
    server.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) => void this.upgrade(message, socket as Socket, head))
    server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end(BAD_REQUEST)
      else socket.destroy()
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ backlog: BACKLOG, ...options }, () => {
        server.removeListener('error', reject)
        resolve()
      })
    })
    server.on('error', (error) => this.logger.error('listener failed', { error }))
    this.servers.push(server)
  }

  /**
   * Takes no more connections, ends those that are open, hijacked ones too, and waits for handlers that are in the middle of
   * something, so that what comes after finds nothing half-made; not longer than PATIENCE_MS.
   */
  async close(): Promise<void> {
    const closed = this.servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)))
    for (const socket of this.sockets) socket.destroy()
    await Promise.all(closed)
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS)
    })
    await Promise.race([Promise.allSettled(this.atWork), patience])
    clearTimeout(timer)
  }

  /** A connection that wants to leave HTTP. The body comes before that, and node leaves it to us to read. */
  private async upgrade(message: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    socket.on('error', (error) => this.logger.debug('connection failed', { error }))
    const response = new ServerResponse(message)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.on('finish', () => socket.destroySoon())
    if (head.length > 0) socket.unshift(head)
    try {
      await this.answer(message, response, socket, await readBody(message, socket))
    } catch (error) {
      this.fail(new HttpResponse(message, response, AbortSignal.abort()), error, undefined)
    }
  }

  private async answer(message: IncomingMessage, raw: ServerResponse, upgraded?: Socket, bodyRead?: Buffer): Promise<void> {
    // Writing to a client that is gone is no event worth more than the end of the stream.
    raw.on('error', () => {})
    // What nobody wanted of the body stands before the next request.
    raw.on('finish', () => message.resume())
    const gone = watchClient(message.socket, raw)
    const response = new HttpResponse(message, raw, gone, upgraded)
    const began = performance.now()
    let version: string | undefined
    if (this.logger.has('debug')) raw.on('close', () => this.logAccess(message, raw, performance.now() - began))
    try {
      const target = parseTarget(message.url ?? '')
      if (target === undefined) return response.text(400, '400 Bad Request: malformed URL')
      if (target.cleaned !== undefined) {
        response.header('Location', target.cleaned)
        return response.empty(301)
      }
      const versioned = splitVersion(target.path)
      const match = this.router.find(message.method ?? '', versioned.path)
      if (match === undefined) throw ApiError.notFound('page not found')
      version = versioned.version
      setHeaders(raw)
      if (version !== undefined) checkVersion(version)
      const apiVersion = version ?? API_VERSION
      const { params } = match
      const { query } = target
      const request = new HttpRequest({ message, path: versioned.path, params, query, apiVersion, gone, bodyRead })
      await this.whileAtWork(async () => match.handler(request, response))
      if (!response.isSent) throw new Error(`${message.method} ${versioned.path} was not answered`)
    } catch (error) {
      this.fail(response, error, version)
    }
  }

  private async whileAtWork(handle: () => Promise<void>): Promise<void> {
    const working = handle()
    this.atWork.add(working)
    try {
      await working
    } finally {
      this.atWork.delete(working)
    }
  }

  private fail(response: HttpResponse, error: unknown, version: string | undefined): void {
    const status = statusOf(error)
    if (status >= 500 && !(error instanceof ApiError)) this.logger.error('request failed', { error })
    if (response.isSent) return response.destroy()
    if (hasJsonErrors(version)) response.json(status, { message: messageOf(error) })
    else {
      response.header('X-Content-Type-Options', 'nosniff')
      response.text(status, `${messageOf(error)}\n`)
    }
  }

  private logAccess(message: IncomingMessage, response: ServerResponse, ms: number): void {
    this.logger.debug('request', { method: message.method, url: message.url, status: response.statusCode, ms: ms.toFixed(1) })
  }
}

/** What Docker's daemon sends with every answer of a route. */
function setHeaders(response: ServerResponse): void {
  response.setHeader('Api-Version', API_VERSION)
  response.setHeader('Docker-Experimental', 'false')
  response.setHeader('Ostype', 'linux')
  response.setHeader('Server', `Docker/${ENGINE_VERSION} (linux)`)
}

/** Aborted when the connection ends before the answer does, by either direction: whoever sends no more reads no more. */
function watchClient(socket: Socket, response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  const leave = (): void => controller.abort()
  socket.once('end', leave)
  response.once('close', () => {
    socket.removeListener('end', leave)
    if (!response.writableFinished) leave()
  })
  return controller.signal
}

interface Target {
  /** Percent-decoded. */
  readonly path: string
  readonly query: URLSearchParams
  /** Where to go instead, when the path has empty, '.' or '..' segments. */
  readonly cleaned?: string
}

/** undefined for what is no path at all. */
function parseTarget(url: string): Target | undefined {
  const local = url.replace(/^https?:\/\/[^/?]*/i, '')
  const mark = local.indexOf('?')
  const rawPath = mark === -1 ? local : local.slice(0, mark)
  const rawQuery = mark === -1 ? '' : local.slice(mark)
  let path: string
  try {
    path = decodeURIComponent(rawPath)
  } catch {
    return undefined
  }
  if (!path.startsWith('/')) return undefined
  const query = new URLSearchParams(rawQuery)
  const segments = path.split('/').slice(1)
  // An empty last one is a slash at the end, which stays.
  if (!segments.some((segment, index) => segment === '.' || segment === '..' || (segment === '' && index < segments.length - 1))) {
    return { path, query }
  }
  return { path, query, cleaned: encodeURI(clean(segments)) + rawQuery }
}

function clean(segments: readonly string[]): string {
  const kept: string[] = []
  for (const segment of segments) {
    if (segment === '..') kept.pop()
    else if (segment !== '' && segment !== '.') kept.push(segment)
  }
  return `/${kept.join('/')}${segments.at(-1) === '' && kept.length > 0 ? '/' : ''}`
}

/** Exactly the body off the socket; what follows stays in it. ApiError for a length that is missing or too large. */
async function readBody(message: IncomingMessage, socket: Socket): Promise<Buffer> {
  if (message.headers['transfer-encoding'] !== undefined) throw new ApiError(411, 'an upgrade with a body needs its Content-Length')
  const length = Number(message.headers['content-length'] ?? 0)
  if (length > BODY_LIMIT) throw new ApiError(413, `http: request body too large: more than ${BODY_LIMIT} bytes`)
  if (length === 0) return Buffer.alloc(0)
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      socket.removeListener('readable', take)
      socket.removeListener('close', give)
      socket.removeListener('end', give)
    }
    const take = (): void => {
      const body = socket.read(length) as Buffer | null
      if (body === null) return
      stop()
      if (body.length < length) reject(ApiError.badRequest('unexpected EOF'))
      else resolve(body)
    }
    const give = (): void => {
      stop()
      reject(ApiError.badRequest('unexpected EOF'))
    }
    socket.on('readable', take)
    socket.on('close', give)
    socket.on('end', give)
  })
}
