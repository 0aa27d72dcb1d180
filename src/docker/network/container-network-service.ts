/**
 * What containers have to do with networks: Docker's rules from create to remove. Every method throws ApiError with Docker's text.
 *
 * The caller holds the container's lock. `start` and `stop` leave saving the container's record to it; what changes a running
 * container (`connect`, `disconnect`, `renamed`) saves it before it resolves.
 */

import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { ApiError } from '../../api/api-error.ts'
import type { EndpointConfig, EndpointSettings, InterfaceCounters, NetworkSettings, PortSummary } from '../../api/network-json.ts'
import type { DnsServer } from '../../dns/upstream.ts'
import type { Random } from '../../engine/index.ts'
import type { NetworkController } from '../../network/controller.ts'
import { NetworkError } from '../../network/network-error.ts'
import type { SandboxNetwork } from '../../sandbox/sandbox-options.ts'
import { newDockerId, shortId } from '../docker-id.ts'
import { ContainerConnections } from './container-connections.ts'
import { ContainerEndpoints } from './container-endpoints.ts'
import { ContainerFiles, HOST_FILES, type HostFiles } from './container-files.ts'
import { ContainerLinks } from './container-links.ts'
import { type Attachment, emptyNetworking } from './container-networking.ts'
import { ContainerPorts } from './container-ports.ts'
import { BRIDGE, type DockerNetwork } from './docker-network.ts'
import { attachmentConfig, completeConfig } from './endpoint-checks.ts'
import { GatewayBridge } from './gateway-bridge.ts'
import { type PortProbe, probeHostPort } from './host-ports.ts'
import type { HostsLine } from './hosts-file.ts'
import { checkLinkLabels } from './link-options.ts'
import type { NetworkService } from './network-service.ts'
import { listedNetworks, networkSettings } from './network-settings.ts'
import type { ContainerLookup, NetworkedContainer } from './networked-container.ts'
import { checkNetworking, type NetworkingRequest, sharedContainer } from './networking-checks.ts'
import { PortAllocator } from './port-allocator.ts'
import { PortPublisher, portSummaries } from './port-publisher.ts'
import { upstreamServers } from './resolv-conf-file.ts'
import { SandboxInterfaces } from './sandbox-interfaces.ts'

export type { NetworkingRequest } from './networking-checks.ts'

export interface ContainerNetworkServiceOptions {
  readonly networks: NetworkService
  readonly controller: NetworkController
  readonly containers: ContainerLookup
  readonly random: Random
  /** The host's files; default /etc. */
  readonly hostFiles?: HostFiles
  /** Default: asks the kernel. */
  readonly probe?: PortProbe
  /** Default: TAPs in the container's sandbox. */
  readonly interfaces?: SandboxInterfaces
  readonly log: (message: string) => void
}

export class ContainerNetworkService {
  private readonly options: ContainerNetworkServiceOptions
  private readonly endpoints: ContainerEndpoints
  private readonly interfaces: SandboxInterfaces
  private readonly files: ContainerFiles
  private readonly links: ContainerLinks
  private readonly containerPorts: ContainerPorts
  private readonly gatewayBridge: GatewayBridge
  private readonly connections: ContainerConnections

  constructor(options: ContainerNetworkServiceOptions) {
    const { networks, controller, random, probe = probeHostPort } = options
    this.options = options
    this.interfaces = options.interfaces ?? new SandboxInterfaces(controller)
    this.files = new ContainerFiles(options.hostFiles)
    this.links = new ContainerLinks(options.containers, this.files)
    const publisher = new PortPublisher(new PortAllocator(), probe)
    this.containerPorts = new ContainerPorts({ networks, controller, publisher, log: options.log })
    const { interfaces, files, containerPorts: ports } = this
    const newId = (): string => newDockerId(random)
    this.gatewayBridge = new GatewayBridge({ networks, interfaces, newId })
    const { gatewayBridge } = this
    this.endpoints = new ContainerEndpoints({ networks, controller, interfaces, files, ports, gatewayBridge, newId })
    const { endpoints } = this
    const openLinked = (container: NetworkedContainer): Promise<void> => this.openLinked(container)
    this.connections = new ContainerConnections({
      networks,
      containers: options.containers,
      endpoints,
      files,
      openLinked,
      log: options.log
    })
  }

  /**
   * At create: checks the request as it came, and fills the container's networking, mode, host name and links. Returns warnings.
   */
  prepare(container: NetworkedContainer, request: NetworkingRequest): string[] {
    const warnings = checkNetworking(request)
    const { config, hostConfig } = container
    checkLinkLabels(config.Labels)
    hostConfig.NetworkMode ||= 'default'
    const mode = hostConfig.NetworkMode
    if (config.Hostname === '') config.Hostname = mode === 'host' ? hostname() : shortId(container.id)
    container.networking = emptyNetworking()
    const shared = sharedContainer(mode)
    if (shared !== undefined) {
      const target = this.container(shared)
      if (target !== undefined) hostConfig.NetworkMode = `container:${target.id}`
      return warnings
    }
    const asked = Object.entries(request.NetworkingConfig?.EndpointsConfig ?? {})
    const wanted = asked.length > 0 ? asked : [[mode, null] as const]
    container.networking.attachments = wanted.map(([name, wish]) => ({
      network: this.networkName(name),
      networkId: '',
      config: attachmentConfig(wish),
      endpoint: null
    }))
    if (!isUserDefined(mode)) this.links.prepare(container)
    else hostConfig.Links = null // they are the endpoint's, which resolves them as names
    return warnings
  }

  /** At start: whose network namespace. For container:X also takes X's host name. */
  sandboxNetwork(container: NetworkedContainer): SandboxNetwork {
    const { NetworkMode } = container.hostConfig
    if (NetworkMode === 'host') return 'host'
    const target = this.target(container)
    if (target === undefined) return 'own'
    container.config.Hostname = target.config.Hostname
    container.config.Domainname = target.config.Domainname
    return { pid: target.sandbox!.pid }
  }

  /** hosts, hostname and resolv.conf into the container's directory, before the sandbox is made. */
  async writeFiles(container: NetworkedContainer): Promise<void> {
    const target = this.target(container)
    if (target !== undefined) return this.files.share(container, target)
    const networks = container.networking.attachments.flatMap(({ network }) => this.options.networks.known(network) ?? [])
    const hasIpv6 = networks.some(({ record }) => record.pool6 !== null)
    await this.files.write(container, [...this.extraHosts(container), ...this.links.hosts(container)], hasIpv6)
  }

  /** After the sandbox is made, before its process: everything plugged in. On failure everything is undone. */
  async start(container: NetworkedContainer): Promise<{ environment: string[] }> {
    const { networking, hostConfig, sandbox } = container
    if (sharedContainer(hostConfig.NetworkMode) !== undefined) return { environment: [] }
    const sandboxKey = sandbox === null ? '' : `/proc/${sandbox.shimPid}/ns/net`
    Object.assign(networking, { sandboxId: newDockerId(this.options.random), sandboxKey, nextInterface: {}, embeddedDns: false })
    if (sandbox !== null) this.endpoints.begin(sandbox)
    try {
      await this.options.networks.sync()
      if (hostConfig.NetworkMode !== 'host') await this.interfaces.prepare(sandbox!)
      const joins = inJoinOrder(networking.attachments).map((attachment) => ({ attachment, network: this.networkOf(attachment) }))
      const sorted = this.endpoints.sorted(joins).map(({ network }) => network)
      const names = this.endpoints.nextInterfaces(container, sorted)
      for (const { attachment, network } of joins) {
        attachment.network = network.name
        completeConfig(container, network, attachment.config)
        await this.endpoints.join(container, attachment, network, names[sorted.indexOf(network)]!)
        this.options.networks.confirm(network, attachment.endpoint!.endpointId, container.name)
      }
      await this.endpoints.settle(container)
      const environment = this.links.environment(container)
      await this.links.tellParents(container)
      await this.openLinked(container)
      return { environment }
    } catch (error) {
      // The first error says why.
      await this.stop(container).catch((left: Error) => this.options.log(`container ${container.name}: ${left.message}`))
      throw error
    }
  }

  /** The process is gone: endpoints and ports are given back, all that can be; then the first failure is thrown. */
  async stop(container: NetworkedContainer): Promise<void> {
    const errors: unknown[] = []
    const attempt = (work: Promise<void>): Promise<unknown> => work.catch((error: unknown) => errors.push(error))
    await attempt(this.containerPorts.release(container))
    for (const attachment of container.networking.attachments) {
      const network = this.options.networks.get(attachment.networkId)
      const wasPlugged = attachment.endpoint !== null
      await attempt(this.endpoints.leave(container, attachment, false))
      if (wasPlugged && network !== undefined) this.options.networks.publish(network, 'disconnect', { container: container.id })
    }
    await attempt(this.openLinked(container))
    await attempt(this.gatewayBridge.leave(container, false))
    if (errors.length > 0) throw errors[0]
  }

  /**
   * After a restart of the daemon, with the sandbox reconnected: the same endpoints again. What a killed daemon was changing shows in
   * the sandbox: connecting begins with a new interface, disconnecting with the end of one. When there is neither, the routes are
   * what follows from the record, and nothing in the sandbox is touched.
   */
  async restore(container: NetworkedContainer): Promise<void> {
    const { networking, sandbox } = container
    for (const attachment of networking.attachments) {
      if (attachment.endpoint === null) continue
      const found = await this.endpoints.rejoin(container, attachment)
      if (found !== null) continue
      this.options.log(`container ${container.name}: network ${attachment.network} is gone`)
      attachment.endpoint = null
    }
    await this.gatewayBridge.rejoin(container)
    await this.containerPorts.restore(container)
    await this.openLinked(container)
    if (sandbox === null || !hasOwnInterfaces(container)) return
    const known = [...networking.attachments, networking.gateway].flatMap((attached) => attached?.endpoint?.ifname ?? [])
    const prefixes = new Set(Array.from(this.options.networks.all(), ({ interfacePrefix }) => interfacePrefix))
    await this.interfaces.removeStrangers(sandbox, [...prefixes], known)
    // Also where all is as recorded: a daemon that died between taking an interface away and this left no way to the names.
    await this.endpoints.settle(container)
  }

  async remove(container: NetworkedContainer): Promise<void> {
    await this.stop(container)
  }

  /** After the container got its new name. */
  async renamed(container: NetworkedContainer, oldName: string): Promise<void> {
    await this.endpoints.rename(container, oldName)
    this.links.renamed(container)
    await container.save()
  }

  /** For inspect. */
  settings(container: NetworkedContainer): NetworkSettings {
    return networkSettings(container)
  }

  /** For the list. */
  ports(container: NetworkedContainer): PortSummary[] {
    return portSummaries(container.networking.ports)
  }

  /** For the list. */
  networks(container: NetworkedContainer): Record<string, EndpointSettings> {
    return listedNetworks(container)
  }

  connect(container: NetworkedContainer, reference: string, wish: EndpointConfig | null): Promise<void> {
    return this.connections.connect(container, reference, wish)
  }

  disconnect(container: NetworkedContainer, reference: string, force: boolean): Promise<void> {
    return this.connections.disconnect(container, reference, force)
  }

  /** Another host removed an endpoint by force: its name and address are, or may be, somebody else's. The container has to let go. */
  evict(networkId: string, endpointId: string): Promise<void> {
    return this.connections.evict(networkId, endpointId)
  }

  /** By interface, as the container sees it: what it received is what the network sent to it. */
  counters(container: NetworkedContainer): Record<string, InterfaceCounters> {
    const result: Record<string, InterfaceCounters> = {}
    const { attachments } = container.networking
    const plugged = attachments.map(({ networkId, endpoint }) => ({ networkId, endpoint, name: container.name }))
    const gateway = this.gatewayBridge.plugged(container)
    if (gateway !== undefined) plugged.push({ networkId: gateway.network.id, endpoint: gateway.endpoint, name: gateway.name })
    for (const { networkId, endpoint, name } of plugged) {
      const counted = endpoint === null ? undefined : this.interfaces.counters(networkId, name)
      if (counted === undefined) continue
      const { rxFrames = 0, rxBytes = 0, txFrames = 0, txBytes = 0 } = counted.counters
      const lost = Object.values(counted.drops).reduce((sum, count) => sum + count, 0)
      result[endpoint!.ifname] = {
        rx_bytes: txBytes,
        rx_packets: txFrames,
        rx_errors: 0,
        rx_dropped: lost,
        tx_bytes: rxBytes,
        tx_packets: rxFrames,
        tx_errors: 0,
        tx_dropped: 0
      }
    }
    return result
  }

  /** The servers that the names of one container's queries (`ForwardRequest.sandbox`) are asked of; undefined: the host's. */
  upstream(sandbox: string): readonly DnsServer[] | undefined {
    const container = this.container(sandbox)
    if (container === undefined) return undefined
    const { hostConfig } = container
    const needsHost = (hostConfig.Dns?.length ?? 0) === 0
    const { resolvConf } = this.options.hostFiles ?? HOST_FILES
    return upstreamServers(needsHost ? readText(resolvConf) : '', hostConfig)?.map((address) => ({ address }))
  }

  /**
   * Where containers of the default bridge may not talk with each other, links open single ports: told to both ends, whenever one of
   * them comes or goes.
   */
  private async openLinked(container: NetworkedContainer): Promise<void> {
    const network = this.options.networks.known(BRIDGE)
    if (network === undefined || network.icc) return
    const { controller } = this.options
    for (const end of [container, ...this.links.counterparts(container)]) {
      if (controller.networks.get(network.id)?.endpoints.has(end.name) !== true) continue
      await controller.updateEndpoint(network.id, end.name, { allow: this.links.openings(end) }).catch((error: unknown) => {
        // It stopped meanwhile.
        if (!(error instanceof NetworkError) || error.code !== 'not-found') throw error
      })
    }
  }

  private container(reference: string): NetworkedContainer | undefined {
    try {
      return this.options.containers.find(reference)
    } catch {
      return undefined
    }
  }

  /** The container whose network is shared, or undefined in other modes. Throws ApiError when it does not run. */
  private target(container: NetworkedContainer): NetworkedContainer | undefined {
    const shared = sharedContainer(container.hostConfig.NetworkMode)
    if (shared === undefined) return undefined
    const target = this.options.containers.find(shared)
    if (target.id === container.id) throw ApiError.internal('cannot join own network')
    if (!target.state.Running || target.sandbox === null) {
      throw ApiError.conflict(`cannot join network of a non running container: ${shared}`)
    }
    return target
  }

  private networkName(mode: string): string {
    return mode === 'default' ? BRIDGE : (this.options.networks.known(mode)?.name ?? mode)
  }

  /** Once found, a user-defined network is known by its id: another one that takes its name is another network. */
  private networkOf({ network, networkId }: Attachment): DockerNetwork {
    return this.options.networks.find(networkId !== '' && isUserDefined(network) ? networkId : network)
  }

  private extraHosts({ hostConfig }: NetworkedContainer): HostsLine[] {
    return (hostConfig.ExtraHosts ?? []).map((entry) => {
      const colon = entry.indexOf(':')
      const address = entry.slice(colon + 1)
      return { address: address === 'host-gateway' ? this.hostGateway() : address, names: entry.slice(0, colon) }
    })
  }

  private hostGateway(): string {
    return this.options.networks.find(BRIDGE).record.pool?.gateway ?? ''
  }
}

/** The default bridge first, as Docker has it for the sake of links; then as the user asked for them. */
function inJoinOrder(attachments: readonly Attachment[]): Attachment[] {
  return [...attachments.filter(({ network }) => network === BRIDGE), ...attachments.filter(({ network }) => network !== BRIDGE)]
}

/** In the namespace of the host or of another container no interface is its own. */
function hasOwnInterfaces({ hostConfig: { NetworkMode } }: NetworkedContainer): boolean {
  return NetworkMode !== 'host' && sharedContainer(NetworkMode) === undefined
}

function isUserDefined(mode: string): boolean {
  return !['default', BRIDGE, 'host', 'none'].includes(mode) && sharedContainer(mode) === undefined
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
