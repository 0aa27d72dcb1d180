/**
 * Whom an ICMP error is about: a program of this host hears of its datagrams as a socket does in Linux (__udp4_lib_err).
 */
import { get16, get32 } from '../../wire/big-endian.ts'
import { ICMP_HEADER_LENGTH } from '../../wire/icmp.ts'
import { checkIpv4Quoted, IPV4_SOURCE, IpProtocol, ipv4HasTransportHeader, ipv4HeaderLength, ipv4Protocol } from '../../wire/ipv4.ts'
import { checkIpv6Quoted, IPV6_HEADER_LENGTH, IPV6_SOURCE, ipv6NextHeader } from '../../wire/ipv6.ts'
import { UDP_DESTINATION_PORT, UDP_HEADER_LENGTH } from '../../wire/udp.ts'
import type { IpPacket } from './ip-packet.ts'

/** No UDP port that a program can have. */
const NO_PORT = 0

/**
 * The UDP port to which the datagram went that the error in `packet` quotes; NO_PORT when it quotes something else, or something that
 * was not sent from the address that the error goes to.
 */
export function quotedPort({ family, bytes, transportAt, end, d0, d1, d2, d3 }: IpPacket): number {
  const ip = transportAt + ICMP_HEADER_LENGTH
  let udp = ip + IPV6_HEADER_LENGTH
  if (family === 4) {
    if (!checkIpv4Quoted(bytes, ip, end) || ipv4Protocol(bytes, ip) !== IpProtocol.udp || !ipv4HasTransportHeader(bytes, ip)) return NO_PORT
    if (get32(bytes, ip + IPV4_SOURCE) !== d0) return NO_PORT
    udp = ip + ipv4HeaderLength(bytes, ip)
  } else {
    if (!checkIpv6Quoted(bytes, ip, end) || ipv6NextHeader(bytes, ip) !== IpProtocol.udp) return NO_PORT
    const source = ip + IPV6_SOURCE
    const isOwn =
      get32(bytes, source) === d0 && get32(bytes, source + 4) === d1 && get32(bytes, source + 8) === d2 && get32(bytes, source + 12) === d3
    if (!isOwn) return NO_PORT
  }
  return udp + UDP_HEADER_LENGTH <= end ? get16(bytes, udp + UDP_DESTINATION_PORT) : NO_PORT
}
