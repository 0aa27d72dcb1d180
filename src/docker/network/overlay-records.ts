/**
 * Between the cluster's records and Docker's: networks and endpoints of overlays, and what the cluster refuses.
 */
import { ApiError } from '../../api/api-error.ts'
import { ClusterError, isAway } from '../../cluster/cluster-error.ts'
import type { ClusterEndpointSpec, ClusterNetwork } from '../../cluster/cluster-records.ts'
import { IpamError } from '../../ipam/ipam-error.ts'
import type { Store } from '../../store/store.ts'
import { parseAddress, parseCidr, prefixContains } from '../../wire/cidr.ts'
import type { NetworkEndpoint, NetworkRecord, OverlayDetail } from './network-record.ts'

/** What is kept of a network in the store, beside what the cluster itself knows. */
export interface NetworkDetail {
  readonly record: Omit<NetworkRecord, 'id' | 'name' | 'pool' | 'pool6'>
}

/** Endpoints of containers that outlived the last daemon of this host, as far as its own store knows them. */
export function keptEndpoints(store: Store): ClusterEndpointSpec[] {
  return Array.from(store.list<NetworkEndpoint>('endpoint/'), ([, endpoint]) => endpoint).flatMap((endpoint) => {
    const { id, networkId, name, address, address6, mac, overlay } = endpoint
    if (overlay === undefined) return []
    const { names, subnet, subnet6 } = overlay
    return [{ id, networkId, name, names, address, subnet, mac, ...(subnet6 !== undefined && { address6, subnet6 }) }]
  })
}

/** What those endpoints stand on. */
export function keptOverlays(store: Store): OverlayDetail[] {
  return Array.from(store.list<NetworkEndpoint>('endpoint/'), ([, { overlay }]) => overlay ?? []).flat()
}

/** As this host keeps it in memory. */
export function recordOf({ id, name, subnets, detail }: ClusterNetwork): NetworkRecord {
  const pools = subnets.map(({ subnet, gateway }) => ({ subnet, gateway: gateway ?? '' }))
  const v4 = pools.filter(({ subnet }) => !subnet.includes(':'))
  const pool6 = pools.find(({ subnet }) => subnet.includes(':')) ?? null
  return { ...(detail as NetworkDetail).record, id, name, pool: v4[0]!, pool6, subnets: v4 }
}

/** The subnet that an address is asked of; the first one when any will do. Throws IpamError. */
export function subnetOf(record: NetworkRecord, address: string | undefined): string {
  if (address === undefined) return record.pool!.subnet
  const found = record.subnets?.find(({ subnet }) => prefixContains(parseCidr(subnet), parseAddress(address)))
  if (found === undefined) throw new IpamError('IPAM_OUTSIDE', 'ip', address, 'does not belong to a subnet of the network')
  return found.subnet
}

/** What the cluster refuses, for Docker's API; other errors as they are. */
export function plainError(error: unknown): unknown {
  if (!(error instanceof ClusterError)) return error
  if (isAway(error)) return ApiError.internal(`the cluster store cannot be reached: ${error.message}`, { cause: error })
  return error.code === 'not-found'
    ? ApiError.notFound(error.message, { cause: error })
    : ApiError.internal(error.message, { cause: error })
}
