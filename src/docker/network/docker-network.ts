import { BridgeOption, boolOption } from './bridge-options.ts'
import type { NetworkEndpoint, NetworkRecord } from './network-record.ts'

/** The network of containers that name none. */
export const BRIDGE = 'bridge'

/** Names that every daemon has from the start, and `default`, which stands for the first of them. */
export const PREDEFINED = [BRIDGE, 'host', 'none', 'default'] as const

export function isPredefined(name: string): boolean {
  return (PREDEFINED as readonly string[]).includes(name)
}

const DEFAULT_MTU = 1500

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

  /** Whether frames cross it: not so of host, null and mere configurations. */
  get isBridge(): boolean {
    return this.record.driver === 'bridge'
  }

  /** Not one of the daemon's own. */
  get isUserDefined(): boolean {
    return !isPredefined(this.record.name)
  }

  /** Bytes. */
  get mtu(): number {
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
