/**
 * Everything behind the routes of /networks: networks, their containers, and what is attached from outside.
 */
import { ApiError } from '../../api/api-error.ts'
import type { Filters } from '../../api/filters.ts'
import type { NetworkBackend } from '../../api/network-backend.ts'
import type { AttachedResource, AttachRequest, EndpointConfig, NetworkCreateRequest, NetworkResource } from '../../api/network-json.ts'
import type { Attachments } from './attachments.ts'
import type { ContainerNetworkService } from './container-network-service.ts'
import type { NetworkService } from './network-service.ts'
import type { ContainerLookup, NetworkedContainer } from './networked-container.ts'

export interface DockerNetworkBackendOptions {
  readonly networks: NetworkService
  readonly containerNetworks: ContainerNetworkService
  readonly containers: ContainerLookup
  readonly attachments: Attachments
}

export class DockerNetworkBackend implements NetworkBackend {
  private readonly options: DockerNetworkBackendOptions

  constructor(options: DockerNetworkBackendOptions) {
    this.options = options
  }

  async list(filters: Filters): Promise<NetworkResource[]> {
    await this.options.networks.sync()
    return this.options.networks.list(filters)
  }

  async inspect(reference: string, scope: string): Promise<NetworkResource> {
    await this.options.networks.sync()
    return this.options.networks.inspect(reference, scope)
  }

  async create(request: NetworkCreateRequest): Promise<{ Id: string; Warning: string }> {
    await this.options.networks.sync()
    return this.options.networks.create(request)
  }

  async remove(reference: string): Promise<void> {
    await this.options.networks.sync()
    return this.options.networks.remove(reference)
  }

  async prune(filters: Filters): Promise<{ NetworksDeleted: string[] | null }> {
    await this.options.networks.sync()
    return this.options.networks.prune(filters)
  }

  async connect(network: string, reference: string, config: EndpointConfig | null): Promise<void> {
    const container = this.container(reference)
    await this.options.networks.sync()
    await container.exclusive(() => this.options.containerNetworks.connect(container, network, config))
  }

  /** With `force` also an endpoint whose container is gone. */
  async disconnect(network: string, reference: string, force: boolean): Promise<void> {
    let container: NetworkedContainer
    try {
      container = this.container(reference)
    } catch (error) {
      if (!force) throw error
      await this.options.networks.sync()
      return this.removeStale(network, reference)
    }
    await this.options.networks.sync()
    await container.exclusive(() => this.options.containerNetworks.disconnect(container, network, force))
  }

  attach(request: AttachRequest): Promise<AttachedResource> {
    return this.options.attachments.attach(request)
  }

  detach(network: string, name: string): Promise<void> {
    return this.options.attachments.detach(network, name)
  }

  private container(reference: string): NetworkedContainer {
    if (reference === '') throw ApiError.badRequest('invalid name or ID supplied: ""')
    return this.options.containers.find(reference)
  }

  private async removeStale(reference: string, name: string): Promise<void> {
    const network = this.options.networks.find(reference)
    const endpoint = network.endpointNamed(name)
    if (endpoint === undefined) throw ApiError.notFound(`endpoint ${name} not found`)
    if (this.options.attachments.has(network.id, name)) return this.options.attachments.detach(network.id, name)
    await this.options.networks.removeStale(network, endpoint)
  }
}
