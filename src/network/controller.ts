/**
 * The control plane: keeps networks and endpoints, gives addresses, and has the engine run the graph that follows from them.
 *
 * Changes are carried out one after the other; each resolves when the engine runs it, and leaves everything as it was when
 * the engine refuses it.
 */
import type { DnsServiceOptions } from '../dns/dns-options.ts'
import type { DnsForwardEvent } from '../dns/dns-service.ts'
import type { ElementCounters, Plain, Random, Topology } from '../engine/index.ts'
import type { AddressPool } from '../ipam/address-pool.ts'
import type { AddressSpace } from '../ipam/address-space.ts'
import { formatMac, macFromIpv4, parseIpv4, parseMac } from '../wire/address.ts'
import type { Driver } from './driver.ts'
import { bridgeDriver } from './drivers/bridge-driver.ts'
import type { Attachment, Endpoint, EndpointSpec, EndpointUpdate } from './endpoint.ts'
import type { EngineHost } from './engine-host.ts'
import type { Network, NetworkSpec } from './network.ts'
import { NetworkError } from './network-error.ts'
import { buildTopology, type CapturePlan, dnsElement } from './topology-builder.ts'

const ID = /^[0-9a-f]{64}$/
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/
/** Endpoints of one network: ports of its bridge and of its DNS service, less the gateway's. */
export const ENDPOINTS_MAX = 4095

/** What the controller is given about a new endpoint, to make what stands behind it. */
export type AttachmentMaker = (endpoint: Omit<Endpoint, 'attachment'>, network: Network) => Attachment | Promise<Attachment>

/** A query that the network's names do not answer. */
export interface ForwardRequest {
  readonly query: Uint8Array
  readonly tcp: boolean
  /** Whose query it is: `EndpointSpec.sandbox`. */
  readonly sandbox: string
}

/** Asks the world outside; null when nobody answers. */
export type ForwardNames = (request: ForwardRequest) => Promise<Uint8Array | null>

export interface NetworkControllerOptions {
  readonly engine: EngineHost
  readonly addresses: AddressSpace
  /** Draws ids. */
  readonly random: Random
  /** Without it names outside are answered as unreachable. */
  readonly forward?: ForwardNames
  /**
   * CIDR prefixes that automatic subnets must not share addresses with (the host's routes and name servers, say); asked each
   * time that one is wanted.
   */
  readonly avoid?: () => readonly string[] | Promise<readonly string[]>
  /** How names are answered; `unanswered` is by default `silent` in real time and `servfail` in virtual time. */
  readonly dns?: DnsBehavior
}

export type DnsBehavior = Pick<DnsServiceOptions, 'edns' | 'unanswered'>

export class NetworkController {
  readonly engine: EngineHost
  private readonly options: NetworkControllerOptions
  private readonly drivers = new Map<string, Driver>([[bridgeDriver.name, bridgeDriver]])
  private readonly byId = new Map<string, Network>()
  private capturePlan: CapturePlan = () => undefined
  /** The end of the line of changes. */
  private last: Promise<unknown> = Promise.resolve()

  constructor(options: NetworkControllerOptions) {
    this.options = options
    this.engine = options.engine
  }

  /** By id. */
  get networks(): ReadonlyMap<string, Network> {
    return this.byId
  }

  /** By id or name; of several with the name, the oldest. Throws NetworkError `not-found`. */
  network(reference: string): Network {
    const network = this.byId.get(reference) ?? this.named(reference)
    if (network === undefined) throw new NetworkError('not-found', `network ${reference} not found`)
    return network
  }

  private named(name: string): Network | undefined {
    for (const network of this.byId.values()) if (network.name === name) return network
    return undefined
  }

  /** Throws NetworkError for a name, driver or subnet that cannot be, and IPAM's errors. */
  createNetwork(spec: NetworkSpec): Promise<Network> {
    return this.change(async () => {
      if (spec.id === undefined) checkName('network', spec.name)
      if (spec.id === undefined && this.named(spec.name) !== undefined)
        throw new NetworkError('conflict', `network with name ${spec.name} already exists`)
      const driver = this.drivers.get(spec.driver ?? 'bridge')
      if (driver === undefined) {
        throw new NetworkError('invalid', `driver: '${spec.driver}' is unknown; there is ${[...this.drivers.keys()].join(', ')}`)
      }
      const id = spec.id === undefined ? this.newId() : checkId('network', spec.id)
      if (this.byId.has(id)) throw new NetworkError('conflict', `network with id ${id} already exists`)
      const [pool, pool6] = await this.requestPools(id, spec)
      const network: Network = {
        id,
        name: spec.name,
        driver,
        element: this.elementOf(spec.name, id),
        internal: spec.internal ?? false,
        dns: spec.dns ?? true,
        icc: spec.icc ?? true,
        mtu: spec.mtu ?? 1500,
        pool,
        pool6,
        endpoints: new Map()
      }
      this.byId.set(id, network)
      await this.apply(() => {
        this.byId.delete(id)
        this.releasePools(network)
      })
      this.engine.listen(dnsElement(network), (event) => this.dnsEvent(network, event))
      return network
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
      this.byId.delete(network.id)
      await this.apply(() => this.byId.set(network.id, network))
      this.engine.listen(dnsElement(network), null)
      this.releasePools(network)
    })
  }

  /** Plugs in what `make` gives; the address is reserved before and given back when anything fails. */
  connect(reference: string, spec: EndpointSpec, make: AttachmentMaker): Promise<Endpoint> {
    return this.change(async () => {
      const network = this.network(reference)
      checkName('endpoint', spec.name)
      for (const alias of spec.aliases ?? []) checkName('alias', alias)
      if (network.endpoints.has(spec.name)) {
        throw new NetworkError('conflict', `endpoint with name ${spec.name} already exists in network ${network.name}`)
      }
      const mac = spec.mac === undefined ? undefined : checkedMac(spec.mac)
      const slot = freeSlot(network)
      const [address, address6] = requestAddresses(network, spec)
      try {
        const id = spec.id === undefined ? this.newId() : checkId('endpoint', spec.id)
        const begun = {
          id,
          name: spec.name,
          element: elementName(network, spec.name, id),
          address,
          prefixLength: network.pool.prefix.length,
          address6,
          prefixLength6: network.pool6?.prefix.length ?? 0,
          mac: mac ?? formatMac(macFromIpv4(parseIpv4(address))),
          names: spec.names ?? [spec.name, ...(spec.aliases ?? [])],
          links: spec.links ?? {},
          sandbox: spec.sandbox ?? id,
          gatewayDns: spec.gatewayDns ?? true,
          slot
        }
        const endpoint: Endpoint = { ...begun, attachment: await make(begun, network) }
        network.endpoints.set(endpoint.name, endpoint)
        await this.apply(() => network.endpoints.delete(endpoint.name))
        return endpoint
      } catch (error) {
        releaseAddresses(network, { address, address6 })
        throw error
      }
    })
  }

  /** Gives a connected endpoint another name, other DNS names or other links; traffic goes on. */
  updateEndpoint(reference: string, endpointName: string, update: EndpointUpdate): Promise<Endpoint> {
    return this.change(async () => {
      const network = this.network(reference)
      const endpoint = connected(network, endpointName)
      const { name = endpoint.name, names = endpoint.names, links = endpoint.links } = update
      if (name !== endpointName) {
        checkName('endpoint', name)
        if (network.endpoints.has(name)) {
          throw new NetworkError('conflict', `endpoint with name ${name} already exists in network ${network.name}`)
        }
      }
      const before = { name: endpoint.name, names: endpoint.names, links: endpoint.links }
      const put = (values: typeof before): void => {
        network.endpoints.delete(endpoint.name)
        Object.assign(endpoint, values)
        network.endpoints.set(endpoint.name, endpoint)
      }
      put({ name, names, links })
      await this.apply(() => put(before))
      return endpoint
    })
  }

  disconnect(reference: string, endpointName: string): Promise<void> {
    return this.change(async () => {
      const network = this.network(reference)
      const endpoint = connected(network, endpointName)
      network.endpoints.delete(endpointName)
      await this.apply(() => network.endpoints.set(endpointName, endpoint))
      releaseAddresses(network, endpoint)
    })
  }

  /** Says which endpoints are captured, and how; for all that are there and all that come. */
  setCapture(plan: CapturePlan | null): Promise<void> {
    return this.change(async () => {
      const before = this.capturePlan
      this.capturePlan = plan ?? (() => undefined)
      await this.apply(() => {
        this.capturePlan = before
      })
    })
  }

  /** Asks the element at the endpoint's end. */
  command(_network: Network, endpoint: Endpoint, verb: string, argument: Plain): Promise<Plain> {
    return this.engine.command(endpoint.element, verb, argument)
  }

  /** What each endpoint's own element has counted; drops of its frames anywhere are in `ingressDrops`. */
  endpointCounters(_network: Network, endpoint: Endpoint): ElementCounters {
    return this.engine.counters().get(endpoint.element) ?? { counters: {}, drops: {}, ingressDrops: {} }
  }

  async close(): Promise<void> {
    await this.last.catch(() => {})
    await this.engine.close()
  }

  private async requestPools(id: string, spec: NetworkSpec): Promise<[AddressPool, AddressPool | null]> {
    const { addresses, avoid } = this.options
    const { gateway, ipRange, auxAddresses: auxiliary } = spec
    const more = { gateway, ipRange, auxiliary }
    const pool =
      spec.subnet === undefined
        ? addresses.addDefaultPool(id, (await avoid?.()) ?? [], more)
        : addresses.addPool(id, { subnet: spec.subnet, ...more })
    if (pool.family !== 4) {
      addresses.removePool(id)
      throw new NetworkError('invalid', `subnet '${spec.subnet}' is not IPv4`, {
        fix: 'give an IPv6 subnet as subnet6, beside an IPv4 one'
      })
    }
    if (spec.subnet6 === undefined) return [pool, null]
    try {
      const { subnet6: subnet, gateway6, ipRange6, auxAddresses6 } = spec
      const pool6 = addresses.addPool(`${id}/6`, { subnet, gateway: gateway6, ipRange: ipRange6, auxiliary: auxAddresses6 })
      if (pool6.family === 6) return [pool, pool6]
      addresses.removePool(`${id}/6`)
      throw new NetworkError('invalid', `subnet6 '${spec.subnet6}' is not IPv6`)
    } catch (error) {
      addresses.removePool(id)
      throw error
    }
  }

  /** The name, unless another network has it or it would not tell where the network's part of an element's name ends. */
  private elementOf(name: string, id: string): string {
    if (!NAME.test(name)) return `~${id.slice(0, 12)}`
    return this.named(name) === undefined ? name : `${name}~${id.slice(0, 12)}`
  }

  private releasePools({ id }: Network): void {
    this.options.addresses.removePool(id)
    this.options.addresses.removePool(`${id}/6`)
  }

  /** Runs one change after those before it. */
  private change<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work, work)
    this.last = result.catch(() => {})
    return result
  }

  private topology(): Topology {
    const { edns, unanswered = this.engine.virtual ? 'servfail' : 'silent' } = this.options.dns ?? {}
    return buildTopology(this.byId.values(), this.capturePlan, { edns, unanswered })
  }

  private async apply(undo: () => void): Promise<void> {
    try {
      await this.engine.configure(this.topology())
    } catch (error) {
      undo()
      // The engine may have made a part of it.
      await this.engine.configure(this.topology()).catch(() => {})
      throw error
    }
  }

  private dnsEvent(network: Network, event: Plain): void {
    const request = event as DnsForwardEvent
    if (request.kind !== 'dns-forward') return
    const { query, tcp } = request
    const asker = [...network.endpoints.values()].find(({ slot }) => slot === request.asker)
    const answer = this.options.forward?.({ query, tcp, sandbox: asker?.sandbox ?? '' }) ?? Promise.resolve(null)
    answer
      .catch(() => null)
      .then((response) => this.engine.command(dnsElement(network), 'answer', { id: request.id, response }))
      .catch(() => {}) // the network went away meanwhile
  }

  private newId(): string {
    let id = ''
    for (let word = 0; word < 8; word++) id += (this.options.random.int32() >>> 0).toString(16).padStart(8, '0')
    return id
  }
}

/** In the form in which MACs are shown. Throws NetworkError. */
function checkedMac(mac: string): string {
  try {
    return formatMac(parseMac(mac))
  } catch (cause) {
    throw new NetworkError('invalid', `mac '${mac}' is invalid: it must look like 02:42:ac:11:00:02`, { cause })
  }
}

function checkName(field: string, name: string): void {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new NetworkError(
      'invalid',
      `${field} name '${name}' is invalid: it must begin with a letter or digit and hold only [a-zA-Z0-9_.-]`
    )
  }
}

/** Throws NetworkError. */
function checkId(what: string, id: string): string {
  if (typeof id === 'string' && ID.test(id)) return id
  throw new NetworkError('invalid', `${what} id '${id}' is invalid: it must be 64 hexadecimal digits`)
}

/** Throws NetworkError `not-found`. */
function connected(network: Network, name: string): Endpoint {
  const endpoint = network.endpoints.get(name)
  if (endpoint !== undefined) return endpoint
  throw new NetworkError('not-found', `endpoint ${name} is not connected to network ${network.name}`)
}

/** The endpoint's name, unless one that was renamed since has it. */
function elementName(network: Network, name: string, id: string): string {
  const wanted = `${network.element}/${name}`
  for (const { element } of network.endpoints.values()) if (element === wanted) return `${wanted}~${id.slice(0, 12)}`
  return wanted
}

/** Both or none. Throws IpamError. */
function requestAddresses({ pool, pool6 }: Network, spec: EndpointSpec): [address: string, address6: string] {
  const address = pool.requestAddress(spec.address)
  if (pool6 === null && spec.address6 === undefined) return [address, '']
  try {
    if (pool6 === null) throw new NetworkError('invalid', `address6 '${spec.address6}': the network has no IPv6 subnet`)
    return [address, pool6.requestAddress(spec.address6)]
  } catch (error) {
    pool.release(address)
    throw error
  }
}

function releaseAddresses({ pool, pool6 }: Network, { address, address6 }: { address: string; address6: string }): void {
  pool.release(address)
  if (address6 !== '') pool6?.release(address6)
}

function freeSlot(network: Network): number {
  const taken = new Set([...network.endpoints.values()].map(({ slot }) => slot))
  for (let slot = 0; slot < ENDPOINTS_MAX; slot++) if (!taken.has(slot)) return slot
  throw new NetworkError('exhausted', `network ${network.name} has ${ENDPOINTS_MAX} endpoints: no more fit`)
}
