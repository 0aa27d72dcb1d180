/**
 * Checksums that a capture shows undone: taken where the sender left them to its interface (CHECKSUM_PARTIAL), the field holds the sum
 * of the pseudo-header. No receiver would believe such a frame.
 */
import { get16 } from '../wire/big-endian.ts'
import { fillTransport, pseudoHeaderSum } from '../wire/checksum.ts'
import { IpProtocol } from '../wire/ipv4.ts'
import { PacketView } from '../wire/packet-view.ts'
import { TCP_CHECKSUM, TCP_HEADER_LENGTH } from '../wire/tcp.ts'
import { UDP_CHECKSUM, UDP_HEADER_LENGTH } from '../wire/udp.ts'

const packet = new PacketView()

/** Completes the checksum of a whole TCP or UDP packet where only its pseudo-header is summed; true when it did. */
export function completeUndoneChecksum(bytes: Uint8Array): boolean {
  if (!packet.readFrame(bytes, 0, bytes.length) || packet.isFragment) return false
  const { networkAt, transportAt, end, protocol } = packet
  const isTcp = protocol === IpProtocol.tcp
  if (!isTcp && protocol !== IpProtocol.udp) return false
  if (transportAt + (isTcp ? TCP_HEADER_LENGTH : UDP_HEADER_LENGTH) > end) return false
  const field = transportAt + (isTcp ? TCP_CHECKSUM : UDP_CHECKSUM)
  // A right checksum that happens to be the same is filled in once more as it was.
  if (get16(bytes, field) !== pseudoHeaderSum(bytes, networkAt, protocol, end - transportAt)) return false
  fillTransport(bytes, transportAt, end, networkAt, protocol, field)
  return true
}
