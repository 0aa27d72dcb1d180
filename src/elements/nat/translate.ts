/**
 * Rewrites one side of a packet, source or destination, with every checksum that covers it: RFC 1624, never the payload.
 *
 * Sums here are of 16-bit words in the frame's byte order (RFC 1071 2(B): the sum does not care), as fields of tuples are.
 * A *partial* checksum (virtio NEEDS_CSUM) holds the pseudo-header's sum, not complemented: addresses are added with the other
 * sign, ports are not in it at all. So a super-frame is translated without a look at its payload.
 */
import { fold } from '../../wire/checksum.ts'
import { IPV4_CHECKSUM, IpProtocol } from '../../wire/ipv4.ts'
import { TCP_CHECKSUM } from '../../wire/tcp.ts'
import { UDP_CHECKSUM } from '../../wire/udp.ts'
import type { InternedAddresses } from './interned-addresses.ts'
import { type NatPacket, PacketKind } from './nat-packet.ts'
import { readAddress, readPort, writeAddress } from './tuple.ts'

/** For `port`: leave it as it is. */
export const KEEP_PORT = -1
const ICMP_CHECKSUM = 2
const ICMP_ID = 4
const scratch = new Uint8Array(16)

/** What a sum grows by when 16 bits go from `before` to `after`. */
function change16(before: number, after: number): number {
  return (~before & 0xffff) + after
}

/** The same for an address of a tuple. */
function change32(before: number, after: number): number {
  return (~before & 0xffff) + (~before >>> 16) + (after & 0xffff) + (after >>> 16)
}

/** A checksum field whose data's sum grew by `change`. */
function addToChecksum(bytes: Uint8Array, at: number, change: number): void {
  const field = ~fold((~readPort(bytes, at) & 0xffff) + change)
  bytes[at] = field
  bytes[at + 1] = field >>> 8
}

/** Offset of the checksum of the packet's transport; -1: none that we know, or a UDP packet without, or cut off. */
function checksumAt(packet: NatPacket, isPartial: boolean): number {
  const { protocol, transport, bytes, end } = packet
  let at = -1
  if (protocol === IpProtocol.tcp) at = transport + TCP_CHECKSUM
  else if (protocol === IpProtocol.udp) at = transport + UDP_CHECKSUM
  else if (packet.isIcmp) at = transport + ICMP_CHECKSUM
  if (at < 0 || at + 2 > end) return -1
  return protocol === IpProtocol.udp && !isPartial && readPort(bytes, at) === 0 ? -1 : at
}

/**
 * Gives the source or the destination of `packet` another address and port.
 * @param address of a tuple
 * @param port of a tuple, the identifier for an ICMP query, or KEEP_PORT
 * @param isPartial the transport checksum is partial
 */
export function rewriteSide(
  packet: NatPacket,
  addresses: InternedAddresses,
  isSource: boolean,
  address: number,
  port: number,
  isPartial: boolean
): void {
  const { bytes, isIpv6, transport, kind } = packet
  const addressAt = isSource ? packet.sourceAt : packet.destinationAt
  let pseudo = 0
  if (isIpv6) {
    addresses.write(address, scratch, 0)
    for (let i = 0; i < 16; i += 2) pseudo += change16(readPort(bytes, addressAt + i), readPort(scratch, i))
    for (let i = 0; i < 16; i++) bytes[addressAt + i] = scratch[i]
  } else {
    const before = readAddress(bytes, addressAt)
    if (before !== address) {
      pseudo = change32(before, address)
      writeAddress(bytes, addressAt, address)
      addToChecksum(bytes, packet.ip + IPV4_CHECKSUM, pseudo)
    }
  }
  if (kind === PacketKind.fragment) return
  const fieldAt = checksumAt(packet, isPartial)
  if (fieldAt >= 0 && packet.isIcmp && !isIpv6) pseudo = 0 // ICMP for IPv4 has no pseudo-header
  if (isPartial && fieldAt >= 0) {
    const field = fold(readPort(bytes, fieldAt) + fold(pseudo))
    bytes[fieldAt] = field
    bytes[fieldAt + 1] = field >>> 8
    pseudo = 0
  }
  let change = fold(pseudo)
  if (port !== KEEP_PORT && (kind === PacketKind.ports || kind === PacketKind.query)) {
    const portAt = kind === PacketKind.query ? transport + ICMP_ID : isSource ? transport : transport + 2
    change += change16(readPort(bytes, portAt), port)
    bytes[portAt] = port
    bytes[portAt + 1] = port >>> 8
  }
  if (isPartial || fieldAt < 0 || change === 0) return
  addToChecksum(bytes, fieldAt, change)
  // 0 says "no checksum" in UDP: RFC 768.
  if (packet.protocol === IpProtocol.udp && readPort(bytes, fieldAt) === 0) bytes[fieldAt] = bytes[fieldAt + 1] = 0xff
}

/**
 * What the sums of header and transport grow by when a packet comes in with one tuple and leaves as the opposite of another: header |
 * transport << 16. Words a, b and c of both (see `tuple`): a sum does not care where in them an address or a port stands.
 */
export function translationChange(a: number, b: number, c: number, otherA: number, otherB: number, otherC: number): number {
  const before = (~a & 0xffff) + (~b & 0xffff) + (~b >>> 16) + (~c & 0xffff)
  const addresses = fold(before + (otherA & 0xffff) + (otherB & 0xffff) + (otherB >>> 16) + (otherC & 0xffff))
  return addresses | (fold(addresses + (~a >>> 16) + (~c >>> 16) + (otherA >>> 16) + (otherC >>> 16)) << 16)
}
