import type { DropRow, Explanation, FdbRow, FlowFilter, FlowRow, NeighborRow, RouteRow } from '../api/inspection-json.ts'
import type { HttpTransport } from './http-transport.ts'

/** `/netloom/nat`, routes, neighbors, fdb, drops and explain: what the engine holds, and what it would do. */
export class InspectionCalls {
  private readonly http: HttpTransport

  constructor(http: HttpTransport) {
    this.http = http
  }

  flows(filter: FlowFilter = {}, limit?: number): Promise<FlowRow[]> {
    const { address, protocol, port } = filter
    return this.http.call('GET', '/netloom/nat', { query: { address, protocol, port: port?.toString(), limit: limit?.toString() } })
  }

  routes(): Promise<RouteRow[]> {
    return this.http.call('GET', '/netloom/routes')
  }

  neighbors(): Promise<NeighborRow[]> {
    return this.http.call('GET', '/netloom/neighbors')
  }

  /** Of one network, by name or id, or of all. */
  fdb(network?: string): Promise<FdbRow[]> {
    return this.http.call('GET', '/netloom/fdb', { query: { network } })
  }

  drops(): Promise<DropRow[]> {
    return this.http.call('GET', '/netloom/drops')
  }

  explain(from: string, to: string): Promise<Explanation> {
    return this.http.call('GET', '/netloom/explain', { query: { from, to } })
  }
}
