/**
 * The question of a DNS message, RFC 1035 section 4.1.2: `dnsAt` is the offset of the message.
 */
import { get16 } from '../../wire/big-endian.ts'
import type { FieldTest } from './field-tests.ts'
import { ABSENT, type FrameView } from './frame-view.ts'

export const DNS_TYPES = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, ANY: 255 } as const
export const DNS_RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const

const HEADER = 12

/** Of the first question; ABSENT without one. */
export function dnsQuestionType(view: FrameView): number {
  const { bytes, packetEnd } = view
  const at = nameEnd(view)
  return at === ABSENT || at + 4 > packetEnd ? ABSENT : get16(bytes, at)
}

/** The name of the first question, letters of either case; several: any of them. */
export const dnsNameTest: FieldTest = (value) => {
  const wanted = (Array.isArray(value) ? value : [value]).map((text) => wireName(String(text)))
  return (view) => {
    const end = nameEnd(view)
    if (end === ABSENT) return false
    const at = view.dnsAt + HEADER
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
function nameEnd({ bytes, dnsAt, packetEnd }: FrameView): number {
  if (get16(bytes, dnsAt + 4) === 0) return ABSENT
  let at = dnsAt + HEADER
  while (at < packetEnd) {
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
