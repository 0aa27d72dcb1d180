/** HTTP to the daemon, in the three ways that Docker's API needs: a JSON answer, a streamed one, a connection that is taken over. */
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import { ClientError } from './client-error.ts'

export type QueryValue = string | number | boolean | undefined | null | readonly string[]

export interface CallOptions {
  /** undefined and null are left out; a list is repeated. */
  readonly query?: Readonly<Record<string, QueryValue>>
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as it is, in place of `json`. */
  readonly body?: AsyncIterable<Uint8Array>
  /** Of `body`; default an archive's. */
  readonly contentType?: string
  /** The answer begins before the body ends, and goes on beside it; by default an early answer ends the sending. */
  readonly isAnsweredEarly?: boolean
  readonly signal?: AbortSignal | undefined
}

export interface Hijacked {
  readonly connection: Duplex
  /** The stream has frames of stdout and stderr: see demultiplex. False: one raw stream. */
  readonly isMultiplexed: boolean
}

/** What the daemon calls a stream of frames, from API 1.42 on. */
const MULTIPLEXED = 'application/vnd.docker.multiplexed-stream'

export class HttpTransport {
  private readonly socketPath: string
  /** As the user wrote it. */
  readonly host: string

  /** `host`: 'unix:///path'. RangeError for anything else. */
  constructor(host: string) {
    if (!host.startsWith('unix:///')) throw new RangeError(`${host} is not unix:///path: the client speaks over unix sockets only`)
    this.host = host
    this.socketPath = host.slice('unix://'.length)
  }

  /** The answer's JSON; undefined where it has no body. Throws ClientError. */
  async call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const answer = await this.stream(method, path, options)
    const text = await readText(answer)
    if (text === '') return undefined as T
    try {
      return JSON.parse(text) as T
    } catch (error) {
      throw new ClientError('ERR_PROTOCOL', `${method} ${path}: the answer is no JSON`, answer.statusCode, { cause: error })
    }
  }

  /** The answer as it comes in, once its status is known to be good. Throws ClientError. */
  async stream(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers: OutgoingHttpHeaders = {}
      const body = options.json === undefined ? undefined : JSON.stringify(options.json)
      if (body !== undefined) Object.assign(headers, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
      if (options.body !== undefined) headers['Content-Type'] = options.contentType ?? 'application/x-tar'
      const request = httpRequest({ ...this.target(method, path, options), headers }, (answer) => {
        if (isGood(answer)) resolve(answer)
        else refusal(answer).then(reject, reject)
      })
      request.on('error', (error: NodeJS.ErrnoException) => reject(this.explain(error)))
      if (options.body === undefined) request.end(body)
      else {
        sendAll(options.body, request, options.isAnsweredEarly ?? false).catch((error: unknown) => {
          request.destroy()
          reject(error)
        })
      }
    })
  }

  /** Asks for the connection itself, and gives it. Bytes that came with the answer are not lost. Throws ClientError. */
  hijack(method: string, path: string, options: CallOptions = {}): Promise<Hijacked> {
    return new Promise((resolve, reject) => {
      const body = options.json === undefined ? '' : JSON.stringify(options.json)
      const headers: OutgoingHttpHeaders = {
        Connection: 'Upgrade',
        Upgrade: 'tcp',
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body)
      }
      const request = httpRequest({ ...this.target(method, path, options), headers })
      request.on('upgrade', (answer, connection, head) => {
        if (head.length > 0) connection.unshift(head)
        resolve({ connection, isMultiplexed: answer.headers['content-type'] === MULTIPLEXED })
      })
      request.on('response', (answer) => {
        const problem = (): Promise<Error> => Promise.resolve(new ClientError('ERR_PROTOCOL', `${path}: the connection was not upgraded`))
        const reason = isGood(answer) ? problem() : refusal(answer)
        reason.then(reject, reject)
      })
      request.on('error', (error: NodeJS.ErrnoException) => reject(this.explain(error)))
      request.end(body)
    })
  }

  private target(method: string, path: string, options: CallOptions): object {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value === undefined || value === null) continue
      for (const one of [value].flat()) query.append(name, one === true ? '1' : one === false ? '0' : String(one))
    }
    const suffix = query.size === 0 ? '' : `?${query}`
    const { signal } = options
    return { socketPath: this.socketPath, method, path: `${path}${suffix}`, agent: false, ...(signal === undefined ? {} : { signal }) }
  }

  private explain(error: NodeJS.ErrnoException): Error {
    if (error.code === 'EACCES') {
      const text = `permission denied while trying to connect to the netloom daemon at ${this.host}`
      return new ClientError('ERR_NO_DAEMON', text, 0, { cause: error })
    }
    if (error.code !== 'ENOENT' && error.code !== 'ECONNREFUSED' && error.code !== 'ENOTSOCK') return error
    const text = `Cannot connect to the netloom daemon at ${this.host}. Is the netloom daemon running?`
    return new ClientError('ERR_NO_DAEMON', text, 0, { cause: error })
  }
}

/** All of a stream as text. */
export async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

/** 304 is Docker's "it was so before". */
function isGood({ statusCode = 0 }: IncomingMessage): boolean {
  return (statusCode >= 200 && statusCode < 300) || statusCode === 304
}

/** {"message": ...} or, from whatever else answers, its text. */
async function refusal(answer: IncomingMessage): Promise<ClientError> {
  const text = await readText(answer)
  let message = text.trim()
  try {
    const parsed = JSON.parse(text) as { message?: unknown }
    if (typeof parsed.message === 'string') message = parsed.message
  } catch {
    // The text says it itself.
  }
  return new ClientError('ERR_DAEMON', message || `${answer.statusCode} ${answer.statusMessage}`, answer.statusCode)
}

/** At the pace of the daemon. What it answers before the end ends the sending, unless that is what it does. */
async function sendAll(
  body: AsyncIterable<Uint8Array>,
  to: NodeJS.WritableStream & { destroyed?: boolean },
  isAnsweredEarly: boolean
): Promise<void> {
  let isAnswered = false
  to.once('response', (answer: IncomingMessage) => {
    const stop = (): void => {
      isAnswered = true
    }
    if (isAnsweredEarly && isGood(answer)) answer.once('close', stop)
    else stop()
  })
  for await (const chunk of body) {
    if (isAnswered || to.destroyed === true) break
    if (!to.write(chunk))
      await new Promise<void>((resolve) => onEither(to, ['drain', 'close', ...(isAnsweredEarly ? [] : ['response'])], resolve))
  }
  to.end()
}

function onEither(emitter: NodeJS.EventEmitter, names: readonly string[], then: () => void): void {
  const done = (): void => {
    for (const name of names) emitter.removeListener(name, done)
    then()
  }
  for (const name of names) emitter.once(name, done)
}
