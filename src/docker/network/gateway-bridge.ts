/**
 * docker_gwbridge: the way out of containers whose networks have none. Docker's overlay networks only join containers; eth1 on a
 * bridge of the host, made with the first such container, leads to the world and to published ports (libnetwork: default_gateway.go).
 */
import type { EndpointSpec } from '../../network/endpoint.ts'
import { BridgeOption } from './bridge-options.ts'
import type { EndpointRecord } from './container-networking.ts'
import { type DockerNetwork, GATEWAY_BRIDGE } from './docker-network.ts'
import type { RequestedNetwork } from './network-request.ts'
import type { NetworkService } from './network-service.ts'
import type { NetworkedContainer } from './networked-container.ts'
import { BLANK_NETWORK } from './predefined-networks.ts'
import type { SandboxInterfaces } from './sandbox-interfaces.ts'

/** One endpoint with its network. */
export interface Plugged {
  readonly network: DockerNetwork
  readonly endpoint: EndpointRecord
}

export interface PluggedGateway extends Plugged {
  /** The endpoint's. */
  readonly name: string
}

export interface GatewayBridgeOptions {
  readonly networks: NetworkService
  readonly interfaces: SandboxInterfaces
  readonly newId: () => string
}

/** As libnetwork makes it: containers reach the world over it, not each other. */
export function gatewayBridgeRequest(id: string): RequestedNetwork {
  const options = { [BridgeOption.icc]: 'false', [BridgeOption.masquerade]: 'true', [BridgeOption.name]: GATEWAY_BRIDGE }
  return { ...BLANK_NETWORK, id, name: GATEWAY_BRIDGE, driver: 'bridge', options }
}

/** Whether a container with these endpoints needs it: it is on an overlay that may lead out, and none of its networks does. */
export function needsGatewayBridge(plugged: readonly Plugged[]): boolean {
  const hasWayOut = plugged.some(({ network, endpoint }) => !network.record.internal && endpoint.gateway !== '')
  return !hasWayOut && plugged.some(({ network }) => network.isOverlay && !network.record.internal)
}

/** Of a container's endpoint there, or of the one that it is to get. The id of the sandbox may be that of the next one already. */
function gatewayName({ networking }: NetworkedContainer): string {
  return networking.gateway?.name ?? `gateway_${networking.sandboxId.slice(0, 12)}`
}

export class GatewayBridge {
  private readonly options: GatewayBridgeOptions

  constructor(options: GatewayBridgeOptions) {
    this.options = options
  }

  /** The container's endpoint there, if it has one. */
  plugged(container: NetworkedContainer): PluggedGateway | undefined {
    const { gateway } = container.networking
    const network = gateway == null ? undefined : this.options.networks.get(gateway.networkId)
    return network === undefined ? undefined : { network, endpoint: gateway!.endpoint, name: gatewayName(container) }
  }

  /** Plugs a running container in, as its next interface. Throws ApiError and what the sandbox throws; nothing is left then. */
  async join(container: NetworkedContainer, ifname: string): Promise<Plugged> {
    const { networks, interfaces, newId } = this.options
    const network = await networks.gatewayBridge()
    const { networking } = container
    const spec = this.spec(container)
    const { endpoint: made } = await interfaces.plug(container.sandbox!, network.id, ifname, { ...spec, id: newId() })
    const { id, address, prefixLength, address6, prefixLength6, mac } = made
    const { pool, pool6 } = network.record
    const gateway6 = address6 === '' ? '' : (pool6?.gateway ?? '')
    const gateway = pool?.gateway ?? ''
    const endpoint = { endpointId: id, ifname, address, prefixLength, gateway, address6, prefixLength6, gateway6, mac }
    networking.gateway = { networkId: network.id, name: spec.name, endpoint }
    try {
      await this.record(container, network, endpoint, spec.name)
    } catch (error) {
      await this.leave(container, true).catch(() => {}) // the first error says why
      throw error
    }
    return { network, endpoint }
  }

  /** What has gone already is no error. `inSandbox` false: the sandbox is going anyway. */
  async leave(container: NetworkedContainer, inSandbox: boolean): Promise<void> {
    const { networking, sandbox } = container
    const { gateway } = networking
    if (gateway == null) return
    const name = gatewayName(container)
    networking.gateway = null
    const { networks, interfaces } = this.options
    const { networkId, endpoint } = gateway
    await interfaces
      .unplug(inSandbox ? sandbox : null, networkId, name, endpoint.ifname)
      .finally(() => networks.removeEndpoint({ networkId, owner: container.id }))
  }

  /** After a restart of the daemon: the same endpoint again; see ContainerEndpoints.rejoin. */
  async rejoin(container: NetworkedContainer): Promise<'kept' | 'made' | null> {
    const plugged = this.plugged(container)
    if (plugged === undefined) return null
    const { network, endpoint } = plugged
    const { endpointId, address, address6, mac, ifname } = endpoint
    const spec = { ...this.spec(container), id: endpointId, address, mac, ...(address6 !== '' && { address6 }) }
    const { kept } = await this.options.interfaces.plug(container.sandbox!, network.id, ifname, spec)
    await this.record(container, network, endpoint, spec.name)
    return kept ? 'kept' : 'made'
  }

  private spec(container: NetworkedContainer): Omit<EndpointSpec, 'id'> {
    // Nobody finds the container by a name there.
    return { name: gatewayName(container), names: [], sandbox: container.id, gatewayDns: false }
  }

  private record(
    { id: owner }: NetworkedContainer,
    { id: networkId }: DockerNetwork,
    endpoint: EndpointRecord,
    name: string
  ): Promise<void> {
    const { endpointId: id, address, prefixLength, address6, prefixLength6, mac } = endpoint
    return this.options.networks.addEndpoint({ id, networkId, name, owner, address, prefixLength, address6, prefixLength6, mac })
  }
}
