/**
 * Packets as tests of the NAT write and read them.
 *
 *   udp('192.0.2.2:5000', '203.0.113.9:53')                      a frame, checksums right
 *   show(frame)  ->  'udp 198.51.100.50:5000 > 203.0.113.9:53'   throws when any checksum is wrong, inside of errors too
 */
import assert from 'node:assert/strict'
import { formatIpv4, formatIpv6, parseMac } from '../../../src/wire/address.ts'
import { get16 } from '../../../src/wire/big-endian.ts'
import { verifyTransport } from '../../../src/wire/checksum.ts'
import { EtherType, emitEthernet, etherType } from '../../../src/wire/ethernet.ts'
import { emitIcmp, type IcmpRepr } from '../../../src/wire/icmp.ts'
import { emitIcmpv6, type Icmpv6Repr } from '../../../src/wire/icmpv6.ts'
import { emitIpv4, IpProtocol, ipv4Destination, ipv4End, ipv4Payload, ipv4Source, verifyIpv4Checksum } from '../../../src/wire/ipv4.ts'
import { emitIpv6 } from '../../../src/wire/ipv6.ts'
import { emitTcp, TcpFlag } from '../../../src/wire/tcp.ts'
import { emitUdp } from '../../../src/wire/udp.ts'

export interface PacketFields {
  sourceMac?: string
  destinationMac?: string
  ttl?: number
  id?: number
  payload?: Uint8Array | number
  dontFragment?: boolean
  ipOptions?: Uint8Array
}

export interface TcpFields extends PacketFields {
  /** Letters S F R P A U. */
  flags?: string
  seq?: number
  ack?: number
  window?: number
  options?: { maxSegmentSize?: number; windowScale?: number; sackPermitted?: boolean }
}

/** Of the router on every interface, in tests. */
export const ROUTER_MAC = '02:cc:00:00:00:01'
export const STATION_MAC = '02:cc:00:00:00:02'

/** `address:port`, or `[address]:port` for IPv6. */
export function endpoint(text: string): { address: string; port: number } {
  const at = text.lastIndexOf(':')
  return { address: text.slice(0, at).replace(/[[\]]/g, ''), port: Number(text.slice(at + 1)) }
}

/** A frame around what `write` puts at the transport's place; it returns the transport's length. */
function frame(
  source: string,
  destination: string,
  protocol: number,
  length: number,
  fields: PacketFields,
  write: (bytes: Uint8Array, at: number, ip: number) => void
): Uint8Array {
  const isIpv6 = source.includes(':')
  const header = isIpv6 ? 40 : 20 + (fields.ipOptions?.length ?? 0)
  const bytes = new Uint8Array(14 + header + length)
  const { sourceMac = STATION_MAC, destinationMac = ROUTER_MAC, ttl = 64, id = 0, dontFragment = false } = fields
  emitEthernet({ source: sourceMac, destination: destinationMac, type: isIpv6 ? EtherType.ipv6 : EtherType.ipv4 }, bytes, 0)
  if (isIpv6) emitIpv6({ source, destination, nextHeader: protocol, payloadLength: length, hopLimit: ttl }, bytes, 14)
  else emitIpv4({ source, destination, protocol, payloadLength: length, ttl, id, dontFragment, options: fields.ipOptions }, bytes, 14)
  write(bytes, 14 + header, 14)
  return bytes
}

function payloadOf({ payload = 0 }: PacketFields): Uint8Array {
  return typeof payload === 'number' ? Uint8Array.from({ length: payload }, (_, i) => i * 7) : payload
}

export function udp(from: string, to: string, fields: PacketFields & { noChecksum?: boolean } = {}): Uint8Array {
  const source = endpoint(from)
  const destination = endpoint(to)
  const payload = payloadOf(fields)
  return frame(source.address, destination.address, IpProtocol.udp, 8 + payload.length, fields, (bytes, at, ip) => {
    emitUdp({ sourcePort: source.port, destinationPort: destination.port, payload }, bytes, at, fields.noChecksum ? -1 : ip)
  })
}

const LETTERS: Readonly<Record<string, number>> = {
  S: TcpFlag.syn,
  F: TcpFlag.fin,
  R: TcpFlag.rst,
  P: TcpFlag.psh,
  A: TcpFlag.ack,
  U: TcpFlag.urg
}

export function tcp(from: string, to: string, fields: TcpFields = {}): Uint8Array {
  const source = endpoint(from)
  const destination = endpoint(to)
  const payload = payloadOf(fields)
  const { flags = 'S', seq = 0, ack = 0, window = 65_535, options = {} } = fields
  const optionLength =
    (options.maxSegmentSize === undefined ? 0 : 4) + (options.sackPermitted ? 4 : 0) + (options.windowScale === undefined ? 0 : 4)
  return frame(source.address, destination.address, IpProtocol.tcp, 20 + optionLength + payload.length, fields, (bytes, at, ip) => {
    emitTcp(
      {
        sourcePort: source.port,
        destinationPort: destination.port,
        sequence: seq >>> 0,
        acknowledgment: ack >>> 0,
        flags: [...flags].reduce((bits, letter) => bits | LETTERS[letter], 0),
        window,
        urgent: 0,
        options,
        payload
      },
      bytes,
      at,
      ip
    )
  })
}

/** An ICMP echo request, or the answer to one. */
export function echo(source: string, destination: string, id: number, fields: PacketFields & { reply?: boolean } = {}): Uint8Array {
  const data = payloadOf(fields)
  const repr: IcmpRepr & Icmpv6Repr = { kind: fields.reply ? 'echo-reply' : 'echo-request', id, sequence: 1, data }
  return icmp(source, destination, repr, fields)
}

/** An ICMP error about `about`, a frame. */
export function icmpError(
  source: string,
  destination: string,
  about: Uint8Array,
  fields: PacketFields & { kind?: 'unreachable' | 'time-exceeded'; code?: number; quote?: number; word?: number } = {}
): Uint8Array {
  const { kind = 'unreachable', code = 3, quote = 28, word = 0 } = fields
  const length = source.includes(':') && fields.quote === undefined ? about.length - 14 : quote
  return icmp(source, destination, { kind, code, word, quoted: about.slice(14, 14 + length) }, fields)
}

function icmp(source: string, destination: string, repr: IcmpRepr & Icmpv6Repr, fields: PacketFields): Uint8Array {
  const rest = 'data' in repr ? repr.data : repr.quoted
  const isIpv6 = source.includes(':')
  return frame(source, destination, isIpv6 ? IpProtocol.icmpv6 : IpProtocol.icmp, 8 + rest.length, fields, (bytes, at, ip) => {
    if (isIpv6) emitIcmpv6(repr, bytes, at, ip)
    else emitIcmp(repr, bytes, at)
  })
}

/** One line that says what the frame's packet is. Throws when a checksum is wrong. */
export function show(bytes: Uint8Array): string {
  if (etherType(bytes, 0) === EtherType.ipv6) return showIpv6(bytes, 14, bytes.length, false)
  assert.equal(etherType(bytes, 0), EtherType.ipv4)
  return showIpv4(bytes, 14, false)
}

function showIpv4(bytes: Uint8Array, ip: number, isQuote: boolean): string {
  assert.ok(verifyIpv4Checksum(bytes, ip), 'IPv4 header checksum')
  const end = isQuote ? bytes.length : ipv4End(bytes, ip)
  const [source, destination] = [formatIpv4(ipv4Source(bytes, ip)), formatIpv4(ipv4Destination(bytes, ip))]
  return showTransport(bytes, ip, ipv4Payload(bytes, ip), end, bytes[ip + 9], source, destination, isQuote)
}

function showIpv6(bytes: Uint8Array, ip: number, end: number, isQuote: boolean): string {
  const [source, destination] = [`[${formatIpv6(bytes, ip + 8)}]`, `[${formatIpv6(bytes, ip + 24)}]`]
  return showTransport(bytes, ip, ip + 40, end, bytes[ip + 6], source, destination, isQuote)
}

function showTransport(
  bytes: Uint8Array,
  ip: number,
  at: number,
  end: number,
  protocol: number,
  source: string,
  destination: string,
  isQuote: boolean
): string {
  const ports = `${source}:${get16(bytes, at)} > ${destination}:${get16(bytes, at + 2)}`
  const isWhole = !isQuote || end - ip >= (bytes[ip] >> 4 === 4 ? get16(bytes, ip + 2) : get16(bytes, ip + 4) + 40)
  if (isWhole && (protocol === IpProtocol.tcp || (protocol === IpProtocol.udp && get16(bytes, at + 6) !== 0))) {
    assert.ok(verifyTransport(bytes, at, end, ip, protocol), `transport checksum of ${ports}`)
  }
  if (protocol === IpProtocol.udp) return `udp ${ports}`
  if (protocol === IpProtocol.tcp) return `tcp ${ports} ${showFlags(bytes[at + 13])}`
  const addresses = `${source} > ${destination}`
  if (protocol === IpProtocol.icmp || protocol === IpProtocol.icmpv6) {
    if (isWhole && protocol === IpProtocol.icmpv6) assert.ok(verifyTransport(bytes, at, end, ip, protocol), `checksum of ${addresses}`)
    if (isWhole && protocol === IpProtocol.icmp) assert.ok(verifyIcmp(bytes, at, end), `checksum of ${addresses}`)
    return showIcmp(bytes, at, end, addresses, protocol === IpProtocol.icmpv6)
  }
  return `ip ${protocol} ${addresses}`
}

function verifyIcmp(bytes: Uint8Array, at: number, end: number): boolean {
  let sum = 0
  for (let i = at; i < end; i += 2) sum += (bytes[i] << 8) | (i + 1 < end ? bytes[i + 1] : 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum === 0xffff
}

function showIcmp(bytes: Uint8Array, at: number, end: number, addresses: string, isIpv6: boolean): string {
  const [type, code] = [bytes[at], bytes[at + 1]]
  const names: Readonly<Record<number, string>> = isIpv6 ? { 128: 'request', 129: 'reply' } : { 8: 'request', 0: 'reply' }
  if (type in names) return `echo ${names[type]} ${addresses} id ${get16(bytes, at + 4)}`
  const quote = bytes.slice(at + 8, end)
  return `error ${type}/${code} ${addresses} about ${isIpv6 ? showIpv6(quote, 0, quote.length, true) : showIpv4(quote, 0, true)}`
}

function showFlags(bits: number): string {
  return Object.entries(LETTERS).reduce((text, [letter, bit]) => ((bits & bit) !== 0 ? text + letter : text), '')
}

/** MACs of a frame: destination, source. */
export function macs(bytes: Uint8Array): [string, string] {
  const text = (at: number): string => Array.from(bytes.slice(at, at + 6), (byte) => byte.toString(16).padStart(2, '0')).join(':')
  return [text(0), text(6)]
}

/** For frames made by hand. */
export function macBytes(mac: string): number[] {
  const { hi, lo } = parseMac(mac)
  return [hi >>> 8, hi & 0xff, lo >>> 24, (lo >>> 16) & 0xff, (lo >>> 8) & 0xff, lo & 0xff]
}
