/**
 * The frames that a DHCP client sends: its messages in UDP, and ARP probes.
 */
import type { ElementContext } from '../../engine/element.ts'
import { type FrameHandle, NO_FRAME } from '../../engine/frame-pool.ts'
import { ARP_LENGTH, ArpOperation, emitArp } from '../../wire/arp.ts'
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, type DhcpRepr, emitDhcp } from '../../wire/dhcp.ts'
import { ETHERNET_HEADER_LENGTH, EtherType, emitEthernet } from '../../wire/ethernet.ts'
import { emitIpv4, IPV4_HEADER_LENGTH, IpProtocol } from '../../wire/ipv4.ts'
import { emitUdp, UDP_HEADER_LENGTH } from '../../wire/udp.ts'

export const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff'
export const BROADCAST_ADDRESS = '255.255.255.255'
export const NO_ADDRESS = '0.0.0.0'
const NO_MAC = '00:00:00:00:00:00'
/** Room for a message with all options that a client sends. */
const MESSAGE_MAX = 1024
const HEADERS = ETHERNET_HEADER_LENGTH + IPV4_HEADER_LENGTH + UDP_HEADER_LENGTH

/** Who speaks to whom. */
export interface ClientPath {
  readonly mac: string
  readonly destinationMac: string
  readonly source: string
  readonly destination: string
}

const message = new Uint8Array(MESSAGE_MAX)

/** NO_FRAME when the pool is exhausted: the message will be sent again anyway. */
export function messageFrame(context: ElementContext, repr: DhcpRepr, path: ClientPath): FrameHandle {
  const length = emitDhcp(repr, message, 0)
  const frame = context.frames.allocate(HEADERS + length)
  if (frame === NO_FRAME) return NO_FRAME
  const bytes = context.frames.bytes(frame)
  const at = context.frames.start[frame]
  const ip = at + ETHERNET_HEADER_LENGTH
  emitEthernet({ destination: path.destinationMac, source: path.mac, type: EtherType.ipv4 }, bytes, at)
  emitIpv4(
    { source: path.source, destination: path.destination, protocol: IpProtocol.udp, payloadLength: UDP_HEADER_LENGTH + length },
    bytes,
    ip
  )
  const payload = message.subarray(0, length)
  emitUdp({ sourcePort: DHCP_CLIENT_PORT, destinationPort: DHCP_SERVER_PORT, payload }, bytes, ip + IPV4_HEADER_LENGTH, ip)
  context.enter(frame)
  return frame
}

/** RFC 5227 section 2.1.1: who has that address? asked by one that has none. NO_FRAME as above. */
export function probeFrame(context: ElementContext, mac: string, address: string): FrameHandle {
  const frame = context.frames.allocate(ETHERNET_HEADER_LENGTH + ARP_LENGTH)
  if (frame === NO_FRAME) return NO_FRAME
  const bytes = context.frames.bytes(frame)
  const at = context.frames.start[frame]
  emitEthernet({ destination: BROADCAST_MAC, source: mac, type: EtherType.arp }, bytes, at)
  const probe = { operation: ArpOperation.request, senderMac: mac, senderIp: NO_ADDRESS, targetMac: NO_MAC, targetIp: address }
  emitArp(probe, bytes, at + ETHERNET_HEADER_LENGTH)
  context.enter(frame)
  return frame
}
