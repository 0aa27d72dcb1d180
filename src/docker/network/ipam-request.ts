/**
 * What a create request asks of IPAM, in the order and words of Docker's checks, and how our IPAM's refusals are told.
 */
import { isIP } from 'node:net'
import { ApiError } from '../../api/api-error.ts'
import type { IpamPoolConfig } from '../../api/network-json.ts'
import type { PoolOptions } from '../../ipam/address-pool.ts'
import { IpamError } from '../../ipam/ipam-error.ts'
import type { NetworkSpec, SubnetSpec } from '../../network/network.ts'
import { formatPrefix, type Prefix, parseCidr, prefixOf } from '../../wire/cidr.ts'

export interface IpamRequest {
  readonly v4: readonly IpamPoolConfig[]
  readonly v6: readonly IpamPoolConfig[]
}

/** Sorts the pools by family. Throws ApiError for a subnet that is none. */
export function splitByFamily(config: readonly IpamPoolConfig[]): IpamRequest {
  const v4: IpamPoolConfig[] = []
  const v6: IpamPoolConfig[] = []
  for (const pool of config) {
    const prefix = readPrefix(pool.Subnet ?? '')
    if (prefix === undefined) {
      throw ApiError.internal(`Invalid subnet ${pool.Subnet ?? ''} : invalid CIDR address: ${pool.Subnet ?? ''}`)
    }
    ;(prefix.family === 4 ? v4 : v6).push(withoutEmpty(pool))
  }
  return { v4, v6 }
}

/** Throws ApiError for a gateway, range or auxiliary address that is no address. */
export function checkPools(pools: readonly IpamPoolConfig[], network: string): void {
  for (const { Subnet = '', IPRange, Gateway, AuxiliaryAddresses = {} } of pools) {
    if (Gateway !== undefined && isIP(Gateway) === 0) {
      throw ApiError.internal(`invalid gateway address ${Gateway} in Ipam configuration`)
    }
    if (IPRange !== undefined && readPrefix(IPRange)?.family !== readPrefix(Subnet)?.family) {
      throw ApiError.internal(
        `failed to parse pool request for address space "LocalDefault" pool ${JSON.stringify(Subnet)} ` +
          `subpool ${JSON.stringify(IPRange)}: Invalid Address SubPool`
      )
    }
    for (const [name, address] of Object.entries(AuxiliaryAddresses)) {
      if (isIP(address) === 0) {
        throw ApiError.internal(`non parsable secondary ip address (${name}:${address}) passed for network ${network}`)
      }
    }
  }
}

/** The pools in the controller's words. Only the first of each family counts: a bridge network has one. */
export function poolSpec({ v4, v6 }: IpamRequest): Partial<NetworkSpec> {
  const [pool, pool6] = [v4[0], v6[0]]
  return {
    ...(pool !== undefined && {
      subnet: pool.Subnet,
      gateway: pool.Gateway,
      ipRange: rangeInside(pool),
      auxAddresses: pool.AuxiliaryAddresses
    }),
    ...(pool6 !== undefined && {
      subnet6: pool6.Subnet,
      gateway6: pool6.Gateway,
      ipRange6: rangeInside(pool6),
      auxAddresses6: pool6.AuxiliaryAddresses
    })
  }
}

/** Those beyond the first of each family. */
export function furtherSubnets({ v4, v6 }: IpamRequest): SubnetSpec[] {
  return [...v4.slice(1), ...v6.slice(1)].map((pool) => ({
    subnet: pool.Subnet!,
    gateway: pool.Gateway,
    ipRange: rangeInside(pool),
    auxAddresses: pool.AuxiliaryAddresses
  }))
}

/** All pools, an automatic one when none of IPv4 was asked for, as the cluster takes them. */
export function subnetSpecs({ v4, v6 }: IpamRequest): Partial<PoolOptions>[] {
  const pools = v4.length === 0 ? [{}, ...v6] : [...v4, ...v6]
  return pools.map((pool: IpamPoolConfig) => ({
    ...(pool.Subnet !== undefined && { subnet: pool.Subnet }),
    ...(pool.Gateway !== undefined && { gateway: pool.Gateway }),
    ...(pool.IPRange !== undefined && { ipRange: rangeInside(pool) }),
    ...(pool.AuxiliaryAddresses !== undefined && { auxiliary: pool.AuxiliaryAddresses })
  }))
}

/**
 * Docker takes only the host part of an ip-range, cut to the subnet's mask: a range elsewhere or wider than the subnet is no error.
 */
function rangeInside({ Subnet, IPRange }: IpamPoolConfig): string | undefined {
  if (IPRange === undefined) return undefined
  const subnet = parseCidr(Subnet!)
  const range = parseCidr(IPRange)
  if (range.length <= subnet.length) return undefined
  if (subnet.family === 4 && range.family === 4) {
    const hostPart = range.network % 2 ** (32 - subnet.length)
    return formatPrefix(prefixOf(subnet.network + hostPart, range.length))
  }
  const hostPart = BigInt(range.network) % (1n << BigInt(128 - subnet.length))
  return formatPrefix(prefixOf(BigInt(subnet.network) + hostPart, range.length))
}

/** Docker's words for what our IPAM refused while a network was made; other errors as they are. */
export function createError(error: unknown): unknown {
  if (!(error instanceof IpamError)) return error
  const { code, field, value } = error
  const because = { cause: error }
  if (code === 'IPAM_OVERLAP') return ApiError.forbidden('Pool overlaps with other one on this address space', because)
  if (code === 'IPAM_NO_POOL') return noPool('IPv4', because)
  if (field === 'gateway') return ApiError.internal(`failed to allocate gateway (${value}): ${reasonOf(error)}`, because)
  if (field.startsWith('aux-address ')) {
    const name = field.slice('aux-address '.length)
    return code === 'IPAM_OUTSIDE'
      ? ApiError.forbidden(`auxilairy address: (${name}:${value}) must belong to the master pool: ${subnetOf(error)}`, because)
      : ApiError.internal(`failed to allocate secondary ip address (${name}:${value}): ${reasonOf(error)}`, because)
  }
  return error
}

export function noPool(family: 'IPv4' | 'IPv6', options?: ErrorOptions): ApiError {
  return ApiError.notFound(
    `could not find an available, non-overlapping ${family} address pool among the defaults to assign to the network`,
    options
  )
}

function reasonOf({ code }: IpamError): string {
  if (code === 'IPAM_IN_USE') return 'Address already in use'
  return code === 'IPAM_EXHAUSTED' ? 'No available addresses on this pool' : 'Requested address is out of range'
}

/** The last word of IPAM's sentence "does not belong to the subnet X". */
function subnetOf({ message }: IpamError): string {
  return message.slice(message.lastIndexOf(' ') + 1)
}

function readPrefix(text: string): Prefix | undefined {
  try {
    return parseCidr(text)
  } catch {
    return undefined
  }
}

/** Members that are empty are not shown. */
function withoutEmpty({ Subnet, IPRange, Gateway, AuxiliaryAddresses }: IpamPoolConfig): IpamPoolConfig {
  return {
    Subnet,
    ...(IPRange && { IPRange }),
    ...(Gateway && { Gateway }),
    ...(AuxiliaryAddresses && Object.keys(AuxiliaryAddresses).length > 0 && { AuxiliaryAddresses: { ...AuxiliaryAddresses } })
  }
}
