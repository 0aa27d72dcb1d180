import { type FilterValues, filterQuery } from './filter-query.ts'
import type { HttpTransport } from './http-transport.ts'
import { jsonLines } from './json-lines.ts'

/** One line of `GET /images/json`. `Created` is seconds since 1970. */
export interface ImageSummary {
  readonly Id: string
  readonly RepoTags: readonly string[] | null
  readonly RepoDigests: readonly string[] | null
  readonly Created: number
  readonly Size: number
  readonly Labels: Readonly<Record<string, string>> | null
}

/** One step of an answer that tells how far it is. */
export interface ProgressMessage {
  readonly status?: string
  readonly stream?: string
  readonly id?: string
  readonly progress?: string
  readonly error?: string
}

/** `/images`. References are names, ids or beginnings of ids. */
export class ImageCalls {
  private readonly http: HttpTransport

  constructor(http: HttpTransport) {
    this.http = http
  }

  list(options: { all?: boolean; filters?: FilterValues } = {}): Promise<ImageSummary[]> {
    return this.http.call('GET', '/images/json', { query: { all: options.all || undefined, filters: filterQuery(options.filters) } })
  }

  inspect(reference: string): Promise<Record<string, unknown>> {
    return this.http.call('GET', `/images/${encodeURI(reference)}/json`)
  }

  history(reference: string): Promise<Record<string, unknown>[]> {
    return this.http.call('GET', `/images/${encodeURI(reference)}/history`)
  }

  async tag(reference: string, repository: string, tag: string): Promise<void> {
    await this.http.call('POST', `/images/${encodeURI(reference)}/tag`, { query: { repo: repository, tag } })
  }

  /** `prune` false: untagged parents stay. */
  remove(reference: string, { force = false, prune = true } = {}): Promise<({ Untagged: string } | { Deleted: string })[]> {
    const query = { force: force || undefined, noprune: !prune || undefined }
    return this.http.call('DELETE', `/images/${encodeURI(reference)}`, { query })
  }

  prune(
    filters?: FilterValues
  ): Promise<{ ImagesDeleted: ({ Untagged?: string; Deleted?: string } | null)[] | null; SpaceReclaimed: number }> {
    return this.http.call('POST', '/images/prune', { query: { filters: filterQuery(filters) } })
  }

  /** An image of a root file system's archive. */
  async *import(
    archive: AsyncIterable<Uint8Array>,
    options: { repository?: string; tag?: string; message?: string; changes?: readonly string[] }
  ): AsyncGenerator<ProgressMessage> {
    const { repository: repo, tag, message, changes } = options
    const query = { fromSrc: '-', repo, tag, message, changes: changes ?? [] }
    yield* jsonLines<ProgressMessage>(await this.http.stream('POST', '/images/create', { query, body: archive }))
  }

  /** The images of an archive of `docker save`. */
  async *load(archive: AsyncIterable<Uint8Array>, quiet = true): AsyncGenerator<ProgressMessage> {
    yield* jsonLines<ProgressMessage>(await this.http.stream('POST', '/images/load', { query: { quiet }, body: archive }))
  }

  /** Asks for an image by name; netloom downloads nothing, and says what the name means. */
  async *pull(name: string, tag: string): AsyncGenerator<ProgressMessage> {
    yield* jsonLines<ProgressMessage>(await this.http.stream('POST', '/images/create', { query: { fromImage: name, tag } }))
  }
}
