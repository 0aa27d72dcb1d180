/**
 * etcd's version 3 API over its HTTP/JSON gateway (etcd 3.4 and later: `/v3/...`), with members that come and go, and with users.
 *
 * Bytes are base64, 64-bit numbers are texts; members with their zero value are left out.
 */
import type { Timers } from '../engine/clock.ts'
import { ClusterError } from './cluster-error.ts'
import { type HttpAnswer, HttpClient } from './http-client.ts'
import type { StoreOptions, StoreServer } from './store-options.ts'

/** What a gateway answers instead: gRPC's codes (google.rpc.Code). */
interface EtcdFailure {
  readonly error?: string | { readonly message?: string; readonly grpc_code?: number }
  readonly message?: string
  readonly code?: number
}

const GrpcCode = {
  invalidArgument: 3,
  deadline: 4,
  permissionDenied: 7,
  exhausted: 8,
  failedPrecondition: 9,
  unavailable: 14,
  unauthenticated: 16
} as const

/** For one member; then the next is asked. */
const PATIENCE_MS = 2000
/** A member that has lost its leader ends streams instead of falling silent (etcd, rpctypes.MetadataHasLeader). */
const REQUIRE_LEADER = { 'Grpc-Metadata-hasleader': 'true' }

/** A message of a stream, which `result` wraps. */
type OnMessage = (message: unknown) => void

export class EtcdClient {
  private readonly options: StoreOptions
  private readonly http: HttpClient
  private readonly streams = new Map<() => void, (error: ClusterError) => void>()
  private current = 0
  /** Of the user; empty when the store has no users. */
  private token: string | undefined

  constructor(options: StoreOptions, timers: Timers) {
    this.options = options
    this.http = new HttpClient(timers, options.tls)
  }

  /**
   * One request and its answer. Members are asked in turn until one answers; `isIdempotent` false: not after one that may have
   * carried it out. Rejects with ClusterError.
   */
  async call<T>(path: string, body: unknown, isIdempotent = true): Promise<T> {
    let failure = new ClusterError('unavailable', 'the store has no servers')
    for (let attempt = 0; attempt <= this.options.servers.length; attempt++) {
      const server = this.server
      try {
        return await this.callOne<T>(server, path, body)
      } catch (error) {
        if (!(error instanceof ClusterError) || error.code !== 'unavailable') throw error
        failure = error
        this.leave(server, error)
        if (error.isUncertain && !isIdempotent) throw error
      }
    }
    throw failure
  }

  /** A stream of messages. It ends by itself when its member is left. The function returned ends it silently. */
  async stream(path: string, body: unknown, onMessage: OnMessage, onEnd: (error: ClusterError) => void): Promise<() => void> {
    if (this.options.username !== undefined && this.token === undefined) await this.authenticate(this.server)
    let rest = ''
    const stop = (): void => {
      this.streams.delete(stop)
      end()
    }
    const over = (error: ClusterError): void => {
      stop()
      onEnd(error)
    }
    const { server } = this
    const end = this.http.stream(
      server,
      { method: 'POST', path, headers: { ...this.headers, ...REQUIRE_LEADER }, body: JSON.stringify(body) },
      {
        onText: (text) => {
          const lines = (rest + text).split('\n')
          rest = lines.pop()!
          for (const line of lines) {
            const message = parse(line) as ({ result?: unknown } & EtcdFailure) | undefined
            if (message?.result === undefined) return over(this.failureOf(server, message))
            onMessage(message.result)
          }
        },
        onEnd: (error) => {
          this.leave(server, error)
          over(error)
        }
      }
    )
    this.streams.set(stop, over)
    return stop
  }

  close(): void {
    for (const stop of [...this.streams.keys()]) stop()
    this.http.close()
  }

  private get server(): StoreServer {
    return this.options.servers[this.current]
  }

  private get headers(): Record<string, string> {
    return { 'content-type': 'application/json', ...(this.token && { authorization: this.token }) }
  }

  /** Goes on with another member; streams with the old one may hang without an end. */
  private leave(server: StoreServer, reason: ClusterError): void {
    if (server !== this.server || this.options.servers.length === 1) return
    this.current = (this.current + 1) % this.options.servers.length
    for (const over of [...this.streams.values()]) over(reason)
  }

  private async callOne<T>(server: StoreServer, path: string, body: unknown): Promise<T> {
    if (this.options.username !== undefined && this.token === undefined) await this.authenticate(server)
    const answer = await this.post(server, path, body)
    if (answer.status === 200) return parse(answer.body) as T
    const failure = parse(answer.body) as EtcdFailure | undefined
    // Tokens end after some minutes without use, and with the member that gave them.
    if (grpcCode(failure) === GrpcCode.unauthenticated && this.token !== undefined) {
      this.token = undefined
      await this.authenticate(server)
      const again = await this.post(server, path, body)
      if (again.status === 200) return parse(again.body) as T
      throw this.failureOf(server, parse(again.body) as EtcdFailure)
    }
    throw this.failureOf(server, failure)
  }

  private async authenticate(server: StoreServer): Promise<void> {
    const { username: name, password = '' } = this.options
    const answer = await this.post(server, '/v3/auth/authenticate', { name, password })
    const result = parse(answer.body) as ({ token?: string } & EtcdFailure) | undefined
    if (answer.status === 200 && result?.token !== undefined) this.token = result.token
    // A store without users lets everybody in, as its other clients see it.
    else if (/authentication is not enabled/.test(textOf(result))) this.token = ''
    else throw this.failureOf(server, result)
  }

  private post(server: StoreServer, path: string, body: unknown): Promise<HttpAnswer> {
    return this.http.request(server, { method: 'POST', path, headers: this.headers, body: JSON.stringify(body) }, PATIENCE_MS)
  }

  private failureOf({ host, port }: StoreServer, failure: EtcdFailure | undefined): ClusterError {
    const code = grpcCode(failure)
    const text = `${host}:${port}: ${textOf(failure) || 'no answer of etcd'}`
    const isDenied =
      code === GrpcCode.unauthenticated ||
      code === GrpcCode.permissionDenied ||
      /authentication failed|user name is empty|invalid auth token/.test(text)
    if (isDenied) return new ClusterError('denied', text)
    // etcd's own time-outs: what was asked may still be done (etcdserver: request timed out).
    return new ClusterError('unavailable', text, { isUncertain: code !== GrpcCode.exhausted && code !== GrpcCode.invalidArgument })
  }
}

function grpcCode(failure: EtcdFailure | undefined): number | undefined {
  return failure?.code ?? (typeof failure?.error === 'object' ? failure.error.grpc_code : undefined)
}

function textOf(failure: EtcdFailure | undefined): string {
  return failure?.message ?? (typeof failure?.error === 'object' ? failure.error.message : failure?.error) ?? ''
}

/** undefined: not JSON, so not etcd. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
