import type { Readable } from 'node:stream'
import type { ContainerConfig, ContainerInspect, ContainerSummary, CreateResponse, HostConfig } from '../api/container-json.ts'
import type { EndpointConfig } from '../api/network-json.ts'
import { type FilterValues, filterQuery } from './filter-query.ts'
import type { Hijacked, HttpTransport, QueryValue } from './http-transport.ts'

/** The body of a create: what is left out has Docker's default. */
export type CreateRequest = Partial<ContainerConfig> & {
  HostConfig?: Partial<HostConfig>
  NetworkingConfig?: { EndpointsConfig: Record<string, EndpointConfig> }
}

export interface LogsRequest {
  readonly follow?: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  /** Seconds since 1970, with a fraction if need be. */
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly timestamps?: boolean
  readonly details?: boolean
  /** 'all' or a number of lines. */
  readonly tail?: string
}

export interface AttachCall {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly stream: boolean
  readonly logs?: boolean
  readonly detachKeys?: string | undefined
}

export interface WaitAnswer {
  readonly StatusCode: number
  readonly Error: { readonly Message: string } | null
}

/** `/containers`. References are names, ids or beginnings of ids. */
export class ContainerCalls {
  private readonly http: HttpTransport

  constructor(http: HttpTransport) {
    this.http = http
  }

  create(request: CreateRequest, name = '', platform = ''): Promise<CreateResponse> {
    const query = { name: name || undefined, platform: platform || undefined }
    return this.http.call('POST', '/containers/create', { query, json: request })
  }

  list(options: { all?: boolean; limit?: number; size?: boolean; filters?: FilterValues } = {}): Promise<ContainerSummary[]> {
    const { all, limit, size, filters } = options
    return this.http.call('GET', '/containers/json', { query: { all, limit, size, filters: filterQuery(filters) } })
  }

  inspect(reference: string, size = false): Promise<ContainerInspect> {
    return this.http.call('GET', at(reference, 'json'), { query: { size: size || undefined } })
  }

  start(reference: string, detachKeys?: string): Promise<void> {
    return this.post(reference, 'start', { detachKeys })
  }

  /** `seconds` until it is killed; undefined: the container's own. */
  stop(reference: string, options: { seconds?: number | undefined; signal?: string | undefined } = {}): Promise<void> {
    return this.post(reference, 'stop', { t: options.seconds, signal: options.signal })
  }

  restart(reference: string, options: { seconds?: number | undefined; signal?: string | undefined } = {}): Promise<void> {
    return this.post(reference, 'restart', { t: options.seconds, signal: options.signal })
  }

  kill(reference: string, signal?: string): Promise<void> {
    return this.post(reference, 'kill', { signal })
  }

  pause(reference: string): Promise<void> {
    return this.post(reference, 'pause')
  }

  unpause(reference: string): Promise<void> {
    return this.post(reference, 'unpause')
  }

  rename(reference: string, name: string): Promise<void> {
    return this.post(reference, 'rename', { name })
  }

  resize(reference: string, rows: number, columns: number): Promise<void> {
    return this.post(reference, 'resize', { h: rows, w: columns })
  }

  /** Resolves once the daemon watches, to a promise of the end: whatever happens from then on is told. The signal gives it up. */
  async wait(
    reference: string,
    condition: 'not-running' | 'next-exit' | 'removed' = 'not-running',
    signal?: AbortSignal
  ): Promise<{ ended: Promise<WaitAnswer> }> {
    const answer = await this.http.stream('POST', at(reference, 'wait'), { query: { condition }, signal })
    const ended = readAnswer(answer)
    // Whoever gives it up does not look at it any more.
    ended.catch(() => {})
    return { ended }
  }

  async remove(reference: string, options: { force?: boolean; volumes?: boolean; link?: boolean } = {}): Promise<void> {
    const query = { force: options.force || undefined, v: options.volumes || undefined, link: options.link || undefined }
    await this.http.call('DELETE', `/containers/${encodeURIComponent(reference)}`, { query })
  }

  prune(filters?: FilterValues): Promise<{ ContainersDeleted: string[] | null; SpaceReclaimed: number }> {
    return this.http.call('POST', '/containers/prune', { query: { filters: filterQuery(filters) } })
  }

  /** Framed (see demultiplex) unless the container has a terminal. */
  logs(reference: string, request: LogsRequest, signal?: AbortSignal): Promise<Readable> {
    return this.http.stream('GET', at(reference, 'logs'), { query: { ...request }, signal })
  }

  attach(reference: string, call: AttachCall): Promise<Hijacked> {
    return this.http.hijack('POST', at(reference, 'attach'), { query: { ...call } })
  }

  top(reference: string, psArgs = ''): Promise<{ Titles: string[]; Processes: string[][] }> {
    return this.http.call('GET', at(reference, 'top'), { query: { ps_args: psArgs || undefined } })
  }

  private async post(reference: string, verb: string, query: Record<string, QueryValue> = {}): Promise<void> {
    await this.http.call('POST', at(reference, verb), { query })
  }
}

function at(reference: string, verb: string): string {
  return `/containers/${encodeURIComponent(reference)}/${verb}`
}

async function readAnswer(answer: Readable): Promise<WaitAnswer> {
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as WaitAnswer
}
