/**
 * A network as the control plane keeps it.
 */
import type { AddressPool } from '../ipam/address-pool.ts'
import type { Driver } from './driver.ts'
import type { Endpoint } from './endpoint.ts'

/** What a user asks for. */
export interface NetworkSpec {
  /** Letters, digits, `_`, `.` and `-`, beginning with a letter or digit. */
  readonly name: string
  /** Only `bridge` so far. */
  readonly driver?: string
  /** IPv4 CIDR; without one the next free default subnet is taken. */
  readonly subnet?: string
  /** IPv6 CIDR; without one the network has no IPv6. */
  readonly subnet6?: string
  /** Addresses inside the subnets; the first ones by default. */
  readonly gateway?: string
  readonly gateway6?: string
  /** CIDR inside the subnet, from which addresses are given out. */
  readonly ipRange?: string
  /** Names and addresses that are never given out. */
  readonly auxAddresses?: Readonly<Record<string, string>>
  /** No way out: names outside are not forwarded, endpoints get no default route. */
  readonly internal?: boolean
}

export interface Network {
  /** 64 hexadecimal digits. */
  readonly id: string
  readonly name: string
  readonly driver: Driver
  readonly internal: boolean
  /** IPv4 addresses. */
  readonly pool: AddressPool
  /** IPv6 addresses; null without IPv6. */
  readonly pool6: AddressPool | null
  /** By name. */
  readonly endpoints: Map<string, Endpoint>
}
