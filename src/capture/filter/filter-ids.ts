/**
 * What stands behind `host`, `net`, `port`, `portrange` and `proto`: addresses, numbers and names, and the condition that each makes with
 * the qualifiers before it.
 */
import { parseIpv4, parseIpv6 } from '../../wire/address.ts'
import { CaptureFilterError } from './capture-filter-error.ts'
import type { FilterCondition } from './filter-condition.ts'
import { ETHER_TYPES, IP_PROTOCOLS, type ProtocolWord, SERVICES } from './filter-names.ts'
import { type FilterToken, type FilterTokenCursor, macOf } from './filter-tokens.ts'
import type { Direction, FrameLayout } from './frame-layout.ts'

export interface Qualifiers {
  readonly protocol: ProtocolWord | null
  readonly direction: Direction | null
  readonly type: 'host' | 'net' | 'port' | 'portrange' | 'proto'
}

/** The protocols that have ports, in libpcap's order. */
const WITH_PORTS = [IP_PROTOCOLS.tcp, IP_PROTOCOLS.udp, IP_PROTOCOLS.sctp]

/** Takes the id at hand. Throws CaptureFilterError. */
export function idCondition(layout: FrameLayout, tokens: FilterTokenCursor, qualifiers: Qualifiers): FilterCondition {
  const token = tokens.next()
  switch (qualifiers.type) {
    case 'host':
      return hostCondition(layout, token, qualifiers)
    case 'net':
      return netCondition(layout, token, tokens, qualifiers)
    case 'port':
      return portCondition(layout, token, qualifiers)
    case 'portrange':
      return portRangeCondition(layout, token, qualifiers)
    default:
      return protocolCondition(layout, token, qualifiers)
  }
}

function hostCondition(layout: FrameLayout, token: FilterToken, { protocol, direction }: Qualifiers): FilterCondition {
  const way = direction ?? 'src or dst'
  if (protocol === 'ether' || protocol === 'link') {
    if (token.kind !== 'mac') throw unexpected(token, `a MAC such as 02:cc:00:00:00:01 after '${protocol} host'`)
    return layout.mac(macOf(token), way)
  }
  if (token.kind === 'mac') throw new CaptureFilterError(`a MAC needs 'ether': ether host ${token.text}`, token.offset)
  if (token.kind === 'ipv6') return ipv6Condition(layout, token, 128, protocol, way)
  if (token.kind !== 'dotted') throw unexpected(token, 'an address (names of hosts are not looked up)')
  return layout.ipv4Address(readIpv4(token), 0xffffffff, way, ipv4Word(protocol, token))
}

function netCondition(
  layout: FrameLayout,
  token: FilterToken,
  tokens: FilterTokenCursor,
  { protocol, direction }: Qualifiers
): FilterCondition {
  const way = direction ?? 'src or dst'
  if (token.kind === 'ipv6') {
    return ipv6Condition(layout, token, tokens.accept('/') ? readLength(tokens, 128) : 128, protocol, way)
  }
  if (token.kind !== 'dotted' && token.kind !== 'number') throw unexpected(token, "a network such as 192.0.2.0/24 after 'net'")
  const octets = token.kind === 'number' ? [token.value] : token.text.split('.').map(Number)
  if (octets.some((octet) => octet > 255))
    throw new CaptureFilterError(`${token.text} is no network: a number is greater than 255`, token.offset)
  const address = [0, 1, 2, 3].reduce((value, i) => value * 256 + (octets[i] ?? 0), 0)
  // Fewer than four numbers are a network of their bits; four are one address unless more is said.
  const mask = readMask(tokens, 8 * octets.length)
  if ((address & ~mask) !== 0) throw new CaptureFilterError(`${token.text} has bits outside its mask; clear them`, token.offset)
  return layout.ipv4Address(address, mask, way, ipv4Word(protocol, token))
}

function readMask(tokens: FilterTokenCursor, length: number): number {
  if (tokens.accept('mask')) {
    const token = tokens.next()
    if (token.kind !== 'dotted') throw unexpected(token, "a mask such as 255.255.255.0 after 'mask'")
    return readIpv4(token)
  }
  const bits = tokens.accept('/') ? readLength(tokens, 32) : length
  return bits === 0 ? 0 : -1 << (32 - bits)
}

function readLength(tokens: FilterTokenCursor, max: number): number {
  const token = tokens.next()
  if (token.kind !== 'number' || token.value > max) throw unexpected(token, `a prefix length from 0 to ${max}`)
  return token.value
}

function readIpv4(token: FilterToken): number {
  try {
    return parseIpv4(token.text)
  } catch {
    throw new CaptureFilterError(`${token.text} is no IPv4 address; it has four numbers from 0 to 255`, token.offset)
  }
}

function ipv4Word(protocol: ProtocolWord | null, token: FilterToken): 'ip' | 'arp' | 'rarp' | null {
  if (protocol === null || protocol === 'ip' || protocol === 'arp' || protocol === 'rarp') return protocol
  throw new CaptureFilterError(
    `'${protocol}' cannot stand before the IPv4 address ${token.text}: ip, arp, rarp or nothing can`,
    token.offset
  )
}

function ipv6Condition(
  layout: FrameLayout,
  token: FilterToken,
  length: number,
  protocol: ProtocolWord | null,
  way: Direction
): FilterCondition {
  if (protocol !== null && protocol !== 'ip6') {
    throw new CaptureFilterError(`'${protocol}' cannot stand before the IPv6 address ${token.text}: ip6 or nothing can`, token.offset)
  }
  const address = new DataView(parseIpv6(token.text).buffer)
  const mask = new DataView(new ArrayBuffer(16))
  for (let i = 0; i < 16; i++) mask.setUint8(i, (0xff00 >> Math.min(8, Math.max(0, length - 8 * i))) & 0xff)
  for (let i = 0; i < 16; i++) {
    if ((address.getUint8(i) & ~mask.getUint8(i)) !== 0)
      throw new CaptureFilterError(`${token.text}/${length} has bits outside its mask; clear them`, token.offset)
  }
  return layout.ipv6Address(address, mask, way)
}

function portProtocols(protocol: ProtocolWord | null, token: FilterToken): readonly number[] {
  if (protocol === null) return WITH_PORTS
  if (protocol === 'tcp' || protocol === 'udp' || protocol === 'sctp') return [IP_PROTOCOLS[protocol]]
  throw new CaptureFilterError(`'${protocol}' has no ports: tcp, udp, sctp or nothing can stand before 'port'`, token.offset)
}

function readPort(text: string, token: FilterToken): number {
  const port = /^\d+$/.test(text) ? Number(text) : token.kind === 'number' ? token.value : Number.NaN
  if (!(port <= 65_535)) throw unexpected(token, 'a port from 0 to 65535 or the name of a service')
  return port
}

function portCondition(layout: FrameLayout, token: FilterToken, { protocol, direction }: Qualifiers): FilterCondition {
  const protocols = portProtocols(protocol, token)
  const service = token.kind === 'word' && Object.hasOwn(SERVICES, token.text) ? SERVICES[token.text] : undefined
  if (service === undefined) {
    if (token.kind === 'word') throw unexpected(token, `a port number, or one of the services ${Object.keys(SERVICES).join(', ')}`)
    const port = readPort(token.kind === 'number' ? String(token.value) : '', token)
    return layout.ports(port, port, protocols, direction ?? 'src or dst')
  }
  const registered = service.protocol === undefined ? [IP_PROTOCOLS.tcp, IP_PROTOCOLS.udp] : [IP_PROTOCOLS[service.protocol]]
  if (protocol === null)
    return layout.ports(service.port, service.port, service.protocol === undefined ? WITH_PORTS : registered, direction ?? 'src or dst')
  if (!registered.includes(protocols[0]))
    throw new CaptureFilterError(`the service ${token.text} is not one of ${protocol}; give its number: ${service.port}`, token.offset)
  return layout.ports(service.port, service.port, protocols, direction ?? 'src or dst')
}

function portRangeCondition(layout: FrameLayout, token: FilterToken, { protocol, direction }: Qualifiers): FilterCondition {
  const protocols = portProtocols(protocol, token)
  const range = /^(\d{1,5})-(\d{1,5})$/.exec(token.text)
  if (range === null && token.kind !== 'number') throw unexpected(token, 'a range of ports such as 8000-8080')
  const [a, b] = range === null ? [token.value, token.value] : [Number(range[1]), Number(range[2])]
  if (a > 65_535 || b > 65_535) throw new CaptureFilterError(`${token.text}: a port is at most 65535`, token.offset)
  return layout.ports(Math.min(a, b), Math.max(a, b), protocols, direction ?? 'src or dst')
}

function protocolCondition(layout: FrameLayout, token: FilterToken, { protocol }: Qualifiers): FilterCondition {
  if (protocol === 'ether' || protocol === 'link') {
    const type = readNamed(token, ETHER_TYPES, 'an EtherType')
    if (type < 0x600 || type > 0xffff)
      throw new CaptureFilterError(`${token.text} is no EtherType: those are from 0x600 to 0xffff`, token.offset)
    return layout.etherType(type)
  }
  if (protocol !== null && protocol !== 'ip' && protocol !== 'ip6') {
    throw new CaptureFilterError(
      `'${protocol}' carries no protocols that have numbers: ether, ip, ip6 or nothing can stand before 'proto'`,
      token.offset
    )
  }
  const number = readNamed(token, IP_PROTOCOLS, 'a protocol')
  if (number > 255) throw new CaptureFilterError(`${token.text} is no protocol of IP: those are from 0 to 255`, token.offset)
  return layout.ipProtocol(number, protocol)
}

function readNamed(token: FilterToken, names: Readonly<Record<string, number>>, what: string): number {
  if (token.kind === 'number') return token.value
  if (token.kind === 'word' && Object.hasOwn(names, token.text)) return names[token.text]
  throw unexpected(token, `${what}: a number or one of ${Object.keys(names).join(', ')}`)
}

/** The error for a token where something else must stand. */
export function unexpected(token: FilterToken, expected: string): CaptureFilterError {
  const found = token.kind === 'end' ? 'the filter ends' : `${JSON.stringify(token.text)} stands`
  return new CaptureFilterError(`${found} where the filter needs ${expected}`, token.offset)
}
