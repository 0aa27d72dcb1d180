/**
 * What became of a frame between two looks at it, in words: addresses, ports and lifetimes old -> new, or what it is now when it was
 * wrapped, unwrapped or cut.
 */
import { frameText } from '../decode/frame-text.ts'
import { formatIpv4, formatIpv6 } from '../wire/address.ts'
import { ETHERNET_HEADER_LENGTH, EtherType } from '../wire/ethernet.ts'
import { IpProtocol } from '../wire/ipv4.ts'

/** A frame's headers as far as elements rewrite them. Fields that a frame does not have are ''. */
interface Headers {
  /** What must be the same for the rest to be compared field by field. */
  readonly kind: string
  readonly fields: Readonly<Record<string, string>>
}

const IPV6_HEADER = 40

/** `before`, `after`: the frame's first bytes; the lengths are of the whole frame. Empty when nothing that matters has changed. */
export function traceChanges(before: Uint8Array, beforeLength: number, after: Uint8Array, afterLength: number): string[] {
  const [old, now] = [readHeaders(before), readHeaders(after)]
  if (old.kind !== now.kind)
    return [`now ${frameText(after, 0, after.length, { length: afterLength })}, ${beforeLength} -> ${afterLength} bytes`]
  return Object.keys(old.fields).flatMap((name) => {
    const [from, to] = [old.fields[name], now.fields[name]]
    return from === to ? [] : [`${name} ${from} -> ${to}`]
  })
}

function readHeaders(head: Uint8Array): Headers {
  if (head.length < ETHERNET_HEADER_LENGTH) return { kind: 'runt', fields: {} }
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  const fields: Record<string, string> = { 'source MAC': macText(head, 6), 'destination MAC': macText(head, 0) }
  const type = view.getUint16(12)
  const ip = ETHERNET_HEADER_LENGTH
  if (type === EtherType.ipv4 && head.length >= ip + 20) {
    const isLater = (view.getUint16(ip + 6) & 0x1fff) !== 0
    const ports = isLater ? null : portsAt(view, ip + 4 * (head[ip] & 15), head[ip + 9])
    fields['source'] = place(formatIpv4(view.getUint32(ip + 12)), ports?.source)
    fields['destination'] = place(formatIpv4(view.getUint32(ip + 16)), ports?.destination)
    fields['TTL'] = String(head[ip + 8])
    if (ports?.identifier !== undefined) fields['identifier'] = String(ports.identifier)
    // A frame of another length or protocol is another packet: wrapped, unwrapped or cut.
    return { kind: `ipv4 ${head[ip + 9]} ${view.getUint16(ip + 2)} ${view.getUint16(ip + 6) & 0x1fff}`, fields }
  }
  if (type === EtherType.ipv6 && head.length >= ip + IPV6_HEADER) {
    const ports = portsAt(view, ip + IPV6_HEADER, head[ip + 6])
    fields['source'] = place(formatIpv6(head, ip + 8), ports?.source)
    fields['destination'] = place(formatIpv6(head, ip + 24), ports?.destination)
    fields['hop limit'] = String(head[ip + 7])
    return { kind: `ipv6 ${head[ip + 6]} ${view.getUint16(ip + 4)}`, fields }
  }
  return { kind: String(type), fields }
}

interface Ports {
  readonly source?: number
  readonly destination?: number
  /** Of an echo. */
  readonly identifier?: number
}

function portsAt(view: DataView, at: number, protocol: number): Ports | null {
  if (at + 8 > view.byteLength) return null
  if (protocol === IpProtocol.tcp || protocol === IpProtocol.udp) return { source: view.getUint16(at), destination: view.getUint16(at + 2) }
  const isEcho = protocol === IpProtocol.icmp && (view.getUint8(at) === 0 || view.getUint8(at) === 8)
  return isEcho ? { identifier: view.getUint16(at + 4) } : null
}

function place(address: string, port: number | undefined): string {
  if (port === undefined) return address
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function macText(bytes: Uint8Array, at: number): string {
  return Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, '0')).join(':')
}
