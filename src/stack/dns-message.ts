/**
 * The two DNS messages of a stub resolver, RFC 1035 section 4.1: its query, and what it wants of the answer.
 *
 *   | id | flags | 1 question | answers | authorities | additional | QNAME, QTYPE, QCLASS | records ... |     16 bits each
 */
import { formatIpv4, formatIpv6 } from '../wire/address.ts'
import { get16, get32, put16 } from '../wire/big-endian.ts'

export const DnsRecordType = { A: 1, AAAA: 28 } as const

export interface DnsAnswer {
  /** Canonical texts, in the order of the records. */
  readonly addresses: readonly string[]
  /** `NOERROR`, `NXDOMAIN`...; `RCODE11` for one without a name. */
  readonly rcode: string
}

const HEADER = 12
const CLASS_IN = 1
const TYPE_OPT = 41
const FLAG_RESPONSE = 0x8000
const FLAG_RECURSION_DESIRED = 0x0100
/** RFC 1035 4.1.1, RFC 2136 2.2. */
const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED', 'YXDOMAIN', 'YXRRSET', 'NXRRSET', 'NOTAUTH', 'NOTZONE']
const NAME_MAX = 255
const encoder = new TextEncoder()
const name = new Uint8Array(NAME_MAX)

/** Writes a name as labels into `name`; returns its length, or 0 where a label or the whole is too long. */
function writeName(text: string): number {
  let at = 0
  for (const label of text.replace(/\.$/, '').split('.')) {
    const { written } = encoder.encodeInto(label, name.subarray(at + 1))
    if (written === 0 || written > 63 || at + 1 + written >= NAME_MAX) return 0
    name[at] = written
    at += 1 + written
  }
  name[at] = 0
  return at + 1
}

/** A recursive query with EDNS (RFC 6891), or null for a name that is none. */
export function dnsQuery(id: number, text: string, type: number, udpSize: number): Uint8Array | null {
  const length = writeName(text)
  if (length === 0) return null
  const end = HEADER + length
  const message = new Uint8Array(end + 15)
  put16(message, 0, id)
  put16(message, 2, FLAG_RECURSION_DESIRED)
  put16(message, 4, 1)
  put16(message, 10, 1)
  for (let i = 0; i < length; i++) message[HEADER + i] = name[i]
  put16(message, end, type)
  put16(message, end + 2, CLASS_IN)
  // The root's name, a byte of 0, then what OPT makes of type, class, time and length.
  put16(message, end + 5, TYPE_OPT)
  put16(message, end + 7, udpSize)
  return message
}

/** The answer in [at, end) to `query`; null where it is none, or cannot be read. */
export function readDnsAnswer(bytes: Uint8Array, at: number, end: number, query: Uint8Array): DnsAnswer | null {
  if (at + HEADER > end) return null
  const flags = get16(bytes, at + 2)
  if ((flags & FLAG_RESPONSE) === 0 || get16(bytes, at) !== get16(query, 0) || get16(bytes, at + 4) === 0) return null
  // Names in questions are not compressed by any server; ours is what was asked, letters of either case.
  const questionEnd = query.length - 11
  if (at + questionEnd > end) return null
  for (let i = HEADER; i < questionEnd; i++) if (lowerCase(bytes[at + i]) !== lowerCase(query[i])) return null
  const type = get16(query, questionEnd - 4)
  const addresses: string[] = []
  let record = at + questionEnd
  for (let question = get16(bytes, at + 4); question > 1; question--) {
    record = skipName(bytes, record, end) + 4
    if (record > end) return null
  }
  for (let left = get16(bytes, at + 6); left > 0; left--) {
    const fixed = skipName(bytes, record, end)
    if (fixed + 10 > end) return null
    const length = get16(bytes, fixed + 8)
    record = fixed + 10 + length
    if (record > end) return null
    if (get16(bytes, fixed) !== type || get16(bytes, fixed + 2) !== CLASS_IN) continue
    if (type === DnsRecordType.A && length === 4) addresses.push(formatIpv4(get32(bytes, fixed + 10)))
    else if (type === DnsRecordType.AAAA && length === 16) addresses.push(formatIpv6(bytes, fixed + 10))
  }
  const rcode = flags & 0xf
  return { addresses, rcode: RCODES[rcode] ?? `RCODE${rcode}` }
}

/** Offset behind the name at `at`; beyond `end` where it is cut off. */
function skipName(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const length = bytes[at]
    if (length === 0) return at + 1
    if (length >= 0xc0) return at + 2
    at += 1 + length
  }
  return end + 1
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
}
