/**
 * TCP header, RFC 9293 section 3.1; window scale and timestamps RFC 7323, SACK permitted RFC 2018, ECN flags RFC 3168.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------------------------------+-------------------------------+
 *   |          source port          |       destination port        |
 *   +-------------------------------+-------------------------------+
 *   |                        sequence number                        |
 *   +---------------------------------------------------------------+
 *   |                    acknowledgment number                      |
 *   +-------+-------+-+-+-+-+-+-+-+-+-------------------------------+
 *   | offset|  res  |C|E|U|A|P|R|S|F|            window             |
 *   +-------+-------+-+-+-+-+-+-+-+-+-------------------------------+
 *   |           checksum            |        urgent pointer         |
 *   +-------------------------------+-------------------------------+
 *   |            options, 0 to 40 bytes, padded with 0              |
 *   +---------------------------------------------------------------+
 *
 * Offset in units of 4 bytes. Sequence numbers are int32: `(a - b) | 0` is their distance, by sign before or after.
 */

import { get16, get32, put16, put32 } from './big-endian.ts'
import { fillTransport, verifyTransport } from './checksum.ts'
import { findHeaderOption } from './header-options.ts'
import { IpProtocol } from './ipv4.ts'

/** Without options. */
export const TCP_HEADER_LENGTH = 20
/** Offsets from the start of the header. */
export const TCP_SOURCE_PORT = 0
export const TCP_DESTINATION_PORT = 2
export const TCP_SEQUENCE = 4
export const TCP_ACKNOWLEDGMENT = 8
export const TCP_OFFSET = 12
export const TCP_FLAGS = 13
export const TCP_WINDOW = 14
export const TCP_CHECKSUM = 16
export const TCP_URGENT = 18

export const TcpFlag = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10, urg: 0x20, ece: 0x40, cwr: 0x80 } as const

export const TcpOption = { end: 0, noOperation: 1, maxSegmentSize: 2, windowScale: 3, sackPermitted: 4, sack: 5, timestamps: 8 } as const

/** Whether [at, end) holds a header of at least 20 bytes, options included. */
export function checkTcp(bytes: Uint8Array, at: number, end: number): boolean {
  if (at + TCP_HEADER_LENGTH > end) return false
  const length = tcpHeaderLength(bytes, at)
  return length >= TCP_HEADER_LENGTH && at + length <= end
}

export function tcpSourcePort(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + TCP_SOURCE_PORT)
}

export function tcpDestinationPort(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + TCP_DESTINATION_PORT)
}

/** int32. */
export function tcpSequence(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + TCP_SEQUENCE)
}

/** int32; means something only with the ACK flag. */
export function tcpAcknowledgment(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + TCP_ACKNOWLEDGMENT)
}

/** In bytes, options included, 20..60 after `checkTcp`. */
export function tcpHeaderLength(bytes: Uint8Array, at: number): number {
  return (bytes[at + TCP_OFFSET] >> 4) << 2
}

/** Bits of TcpFlag. */
export function tcpFlags(bytes: Uint8Array, at: number): number {
  return bytes[at + TCP_FLAGS]
}

/** As sent, not scaled. */
export function tcpWindow(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + TCP_WINDOW)
}

export function tcpChecksum(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + TCP_CHECKSUM)
}

export function tcpUrgent(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + TCP_URGENT)
}

/** Offset of the first option of a kind, or -1; also -1 when the options before it are malformed. Bounded by the header's length. */
export function findTcpOption(bytes: Uint8Array, at: number, kind: number): number {
  return findHeaderOption(bytes, at + TCP_HEADER_LENGTH, at + tcpHeaderLength(bytes, at), kind)
}

/** As `findTcpOption`, and the option has the one length that it may have. */
function findSized(bytes: Uint8Array, at: number, kind: number, length: number): number {
  const option = findTcpOption(bytes, at, kind)
  return option >= 0 && bytes[option + 1] === length ? option : -1
}

/** Largest segment the sender takes, in bytes, or -1 when not said. */
export function tcpMaxSegmentSize(bytes: Uint8Array, at: number): number {
  const option = findSized(bytes, at, TcpOption.maxSegmentSize, 4)
  return option < 0 ? -1 : get16(bytes, option + 2)
}

/** Shift count as sent (RFC 7323 limits its use to 14), or -1. */
export function tcpWindowScale(bytes: Uint8Array, at: number): number {
  const option = findSized(bytes, at, TcpOption.windowScale, 3)
  return option < 0 ? -1 : bytes[option + 2]
}

export function tcpSackPermitted(bytes: Uint8Array, at: number): boolean {
  return findSized(bytes, at, TcpOption.sackPermitted, 2) >= 0
}

/** Offset of TSval, with TSecr 4 bytes on, or -1. */
export function tcpTimestamps(bytes: Uint8Array, at: number): number {
  const option = findSized(bytes, at, TcpOption.timestamps, 10)
  return option < 0 ? -1 : option + 2
}

export function setTcpSourcePort(bytes: Uint8Array, at: number, port: number): void {
  put16(bytes, at + TCP_SOURCE_PORT, port)
}

export function setTcpDestinationPort(bytes: Uint8Array, at: number, port: number): void {
  put16(bytes, at + TCP_DESTINATION_PORT, port)
}

export function setTcpSequence(bytes: Uint8Array, at: number, sequence: number): void {
  put32(bytes, at + TCP_SEQUENCE, sequence)
}

export function setTcpAcknowledgment(bytes: Uint8Array, at: number, acknowledgment: number): void {
  put32(bytes, at + TCP_ACKNOWLEDGMENT, acknowledgment)
}

export function setTcpFlags(bytes: Uint8Array, at: number, flags: number): void {
  bytes[at + TCP_FLAGS] = flags
}

export function setTcpWindow(bytes: Uint8Array, at: number, window: number): void {
  put16(bytes, at + TCP_WINDOW, window)
}

export function setTcpChecksum(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at + TCP_CHECKSUM, value)
}

/** `end` is the end of the IP packet, `ipAt` the offset of its header. */
export function verifyTcpChecksum(bytes: Uint8Array, at: number, end: number, ipAt: number): boolean {
  return verifyTransport(bytes, at, end, ipAt, IpProtocol.tcp)
}

/** Computes the checksum over [at, end) and the pseudo-header of the IP header at `ipAt`. */
export function fillTcpChecksum(bytes: Uint8Array, at: number, end: number, ipAt: number): void {
  fillTransport(bytes, at, end, ipAt, IpProtocol.tcp, at + TCP_CHECKSUM)
}

/** Left out, an option is not sent. Numbers are unsigned here. */
export interface TcpOptionsRepr {
  maxSegmentSize?: number
  windowScale?: number
  sackPermitted?: boolean
  timestamps?: { value: number; echo: number }
}

export interface TcpRepr {
  sourcePort: number
  destinationPort: number
  /** Unsigned 32 bits, both. */
  sequence: number
  acknowledgment: number
  /** Bits of TcpFlag. */
  flags: number
  window: number
  urgent: number
  options: TcpOptionsRepr
  payload: Uint8Array
}

function parseOptions(bytes: Uint8Array, at: number): TcpOptionsRepr {
  const options: TcpOptionsRepr = {}
  const maxSegmentSize = tcpMaxSegmentSize(bytes, at)
  const windowScale = tcpWindowScale(bytes, at)
  const timestamps = tcpTimestamps(bytes, at)
  if (maxSegmentSize >= 0) options.maxSegmentSize = maxSegmentSize
  if (windowScale >= 0) options.windowScale = windowScale
  if (tcpSackPermitted(bytes, at)) options.sackPermitted = true
  if (timestamps >= 0) options.timestamps = { value: get32(bytes, timestamps) >>> 0, echo: get32(bytes, timestamps + 4) >>> 0 }
  return options
}

/** null when `checkTcp` or the checksum fails. Other options (SACK blocks too) are left out; the payload is a copy. */
export function parseTcp(bytes: Uint8Array, at: number, end: number, ipAt: number): TcpRepr | null {
  if (!checkTcp(bytes, at, end) || !verifyTcpChecksum(bytes, at, end, ipAt)) return null
  return {
    sourcePort: tcpSourcePort(bytes, at),
    destinationPort: tcpDestinationPort(bytes, at),
    sequence: tcpSequence(bytes, at) >>> 0,
    acknowledgment: tcpAcknowledgment(bytes, at) >>> 0,
    flags: tcpFlags(bytes, at),
    window: tcpWindow(bytes, at),
    urgent: tcpUrgent(bytes, at),
    options: parseOptions(bytes, at),
    payload: bytes.slice(at + tcpHeaderLength(bytes, at), end)
  }
}

/** Options in the order in which Linux sends them on a SYN, each padded in front with NOPs to 4 bytes. @returns the offset after them. */
function emitOptions(options: TcpOptionsRepr, bytes: Uint8Array, at: number): number {
  let option = at
  if (options.maxSegmentSize !== undefined) {
    put16(bytes, option, (TcpOption.maxSegmentSize << 8) | 4)
    put16(bytes, option + 2, options.maxSegmentSize)
    option += 4
  }
  if (options.sackPermitted || options.timestamps !== undefined) {
    const nops = (TcpOption.noOperation << 8) | TcpOption.noOperation
    put16(bytes, option, options.sackPermitted ? (TcpOption.sackPermitted << 8) | 2 : nops)
    put16(bytes, option + 2, options.timestamps !== undefined ? (TcpOption.timestamps << 8) | 10 : nops)
    option += 4
  }
  if (options.timestamps !== undefined) {
    put32(bytes, option, options.timestamps.value)
    put32(bytes, option + 4, options.timestamps.echo)
    option += 8
  }
  if (options.windowScale !== undefined) {
    put32(bytes, option, (TcpOption.noOperation << 24) | (TcpOption.windowScale << 16) | (3 << 8) | options.windowScale)
    option += 4
  }
  return option
}

/** Writes header, options and payload, and the checksum under the IP header already emitted at `ipAt`; returns their length. */
export function emitTcp(repr: TcpRepr, bytes: Uint8Array, at: number, ipAt: number): number {
  const payload = emitOptions(repr.options, bytes, at + TCP_HEADER_LENGTH)
  const end = payload + repr.payload.length
  setTcpSourcePort(bytes, at, repr.sourcePort)
  setTcpDestinationPort(bytes, at, repr.destinationPort)
  setTcpSequence(bytes, at, repr.sequence)
  setTcpAcknowledgment(bytes, at, repr.acknowledgment)
  bytes[at + TCP_OFFSET] = ((payload - at) >> 2) << 4
  setTcpFlags(bytes, at, repr.flags)
  setTcpWindow(bytes, at, repr.window)
  put16(bytes, at + TCP_URGENT, repr.urgent)
  bytes.set(repr.payload, payload)
  fillTcpChecksum(bytes, at, end, ipAt)
  return end - at
}
