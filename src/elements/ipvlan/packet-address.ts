/**
 * The address by which ipvlan tells whose a frame is: `ipvlan_get_L3_hdr` and `ipvlan_addr_lookup` of drivers/net/ipvlan/ipvlan_core.c.
 *
 * | frame | to whom | from whom |
 * |---|---|---|
 * | ARP (Ethernet and IPv4) | its target address | its sender address |
 * | IPv4, header whole and of its length | destination | source |
 * | IPv6 | destination | source |
 * | IPv6 with a neighbor solicitation | its target address | its target address |
 * | everything else, tagged frames too | nobody | nobody |
 */
import { ETHERNET_HEADER_LENGTH, ETHERNET_TYPE, EtherType } from '../../wire/ethernet.ts'
import { type AddressTable, NO_CHILD } from './address-table.ts'

// Constants of this module are part of the code that V8 makes; those that it imports are looked up at every use.
const headerLength = ETHERNET_HEADER_LENGTH
const ipv4Type = EtherType.ipv4
const ipv6Type = EtherType.ipv6
const arpType = EtherType.arp
const noChild = NO_CHILD

const ARP_LENGTH = 28
const ARP_SENDER = 14
const ARP_TARGET = 24
const IPV4_MIN = 20
const IPV4_SOURCE = 12
const IPV4_DESTINATION = 16
const IPV6_LENGTH = 40
const IPV6_NEXT_HEADER = 6
const IPV6_SOURCE = 8
const IPV6_DESTINATION = 24
const ICMPV6 = 58
const NEIGHBOR_SOLICITATION = 135
/** Of the message: type, code, checksum, reserved, then the target. */
const NS_TARGET = 8
const NS_LENGTH = 24

export const Side = { destination: 0, source: 1 } as const

/** The child's port, or NO_CHILD. `[at, end)` is a frame with a whole Ethernet header; `side` one of Side. */
export function childOf(view: DataView, at: number, end: number, children: AddressTable, side: number): number {
  const ip = at + headerLength
  const type = view.getUint16(at + ETHERNET_TYPE)
  if (type === ipv4Type) {
    if (!isIpv4(view, ip, end)) return noChild
    return children.lookup4(view.getInt32(ip + (side === 0 ? IPV4_DESTINATION : IPV4_SOURCE)))
  }
  if (type === arpType) {
    if (ip + ARP_LENGTH > end) return noChild
    return children.lookup4(view.getInt32(ip + (side === 0 ? ARP_TARGET : ARP_SENDER)))
  }
  if (type !== ipv6Type || ip + IPV6_LENGTH > end || view.getUint8(ip) >>> 4 !== 6) return noChild
  const icmp = ip + IPV6_LENGTH
  const isSolicitation =
    view.getUint8(ip + IPV6_NEXT_HEADER) === ICMPV6 && icmp + NS_LENGTH <= end && view.getUint8(icmp) === NEIGHBOR_SOLICITATION
  const address = isSolicitation ? icmp + NS_TARGET : ip + (side === 0 ? IPV6_DESTINATION : IPV6_SOURCE)
  return children.lookup(view.getInt32(address), view.getInt32(address + 4), view.getInt32(address + 8), view.getInt32(address + 12))
}

/** Version, and lengths that fit each other and the frame. The checksum is the receiver's to judge. */
function isIpv4(view: DataView, ip: number, end: number): boolean {
  if (ip + IPV4_MIN > end) return false
  const first = view.getUint8(ip)
  const total = view.getUint16(ip + 2)
  const header = (first & 0xf) << 2
  return first >>> 4 === 4 && header >= IPV4_MIN && total >= header && ip + total <= end
}
