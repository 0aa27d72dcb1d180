/**
 * IP packets in frames, of either family: read on the way in, written on the way out, turned around in place.
 *
 * Addresses are byte arrays in network order: 4 bytes are IPv4, 16 are IPv6.
 */
import type { ElementContext } from '../engine/element.ts'
import { FrameFlag, type FrameHandle, type FramePool, NO_FRAME } from '../engine/frame-pool.ts'
import { formatIpv4, formatIpv6, ipv6FromBigint, type Mac } from '../wire/address.ts'
import { get32, put16, put32 } from '../wire/big-endian.ts'
import { fillTransport, verifyTransport } from '../wire/checksum.ts'
import { formatAddress, parseAddress } from '../wire/cidr.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, etherType, setEtherType, setMac } from '../wire/ethernet.ts'
import { fillIpv4Checksum, IPV4_DESTINATION, IPV4_HEADER_LENGTH, IPV4_SOURCE, verifyIpv4Checksum } from '../wire/ipv4.ts'
import { IPV6_DESTINATION, IPV6_HEADER_LENGTH, IPV6_HOP_LIMIT, IPV6_SOURCE } from '../wire/ipv6.ts'
import type { PacketView } from '../wire/packet-view.ts'
import { StackDrop } from './stack-drop.ts'

/** What hosts send with: RFC 1700, and Linux. */
export const DEFAULT_TTL = 64
/** `readPacket` found nothing wrong. */
export const READ_OK = -1

/** Who talks to whom. `source` and `destination` are of the same family. */
export interface Path {
  readonly sourceMac: Mac
  readonly destinationMac: Mac
  readonly source: Uint8Array
  readonly destination: Uint8Array
}

/** 4 or 16 bytes. Throws AddressError. */
export function addressBytes(text: string): Uint8Array {
  const address = parseAddress(text)
  if (typeof address === 'bigint') return ipv6FromBigint(address)
  const bytes = new Uint8Array(4)
  put32(bytes, 0, address)
  return bytes
}

/** The canonical text. */
export function addressText(bytes: Uint8Array, at = 0, length = bytes.length): string {
  return length === 4 ? formatIpv4(get32(bytes, at)) : formatIpv6(bytes, at)
}

/** The canonical text of any way to write an address. Throws AddressError. */
export function canonicalAddress(text: string): string {
  return formatAddress(parseAddress(text))
}

/** Whether the bytes at `at` are this address. */
export function addressEquals(bytes: Uint8Array, at: number, address: Uint8Array): boolean {
  for (let i = 0; i < address.length; i += 4) if (get32(bytes, at + i) !== get32(address, i)) return false
  return true
}

/**
 * Reads what a station without VLANs takes for its own: tagged frames are not of it. READ_OK, or the reason for which the frame should
 * be dropped. The frame must hold an Ethernet header.
 */
export function readPacket(packet: PacketView, frames: FramePool, frame: FrameHandle): number {
  const bytes = frames.bytes(frame)
  const at = frames.start[frame]
  const type = etherType(bytes, at)
  if (type !== EtherType.ipv4 && type !== EtherType.ipv6) return StackDrop.unknownType
  if (!packet.readFrame(bytes, at, at + frames.length[frame])) return StackDrop.malformed
  return packet.family === 4 && !verifyIpv4Checksum(bytes, packet.networkAt) ? StackDrop.badChecksum : READ_OK
}

/** Whether the transport checksum over [transportAt, end) is right, or the device vouches for it. */
export function hasGoodChecksum({ bytes, transportAt, end, networkAt, protocol }: PacketView, flags: number): boolean {
  return (flags & (FrameFlag.csum | FrameFlag.csumValid)) !== 0 || verifyTransport(bytes, transportAt, end, networkAt, protocol)
}

/** Ethernet and IP header in front of a transport segment, in bytes. */
export function headersLength(path: Path): number {
  return ETHERNET_HEADER_LENGTH + (path.source.length === 4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH)
}

/**
 * Writes Ethernet and IP header at `at` and returns the offset of the payload.
 * @param fragment IPv4 only: the 16-bit word of flags and offset (in units of 8 bytes)
 * @param id IPv4 only
 */
export function writeHeaders(
  bytes: Uint8Array,
  at: number,
  path: Path,
  protocol: number,
  payloadLength: number,
  hopLimit = DEFAULT_TTL,
  id = 0,
  fragment = 0
): number {
  const isIpv4 = path.source.length === 4
  setMac(bytes, at, path.destinationMac.hi, path.destinationMac.lo)
  setMac(bytes, at + 6, path.sourceMac.hi, path.sourceMac.lo)
  setEtherType(bytes, at, isIpv4 ? EtherType.ipv4 : EtherType.ipv6)
  const ipAt = at + ETHERNET_HEADER_LENGTH
  if (isIpv4) {
    put16(bytes, ipAt, 0x4500)
    put16(bytes, ipAt + 2, IPV4_HEADER_LENGTH + payloadLength)
    put16(bytes, ipAt + 4, id)
    put16(bytes, ipAt + 6, fragment)
    bytes[ipAt + 8] = hopLimit
    bytes[ipAt + 9] = protocol
    bytes.set(path.source, ipAt + IPV4_SOURCE)
    bytes.set(path.destination, ipAt + IPV4_DESTINATION)
    fillIpv4Checksum(bytes, ipAt)
    return ipAt + IPV4_HEADER_LENGTH
  }
  put32(bytes, ipAt, 0x60000000)
  put16(bytes, ipAt + 4, payloadLength)
  bytes[ipAt + 6] = protocol
  bytes[ipAt + IPV6_HOP_LIMIT] = hopLimit
  bytes.set(path.source, ipAt + IPV6_SOURCE)
  bytes.set(path.destination, ipAt + IPV6_DESTINATION)
  return ipAt + IPV6_HEADER_LENGTH
}

/**
 * A new frame with `size` bytes of `segment` from `offset` as its payload, or NO_FRAME.
 * @param checksumAt offset of the transport checksum in the segment, computed here; -1: none to compute
 */
export function buildPacket(
  context: ElementContext,
  path: Path,
  protocol: number,
  segment: Uint8Array,
  offset: number,
  size: number,
  checksumAt: number,
  id = 0,
  fragment = 0
): FrameHandle {
  const { frames } = context
  const frame = frames.allocate(headersLength(path) + size)
  if (frame === NO_FRAME) return NO_FRAME
  const bytes = frames.bytes(frame)
  const at = frames.start[frame]
  const payloadAt = writeHeaders(bytes, at, path, protocol, size, DEFAULT_TTL, id, fragment)
  bytes.set(segment.subarray(offset, offset + size), payloadAt)
  if (checksumAt >= 0) fillTransport(bytes, payloadAt, payloadAt + size, at + ETHERNET_HEADER_LENGTH, protocol, payloadAt + checksumAt)
  context.enter(frame)
  return frame
}

/** The path of an answer to the packet: back where the frame came from. Allocates; not for a frame that can be turned in place. */
export function replyPath(packet: PacketView): Path {
  const { bytes, frameAt: at, sourceAt, destinationAt, addressLength } = packet
  return {
    sourceMac: { hi: (bytes[at] << 8) | bytes[at + 1], lo: get32(bytes, at + 2) },
    destinationMac: { hi: (bytes[at + 6] << 8) | bytes[at + 7], lo: get32(bytes, at + 8) },
    source: bytes.slice(destinationAt, destinationAt + addressLength),
    destination: bytes.slice(sourceAt, sourceAt + addressLength)
  }
}

/**
 * Exchanges the ends of a packet in place: MACs, addresses, and a fresh TTL. For IPv4 the header must be without options;
 * its total length is taken as it stands, and the header checksum is computed.
 */
export function turnAround(packet: PacketView): void {
  const { bytes, frameAt: at, networkAt: ipAt } = packet
  exchange(bytes, at, at + 6, 6)
  exchange(bytes, packet.sourceAt, packet.destinationAt, packet.addressLength)
  if (packet.family === 4) {
    bytes[ipAt + 8] = DEFAULT_TTL
    fillIpv4Checksum(bytes, ipAt)
  } else {
    bytes[ipAt + IPV6_HOP_LIMIT] = DEFAULT_TTL
  }
}

/** Computes the transport checksum over [transportAt, end); `offset` is where its field is in the transport header. */
export function fillChecksum(packet: PacketView, offset: number): void {
  const { bytes, transportAt, end, networkAt, protocol } = packet
  fillTransport(bytes, transportAt, end, networkAt, protocol, transportAt + offset)
}

function exchange(bytes: Uint8Array, a: number, b: number, length: number): void {
  for (let i = 0; i < length; i++) {
    const byte = bytes[a + i]
    bytes[a + i] = bytes[b + i]
    bytes[b + i] = byte
  }
}
