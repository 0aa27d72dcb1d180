/** What nft writes in words, as expressions: `oifname != "netloom0"`, `ip saddr 192.0.2.0/24`, `th dport 80`. */
import { prefixBytes } from '../address-bytes.ts'
import { LITTLE_ENDIAN } from '../message-writer.ts'
import { AF_INET } from '../rtnetlink.ts'
import {
  AddressType,
  type Comparison,
  ConntrackState,
  compare,
  conntrackState,
  type Expression,
  fibType,
  mask,
  meta,
  payload,
  Register
} from './expressions.ts'

const INTERFACE_NAME_LENGTH = 16
const { first } = Register
/** Where a header has its addresses and how long they are. */
const IPV4 = { family: 2, saddr: 12, daddr: 16, length: 4 } as const
const IPV6 = { family: 10, saddr: 8, daddr: 24, length: 16 } as const

/** The whole name; a packet without such an interface (made here, or for here) has an empty one. */
export function interfaceName(key: 'iifname' | 'oifname', operation: Comparison, name: string): Expression[] {
  const bytes = new Uint8Array(INTERFACE_NAME_LENGTH)
  bytes.set(Buffer.from(name))
  return [meta(key, first), compare(first, operation, bytes)]
}

/** The interface that a packet leaves by is of this group (`ip link set DEV group N`). */
export function leavingByGroup(group: number): Expression[] {
  return [meta('oifgroup', first), compare(first, '==', hostOrder(group))]
}

/** IPv4 or IPv6; in a table of family inet. */
export function addressFamily(family: 4 | 6): Expression[] {
  return [meta('nfproto', first), compare(first, '==', Uint8Array.of(family === 4 ? IPV4.family : IPV6.family))]
}

/** An address or prefix, of either family. Throws AddressError. */
export function address(key: 'saddr' | 'daddr', operation: Comparison, text: string): Expression[] {
  const { family, length, network } = prefixBytes(text)
  const header = family === AF_INET ? IPV4 : IPV6
  const masked = length < 8 * header.length ? [mask(first, maskBytes(length, header.length))] : []
  return [
    ...addressFamily(family === AF_INET ? 4 : 6),
    payload('network', header[key], header.length, first),
    ...masked,
    compare(first, operation, network)
  ]
}

/** In a table of family netdev, whose packets may be of any kind: those of an EtherType. */
export function etherType(type: number): Expression[] {
  return [meta('protocol', first), compare(first, '==', portBytes(type))]
}

/** `protocol`: 6 TCP, 17 UDP, ... */
export function protocol(operation: Comparison, number: number): Expression[] {
  return [meta('l4proto', first), compare(first, operation, Uint8Array.of(number))]
}

/** Of TCP and UDP; check the protocol before. */
export function destinationPort(operation: Comparison, port: number): Expression[] {
  return [payload('transport', 2, 2, first), compare(first, operation, portBytes(port))]
}

/** One of the states, ConntrackState names. */
export function inState(...names: (keyof typeof ConntrackState)[]): Expression[] {
  const bits = names.reduce((sum, name) => sum | ConntrackState[name], 0)
  return [conntrackState(first), mask(first, hostOrder(bits)), compare(first, '!=', hostOrder(0))]
}

/** The destination is an address of this machine now. */
export function toThisMachine(): Expression[] {
  return [fibType(first), compare(first, '==', hostOrder(AddressType.local))]
}

/** The destination is neither an address of this machine now nor a broadcast that it hears. */
export function notForThisMachine(): Expression[] {
  const { local, broadcast } = AddressType
  return [fibType(first), compare(first, '!=', hostOrder(local)), compare(first, '!=', hostOrder(broadcast))]
}

/** Network byte order, as headers have it. */
export function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port)
}

/** A word as the kernel's own values are in registers. */
export function hostOrder(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, LITTLE_ENDIAN)
  return bytes
}

function maskBytes(length: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => 0xff00 >> Math.max(0, Math.min(8, length - 8 * i)))
}
