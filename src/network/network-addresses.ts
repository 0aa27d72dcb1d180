/**
 * Pools of networks and addresses of endpoints, both families or none.
 */
import type { AddressPool } from '../ipam/address-pool.ts'
import type { AddressSpace } from '../ipam/address-space.ts'
import { IpamError } from '../ipam/ipam-error.ts'
import { formatMac, macFromIpv4, parseIpv4, parseMac } from '../wire/address.ts'
import { parseAddress, prefixContains } from '../wire/cidr.ts'
import type { Endpoint, EndpointSpec } from './endpoint.ts'
import type { Network, NetworkSpec } from './network.ts'
import { NetworkError } from './network-error.ts'

type Pools = Pick<Network, 'pool' | 'pool6' | 'pools'>

/** Where nobody gave a gateway there is none. */
export function withoutGateway(spec: NetworkSpec): NetworkSpec {
  const { gateway = null, gateway6 = null, subnets = [] } = spec
  return { ...spec, gateway, gateway6, subnets: subnets.map((each) => ({ ...each, gateway: each.gateway ?? null })) }
}

/** `avoid`: what an automatic subnet must not touch. Throws IpamError, NetworkError; no pool is left then. */
export function requestPools(addresses: AddressSpace, id: string, spec: NetworkSpec, avoid: readonly string[]): Pools {
  const more = spec.subnets ?? []
  try {
    const pool = requestPool(addresses, id, spec, avoid)
    if (pool.family !== 4) {
      throw new NetworkError('invalid', `subnet '${spec.subnet}' is not IPv4`, {
        fix: 'give an IPv6 subnet as subnet6, beside an IPv4 one'
      })
    }
    const pool6 = spec.subnet6 === undefined ? null : requestPool6(addresses, id, spec.subnet6, spec)
    const further = more.map(({ subnet, gateway, ipRange, auxAddresses: auxiliary }, index) => {
      const made = addresses.addPool(furtherName(id, index), { subnet, gateway, ipRange, auxiliary })
      if (made.family === 4 || pool6 !== null) return made
      throw new NetworkError('invalid', `subnet '${subnet}' is IPv6, and there is no first one of IPv6`, { fix: 'give it as subnet6' })
    })
    return { pool, pool6, pools: [pool, ...(pool6 === null ? [] : [pool6]), ...further] }
  } catch (error) {
    removePools(addresses, id, more.length)
    throw error
  }
}

function requestPool(addresses: AddressSpace, id: string, spec: NetworkSpec, avoid: readonly string[]): AddressPool {
  const { gateway, ipRange, auxAddresses: auxiliary } = spec
  const more = { gateway, ipRange, auxiliary }
  return spec.subnet === undefined ? addresses.addDefaultPool(id, avoid, more) : addresses.addPool(id, { subnet: spec.subnet, ...more })
}

function requestPool6(addresses: AddressSpace, id: string, subnet: string, spec: NetworkSpec): AddressPool {
  const { gateway6: gateway, ipRange6: ipRange, auxAddresses6: auxiliary } = spec
  const pool = addresses.addPool(`${id}/6`, { subnet, gateway, ipRange, auxiliary })
  if (pool.family === 6) return pool
  throw new NetworkError('invalid', `subnet6 '${subnet}' is not IPv6`)
}

export function releasePools(addresses: AddressSpace, { id, pools }: { readonly id: string } & Pick<Pools, 'pools'>): void {
  removePools(addresses, id, pools.length)
}

/** Those that there are of the first two and `further` others. */
function removePools(addresses: AddressSpace, id: string, further: number): void {
  addresses.removePool(id)
  addresses.removePool(`${id}/6`)
  for (let index = 0; index < further; index++) addresses.removePool(furtherName(id, index))
}

/** `index` in `NetworkSpec.subnets`. */
function furtherName(id: string, index: number): string {
  return `${id}/more-${index}`
}

/** The network's pool that an address belongs to; `pool` or `pool6` where the text is none, or in no subnet. */
export function poolOf({ pool, pool6, pools }: Pools, address: string): AddressPool {
  const first = address.includes(':') ? (pool6 ?? pool) : pool
  try {
    const value = parseAddress(address)
    return pools.find(({ prefix }) => prefixContains(prefix, value)) ?? first
  } catch {
    return first
  }
}

/**
 * What an endpoint has of addresses; those of IP are to be released. Throws IpamError, NetworkError.
 * @param shared the MAC that all endpoints of the network have
 */
export function requestAddresses(
  network: Pools,
  spec: EndpointSpec,
  shared?: string
): Pick<Endpoint, 'address' | 'prefixLength' | 'address6' | 'prefixLength6' | 'mac'> {
  const { pool6 } = network
  const mac = spec.mac === undefined ? shared : checkedMac(spec.mac)
  if (shared !== undefined && mac !== shared) {
    throw new NetworkError('invalid', `mac '${mac}': all endpoints of this network have the parent's, ${shared}`)
  }
  if (pool6 === null && spec.address6 !== undefined) {
    throw new NetworkError('invalid', `address6 '${spec.address6}': the network has no IPv6 subnet`)
  }
  const from6 = spec.address6 === undefined ? pool6 : poolOf(network, spec.address6)
  const { from, address } = requestAddress4(network, spec.address)
  try {
    return {
      address,
      prefixLength: from.prefix.length,
      address6: from6?.requestAddress(spec.address6) ?? '',
      prefixLength6: from6?.prefix.length ?? 0,
      mac: mac ?? formatMac(macFromIpv4(parseIpv4(address)))
    }
  } catch (error) {
    from.release(address)
    throw error
  }
}

/** `wanted`, or the next one of the first IPv4 pool that is not full, as libnetwork has it. Throws IpamError. */
function requestAddress4(network: Pools, wanted: string | undefined): { from: AddressPool; address: string } {
  const { pool, pools } = network
  const candidates = wanted === undefined ? pools.filter(({ family }) => family === 4) : [poolOf(network, wanted)]
  for (const from of candidates) {
    try {
      return { from, address: from.requestAddress(wanted) }
    } catch (error) {
      if (!(error instanceof IpamError) || error.code !== 'IPAM_EXHAUSTED' || from === candidates.at(-1)) throw error
    }
  }
  return { from: pool, address: pool.requestAddress(wanted) }
}

export function releaseAddresses(network: Pools, { address, address6 }: Pick<Endpoint, 'address' | 'address6'>): void {
  poolOf(network, address).release(address)
  if (address6 !== '') poolOf(network, address6).release(address6)
}

/** In the form in which MACs are shown. Throws NetworkError. */
function checkedMac(mac: string): string {
  try {
    return formatMac(parseMac(mac))
  } catch (cause) {
    throw new NetworkError('invalid', `mac '${mac}' is invalid: it must look like 02:42:ac:11:00:02`, { cause })
  }
}
