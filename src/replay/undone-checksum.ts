/**
 * Checksums that a capture shows undone: taken where the sender left them to its interface (CHECKSUM_PARTIAL), the field holds the sum
 * of the pseudo-header. No receiver would believe such a frame.
 */
import { get16 } from '../wire/big-endian.ts'
import { fillTransport, pseudoHeaderSum } from '../wire/checksum.ts'
import { ETHERNET_TYPE, EtherType } from '../wire/ethernet.ts'
import { checkIpv4, IpProtocol, ipv4End, ipv4HeaderLength, ipv4IsFragment, ipv4Protocol } from '../wire/ipv4.ts'
import { checkIpv6, IPV6_HEADER_LENGTH, ipv6End, ipv6NextHeader } from '../wire/ipv6.ts'
import { TCP_CHECKSUM, TCP_HEADER_LENGTH } from '../wire/tcp.ts'
import { UDP_CHECKSUM, UDP_HEADER_LENGTH } from '../wire/udp.ts'
import { checkVlan, VLAN_TAG_LENGTH } from '../wire/vlan.ts'

/** Completes the checksum of a whole TCP or UDP packet where only its pseudo-header is summed; true when it did. */
export function completeUndoneChecksum(bytes: Uint8Array): boolean {
  let typeAt = ETHERNET_TYPE
  while (checkVlan(bytes, typeAt, bytes.length)) typeAt += VLAN_TAG_LENGTH
  const at = typeAt + 2
  if (at > bytes.length) return false
  const type = get16(bytes, typeAt)
  if (type === EtherType.ipv4) {
    if (!checkIpv4(bytes, at, bytes.length) || ipv4IsFragment(bytes, at)) return false
    return complete(bytes, at, at + ipv4HeaderLength(bytes, at), ipv4End(bytes, at), ipv4Protocol(bytes, at))
  }
  if (type !== EtherType.ipv6 || !checkIpv6(bytes, at, bytes.length)) return false
  return complete(bytes, at, at + IPV6_HEADER_LENGTH, ipv6End(bytes, at), ipv6NextHeader(bytes, at))
}

function complete(bytes: Uint8Array, ipAt: number, at: number, end: number, protocol: number): boolean {
  const isTcp = protocol === IpProtocol.tcp
  if (!isTcp && protocol !== IpProtocol.udp) return false
  if (at + (isTcp ? TCP_HEADER_LENGTH : UDP_HEADER_LENGTH) > end) return false
  const field = at + (isTcp ? TCP_CHECKSUM : UDP_CHECKSUM)
  // A right checksum that happens to be the same is filled in once more as it was.
  if (get16(bytes, field) !== pseudoHeaderSum(bytes, ipAt, protocol, end - at)) return false
  fillTransport(bytes, at, end, ipAt, protocol, field)
  return true
}
