/**
 * What containers have to do with networks: Docker's rules from create to remove.
 */
import type { EndpointConfig, EndpointSettings, InterfaceCounters, NetworkSettings, PortSummary } from '../../api/network-json.ts'
import type { NetworkedContainer } from './networked-container.ts'

/** The part of a create request that is about networks. */
export interface NetworkingRequest {
  readonly NetworkingConfig?: { readonly EndpointsConfig?: Readonly<Record<string, EndpointConfig | null>> | null } | null
}

const unfinished = (): never => {
  throw new Error('not built yet')
}

export class ContainerNetworkService {
  /**
   * At create: checks and completes the container's networking, and its Hostname for container:X and host modes.
   * Returns warnings. Throws ApiError.
   */
  prepare(_container: NetworkedContainer, _request: NetworkingRequest): string[] {
    return unfinished()
  }

  /** At start. Throws ApiError for container:X that does not run. */
  sandboxNetwork(_container: NetworkedContainer): 'own' | 'host' | { pid: number } {
    return unfinished()
  }

  /** hosts, hostname and resolv.conf into the container's directory, before the sandbox is made. */
  writeFiles(_container: NetworkedContainer): Promise<void> {
    return unfinished()
  }

  /** Endpoints, TAPs, interfaces, routes, resolver, names. On failure everything is undone. */
  start(_container: NetworkedContainer): Promise<{ environment: string[] }> {
    return unfinished()
  }

  stop(_container: NetworkedContainer): Promise<void> {
    return unfinished()
  }

  restore(_container: NetworkedContainer): Promise<void> {
    return unfinished()
  }

  remove(_container: NetworkedContainer): Promise<void> {
    return unfinished()
  }

  renamed(_container: NetworkedContainer, _oldName: string): Promise<void> {
    return unfinished()
  }

  settings(_container: NetworkedContainer): NetworkSettings {
    return unfinished()
  }

  ports(_container: NetworkedContainer): PortSummary[] {
    return unfinished()
  }

  networks(_container: NetworkedContainer): Record<string, EndpointSettings> {
    return unfinished()
  }

  connect(_container: NetworkedContainer, _network: string, _config: EndpointConfig | null): Promise<void> {
    return unfinished()
  }

  disconnect(_container: NetworkedContainer, _network: string, _force: boolean): Promise<void> {
    return unfinished()
  }

  counters(_container: NetworkedContainer): Record<string, InterfaceCounters> {
    return unfinished()
  }
}
