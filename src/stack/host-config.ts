/**
 * What a virtual host is told, checked and turned into what frames need.
 */
import { linkLocalFromMac, type Mac, parseMac } from '../wire/address.ts'
import { formatAddress, type Prefix, parseCidr, prefixBroadcast } from '../wire/cidr.ts'
import { addressBytes } from './ip-packet.ts'

export interface VirtualHostOptions {
  /** `02:42:ac:19:00:05`. */
  readonly mac: string
  /** With prefix length: `172.25.0.5/16`, `2001:db8::5/64`. */
  readonly addresses: readonly string[]
  readonly gateway?: string
  readonly gateway6?: string
  /** Other stations have the same MAC (ipvlan): a frame from it is not one of ours that came back. Default false. */
  readonly sharesMac?: boolean
  /** Ports on which every datagram is sent back. */
  readonly udpEcho?: readonly number[]
  /** Where `resolve` asks; default 127.0.0.11 at the DNS service's MAC. null: nowhere. */
  readonly resolver?: { readonly address: string; readonly mac?: string } | null
  /** Bytes of the largest IP packet; default 1500. */
  readonly mtu?: number
}

export class HostOptionsError extends Error {
  readonly code = 'ERR_HOST_OPTIONS'
  readonly field: string

  constructor(field: string, value: unknown, problem: string) {
    super(`${field} ${JSON.stringify(value)}: ${problem}`)
    this.name = 'HostOptionsError'
    this.field = field
  }
}

/** One of the host's own addresses. */
export interface LocalAddress {
  readonly bytes: Uint8Array
  readonly prefixLength: number
  /** The subnet's directed broadcast, or null. */
  readonly broadcast: Uint8Array | null
}

export interface HostConfig {
  readonly mac: Mac
  readonly mtu: number
  /** In the order given; with IPv6 the link-local one last. */
  readonly addresses: readonly LocalAddress[]
  readonly gateway: Uint8Array | null
  readonly gateway6: Uint8Array | null
  readonly sharesMac: boolean
  readonly udpEcho: readonly number[]
  /** `mac` null: the resolver is found as any neighbor. */
  readonly resolver: { readonly address: Uint8Array; readonly mac: Mac | null } | null
}

/** Where the embedded DNS is and the MAC it has on every network: DESIGN section 6. */
export const DNS_SERVICE_ADDRESS = '127.0.0.11'
export const DNS_SERVICE_MAC = '02:42:7f:00:00:0b'

/** Throws HostOptionsError. */
export function readHostOptions(options: VirtualHostOptions): HostConfig {
  const mac = attempt('mac', options.mac, () => parseMac(options.mac))
  if ((mac.hi & 0x100) !== 0) throw new HostOptionsError('mac', options.mac, 'is a group address')
  const addresses = options.addresses.map((text) => attempt('addresses', text, () => localAddress(parseCidr(text))))
  const hasIpv6 = addresses.some(({ bytes }) => bytes.length === 16)
  if (hasIpv6) addresses.push({ bytes: linkLocalFromMac(mac), prefixLength: 64, broadcast: null })
  const mtu = options.mtu ?? 1500
  const least = hasIpv6 ? 1280 : 68
  if (!Number.isInteger(mtu) || mtu < least || mtu > 65535) throw new HostOptionsError('mtu', mtu, `is not a number from ${least} to 65535`)
  for (const port of options.udpEcho ?? []) {
    if (!Number.isInteger(port) || port < 1 || port > 65535) throw new HostOptionsError('udpEcho', port, 'is not a port from 1 to 65535')
  }
  return {
    mac,
    mtu,
    addresses,
    sharesMac: options.sharesMac ?? false,
    gateway: gateway('gateway', options.gateway, 4),
    gateway6: gateway('gateway6', options.gateway6, 16),
    udpEcho: options.udpEcho ?? [],
    resolver: readResolver(options.resolver)
  }
}

function readResolver(resolver: VirtualHostOptions['resolver']): HostConfig['resolver'] {
  if (resolver === null) return null
  const { address, mac } = resolver ?? { address: DNS_SERVICE_ADDRESS, mac: DNS_SERVICE_MAC }
  return {
    address: attempt('resolver.address', address, () => addressBytes(address)),
    mac: mac === undefined ? null : attempt('resolver.mac', mac, () => parseMac(mac))
  }
}

function localAddress(prefix: Prefix): LocalAddress {
  const broadcast = prefixBroadcast(prefix)
  return {
    bytes: addressBytes(formatAddress(prefix.address)),
    prefixLength: prefix.length,
    broadcast: broadcast === null ? null : addressBytes(formatAddress(broadcast))
  }
}

function gateway(field: string, text: string | undefined, length: 4 | 16): Uint8Array | null {
  if (text === undefined) return null
  const bytes = attempt(field, text, () => addressBytes(text))
  if (bytes.length !== length) throw new HostOptionsError(field, text, `is not an ${length === 4 ? 'IPv4' : 'IPv6'} address`)
  return bytes
}

function attempt<T>(field: string, value: unknown, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw new HostOptionsError(field, value, (error as Error).message)
  }
}
