/**
 * The bytes of a frame that nobody sends: what elements are asked about.
 */
import { ETHERNET_HEADER_LENGTH, EtherType, emitEthernet } from '../wire/ethernet.ts'
import { emitIcmp } from '../wire/icmp.ts'
import { emitIcmpv6 } from '../wire/icmpv6.ts'
import { emitIpv4, IpProtocol } from '../wire/ipv4.ts'
import { emitIpv6 } from '../wire/ipv6.ts'
import { emitTcp, TCP_HEADER_LENGTH, TcpFlag } from '../wire/tcp.ts'
import { emitUdp, UDP_HEADER_LENGTH } from '../wire/udp.ts'

/** The first packet of a flow: an echo request, a SYN, an empty datagram. */
export interface SyntheticPacket {
  readonly protocol: 'icmp' | 'tcp' | 'udp'
  /** Both of one family. */
  readonly source: string
  readonly destination: string
  /** The echo's identifier. */
  readonly sourcePort: number
  /** 0 for an echo. */
  readonly destinationPort: number
}

const ECHO_LENGTH = 8
const PAYLOAD_LENGTHS = { icmp: ECHO_LENGTH, tcp: TCP_HEADER_LENGTH, udp: UDP_HEADER_LENGTH }

/** Finished, checksums included. */
export function syntheticFrame(packet: SyntheticPacket, sourceMac: string, destinationMac: string): Uint8Array {
  const { protocol, source, destination } = packet
  const isIpv6 = source.includes(':')
  const payloadLength = PAYLOAD_LENGTHS[protocol]
  const bytes = new Uint8Array(ETHERNET_HEADER_LENGTH + (isIpv6 ? 40 : 20) + payloadLength)
  const type = isIpv6 ? EtherType.ipv6 : EtherType.ipv4
  const ip = emitEthernet({ source: sourceMac, destination: destinationMac, type }, bytes, 0)
  const number = protocol === 'icmp' && isIpv6 ? IpProtocol.icmpv6 : IpProtocol[protocol]
  const at =
    ip +
    (isIpv6
      ? emitIpv6({ source, destination, nextHeader: number, payloadLength }, bytes, ip)
      : emitIpv4({ source, destination, protocol: number, payloadLength, dontFragment: true }, bytes, ip))
  emitTransport(packet, isIpv6, bytes, at, ip)
  return bytes
}

function emitTransport(
  { protocol, sourcePort, destinationPort }: SyntheticPacket,
  isIpv6: boolean,
  bytes: Uint8Array,
  at: number,
  ip: number
): void {
  const payload = new Uint8Array(0)
  if (protocol === 'udp') emitUdp({ sourcePort, destinationPort, payload }, bytes, at, ip)
  else if (protocol === 'tcp') {
    const rest = { sequence: 1, acknowledgment: 0, flags: TcpFlag.syn, window: 64_240, urgent: 0, options: {}, payload }
    emitTcp({ sourcePort, destinationPort, ...rest }, bytes, at, ip)
  } else {
    const echo = { kind: 'echo-request', id: sourcePort, sequence: 1, data: payload } as const
    if (isIpv6) emitIcmpv6(echo, bytes, at, ip)
    else emitIcmp(echo, bytes, at)
  }
}
