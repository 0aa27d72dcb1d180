import { CaptureCalls } from './capture-calls.ts'
import { ContainerCalls } from './container-calls.ts'
import { ExecCalls } from './exec-calls.ts'
import { type FilterValues, filterQuery } from './filter-query.ts'
import { HttpTransport } from './http-transport.ts'
import { ImageCalls } from './image-calls.ts'
import { InspectionCalls } from './inspection-calls.ts'
import { jsonLines } from './json-lines.ts'
import { LinkCalls } from './link-calls.ts'
import { NetworkCalls } from './network-calls.ts'
import { ReplayCalls } from './replay-calls.ts'
import { TraceCalls } from './trace-calls.ts'

/** An event as it comes: `timeNano` loses its last digits in a JavaScript number. */
export interface ReceivedEvent {
  readonly Type: string
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
  readonly scope: string
  readonly time: number
  readonly timeNano: number
}

/** One daemon's API. Nothing is connected until a call is made. */
export class Client {
  readonly networks: NetworkCalls
  readonly captures: CaptureCalls
  readonly containers: ContainerCalls
  readonly execs: ExecCalls
  readonly images: ImageCalls
  readonly inspection: InspectionCalls
  readonly links: LinkCalls
  readonly replays: ReplayCalls
  readonly traces: TraceCalls
  private readonly http: HttpTransport

  /** `host`: 'unix:///path'. RangeError for anything else. */
  constructor(host: string) {
    this.http = new HttpTransport(host)
    this.networks = new NetworkCalls(this.http)
    this.captures = new CaptureCalls(this.http)
    this.containers = new ContainerCalls(this.http)
    this.execs = new ExecCalls(this.http)
    this.images = new ImageCalls(this.http)
    this.inspection = new InspectionCalls(this.http)
    this.links = new LinkCalls(this.http)
    this.replays = new ReplayCalls(this.http)
    this.traces = new TraceCalls(this.http)
  }

  get host(): string {
    return this.http.host
  }

  /** Whether a daemon answers. */
  async ping(): Promise<boolean> {
    try {
      const answer = await this.http.stream('GET', '/_ping')
      answer.resume()
      return true
    } catch {
      return false
    }
  }

  version(): Promise<Record<string, unknown>> {
    return this.http.call('GET', '/version')
  }

  info(): Promise<Record<string, unknown>> {
    return this.http.call('GET', '/info')
  }

  /** Until the signal, `until`, or the daemon's end. Times are seconds since 1970. */
  async *events(
    options: { since?: string; until?: string; filters?: FilterValues; signal?: AbortSignal } = {}
  ): AsyncGenerator<ReceivedEvent> {
    const query = { since: options.since, until: options.until, filters: filterQuery(options.filters) }
    yield* jsonLines<ReceivedEvent>(await this.http.stream('GET', '/events', { query, signal: options.signal }))
  }
}
