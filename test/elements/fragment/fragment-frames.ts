/** Frames with IPv4 packets and fragments, made by hand. */
import { checksum, verifyTransport } from '../../../src/wire/checksum.ts'
import { emitEthernet } from '../../../src/wire/ethernet.ts'
import { emitIpv4, IpProtocol, type Ipv4Repr, parseIpv4Header } from '../../../src/wire/ipv4.ts'
import { emitUdp } from '../../../src/wire/udp.ts'

export const SOURCE = '192.0.2.1'
export const DESTINATION = '198.51.100.2'

/** An Ethernet frame with this packet; the payload's length is taken from it. */
export function ipv4Frame(repr: Partial<Ipv4Repr>, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(14 + 20 + (repr.options?.length ?? 0) + payload.length)
  const at = emitEthernet({ destination: '02:cc:00:00:00:02', source: '02:cc:00:00:00:01', type: 0x0800 }, bytes, 0)
  const header = emitIpv4(
    { source: SOURCE, destination: DESTINATION, protocol: IpProtocol.udp, ...repr, payloadLength: payload.length },
    bytes,
    at
  )
  bytes.set(payload, at + header)
  return bytes
}

/** Bytes that differ at every place. */
export function pattern(length: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) * 13 + seed) & 0xff)
}

/** A whole UDP datagram of `length` bytes of payload, checksum right. */
export function udpPacket(length: number, repr: Partial<Ipv4Repr> = {}): Uint8Array {
  const frame = ipv4Frame(repr, new Uint8Array(8 + length))
  const ipAt = 14
  const at = frame.length - 8 - length
  emitUdp({ sourcePort: 1024, destinationPort: 9, payload: pattern(length) }, frame, at, ipAt)
  return frame
}

/** The fragment of a payload from `from` to `to`. */
export function fragmentOf(payload: Uint8Array, from: number, to: number, repr: Partial<Ipv4Repr> = {}): Uint8Array {
  return ipv4Frame({ id: 7, fragmentOffset: from, moreFragments: to < payload.length, ...repr }, payload.subarray(from, to))
}

/** What stands in a frame's packet; throws when the header is wrong. */
export function readPacket(frame: Uint8Array): Required<Ipv4Repr> & { payload: Uint8Array } {
  const header = parseIpv4Header(frame, 14, frame.length)
  if (header === null) throw new Error('no sound IPv4 header')
  const at = 34 + header.options.length
  return { ...header, payload: frame.slice(at, at + header.payloadLength) }
}

/** Whether the UDP checksum of a whole packet is right. */
export function hasGoodUdpChecksum(frame: Uint8Array): boolean {
  const header = parseIpv4Header(frame, 14, frame.length)!
  const at = 34 + header.options.length
  return verifyTransport(frame, at, at + header.payloadLength, 14, IpProtocol.udp) && checksum(frame, 14, at - 14) === 0
}
