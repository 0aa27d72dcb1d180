/**
 * The gateway of all networks, as the control plane keeps it: interfaces, published ports and the uplink behind them.
 *
 * The controller calls it inside its line of changes, so nothing here runs twice at once. What can be undone is undone here; what
 * goes into a network's own patch is handed out as parts and updates.
 */
import type { NatSettings } from '../elements/nat/nat-options.ts'
import type { ElementUpdate } from '../engine/index.ts'
import { formatMac, macFromIpv4, parseIpv4 } from '../wire/address.ts'
import { formatPrefix } from '../wire/cidr.ts'
import type { CaptureWire } from './capture-point.ts'
import type { EngineHost } from './engine-host.ts'
import { gatewayPart, type NetworkGateway, ROUTER_ELEMENT, UPLINK_INTERFACE, uplinkWire } from './gateway-part.ts'
import { gatewayAddresses, hostRecords, networkRecords, portRecords, uplinkRecords } from './gateway-records.ts'
import type { Network } from './network.ts'
import { NetworkError } from './network-error.ts'
import { NumberPool } from './number-pool.ts'
import type { Uplink, UplinkPart, UplinkPort } from './uplink.ts'

/** Networks with a gateway, and the uplink. Of the router's 32,768 interfaces those from here on are for others (emulated underlays). */
export const NAT_INTERFACES_MAX = 4096

export interface GatewayOptions {
  readonly uplink: Uplink
  readonly nat: NatSettings
  readonly engine: EngineHost
  /** For what nobody asked for but an operator should read. */
  readonly log: (message: string) => void
  /** Runs a change after those before it. */
  readonly change: (work: () => Promise<void>) => Promise<void>
}

export class Gateway {
  private readonly options: GatewayOptions
  private readonly numbers = new NumberPool(NAT_INTERFACES_MAX)
  /** Interface numbers by network id. */
  private readonly interfaces = new Map<string, number>()
  private readonly ports = new Map<string, UplinkPort>()
  /** Destinations that lie behind the uplink. */
  private routes: readonly string[] = []
  private servesLoopback = false
  /** The way out as it is now; null: none. */
  private part: UplinkPart | null = null
  private isStarted = false

  constructor(options: GatewayOptions) {
    this.options = options
    this.numbers.take() // UPLINK_INTERFACE
  }

  /** Starts the uplink and puts NAT and router into the graph; once, further calls do nothing. Rejects with what the uplink throws. */
  async start(): Promise<void> {
    if (this.isStarted) return
    const { uplink, nat, engine, log } = this.options
    try {
      const part = await uplink.start({
        hostAddresses: (addresses) => this.hostMoved(addresses),
        changed: (changed) => this.uplinkChanged(changed),
        listen: (element, listener) => engine.listen(element, listener),
        log,
        failed: (error) => log(`the uplink '${uplink.kind}' is gone: ${error.message}; networks go on without a way out`)
      })
      const { elements, links: linked } = gatewayPart(part, nat)
      const updates = part === null ? [] : [...uplinkRecords(part), ...hostRecords(part.hostAddresses)]
      await engine.patch({ elements, linked, updates })
      this.part = part
      this.routes = Object.keys(part?.routes ?? {})
      this.servesLoopback = part?.servesLoopback === true
    } catch (error) {
      await uplink.close().catch(() => {}) // the first error says why
      throw error
    }
    this.isStarted = true
  }

  /** What else may keep back what leaves by the uplink. */
  get obstacles(): readonly string[] {
    return this.options.uplink.obstacles?.() ?? []
  }

  /**
   * Prepares a place for a network whose elements come next; null for one without a gateway. `dismiss` undoes it.
   * Throws NetworkError `exhausted`, and what the uplink throws.
   */
  async admit(network: Omit<Network, 'gateway'>): Promise<NetworkGateway | null> {
    const { pool, pool6, id, name, bridgeName, mtu, internal, masquerade } = network
    if (pool.gateway === null) return null
    const number = this.numbers.take()
    if (number < 0) throw new NetworkError('exhausted', `there are ${NAT_INTERFACES_MAX - 1} networks with a gateway: no more fit`)
    const mac = formatMac(macFromIpv4(parseIpv4(pool.gateway)))
    const [gateway, gateway6 = null] = gatewayAddresses(network)
    try {
      const given = await this.options.uplink.addNetwork({
        id,
        name,
        bridgeName,
        subnet: formatPrefix(pool.prefix),
        subnet6: pool6 === null ? null : formatPrefix(pool6.prefix),
        gateway,
        gateway6,
        mac,
        mtu,
        internal,
        masquerade
      })
      this.interfaces.set(id, number)
      return { interface: number, mac, tap: given?.tap ?? null }
    } catch (error) {
      this.numbers.give(number)
      throw error
    }
  }

  /** The elements of a network are gone, or did not come. Rejects with what the uplink throws; the place is free all the same. */
  async dismiss(id: string): Promise<void> {
    const number = this.interfaces.get(id)
    if (number === undefined) return
    this.interfaces.delete(id)
    this.numbers.give(number)
    await this.options.uplink.removeNetwork(id)
  }

  /** What belongs into the patch in which the network comes or ends. */
  networkUpdates(network: Network, ends: boolean): ElementUpdate[] {
    return network.gateway === null ? [] : networkRecords(network, network.gateway, ends)
  }

  /** All of these or none. Throws NetworkError `conflict` for a key that is used, `invalid`, and UplinkPortError. */
  async publish(ports: readonly UplinkPort[]): Promise<void> {
    const { uplink, engine } = this.options
    const keys = new Set<string>()
    for (const { key, network } of ports) {
      if (this.ports.has(key) || keys.has(key)) throw new NetworkError('conflict', `the port '${key}' is published already`)
      if (!this.interfaces.has(network)) throw new NetworkError('invalid', `port '${key}': its network ${network} has no gateway`)
      keys.add(key)
    }
    await uplink.publish(ports)
    try {
      await engine.patch({ updates: this.portUpdates(ports, false) })
    } catch (error) {
      await uplink.unpublish([...keys]).catch(() => {}) // the first error says why
      throw error
    }
    for (const port of ports) this.ports.set(port.key, port)
  }

  /** Keys that are not known are no error. */
  async unpublish(keys: readonly string[]): Promise<void> {
    const gone = keys.flatMap((key) => this.ports.get(key) ?? [])
    if (gone.length === 0) return
    await this.options.engine.patch({ updates: this.portUpdates(gone, true) })
    for (const { key } of gone) this.ports.delete(key)
    await this.options.uplink.unpublish(gone.map(({ key }) => key))
  }

  /** Keys of what is published on a network. */
  publishedOn(id: string): string[] {
    return [...this.ports.values()].filter(({ network }) => network === id).map(({ key }) => key)
  }

  /** Where the way out can be captured; that of an emulated host is a cable of its lab. */
  captureWires(): CaptureWire[] {
    return this.part === null || this.options.uplink.kind === 'emulated' ? [] : [uplinkWire(this.part)]
  }

  /** By interface number: the network's id, or null for the uplink. */
  networkAt(number: number): string | null {
    if (number !== UPLINK_INTERFACE) for (const [id, its] of this.interfaces) if (its === number) return id
    return null
  }

  /** The engine may still run, or be gone already. */
  close(): Promise<void> {
    return this.options.uplink.close()
  }

  private portUpdates(ports: readonly UplinkPort[], ends: boolean): ElementUpdate[] {
    const { interfaces, servesLoopback } = this
    return portRecords(ports, { interfaceOf: ({ network }) => interfaces.get(network) ?? UPLINK_INTERFACE, servesLoopback }, ends)
  }

  private uplinkChanged(part: UplinkPart): Promise<void> {
    const { change, engine } = this.options
    return change(async () => {
      const gone = this.routes.filter((route) => !Object.hasOwn(part.routes, route)).map((route) => [route, null])
      const updates = [...uplinkRecords(part), { element: ROUTER_ELEMENT, change: { routes: Object.fromEntries(gone) } }]
      // Records first: when they are refused, no device has taken its new descriptor, or given up the one that it has.
      await engine.patch({ updates: [...updates, ...hostRecords(part.hostAddresses)] })
      await engine.patch({ elements: part.elements })
      this.part = part
      this.routes = Object.keys(part.routes)
    })
  }

  private hostMoved(addresses: readonly string[]): void {
    const { change, engine, log } = this.options
    change(async () => {
      await engine.patch({ updates: hostRecords(addresses) })
      if (this.part !== null) this.part = { ...this.part, hostAddresses: addresses }
    }).catch((error: Error) => log(`the host's new addresses could not be used: ${error.message}`))
  }
}
