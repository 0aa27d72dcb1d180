/** IPv4 and IPv6, with fragments and extension headers. */
import { formatIpv4, formatIpv6 } from '../wire/address.ts'
import {
  checkIpv4Quoted,
  IPV4_HEADER_LENGTH,
  IpProtocol,
  ipv4Destination,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength
} from '../wire/ipv4.ts'
import {
  checkIpv6Quoted,
  IPV6_DESTINATION,
  IPV6_FRAGMENT_HEADER_LENGTH,
  IPV6_HEADER_LENGTH,
  IPV6_SOURCE,
  IPV6_WALK_FRAGMENT,
  IPV6_WALK_LENGTH,
  IPV6_WALK_OFFSET,
  IPV6_WALK_PROTOCOL,
  ipv6FragmentOffset,
  ipv6NextHeader,
  ipv6PayloadLength,
  walkIpv6Extensions
} from '../wire/ipv6.ts'
import type { DecodeContext } from './decode-context.ts'
import { protocolName, transportText } from './transport-text.ts'

const walk = new Int32Array(IPV6_WALK_LENGTH)

/** 'IP ' and the packet. `wireEnd`: where the frame ended before it was cut. */
export function ipv4Text(bytes: Uint8Array, at: number, end: number, wireEnd: number, context: DecodeContext): string {
  if (at + IPV4_HEADER_LENGTH > end) return 'IP [|ip]'
  if (!checkIpv4Quoted(bytes, at, end)) return `IP bad version or header length (0x${bytes[at].toString(16).padStart(2, '0')})`
  const total = ipv4TotalLength(bytes, at)
  const headerLength = ipv4HeaderLength(bytes, at)
  if (total < headerLength) return `IP bad length ${total}`
  const payload = { at: at + headerLength, end: Math.min(end, at + total), length: total - headerLength }
  const [source, destination] = [formatIpv4(ipv4Source(bytes, at)), formatIpv4(ipv4Destination(bytes, at))]
  const protocol = ipv4Protocol(bytes, at)
  const offset = ipv4FragmentOffset(bytes, at)
  if (offset > 0)
    return `IP ${missing(at + total, wireEnd)}${source} > ${destination}: ${protocolName(protocol)} frag (${offset}|${payload.length})`
  return `IP ${missing(at + total, wireEnd)}${transportText(bytes, protocol, payload, source, destination, context)}`
}

/** 'IP6 ' and the packet. */
export function ipv6Text(bytes: Uint8Array, at: number, end: number, wireEnd: number, context: DecodeContext): string {
  if (at + IPV6_HEADER_LENGTH > end) return 'IP6 [|ip6]'
  if (!checkIpv6Quoted(bytes, at, end)) return `IP6 bad version (0x${bytes[at].toString(16).padStart(2, '0')})`
  const packetEnd = at + IPV6_HEADER_LENGTH + ipv6PayloadLength(bytes, at)
  const [source, destination] = [formatIpv6(bytes, at + IPV6_SOURCE), formatIpv6(bytes, at + IPV6_DESTINATION)]
  const head = `IP6 ${missing(packetEnd, wireEnd)}`
  const capturedEnd = Math.min(end, packetEnd)
  if (!walkIpv6Extensions(bytes, at, capturedEnd, walk)) return `${head}${source} > ${destination}: [|ip6 extension headers]`
  const protocol = walk[IPV6_WALK_PROTOCOL]
  const payload = { at: walk[IPV6_WALK_OFFSET], end: capturedEnd, length: packetEnd - walk[IPV6_WALK_OFFSET] }
  const fragment = walk[IPV6_WALK_FRAGMENT]
  let prefix = ipv6NextHeader(bytes, at) === IpProtocol.hopByHop ? 'HBH ' : ''
  if (fragment >= 0) {
    const offset = ipv6FragmentOffset(bytes, fragment)
    const range = `frag (${offset}|${packetEnd - fragment - IPV6_FRAGMENT_HEADER_LENGTH})`
    if (offset > 0) return `${head}${source} > ${destination}: ${prefix}${range}`
    prefix += `${range} `
  }
  return `${head}${transportText(bytes, protocol, payload, source, destination, context, prefix)}`
}

/** As tcpdump says that the frame had less than the packet. */
function missing(packetEnd: number, wireEnd: number): string {
  return packetEnd > wireEnd ? `truncated-ip - ${packetEnd - wireEnd} bytes missing! ` : ''
}
