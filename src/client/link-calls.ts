import type { LinkRequest, LinkRow } from '../api/link-json.ts'
import type { HttpTransport } from './http-transport.ts'

/** `/netloom/links`: emulated links. */
export class LinkCalls {
  private readonly http: HttpTransport

  constructor(http: HttpTransport) {
    this.http = http
  }

  list(): Promise<LinkRow[]> {
    return this.http.call('GET', '/netloom/links')
  }

  /** What the target's links are then. */
  set(request: LinkRequest): Promise<LinkRow[]> {
    return this.http.call('PUT', '/netloom/links', { json: request })
  }
}
