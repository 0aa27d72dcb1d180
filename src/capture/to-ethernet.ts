/**
 * Captured frames of other link types as Ethernet frames: for playing a capture of somebody else's interface.
 *
 *   1 Ethernet                      as it is
 *   101, 228, 229, 12, 14 raw IP    | 14 | packet |
 *   113, 276 Linux cooked           sender's MAC from the header, the rest as for raw IP
 *   0, 108 null, loopback           the four bytes of the address family go
 *
 * Numbers are those of tcpdump.org's list of link types (draft-ietf-opsawg-pcaplinktype).
 */
import { macForIpv4Multicast, macForIpv6Multicast } from '../wire/address.ts'
import { ARP_TARGET_MAC } from '../wire/arp.ts'
import { get16, get32, put16 } from '../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, ETHERNET_TYPE, EtherType, setMac } from '../wire/ethernet.ts'
import { IPV4_DESTINATION, IPV4_HEADER_LENGTH } from '../wire/ipv4.ts'
import { IPV6_DESTINATION, IPV6_HEADER_LENGTH } from '../wire/ipv6.ts'
import type { CapturedFrame, CaptureInterface } from './capture-reader.ts'

export const LinkType = {
  null: 0,
  ethernet: 1,
  /** What BSDs called raw IP, and wrote into files before there was 101. */
  rawBsd: 12,
  rawOpenBsd: 14,
  raw: 101,
  loop: 108,
  linuxSll: 113,
  ipv4: 228,
  ipv6: 229,
  linuxSll2: 276
} as const

/** Those that are met most and have nothing that could become an Ethernet frame, by name. */
const FOREIGN: Readonly<Record<number, string>> = {
  9: 'PPP',
  105: 'IEEE 802.11',
  117: 'OpenBSD pflog',
  127: 'IEEE 802.11 with radiotap',
  147: 'user-defined',
  187: 'Bluetooth',
  189: 'USB of Linux',
  195: 'IEEE 802.15.4',
  220: 'USB of Linux',
  227: 'CAN',
  239: 'netfilter log',
  249: 'USB of Windows',
  253: 'netlink'
}

/** Who sends and gets a packet that came without Ethernet addresses; 6 bytes each. */
export interface LinkAddresses {
  readonly source: Uint8Array
  /** Of the IPv4 or IPv6 unicast address at `at`; `family` is 4 or 6. */
  destination(bytes: Uint8Array, at: number, family: 4 | 6): Uint8Array
}

/**
 * The frame as an Ethernet frame without a check sequence: the frame's own bytes where it is one already, else new ones. A text says
 * why there is none; it is the same for all frames that are refused for one reason.
 */
export function toEthernet({ data, originalLength }: CapturedFrame, info: CaptureInterface, addresses: LinkAddresses): Uint8Array | string {
  if (data.length < originalLength) return 'cut by the snap length of the capture'
  const bytes = info.fcsLength === undefined ? data : data.subarray(0, Math.max(0, data.length - info.fcsLength))
  switch (info.linkType) {
    case LinkType.ethernet:
      return bytes.length < ETHERNET_HEADER_LENGTH ? 'shorter than an Ethernet header' : bytes
    case LinkType.raw:
    case LinkType.rawBsd:
    case LinkType.rawOpenBsd:
    case LinkType.ipv4:
    case LinkType.ipv6:
      return packetFrame(bytes, 0, addresses.source, addresses)
    case LinkType.null:
    case LinkType.loop:
      return packetFrame(bytes, 4, addresses.source, addresses)
    case LinkType.linuxSll:
      return bytes.length < 16
        ? SHORT_COOKED
        : cookedFrame(bytes, { header: 16, protocol: 14, kind: bytes[1], length: 5, address: 6 }, addresses)
    case LinkType.linuxSll2:
      return bytes.length < 20
        ? SHORT_COOKED
        : cookedFrame(bytes, { header: 20, protocol: 0, kind: bytes[10], length: 11, address: 12 }, addresses)
    default:
      return `link type ${info.linkType}${info.linkType in FOREIGN ? ` (${FOREIGN[info.linkType]})` : ''} cannot become Ethernet`
  }
}

const SHORT_COOKED = 'shorter than its Linux cooked header'
const NO_PACKET = 'no IPv4 or IPv6 packet'

/** Offsets in a Linux cooked header, and the packet type in it. */
interface Cooked {
  readonly header: number
  readonly protocol: number
  /** PACKET_HOST 0, BROADCAST 1, MULTICAST 2, OTHERHOST 3, OUTGOING 4 (<linux/if_packet.h>). */
  readonly kind: number
  /** Of the address's length: its low byte. */
  readonly length: number
  readonly address: number
}

/** The header has the sender's address but not the receiver's. */
function cookedFrame(
  bytes: Uint8Array,
  { header, protocol, kind, length, address }: Cooked,
  addresses: LinkAddresses
): Uint8Array | string {
  // Of the loopback interface it is all zeros.
  const isKnown = bytes[length] === 6 && !isZero(bytes, address, 6)
  const source = isKnown ? bytes.subarray(address, address + 6) : addresses.source
  const type = get16(bytes, protocol)
  if (type === EtherType.ipv4 || type === EtherType.ipv6) return packetFrame(bytes, header, source, addresses)
  if (type < ETHERTYPE_MIN) return 'IEEE 802 link control behind a Linux cooked header'
  const frame = withHeader(bytes, header, source, type)
  const target = header + ARP_TARGET_MAC
  const isAnswer = type === EtherType.arp && kind !== BROADCAST_KIND && bytes.length >= target + 6 && !isZero(bytes, target, 6)
  // Other protocols are not resolved: everybody gets them.
  if (isAnswer) frame.set(bytes.subarray(target, target + 6), 0)
  else frame.fill(0xff, 0, 6)
  return frame
}

/** Smaller numbers are lengths or Linux's own. */
const ETHERTYPE_MIN = 0x600

function isZero(bytes: Uint8Array, at: number, length: number): boolean {
  for (let i = at; i < at + length; i++) if (bytes[i] !== 0) return false
  return true
}

const BROADCAST_KIND = 1

function packetFrame(bytes: Uint8Array, at: number, source: Uint8Array, addresses: LinkAddresses): Uint8Array | string {
  const version = bytes.length > at ? bytes[at] >> 4 : 0
  if (version === 4 && bytes.length >= at + IPV4_HEADER_LENGTH) {
    const frame = withHeader(bytes, at, source, EtherType.ipv4)
    const destination = get32(bytes, at + IPV4_DESTINATION)
    if (destination === -1) frame.fill(0xff, 0, 6)
    else if (destination >>> 28 === 0xe) put(frame, macForIpv4Multicast(destination))
    else frame.set(addresses.destination(bytes, at + IPV4_DESTINATION, 4), 0)
    return frame
  }
  if (version === 6 && bytes.length >= at + IPV6_HEADER_LENGTH) {
    const frame = withHeader(bytes, at, source, EtherType.ipv6)
    if (bytes[at + IPV6_DESTINATION] === 0xff) put(frame, macForIpv6Multicast(bytes, at + IPV6_DESTINATION))
    else frame.set(addresses.destination(bytes, at + IPV6_DESTINATION, 6), 0)
    return frame
  }
  return NO_PACKET
}

function put(frame: Uint8Array, { hi, lo }: { readonly hi: number; readonly lo: number }): void {
  setMac(frame, 0, hi, lo)
}

/** What is behind `at`, with room for the destination before it. */
function withHeader(bytes: Uint8Array, at: number, source: Uint8Array, type: number): Uint8Array {
  const frame = new Uint8Array(ETHERNET_HEADER_LENGTH + bytes.length - at)
  frame.set(source, ETHERNET_SOURCE)
  put16(frame, ETHERNET_TYPE, type)
  frame.set(bytes.subarray(at), ETHERNET_HEADER_LENGTH)
  return frame
}
