/**
 * A network as the control plane keeps it.
 */
import type { Plain } from '../engine/index.ts'
import type { AddressPool } from '../ipam/address-pool.ts'
import type { Driver } from './driver.ts'
import type { Endpoint } from './endpoint.ts'
import type { NetworkGateway } from './gateway-part.ts'
import type { LinkShape } from './link-shape.ts'
import type { RemoteEndpoint } from './remote-endpoint.ts'

/** One subnet that a user asks for: see NetworkSpec. */
export interface SubnetSpec {
  readonly subnet: string
  readonly gateway?: string | null
  readonly ipRange?: string
  readonly auxAddresses?: Readonly<Record<string, string>>
}

/** What a user asks for. */
export interface NetworkSpec {
  /**
   * 64 hexadecimal digits, for a network that is restored or whose caller draws ids; drawn by default. Who chooses the id also
   * chooses the name: only then may it be any text, and that of another network too.
   */
  readonly id?: string
  /** Letters, digits, `_`, `.` and `-`, beginning with a letter or digit. */
  readonly name: string
  /** `bridge` by default; others as the controller was given drivers. */
  readonly driver?: string
  /** What only the driver knows of: see its own options. */
  readonly driverOptions?: Plain
  /** IPv4 CIDR; without one the next free default subnet is taken. */
  readonly subnet?: string
  /** IPv6 CIDR; without one the network has no IPv6. */
  readonly subnet6?: string
  /**
   * Addresses inside the subnets; by default the first ones, or none where the driver's networks are not routed by the engine.
   * null: none, the address is an endpoint's like any other.
   */
  readonly gateway?: string | null
  readonly gateway6?: string | null
  /** CIDR inside the subnet, from which addresses are given out. */
  readonly ipRange?: string
  readonly ipRange6?: string
  /** Names and addresses that are never given out. */
  readonly auxAddresses?: Readonly<Record<string, string>>
  readonly auxAddresses6?: Readonly<Record<string, string>>
  /**
   * More subnets, of either family, beside `subnet` and `subnet6`. Automatic IPv4 addresses come from the first that is not full, IPv6
   * ones from `subnet6`; an address that is asked for may be of any.
   */
  readonly subnets?: readonly SubnetSpec[]
  /** No way out: names outside are not forwarded, endpoints get no default route. */
  readonly internal?: boolean
  /**
   * Default true. false: its endpoints have no names here, as on Docker's default bridge. They may still ask 127.0.0.11, for
   * names of other networks that they are on and for names outside.
   */
  readonly dns?: boolean
  /** Inter-container communication, default true. false: endpoints reach the gateway and not each other. */
  readonly icc?: boolean
  /**
   * Default false. true: with `icc` off, `EndpointUpdate.allow` opens single ports between two endpoints. Only where the engine's gateway
   * routes the network.
   */
  readonly iccRules?: boolean
  /** Longest packet, bytes; default 1500. */
  readonly mtu?: number
  /** Default true: what leaves by an uplink gets its address. Only where the controller has an uplink. */
  readonly masquerade?: boolean
  /** The host's interface on the network, where the uplink gives it one; default `br-` and 12 digits of the id. */
  readonly bridgeName?: string
  /** The emulated link of each endpoint that is given none of its own. */
  readonly link?: LinkShape
}

export interface Network {
  /** 64 hexadecimal digits. */
  readonly id: string
  readonly name: string
  readonly driver: Driver
  /** First part of its elements' names: the network's name unless another network has it. */
  readonly element: string
  readonly internal: boolean
  readonly dns: boolean
  readonly icc: boolean
  readonly iccRules: boolean
  readonly mtu: number
  readonly masquerade: boolean
  readonly bridgeName: string
  /** Of endpoints that come; null: they are not shaped. */
  link: LinkShape | null
  /** How it is joined to the engine's gateway; null: that does not route it. */
  readonly gateway: NetworkGateway | null
  /** IPv4 addresses, of the first subnet. */
  readonly pool: AddressPool
  /** IPv6 addresses, of the first subnet; null without IPv6. */
  readonly pool6: AddressPool | null
  /** All subnets: `pool`, then `pool6`, then the others as they were asked for. */
  readonly pools: readonly AddressPool[]
  readonly driverOptions: Plain
  /** By name. */
  readonly endpoints: Map<string, Endpoint>
  /** Stations on other hosts, by endpoint id. */
  readonly remotes: Map<string, RemoteEndpoint>
}

/** The network that a user asks for, with what is so by default; `element` and `pools` are its own. */
export function requestedNetwork(
  spec: NetworkSpec,
  id: string,
  driver: Driver,
  element: string,
  pools: Pick<Network, 'pool' | 'pool6' | 'pools'>
): Omit<Network, 'gateway'> {
  return {
    id,
    name: spec.name,
    driver,
    element,
    internal: spec.internal ?? false,
    dns: spec.dns ?? true,
    icc: spec.icc ?? true,
    iccRules: spec.iccRules ?? false,
    mtu: spec.mtu ?? 1500,
    masquerade: spec.masquerade ?? true,
    bridgeName: spec.bridgeName ?? `br-${id.slice(0, 12)}`,
    link: spec.link ?? null,
    driverOptions: spec.driverOptions,
    ...pools,
    endpoints: new Map(),
    remotes: new Map()
  }
}

/**
 * The order in which a sandbox on several networks prefers them, for its way out and for names: a negative number when `a` comes
 * before `b`. Docker's (libnetwork, `endpoint` heap): internal ones last, those with gateways of both families first, then by name.
 */
export function compareNetworks(a: Network, b: Network): number {
  return rank(a) - rank(b) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
}

function rank({ internal, pool, pool6 }: Network): number {
  if (internal) return 2
  return pool.gateway !== null && typeof pool6?.gateway === 'string' ? 0 : 1
}
