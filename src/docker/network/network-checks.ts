/**
 * What `network create` refuses, in the order in which Docker looks at it.
 */
import { ApiError } from '../../api/api-error.ts'
import type { NetworkCreateRequest } from '../../api/network-json.ts'
import { isPredefined } from './docker-network.ts'

/** Docker's answer wherever a network would have to be known to other daemons. */
export const NO_SWARM =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'

/** Names that no network can have. Whether another network has the name is not looked at. */
export function checkName(name: string, checkDuplicate: boolean): void {
  if (isPredefined(name)) throw ApiError.forbidden(`operation is not permitted on predefined ${name} network `)
  // Docker finds "the" network without a name when it is asked to look for duplicates.
  if (name === '' && checkDuplicate) throw duplicate(name)
  if (name.trim() === '') throw ApiError.internal(`invalid name: ${name}`)
}

export function duplicate(name: string): ApiError {
  return ApiError.conflict(`network with name ${name} already exists`)
}

/** Combinations of members that exclude each other. */
export function checkConfiguration(request: NetworkCreateRequest): void {
  const configFrom = request.ConfigFrom?.Network ?? ''
  if (request.ConfigOnly === true && (request.Ingress || request.Internal || request.Attachable || request.Scope)) {
    throw ApiError.forbidden(
      'configuration network can only contain network specific fields. Network operator fields like ' +
        '[ ingress | internal | attachable | scope ] are not supported.'
    )
  }
  if (configFrom === '') return
  if (request.ConfigOnly === true) throw ApiError.forbidden('a configuration network cannot depend on another configuration network')
  const ipam = request.IPAM
  const hasOwn =
    (ipam?.Driver ?? 'default') !== 'default' ||
    request.EnableIPv6 === true ||
    isFilled(request.Labels) ||
    isFilled(ipam?.Options) ||
    (ipam?.Config?.length ?? 0) > 0
  if (hasOwn) {
    throw ApiError.forbidden('user specified configurations are not supported if the network depends on a configuration network')
  }
  if (isFilled(request.Options)) {
    throw ApiError.forbidden('network driver options are not supported if the network depends on a configuration network')
  }
}

/** Drivers and scopes that there are not, or not here. */
export function checkDriver(driver: string, request: NetworkCreateRequest): void {
  if (!['bridge', 'host', 'ipvlan', 'macvlan', 'null', 'overlay'].includes(driver))
    throw ApiError.notFound(`plugin ${JSON.stringify(driver)} not found`)
  if (request.Ingress === true && driver !== 'overlay') {
    throw ApiError.forbidden('Ingress network can only be global scope network')
  }
  if (request.Scope === 'swarm') throw ApiError.forbidden('cannot create a swarm scoped network when swarm is not active')
  if (driver === 'overlay' && request.Scope === 'local') throw ApiError.forbidden('cannot downgrade network scope for overlay networks')
}

export function checkIpamDriver(driver: string): void {
  if (driver === 'default') return
  throw driver === 'null'
    ? ApiError.notImplemented('the null IPAM driver is not part of netloom: use the default one')
    : ApiError.notFound(`plugin ${JSON.stringify(driver)} not found`)
}

function isFilled(map: Readonly<Record<string, string>> | null | undefined): boolean {
  return map !== null && map !== undefined && Object.keys(map).length > 0
}
