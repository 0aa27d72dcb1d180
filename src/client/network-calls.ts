import type { AttachedResource, AttachRequest, EndpointConfig, NetworkCreateRequest, NetworkResource } from '../api/network-json.ts'
import { type FilterValues, filterQuery } from './filter-query.ts'
import type { HttpTransport } from './http-transport.ts'

/** `/networks`, and `/netloom/attach`. References are names, ids or beginnings of ids. */
export class NetworkCalls {
  private readonly http: HttpTransport

  constructor(http: HttpTransport) {
    this.http = http
  }

  list(filters?: FilterValues): Promise<NetworkResource[]> {
    return this.http.call('GET', '/networks', { query: { filters: filterQuery(filters) } })
  }

  inspect(reference: string, options: { verbose?: boolean; scope?: string } = {}): Promise<NetworkResource> {
    return this.http.call('GET', `/networks/${encodeURIComponent(reference)}`, {
      query: { verbose: options.verbose || undefined, scope: options.scope }
    })
  }

  create(request: NetworkCreateRequest): Promise<{ Id: string; Warning: string }> {
    return this.http.call('POST', '/networks/create', { json: request })
  }

  async connect(reference: string, container: string, endpoint: EndpointConfig | null = null): Promise<void> {
    const json = { Container: container, EndpointConfig: endpoint }
    await this.http.call('POST', `/networks/${encodeURIComponent(reference)}/connect`, { json })
  }

  async disconnect(reference: string, container: string, force = false): Promise<void> {
    const json = { Container: container, Force: force }
    await this.http.call('POST', `/networks/${encodeURIComponent(reference)}/disconnect`, { json })
  }

  async remove(reference: string): Promise<void> {
    await this.http.call('DELETE', `/networks/${encodeURIComponent(reference)}`)
  }

  prune(filters?: FilterValues): Promise<{ NetworksDeleted: string[] | null }> {
    return this.http.call('POST', '/networks/prune', { query: { filters: filterQuery(filters) } })
  }

  /** An endpoint for a process, namespace or TAP that somebody else made. */
  attach(request: AttachRequest): Promise<AttachedResource> {
    return this.http.call('POST', '/netloom/attach', { json: request })
  }

  async detach(network: string, name: string): Promise<void> {
    await this.http.call('DELETE', '/netloom/attach', { json: { network, name } })
  }
}
