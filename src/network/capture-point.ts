/**
 * Where frames can be captured: a place in the graph that has a name, and what a capture file tells of it.
 */
import type { AddressNames, InterfaceInfo } from '../capture/pcapng-writer.ts'
import type { Plain, TopologyLink } from '../engine/index.ts'
import { addressFamily, MAC_LENGTH, parseIpv4, parseIpv6, parseMac } from '../wire/address.ts'
import { put16, put32 } from '../wire/big-endian.ts'
import { ipv4Mask } from '../wire/cidr.ts'
import type { Driver } from './driver.ts'
import { type Endpoint, endpointAddresses } from './endpoint.ts'
import { endpointWords } from './endpoint-words.ts'
import type { Network } from './network.ts'
import type { RemoteEndpoint } from './remote-endpoint.ts'

export interface CapturePoint {
  /** `lan/web`, `uplink`, `underlay`, `eth0`; in a lab of several hosts with the host's name in front: `host1/eth0`. */
  readonly name: string
  readonly kind: 'endpoint' | 'uplink' | 'underlay' | 'interface'
  /** For people. */
  readonly description: string
  readonly mac?: string
  /** CIDR. */
  readonly addresses: readonly string[]
  /** The network's name, where it is a port of one. */
  readonly network?: string
  /** What LinkControl calls its link (`front/web`, `host1/eth0`), by which it can be shaped; undefined: it has none. */
  readonly link?: string
  /** bit/s */
  readonly speed?: number
  /** What else is known of it, in words. */
  readonly comment?: string
  /** Other words for it: `netloom0`, the name of an endpoint, of its network, of its container, their ids. */
  readonly aliases: readonly string[]
  /** The elements outside of it, by which frames come in: `lan/web`, `uplink/netloom0`. */
  readonly elements: readonly string[]
}

/** A point that is no endpoint's: a link between two elements. */
export interface CaptureWire {
  readonly point: CapturePoint
  /** `a` is the end outside of netloom's networks: what comes from there is inbound. */
  readonly link: TopologyLink
}

/** Options of the capture element at a point; undefined: it is not captured. The same for the same captures. */
export type CapturePlan = (point: CapturePoint) => Plain | undefined

/** Of a TAP, as the kernel tells (SPEED_10000), and of what stands in its place where nothing limits it. */
export const TAP_SPEED = 10_000_000_000

export function endpointPoint(network: Network, endpoint: Endpoint): CapturePoint {
  const { name, names, element, mac, sandbox, link } = endpoint
  const comment = endpointWords(network, endpoint)
  return {
    name: element,
    kind: 'endpoint',
    description: `${network.driver.name} network ${network.name}, endpoint ${name}`,
    mac,
    addresses: endpointAddresses(endpoint),
    network: network.name,
    link: `${network.name}/${name}`,
    speed: link?.out?.rate?.bitsPerSecond ?? TAP_SPEED,
    ...(comment !== '' && { comment }),
    aliases: [`${network.name}/${name}`, name, ...names, sandbox, network.name, network.id],
    elements: [element]
  }
}

/** The host's own station on a network; null where it has none. */
export function hostPoint(network: Network): Omit<CapturePoint, 'elements'> {
  const { element, name, id, bridgeName, gateway, pool, pool6 } = network
  const addresses = [pool, pool6].flatMap((each) => (typeof each?.gateway === 'string' ? [`${each.gateway}/${each.prefix.length}`] : []))
  return {
    name: `${element}/host`,
    kind: 'interface',
    description: `the host's ${bridgeName} on network ${name}`,
    mac: gateway!.mac,
    addresses,
    network: name,
    speed: TAP_SPEED,
    aliases: [bridgeName, `${name}/host`, name, id]
  }
}

/** Docker's containers are found by the beginning of their id too. */
const SHORT_ID = /^[0-9a-f]{12}$/

/**
 * An endpoint's addresses, and the names by which others find it: what captures call them. Of several, Wireshark shows the last one. With the
 * first address what its driver says of a station on another host.
 */
export function endpointNames(network: Network, station: Endpoint | RemoteEndpoint): AddressNames[] {
  const { address, address6 } = station
  // On a network without names an endpoint is called by its own all the same.
  const names = station.names.length === 0 && 'name' in station ? [station.name] : station.names
  const ordered = [...names.filter((name) => SHORT_ID.test(name)), ...names.filter((name) => !SHORT_ID.test(name)).reverse()]
  const all = [...new Set(ordered.flatMap((name) => [name, `${name}.${network.name}`]))]
  const comment = 'vtep' in station ? network.driver.remoteWords?.(network, station, false) : undefined
  return [address, address6]
    .filter((each) => each !== '')
    .map((each, index) => ({ address: addressBytes(each), names: all, ...(index === 0 && comment !== undefined && { comment }) }))
}

/** What captures are told when stations on other hosts are gone. */
export function goneNames(network: Network, stations: Iterable<RemoteEndpoint>): AddressNames[] {
  return Array.from(stations).flatMap((station) => {
    const comment = network.driver.remoteWords?.(network, station, true)
    return comment === undefined ? [] : [{ address: addressBytes(station.address), names: [], comment }]
  })
}

/** What captures are told of the other hosts of a cluster. */
export function hostNames(drivers: Iterable<Driver>): AddressNames[] {
  return Array.from(drivers).flatMap((driver) => {
    const comment = driver.hostWords?.()
    return comment === undefined ? [] : [{ address: new Uint8Array(0), names: [], comment }]
  })
}

/** What a capture's interface block says of a point. */
export function interfaceInfo({ name, description, mac, addresses, speed, comment }: CapturePoint): InterfaceInfo {
  const cidrs = addresses.map((cidr) => {
    const [address, length] = cidr.split('/')
    return { address, prefixLength: Number(length ?? (addressFamily(address) === 4 ? 32 : 128)) }
  })
  const of = (family: 4 | 6): typeof cidrs => cidrs.filter(({ address }) => addressFamily(address) === family)
  return {
    name,
    description,
    ...(mac !== undefined && { mac: macBytes(mac) }),
    ipv4: of(4).map(({ address, prefixLength }) => ({ address: addressBytes(address), mask: wordBytes(ipv4Mask(prefixLength)) })),
    ipv6: of(6).map(({ address, prefixLength }) => ({ address: addressBytes(address), prefixLength })),
    ...(speed !== undefined && { speed }),
    ...(comment !== undefined && { comment })
  }
}

/** 4 or 16 bytes, network order. */
export function addressBytes(address: string): Uint8Array {
  return addressFamily(address) === 4 ? wordBytes(parseIpv4(address)) : parseIpv6(address)
}

function macBytes(mac: string): Uint8Array {
  const { hi, lo } = parseMac(mac)
  const bytes = new Uint8Array(MAC_LENGTH)
  put16(bytes, 0, hi)
  put32(bytes, 2, lo)
  return bytes
}

function wordBytes(word: number): Uint8Array {
  const bytes = new Uint8Array(4)
  put32(bytes, 0, word)
  return bytes
}
