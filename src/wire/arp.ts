/**
 * ARP for IPv4 over Ethernet, RFC 826; probes and announcements RFC 5227.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------------------------------+-------------------------------+
 *   |       hardware type = 1       |    protocol type = 0x0800     |
 *   +---------------+---------------+-------------------------------+
 *   |  hw length 6  |  pr length 4  |           operation           |
 *   +---------------+---------------+-------------------------------+
 *   |                     sender MAC (48 bits)                      |
 *   +                               +-------------------------------+
 *   |                               |       sender IPv4 ...
 *   +-------------------------------+-------------------------------+
 *         ... sender IPv4           |                               |
 *   +-------------------------------+      target MAC (48 bits)     +
 *   |                                                               |
 *   +---------------------------------------------------------------+
 *   |                          target IPv4                          |
 *   +---------------------------------------------------------------+
 */
import { formatIpv4, formatMac, macAt, parseIpv4, parseMac } from './address.ts'
import { get16, get32, put16, put32 } from './big-endian.ts'
import { setMac } from './ethernet.ts'

export const ARP_LENGTH = 28
/** Offsets from the start of the ARP packet; MACs are read with macHi and macLo. */
export const ARP_OPERATION = 6
export const ARP_SENDER_MAC = 8
export const ARP_SENDER_IP = 14
export const ARP_TARGET_MAC = 18
export const ARP_TARGET_IP = 24

export const ArpOperation = { request: 1, reply: 2 } as const

/** Hardware type, protocol type and both lengths, as they stand in the first six bytes. */
const HARDWARE_AND_PROTOCOL = 0x00010800
const LENGTHS = 0x0604

/** Whether [at, end) holds an ARP packet for IPv4 over Ethernet, of any operation. Padding may follow. */
export function checkArp(bytes: Uint8Array, at: number, end: number): boolean {
  return at + ARP_LENGTH <= end && get32(bytes, at) === HARDWARE_AND_PROTOCOL && get16(bytes, at + 4) === LENGTHS
}

/** See ArpOperation; others exist (RARP, InARP). */
export function arpOperation(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ARP_OPERATION)
}

/** int32. 0 in a probe (RFC 5227). */
export function arpSenderIp(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + ARP_SENDER_IP)
}

/** int32. */
export function arpTargetIp(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + ARP_TARGET_IP)
}

/** Writes the constant first eight bytes and the operation. */
export function setArpOperation(bytes: Uint8Array, at: number, operation: number): void {
  put32(bytes, at, HARDWARE_AND_PROTOCOL)
  put16(bytes, at + 4, LENGTHS)
  put16(bytes, at + ARP_OPERATION, operation)
}

export function setArpSender(bytes: Uint8Array, at: number, hi: number, lo: number, ip: number): void {
  setMac(bytes, at + ARP_SENDER_MAC, hi, lo)
  put32(bytes, at + ARP_SENDER_IP, ip)
}

/** The MAC is zero in a request. */
export function setArpTarget(bytes: Uint8Array, at: number, hi: number, lo: number, ip: number): void {
  setMac(bytes, at + ARP_TARGET_MAC, hi, lo)
  put32(bytes, at + ARP_TARGET_IP, ip)
}

/** Addresses as text. */
export interface ArpRepr {
  operation: number
  senderMac: string
  senderIp: string
  targetMac: string
  targetIp: string
}

/** null when truncated or not IPv4 over Ethernet. */
export function parseArp(bytes: Uint8Array, at: number, end: number): ArpRepr | null {
  if (!checkArp(bytes, at, end)) return null
  return {
    operation: arpOperation(bytes, at),
    senderMac: formatMac(macAt(bytes, at + ARP_SENDER_MAC)),
    senderIp: formatIpv4(arpSenderIp(bytes, at)),
    targetMac: formatMac(macAt(bytes, at + ARP_TARGET_MAC)),
    targetIp: formatIpv4(arpTargetIp(bytes, at))
  }
}

/** Writes ARP_LENGTH bytes. Throws AddressError on a bad address. The Ethernet header (EtherType 0x0806) is the caller's. */
export function emitArp(repr: ArpRepr, bytes: Uint8Array, at: number): number {
  const sender = parseMac(repr.senderMac)
  const target = parseMac(repr.targetMac)
  setArpOperation(bytes, at, repr.operation)
  setArpSender(bytes, at, sender.hi, sender.lo, parseIpv4(repr.senderIp))
  setArpTarget(bytes, at, target.hi, target.lo, parseIpv4(repr.targetIp))
  return ARP_LENGTH
}
