/**
 * Docker's networks: what there is, who is on it, and how it comes and goes. Every method throws ApiError with Docker's text.
 *
 * Creating and removing go one after the other: two requests for one name must not both find it free.
 */
import { isDeepStrictEqual } from 'node:util'
import { ApiError } from '../../api/api-error.ts'
import type { Filters } from '../../api/filters.ts'
import type { NetworkCreateRequest, NetworkResource } from '../../api/network-json.ts'
import type { Clock, Random } from '../../engine/index.ts'
import type { NetworkController } from '../../network/controller.ts'
import type { Endpoint, EndpointSpec } from '../../network/endpoint.ts'
import type { Store } from '../../store/store.ts'
import { newDockerId } from '../docker-id.ts'
import type { EventLog } from '../event-log.ts'
import { goTime, parseGoTime, parseUntil, wallTime } from '../go-time.ts'
import { BridgeNetworks } from './bridge-networks.ts'
import { BRIDGE, DockerNetwork, GATEWAY_BRIDGE, isPredefined } from './docker-network.ts'
import { findNetwork } from './find-network.ts'
import { gatewayBridgeRequest } from './gateway-bridge.ts'
import { networkLink } from './link-options.ts'
import { checkIpamDriver, checkName, duplicate, NO_SWARM } from './network-checks.ts'
import { endpointKey, type NetworkEndpoint, type NetworkRecord, networkKey } from './network-record.ts'
import { networkRequest, type RequestedNetwork } from './network-request.ts'
import { networkResource } from './network-resource.ts'
import type { OverlayNetworks } from './overlay-networks.ts'
import { ParentNetworks } from './parent-networks.ts'
import { defaultBridgeOptions, predefinedNetworks } from './predefined-networks.ts'

export interface NetworkServiceOptions {
  readonly store: Store
  readonly controller: NetworkController
  readonly events: EventLog
  readonly clock: Clock
  /** Draws ids. */
  readonly random: Random
  /** For what nobody asked for but an operator should read. */
  readonly log: (message: string) => void
  /** Inter-container communication on the default bridge; default true. */
  readonly icc?: boolean
  /** Where this host is one of a cluster. */
  readonly overlays?: OverlayNetworks
}

const LIST_FILTERS = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']
const PRUNE_FILTERS = ['label', 'label!', 'until']

export class NetworkService {
  private readonly options: NetworkServiceOptions
  /** By id, in the order of their creation. */
  private readonly networks = new Map<string, DockerNetwork>()
  private readonly bridges: BridgeNetworks
  private readonly parented: ParentNetworks
  private sequence = 0
  private last: Promise<unknown> = Promise.resolve()
  private pruning = false

  private constructor(options: NetworkServiceOptions) {
    this.options = options
    this.parented = new ParentNetworks(options.controller)
    this.bridges = new BridgeNetworks(options.controller, () => this.all(), options.log)
  }

  /** With every network of the store, and the daemon's own where they are missing. */
  static async open(options: NetworkServiceOptions): Promise<NetworkService> {
    const service = new NetworkService(options)
    const records = Array.from(options.store.list<NetworkRecord>('network/'), ([, record]) => record)
    for (const record of records.sort((a, b) => a.sequence - b.sequence)) await service.restore(record)
    await service.addPredefined()
    return service
  }

  /** Those that can be asked for: the cluster's are not among them while its store is away. */
  *all(): Iterable<DockerNetwork> {
    yield* this.networks.values()
    if (this.options.overlays !== undefined) yield* this.options.overlays.all()
  }

  get(id: string): DockerNetwork | undefined {
    return this.networks.get(id) ?? this.options.overlays?.get(id)
  }

  /** What other hosts of the cluster have done until now is known then. */
  async sync(): Promise<void> {
    await this.options.overlays?.sync()
  }

  /** By id, name or prefix of an id. Throws ApiError 404 `network X not found`, 400 when several fit. */
  find(reference: string): DockerNetwork {
    return this.networks.get(reference) ?? findNetwork(this.all(), reference)
  }

  /** The same; undefined where that throws. */
  known(reference: string): DockerNetwork | undefined {
    try {
      return this.find(reference)
    } catch {
      return undefined
    }
  }

  list(filters: Filters): NetworkResource[] {
    filters.check(LIST_FILTERS)
    const dangling = filters.has('dangling') ? filters.boolean('dangling') : undefined
    for (const type of filters.get('type')) {
      if (type !== 'builtin' && type !== 'custom') throw ApiError.internal(`invalid filter: 'type'='${type}'`)
    }
    const shown = [...this.all()].filter(
      ({ record, scope, isUserDefined }) =>
        filters.matchExactly('driver', record.driver) &&
        filters.match('name', record.name) &&
        filters.match('id', record.id) &&
        filters.matchLabels(record.labels) &&
        filters.matchExactly('scope', scope) &&
        filters.matchExactly('type', isUserDefined ? 'custom' : 'builtin') &&
        // The daemon does not look at the containers when it lists: every network of a user's counts as dangling.
        (dangling === undefined || dangling === isUserDefined)
    )
    return shown.map((network) => networkResource(network, false))
  }

  /** `scope` '' for any. */
  inspect(reference: string, scope = ''): NetworkResource {
    const candidates = [...this.all()].filter((network) => scope === '' || scope === network.scope)
    return networkResource(findNetwork(candidates, reference, 'inspect'), true)
  }

  create(request: NetworkCreateRequest): Promise<{ Id: string; Warning: string }> {
    return this.exclusive(async () => {
      const name = request.Name ?? ''
      const checkDuplicate = request.CheckDuplicate === true
      checkName(name, checkDuplicate)
      const namesake = [...this.all()].find((network) => network.name === name)
      if (namesake !== undefined && checkDuplicate) throw duplicate(name)
      const warning = namesake === undefined ? '' : `Network with name ${name} (id : ${namesake.id}) already exists`
      const network = await this.add(networkRequest(request, newDockerId(this.options.random), this.all()), request.Scope ?? '')
      this.publish(network, 'create')
      return { Id: network.id, Warning: warning }
    })
  }

  remove(reference: string): Promise<void> {
    return this.exclusive(() => this.delete(findNetwork(this.all(), reference, 'remove')))
  }

  async prune(filters: Filters): Promise<{ NetworksDeleted: string[] | null }> {
    filters.check(PRUNE_FILTERS)
    const until = this.until(filters)
    if (this.pruning) throw ApiError.conflict('a prune operation is already running')
    this.pruning = true
    try {
      const deleted: string[] = []
      for (const network of [...this.all()]) {
        const { record } = network
        if (!network.isUserDefined || record.configOnly || (until !== undefined && parseGoTime(record.created) >= until)) continue
        if (!filters.matchLabels(record.labels)) continue
        if (filters.has('label!') && filters.matchLabels(record.labels, 'label!')) continue
        const isDeleted = await this.exclusive(async () => {
          if (network.endpoints.size > 0 || this.get(network.id) === undefined) return false
          await this.delete(network)
          return true
        })
        if (isDeleted) deleted.push(network.name)
      }
      this.options.events.publish('network', 'prune', { id: '', attributes: { reclaimed: '0' } })
      return { NetworksDeleted: deleted.length > 0 ? deleted : null }
    } finally {
      this.pruning = false
    }
  }

  /** Before somebody is to be on it: a network that could not be made at the daemon's start is tried again. Rejects with the reason. */
  async ready(network: DockerNetwork): Promise<void> {
    if (!network.isOwn || this.isPlugged(network)) return
    await this.exclusive(async () => {
      if (this.networks.has(network.id) && !this.isPlugged(network)) await this.remake(network)
    })
  }

  /** Keeps a record of an endpoint that is plugged in. Resolves when a crash cannot undo it. */
  async addEndpoint(endpoint: NetworkEndpoint): Promise<void> {
    this.get(endpoint.networkId)?.endpoints.set(endpoint.owner, endpoint)
    const key = endpointKey(endpoint)
    if (isDeepStrictEqual(this.options.store.get(key), endpoint)) return // found again after a restart
    await this.options.store.write([{ put: key, value: endpoint }])
  }

  async removeEndpoint(endpoint: Pick<NetworkEndpoint, 'networkId' | 'owner'>): Promise<void> {
    const { networkId, owner } = endpoint
    const key = endpointKey(endpoint)
    const network = this.get(networkId)
    // An overlay can be gone while its part here still runs: who evicts the last endpoint may remove the network at once.
    const left = network === undefined ? this.options.store.get<NetworkEndpoint>(key) : network.endpoints.get(owner)
    network?.endpoints.delete(owner)
    try {
      await this.options.store.write([{ remove: key }])
    } finally {
      // Also when the record is left, which the next daemon removes: the other hosts are to hear of it now.
      if (left !== undefined && network?.isOverlay !== false) await this.options.overlays?.dismiss(networkId, left.id)
    }
  }

  /** An endpoint whose container is not of this daemon. Throws ApiError. */
  async removeStale(network: DockerNetwork, endpoint: NetworkEndpoint): Promise<void> {
    if (network.isOverlay) await this.options.overlays!.removeStale(network, endpoint)
    else await this.removeEndpoint(endpoint)
  }

  /** Has an endpoint plugged in, with a name and addresses that nobody else has on any host. Throws ApiError and what `plug` throws. */
  admit(network: DockerNetwork, spec: EndpointSpec, plug: (spec: EndpointSpec) => Promise<Endpoint>): Promise<Endpoint> {
    return network.isOverlay ? this.options.overlays!.admit(network, spec, plug) : plug(spec)
  }

  /** Once `evict` would find an admitted endpoint: throws ApiError when it came too early for that. The caller unplugs it then. */
  confirm(network: DockerNetwork, id: string, name: string): void {
    if (network.isOverlay) this.options.overlays!.confirm(network, id, name)
  }

  /** After a restart of the daemon: false when the endpoint is not the container's any more. */
  async readmit(network: DockerNetwork, spec: EndpointSpec): Promise<boolean> {
    return !network.isOverlay || (await this.options.overlays!.readmit(network, spec))
  }

  /** Before an endpoint gets another name. Throws ApiError when one of any host has it. */
  async renameEndpoint(network: DockerNetwork, id: string, name: string, names: readonly string[]): Promise<void> {
    if (network.isOverlay) await this.options.overlays!.rename(network, id, name, names)
  }

  /** What is kept of an endpoint on an overlay, for the next daemon. */
  overlayDetail(network: DockerNetwork, id: string): NetworkEndpoint['overlay'] {
    return network.isOverlay ? this.options.overlays!.detail(network, id) : undefined
  }

  /** docker_gwbridge, made when it is needed first. Throws ApiError. */
  gatewayBridge(): Promise<DockerNetwork> {
    return this.exclusive(async () => {
      for (const network of this.networks.values()) if (network.name === GATEWAY_BRIDGE) return network
      return this.add(gatewayBridgeRequest(newDockerId(this.options.random)))
    })
  }

  /** After the daemon's start: removes records of endpoints that nobody claimed. */
  async reconcile(): Promise<void> {
    const stale: string[] = []
    for (const [key, { id, networkId, owner, overlay }] of this.options.store.list<NetworkEndpoint>('endpoint/')) {
      if (this.get(networkId)?.endpoints.has(owner) === true) continue
      stale.push(key)
      // The cluster keeps what this host said it still has.
      if (overlay !== undefined) await this.options.overlays?.dismiss(networkId, id)
    }
    if (stale.length === 0) return
    this.options.log(`${stale.length} endpoints of containers that do not run were removed`)
    await this.options.store.write(stale.map((remove) => ({ remove })))
  }

  /** The wall clock in RFC 3339. */
  now(): string {
    return goTime(wallTime(this.options.clock))
  }

  publish(network: DockerNetwork, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    const { id, name, record } = network
    this.options.events.publish('network', action, { id, attributes: { ...attributes, name, type: record.driver } })
  }

  /** Makes a network that was asked for. */
  private async add(asked: RequestedNetwork, scope = ''): Promise<DockerNetwork> {
    networkLink(asked)
    const made = { ...asked, created: this.now(), sequence: ++this.sequence, pool: null, pool6: null }
    let record: NetworkRecord = made
    if (['bridge', 'macvlan', 'ipvlan', 'overlay'].includes(asked.driver)) {
      checkIpamDriver(asked.ipamDriver)
      if (asked.driver === 'overlay') {
        if (this.options.overlays === undefined) throw ApiError.internal(NO_SWARM)
        return this.options.overlays.create(asked, made.created)
      }
      record = await (asked.driver === 'bridge' ? this.bridges : this.parented).plug(made, scope)
    } else if (isPredefined(asked.name) === false && !asked.configOnly) {
      throw ApiError.forbidden(`only one instance of ${JSON.stringify(asked.driver)} network is allowed`)
    }
    const network = new DockerNetwork(record)
    try {
      await this.options.store.write([{ put: networkKey(record.id), value: record }])
    } catch (error) {
      if (network.isOwn) await this.options.controller.removeNetwork(record.id)
      throw error
    }
    this.networks.set(record.id, network)
    return network
  }

  private async delete(network: DockerNetwork): Promise<void> {
    const { id, name, record } = network
    if (!network.isUserDefined) throw ApiError.forbidden(`${name} is a pre-defined network and cannot be removed`)
    const failed = 'error while removing network: '
    if (record.configOnly && [...this.networks.values()].some((other) => other.record.configFrom === name)) {
      throw ApiError.forbidden(`${failed}configuration network ${JSON.stringify(name)} is in use`)
    }
    if (network.endpoints.size > 0) throw ApiError.forbidden(`${failed}network ${name} id ${id} has active endpoints`)
    if (network.isOverlay) {
      await this.options.overlays!.remove(network)
      return this.publish(network, 'destroy')
    }
    const wasPlugged = network.isOwn && this.isPlugged(network)
    // A start that finds the network now will find it gone when it connects.
    this.networks.delete(id)
    try {
      if (wasPlugged) await this.options.controller.removeNetwork(id)
    } catch (error) {
      this.networks.set(id, network)
      const isInUse = (error as { code?: unknown }).code === 'conflict'
      throw isInUse ? ApiError.forbidden(`${failed}network ${name} id ${id} has active endpoints`, { cause: error }) : error
    }
    try {
      await this.options.store.write([{ remove: networkKey(id) }])
    } catch (error) {
      // It is still recorded, so that the next daemon would have it: this one does as well.
      this.networks.set(id, network)
      if (wasPlugged) await this.remake(network).catch((left: Error) => this.options.log(`network ${name} is not there: ${left.message}`))
      throw error
    }
    this.publish(network, 'destroy')
  }

  /** One that this host no longer takes is shown all the same, and made when somebody wants to be on it: the daemon starts. */
  private async restore(kept: NetworkRecord): Promise<void> {
    const isDefault = kept.name === BRIDGE
    const record = isDefault ? { ...kept, options: { ...kept.options, ...defaultBridgeOptions(this.settings) } } : kept
    this.sequence = Math.max(this.sequence, record.sequence)
    const network = new DockerNetwork(record)
    this.networks.set(record.id, network)
    if (!network.isOwn) return
    await this.remake(network).catch((error: Error & { fix?: string }) => {
      const cure = error.fix === undefined ? '' : `; ${error.fix}`
      this.options.log(`network ${record.name} cannot be made, and nobody can be on it: ${error.message}${cure}`)
    })
  }

  private remake({ isBridge, record }: DockerNetwork): Promise<void> {
    return (isBridge ? this.bridges : this.parented).restore(record)
  }

  private get settings(): { icc: boolean } {
    return { icc: this.options.icc ?? true }
  }

  private isPlugged({ id }: DockerNetwork): boolean {
    return this.options.controller.networks.has(id)
  }

  private async addPredefined(): Promise<void> {
    const names = new Set(Array.from(this.networks.values(), ({ name }) => name))
    for (const made of predefinedNetworks(() => newDockerId(this.options.random), this.settings))
      if (!names.has(made.name)) await this.add(made)
  }

  private until(filters: Filters): bigint | undefined {
    const texts = filters.get('until')
    if (texts.length > 1) throw ApiError.badRequest('more than one until filter specified')
    if (texts.length === 0) return undefined
    try {
      return parseUntil(texts[0]!, wallTime(this.options.clock))
    } catch (error) {
      throw ApiError.internal((error as Error).message, { cause: error })
    }
  }

  private exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work, work)
    this.last = result.catch(() => {})
    return result
  }
}
