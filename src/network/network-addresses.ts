/**
 * Pools of networks and addresses of endpoints, both families or none.
 */
import type { AddressPool } from '../ipam/address-pool.ts'
import type { AddressSpace } from '../ipam/address-space.ts'
import { formatMac, macFromIpv4, parseIpv4, parseMac } from '../wire/address.ts'
import type { Endpoint, EndpointSpec } from './endpoint.ts'
import type { Network, NetworkSpec } from './network.ts'
import { NetworkError } from './network-error.ts'

type Pools = Pick<Network, 'pool' | 'pool6'>

/** `avoid`: what an automatic subnet must not touch. Throws IpamError, NetworkError. */
export function requestPools(addresses: AddressSpace, id: string, spec: NetworkSpec, avoid: readonly string[]): Pools {
  const { gateway, ipRange, auxAddresses: auxiliary } = spec
  const more = { gateway, ipRange, auxiliary }
  const pool =
    spec.subnet === undefined ? addresses.addDefaultPool(id, avoid, more) : addresses.addPool(id, { subnet: spec.subnet, ...more })
  if (pool.family !== 4) {
    addresses.removePool(id)
    throw new NetworkError('invalid', `subnet '${spec.subnet}' is not IPv4`, {
      fix: 'give an IPv6 subnet as subnet6, beside an IPv4 one'
    })
  }
  if (spec.subnet6 === undefined) return { pool, pool6: null }
  try {
    return { pool, pool6: requestPool6(addresses, id, spec.subnet6, spec) }
  } catch (error) {
    addresses.removePool(id)
    throw error
  }
}

function requestPool6(addresses: AddressSpace, id: string, subnet: string, spec: NetworkSpec): AddressPool {
  const { gateway6: gateway, ipRange6: ipRange, auxAddresses6: auxiliary } = spec
  const pool = addresses.addPool(`${id}/6`, { subnet, gateway, ipRange, auxiliary })
  if (pool.family === 6) return pool
  addresses.removePool(`${id}/6`)
  throw new NetworkError('invalid', `subnet6 '${subnet}' is not IPv6`)
}

export function releasePools(addresses: AddressSpace, id: string): void {
  addresses.removePool(id)
  addresses.removePool(`${id}/6`)
}

/** What an endpoint has of addresses; those of IP are to be released. Throws IpamError, NetworkError. */
export function requestAddresses(
  { pool, pool6 }: Pools,
  spec: EndpointSpec
): Pick<Endpoint, 'address' | 'prefixLength' | 'address6' | 'prefixLength6' | 'mac'> {
  const mac = spec.mac === undefined ? undefined : checkedMac(spec.mac)
  if (pool6 === null && spec.address6 !== undefined) {
    throw new NetworkError('invalid', `address6 '${spec.address6}': the network has no IPv6 subnet`)
  }
  const address = pool.requestAddress(spec.address)
  try {
    return {
      address,
      prefixLength: pool.prefix.length,
      address6: pool6?.requestAddress(spec.address6) ?? '',
      prefixLength6: pool6?.prefix.length ?? 0,
      mac: mac ?? formatMac(macFromIpv4(parseIpv4(address)))
    }
  } catch (error) {
    pool.release(address)
    throw error
  }
}

export function releaseAddresses({ pool, pool6 }: Pools, { address, address6 }: Pick<Endpoint, 'address' | 'address6'>): void {
  pool.release(address)
  if (address6 !== '') pool6?.release(address6)
}

/** In the form in which MACs are shown. Throws NetworkError. */
function checkedMac(mac: string): string {
  try {
    return formatMac(parseMac(mac))
  } catch (cause) {
    throw new NetworkError('invalid', `mac '${mac}' is invalid: it must look like 02:42:ac:11:00:02`, { cause })
  }
}
