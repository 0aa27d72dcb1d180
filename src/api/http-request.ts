import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { ApiError } from './api-error.ts'
import type { ApiRequest, DecodeOptions } from './api-request.ts'
import { DecodeError, type Shape } from './decode.ts'
import { Filters } from './filters.ts'
import { GoJsonError, parseGoJson } from './go-json.ts'

/** The longest JSON body, bytes. */
export const BODY_LIMIT = 1 << 20

/** What Docker calls false, in any case. */
const FALSE = new Set(['', '0', 'no', 'false', 'none'])

export interface HttpRequestOptions {
  readonly message: IncomingMessage
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly apiVersion: string
  readonly gone: AbortSignal
  /** The body, where it was read before: an upgraded connection has no more HTTP in it. */
  readonly bodyRead?: Buffer
}

export class HttpRequest implements ApiRequest {
  readonly method: string
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly apiVersion: string
  readonly gone: AbortSignal

  private readonly source: Readable
  private raw: Readable | undefined

  constructor(options: HttpRequestOptions) {
    const { message, bodyRead } = options
    this.method = message.method ?? ''
    this.path = options.path
    this.params = options.params
    this.query = options.query
    this.headers = message.headers
    this.apiVersion = options.apiVersion
    this.source = bodyRead === undefined ? message : Readable.from(bodyRead.length === 0 ? [] : [bodyRead])
    this.gone = options.gone
  }

  /**
   * A stream of its own: who gives up in the middle destroys it, as `for await` and `pipeline` do, and the connection has to stay for
   * the answer.
   */
  get body(): Readable {
    this.raw ??= passOn(this.source)
    return this.raw
  }

  async json(options?: DecodeOptions): Promise<unknown> {
    this.checkContentType()
    const text = await this.text()
    try {
      return parseGoJson(text)
    } catch (error) {
      throw asApiError(error, options)
    }
  }

  async decode<T>(shape: Shape<T>, options?: DecodeOptions): Promise<T> {
    const value = await this.json(options)
    try {
      return shape.read(value)
    } catch (error) {
      throw asApiError(error, options)
    }
  }

  async decodeOptional<T>(shape: Shape<T>, options?: DecodeOptions): Promise<T | undefined> {
    if (this.headers['content-length'] === '0' || !this.hasBody()) return undefined
    return this.decode(shape, options)
  }

  flag(name: string, absent = false): boolean {
    const value = this.query.get(name)
    return value === null ? absent : !FALSE.has(value.trim().toLowerCase())
  }

  number(name: string): number | undefined {
    const value = this.query.get(name)
    return value !== null && /^[+-]?\d+$/.test(value) ? Number(value) : undefined
  }

  filters(): Filters {
    return Filters.parse(this.query.get('filters'))
  }

  private hasBody(): boolean {
    return this.headers['content-length'] !== undefined || this.headers['transfer-encoding'] !== undefined
  }

  private checkContentType(): void {
    const type = this.headers['content-type'] ?? ''
    if (type === '' && (!this.hasBody() || this.headers['content-length'] === '0')) return
    if (type.split(';')[0]!.trim().toLowerCase() === 'application/json') return
    throw ApiError.badRequest(`Content-Type specified (${type}) must be 'application/json'`)
  }

  private async text(): Promise<string> {
    const tooLarge = (): ApiError => new ApiError(413, `http: request body too large: more than ${BODY_LIMIT} bytes`)
    if (Number(this.headers['content-length'] ?? 0) > BODY_LIMIT) throw tooLarge()
    const chunks: Buffer[] = []
    let length = 0
    try {
      // Not destroyed when it is too long: the answer must still go out on the same connection.
      for await (const chunk of this.source.iterator({ destroyOnReturn: false })) {
        length += (chunk as Buffer).length
        if (length > BODY_LIMIT) throw tooLarge()
        chunks.push(chunk as Buffer)
      }
    } catch (error) {
      if (error instanceof ApiError) throw error
      throw ApiError.badRequest('unexpected EOF', { cause: error })
    }
    return Buffer.concat(chunks).toString('utf8')
  }
}

function passOn(source: Readable): Readable {
  const body = new PassThrough()
  source.on('error', (error) => body.destroy(error))
  source.on('close', () => {
    if (!source.readableEnded) body.destroy(new Error('unexpected EOF'))
  })
  return source.pipe(body)
}

function asApiError(error: unknown, { status = 400, empty = 'got EOF while reading request body' }: DecodeOptions = {}): unknown {
  if (error instanceof GoJsonError) return new ApiError(status, error.isEmpty ? empty : error.message, { cause: error })
  if (error instanceof DecodeError) return new ApiError(status, error.message, { cause: error })
  return error
}
