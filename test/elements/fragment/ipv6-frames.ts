/** Frames with IPv6 packets and fragments, made by hand. */
import { emitEthernet } from '../../../src/wire/ethernet.ts'
import { IpProtocol } from '../../../src/wire/ipv4.ts'
import { emitIpv6, type Ipv6Repr, parseIpv6Header } from '../../../src/wire/ipv6.ts'

export interface Ipv6Fragment extends Partial<Ipv6Repr> {
  readonly id?: number
  /** Extension headers before the fragment header, linked by hand; `nextHeader` is the first one's. */
  readonly before?: Uint8Array
  readonly moreFragments?: boolean
}

/** A frame with bytes [from, to) of a UDP datagram behind a fragment header. */
export function fragment6Of(payload: Uint8Array, from: number, to: number, repr: Ipv6Fragment = {}): Uint8Array {
  const { id = 7, before = new Uint8Array(0), moreFragments = to < payload.length, ...header } = repr
  const part = payload.subarray(from, to)
  const payloadLength = before.length + 8 + part.length
  const bytes = new Uint8Array(14 + 40 + payloadLength)
  emitEthernet({ destination: '02:cc:00:00:00:02', source: '02:cc:00:00:00:01', type: 0x86dd }, bytes, 0)
  emitIpv6({ source: '2001:db8::1', destination: '2001:db8:1::2', nextHeader: IpProtocol.fragment, ...header, payloadLength }, bytes, 14)
  bytes.set(before, 54)
  const view = new DataView(bytes.buffer, 54 + before.length)
  view.setUint8(0, IpProtocol.udp)
  view.setUint16(2, from | (moreFragments ? 1 : 0))
  view.setUint32(4, id)
  bytes.set(part, 54 + before.length + 8)
  return bytes
}

export interface ReadFragment6 extends Required<Ipv6Repr> {
  readonly offset: number
  readonly moreFragments: boolean
  readonly id: number
  readonly payload: Uint8Array
}

/** What stands in a frame whose packet has a fragment header first, or behind `before` bytes. */
export function readFragment6(frame: Uint8Array, before = 0): ReadFragment6 {
  const header = parseIpv6Header(frame, 14, frame.length)
  if (header === null) throw new Error('no sound IPv6 header')
  const view = new DataView(frame.buffer, frame.byteOffset + 54 + before)
  return {
    ...header,
    offset: view.getUint16(2) & 0xfff8,
    moreFragments: (view.getUint16(2) & 1) !== 0,
    id: view.getUint32(4),
    payload: frame.slice(54 + before + 8, 54 + header.payloadLength)
  }
}
