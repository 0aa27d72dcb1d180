/**
 * Ethernet II frame header, IEEE 802.3 clause 3, RFC 894. No preamble and no FCS: devices strip them.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |                     destination address                       |
 *   +                               +-------------------------------+
 *   |                               |                               |
 *   +-------------------------------+        source address         +
 *   |                                                               |
 *   +-------------------------------+-------------------------------+
 *   |           EtherType           |           payload ...
 *   +-------------------------------+
 *
 * The first bit on the wire is the lowest of the first byte: set, the address is a group's.
 * A MAC is read as two integers, so that no number leaves int32 range: `macHi` and `macLo` take the offset of the MAC itself.
 */
import { formatMac, macAt, parseMac } from './address.ts'
import { get16, get32, put16, put32 } from './big-endian.ts'

export const ETHERNET_HEADER_LENGTH = 14
/** Offsets from the start of the frame. */
export const ETHERNET_DESTINATION = 0
export const ETHERNET_SOURCE = 6
export const ETHERNET_TYPE = 12
/** Shortest frame on a real medium, without FCS. Virtual devices pass shorter ones, so `checkEthernet` does not ask for it. */
export const ETHERNET_MIN_LENGTH = 60

/** EtherTypes, IANA "IEEE 802 Numbers". */
export const EtherType = {
  ipv4: 0x0800,
  arp: 0x0806,
  /** 802.1Q customer tag. */
  vlan: 0x8100,
  ipv6: 0x86dd,
  /** 802.1ad service tag. */
  serviceVlan: 0x88a8
} as const

/** Whether [at, end) holds a header. */
export function checkEthernet(_bytes: Uint8Array, at: number, end: number): boolean {
  return at + ETHERNET_HEADER_LENGTH <= end
}

/** First 16 bits of the MAC at `at`, 0..0xffff. */
export function macHi(bytes: Uint8Array, at: number): number {
  return get16(bytes, at)
}

/** Last 32 bits of the MAC at `at`, int32. */
export function macLo(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + 2)
}

/** Multicast or broadcast. */
export function isGroup(bytes: Uint8Array, at: number): boolean {
  return (bytes[at] & 1) !== 0
}

export function isBroadcast(bytes: Uint8Array, at: number): boolean {
  return get16(bytes, at) === 0xffff && get32(bytes, at + 2) === -1
}

/** 01-80-C2-00-00-00 to -0F, which a bridge does not forward: IEEE 802.1Q table 8-1. */
export function isReserved(bytes: Uint8Array, at: number): boolean {
  return get16(bytes, at) === 0x0180 && (get32(bytes, at + 2) & ~0xf) === (0xc2000000 | 0)
}

/** EtherType, or the length of an IEEE 802.3 LLC frame when below 0x0600. A tagged frame has the TPID here: see vlan.ts. */
export function etherType(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ETHERNET_TYPE)
}

/** Writes a MAC at `at`: ETHERNET_DESTINATION or ETHERNET_SOURCE from the frame, or anywhere else. */
export function setMac(bytes: Uint8Array, at: number, hi: number, lo: number): void {
  put16(bytes, at, hi)
  put32(bytes, at + 2, lo)
}

export function setEtherType(bytes: Uint8Array, at: number, type: number): void {
  put16(bytes, at + ETHERNET_TYPE, type)
}

/** MACs as text; `type` as in the header. */
export interface EthernetRepr {
  destination: string
  source: string
  type: number
}

/** null when [at, end) is too short. The payload starts ETHERNET_HEADER_LENGTH further. */
export function parseEthernet(bytes: Uint8Array, at: number, end: number): EthernetRepr | null {
  if (!checkEthernet(bytes, at, end)) return null
  return {
    destination: formatMac(macAt(bytes, at + ETHERNET_DESTINATION)),
    source: formatMac(macAt(bytes, at + ETHERNET_SOURCE)),
    type: etherType(bytes, at)
  }
}

/** Writes the header and returns its length. Throws AddressError on a bad MAC. */
export function emitEthernet(repr: EthernetRepr, bytes: Uint8Array, at: number): number {
  const destination = parseMac(repr.destination)
  const source = parseMac(repr.source)
  setMac(bytes, at + ETHERNET_DESTINATION, destination.hi, destination.lo)
  setMac(bytes, at + ETHERNET_SOURCE, source.hi, source.lo)
  setEtherType(bytes, at, repr.type)
  return ETHERNET_HEADER_LENGTH
}
