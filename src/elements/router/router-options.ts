/**
 * What a router is told: interfaces, routes and bindings, whole as options or in part as an update, and the checks of both.
 */
import { AddressError, formatIpv6, type Mac, parseIpv4, parseIpv6, parseMac } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import { formatPrefix, type Prefix, parseCidr } from '../../wire/cidr.ts'
import { addressText, type Words, wordsOfNumber } from './address-words.ts'

/** Ports of one router, each an interface. */
export const ROUTER_PORTS_MAX = 32_768
const NEIGHBOR_CAPACITY = 16_384
const NEIGHBOR_CAPACITY_MAX = 1_048_576
/** RFC 791: every link carries this much. */
const MTU_MIN = 68

/** One interface of a router. See the README for the switches. */
export interface InterfaceSpec {
  /** As it is shown. */
  readonly name: string
  readonly mac: string
  /** CIDR of both families; the first of a family is the source where none is nearer. A link-local one is made from the MAC. */
  readonly addresses: readonly string[]
  /** Longest packet, bytes. */
  readonly mtu: number
  readonly answers: boolean
  readonly noDecrement?: boolean
  readonly masquerade?: boolean
  readonly advertise?: boolean
  readonly proxyArp?: boolean
  readonly bindings?: boolean
  /** A UDP port: see the README. */
  readonly service?: number
}

export interface RouteSpec {
  /** Next hop; absent: the destination itself, on the link. */
  readonly via?: string
  /** Number of the interface. It need not exist yet. */
  readonly interface: number
}

/** Records that come or are replaced; null: that goes. */
export interface RouterChange {
  readonly interfaces?: Readonly<Record<string, InterfaceSpec | null>>
  /** By CIDR. */
  readonly routes?: Readonly<Record<string, RouteSpec | null>>
  /** By address, the MAC that it has. */
  readonly bindings?: Readonly<Record<string, string | null>>
}

export interface RouterOptions extends RouterChange {
  /** Neighbors that are remembered; default 16,384. */
  readonly neighborCapacity?: number
}

/** A record that cannot be: names the field and the value. */
export class RouterOptionsError extends Error {
  readonly code = 'ERR_ROUTER_OPTIONS'

  constructor(field: string, value: unknown, problem: string) {
    super(`${field} ${JSON.stringify(value)}: ${problem}`)
    this.name = 'RouterOptionsError'
  }
}

/** A destination: `words` with host bits cleared, `length` in bits of the family. */
export interface Destination {
  readonly family: 4 | 6
  readonly words: Words
  readonly length: number
  /** `network/length`, the canonical text. */
  readonly text: string
}

export interface ParsedRoute extends Destination {
  readonly given: RouteSpec
  readonly interface: number
  /** null: on the link. */
  readonly via: Words | null
}

export interface ParsedBinding {
  readonly family: 4 | 6
  readonly words: Words
  readonly text: string
  readonly mac: Mac
}

/** Throws RouterOptionsError. */
export function readNeighborCapacity({ neighborCapacity = NEIGHBOR_CAPACITY }: RouterOptions): number {
  if (Number.isInteger(neighborCapacity) && neighborCapacity >= 16 && neighborCapacity <= NEIGHBOR_CAPACITY_MAX) return neighborCapacity
  throw new RouterOptionsError('neighborCapacity', neighborCapacity, `is not a whole number from 16 to ${NEIGHBOR_CAPACITY_MAX}`)
}

/** Throws RouterOptionsError. */
export function readInterfaceNumber(key: string | number, field = 'interfaces'): number {
  const number = Number(key)
  if (Number.isInteger(number) && number >= 0 && number < ROUTER_PORTS_MAX) return number
  throw new RouterOptionsError(field, key, `is not an interface from 0 to ${ROUTER_PORTS_MAX - 1}`)
}

/** The MAC of an interface, and its addresses with host bits. Throws RouterOptionsError. */
export function readInterface(field: string, spec: InterfaceSpec): { mac: Mac; addresses: Prefix[] } {
  if (!Number.isInteger(spec.mtu) || spec.mtu < MTU_MIN || spec.mtu > 65_535) {
    throw new RouterOptionsError(`${field}.mtu`, spec.mtu, `is not a whole number from ${MTU_MIN} to 65535`)
  }
  const { service = 1 } = spec
  if (!Number.isInteger(service) || service < 1 || service > 65_535) {
    throw new RouterOptionsError(`${field}.service`, service, 'is not a UDP port from 1 to 65535')
  }
  const mac = readMac(`${field}.mac`, spec.mac)
  const addresses = spec.addresses.map((text) => read(`${field}.addresses`, text, parseCidr))
  return { mac, addresses }
}

/** Throws RouterOptionsError. */
export function readRoute(prefix: string, spec: RouteSpec): ParsedRoute {
  const field = `routes.${prefix}`
  const destination = readDestination(prefix)
  const number = readInterfaceNumber(spec.interface, `${field}.interface`)
  if (spec.via === undefined) return { ...destination, given: spec, interface: number, via: null }
  const via = readAddress(`${field}.via`, spec.via)
  if (via.family !== destination.family) {
    throw new RouterOptionsError(`${field}.via`, spec.via, `is no IPv${destination.family} address, as the destination is`)
  }
  return { ...destination, given: spec, interface: number, via: via.words }
}

/** Throws RouterOptionsError. */
export function readDestination(prefix: string): Destination {
  return destinationOf(read('routes', prefix, parseCidr))
}

/** The network of a prefix: the connected route of an address. */
export function destinationOf(parsed: Prefix): Destination {
  return { family: parsed.family, words: wordsOfNumber(parsed.network), length: parsed.length, text: formatPrefix(parsed) }
}

/** Throws RouterOptionsError. */
export function readBinding(address: string, mac: string): ParsedBinding {
  return { ...readAddress('bindings', address), mac: readMac(`bindings.${address}`, mac) }
}

/** Throws RouterOptionsError. */
export function readAddress(field: string, text: string): { family: 4 | 6; words: Words; text: string } {
  if (!text.includes(':')) {
    const words: Words = [read(field, text, parseIpv4), 0, 0, 0]
    return { family: 4, words, text: addressText(4, words) }
  }
  const bytes = read(field, text, parseIpv6)
  return { family: 6, words: [get32(bytes, 0), get32(bytes, 4), get32(bytes, 8), get32(bytes, 12)], text: formatIpv6(bytes) }
}

function readMac(field: string, text: string): Mac {
  const mac = read(field, text, parseMac)
  if ((mac.hi & 0x0100) !== 0 || (mac.hi === 0 && mac.lo === 0)) {
    throw new RouterOptionsError(field, text, 'is no address of a station: a group, or zero')
  }
  return mac
}

function read<T>(field: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (cause) {
    if (cause instanceof AddressError) throw new RouterOptionsError(field, text, cause.message)
    throw cause
  }
}
