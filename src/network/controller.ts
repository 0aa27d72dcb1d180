/**
 * The control plane: keeps networks and endpoints, gives addresses, and has the engine run the graph that follows from them.
 *
 * Changes are carried out one after the other, each as one patch of the graph that names what it changes, however many
 * networks there are. Each resolves when the engine runs it, and leaves everything as it was when the engine refuses it. All of them
 * are here because they wait in one line and undo the same things.
 */
import { isDeepStrictEqual } from 'node:util'
import type { AddressNames } from '../capture/pcapng-writer.ts'
import type { DnsChange, DnsSettings } from '../dns/dns-options.ts'
import type { ElementCounters, ElementUpdate, Plain, TopologyPatch } from '../engine/index.ts'
import {
  type CapturePlan,
  type CapturePoint,
  type CaptureWire,
  endpointNames,
  endpointPoint,
  goneNames,
  hostNames
} from './capture-point.ts'
import { CaptureWires } from './capture-wires.ts'
import { checkId, checkName, isName } from './check-spec.ts'
import type { NetworkControllerOptions } from './controller-options.ts'
import { dnsAskers, dnsStations, type Membership, remoteStations } from './dns-records.ts'
import type { Driver } from './driver.ts'
import { bridgeDriver } from './drivers/bridge-driver.ts'
import type { Attachment, Endpoint, EndpointSpec, EndpointUpdate } from './endpoint.ts'
import { EndpointParts } from './endpoint-parts.ts'
import type { EngineHost } from './engine-host.ts'
import { Gateway } from './gateway.ts'
import { hostWire, RESERVED_ELEMENTS } from './gateway-part.ts'
import { endpointRecords } from './gateway-records.ts'
import { changedLink, checkLinkChange, type LinkChange } from './link-shape.ts'
import { NameForwarder } from './name-forwarder.ts'
import { type Network, type NetworkSpec, requestedNetwork } from './network.ts'
import { releaseAddresses, releasePools, requestAddresses, requestPools, withoutGateway } from './network-addresses.ts'
import { NetworkError, reportUnclean } from './network-error.ts'
import { NetworkIndex } from './network-index.ts'
import type { RemoteEndpoint } from './remote-endpoint.ts'
import { SharedParts } from './shared-parts.ts'
import { DNS_ELEMENT, dnsPart, sandboxFilters } from './topology-builder.ts'
import type { UplinkPort } from './uplink.ts'

/** What the controller is given about a new endpoint, to make what stands behind it. */
export type AttachmentMaker = (endpoint: Omit<Endpoint, 'attachment'>, network: Network) => Attachment | Promise<Attachment>

export class NetworkController {
  readonly engine: EngineHost
  private readonly options: NetworkControllerOptions
  private readonly dns: DnsSettings
  /** By name. */
  private readonly drivers: ReadonlyMap<string, Driver>
  private readonly parts = new SharedParts()
  private readonly index: NetworkIndex
  private readonly gateway: Gateway | null
  private readonly names: NameForwarder
  private readonly ends: EndpointParts
  private readonly captureWires: CaptureWires
  private hasDns = false
  /** The end of the line of changes. */
  private last: Promise<unknown> = Promise.resolve()
  /** Hears of names that come, or are others, before frames of theirs pass. */
  onNames: (names: readonly AddressNames[]) => void = () => {}

  constructor(options: NetworkControllerOptions) {
    this.options = options
    this.engine = options.engine
    this.captureWires = new CaptureWires(options.engine)
    this.dns = { ...options.dns, unanswered: options.dns?.unanswered ?? (options.engine.virtual ? 'servfail' : 'silent') }
    this.names = new NameForwarder(options.engine, options.forward)
    const { engine, uplink, nat = {}, drivers = [], log = () => {} } = options
    this.drivers = new Map([bridgeDriver, ...drivers].map((driver) => [driver.name, driver]))
    const change = (work: () => Promise<void>): Promise<void> => this.change(work)
    this.gateway = uplink === undefined ? null : new Gateway({ uplink, nat, engine, log, change })
    const reserved = drivers.flatMap((driver) => driver.reserved ?? [])
    this.index = new NetworkIndex(this.gateway === null ? reserved : [...reserved, ...RESERVED_ELEMENTS])
    this.ends = new EndpointParts(engine, this.index)
  }

  /** Starts the uplink, so that its errors come now and not with the first network. */
  start(): Promise<void> {
    return this.change(async () => this.gateway?.start())
  }

  /** By id. */
  get networks(): ReadonlyMap<string, Network> {
    return this.index.networks
  }

  /** By id or name; of several with the name, the oldest. Throws NetworkError `not-found`. */
  network(reference: string): Network {
    return this.index.get(reference)
  }

  /** Throws NetworkError for a name, driver or subnet that cannot be, and IPAM's errors. */
  createNetwork(spec: NetworkSpec): Promise<Network> {
    return this.change(async () => {
      if (spec.id === undefined) checkName('network', spec.name)
      checkLinkChange(spec.link ?? {})
      const id = spec.id === undefined ? this.newId() : checkId('network', spec.id)
      if (this.networks.has(id)) throw new NetworkError('conflict', `network with id ${id} already exists`)
      if (spec.id === undefined && this.index.hasName(spec.name)) {
        throw new NetworkError('conflict', `network with name ${spec.name} already exists`)
      }
      const driver = this.drivers.get(spec.driver ?? 'bridge')
      if (driver === undefined) {
        throw new NetworkError('invalid', `driver: '${spec.driver}' is unknown; there is ${[...this.drivers.keys()].join(', ')}`)
      }
      await this.gateway?.start()
      const addresses = driver.addresses ?? this.options.addresses
      const avoid = spec.subnet === undefined ? ((await this.options.avoid?.()) ?? []) : []
      const pools = requestPools(addresses, id, driver.isRouted ? spec : withoutGateway(spec), avoid)
      const begun = requestedNetwork(spec, id, driver, this.index.freeElement(elementPrefix(spec.name), id), pools)
      let opened: Network | null = null
      try {
        const admitted: Network = { ...begun, gateway: driver.isRouted ? ((await this.gateway?.admit(begun)) ?? null) : null }
        await driver.open?.(admitted)
        opened = admitted
        const limit = driver.mtu?.(admitted)
        const network: Network = limit === undefined ? admitted : { ...admitted, mtu: Math.min(spec.mtu ?? limit, limit) }
        const part = driver.network(network)
        const { elements, linked } = this.parts.missing(part)
        const first = this.hasDns ? {} : dnsPart(this.dns).elements
        const records = network.dns ? { zones: { [id]: { name: network.name } } } : {}
        const updates = [...(this.gateway?.networkUpdates(network, false) ?? []), ...(driver.networkUpdates?.(network, false) ?? [])]
        await this.apply({ elements: { ...first, ...elements }, linked, updates }, records)
        this.hasDns = true
        this.parts.add(part)
        this.index.add(network, Object.keys(part.elements))
        await this.syncWires()
        this.onNames(hostNames([driver]))
        return network
      } catch (error) {
        releasePools(addresses, { id, ...pools })
        // The first error says why.
        if (opened !== null) await driver.close?.(opened).catch(() => {})
        await this.gateway?.dismiss(id).catch(() => {})
        throw error
      }
    })
  }

  /** Only networks without endpoints go. */
  removeNetwork(reference: string): Promise<void> {
    return this.change(async () => {
      const network = this.network(reference)
      if (network.endpoints.size > 0) {
        throw new NetworkError('conflict', `network ${network.name} has active endpoints: ${[...network.endpoints.keys()].join(', ')}`, {
          fix: 'disconnect them first'
        })
      }
      await this.gateway?.unpublish(this.gateway.publishedOn(network.id))
      const { driver } = network
      const part = driver.network(network)
      const { removed, unlinked } = this.parts.dispensable(part)
      const stations = remoteStations(network, [], [...network.remotes.values()])
      const records = network.dns ? { zones: { [network.id]: null }, ...stations } : {}
      const told = (driver.networkUpdates?.(network, true) ?? []).filter(({ element }) => !removed.includes(element))
      const updates = [...(this.gateway?.networkUpdates(network, true) ?? []), ...told]
      const errors = [...(await this.apply({ removed, unlinked, updates }, records))]
      this.onNames(goneNames(network, network.remotes.values()))
      this.parts.remove(part)
      this.index.remove(network)
      releasePools(driver.addresses ?? this.options.addresses, network)
      await driver.close?.(network).catch((error: Error) => errors.push(error))
      await this.gateway?.dismiss(network.id).catch((error: Error) => errors.push(error))
      await this.syncWires()
      reportUnclean(`network ${network.name} is removed`, errors)
    })
  }

  /** Plugs in what `make` gives; the address is reserved before and given back when anything fails. */
  connect(reference: string, spec: EndpointSpec, make: AttachmentMaker): Promise<Endpoint> {
    return this.change(async () => {
      const network = this.network(reference)
      checkName('endpoint', spec.name)
      for (const alias of spec.aliases ?? []) checkName('alias', alias)
      checkLinkChange(spec.link ?? {})
      this.index.checkFree(network, spec.name)
      const id = spec.id === undefined ? this.newId() : checkId('endpoint', spec.id)
      const addresses = requestAddresses(network, spec, network.driver.mac?.(network))
      const slot = this.index.takeSlot(network)
      let dnsPort = -1
      let endpoint: Endpoint | undefined
      try {
        if (slot < 0) throw new NetworkError('exhausted', `network ${network.name} has no free port: no more endpoints fit`)
        dnsPort = this.names.takePort()
        const begun = {
          id,
          name: spec.name,
          element: this.index.freeElement(`${network.element}/${spec.name}`, id),
          ...addresses,
          names: spec.names ?? [spec.name, ...(spec.aliases ?? [])],
          links: spec.links ?? {},
          allow: [],
          sandbox: spec.sandbox ?? id,
          gatewayDns: spec.gatewayDns ?? true,
          ownMac: spec.ownMac ?? false,
          link: spec.link ?? network.link,
          probed: this.ends.hasProbe,
          slot,
          dnsPort
        }
        endpoint = { ...begun, attachment: await make(begun, network) }
        const others = this.index.memberships(endpoint.sandbox)
        const memberships = [...others, { network, endpoint }]
        const part = this.ends.begin(network, endpoint, memberships)
        this.onNames(endpointNames(network, endpoint))
        const elements = { ...part.elements, ...sandboxFilters(others, memberships) }
        const updates = endpointUpdates(network, endpoint, false)
        await this.apply(
          { elements, linked: part.links, updates },
          { ...dnsStations(network, endpoint, false), askers: dnsAskers(memberships) }
        )
        this.index.plug(network, endpoint)
        this.names.plug(endpoint)
        return endpoint
      } catch (error) {
        if (endpoint !== undefined) this.ends.remove(endpoint)
        releaseAddresses(network, addresses)
        this.index.giveSlot(network, slot)
        if (dnsPort >= 0) this.names.givePort(dnsPort)
        throw error
      }
    })
  }

  /** Gives a connected endpoint another name, other DNS names, links or rules of what it may reach; traffic goes on. */
  updateEndpoint(reference: string, endpointName: string, update: EndpointUpdate): Promise<Endpoint> {
    return this.change(async () => {
      const network = this.network(reference)
      const endpoint = this.index.endpoint(network, endpointName)
      const { name = endpoint.name, names = endpoint.names, links = endpoint.links, allow = endpoint.allow } = update
      if (name !== endpointName) {
        checkName('endpoint', name)
        this.index.checkFree(network, name)
      }
      const changed = { ...endpoint, names, links, allow }
      const memberships = this.index
        .memberships(endpoint.sandbox)
        .map((membership): Membership => (membership.endpoint === endpoint ? { network, endpoint: changed } : membership))
      const elements = allow === endpoint.allow ? {} : sandboxFilters([{ network, endpoint: changed }], memberships)
      await this.apply({ elements }, { ...dnsStations(network, changed, false), askers: dnsAskers(memberships) })
      Object.assign(endpoint, { names, links, allow })
      this.index.rename(network, endpoint, name)
      this.onNames(endpointNames(network, endpoint))
      return endpoint
    })
  }

  /** Rejects with NetworkError `unclean` when the endpoint is gone but its device could not be closed. */
  disconnect(reference: string, endpointName: string): Promise<void> {
    return this.change(async () => {
      const network = this.network(reference)
      const endpoint = this.index.endpoint(network, endpointName)
      const memberships = this.index.memberships(endpoint.sandbox).filter((membership) => membership.endpoint !== endpoint)
      const removed = Object.keys(this.ends.part(network, endpoint).elements)
      const elements = sandboxFilters(memberships, memberships)
      const askers = { ...dnsAskers(memberships), [endpoint.dnsPort]: null }
      const updates = endpointUpdates(network, endpoint, true)
      const errors = await this.apply({ elements, removed, updates }, { ...dnsStations(network, endpoint, true), askers })
      this.index.unplug(network, endpoint)
      this.names.givePort(endpoint.dnsPort)
      this.ends.remove(endpoint)
      releaseAddresses(network, endpoint)
      reportUnclean(`endpoint ${endpointName} is disconnected from network ${network.name}`, errors)
    })
  }

  /** Shapes the link of a connected endpoint; what is under way goes on. Throws NetworkError `invalid`. */
  setLink(reference: string, endpointName: string, change: LinkChange): Promise<Endpoint> {
    return this.change(async () => {
      checkLinkChange(change)
      const network = this.network(reference)
      const endpoint = this.index.endpoint(network, endpointName)
      await this.ends.shape(network, [endpoint], change)
      return endpoint
    })
  }

  /** Shapes the links of all endpoints of a network, and of those that come. Throws NetworkError `invalid`. */
  setLinks(reference: string, change: LinkChange): Promise<Network> {
    return this.change(async () => {
      checkLinkChange(change)
      const network = this.network(reference)
      await this.ends.shape(network, [...network.endpoints.values()], change)
      const link = changedLink(network.link, change)
      network.link = Object.keys(link).length === 0 ? null : link
      return network
    })
  }

  /**
   * Tells of stations on other hosts: `come` are found by their names and reached by the driver's means, also when they were told
   * before and have moved; `gone`, ids, are not any more. What is as it was, or is not known, costs nothing.
   */
  updateRemotes(reference: string, come: readonly RemoteEndpoint[], gone: readonly string[]): Promise<void> {
    return this.change(async () => {
      const network = this.network(reference)
      const { remotes, driver } = network
      const changed = come.filter((remote) => !isDeepStrictEqual(remotes.get(remote.id), remote))
      const left = gone.flatMap((id) => remotes.get(id) ?? [])
      if (changed.length === 0 && left.length === 0) return
      // What moved leaves its old place first: another one may have that now.
      const moved = changed.flatMap(({ id }) => remotes.get(id) ?? [])
      const updates = driver.remoteUpdates?.(network, changed, [...left, ...moved])
      this.onNames(changed.flatMap((remote) => endpointNames(network, remote)))
      await this.apply({ updates }, remoteStations(network, changed, left))
      this.onNames(goneNames(network, left))
      for (const { id } of left) remotes.delete(id)
      for (const remote of changed) remotes.set(remote.id, remote)
    })
  }

  /** Tells running elements what only a driver knows of. */
  update(updates: readonly ElementUpdate[]): Promise<void> {
    return this.change(async () => {
      if (updates.length > 0) await this.engine.patch({ updates })
      this.onNames(hostNames(this.drivers.values()))
    })
  }

  /** Opens ports of the host, all of these or none. Throws NetworkError `unsupported` without an uplink, `conflict`, UplinkPortError. */
  publish(ports: readonly UplinkPort[]): Promise<void> {
    return this.change(async () => {
      if (this.gateway === null) throw new NetworkError('unsupported', 'ports cannot be published: there is no uplink')
      await this.gateway.publish(ports)
    })
  }

  /** By key; what is not published is no error. */
  unpublish(keys: readonly string[]): Promise<void> {
    return this.change(async () => this.gateway?.unpublish(keys))
  }

  /** Whether networks are routed, and ports can be published. */
  get hasGateway(): boolean {
    return this.gateway !== null
  }

  /** What else may keep back what leaves by the uplink: sentences. */
  get uplinkObstacles(): readonly string[] {
    return this.gateway?.obstacles ?? []
  }

  /** Where frames can be captured. */
  capturePoints(): CapturePoint[] {
    const endpoints = [...this.networks.values()].flatMap((network) =>
      Array.from(network.endpoints.values(), (endpoint) => endpointPoint(network, endpoint))
    )
    return [...endpoints, ...this.wires().map(({ point }) => point)]
  }

  /** All names that the DNS service knows, those of endpoints on networks without names, and what is known of other hosts. */
  addressNames(): AddressNames[] {
    const names = [...this.networks.values()].flatMap((network) =>
      [...network.endpoints.values(), ...network.remotes.values()].flatMap((each) => endpointNames(network, each))
    )
    return [...names, ...hostNames(this.drivers.values())]
  }

  /** Says which points are captured, and how; for all that are there and all that come. */
  setCapture(plan: CapturePlan | null): Promise<void> {
    return this.change(async () => {
      const errors = await this.ends.capture(plan)
      const others = await this.captureWires.sync(this.wires(), plan)
      reportUnclean('the capture is changed', [...errors, ...others])
    })
  }

  /** Puts the probe between every endpoint and its network, from now on: see elements/probe. */
  probe(): Promise<void> {
    return this.change(() => this.ends.probe())
  }

  /** Makes what stands at the endpoint's end anew, as after a power failure: nothing that it knew is left. */
  restart(reference: string, endpointName: string): Promise<void> {
    return this.change(async () => {
      const endpoint = this.index.endpoint(this.network(reference), endpointName)
      await this.engine.patch({ elements: { [endpoint.element]: endpoint.attachment } })
    })
  }

  /** Asks the element at the endpoint's end. */
  command(_network: Network, endpoint: Endpoint, verb: string, argument: Plain): Promise<Plain> {
    return this.engine.command(endpoint.element, verb, argument)
  }

  /** What each endpoint's own element has counted; drops of its frames anywhere are in `ingressDrops`. */
  endpointCounters(_network: Network, endpoint: Endpoint): ElementCounters {
    return this.engine.elementCounters(endpoint.element) ?? { counters: {}, drops: {}, ingressDrops: {} }
  }

  async close(): Promise<void> {
    await this.closeUplink().finally(() => this.engine.close())
  }

  /** The machine is put back as it was; networks that are still there have no way out any more. */
  async closeUplink(): Promise<void> {
    await this.last.catch(() => {})
    await this.gateway?.close()
  }

  /** Links that can be captured, each once. */
  private wires(): CaptureWire[] {
    const wires = new Map<string, CaptureWire>()
    const add = (wire: CaptureWire): void => void wires.set(wire.link.a.join(' '), wire)
    for (const wire of this.gateway?.captureWires() ?? []) add(wire)
    for (const network of this.networks.values()) for (const wire of captureWires(network)) add(wire)
    return [...wires.values()]
  }

  /** After networks came or went. What cannot be captured is no reason for them not to. */
  private async syncWires(): Promise<void> {
    const { log = () => {} } = this.options
    const { plan } = this.ends
    if (plan === null) return
    await this.captureWires.sync(this.wires(), plan).catch((error: Error) => log(`a capture goes on without a link: ${error.message}`))
  }

  /** Runs one change after those before it. */
  private change<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work, work)
    this.last = result.catch(() => {})
    return result
  }

  private apply(patch: TopologyPatch, records: DnsChange): Promise<readonly Error[]> {
    return this.engine.patch({ ...patch, updates: [...(patch.updates ?? []), { element: DNS_ELEMENT, change: records }] })
  }

  private newId(): string {
    let id = ''
    for (let word = 0; word < 8; word++) id += (this.options.random.int32() >>> 0).toString(16).padStart(8, '0')
    return id
  }
}

/** Empty for a name that would not tell where the network's part of an element's name ends. */
function elementPrefix(name: string): string {
  return isName(name) ? name : ''
}

/** Beside its endpoints: what its driver stands on, and the host's own station. */
function captureWires(network: Network): CaptureWire[] {
  return [...(network.driver.captureWires?.(network) ?? []), ...hostWire(network)]
}

function endpointUpdates(network: Network, endpoint: Endpoint, gone: boolean): ElementUpdate[] {
  const routed = network.gateway === null ? [] : endpointRecords(endpoint, gone)
  return [...routed, ...(network.driver.endpointUpdates?.(network, endpoint, gone) ?? [])]
}
