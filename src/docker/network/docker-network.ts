import { parseAddress, parseCidr, prefixContains } from '../../wire/cidr.ts'
import { BridgeOption, boolOption } from './bridge-options.ts'
import type { NetworkEndpoint, NetworkRecord } from './network-record.ts'
import { overlayMtu } from './overlay-options.ts'

/** The network of containers that name none. */
export const BRIDGE = 'bridge'

/** Leads out of networks without a way out; made when the first container needs it. */
export const GATEWAY_BRIDGE = 'docker_gwbridge'

/** Names that every daemon has from the start, and `default`, which stands for the first of them. */
export const PREDEFINED = [BRIDGE, 'host', 'none', 'default'] as const

export function isPredefined(name: string): boolean {
  return (PREDEFINED as readonly string[]).includes(name)
}

const DEFAULT_MTU = 1500

/** Options of Docker's macvlan and ipvlan drivers. */
export const ParentOption = {
  parent: 'parent',
  macvlanMode: 'macvlan_mode',
  ipvlanMode: 'ipvlan_mode',
  ipvlanFlag: 'ipvlan_flag'
} as const

/** A network with the endpoints that are on it now. */
export class DockerNetwork {
  readonly record: NetworkRecord
  /** By owner. */
  readonly endpoints = new Map<string, NetworkEndpoint>()

  constructor(record: NetworkRecord) {
    this.record = record
  }

  get id(): string {
    return this.record.id
  }

  get name(): string {
    return this.record.name
  }

  get isBridge(): boolean {
    return this.record.driver === 'bridge'
  }

  /** Its containers stand on an interface of the host, or on none. */
  get isParented(): boolean {
    return this.record.driver === 'macvlan' || this.record.driver === 'ipvlan'
  }

  /** Made by this daemon's own controller, and kept in its store. */
  get isOwn(): boolean {
    return this.isBridge || this.isParented
  }

  /** Nobody outside can be reached. Docker's macvlan and ipvlan drivers take a network without a parent for an internal one. */
  get isClosed(): boolean {
    return this.record.internal || (this.isParented && !this.record.options[ParentOption.parent])
  }

  /** Its containers share the MAC of an interface and have none of their own. */
  get hasOneMac(): boolean {
    return this.record.driver === 'ipvlan'
  }

  /** Nothing is asked for by ARP there, and the default route names no gateway: ipvlan in modes l3 and l3s. */
  get isPointToPoint(): boolean {
    return this.hasOneMac && ['l3', 'l3s'].includes(this.record.options[ParentOption.ipvlanMode] ?? '')
  }

  /** Joins containers of several hosts. */
  get isOverlay(): boolean {
    return this.record.driver === 'overlay'
  }

  /** Whether its endpoints are interfaces whose frames cross the engine: not so of host, null and mere configurations. */
  get isPlugged(): boolean {
    return this.isOwn || this.isOverlay
  }

  /** Whether all hosts of a cluster know it. */
  get scope(): 'local' | 'global' {
    return this.isOverlay ? 'global' : 'local'
  }

  /** Where its endpoints' default routes lead; empty: nowhere. An overlay's gateway leads to its other subnets alone. */
  get gateway(): string {
    return this.isOverlay ? '' : (this.record.pool?.gateway ?? '')
  }

  get gateway6(): string {
    return this.isOverlay ? '' : (this.record.pool6?.gateway ?? '')
  }

  /** Where the default route of an endpoint with this address leads; empty: nowhere, or out by the interface itself. */
  gatewayFor(address: string): string {
    const { record } = this
    if (!this.isParented) return address.includes(':') ? this.gateway6 : this.gateway
    if (this.isClosed || this.isPointToPoint) return ''
    const pools = address.includes(':') ? record.ipamConfig6 : record.ipamConfig
    return pools.find(({ Subnet }) => prefixContains(parseCidr(Subnet!), parseAddress(address)))?.Gateway ?? ''
  }

  /** Not one of the daemon's own. */
  get isUserDefined(): boolean {
    return !isPredefined(this.record.name)
  }

  /** From an address on an overlay to its other subnets: by the gateway of the address's own. */
  routesFrom(address: string): { readonly to: string; readonly via: string }[] {
    const { subnets = [] } = this.record
    const own = subnets.find(({ subnet }) => prefixContains(parseCidr(subnet), parseAddress(address)))
    return own === undefined ? [] : subnets.flatMap(({ subnet }) => (subnet === own.subnet ? [] : [{ to: subnet, via: own.gateway }]))
  }

  /** Bytes. */
  get mtu(): number {
    if (this.isOverlay) return overlayMtu(this.record.options)
    const mtu = Number(this.record.options[BridgeOption.mtu])
    return mtu > 0 ? mtu : DEFAULT_MTU
  }

  /** Interfaces in containers are called so, and a number. */
  get interfacePrefix(): string {
    return this.record.options[BridgeOption.interfacePrefix] ?? 'eth'
  }

  get icc(): boolean {
    return boolOption(this.record.options, BridgeOption.icc, true)
  }

  get masquerade(): boolean {
    return boolOption(this.record.options, BridgeOption.masquerade, true)
  }

  /** Where ports are published that name no address: an IPv4 address, 0.0.0.0 for all. */
  get hostBinding(): string {
    return this.record.options[BridgeOption.hostBinding] ?? this.record.options[BridgeOption.hostBindingOld] ?? '0.0.0.0'
  }

  /** Throws nothing; undefined when there is none of the name. */
  endpointNamed(name: string): NetworkEndpoint | undefined {
    for (const endpoint of this.endpoints.values()) if (endpoint.name === name) return endpoint
    return undefined
  }
}

/**
 * The order in which a container's networks are numbered, and its way out is chosen: a negative number when `a` comes before `b`.
 * libnetwork's (`endpoint` heap): internal ones last, those with gateways of both families first, then by name.
 */
export function compareDockerNetworks(a: DockerNetwork, b: DockerNetwork): number {
  return rank(a) - rank(b) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
}

function rank({ record, gateway, gateway6 }: DockerNetwork): number {
  if (record.internal) return 2
  return gateway !== '' && gateway6 !== '' ? 0 : 1
}
