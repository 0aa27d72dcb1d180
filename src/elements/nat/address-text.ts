/**
 * Addresses of tuples from and to text.
 */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../wire/address.ts'
import type { InternedAddresses } from './interned-addresses.ts'
import { swap32 } from './tuple.ts'

const scratch = new Uint8Array(16)

/** The address of a tuple; an IPv6 one gets a reference more, which `releaseAddress` gives back. */
export function takeAddress(text: string, addresses: InternedAddresses): number {
  return text.includes(':') ? addresses.take(parseIpv6(text), 0) : swap32(parseIpv4(text))
}

export function releaseAddress(text: string, address: number, addresses: InternedAddresses): void {
  if (text.includes(':')) addresses.release(address)
}

export function formatTupleAddress(address: number, isIpv6: boolean, addresses: InternedAddresses): string {
  if (!isIpv6) return formatIpv4(swap32(address))
  addresses.write(address, scratch, 0)
  return formatIpv6(scratch)
}
