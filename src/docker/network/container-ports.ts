/**
 * A container's published ports: which network's business they are, and what stands behind them at the gateway.
 */
import { isIPv6 } from 'node:net'
import { ApiError } from '../../api/api-error.ts'
import type { NetworkController } from '../../network/controller.ts'
import { type UplinkPort, UplinkPortError } from '../../network/uplink.ts'
import type { EndpointRecord } from './container-networking.ts'
import type { DockerNetwork } from './docker-network.ts'
import type { NetworkService } from './network-service.ts'
import type { NetworkedContainer } from './networked-container.ts'
import { listenText, type PortPublisher } from './port-publisher.ts'
import { parsePortSpec } from './port-spec.ts'

export interface ContainerPortsOptions {
  readonly networks: NetworkService
  readonly controller: NetworkController
  readonly publisher: PortPublisher
  readonly log: (message: string) => void
}

/** The network that a container goes out by, and its endpoint there. */
interface WayOut {
  readonly network: DockerNetwork
  readonly endpoint: EndpointRecord
}

export class ContainerPorts {
  private readonly options: ContainerPortsOptions
  /** Sandboxes of whose ports that are not published the operator knows. */
  private readonly warned = new WeakSet<object>()

  constructor(options: ContainerPortsOptions) {
    this.options = options
  }

  /** Ports are the business of the network that is the way out. Throws ApiError; the container has none then. */
  async settle(container: NetworkedContainer, wayOut: WayOut | undefined): Promise<void> {
    const { networking } = container
    const network = wayOut?.network.record.internal === false && !wayOut.network.isParented ? wayOut.network : undefined
    if (wayOut?.network.isParented === true) this.warn(container, wayOut.network)
    if (networking.portsNetworkId === (network?.id ?? '')) return
    await this.release(container)
    if (network === undefined) return
    const { endpoint } = wayOut!
    try {
      await this.take(container, network, endpoint)
    } catch (error) {
      throw ApiError.internal(
        `driver failed programming external connectivity on endpoint ${container.name} (${endpoint.endpointId}): ${(error as Error).message}`,
        { cause: error }
      )
    }
  }

  async release(container: NetworkedContainer): Promise<void> {
    const { networking } = container
    try {
      await this.options.controller.unpublish(portsBehind(container, null).map(({ key }) => key))
    } finally {
      // Whatever the host says: nobody would give them back later.
      this.options.publisher.release(networking.ports)
      networking.ports = {}
      networking.portsNetworkId = ''
    }
  }

  /** After the daemon's start: what a container that runs has. A port that somebody took meanwhile is told, and does not answer. */
  async restore(container: NetworkedContainer): Promise<void> {
    const { networking } = container
    this.options.publisher.restore(networking.ports)
    const attachment = [...networking.attachments, networking.gateway].find((each) => each?.networkId === networking.portsNetworkId)
    if (attachment?.endpoint == null || !this.options.controller.hasGateway) return
    for (const port of portsBehind(container, attachment.endpoint)) {
      try {
        await this.options.controller.publish([port])
      } catch (error) {
        this.options.log(`container ${container.name}: ${(error as Error).message}`)
      }
    }
  }

  private async take(container: NetworkedContainer, network: DockerNetwork, endpoint: EndpointRecord): Promise<void> {
    const { publisher, controller } = this.options
    const { networking } = container
    const ports = await publisher.publish(container, {
      hostBinding: network.hostBinding,
      isGateway: (address) => this.isGateway(address)
    })
    Object.assign(networking, { ports, portsNetworkId: network.id })
    if (!controller.hasGateway) return
    try {
      checkProtocols(container)
      await controller.publish(portsBehind(container, endpoint))
    } catch (error) {
      publisher.release(ports)
      Object.assign(networking, { ports: {}, portsNetworkId: '' })
      throw error instanceof UplinkPortError ? new Error(listenText(error.port, error.errno), { cause: error }) : error
    }
  }

  /** Once a start. Docker ignores them without a word. */
  private warn({ name, sandbox, hostConfig }: NetworkedContainer, network: DockerNetwork): void {
    const bindings = Object.keys(hostConfig.PortBindings ?? {})
    if (sandbox === null || bindings.length === 0 || this.warned.has(sandbox)) return
    this.warned.add(sandbox)
    const { driver } = network.record
    this.options.log(
      `container ${name}: ports are not published on network ${network.name} (${driver}), where it is reached directly: ${bindings.join(', ')}`
    )
  }

  private isGateway(address: string): boolean {
    for (const { record } of this.options.networks.all())
      if (record.pool?.gateway === address || record.pool6?.gateway === address) return true
    return false
  }
}

/** What is to be opened for a container's bindings; without an endpoint only the keys count. */
function portsBehind({ id, networking }: NetworkedContainer, endpoint: EndpointRecord | null): UplinkPort[] {
  const { ports, portsNetworkId: network } = networking
  return Object.entries(ports).flatMap(([spec, bindings]) => {
    const [protocol, number] = parsePortSpec(spec)
    return (bindings ?? []).map(({ HostIp: address, HostPort }) => ({
      key: `${id}/${spec}/${address}/${HostPort}`,
      protocol: protocol as UplinkPort['protocol'],
      address,
      port: Number(HostPort),
      target: targetOf(address, endpoint),
      targetPort: Number(number),
      network
    }))
  })
}

/** A container without IPv6 is reached by IPv4 all the same, through a socket of the host. */
function targetOf(address: string, endpoint: EndpointRecord | null): string {
  if (endpoint === null) return ''
  return isIPv6(address) && endpoint.address6 !== '' ? endpoint.address6 : endpoint.address
}

/** In the words of a daemon on a kernel without SCTP. */
function checkProtocols({ networking }: NetworkedContainer): void {
  for (const [spec, bindings] of Object.entries(networking.ports)) {
    const [protocol] = parsePortSpec(spec)
    const isPublished = bindings !== null && bindings.length > 0
    if (isPublished && protocol !== 'tcp' && protocol !== 'udp') throw new Error('Error starting userland proxy: protocol not supported')
  }
}
