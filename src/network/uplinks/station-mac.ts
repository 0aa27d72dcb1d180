import { formatMac, macFromIpv4, parseIpv4, parseIpv6, parseMac } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'

/**
 * The MAC of our station on a LAN: the one that was given, else 02:42 and the IPv4 address, or the end of the IPv6 one, as Docker makes
 * them. Where neither is known beforehand, a hash (FNV-1a) of the interface's own MAC and name: the same after every start, so that a
 * DHCP server gives the same address again, and another one on each machine.
 */
export function stationMac(
  given: string | undefined,
  { constant: { ipv4, ipv6 } }: { readonly constant: { readonly ipv4?: string; readonly ipv6?: string } },
  link: { readonly mac: string; readonly name: string }
): string {
  if (given !== undefined) return formatMac(parseMac(given))
  if (ipv4 !== undefined) return formatMac(macFromIpv4(parseIpv4(ipv4)))
  if (ipv6 !== undefined) return formatMac(macFromIpv4(get32(parseIpv6(ipv6), 12)))
  let hash = 0x811c9dc5
  for (const char of `${link.mac} ${link.name}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
  return formatMac(macFromIpv4(hash))
}
