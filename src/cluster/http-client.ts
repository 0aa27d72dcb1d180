/**
 * HTTP as stores need it: short requests with patience, and answers that never end. JSON bodies are the caller's business.
 */
import http from 'node:http'
import https from 'node:https'
import type { Timers } from '../engine/clock.ts'
import { ClusterError } from './cluster-error.ts'
import { patience } from './patience.ts'
import type { StoreServer, StoreTls } from './store-options.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

export interface HttpStream {
  readonly onText: (text: string) => void
  /** Over, once; not after the function that `stream` returned was called. */
  readonly onEnd: (error: ClusterError) => void
}

/** A connection that is silent for so long is asked by TCP whether it is still there, milliseconds. */
const TCP_KEEP_ALIVE_MS = 3000

export class HttpClient {
  private readonly timers: Timers
  private readonly tls: StoreTls | undefined
  private readonly agent: http.Agent

  constructor(timers: Timers, tls: StoreTls | undefined) {
    this.timers = timers
    this.tls = tls
    const options = { keepAlive: true, keepAliveMsecs: TCP_KEEP_ALIVE_MS, maxSockets: 16 }
    this.agent = tls === undefined ? new http.Agent(options) : new https.Agent({ ...options, ...tls })
  }

  /** Rejects with `unavailable`; `isUncertain` when the server may have had the request; `signal` gives it up. */
  request(server: StoreServer, request: HttpRequest, patienceMs: number, signal?: AbortSignal): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      let isSent = false
      const fail = (problem: string, cause?: unknown): void => {
        cancel()
        outgoing.destroy()
        reject(unavailable(server, problem, isSent, cause))
      }
      const outgoing = this.begin(server, request, this.agent)
      const abort = (): void => fail('it was given up')
      signal?.addEventListener('abort', abort)
      const cancelPatience = patience(this.timers, patienceMs, () => fail(`no answer in ${patienceMs / 1000} s`))
      const cancel = (): void => {
        cancelPatience()
        signal?.removeEventListener('abort', abort)
      }
      outgoing.on('socket', (socket) => {
        if (!socket.connecting) isSent = true
        else socket.once('connect', () => (isSent = true))
      })
      outgoing.on('error', (error) => fail(error.message, error))
      outgoing.on('response', (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (text: string) => (body += text))
        response.on('error', (error) => fail(error.message, error))
        response.on('end', () => {
          cancel()
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
        })
      })
      outgoing.end(request.body)
    })
  }

  /** An answer that goes on. The function returned ends it silently. */
  stream(server: StoreServer, request: HttpRequest, { onText, onEnd }: HttpStream): () => void {
    let isOpen = true
    const end = (problem: string, cause?: unknown): void => {
      if (!isOpen) return
      isOpen = false
      outgoing.destroy()
      onEnd(unavailable(server, problem, false, cause))
    }
    // A connection of its own: it would hold one of the agent's for ever.
    const outgoing = this.begin(server, request, false)
    outgoing.on('socket', (socket) => socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS))
    outgoing.on('error', (error) => end(error.message, error))
    outgoing.on('response', (response) => {
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        if (isOpen) onText(text)
      })
      response.on('error', (error) => end(error.message, error))
      response.on('end', () => end('it ended the connection'))
    })
    outgoing.end(request.body)
    return () => {
      isOpen = false
      outgoing.destroy()
    }
  }

  close(): void {
    this.agent.destroy()
  }

  private begin({ host, port }: StoreServer, { method, path, headers, body }: HttpRequest, agent: http.Agent | false): http.ClientRequest {
    const options = {
      host,
      port,
      method,
      path,
      agent,
      headers: { ...headers, ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }) }
    }
    return this.tls === undefined ? http.request(options) : https.request({ ...options, ...this.tls })
  }
}

function unavailable({ host, port }: StoreServer, problem: string, isUncertain: boolean, cause: unknown): ClusterError {
  return new ClusterError('unavailable', `${host}:${port}: ${problem}`, { isUncertain, cause })
}
