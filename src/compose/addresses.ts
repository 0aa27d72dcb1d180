/** Addresses in a lab file, checked where they stand. */
import { addressFamily, parseMac } from '../wire/address.ts'
import { type Prefix, parseAddress, parseCidr, prefixBroadcast, prefixContains } from '../wire/cidr.ts'
import type { Value } from './value.ts'

export function readAddress(value: Value, family: 4 | 6): string {
  const text = value.word()
  if (addressFamily(text) === family) return text
  return value.fail(`'${text}' is not an IPv${family} address such as ${family === 4 ? '172.16.0.3' : '2001:db8::3'}`)
}

/** Of either family. */
export function readAnyAddress(value: Value): string {
  const text = value.word()
  return addressFamily(text) !== 0 ? text : value.fail(`'${text}' is not an IP address`)
}

/** A subnet: no host bits. */
export function readSubnet(value: Value): Prefix {
  const prefix = readCidr(value)
  if (prefix.address !== prefix.network) value.fail(`'${value.text()}' is an address in a subnet, not a subnet: its host bits are not 0`)
  return prefix
}

/** An address with the length of its subnet: `172.16.0.1/24`. */
export interface StationAddress {
  readonly text: string
  readonly prefix: Prefix
  readonly at: Value
}

export function readStationAddress(value: Value, family: 4 | 6): StationAddress {
  const prefix = readCidr(value)
  if (prefix.family !== family) value.fail(`'${value.text()}' is not IPv${family}`)
  const isNetwork = prefix.family === 4 && prefix.length < 31 && prefix.address === prefix.network
  const last = prefixBroadcast(prefix)
  if (isNetwork || (last !== null && last === prefix.address)) {
    value.fail(`'${value.text()}' is the ${isNetwork ? 'network' : 'broadcast'} address of its subnet, no station's`)
  }
  return { text: value.text(), prefix, at: value }
}

function readCidr(value: Value): Prefix {
  const text = value.word()
  if (!text.includes('/')) value.fail(`'${text}' has no prefix length: write ${text}/${text.includes(':') ? 64 : 24}`)
  return value.check(() => parseCidr(text))
}

export function readMac(value: Value): string {
  const text = value.word()
  const { hi } = value.check(() => parseMac(text))
  if ((hi & 0x0100) !== 0) value.fail(`'${text}' is a group's address: the first byte of a station's is even`)
  return text
}

export function isInside(prefix: Prefix, address: string): boolean {
  return prefixContains(prefix, parseAddress(address))
}
