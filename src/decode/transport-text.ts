/** What is in an IP packet, by its protocol number. */

import { formatIpv4 } from '../wire/address.ts'
import { get16, get32 } from '../wire/big-endian.ts'
import { IpProtocol } from '../wire/ipv4.ts'
import type { DecodeContext, Payload } from './decode-context.ts'
import { icmpText } from './icmp-text.ts'
import { icmpv6Text } from './icmpv6-text.ts'
import { tcpText } from './tcp-text.ts'
import { udpText } from './udp-text.ts'

const IGMP = 2
/** IANA "Protocol Numbers", those that are met. */
const NAMES: Readonly<Record<number, string>> = {
  1: 'icmp',
  2: 'igmp',
  4: 'ipip',
  6: 'tcp',
  17: 'udp',
  41: 'ip6',
  47: 'gre',
  50: 'esp',
  51: 'ah',
  58: 'icmp6',
  89: 'ospf',
  112: 'vrrp',
  132: 'sctp'
}

export function protocolName(protocol: number): string {
  return NAMES[protocol] ?? `ip-proto-${protocol}`
}

/** 'SOURCE > DESTINATION: ...', with ports where there are any. `prefix`: headers between, as text. */
export function transportText(
  bytes: Uint8Array,
  protocol: number,
  payload: Payload,
  source: string,
  destination: string,
  context: DecodeContext,
  prefix = ''
): string {
  if (protocol === IpProtocol.tcp || protocol === IpProtocol.udp) {
    if (payload.at + 4 > payload.end) return `${source} > ${destination}: ${prefix}[|${protocolName(protocol)}]`
    const [from, to] = [`${source}.${get16(bytes, payload.at)}`, `${destination}.${get16(bytes, payload.at + 2)}`]
    const text = protocol === IpProtocol.tcp ? tcpText(bytes, payload, from, to, context) : udpText(bytes, payload, context)
    return `${from} > ${to}: ${prefix}${text}`
  }
  return `${source} > ${destination}: ${prefix}${portlessText(bytes, protocol, payload)}`
}

function portlessText(bytes: Uint8Array, protocol: number, payload: Payload): string {
  if (protocol === IpProtocol.icmp) return icmpText(bytes, payload)
  if (protocol === IpProtocol.icmpv6) return icmpv6Text(bytes, payload)
  if (protocol === IGMP) return igmpText(bytes, payload)
  if (protocol === IpProtocol.none) return `no next header, length ${payload.length}`
  return `${protocolName(protocol)}, length ${payload.length}`
}

/** RFC 2236, RFC 3376. */
function igmpText(bytes: Uint8Array, { at, end }: Payload): string {
  if (at + 8 > end) return '[|igmp]'
  const group = formatIpv4(get32(bytes, at + 4))
  switch (bytes[at]) {
    case 0x11:
      return group === '0.0.0.0' ? 'igmp query' : `igmp query ${group}`
    case 0x12:
      return `igmp v1 report ${group}`
    case 0x16:
      return `igmp v2 report ${group}`
    case 0x17:
      return `igmp leave ${group}`
    case 0x22:
      return `igmp v3 report, ${get16(bytes, at + 6)} group record(s)`
    default:
      return `igmp-${bytes[at]}`
  }
}
