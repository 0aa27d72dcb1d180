/**
 * From a create request to what is to be made, with everything filled in, as far as Docker checks it before it asks the driver.
 */
import { ApiError } from '../../api/api-error.ts'
import type { NetworkCreateRequest } from '../../api/network-json.ts'
import type { DockerNetwork } from './docker-network.ts'
import { splitByFamily } from './ipam-request.ts'
import { checkConfiguration, checkDriver } from './network-checks.ts'
import type { NetworkRecord } from './network-record.ts'

/** A record without what making the network adds. */
export type RequestedNetwork = Omit<NetworkRecord, 'created' | 'sequence' | 'pool' | 'pool6'>

/** Throws ApiError. `networks`: where the configuration may come from. */
export function networkRequest(request: NetworkCreateRequest, id: string, networks: Iterable<DockerNetwork>): RequestedNetwork {
  const { v4, v6 } = splitByFamily(request.IPAM?.Config ?? [])
  checkConfiguration(request)
  const asked: RequestedNetwork = {
    id,
    name: request.Name ?? '',
    driver: request.ConfigOnly === true ? 'null' : request.Driver || 'bridge',
    internal: request.Internal === true,
    attachable: request.Attachable === true,
    enableIpv6: request.EnableIPv6 === true,
    configOnly: request.ConfigOnly === true,
    configFrom: request.ConfigFrom?.Network ?? '',
    ipamDriver: request.IPAM?.Driver || 'default',
    ipamOptions: request.IPAM?.Options ?? null,
    ipamConfig: v4,
    ipamConfig6: v6,
    options: request.Options ?? {},
    labels: request.Labels ?? {}
  }
  if (asked.configOnly) return asked
  checkDriver(asked.driver, request)
  return asked.configFrom === '' ? asked : configured(asked, networks)
}

function configured(asked: RequestedNetwork, networks: Iterable<DockerNetwork>): RequestedNetwork {
  for (const { record } of networks) {
    if (!record.configOnly || record.name !== asked.configFrom) continue
    const { enableIpv6, ipamDriver, ipamOptions, ipamConfig, ipamConfig6, options, labels } = record
    return { ...asked, enableIpv6, ipamDriver, ipamOptions: ipamOptions ?? asked.ipamOptions, ipamConfig, ipamConfig6, options, labels }
  }
  throw ApiError.notFound(`configuration network ${JSON.stringify(asked.configFrom)} does not exist`)
}
