import { formatIpv4, isIpv4Loopback, isIpv4Multicast, parseIpv4 } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import { prefixBroadcast, prefixOf } from '../../wire/cidr.ts'
import { DhcpOption, type DhcpRepr } from '../../wire/dhcp.ts'

/** What a server offers or gives. Addresses as text, times in seconds. */
export interface Lease {
  readonly address: string
  readonly prefixLength: number
  readonly server: string
  /** The first one is the best. */
  readonly routers: readonly string[]
  readonly nameServers: readonly string[]
  /** Infinity: for ever. */
  readonly seconds: number
  /** T1 and T2: renewal < rebinding < seconds. */
  readonly renewal: number
  readonly rebinding: number
}

const FOR_EVER = 0xffffffff
/** A shorter lease would be renewed all the time. */
const LEAST_SECONDS = 4

/** null when something is missing without which no station can work, or the address is none that a station may have. */
export function readLease({ options, yours }: DhcpRepr): Lease | null {
  const mask = number(options.get(DhcpOption.subnetMask))
  const server = addresses(options.get(DhcpOption.serverIdentifier))[0]
  const time = number(options.get(DhcpOption.leaseTime))
  if (mask === null || server === undefined || time === null) return null
  const prefixLength = Math.clz32(~mask)
  // Ones, then zeros: anything else is no mask.
  if (prefixLength === 0 || ((mask << prefixLength) | 0) !== 0) return null
  if (!mayBeStation(parseIpv4(yours), prefixLength)) return null
  const seconds = time >>> 0 === FOR_EVER ? Number.POSITIVE_INFINITY : Math.max(time >>> 0, LEAST_SECONDS)
  const given = { renewal: duration(options.get(DhcpOption.renewalTime)), rebinding: duration(options.get(DhcpOption.rebindingTime)) }
  const rebinding = given.rebinding > 1 && given.rebinding < seconds ? given.rebinding : seconds * 0.875
  const renewal = given.renewal > 0 && given.renewal < rebinding ? given.renewal : Math.min(seconds * 0.5, rebinding)
  return {
    address: yours,
    prefixLength,
    server,
    routers: addresses(options.get(DhcpOption.routers)),
    nameServers: addresses(options.get(DhcpOption.domainNameServers)),
    seconds,
    renewal,
    rebinding
  }
}

/** Whether two leases are the same but for their times. */
export function equalLeases(a: Lease, b: Lease): boolean {
  const facts = ({ address, prefixLength, server, routers, nameServers }: Lease): string =>
    JSON.stringify([address, prefixLength, server, routers, nameServers])
  return facts(a) === facts(b)
}

function mayBeStation(address: number, prefixLength: number): boolean {
  if (address >>> 24 === 0 || address === -1 || isIpv4Multicast(address) || isIpv4Loopback(address)) return false
  const prefix = prefixOf(address, prefixLength)
  return prefixLength > 30 || (address >>> 0 !== prefix.network && address >>> 0 !== prefixBroadcast(prefix))
}

function number(data: Uint8Array | undefined): number | null {
  return data?.length === 4 ? get32(data, 0) : null
}

function duration(data: Uint8Array | undefined): number {
  return (number(data) ?? 0) >>> 0
}

/** Whole ones; a rest is left out. */
function addresses(data: Uint8Array = new Uint8Array(0)): string[] {
  return Array.from({ length: data.length >> 2 }, (_, i) => formatIpv4(get32(data, 4 * i)))
}
