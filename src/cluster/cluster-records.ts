/**
 * What is kept in the store, and how it is shown to the daemon.
 */
import type { Plain } from '../engine/index.ts'
import type { PoolOptions } from '../ipam/address-pool.ts'
import { ClusterError } from './cluster-error.ts'
import type { StoreEntry } from './cluster-store.ts'

/** One daemon. */
export interface ClusterHost {
  /** Of its own, kept over restarts; drawn once. */
  readonly id: string
  /** The host's name, for people. */
  readonly name: string
  /** Its VTEP: where the others send encapsulated frames. */
  readonly address: string
  /** UDP port of its VTEP; without it 4789. */
  readonly vxlanPort?: number
  /** `ADDRESS:PORT` where it answers the question whether it lives; see host-probe. */
  readonly advertise?: string
}

/** A subnet as asked for; without `subnet` the next free default one, without `vni` the next free one when it is needed. */
export type ClusterSubnetSpec = Omit<PoolOptions, 'subnet'> & { readonly subnet?: string; readonly vni?: number }

export interface ClusterNetworkSpec {
  /** 64 hexadecimal digits. */
  readonly id: string
  /** Unique in the cluster. */
  readonly name: string
  readonly subnets: readonly ClusterSubnetSpec[]
  /** Whatever the daemons want to know of it, JSON: labels, options. Nothing here reads it. */
  readonly detail: Plain
}

export interface ClusterSubnet {
  /** Host bits cleared. */
  readonly subnet: string
  readonly ipRange: string | null
  readonly gateway: string | null
  readonly auxiliary: Readonly<Record<string, string>>
  /** From 256 on; null before its first endpoint. */
  readonly vni: number | null
}

export interface ClusterNetwork {
  readonly id: string
  readonly name: string
  readonly subnets: readonly ClusterSubnet[]
  readonly detail: Plain
}

/** As the store has it. */
export interface EndpointRecord {
  /** 64 hexadecimal digits. */
  readonly id: string
  readonly networkId: string
  /** Unique in the network. */
  readonly name: string
  /** All names that it is found by; the first is what a PTR question is answered. */
  readonly names: readonly string[]
  readonly address: string
  /** The subnet that the address was requested from. */
  readonly subnet: string
  readonly address6?: string
  readonly subnet6?: string
  readonly mac: string
  readonly hostId: string
  /** The host's VTEP when the endpoint was made. */
  readonly vtep: string
  /** As a network's. */
  readonly detail?: Plain
}

export interface ClusterEndpoint extends EndpointRecord {
  /** Of the host as it is now; the recorded one while the host is away. */
  readonly vtep: string
  /** Whether its host is there. When not, it keeps its name and addresses and nothing is sent to it. */
  readonly isAlive: boolean
}

/** What a daemon adds: whose it is, is known. */
export type ClusterEndpointSpec = Omit<EndpointRecord, 'hostId' | 'vtep'>

/** All that a value needs to be taken for a record; more is nobody else's business. */
const TEXTS = {
  host: ['id', 'name', 'address'],
  network: ['id', 'name'],
  endpoint: ['id', 'networkId', 'name', 'address', 'subnet', 'mac', 'hostId', 'vtep']
} as const
const LISTS = { host: [], network: ['subnets'], endpoint: ['names'] } as const

/** undefined: not written by us (a person, another program); it is left alone. */
export function readRecord<T>(kind: keyof typeof TEXTS, text: string): T | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const members = value as Record<string, unknown>
  const isWhole =
    TEXTS[kind].every((name) => typeof members[name] === 'string') && LISTS[kind].every((name) => Array.isArray(members[name]))
  return isWhole ? (value as T) : undefined
}

/** The value of one of our books, or `empty` when it was never written. Throws ClusterError when it is no JSON. */
export function readBook<T>(entry: StoreEntry | undefined, empty: T): T {
  if (entry === undefined) return empty
  try {
    return JSON.parse(entry.value) as T
  } catch (cause) {
    throw new ClusterError('invalid', `${entry.key} in the store is damaged: it is no JSON`, { cause })
  }
}

/** The addresses of an endpoint with the subnets that they are from. */
export function addressesOf(
  endpoint: Pick<EndpointRecord, 'address' | 'subnet' | 'address6' | 'subnet6'>
): { address: string; subnet: string }[] {
  const { address, subnet, address6, subnet6 } = endpoint
  return [{ address, subnet }, ...(address6 !== undefined && subnet6 !== undefined ? [{ address: address6, subnet: subnet6 }] : [])]
}
