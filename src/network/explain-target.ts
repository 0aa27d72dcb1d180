/**
 * Who is meant by `web`, `front/web`, `192.0.2.60:80/tcp`: names and addresses of an explanation to endpoints and packets.
 */
import { DNS_SERVICE_ADDRESS } from '../stack/host-config.ts'
import {
  addressFamily,
  formatIpv6,
  formatMac,
  isIpv4Multicast,
  isIpv6Multicast,
  linkLocalFromMac,
  macForIpv4Multicast,
  macForIpv6Multicast,
  parseIpv4,
  parseIpv6,
  parseMac
} from '../wire/address.ts'
import { formatAddress, parseAddress, parseCidr, prefixBroadcast, prefixContains } from '../wire/cidr.ts'
import type { NetworkController } from './controller.ts'
import type { Membership } from './dns-records.ts'
import { compareNetworks, type Network } from './network.ts'
import { NetworkError } from './network-error.ts'

const LOOPBACK = [parseCidr('127.0.0.0/8'), parseCidr('::1/128')] as const
const LINK_LOCAL = parseCidr('fe80::/10')
/** RFC 4291, section 2.7: groups of this link, the host's own link-local address is their source. */
const LINK_GROUPS = parseCidr('ff02::/16')
const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff'
/** How sockets read an IPv4 address that is written as an IPv6 one (RFC 4291, section 2.5.5.2). */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/
/** Of a station of the host uplink; a router alone has one from its MAC. */
const STATION_LINK_LOCAL = 'fe80::1'

export interface ExplainTarget {
  /** A name or an address. */
  readonly host: string
  readonly port: number
  readonly protocol: 'icmp' | 'tcp' | 'udp'
}

/** `HOST`, `HOST:PORT`, `HOST:PORT/PROTOCOL`, an IPv6 address with a port in brackets. Throws NetworkError `invalid`. */
export function parseTarget(text: string): ExplainTarget {
  if (addressFamily(text) !== 0) return { host: canonical(text), port: 0, protocol: 'icmp' }
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5})(?:\/(\w+))?)?$/.exec(text)
  const [, bracketed, plain, port, protocol = 'tcp'] = match ?? []
  const isGood =
    match !== null && (protocol === 'tcp' || protocol === 'udp') && (port === undefined || (Number(port) > 0 && Number(port) <= 65_535))
  if (!isGood) {
    throw new NetworkError('invalid', `'${text}' is no target`, { fix: 'write NAME, ADDRESS, NAME:80, ADDRESS:53/udp or [2001:db8::1]:80' })
  }
  const host = canonical(bracketed ?? plain)
  return port === undefined ? { host, port: 0, protocol: 'icmp' } : { host, port: Number(port), protocol }
}

/** An address as it is written everywhere; a name as it is. */
function canonical(host: string): string {
  if (addressFamily(host) === 0) return host
  const text = formatAddress(parseAddress(host))
  return MAPPED.exec(text)?.[1] ?? text
}

/** The endpoints of the sandbox that has this name, or that name in the network before the slash; preferred ones first. Throws NetworkError. */
export function endpointsNamed(controller: NetworkController, reference: string): Membership[] {
  const slash = reference.indexOf('/')
  const networks = slash === -1 ? [...controller.networks.values()] : [controller.network(reference.slice(0, slash))]
  const name = reference.slice(slash + 1)
  const named = (network: Network): Membership[] => {
    const exact = network.endpoints.get(name)
    const found = exact ?? [...network.endpoints.values()].find(({ names }) => names.includes(name))
    return found === undefined ? [] : [{ network, endpoint: found }]
  }
  const found = networks.flatMap(named).sort((a, b) => compareNetworks(a.network, b.network))
  if (found.length === 0) throw new NetworkError('not-found', `no endpoint is called ${reference}`)
  const { sandbox } = found[0].endpoint
  return found.filter(({ endpoint }) => endpoint.sandbox === sandbox)
}

/**
 * What a word of captures means on the host itself: `front/web` of `host1/front/web`.
 * @param site what the host is called among those of its lab; '' where it is the only one
 */
export function withoutSite(word: string, site: string): string {
  return site !== '' && word.startsWith(`${site}/`) ? word.slice(site.length + 1) : word
}

/** The address that a name has for somebody on `networks`; IPv4 where there is a choice. */
export function addressOf(controller: NetworkController, host: string, from: readonly Membership[]): string {
  if (addressFamily(host) !== 0) return host
  const found = endpointsNamed(controller, host)
  const shared = found.find(({ network }) => from.some((mine) => mine.network === network))
  return (shared ?? found[0]).endpoint.address
}

/** Whether an address is on the network's own link. */
export function isOnLink({ pool, pool6 }: Network, address: string): boolean {
  if (isLinkLocal(address)) return pool6 !== null
  const own = address.includes(':') ? pool6 : pool
  return own !== null && prefixContains(own.prefix, parseAddress(address))
}

/** fe80::/10, which every IPv6 station has on every link (RFC 4291, section 2.5.6). */
export function isLinkLocal(address: string): boolean {
  return address.includes(':') && prefixContains(LINK_LOCAL, parseAddress(address))
}

/** What an endpoint says that it is when it sends to an address; '' where it has none of the family. */
export function sourceFor({ address, address6, mac }: Membership['endpoint'], destination: string): string {
  if (!destination.includes(':') || address6 === '') return destination.includes(':') ? '' : address
  return isLinkLocal(destination) || prefixContains(LINK_GROUPS, parseAddress(destination)) ? linkLocalOf(mac) : address6
}

/**
 * The MAC of a broadcast, the network's own or the limited one (RFC 919, section 7), or of a group (RFC 1112, section 6.4; RFC 2464,
 * section 7), which all stations of the link hear; null: the address is one station's.
 */
export function groupMac({ pool }: Network, address: string): string | null {
  if (address.includes(':')) {
    const bytes = parseIpv6(address)
    return isIpv6Multicast(bytes) ? formatMac(macForIpv6Multicast(bytes)) : null
  }
  const number = parseIpv4(address)
  if (isIpv4Multicast(number)) return formatMac(macForIpv4Multicast(number))
  return address === '255.255.255.255' || parseAddress(address) === prefixBroadcast(pool.prefix) ? BROADCAST_MAC : null
}

/** Whether it is of every sandbox's own lo (RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3); Linux takes 0.0.0.0 and :: for it. */
export function isLoopback(address: string): boolean {
  if (address === '0.0.0.0' || address === '::') return true
  return prefixContains(LOOPBACK[address.includes(':') ? 1 : 0], parseAddress(address))
}

/** By which endpoint a sandbox asks 127.0.0.11: one of a network with names; undefined: the address is another, or one of its lo. */
export function resolverOf(sandbox: readonly Membership[], address: string): Membership | undefined {
  return address === DNS_SERVICE_ADDRESS ? sandbox.find(({ network }) => network.dns) : undefined
}

export function gatewayOf({ pool, pool6 }: Network, isIpv6: boolean): string | null {
  return (isIpv6 ? pool6?.gateway : pool.gateway) ?? null
}

/** Whether it is the gateway itself that has the address. */
export function isGateway(network: Network, address: string): boolean {
  if (!isLinkLocal(address)) return address === gatewayOf(network, address.includes(':'))
  const { gateway } = network
  return gateway !== null && address === (gateway.tap === null ? linkLocalOf(gateway.mac) : STATION_LINK_LOCAL)
}

/** Who has the address on the network. */
export function ownerOf(network: Network, address: string): Membership | null {
  for (const endpoint of network.endpoints.values()) {
    const { address: own, address6, mac } = endpoint
    if (own === address || address6 === address || (address6 !== '' && linkLocalOf(mac) === address)) return { network, endpoint }
  }
  return null
}

function linkLocalOf(mac: string): string {
  return formatIpv6(linkLocalFromMac(parseMac(mac)))
}
