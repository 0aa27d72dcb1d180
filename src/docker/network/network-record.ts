/**
 * What is kept of a network over restarts, under `network/ID`: what was asked for, and what it got.
 */
import type { IpamPoolConfig } from '../../api/network-json.ts'

/** A subnet that the network has, and its gateway. */
export interface PoolRecord {
  readonly subnet: string
  /** Empty: none. */
  readonly gateway: string
}

export interface NetworkRecord {
  readonly id: string
  readonly name: string
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  /** Networks are listed and restored in the order of this number. */
  readonly sequence: number
  /** 'bridge', 'macvlan', 'ipvlan', 'overlay', 'host', 'null'. */
  readonly driver: string
  readonly internal: boolean
  readonly attachable: boolean
  readonly enableIpv6: boolean
  readonly configOnly: boolean
  /** Name of the network that it took its configuration from; empty: none. */
  readonly configFrom: string
  readonly ipamDriver: string
  /** null where the request had none: Docker shows the difference. */
  readonly ipamOptions: Readonly<Record<string, string>> | null
  /** As asked for. */
  readonly ipamConfig: readonly IpamPoolConfig[]
  readonly ipamConfig6: readonly IpamPoolConfig[]
  /** As given; none for host, null and networks that are only configuration. */
  readonly pool: PoolRecord | null
  readonly pool6: PoolRecord | null
  /** All IPv4 subnets of an overlay, `pool` first, each with the gateway that leads to the others. */
  readonly subnets?: readonly PoolRecord[]
  readonly options: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
}

/** An endpoint that is plugged in, kept under `endpoint/NETWORK-ID/CONTAINER-ID`; empty texts where it has no such thing. */
export interface NetworkEndpoint {
  readonly id: string
  readonly networkId: string
  /** The container's name when it was plugged in or renamed. */
  readonly name: string
  /** The container's id; for an endpoint that no container owns `ep-` and the endpoint's. */
  readonly owner: string
  readonly address: string
  readonly prefixLength: number
  readonly address6: string
  readonly prefixLength6: number
  readonly mac: string
  /** On an overlay: what the next daemon needs of the cluster's when the store is away. */
  readonly overlay?: OverlayDetail
}

export interface OverlayDetail {
  /** What it is found by, and the subnets that its addresses are from. */
  readonly names: readonly string[]
  readonly subnet: string
  readonly subnet6?: string
  /** Of `subnet`. */
  readonly vni: number
  readonly network: NetworkRecord
}

export function networkKey(id: string): string {
  return `network/${id}`
}

export function endpointKey({ networkId, owner }: Pick<NetworkEndpoint, 'networkId' | 'owner'>): string {
  return `endpoint/${networkId}/${owner}`
}
