/** What a handler sees of a request. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Shape } from './decode.ts'
import type { Filters } from './filters.ts'

/** Docker's routes do not agree on what a body is that cannot be read. */
export interface DecodeOptions {
  /** Default 400. */
  readonly status?: number
  /** The message for no body at all. Default 'got EOF while reading request body'. */
  readonly empty?: string
}

export interface ApiRequest {
  /** 'GET', 'POST'... */
  readonly method: string
  /** Without the version and the query: '/networks/front'. */
  readonly path: string
  /** The `{name}` parts of the route, percent-decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Of the path; that of `API_VERSION` where the path has none. '1.41' */
  readonly apiVersion: string
  /** Raw and of any length: image tarballs. Either this or `json` or `decode`. */
  readonly body: Readable
  /** Aborted when the client closes the connection before the answer is complete. */
  readonly gone: AbortSignal
  /** The body as JSON. ApiError: 413 above 1 MiB, 400 with Docker's text for a wrong content type, no body and bad JSON. */
  json(options?: DecodeOptions): Promise<unknown>
  /** `json` checked against a shape: members of the wrong type are refused as Go does, absent ones and null get the zero value. */
  decode<T>(shape: Shape<T>, options?: DecodeOptions): Promise<T>
  /** As `decode`, and undefined where there is no body at all. */
  decodeOptional<T>(shape: Shape<T>, options?: DecodeOptions): Promise<T | undefined>
  /** A boolean of the query as Docker reads it: absent, '', '0', 'no', 'false' and 'none' are false, all else is true. */
  flag(name: string, absent?: boolean): boolean
  /** A whole number of the query; undefined when it is absent, empty or no number. */
  number(name: string): number | undefined
  /** The parameter `filters`. ApiError 400 when it cannot be read. */
  filters(): Filters
}
