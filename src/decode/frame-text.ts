import { formatMac, macAt } from '../wire/address.ts'
import { get16 } from '../wire/big-endian.ts'
import { checkEthernet, ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, EtherType, etherType } from '../wire/ethernet.ts'
import { VLAN_TAG_LENGTH, vlanId, vlanPriority } from '../wire/vlan.ts'
import { arpText } from './arp-text.ts'
import type { DecodeContext } from './decode-context.ts'
import { ipv4Text, ipv6Text } from './ip-text.ts'
import type { TcpSequences } from './tcp-sequences.ts'

export interface FrameTextOptions {
  /** Bytes that the frame had, when less was captured. */
  readonly length?: number
  /** Remembers connections, so that sequence numbers count from their first. */
  readonly sequences?: TcpSequences | undefined
}

/** Below it the type field is a length: IEEE 802.3 3.2.6. */
const FIRST_TYPE = 0x600
const TAGS = new Set<number>([0x8100, 0x88a8])
const NAMES: Readonly<Record<number, string>> = { 35020: 'LLDP', 34887: 'MPLS', 34915: 'PPPoE D', 34916: 'PPPoE S', 34958: 'EAPOL' }

/** The Ethernet frame in [at, end) in one line, as `tcpdump -n` prints it. Never throws. */
export function frameText(bytes: Uint8Array, at: number, end: number, options: FrameTextOptions = {}): string {
  return ethernetText(bytes, at, end, at + (options.length ?? end - at), {
    sequences: options.sequences,
    depth: 0,
    nested: ethernetText
  })
}

/** `wireEnd`: where the frame ended before it was cut. */
function ethernetText(bytes: Uint8Array, at: number, end: number, wireEnd: number, context: DecodeContext): string {
  if (!checkEthernet(bytes, at, end)) return '[|ether]'
  let type = etherType(bytes, at)
  let payload = at + ETHERNET_HEADER_LENGTH
  let tags = ''
  while (TAGS.has(type)) {
    if (payload + VLAN_TAG_LENGTH > end) return `${tags}[|vlan]`
    // A tag's accessors begin at the type that announces it.
    tags += `vlan ${vlanId(bytes, payload - 2)}, p ${vlanPriority(bytes, payload - 2)}, `
    type = get16(bytes, payload + 2)
    payload += VLAN_TAG_LENGTH
  }
  return tags + payloadText(bytes, at, payload, type, end, wireEnd, context)
}

function payloadText(
  bytes: Uint8Array,
  at: number,
  payload: number,
  type: number,
  end: number,
  wireEnd: number,
  context: DecodeContext
): string {
  if (type === EtherType.ipv4) return ipv4Text(bytes, payload, end, wireEnd, context)
  if (type === EtherType.ipv6) return ipv6Text(bytes, payload, end, wireEnd, context)
  if (type === EtherType.arp) return arpText(bytes, payload, end, wireEnd - payload)
  const stations = `${formatMac(macAt(bytes, at + ETHERNET_SOURCE))} > ${formatMac(macAt(bytes, at))}`
  const length = wireEnd - at
  if (type < FIRST_TYPE) return `${stations}, 802.3, length ${length}`
  return `${stations}, ethertype ${NAMES[type] ?? 'Unknown'} (0x${type.toString(16).padStart(4, '0')}), length ${length}`
}
