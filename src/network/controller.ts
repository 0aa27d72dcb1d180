/**
 * The control plane: keeps networks and endpoints, gives addresses, and has the engine run the graph that follows from them.
 *
 * Changes are carried out one after the other; each resolves when the engine runs it, and leaves everything as it was when
 * the engine refuses it.
 */
import type { ElementCounters, Plain, Random, Topology } from '../engine/index.ts'
import type { AddressPool } from '../ipam/address-pool.ts'
import type { AddressSpace } from '../ipam/address-space.ts'
import { formatMac, macFromIpv4, parseIpv4, parseMac } from '../wire/address.ts'
import type { Driver } from './driver.ts'
import { bridgeDriver } from './drivers/bridge-driver.ts'
import type { Attachment, Endpoint, EndpointSpec } from './endpoint.ts'
import type { EngineHost } from './engine-host.ts'
import type { Network, NetworkSpec } from './network.ts'
import { NetworkError } from './network-error.ts'
import { buildTopology, type CapturePlan, dnsElement, endpointElement } from './topology-builder.ts'

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/
/** Endpoints of one network: ports of its bridge and of its DNS service, less the gateway's. */
export const ENDPOINTS_MAX = 4095

/** What the controller is given about a new endpoint, to make what stands behind it. */
export type AttachmentMaker = (endpoint: Omit<Endpoint, 'attachment'>, network: Network) => Attachment | Promise<Attachment>

/** A query that the network's names do not answer. */
export interface ForwardRequest {
  readonly query: Uint8Array
  readonly tcp: boolean
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
}

export class NetworkController {
  readonly engine: EngineHost
  private readonly options: NetworkControllerOptions
  private readonly drivers = new Map<string, Driver>([[bridgeDriver.name, bridgeDriver]])
  private readonly byName = new Map<string, Network>()
  private capturePlan: CapturePlan = () => undefined
  /** The end of the line of changes. */
  private last: Promise<unknown> = Promise.resolve()

  constructor(options: NetworkControllerOptions) {
    this.options = options
    this.engine = options.engine
  }

  get networks(): ReadonlyMap<string, Network> {
    return this.byName
  }

  /** Throws NetworkError `not-found`. */
  network(name: string): Network {
    const network = this.byName.get(name)
    if (network === undefined) throw new NetworkError('not-found', `network ${name} not found`)
    return network
  }

  /** Throws NetworkError for a name, driver or subnet that cannot be, and IPAM's errors. */
  createNetwork(spec: NetworkSpec): Promise<Network> {
    return this.change(async () => {
      checkName('network', spec.name)
      if (this.byName.has(spec.name)) throw new NetworkError('conflict', `network with name ${spec.name} already exists`)
      const driver = this.drivers.get(spec.driver ?? 'bridge')
      if (driver === undefined) {
        throw new NetworkError('invalid', `driver: '${spec.driver}' is unknown; there is ${[...this.drivers.keys()].join(', ')}`)
      }
      const id = this.newId()
      const [pool, pool6] = this.requestPools(id, spec)
      const network: Network = {
        id,
        name: spec.name,
        driver,
        internal: spec.internal ?? false,
        pool,
        pool6,
        endpoints: new Map()
      }
      this.byName.set(network.name, network)
      await this.apply(() => {
        this.byName.delete(network.name)
        this.releasePools(network)
      })
      this.engine.listen(dnsElement(network), (event) => this.dnsEvent(network, event))
      return network
    })
  }

  /** Only networks without endpoints go. */
  removeNetwork(name: string): Promise<void> {
    return this.change(async () => {
      const network = this.network(name)
      if (network.endpoints.size > 0) {
        throw new NetworkError('conflict', `network ${name} has active endpoints: ${[...network.endpoints.keys()].join(', ')}`, {
          fix: 'disconnect them first'
        })
      }
      this.byName.delete(name)
      await this.apply(() => this.byName.set(name, network))
      this.engine.listen(dnsElement(network), null)
      this.releasePools(network)
    })
  }

  /** Plugs in what `make` gives; the address is reserved before and given back when anything fails. */
  connect(networkName: string, spec: EndpointSpec, make: AttachmentMaker): Promise<Endpoint> {
    return this.change(async () => {
      const network = this.network(networkName)
      checkName('endpoint', spec.name)
      for (const alias of spec.aliases ?? []) checkName('alias', alias)
      if (network.endpoints.has(spec.name)) {
        throw new NetworkError('conflict', `endpoint with name ${spec.name} already exists in network ${networkName}`)
      }
      const mac = spec.mac === undefined ? undefined : checkedMac(spec.mac)
      const slot = freeSlot(network)
      const [address, address6] = requestAddresses(network, spec)
      try {
        const id = this.newId()
        const begun = {
          id,
          name: spec.name,
          address,
          prefixLength: network.pool.prefix.length,
          address6,
          prefixLength6: network.pool6?.prefix.length ?? 0,
          mac: mac ?? formatMac(macFromIpv4(parseIpv4(address))),
          aliases: [...(spec.aliases ?? [])],
          sandbox: spec.sandbox ?? id,
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

  disconnect(networkName: string, endpointName: string): Promise<void> {
    return this.change(async () => {
      const network = this.network(networkName)
      const endpoint = network.endpoints.get(endpointName)
      if (endpoint === undefined) throw new NetworkError('not-found', `endpoint ${endpointName} is not connected to network ${networkName}`)
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
  command(network: Network, endpoint: Endpoint, verb: string, argument: Plain): Promise<Plain> {
    return this.engine.command(endpointElement(network, endpoint), verb, argument)
  }

  /** What each endpoint's own element has counted; drops of its frames anywhere are in `ingressDrops`. */
  endpointCounters(network: Network, endpoint: Endpoint): ElementCounters {
    return this.engine.counters().get(endpointElement(network, endpoint)) ?? { counters: {}, drops: {}, ingressDrops: {} }
  }

  async close(): Promise<void> {
    await this.last.catch(() => {})
    await this.engine.close()
  }

  private requestPools(id: string, spec: NetworkSpec): [AddressPool, AddressPool | null] {
    const { addresses } = this.options
    const { gateway, ipRange, auxAddresses: auxiliary } = spec
    const more = { gateway, ipRange, auxiliary }
    const pool =
      spec.subnet === undefined ? addresses.addDefaultPool(id, [], more) : addresses.addPool(id, { subnet: spec.subnet, ...more })
    if (pool.family !== 4) {
      addresses.removePool(id)
      throw new NetworkError('invalid', `subnet '${spec.subnet}' is not IPv4`, {
        fix: 'give an IPv6 subnet as subnet6, beside an IPv4 one'
      })
    }
    if (spec.subnet6 === undefined) return [pool, null]
    try {
      const pool6 = addresses.addPool(`${id}/6`, { subnet: spec.subnet6, gateway: spec.gateway6 })
      if (pool6.family === 6) return [pool, pool6]
      addresses.removePool(`${id}/6`)
      throw new NetworkError('invalid', `subnet6 '${spec.subnet6}' is not IPv6`)
    } catch (error) {
      addresses.removePool(id)
      throw error
    }
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
    return buildTopology(this.byName.values(), this.capturePlan, this.engine.virtual ? 'servfail' : 'silent')
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
    const request = event as { kind: string; id: number } & ForwardRequest
    if (request.kind !== 'dns-forward') return
    const answer = this.options.forward?.(request) ?? Promise.resolve(null)
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
