/**
 * IPv6 for streams that are written in IPv4: headers are translated at the cables, both ways, by the stateless rules of RFC 7915. A
 * checksum is changed by what the headers differ in, so a wrong one stays wrong; identification and DF, which IPv6 has not, are lost.
 *
 *   192.0.2.10  <->  2001:db8:a::c000:20a        a, b, c: the networks and the uplink; f: everything else
 */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../src/wire/address.ts'
import { get16, get32, put16, put32 } from '../../src/wire/big-endian.ts'
import { checksumOf, fold, onesComplementSum, pseudoHeaderSum } from '../../src/wire/checksum.ts'
import { fillIpv4Checksum } from '../../src/wire/ipv4.ts'
import { checksumOffset } from '../fuzz/frame-layout.ts'
import type { FlowRecord, Gateway, OutFrame } from './gateway.ts'

const ETHERNET = 14
const IPV4 = 20
const IPV6 = 40
const ICMP = 1
const ICMPV6 = 58
const NETWORKS: readonly (readonly [prefix: string, group: number])[] = [
  ['192.0.2.', 0xa],
  ['198.51.100.', 0xb],
  ['203.0.113.', 0xc]
]
/** ICMP type and code, ICMPv6 type and code: RFC 7915 4.2, those that lead back. */
const MESSAGES: readonly (readonly [number, number, number, number])[] = [
  [8, 0, 128, 0],
  [0, 0, 129, 0],
  [3, 0, 1, 0],
  [3, 13, 1, 1],
  [3, 1, 1, 3],
  [3, 3, 1, 4],
  [3, 4, 2, 0],
  [11, 0, 3, 0],
  [11, 1, 3, 1],
  [12, 0, 4, 0]
]

export function ipv6Of(address: string): string {
  const bytes = parseIpv6('2001:db8:f::')
  bytes[5] = NETWORKS.find(([prefix]) => address.startsWith(prefix))?.[1] ?? 0xf
  put32(bytes, 12, parseIpv4(address))
  return formatIpv6(bytes)
}

export function ipv4Of(address: string): string {
  return formatIpv4(get32(parseIpv6(address), 12))
}

/** A gateway for IPv6 that IPv4 streams can be played through. */
export class TranslatedGateway implements Gateway {
  readonly name: string
  private readonly inner: Gateway

  constructor(inner: Gateway) {
    this.name = inner.name
    this.inner = inner
  }

  send(number: number, frame: Uint8Array): OutFrame[] {
    const out = this.inner.send(number, framed(frame, toIpv6(frame.subarray(ETHERNET)), 0x86dd))
    return out.flatMap(({ interface: by, bytes }) => {
      if (isOfTheLink(bytes)) return []
      return [{ interface: by, bytes: framed(bytes, toIpv4(bytes.subarray(ETHERNET)), 0x0800) }]
    })
  }

  pass(seconds: number): void {
    this.inner.pass(seconds)
  }

  flows(addresses: ReadonlySet<string>): FlowRecord[] {
    return this.inner.flows(new Set([...addresses].map(ipv6Of))).map((flow) => {
      const back = (text: string): string => text.replace(/2001:db8:[abcf]::[0-9a-f]+:[0-9a-f]+/g, ipv4Of)
      return { ...flow, protocol: flow.protocol === ICMPV6 ? ICMP : flow.protocol, original: back(flow.original), reply: back(flow.reply) }
    })
  }

  notes(): string[] {
    return this.inner.notes?.() ?? []
  }

  flush(): void {
    this.inner.flush()
  }

  close(): void {
    this.inner.close()
  }
}

/** Neighbor discovery and listener reports: whom a gateway asks is not compared. */
function isOfTheLink(bytes: Uint8Array): boolean {
  const next = bytes[ETHERNET + 6]
  const type = bytes[ETHERNET + IPV6]
  return get16(bytes, 12) === 0x86dd && (next === 0 || (next === ICMPV6 && type >= 130 && type <= 143))
}

function framed(frame: Uint8Array, packet: Uint8Array, type: number): Uint8Array {
  const bytes = new Uint8Array(ETHERNET + packet.length)
  bytes.set(frame.subarray(0, ETHERNET))
  bytes.set(packet, ETHERNET)
  put16(bytes, 12, type)
  return bytes
}

/** A packet, or the part of one that an error quotes. */
function toIpv6(packet: Uint8Array): Uint8Array {
  const payload = translatedPayload(packet.subarray(IPV4), packet[9], true)
  const bytes = new Uint8Array(IPV6 + payload.length)
  put32(bytes, 0, 0x60000000 | (packet[1] << 20))
  put16(bytes, 4, get16(packet, 2) - IPV4 + payload.length - (packet.length - IPV4))
  bytes[6] = packet[9] === ICMP ? ICMPV6 : packet[9]
  bytes[7] = packet[8]
  bytes.set(parseIpv6(ipv6Of(formatIpv4(get32(packet, 12)))), 8)
  bytes.set(parseIpv6(ipv6Of(formatIpv4(get32(packet, 16)))), 24)
  bytes.set(payload, IPV6)
  adjustChecksum(packet, IPV4, bytes, IPV6)
  return bytes
}

function toIpv4(packet: Uint8Array): Uint8Array {
  const payload = translatedPayload(packet.subarray(IPV6), packet[6], false)
  const bytes = new Uint8Array(IPV4 + payload.length)
  bytes[0] = 0x45
  bytes[1] = (get16(packet, 0) >> 4) & 0xff
  put16(bytes, 2, get16(packet, 4) + IPV4 + payload.length - (packet.length - IPV6))
  bytes[8] = packet[7]
  bytes[9] = packet[6] === ICMPV6 ? ICMP : packet[6]
  put32(bytes, 12, get32(packet, 20))
  put32(bytes, 16, get32(packet, 36))
  bytes.set(payload, IPV4)
  fillIpv4Checksum(bytes, 0)
  adjustChecksum(packet, IPV6, bytes, IPV4)
  return bytes
}

/** What follows the IP header: an ICMP message gets its other type, and a quoted packet its other header. */
function translatedPayload(payload: Uint8Array, protocol: number, isForward: boolean): Uint8Array {
  if (protocol !== (isForward ? ICMP : ICMPV6) || payload.length < 8) return payload
  const [type, code] = payload
  const found = MESSAGES.find((row) => (isForward ? row[0] === type && row[1] === code : row[2] === type && row[3] === code))
  const isError = isForward ? type !== 8 && type !== 0 : type < 128
  const quoted = payload.subarray(8)
  const isQuote = isError && quoted.length >= (isForward ? IPV4 : IPV6)
  const rest = isQuote ? (isForward ? toIpv6(quoted) : toIpv4(quoted)) : quoted
  const bytes = new Uint8Array(8 + rest.length)
  bytes.set(payload.subarray(0, 8))
  bytes.set(rest, 8)
  // A code without a counterpart shows as one that nobody uses.
  const [otherType, otherCode] = found === undefined ? [type, 100 + code] : isForward ? found.slice(2) : found
  bytes[0] = otherType
  bytes[1] = otherCode
  return bytes
}

/** The transport checksum of `after` is off by as much as that of `before` was. */
function adjustChecksum(before: Uint8Array, beforeAt: number, after: Uint8Array, afterAt: number): void {
  const protocol = after[afterAt === IPV6 ? 6 : 9]
  const field = checksumOffset(protocol === ICMPV6 ? ICMP : protocol)
  if (field < 0 || afterAt + field + 2 > after.length || beforeAt + field + 2 > before.length) return
  const change = sumOf(after, afterAt) + (~sumOf(before, beforeAt) & 0xffff)
  const old = get16(before, beforeAt + field)
  const value = checksumOf(fold((~old & 0xffff) + fold(change)))
  put16(after, afterAt + field, value === 0 && protocol === 17 ? 0xffff : value)
}

/** Of everything that the checksum covers and is there, without the field itself. */
function sumOf(packet: Uint8Array, at: number): number {
  const isIpv6 = at === IPV6
  const protocol = packet[isIpv6 ? 6 : 9]
  const length = isIpv6 ? get16(packet, 4) : get16(packet, 2) - IPV4
  const pseudo = protocol === ICMP ? 0 : pseudoHeaderSum(packet, 0, protocol, length)
  const field = get16(packet, at + checksumOffset(protocol === ICMPV6 ? ICMP : protocol))
  return fold(onesComplementSum(packet, at, packet.length - at, pseudo) + (~field & 0xffff))
}
