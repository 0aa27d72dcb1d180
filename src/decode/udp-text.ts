import { UDP_HEADER_LENGTH, udpDestinationPort, udpLength, udpSourcePort } from '../wire/udp.ts'
import { VXLAN_FLAGS, VXLAN_HEADER_LENGTH, VXLAN_PORT, vxlanHasVni, vxlanVni } from '../wire/vxlan.ts'
import type { DecodeContext, Payload } from './decode-context.ts'
import { dhcpText } from './dhcp-text.ts'
import { DNS_PORT, dnsText, MDNS_PORT } from './dns-text.ts'

const DHCP_PORTS = [67, 68]
/** Frames within frames that are shown. */
const DEEPEST = 4

/** DNS, DHCP, VXLAN by their ports, else 'UDP, length 5'. */
export function udpText(bytes: Uint8Array, { at, end, length }: Payload, context: DecodeContext): string {
  if (at + UDP_HEADER_LENGTH > end) return '[|udp]'
  const stated = udpLength(bytes, at)
  if (stated < UDP_HEADER_LENGTH) return `UDP, bad length ${stated}`
  const content = { at: at + UDP_HEADER_LENGTH, end: Math.min(end, at + stated), length: stated - UDP_HEADER_LENGTH }
  const ports = [udpSourcePort(bytes, at), udpDestinationPort(bytes, at)]
  // A first fragment has less than the datagram: what is in it cannot be read.
  if (stated > length || content.length === 0) return `UDP, length ${content.length}`
  if (ports.includes(DNS_PORT) || ports.includes(MDNS_PORT)) return dnsText(bytes, content)
  if (ports.some((port) => DHCP_PORTS.includes(port))) return dhcpText(bytes, content)
  if (ports[1] === VXLAN_PORT) return vxlanText(bytes, content, context)
  return `UDP, length ${content.length}`
}

/** RFC 7348 section 5. */
function vxlanText(bytes: Uint8Array, { at, end, length }: Payload, context: DecodeContext): string {
  if (at + VXLAN_HEADER_LENGTH > end) return '[|VXLAN]'
  const hasVni = vxlanHasVni(bytes, at)
  const flags = `flags [${hasVni ? 'I' : 'invalid'}] (0x${bytes[at + VXLAN_FLAGS].toString(16).padStart(2, '0')})`
  const text = `VXLAN, ${flags}, vni ${vxlanVni(bytes, at)}`
  if (!hasVni || context.depth >= DEEPEST) return text
  const inner = context.nested(bytes, at + VXLAN_HEADER_LENGTH, end, at + length, { ...context, depth: context.depth + 1 })
  return `${text}: ${inner}`
}
