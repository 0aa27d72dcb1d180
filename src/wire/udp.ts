/**
 * UDP, RFC 768; over IPv6 RFC 8200 section 8.1.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------------------------------+-------------------------------+
 *   |          source port          |       destination port        |
 *   +-------------------------------+-------------------------------+
 *   |            length             |           checksum            |
 *   +-------------------------------+-------------------------------+
 *
 * Length counts header and payload. A checksum of 0 means "none" over IPv4 and is an error over IPv6;
 * a computed 0 is sent as 0xffff.
 */
import { get16, put16 } from './big-endian.ts'
import { fillTransport, verifyTransport } from './checksum.ts'
import { IpProtocol } from './ipv4.ts'

export const UDP_HEADER_LENGTH = 8
/** Offsets from the start of the header. */
export const UDP_SOURCE_PORT = 0
export const UDP_DESTINATION_PORT = 2
export const UDP_LENGTH = 4
export const UDP_CHECKSUM = 6

/** Whether [at, end) holds a header, and its length field covers the header and ends at or before `end`. */
export function checkUdp(bytes: Uint8Array, at: number, end: number): boolean {
  if (at + UDP_HEADER_LENGTH > end) return false
  const length = udpLength(bytes, at)
  return length >= UDP_HEADER_LENGTH && at + length <= end
}

export function udpSourcePort(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + UDP_SOURCE_PORT)
}

export function udpDestinationPort(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + UDP_DESTINATION_PORT)
}

/** Header and payload, in bytes. */
export function udpLength(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + UDP_LENGTH)
}

export function udpChecksum(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + UDP_CHECKSUM)
}

export function setUdpSourcePort(bytes: Uint8Array, at: number, port: number): void {
  put16(bytes, at + UDP_SOURCE_PORT, port)
}

export function setUdpDestinationPort(bytes: Uint8Array, at: number, port: number): void {
  put16(bytes, at + UDP_DESTINATION_PORT, port)
}

export function setUdpLength(bytes: Uint8Array, at: number, length: number): void {
  put16(bytes, at + UDP_LENGTH, length)
}

export function setUdpChecksum(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at + UDP_CHECKSUM, value)
}

/** Whether the checksum is right, or rightly absent, under the IP header at `ipAt`. */
export function verifyUdpChecksum(bytes: Uint8Array, at: number, ipAt: number): boolean {
  if (udpChecksum(bytes, at) === 0) return bytes[ipAt] >> 4 === 4
  return verifyTransport(bytes, at, at + udpLength(bytes, at), ipAt, IpProtocol.udp)
}

/** Computes the checksum under the IP header at `ipAt`; never leaves 0. */
export function fillUdpChecksum(bytes: Uint8Array, at: number, ipAt: number): void {
  fillTransport(bytes, at, at + udpLength(bytes, at), ipAt, IpProtocol.udp, at + UDP_CHECKSUM)
}

export interface UdpRepr {
  sourcePort: number
  destinationPort: number
  payload: Uint8Array
}

/**
 * null when `checkUdp` or the checksum fails. The payload is a copy.
 * @param ipAt offset of the IP header in `bytes`, for the checksum
 */
export function parseUdp(bytes: Uint8Array, at: number, end: number, ipAt: number): UdpRepr | null {
  if (!checkUdp(bytes, at, end) || !verifyUdpChecksum(bytes, at, ipAt)) return null
  return {
    sourcePort: udpSourcePort(bytes, at),
    destinationPort: udpDestinationPort(bytes, at),
    payload: bytes.slice(at + UDP_HEADER_LENGTH, at + udpLength(bytes, at))
  }
}

/**
 * Writes header and payload and returns their length.
 * @param ipAt offset of the IP header, already emitted into `bytes`, for the checksum; -1 leaves the checksum 0 ("none", IPv4 only)
 */
export function emitUdp(repr: UdpRepr, bytes: Uint8Array, at: number, ipAt: number): number {
  const length = UDP_HEADER_LENGTH + repr.payload.length
  if (length > 0xffff) throw new RangeError(`UDP payload of ${repr.payload.length} bytes does not fit in 65535`)
  setUdpSourcePort(bytes, at, repr.sourcePort)
  setUdpDestinationPort(bytes, at, repr.destinationPort)
  setUdpLength(bytes, at, length)
  setUdpChecksum(bytes, at, 0)
  bytes.set(repr.payload, at + UDP_HEADER_LENGTH)
  if (ipAt >= 0) fillUdpChecksum(bytes, at, ipAt)
  return length
}
