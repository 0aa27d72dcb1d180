/**
 * Where the parts of one fragment are.
 *
 *   | Ethernet 14 | IP header | payload: bytes [from, to) of the datagram | padding |
 *                 ^ ipAt      ^ payloadAt
 */
import { ETHERNET_HEADER_LENGTH } from '../../wire/ethernet.ts'
import {
  ipv4DontFragment,
  ipv4End,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4MoreFragments,
  ipv4Tos,
  ipv4TotalLength
} from '../../wire/ipv4.ts'

/** The fields of the fragment that was read last. */
export class FragmentLayout {
  ipAt = 0
  payloadAt = 0
  /** Bytes of the headers before the payload. */
  headerLength = 0
  /** Place of the payload in the datagram, bytes. */
  from = 0
  to = 0
  isLast = false
  dontFragment = false
  /** Bytes of the IP packet. */
  packetLength = 0
  /** The last two bits of the traffic class, RFC 3168. */
  ecn = 0

  /** Reads the frame at [start, ...) of `bytes`, an IPv4 packet for which `checkIpv4` held. */
  readIpv4(bytes: Uint8Array, start: number): void {
    const ipAt = start + ETHERNET_HEADER_LENGTH
    this.ipAt = ipAt
    this.headerLength = ipv4HeaderLength(bytes, ipAt)
    this.payloadAt = ipAt + this.headerLength
    this.from = ipv4FragmentOffset(bytes, ipAt)
    this.to = this.from + ipv4End(bytes, ipAt) - this.payloadAt
    this.isLast = !ipv4MoreFragments(bytes, ipAt)
    this.dontFragment = ipv4DontFragment(bytes, ipAt)
    this.packetLength = ipv4TotalLength(bytes, ipAt)
    this.ecn = ipv4Tos(bytes, ipAt) & 3
  }
}
