/**
 * Neighbor Discovery in ICMPv6, RFC 4861: solicitations and advertisements of neighbors and routers, and their options.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +---------------+---------------+-------------------------------+
 *   |     type      |   code = 0    |           checksum            |
 *   +-+-+-+---------+---------------+-------------------------------+
 *   | RS, NS: reserved                                              |
 *   |R|S|O|   NA: reserved                                          |
 *   +-+-+-+---------+-+-+-----------+-------------------------------+
 *   | RA: hop limit |M|O| reserved  |       router lifetime (s)     |
 *   +---------------+-+-+-----------+-------------------------------+
 *   | NS, NA: target address (128 bits)                             |
 *   | RA: reachable time (32, ms), retransmission timer (32, ms)    |
 *   +---------------+---------------+-------------------------------+
 *   | option: type  | length, 8 B   | ...  any number of options    |
 *   +---------------+---------------+-------------------------------+
 *
 * `checkNeighborDiscovery` is for the ICMPv6 part of the validity rules; the hop limit of 255 and the kinds of source and
 * destination address (sections 6.1, 7.1) belong to the IPv6 header and are the caller's.
 */
import { formatIpv6, formatMac, IPV6_LENGTH, macAt, parseIpv6, parseMac } from './address.ts'
import { get16, get32, put16, put32 } from './big-endian.ts'
import { setMac } from './ethernet.ts'
import { fillIcmpv6Checksum, ICMPV6_CODE, Icmpv6Type, icmpv6Type, verifyIcmpv6Checksum } from './icmpv6.ts'
import { setIpv6Address } from './ipv6.ts'

/** Offsets from the start of the ICMPv6 message. */
export const ND_FLAGS = 4
export const ND_TARGET = 8
export const RA_HOP_LIMIT = 4
export const RA_FLAGS = 5
export const RA_LIFETIME = 6
export const RA_REACHABLE_TIME = 8
export const RA_RETRANSMIT_TIMER = 12
/** Of NS and NA: the byte at ND_FLAGS. */
export const ND_FLAG_ROUTER = 0x80
export const ND_FLAG_SOLICITED = 0x40
export const ND_FLAG_OVERRIDE = 0x20
/** Hop limit without which a message is not believed: it shows that no router has passed it on. */
export const ND_HOP_LIMIT = 255

export const NdOption = { sourceLinkLayer: 1, targetLinkLayer: 2, prefixInformation: 3, redirectedHeader: 4, mtu: 5 } as const

/** Where the options of a message start, by its type; 0 for a type that is no ND message. */
function optionsOffset(type: number): number {
  if (type === Icmpv6Type.neighborSolicitation || type === Icmpv6Type.neighborAdvertisement) return 24
  if (type === Icmpv6Type.routerSolicitation) return 8
  if (type === Icmpv6Type.routerAdvertisement) return 16
  return 0
}

/** Whether the fixed length of a known option fits what its length field says. */
function isOptionLengthValid(type: number, length: number): boolean {
  if (type === NdOption.prefixInformation) return length === 32
  return length >= 8
}

/**
 * Whether [at, end) is RS, RA, NS or NA with code 0, its fixed part whole, and options that fill the rest exactly,
 * none of length 0 (RFC 4861 6.1.1, 6.1.2, 7.1.1, 7.1.2). `end` is the end of the IPv6 packet.
 */
export function checkNeighborDiscovery(bytes: Uint8Array, at: number, end: number): boolean {
  if (at + 8 > end || bytes[at + ICMPV6_CODE] !== 0) return false
  const offset = optionsOffset(icmpv6Type(bytes, at))
  if (offset === 0 || at + offset > end) return false
  let option = at + offset
  while (option < end) {
    if (option + 8 > end) return false
    const length = bytes[option + 1] << 3
    if (!isOptionLengthValid(bytes[option], length) || option + length > end) return false
    option += length
  }
  return true
}

/** Offset of the first option of a type, or -1. `checkNeighborDiscovery` must have held for the same `end`: it has seen that no length is 0. */
export function findNdOption(bytes: Uint8Array, at: number, end: number, type: number): number {
  let option = at + optionsOffset(icmpv6Type(bytes, at))
  while (option < end) {
    if (bytes[option] === type) return option
    option += bytes[option + 1] << 3
  }
  return -1
}

/** Offset of the MAC in a link-layer address option, or -1: read it with macHi and macLo. */
export function ndLinkLayer(bytes: Uint8Array, at: number, end: number, type: number): number {
  const option = findNdOption(bytes, at, end, type)
  return option < 0 ? -1 : option + 2
}

/** NA flags: R and S and O in the top three bits of the byte. */
export function ndFlags(bytes: Uint8Array, at: number): number {
  return bytes[at + ND_FLAGS]
}

/** RA: seconds for which the sender is a default router; 0 for not at all. */
export function raLifetime(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + RA_LIFETIME)
}

/** NS or NA. A source address of :: (duplicate address detection) goes without `linkLayer`. */
export interface NeighborRepr {
  kind: 'neighbor-solicitation' | 'neighbor-advertisement'
  target: string
  /** ND_FLAG_ROUTER | ND_FLAG_SOLICITED | ND_FLAG_OVERRIDE; 0 in a solicitation. */
  flags: number
  /** MAC: source option of a solicitation, target option of an advertisement. */
  linkLayer: string | null
}

export interface RouterSolicitationRepr {
  kind: 'router-solicitation'
  linkLayer: string | null
}

/** RFC 4861 section 4.6.2; lifetimes in seconds, unsigned 32 bits, 0xffffffff for ever. */
export interface PrefixInformation {
  prefix: string
  length: number
  onLink: boolean
  autonomous: boolean
  validLifetime: number
  preferredLifetime: number
}

export interface RouterAdvertisementRepr {
  kind: 'router-advertisement'
  hopLimit: number
  /** M: addresses by DHCPv6. */
  managed: boolean
  /** O: other configuration by DHCPv6. */
  other: boolean
  /** Seconds. */
  lifetime: number
  /** Milliseconds, both; 0 for unspecified. */
  reachableTime: number
  retransmitTimer: number
  linkLayer: string | null
  mtu: number | null
  prefixes: PrefixInformation[]
}

export type NeighborDiscoveryRepr = NeighborRepr | RouterSolicitationRepr | RouterAdvertisementRepr

function linkLayerText(bytes: Uint8Array, at: number, end: number, type: number): string | null {
  const mac = ndLinkLayer(bytes, at, end, type)
  return mac < 0 ? null : formatMac(macAt(bytes, mac))
}

function parsePrefixes(bytes: Uint8Array, at: number, end: number): PrefixInformation[] {
  const prefixes: PrefixInformation[] = []
  for (let option = at + 16; option < end; option += bytes[option + 1] << 3) {
    if (bytes[option] !== NdOption.prefixInformation) continue
    prefixes.push({
      prefix: formatIpv6(bytes, option + 16),
      length: bytes[option + 2],
      onLink: (bytes[option + 3] & 0x80) !== 0,
      autonomous: (bytes[option + 3] & 0x40) !== 0,
      validLifetime: get32(bytes, option + 4) >>> 0,
      preferredLifetime: get32(bytes, option + 8) >>> 0
    })
  }
  return prefixes
}

/** null when `checkNeighborDiscovery` or the checksum fails. Options of other types are left out, as RFC 4861 wants. */
export function parseNeighborDiscovery(bytes: Uint8Array, at: number, end: number, ipAt: number): NeighborDiscoveryRepr | null {
  if (!checkNeighborDiscovery(bytes, at, end) || !verifyIcmpv6Checksum(bytes, at, end, ipAt)) return null
  const type = icmpv6Type(bytes, at)
  const sourceLinkLayer = linkLayerText(bytes, at, end, NdOption.sourceLinkLayer)
  if (type === Icmpv6Type.routerSolicitation) return { kind: 'router-solicitation', linkLayer: sourceLinkLayer }
  if (type === Icmpv6Type.routerAdvertisement) {
    const mtu = findNdOption(bytes, at, end, NdOption.mtu)
    return {
      kind: 'router-advertisement',
      hopLimit: bytes[at + RA_HOP_LIMIT],
      managed: (bytes[at + RA_FLAGS] & 0x80) !== 0,
      other: (bytes[at + RA_FLAGS] & 0x40) !== 0,
      lifetime: raLifetime(bytes, at),
      reachableTime: get32(bytes, at + RA_REACHABLE_TIME) >>> 0,
      retransmitTimer: get32(bytes, at + RA_RETRANSMIT_TIMER) >>> 0,
      linkLayer: sourceLinkLayer,
      mtu: mtu < 0 ? null : get32(bytes, mtu + 4) >>> 0,
      prefixes: parsePrefixes(bytes, at, end)
    }
  }
  const isSolicitation = type === Icmpv6Type.neighborSolicitation
  return {
    kind: isSolicitation ? 'neighbor-solicitation' : 'neighbor-advertisement',
    target: formatIpv6(bytes, at + ND_TARGET),
    flags: isSolicitation ? 0 : ndFlags(bytes, at) & (ND_FLAG_ROUTER | ND_FLAG_SOLICITED | ND_FLAG_OVERRIDE),
    linkLayer: isSolicitation ? sourceLinkLayer : linkLayerText(bytes, at, end, NdOption.targetLinkLayer)
  }
}

/** Writes a link-layer address option of 8 bytes at `at`, nothing for null. @returns the offset after it. */
function emitLinkLayer(bytes: Uint8Array, at: number, type: number, text: string | null): number {
  if (text === null) return at
  const mac = parseMac(text)
  bytes[at] = type
  bytes[at + 1] = 1
  setMac(bytes, at + 2, mac.hi, mac.lo)
  return at + 8
}

function emitPrefix(bytes: Uint8Array, at: number, information: PrefixInformation): number {
  bytes[at] = NdOption.prefixInformation
  bytes[at + 1] = 4
  bytes[at + 2] = information.length
  bytes[at + 3] = (information.onLink ? 0x80 : 0) | (information.autonomous ? 0x40 : 0)
  put32(bytes, at + 4, information.validLifetime)
  put32(bytes, at + 8, information.preferredLifetime)
  put32(bytes, at + 12, 0)
  setIpv6Address(bytes, at + 16, parseIpv6(information.prefix))
  return at + 32
}

/** The message body after type, code and checksum. @returns the offset after it. */
function emitBody(repr: NeighborDiscoveryRepr, bytes: Uint8Array, at: number): number {
  put32(bytes, at + ND_FLAGS, 0)
  if (repr.kind === 'router-solicitation') return emitLinkLayer(bytes, at + 8, NdOption.sourceLinkLayer, repr.linkLayer)
  if (repr.kind === 'router-advertisement') {
    bytes[at + RA_HOP_LIMIT] = repr.hopLimit
    bytes[at + RA_FLAGS] = (repr.managed ? 0x80 : 0) | (repr.other ? 0x40 : 0)
    put16(bytes, at + RA_LIFETIME, repr.lifetime)
    put32(bytes, at + RA_REACHABLE_TIME, repr.reachableTime)
    put32(bytes, at + RA_RETRANSMIT_TIMER, repr.retransmitTimer)
    let option = emitLinkLayer(bytes, at + 16, NdOption.sourceLinkLayer, repr.linkLayer)
    if (repr.mtu !== null) {
      put32(bytes, option, (NdOption.mtu << 24) | (1 << 16))
      put32(bytes, option + 4, repr.mtu)
      option += 8
    }
    for (const information of repr.prefixes) option = emitPrefix(bytes, option, information)
    return option
  }
  const isSolicitation = repr.kind === 'neighbor-solicitation'
  bytes[at + ND_FLAGS] = isSolicitation ? 0 : repr.flags
  setIpv6Address(bytes, at + ND_TARGET, parseIpv6(repr.target))
  const option = at + ND_TARGET + IPV6_LENGTH
  return emitLinkLayer(bytes, option, isSolicitation ? NdOption.sourceLinkLayer : NdOption.targetLinkLayer, repr.linkLayer)
}

const TYPES: Readonly<Record<NeighborDiscoveryRepr['kind'], number>> = {
  'router-solicitation': Icmpv6Type.routerSolicitation,
  'router-advertisement': Icmpv6Type.routerAdvertisement,
  'neighbor-solicitation': Icmpv6Type.neighborSolicitation,
  'neighbor-advertisement': Icmpv6Type.neighborAdvertisement
}

/** Writes the message and its checksum under the IPv6 header already emitted at `ipAt`; returns its length. Throws AddressError. */
export function emitNeighborDiscovery(repr: NeighborDiscoveryRepr, bytes: Uint8Array, at: number, ipAt: number): number {
  bytes[at] = TYPES[repr.kind]
  bytes[at + ICMPV6_CODE] = 0
  const end = emitBody(repr, bytes, at)
  fillIcmpv6Checksum(bytes, at, end, ipAt)
  return end - at
}
