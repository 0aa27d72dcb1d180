/**
 * What servers answer, found among all frames.
 */
import { FrameFlag, type FrameHandle, type FramePool } from '../../engine/frame-pool.ts'
import { formatMac, type Mac, macAt } from '../../wire/address.ts'
import { DHCP_CLIENT_PORT, DhcpOperation, type DhcpRepr, parseDhcp } from '../../wire/dhcp.ts'
import { ETHERNET_HEADER_LENGTH, ETHERNET_SOURCE, isGroup, macHi, macLo } from '../../wire/ethernet.ts'
import { checkIpv4, ipv4End, ipv4IsFragment, ipv4Payload, verifyIpv4Checksum } from '../../wire/ipv4.ts'
import { checkUdp, UDP_HEADER_LENGTH, udpDestinationPort, verifyUdpChecksum } from '../../wire/udp.ts'

/** A whole reply to the client with this MAC, in a frame of IPv4; null for everything else. */
export function readReply(frames: FramePool, frame: FrameHandle, mac: Mac): DhcpRepr | null {
  const bytes = frames.bytes(frame)
  const at = frames.start[frame]
  if (!isGroup(bytes, at) && (macLo(bytes, at) !== mac.lo || macHi(bytes, at) !== mac.hi)) return null
  const ip = at + ETHERNET_HEADER_LENGTH
  if (!checkIpv4(bytes, ip, at + frames.length[frame]) || ipv4IsFragment(bytes, ip)) return null
  const udp = ipv4Payload(bytes, ip)
  const end = ipv4End(bytes, ip)
  if (!checkUdp(bytes, udp, end) || udpDestinationPort(bytes, udp) !== DHCP_CLIENT_PORT) return null
  const isVouchedFor = (frames.flags[frame] & (FrameFlag.csum | FrameFlag.csumValid)) !== 0
  if (!verifyIpv4Checksum(bytes, ip) || !(isVouchedFor || verifyUdpChecksum(bytes, udp, ip))) return null
  const message = parseDhcp(bytes, udp + UDP_HEADER_LENGTH, end)
  return message?.operation === DhcpOperation.reply && message.mac === formatMac(mac) ? message : null
}

/** Of the frame, as text. */
export function sourceMac(frames: FramePool, frame: FrameHandle): string {
  return formatMac(macAt(frames.bytes(frame), frames.start[frame] + ETHERNET_SOURCE))
}
