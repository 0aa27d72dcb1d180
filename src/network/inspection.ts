/**
 * What the engine holds right now, in rows for people and programs: flows, routes, neighbors, FDBs, drops.
 */
import { dropReasons } from '../engine/index.ts'
import type { NetworkController } from './controller.ts'
import { elementRegistry } from './element-registry.ts'
import type { Endpoint } from './endpoint.ts'
import { type Explanation, explain } from './explain.ts'
import { NAT_ELEMENT, ROUTER_ELEMENT } from './gateway-part.ts'
import type { Network } from './network.ts'
import { NetworkError } from './network-error.ts'

/** One direction of a flow as its frames come in; ports are 0 where the protocol has none, and the identifier of an echo. */
export interface FlowEnd {
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  readonly packets: number
}

/** A tracked flow. */
export interface FlowRow {
  /** `tcp`, `udp`, `icmp`, `icmpv6`, or a number. */
  readonly protocol: string
  /** Of a TCP connection; null for others. */
  readonly state: string | null
  readonly original: FlowEnd
  /** As its answers come in: what was translated shows in the difference. */
  readonly reply: FlowEnd
  /** Interfaces of the gateway; egress is null until a packet has left. */
  readonly ingress: string
  readonly egress: string | null
  readonly snat: boolean
  readonly dnat: boolean
  readonly unreplied: boolean
  /** Seconds until it is forgotten. */
  readonly timeout: number
}

/** All that is given must hold. */
export interface FlowFilter {
  /** At any place. */
  readonly address?: string
  readonly protocol?: string
  readonly port?: number
}

export interface RouteRow {
  /** CIDR. */
  readonly prefix: string
  /** local, broadcast, connected, static. */
  readonly kind: string
  readonly via: string | null
  /** By which it leaves. */
  readonly interface: string
  readonly active: boolean
}

export interface NeighborRow {
  readonly address: string
  readonly mac: string | null
  readonly interface: string
  /** Of RFC 4861 7.3.2, and failed. */
  readonly state: string
  /** Seconds since it was confirmed. */
  readonly age: number
  /** Frames that wait for its MAC. */
  readonly waiting: number
}

export interface FdbRow {
  readonly network: string
  readonly mac: string
  /** The bridge's. */
  readonly port: number
  /** Who is plugged in there; `gateway` for port 0. */
  readonly endpoint: string
  readonly static: boolean
  /** Seconds since it was heard. */
  readonly age: number
}

export interface DropRow {
  readonly element: string
  /** `area.name`. */
  readonly reason: string
  /** One sentence. */
  readonly text: string
  readonly frames: number
}

export class Inspection {
  private readonly controller: NetworkController

  constructor(controller: NetworkController) {
    this.controller = controller
  }

  /** Throws NetworkError `unsupported` without a gateway, as do routes and neighbors. */
  async flows(filter: FlowFilter = {}, limit = 1000): Promise<FlowRow[]> {
    const rows = (await this.gateway(NAT_ELEMENT, 'flows', { limit, filter })) as FlowRow[]
    return rows.map(({ protocol, state, original, reply, ingress, egress, snat, dnat, unreplied, timeout }) => {
      return { protocol, state, original, reply, ingress, egress, snat, dnat, unreplied, timeout }
    })
  }

  async routes(): Promise<RouteRow[]> {
    const rows = (await this.gateway(ROUTER_ELEMENT, 'routes', null)) as (Omit<RouteRow, 'interface'> & { name: string })[]
    return rows.map(({ prefix, kind, via, name, active }) => ({ prefix, kind, via, interface: name, active }))
  }

  async neighbors(): Promise<NeighborRow[]> {
    const rows = (await this.gateway(ROUTER_ELEMENT, 'neighbors', {})) as (Omit<NeighborRow, 'interface'> & { name: string })[]
    return rows.map(({ address, mac, name, state, age, waiting }) => ({ address, mac, interface: name, state, age, waiting }))
  }

  /** Of one network (id or name), or of all. Throws NetworkError `not-found`. */
  async fdb(reference?: string): Promise<FdbRow[]> {
    const { networks, engine } = this.controller
    const asked = reference === undefined ? [...networks.values()] : [this.controller.network(reference)]
    const rows: FdbRow[] = []
    for (const network of asked) {
      const names = portNames(network)
      const entries = (await engine.command(network.driver.element(network), 'fdb', null)) as Omit<FdbRow, 'network' | 'endpoint'>[]
      for (const { mac, port, static: isStatic, age } of entries) {
        rows.push({ network: network.name, mac, port, endpoint: names.get(port) ?? '', static: isStatic, age })
      }
    }
    return rows
  }

  /** The most frequent first. */
  drops(): DropRow[] {
    const texts = dropTexts()
    const rows: DropRow[] = []
    for (const [element, { drops }] of this.controller.engine.counters()) {
      for (const [reason, frames] of Object.entries(drops)) rows.push({ element, reason, text: texts.get(reason) ?? '', frames })
    }
    return rows.sort((a, b) => b.frames - a.frames || (a.element < b.element ? -1 : 1))
  }

  /** See explain.ts. */
  explain(from: string, to: string): Promise<Explanation> {
    return explain(this.controller, from, to)
  }

  private gateway(element: string, verb: string, argument: unknown): Promise<unknown> {
    if (this.controller.hasGateway) return this.controller.engine.command(element, verb, argument)
    throw new NetworkError('unsupported', 'networks are not routed here: there is no uplink', {
      fix: 'start the daemon with --uplink host, interface=NAME, user or none'
    })
  }
}

function portNames(network: Network): Map<number, string> {
  const names = new Map([[0, 'gateway']])
  for (const endpoint of network.endpoints.values()) names.set(portOf(network, endpoint), endpoint.name)
  return names
}

function portOf(network: Network, endpoint: Endpoint): number {
  return network.driver.port(network, endpoint)[1]
}

/** The engine's thread declares the reasons as its elements are loaded; loading the same ones here gives the sentences. */
export function dropTexts(): ReadonlyMap<string, string> {
  elementRegistry()
  return new Map(dropReasons().map(({ name, text }) => [name, text]))
}
