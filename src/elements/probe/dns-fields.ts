/**
 * DNS in UDP from or to port 53: RFC 1035 sections 4.1.1 (header) and 4.1.2 (question).
 */
import { get16 } from '../../wire/big-endian.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { ABSENT, type PacketView } from '../../wire/packet-view.ts'
import { UDP_HEADER_LENGTH } from '../../wire/udp.ts'
import type { FieldTest } from './field-tests.ts'

export const DNS_TYPES = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, ANY: 255 } as const
export const DNS_RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const

const PORT = 53
const HEADER = 12

/** Whether the packet holds at least a message's header. */
export function isDns(view: PacketView): boolean {
  const { protocol, sourcePort, destinationPort, end } = view
  return protocol === IpProtocol.udp && (sourcePort === PORT || destinationPort === PORT) && dnsAt(view) + HEADER <= end
}

/** Offset of the message, where `isDns`. */
export function dnsAt({ transportAt }: PacketView): number {
  return transportAt + UDP_HEADER_LENGTH
}

/** Of the first question; ABSENT without one. */
export function dnsQuestionType(view: PacketView): number {
  const { bytes, end } = view
  const at = nameEnd(view)
  return at === ABSENT || at + 4 > end ? ABSENT : get16(bytes, at)
}

/** The name of the first question, letters of either case; several: any of them. */
export const dnsNameTest: FieldTest = (value) => {
  const wanted = (Array.isArray(value) ? value : [value]).map((text) => wireName(String(text)))
  return (view) => {
    const end = nameEnd(view)
    if (end === ABSENT) return false
    const at = dnsAt(view) + HEADER
    for (const name of wanted) if (name.length === end - at && equalsName(view.bytes, at, name)) return true
    return false
  }
}

/** Lower case. Throws RangeError. */
function wireName(text: string): Uint8Array {
  const labels = text
    .toLowerCase()
    .replace(/\.$/, '')
    .split('.')
    .map((label) => new TextEncoder().encode(label))
  if (labels.some(({ length }) => length === 0 || length > 63)) throw new RangeError(`'${text}' is not a domain name`)
  return Uint8Array.from([...labels.flatMap((label) => [label.length, ...label]), 0])
}

/** Offset behind the first question's name, which no server compresses; ABSENT where there is none or it is cut off. */
function nameEnd(view: PacketView): number {
  const { bytes, end } = view
  const message = dnsAt(view)
  if (get16(bytes, message + 4) === 0) return ABSENT
  let at = message + HEADER
  while (at < end) {
    const length = bytes[at]
    if (length === 0) return at + 1
    if (length > 63) return ABSENT
    at += 1 + length
  }
  return ABSENT
}

/** Lengths of labels are below the letters: one comparison serves both. */
function equalsName(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[at + i]
    if ((byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte) !== name[i]) return false
  }
  return true
}
