import { formatIpv4, formatIpv6, formatMac, ipv6FromBigint, macAt, parseIpv4, parseIpv6, parseMac } from '../../wire/address.ts'
import { put16, put32 } from '../../wire/big-endian.ts'
import { parseCidr } from '../../wire/cidr.ts'
import { bytesOf } from './message-reader.ts'
import { AF_INET, AF_INET6 } from './rtnetlink.ts'

/** An address as netlink carries it: network byte order. */
export interface AddressBytes {
  /** AF_INET or AF_INET6. */
  readonly family: number
  readonly bytes: Uint8Array
}

/** Throws AddressError. */
export function addressBytes(text: string): AddressBytes {
  return text.includes(':') ? { family: AF_INET6, bytes: parseIpv6(text) } : { family: AF_INET, bytes: ipv4Bytes(parseIpv4(text)) }
}

/** `ADDRESS/LENGTH`, or an address alone with the full length. `bytes` keeps the host bits, `network` has them cleared. */
export function prefixBytes(text: string): AddressBytes & { length: number; network: Uint8Array } {
  const prefix = parseCidr(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`)
  if (prefix.family === 4) {
    return { family: AF_INET, bytes: ipv4Bytes(prefix.address), network: ipv4Bytes(prefix.network), length: prefix.length }
  }
  return { family: AF_INET6, bytes: ipv6FromBigint(prefix.address), network: ipv6FromBigint(prefix.network), length: prefix.length }
}

export function macBytes(text: string): Uint8Array {
  const { hi, lo } = parseMac(text)
  const bytes = new Uint8Array(6)
  put16(bytes, 0, hi)
  put32(bytes, 2, lo)
  return bytes
}

/** Text of an address attribute of 4 or 16 bytes. */
export function addressText(view: DataView): string {
  return view.byteLength === 4 ? formatIpv4(view.getInt32(0)) : formatIpv6(bytesOf(view))
}

export function macText(view: DataView): string {
  return formatMac(macAt(bytesOf(view), 0))
}

function ipv4Bytes(address: number): Uint8Array {
  const bytes = new Uint8Array(4)
  put32(bytes, 0, address)
  return bytes
}
