/**
 * What the routes of /networks need behind them. References are names, ids or prefixes of ids; every method throws ApiError with
 * Docker's status and text.
 */
import type { Filters } from './filters.ts'
import type { AttachedResource, AttachRequest, EndpointConfig, NetworkCreateRequest, NetworkResource } from './network-json.ts'

export interface NetworkBackend {
  list(filters: Filters): Promise<NetworkResource[]>
  /** `scope` '' for any. */
  inspect(reference: string, scope: string): Promise<NetworkResource>
  create(request: NetworkCreateRequest): Promise<{ Id: string; Warning: string }>
  remove(reference: string): Promise<void>
  prune(filters: Filters): Promise<{ NetworksDeleted: string[] | null }>
  connect(network: string, container: string, config: EndpointConfig | null): Promise<void>
  disconnect(network: string, container: string, force: boolean): Promise<void>
  /** Gives a process or virtual machine that no container holds an endpoint. */
  attach(request: AttachRequest): Promise<AttachedResource>
  detach(network: string, name: string): Promise<void>
}
