/**
 * Turns a question for a neighbor into its answer, in the frame that it came in: ARP (RFC 826) and neighbor discovery (RFC 4861 7.2.4).
 * Who asks is told the MAC that the control plane knows, so that the question need not cross the underlay (RFC 7432 10 calls it
 * suppression), and who asks about the VTEP itself gets its own.
 */
import { FrameFlag, type FrameHandle, type FramePool } from '../../engine/frame-pool.ts'
import {
  ARP_LENGTH,
  ARP_SENDER_MAC,
  ArpOperation,
  arpOperation,
  arpSenderIp,
  arpTargetIp,
  checkArp,
  setArpOperation,
  setArpSender,
  setArpTarget
} from '../../wire/arp.ts'
import { get16, get32, put16, put32 } from '../../wire/big-endian.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, EtherType, macHi, macLo, setMac } from '../../wire/ethernet.ts'
import { fillIcmpv6Checksum, Icmpv6Type } from '../../wire/icmpv6.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import {
  checkIpv6,
  IPV6_DESTINATION,
  IPV6_HEADER_LENGTH,
  IPV6_HOP_LIMIT,
  IPV6_SOURCE,
  ipv6End,
  ipv6NextHeader,
  setIpv6Address,
  setIpv6PayloadLength
} from '../../wire/ipv6.ts'
import {
  checkNeighborDiscovery,
  ND_FLAG_OVERRIDE,
  ND_FLAG_SOLICITED,
  ND_FLAGS,
  ND_HOP_LIMIT,
  ND_TARGET,
  NdOption
} from '../../wire/neighbor-discovery.ts'

/** Who has an address; true, and `found` is filled in, when it is known. IPv4 as the mapped address. */
export type NeighborOf = (w0: number, w1: number, w2: number, w3: number, found: { hi: number; lo: number }) => boolean

const ADVERTISEMENT_LENGTH = 32
const ALL_NODES = [0xff020000 | 0, 0, 0, 1] as const

const found = { hi: 0, lo: 0 }

/** True when the frame, which has an Ethernet header, was a question with a known answer and is that answer now. */
export function answerNeighbor(frames: FramePool, frame: FrameHandle, neighborOf: NeighborOf): boolean {
  const bytes = frames.bytes(frame)
  const start = frames.start[frame]
  const end = start + frames.length[frame]
  const at = start + ETHERNET_HEADER_LENGTH
  const type = get16(bytes, at - 2)
  const isAnswered =
    type === EtherType.arp
      ? answerArp(bytes, start, at, end, neighborOf)
      : type === EtherType.ipv6 && frames.room(frame) >= ETHERNET_HEADER_LENGTH + IPV6_HEADER_LENGTH + ADVERTISEMENT_LENGTH
        ? answerSolicitation(bytes, start, at, end, neighborOf)
        : false
  if (!isAnswered) return false
  frames.length[frame] = ETHERNET_HEADER_LENGTH + (type === EtherType.arp ? ARP_LENGTH : IPV6_HEADER_LENGTH + ADVERTISEMENT_LENGTH)
  frames.flags[frame] &= FrameFlag.traced
  return true
}

function answerArp(bytes: Uint8Array, start: number, at: number, end: number, neighborOf: NeighborOf): boolean {
  if (!checkArp(bytes, at, end) || arpOperation(bytes, at) !== ArpOperation.request) return false
  const target = arpTargetIp(bytes, at)
  const sender = arpSenderIp(bytes, at)
  // An announcement (RFC 5227 2.3) asks nothing.
  if (target === sender || !neighborOf(0, 0, 0xffff, target, found)) return false
  const askerHi = macHi(bytes, at + ARP_SENDER_MAC)
  const askerLo = macLo(bytes, at + ARP_SENDER_MAC)
  setMac(bytes, start, macHi(bytes, start + ETHERNET_SOURCE), macLo(bytes, start + ETHERNET_SOURCE))
  setMac(bytes, start + ETHERNET_SOURCE, found.hi, found.lo)
  setArpOperation(bytes, at, ArpOperation.reply)
  setArpTarget(bytes, at, askerHi, askerLo, sender)
  setArpSender(bytes, at, found.hi, found.lo, target)
  return true
}

function answerSolicitation(bytes: Uint8Array, start: number, at: number, end: number, neighborOf: NeighborOf): boolean {
  if (!checkIpv6(bytes, at, end) || ipv6NextHeader(bytes, at) !== IpProtocol.icmpv6 || bytes[at + IPV6_HOP_LIMIT] !== ND_HOP_LIMIT)
    return false
  const icmp = at + IPV6_HEADER_LENGTH
  if (!checkNeighborDiscovery(bytes, icmp, ipv6End(bytes, at)) || bytes[icmp] !== Icmpv6Type.neighborSolicitation) return false
  const target = icmp + ND_TARGET
  if (!neighborOf(get32(bytes, target), get32(bytes, target + 4), get32(bytes, target + 8), get32(bytes, target + 12), found)) return false
  const from = at + IPV6_SOURCE
  const to = at + IPV6_DESTINATION
  // A station that tries its own address (RFC 4862 5.4) has none to be answered at: all are told.
  const isProbe = (get32(bytes, from) | get32(bytes, from + 4) | get32(bytes, from + 8) | get32(bytes, from + 12)) === 0
  if (isProbe) {
    ALL_NODES.forEach((word, i) => {
      put32(bytes, to + 4 * i, word)
    })
    setMac(bytes, start, 0x3333, 1)
  } else {
    setIpv6Address(bytes, to, bytes, from)
    setMac(bytes, start, macHi(bytes, start + ETHERNET_SOURCE), macLo(bytes, start + ETHERNET_SOURCE))
  }
  setMac(bytes, start + ETHERNET_SOURCE, found.hi, found.lo)
  setIpv6Address(bytes, from, bytes, target)
  setIpv6PayloadLength(bytes, at, ADVERTISEMENT_LENGTH)
  bytes[icmp] = Icmpv6Type.neighborAdvertisement
  put32(bytes, icmp + ND_FLAGS, 0)
  bytes[icmp + ND_FLAGS] = isProbe ? ND_FLAG_OVERRIDE : ND_FLAG_OVERRIDE | ND_FLAG_SOLICITED
  const option = icmp + 24
  put16(bytes, option, (NdOption.targetLinkLayer << 8) | 1)
  setMac(bytes, option + 2, found.hi, found.lo)
  fillIcmpv6Checksum(bytes, icmp, icmp + ADVERTISEMENT_LENGTH, at)
  return true
}
