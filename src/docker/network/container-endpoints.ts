/**
 * Endpoints of running containers: joined, left, found again; and what follows from all of a container's endpoints together:
 * its default route, where it asks for names, which network publishes its ports.
 */

import { ApiError } from '../../api/api-error.ts'
import type { NetworkController } from '../../network/controller.ts'
import type { EndpointSpec } from '../../network/endpoint.ts'
import type { ContainerFiles } from './container-files.ts'
import type { Attachment, EndpointRecord } from './container-networking.ts'
import type { ContainerPorts } from './container-ports.ts'
import { compareDockerNetworks, type DockerNetwork } from './docker-network.ts'
import { checkAddresses, checkedMac, connectError, nameTaken } from './endpoint-checks.ts'
import { type GatewayBridge, needsGatewayBridge, type Plugged } from './gateway-bridge.ts'
import { parseLink } from './legacy-links.ts'
import { endpointLink } from './link-options.ts'
import type { NetworkService } from './network-service.ts'
import type { NetworkedContainer } from './networked-container.ts'
import { BY_DEVICE, type SandboxInterfaces } from './sandbox-interfaces.ts'

export interface ContainerEndpointsOptions {
  readonly networks: NetworkService
  readonly controller: NetworkController
  readonly interfaces: SandboxInterfaces
  readonly files: ContainerFiles
  readonly ports: ContainerPorts
  readonly gatewayBridge: GatewayBridge
  readonly newId: () => string
}

/** What a sandbox was told last. Nothing is known of one that was found again after a restart of the daemon. */
interface Routes {
  /** Interface that the default routes leave by; empty: none. */
  gateway: string | undefined
  hasIpv4: boolean
  hasIpv6: boolean
  /** Interface that 127.0.0.11 is asked through; empty: none. */
  resolver: string | undefined
}

const FRESH: Routes = { gateway: '', hasIpv4: false, hasIpv6: false, resolver: '' }
const UNKNOWN: Routes = { gateway: undefined, hasIpv4: true, hasIpv6: true, resolver: undefined }

const EMPTY = { ifname: '', address: '', prefixLength: 0, gateway: '', address6: '', prefixLength6: 0, gateway6: '', mac: '' }

export class ContainerEndpoints {
  private readonly options: ContainerEndpointsOptions
  private readonly routes = new WeakMap<object, Routes>()

  constructor(options: ContainerEndpointsOptions) {
    this.options = options
  }

  /** A sandbox that was just made. */
  begin(sandbox: object): void {
    this.routes.set(sandbox, { ...FRESH })
  }

  /** The order in which interfaces are numbered, and the way out is chosen. */
  sorted<T extends { readonly network: DockerNetwork }>(plugged: readonly T[]): T[] {
    return [...plugged].sort((a, b) => compareDockerNetworks(a.network, b.network))
  }

  /** The names of the container's next interfaces, one for each network in turn; empty for networks without any. */
  nextInterfaces({ networking }: NetworkedContainer, networks: readonly DockerNetwork[]): string[] {
    const next = { ...networking.nextInterface }
    return networks.map(({ isPlugged, interfacePrefix: prefix }) => {
      if (!isPlugged) return ''
      const number = next[prefix] ?? 0
      next[prefix] = number + 1
      return `${prefix}${number}`
    })
  }

  /** Plugs a running container in. Throws ApiError; nothing is left then. */
  async join(container: NetworkedContainer, attachment: Attachment, network: DockerNetwork, ifname: string): Promise<void> {
    if (network.record.configOnly) throw ApiError.forbidden('cannot create endpoint on configuration-only network')
    if (network.endpointNamed(container.name) !== undefined) throw nameTaken(container.name, network)
    await this.options.networks.ready(network)
    const endpoint = network.isPlugged
      ? await this.plug(container, attachment, network, ifname)
      : { ...EMPTY, endpointId: this.options.newId() }
    attachment.networkId = network.id
    attachment.endpoint = endpoint
    takeNumber(container, network, ifname)
    try {
      await this.record(container, network, endpoint)
      if (network.isPlugged) await this.options.files.addOwnHosts(container, [endpoint.address, endpoint.address6])
    } catch (error) {
      await this.leave(container, attachment, true).catch(() => {}) // the first error says why
      throw error
    }
    this.options.networks.publish(network, 'connect', { container: container.id })
  }

  /** Takes an endpoint away; what has gone already is no error. `inSandbox` false: the sandbox is going anyway. */
  async leave(container: NetworkedContainer, attachment: Attachment, inSandbox: boolean): Promise<void> {
    const { endpoint, networkId } = attachment
    if (endpoint === null) return
    attachment.endpoint = null
    const { interfaces, networks } = this.options
    try {
      if (endpoint.ifname !== '') await interfaces.unplug(inSandbox ? container.sandbox : null, networkId, container.name, endpoint.ifname)
    } finally {
      // An `unclean` end is one all the same: nobody else would give name and address back.
      await networks.removeEndpoint({ networkId, owner: container.id })
    }
  }

  /**
   * After a restart of the daemon: the same endpoint again. 'kept': with the interface as it was recorded; 'made': with a new one;
   * null when its network is gone.
   */
  async rejoin(container: NetworkedContainer, attachment: Attachment): Promise<'kept' | 'made' | null> {
    const { endpoint, networkId } = attachment
    const network = this.options.networks.get(networkId)
    if (endpoint === null || network === undefined) return null
    let kept = true
    if (network.isPlugged) {
      if (network.isOwn && !this.options.controller.networks.has(networkId)) return null
      const { endpointId, address, address6, mac, ifname } = endpoint
      const own = { address, ...(mac !== '' && { mac }), ...(address6 !== '' && { address6 }) }
      const spec = { ...this.spec(container, attachment, network), id: endpointId, ...own }
      if (!(await this.options.networks.readmit(network, spec))) return null
      kept = (await this.options.interfaces.plug(container.sandbox!, networkId, ifname, spec)).kept
    }
    await this.record(container, network, endpoint)
    return kept ? 'kept' : 'made'
  }

  /** Other names, while it runs. */
  async rename(container: NetworkedContainer, oldName: string): Promise<void> {
    for (const attachment of container.networking.attachments) {
      const { endpoint, networkId } = attachment
      const network = this.options.networks.get(networkId)
      if (endpoint === null || network === undefined) continue
      if (network.isPlugged) {
        const { name, names } = this.spec(container, attachment, network)
        await this.options.networks.renameEndpoint(network, endpoint.endpointId, name, names ?? [])
        await this.options.controller.updateEndpoint(networkId, oldName, { name, names })
      }
      await this.record(container, network, endpoint)
    }
  }

  /**
   * What follows from the endpoints that the container has now. Throws ApiError when its ports cannot be published, before
   * anything else is changed.
   */
  async settle(container: NetworkedContainer): Promise<void> {
    const { sandbox, networking } = container
    if (sandbox === null) return
    const plugged = this.sorted(this.plugged(container))
    const { interfaces, files, gatewayBridge } = this.options
    const needsBridge = needsGatewayBridge(plugged)
    const wayOut = needsBridge
      ? await this.joinGatewayBridge(container)
      : plugged.find(({ endpoint }) => endpoint.gateway !== '' || endpoint.byDevice === true)
    await this.options.ports.settle(container, wayOut)
    const told = this.routes.get(sandbox) ?? { ...UNKNOWN }
    this.routes.set(sandbox, told)
    const { ifname = '', gateway = '', gateway6 = '' } = wayOut === undefined ? {} : defaultRoutes(wayOut.endpoint)
    if (told.gateway !== ifname) {
      if (gateway !== '' || told.hasIpv4) await interfaces.routeDefault(sandbox, '0.0.0.0/0', ifname, gateway)
      if (gateway6 !== '' || told.hasIpv6) await interfaces.routeDefault(sandbox, '::/0', ifname, gateway6)
      Object.assign(told, { gateway: ifname, hasIpv4: gateway !== '', hasIpv6: gateway6 !== '' })
    }
    if (!needsBridge) await gatewayBridge.leave(container, true)
    const named = plugged.find(({ network }) => network.isUserDefined)
    if (named !== undefined && !networking.embeddedDns) {
      networking.embeddedDns = true
      await files.embedDns(container)
    }
    if (!networking.embeddedDns) return
    // Without a user-defined network names of the world are still asked there: resolv.conf stays as it is.
    const asked = named ?? plugged[0]
    if (told.resolver === (asked?.endpoint.ifname ?? '')) return
    const device = asked === undefined ? null : { name: asked.endpoint.ifname, address: asked.endpoint.address }
    await interfaces.routeResolver(sandbox, device, told.resolver === '')
    told.resolver = asked?.endpoint.ifname ?? ''
  }

  /** No interface has IPv6 any more. */
  async closeIpv6(container: NetworkedContainer): Promise<void> {
    const hasIpv6 = this.plugged(container).some(({ endpoint }) => endpoint.address6 !== '')
    if (container.sandbox !== null && !hasIpv6) await this.options.interfaces.closeIpv6(container.sandbox)
  }

  private plugged({ networking }: NetworkedContainer): Plugged[] {
    return networking.attachments.flatMap(({ networkId, endpoint }) => {
      const network = this.options.networks.get(networkId)
      return network?.isPlugged === true && endpoint !== null ? [{ network, endpoint }] : []
    })
  }

  private async joinGatewayBridge(container: NetworkedContainer): Promise<Plugged> {
    const { gatewayBridge, networks } = this.options
    const plugged = gatewayBridge.plugged(container)
    if (plugged !== undefined) return plugged
    const network = await networks.gatewayBridge()
    const [ifname] = this.nextInterfaces(container, [network])
    const joined = await gatewayBridge.join(container, ifname!)
    takeNumber(container, network, ifname!)
    return joined
  }

  private async plug(
    container: NetworkedContainer,
    attachment: Attachment,
    network: DockerNetwork,
    ifname: string
  ): Promise<EndpointRecord> {
    checkAddresses(attachment.config)
    const spec = this.spec(container, attachment, network)
    const { IPv4Address, IPv6Address } = attachment.config.IPAMConfig ?? {}
    const wanted = {
      ...spec,
      ...(IPv4Address !== undefined && { address: IPv4Address }),
      ...(IPv6Address !== undefined && network.record.pool6 !== null && { address6: IPv6Address }),
      ...(takesMac(container, network) && { mac: checkedMac(container.config.MacAddress!) })
    }
    const { interfaces, networks } = this.options
    if (network.hasOneMac && wanted.mac !== undefined) {
      throw ApiError.internal('ipvlan interfaces do not support custom mac address assignment')
    }
    try {
      const made = await networks.admit(network, wanted, async (admitted) => {
        const { endpoint } = await interfaces.plug(container.sandbox!, network.id, ifname, admitted)
        for (const { to, via } of network.routesFrom(endpoint.address)) await interfaces.routeDefault(container.sandbox!, to, ifname, via)
        return endpoint
      })
      const { id, address, prefixLength, address6, prefixLength6, mac } = made
      const gateway6 = address6 === '' ? '' : network.gatewayFor(address6)
      const byDevice = network.isPointToPoint && !network.isClosed
      return {
        endpointId: id,
        ifname,
        address,
        prefixLength,
        gateway: network.gatewayFor(address),
        ...(byDevice && { byDevice }),
        address6,
        prefixLength6,
        gateway6,
        // Docker shows none where all have the same.
        mac: network.hasOneMac ? '' : mac
      }
    } catch (error) {
      throw (
        macError(error, container.config.MacAddress, spec.id!, this.options.networks.now()) ?? connectError(error, container.name, network)
      )
    }
  }

  private spec(container: NetworkedContainer, { config }: Attachment, network: DockerNetwork): EndpointSpec {
    const links: Record<string, string> = {}
    for (const text of config.Links ?? []) {
      const link = parseLink(text)
      if (link === undefined) throw ApiError.internal(text === '' ? 'empty string specified for links' : `bad format for links: ${text}`)
      links[link.alias] = link.name
    }
    const link = endpointLink(config.DriverOpts, container.config.Labels, network.name)
    return {
      id: this.options.newId(),
      name: container.name,
      // The default bridge knows no names; what is asked over it goes to the world.
      names: network.isUserDefined ? [container.name, ...(config.Aliases ?? [])] : [],
      links: network.isUserDefined ? links : {},
      sandbox: container.id,
      gatewayDns: false,
      ...(link !== undefined && { link })
    }
  }

  private record(container: NetworkedContainer, network: DockerNetwork, endpoint: EndpointRecord): Promise<void> {
    const { endpointId: id, address, prefixLength, address6, prefixLength6, mac } = endpoint
    const { name, id: owner } = container
    const { networks } = this.options
    const overlay = networks.overlayDetail(network, id)
    const made = { id, networkId: network.id, name, owner, address, prefixLength, address6, prefixLength6, mac }
    return networks.addEndpoint({ ...made, ...(overlay !== undefined && { overlay }) })
  }
}

/** A number is used up when there was such an interface, whatever became of it. */
function takeNumber({ networking }: NetworkedContainer, { interfacePrefix }: DockerNetwork, ifname: string): void {
  if (ifname === '') return
  const number = Number(ifname.slice(interfacePrefix.length))
  networking.nextInterface[interfacePrefix] = Math.max(networking.nextInterface[interfacePrefix] ?? 0, number + 1)
}

/** Next hops as `routeDefault` takes them. */
function defaultRoutes({ ifname, gateway, gateway6, address6, byDevice }: EndpointRecord) {
  if (byDevice !== true) return { ifname, gateway, gateway6 }
  return { ifname, gateway: BY_DEVICE, gateway6: address6 === '' ? '' : BY_DEVICE }
}

/** A MAC of the container's is for the network that it was made with. */
function takesMac({ config, hostConfig }: NetworkedContainer, network: DockerNetwork): boolean {
  const mode = hostConfig.NetworkMode
  return Boolean(config.MacAddress) && (mode === network.name || (mode === 'default' && network.name === 'bridge'))
}

/** What a real daemon answers for a MAC that no interface can have; the name of its veth is drawn. */
function macError(error: unknown, mac: string | undefined, endpointId: string, now: string): ApiError | undefined {
  if ((error as { code?: unknown }).code !== 'EADDRNOTAVAIL' || !mac) return undefined
  const veth = `veth${endpointId.slice(0, 7)}`
  return ApiError.internal(
    'failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during ' +
      'container init: error running hook #0: error running hook: exit status 1, stdout: , stderr: ' +
      `time="${now.slice(0, 19)}Z" level=fatal msg="failed to add interface ${veth} to sandbox: ` +
      `error setting interface \\"${veth}\\" MAC to \\"${mac}\\": cannot assign requested address": unknown`,
    { cause: error }
  )
}
