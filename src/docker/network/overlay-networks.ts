/**
 * Overlay networks: the cluster's networks and endpoints as this Docker host shows them, and the part of them that runs here.
 *
 * The store has the networks; every host shows all of them. Elements of one run on a host only while a container of the host is on
 * it. An endpoint is in the store (its name and address are the container's, over all hosts) before it is plugged in, and is removed
 * from there after it is plugged out.
 */
import { ApiError } from '../../api/api-error.ts'
import type { Cluster } from '../../cluster/cluster.ts'
import { ClusterError, isAway } from '../../cluster/cluster-error.ts'
import type { ClusterEndpoint, ClusterNetwork } from '../../cluster/cluster-records.ts'
import type { ClusterChange } from '../../cluster/cluster-view.ts'
import { IpamError } from '../../ipam/ipam-error.ts'
import type { NetworkController } from '../../network/controller.ts'
import type { OverlayDriver } from '../../network/drivers/overlay-driver.ts'
import type { Endpoint, EndpointSpec } from '../../network/endpoint.ts'
import type { RemoteEndpoint } from '../../network/remote-endpoint.ts'
import { formatMac, macFromIpv4, parseIpv4 } from '../../wire/address.ts'
import { parseCidr } from '../../wire/cidr.ts'
import { VXLAN_PORT } from '../../wire/vxlan.ts'
import { DockerNetwork } from './docker-network.ts'
import { nameTaken } from './endpoint-checks.ts'
import { checkPools, createError, subnetSpecs } from './ipam-request.ts'
import { networkLink } from './link-options.ts'
import { duplicate } from './network-checks.ts'
import type { NetworkEndpoint, OverlayDetail } from './network-record.ts'
import type { RequestedNetwork } from './network-request.ts'
import { checkOverlayOptions, overlaySettings, overlayVnis } from './overlay-options.ts'
import { type NetworkDetail, plainError, recordOf, subnetOf } from './overlay-records.ts'

export interface OverlayNetworksOptions {
  readonly controller: NetworkController
  readonly driver: OverlayDriver
  /** CIDR prefixes that automatic subnets must not share addresses with: a container would not reach those of its host any more. */
  readonly avoid?: () => readonly string[] | Promise<readonly string[]>
  /** Of endpoints that outlived the last daemon (`keptOverlays`): the network runs for them before the store is reached. */
  readonly kept?: readonly OverlayDetail[]
  readonly log: (message: string) => void
}

/** An endpoint of ours that another host removed by force. */
export type Eviction = (networkId: string, endpointId: string) => Promise<void>

export class OverlayNetworks {
  /** Hears of endpoints of ours that another host has removed by force. */
  onEvicted: Eviction = async () => {}
  private readonly options: OverlayNetworksOptions
  private joined: Cluster | null = null
  /** By id, also while the store is away: containers that run are on them. */
  private readonly networks = new Map<string, DockerNetwork>()
  /** Those of `networks` that only the last daemon said so of. */
  private readonly unconfirmed = new Set<string>()
  /** What was said of hosts that none of ours hears. */
  private readonly warnings = new Set<string>()
  /** The end of the line of changes of each network's local part. */
  private readonly lines = new Map<string, Promise<unknown>>()

  constructor(options: OverlayNetworksOptions) {
    this.options = options
  }

  /** `join` gets what hears the cluster's changes. */
  async open(join: (onChange: (change: ClusterChange) => void) => Promise<Cluster>): Promise<void> {
    this.joined = await join((change) => this.changed(change))
    for (const network of this.cluster.networks().values()) this.networkCame(network)
    for (const { network } of this.options.kept ?? []) {
      if (this.networks.has(network.id)) continue
      this.networks.set(network.id, new DockerNetwork(network))
      this.unconfirmed.add(network.id)
    }
    this.tellVteps()
  }

  /** As Docker has it, a host that cannot ask the store shows no network of it. */
  *all(): Iterable<DockerNetwork> {
    if (this.joined?.isAvailable !== true) return
    for (const network of this.networks.values()) if (!this.unconfirmed.has(network.id)) yield network
  }

  get(id: string): DockerNetwork | undefined {
    return this.networks.get(id)
  }

  /** What others have done until now is known then; what the store does not tell is not waited for. */
  async sync(): Promise<void> {
    try {
      await this.joined?.sync()
    } catch (error) {
      if (!isAway(error)) throw error
    }
  }

  /** Throws ApiError. */
  async create(asked: RequestedNetwork, created: string): Promise<DockerNetwork> {
    const { id, name, ipamConfig, ipamConfig6, enableIpv6, options } = asked
    const v6 = enableIpv6 ? ipamConfig6 : []
    checkPools([...ipamConfig, ...v6], name)
    checkOverlayOptions(options, Math.max(1, ipamConfig.length))
    const vnis = overlayVnis(options)
    const subnets = subnetSpecs({ v4: ipamConfig, v6 }).map((subnet, index) => ({
      ...subnet,
      ...(vnis[index] !== undefined && { vni: vnis[index] })
    }))
    const detail: NetworkDetail = { record: { ...asked, created, sequence: 0 } }
    try {
      const avoid = (await this.options.avoid?.()) ?? []
      const network = await this.cluster.createNetwork({ id, name, subnets, detail }, avoid)
      return this.networkCame(network)
    } catch (error) {
      if (error instanceof ClusterError && error.code === 'exists') throw duplicate(name)
      throw createError(plainError(error))
    }
  }

  /** Throws ApiError. */
  async remove(network: DockerNetwork): Promise<void> {
    try {
      await this.cluster.removeNetwork(network.id)
    } catch (error) {
      if (error instanceof ClusterError && error.code === 'conflict') {
        throw ApiError.forbidden(`error while removing network: network ${network.name} id ${network.id} has active endpoints`, {
          cause: error
        })
      }
      if (!(error instanceof ClusterError && error.code === 'not-found')) throw plainError(error)
    }
    this.forget(network.id)
  }

  /** Gets a name and addresses for an endpoint over all hosts, and has it plugged in. Throws ApiError, IpamError and what `plug` throws. */
  async admit(network: DockerNetwork, spec: EndpointSpec, plug: (spec: EndpointSpec) => Promise<Endpoint>): Promise<Endpoint> {
    const { id: networkId } = network
    const id = spec.id!
    const subnet6 = network.record.pool6?.subnet
    const held: { subnet: string; address: string }[] = []
    try {
      const { subnet, address } = await this.requestAddress(network, spec.address)
      held.push({ subnet, address })
      const address6 = subnet6 === undefined ? undefined : await this.cluster.requestAddress(networkId, subnet6, spec.address6)
      if (address6 !== undefined) held.push({ subnet: subnet6!, address: address6 })
      const mac = spec.mac ?? formatMac(macFromIpv4(parseIpv4(address)))
      const admitted = { ...spec, address, mac, ...(address6 !== undefined && { address6 }) }
      const vni = await this.cluster.vni(networkId, subnet)
      const { name, names = [] } = spec
      await this.cluster.addEndpoint({
        id,
        networkId,
        name,
        names,
        address,
        subnet,
        mac,
        ...(address6 !== undefined && { address6, subnet6: subnet6! })
      })
      held.length = 0 // they are the endpoint's
      try {
        return await this.inLine(networkId, async () => {
          await this.begin(network, address, vni)
          return plug(admitted)
        })
      } catch (error) {
        // The first error says why.
        await this.dismiss(networkId, id).catch((left: Error) => this.options.log(`endpoint ${name}: ${left.message}`))
        throw error
      }
    } catch (error) {
      for (const { subnet, address } of held) await this.cluster.releaseAddress(networkId, subnet, address).catch(() => {}) // the first error says why
      throw error instanceof ClusterError && error.code === 'exists' ? nameTaken(spec.name, network, { cause: error }) : plainError(error)
    }
  }

  /**
   * To be asked once an eviction finds the endpoint where it is: one that came since `admit` found nobody, and the address may be
   * somebody else's by now. Throws ApiError; then the caller unplugs it.
   */
  confirm(network: DockerNetwork, id: string, name: string): void {
    if (this.cluster.ownEndpoint(id) !== undefined) return
    throw ApiError.conflict(`endpoint ${name} was removed from network ${network.name} by another host`)
  }

  /** After a restart of the daemon: whether an endpoint is still the container's; then it may be plugged in again. */
  async readmit(network: DockerNetwork, spec: EndpointSpec): Promise<boolean> {
    if (this.cluster.ownEndpoint(spec.id!)?.address !== spec.address) return false
    const vni = await this.vni(network.id, subnetOf(network.record, spec.address))
    await this.inLine(network.id, () => this.begin(network, spec.address!, vni))
    return true
  }

  /** Throws ApiError when another endpoint of the network has the name. */
  async rename(network: DockerNetwork, id: string, name: string, names: readonly string[]): Promise<void> {
    try {
      const endpoint = this.cluster.ownEndpoint(id)
      if (endpoint === undefined) throw new ClusterError('not-found', `endpoint ${name} is not in the cluster`)
      const { hostId: _host, vtep: _vtep, ...spec } = endpoint
      await this.cluster.changeEndpoint({ ...spec, name, names })
    } catch (error) {
      throw error instanceof ClusterError && error.code === 'exists' ? nameTaken(name, network, { cause: error }) : plainError(error)
    }
  }

  /**
   * After an endpoint of ours was plugged out: its name and addresses are free, now or when the store is back. The network may be gone
   * for all hosts already.
   */
  async dismiss(networkId: string, id: string): Promise<void> {
    try {
      await this.inLine(networkId, async () => {
        const { controller, driver } = this.options
        const local = controller.networks.get(networkId)
        if (local?.driver === driver && local.endpoints.size === 0) await controller.removeNetwork(networkId)
      })
    } finally {
      // Also after an `unclean` end. Without the store the cluster remembers to do it.
      await this.removeEndpoint(networkId, id, false).catch((error: Error) => {
        if (!isAway(error.cause)) throw error
      })
      // Nobody would tell that it went: the cluster has not said that it is there.
      if (this.unconfirmed.has(networkId) && !this.options.controller.networks.has(networkId)) this.forget(networkId)
    }
  }

  /** An endpoint that a dead host left, or that a live one is to lose. Throws ApiError. */
  async removeStale(network: DockerNetwork, { id, owner }: NetworkEndpoint): Promise<void> {
    await this.removeEndpoint(network.id, id, true)
    network.endpoints.delete(owner)
  }

  /** What is to be kept of an endpoint of ours that is plugged in. */
  detail({ id: networkId, record }: DockerNetwork, id: string): OverlayDetail | undefined {
    const endpoint = this.cluster.ownEndpoint(id)
    const local = this.options.controller.networks.get(networkId)
    if (endpoint === undefined || local === undefined) return undefined
    const { names, address, subnet, subnet6 } = endpoint
    const vni = this.options.driver.vniOf(local, address)
    return vni === undefined ? undefined : { names, subnet, ...(subnet6 !== undefined && { subnet6 }), vni, network: record }
  }

  /** Also without the store, where an endpoint of ours had it already. Throws ClusterError. */
  private async vni(networkId: string, subnet: string): Promise<number> {
    try {
      return await this.cluster.vni(networkId, subnet)
    } catch (error) {
      const kept = this.options.kept?.find((each) => each.network.id === networkId && each.subnet === subnet)
      if (!isAway(error) || kept === undefined) throw error
      return kept.vni
    }
  }

  /** `wanted`, or the lowest free one of the first subnet that is not full, as libnetwork has it. Throws IpamError and ClusterError. */
  private async requestAddress({ id, record }: DockerNetwork, wanted: string | undefined): Promise<{ subnet: string; address: string }> {
    const subnets = wanted === undefined ? record.subnets!.map(({ subnet }) => subnet) : [subnetOf(record, wanted)]
    for (const [index, subnet] of subnets.entries()) {
      try {
        return { subnet, address: await this.cluster.requestAddress(id, subnet, wanted) }
      } catch (error) {
        const isFull = error instanceof IpamError && error.code === 'IPAM_EXHAUSTED'
        if (!isFull || index === subnets.length - 1) throw error
      }
    }
    throw new Error(`network ${id} has no subnet`)
  }

  private async removeEndpoint(networkId: string, id: string, force: boolean): Promise<void> {
    try {
      await this.cluster.removeEndpoint(networkId, id, force)
    } catch (error) {
      if (!(error instanceof ClusterError && error.code === 'not-found')) throw plainError(error)
    }
  }

  private get cluster(): Cluster {
    if (this.joined === null) throw ApiError.internal('the cluster is not joined yet')
    return this.joined
  }

  /** Makes the network run here, if it does not yet, with the segment of the subnet that the address is of. */
  private async begin(network: DockerNetwork, address: string, vni: number): Promise<void> {
    const { controller, driver } = this.options
    const { id, name, mtu, record } = network
    let local = controller.networks.get(id)
    if (local === undefined) {
      const [first, ...more] = record.subnets ?? []
      const link = networkLink(record)
      local = await controller.createNetwork({
        ...(link !== undefined && { link }),
        id,
        name,
        driver: driver.name,
        internal: record.internal,
        mtu,
        subnet: first!.subnet,
        subnets: more.map(({ subnet }) => ({ subnet })),
        ...(record.pool6 !== null && { subnet6: record.pool6.subnet }),
        driverOptions: overlaySettings(record.options)
      })
      const remotes = Array.from(this.cluster.endpoints(id).values(), (endpoint) => this.remote(endpoint)).filter(
        (remote) => remote !== undefined
      )
      try {
        await controller.updateRemotes(id, remotes, [])
      } catch (error) {
        await controller.removeNetwork(id).catch(() => {}) // the first error says why; the next one makes it whole
        throw error
      }
    }
    driver.setVni(local, address, vni)
  }

  private changed(change: ClusterChange): void {
    if (this.joined === null) return // `open` takes what is there then
    switch (change.kind) {
      case 'network':
        if (change.type === 'removed') this.forget(change.network.id)
        else this.networkCame(change.network)
        break
      case 'endpoint':
        if (change.type === 'evicted') this.evicted(change.endpoint)
        else this.endpointChanged(change.endpoint, change.type === 'removed')
        break
      case 'host':
        this.tellVteps()
        break
    }
  }

  private evicted({ networkId, id, name }: ClusterEndpoint): void {
    this.onEvicted(networkId, id).catch((error: Error) => this.options.log(`endpoint ${name}: ${error.message}`))
  }

  private forget(networkId: string): void {
    this.networks.delete(networkId)
    this.unconfirmed.delete(networkId)
  }

  private networkCame(network: ClusterNetwork): DockerNetwork {
    this.unconfirmed.delete(network.id)
    const known = this.networks.get(network.id)
    if (known !== undefined) return known // only a VNI was added, or the last daemon had it
    const docker = new DockerNetwork(recordOf(network))
    this.networks.set(network.id, docker)
    for (const endpoint of this.joined?.endpoints(network.id).values() ?? []) this.show(docker, endpoint)
    return docker
  }

  private endpointChanged(endpoint: ClusterEndpoint, isGone: boolean): void {
    const { id, networkId } = endpoint
    const network = this.networks.get(networkId)
    if (network === undefined) return
    if (!isGone) this.show(network, endpoint)
    // What is attached here goes when it is plugged out.
    else if (endpoint.hostId !== this.cluster.self.id) network.endpoints.delete(`ep-${id}`)
    const remote = isGone ? undefined : this.remote(endpoint)
    this.inLine(networkId, async () => {
      const { controller } = this.options
      if (!controller.networks.has(networkId)) return
      await controller.updateRemotes(networkId, remote === undefined ? [] : [remote], remote === undefined ? [id] : [])
    }).catch((error: Error) => this.options.log(`network ${network.name}: endpoint ${id} of another host: ${error.message}`))
  }

  /** Endpoints of other hosts are shown by their own id: their containers are not known here. */
  private show({ endpoints, record }: DockerNetwork, endpoint: ClusterEndpoint): void {
    if (endpoint.hostId === this.joined?.self.id) return
    const { id, networkId, name, address, subnet, address6 = '', mac } = endpoint
    const owner = `ep-${id}`
    const prefixLength6 = address6 === '' ? 0 : parseCidr(record.pool6?.subnet ?? '::/64').length
    endpoints.set(owner, { id, networkId, name, owner, address, prefixLength: parseCidr(subnet).length, address6, prefixLength6, mac })
  }

  /** undefined: one of ours, or of a host that is away, which keeps its name and address but is not found. */
  private remote({ id, hostId, names, address, address6 = '', mac, vtep, isAlive }: ClusterEndpoint): RemoteEndpoint | undefined {
    return isAlive && hostId !== this.cluster.self.id ? { id, names, address, address6, mac, vtep } : undefined
  }

  private tellVteps(): void {
    const { controller, driver, log } = this.options
    const others = [...(this.joined?.hosts().values() ?? [])].filter(({ id }) => id !== this.joined!.self.id)
    for (const { name, address, vxlanPort = VXLAN_PORT } of others) {
      if (vxlanPort === driver.udpPort) continue
      const own = `this one UDP ${driver.udpPort}: nothing passes between them; give all daemons the same --overlay-port`
      this.warn(`host ${name} (${address}) uses UDP ${vxlanPort} for overlay networks, ${own}`)
    }
    controller
      .update(driver.setVteps(others.map(({ address }) => address)))
      .catch((error: Error) => log(`VTEPs of other hosts: ${error.message}`))
  }

  private warn(message: string): void {
    if (this.warnings.has(message)) return
    this.warnings.add(message)
    this.options.log(message)
  }

  private inLine<T>(networkId: string, work: () => Promise<T>): Promise<T> {
    const result = (this.lines.get(networkId) ?? Promise.resolve()).then(work)
    const end = result.catch(() => {})
    this.lines.set(networkId, end)
    end.then(() => this.lines.get(networkId) === end && this.lines.delete(networkId))
    return result
  }
}
