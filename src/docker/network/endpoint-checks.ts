/**
 * What Docker refuses when a container is to be on a network, and what it adds to the wish (moby: daemon/container_operations.go).
 */
import { isIP } from 'node:net'
import { ApiError } from '../../api/api-error.ts'
import type { EndpointConfig } from '../../api/network-json.ts'
import { IpamError } from '../../ipam/ipam-error.ts'
import { NetworkError } from '../../network/network-error.ts'
import { shortId } from '../docker-id.ts'
import type { AttachmentConfig } from './container-networking.ts'
import type { DockerNetwork } from './docker-network.ts'
import { linkShapeOf } from './link-options.ts'
import type { NetworkedContainer } from './networked-container.ts'
import { sharedContainer } from './networking-checks.ts'

export const SHARED = 'container sharing network namespace with another container or host cannot be connected to any other network'
export const HOST_ONLY = 'container cannot be disconnected from host network or connected to host network'
const NONE_ONLY = 'container cannot be connected to multiple networks with one of the networks in private (none) mode'

/** The wish as it is kept: members that were not given are null, empty addresses left out. Throws ApiError for options that cannot be. */
export function attachmentConfig(config: EndpointConfig | null): AttachmentConfig {
  const { IPAMConfig = null, Links = null, Aliases = null, DriverOpts = null } = config ?? {}
  const { IPv4Address, IPv6Address, LinkLocalIPs = [] } = IPAMConfig ?? {}
  linkShapeOf(DriverOpts)
  return {
    IPAMConfig: IPAMConfig && {
      ...(IPv4Address && { IPv4Address }),
      ...(IPv6Address && { IPv6Address }),
      ...(LinkLocalIPs.length > 0 && { LinkLocalIPs: [...LinkLocalIPs] })
    },
    Links: Links && [...Links],
    Aliases: Aliases && [...Aliases],
    DriverOpts: DriverOpts && { ...DriverOpts }
  }
}

/** Checks a wish against its network, and adds the names that every endpoint of a user-defined network has. Throws ApiError. */
export function completeConfig(container: NetworkedContainer, network: DockerNetwork, config: AttachmentConfig): void {
  const { IPv4Address = '', IPv6Address = '' } = config.IPAMConfig ?? {}
  if (!network.isUserDefined) {
    if (IPv4Address !== '' || IPv6Address !== '') {
      throw ApiError.badRequest('user specified IP address is supported on user defined networks only')
    }
    if ((config.Aliases?.length ?? 0) > 0) {
      throw ApiError.badRequest('network-scoped alias is supported only for containers in user defined networks')
    }
    return
  }
  const aliases = (config.Aliases ??= [])
  for (const name of [shortId(container.id), container.config.Hostname]) {
    if (name !== '' && !aliases.includes(name)) aliases.push(name)
  }
  const { ipamConfig, ipamConfig6 } = network.record
  if ((IPv4Address !== '' && ipamConfig.length === 0) || (IPv6Address !== '' && ipamConfig6.length === 0)) {
    throw ApiError.badRequest('user specified IP address is supported only when connecting to networks with user configured subnets')
  }
}

/** Whether the container may be on the network beside those that it is on. Throws ApiError. */
export function checkCompanions(container: NetworkedContainer, network: DockerNetwork, others: Iterable<DockerNetwork>): void {
  const { NetworkMode } = container.hostConfig
  if (NetworkMode !== 'host' && network.record.driver === 'host') throw ApiError.badRequest(HOST_ONLY)
  for (const other of others) {
    if (other === network) return
    if (other.record.driver === 'host' || network.record.driver === 'host') throw ApiError.badRequest(SHARED)
    if (other.name === 'none' || network.name === 'none') throw ApiError.badRequest(NONE_ONLY)
  }
}

export function checkShareable(container: NetworkedContainer): void {
  if (sharedContainer(container.hostConfig.NetworkMode) !== undefined) throw ApiError.badRequest(SHARED)
}

/** Throws ApiError for an address that is none; the bracket is Docker's. */
export function checkAddresses({ IPAMConfig }: AttachmentConfig): void {
  const { IPv4Address = '', IPv6Address = '' } = IPAMConfig ?? {}
  if (IPv4Address !== '' && isIP(IPv4Address) === 0) throw ApiError.internal(`Invalid IPv4 address: ${IPv4Address})`)
  if (IPv6Address !== '' && isIP(IPv6Address) === 0) throw ApiError.internal(`Invalid IPv6 address: ${IPv6Address})`)
}

/** In the form in which MACs are shown. Throws ApiError. */
export function checkedMac(text: string): string {
  const digits = text.replace(/[:.-]/g, '').toLowerCase()
  const isMac = /^([0-9a-f]{2}([:-])([0-9a-f]{2}\2){4}[0-9a-f]{2}|[0-9a-f]{4}(\.[0-9a-f]{4}){2})$/i.test(text)
  if (!isMac) throw ApiError.internal(`address ${text}: invalid MAC address`)
  return digits.match(/../g)!.join(':')
}

/** Docker's words for what the controller or IPAM refused while an endpoint was made; other errors as they are. */
export function connectError(error: unknown, endpoint: string, network: DockerNetwork): unknown {
  const because = { cause: error }
  if (error instanceof NetworkError && error.code === 'conflict') return nameTaken(endpoint, network, because)
  if (error instanceof NetworkError && error.code === 'not-found') return ApiError.notFound(`network ${network.name} not found`, because)
  if ((error as { code?: unknown }).code === 'ERR_MACVLAN_OPTION') return macvlanError(error as Error)
  if (!(error instanceof IpamError)) return error
  switch (error.code) {
    case 'IPAM_IN_USE':
      return ApiError.forbidden('Address already in use', because)
    case 'IPAM_OUTSIDE':
    case 'IPAM_INVALID':
      return ApiError.internal(`Invalid address ${error.value}: It does not belong to any of this network's subnets`, because)
    case 'IPAM_EXHAUSTED': {
      const family = error.message.includes(':', error.message.indexOf('left in')) ? 6 : 4
      return ApiError.internal(
        `no available IPv${family} addresses on this network's address pools: ${network.name} (${network.id})`,
        because
      )
    }
    default:
      return error
  }
}

/** What the kernel's macvlan refuses, as Docker's driver tells it. */
function macvlanError(error: Error): ApiError {
  const what = error.message.startsWith('mode is passthru') ? 'invalid argument' : error.message
  return ApiError.internal(`failed to create the macvlan port: ${what}`, { cause: error })
}

export function nameTaken(endpoint: string, network: DockerNetwork, options?: ErrorOptions): ApiError {
  return ApiError.forbidden(`endpoint with name ${endpoint} already exists in network ${network.name}`, options)
}
