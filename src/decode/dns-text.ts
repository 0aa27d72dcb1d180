/** DNS messages, RFC 1035: the question of a query, the answers of a response. */
import { formatIpv4, formatIpv6 } from '../wire/address.ts'
import { get16, get32 } from '../wire/big-endian.ts'
import type { Payload } from './decode-context.ts'
import { printable } from './printable.ts'

export const DNS_PORT = 53
export const MDNS_PORT = 5353

const HEADER_LENGTH = 12
const Flag = { response: 0x8000, authoritative: 0x400, truncated: 0x200, desired: 0x100, available: 0x80, authentic: 0x20, unchecked: 0x10 }
const OPERATIONS = ['', ' inv_q', ' stat', ' op3', ' notify', ' update']
const RCODES = [
  '',
  ' FormErr',
  ' ServFail',
  ' NXDomain',
  ' NotImp',
  ' Refused',
  ' YXDomain',
  ' YXRRSet',
  ' NXRRSet',
  ' NotAuth',
  ' NotZone'
]
const TYPES: Readonly<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  12: 'PTR',
  13: 'HINFO',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  35: 'NAPTR',
  39: 'DNAME',
  41: 'OPT',
  43: 'DS',
  46: 'RRSIG',
  47: 'NSEC',
  48: 'DNSKEY',
  64: 'SVCB',
  65: 'HTTPS',
  251: 'IXFR',
  252: 'AXFR',
  255: 'ANY',
  257: 'CAA'
}
const CLASS_IN = 1
const CLASSES: Readonly<Record<number, string>> = { 3: ' CHAOS', 4: ' HS', 255: ' ANY' }
/** Answers that are shown; the counts say how many there are. */
const MOST_ANSWERS = 16
const LONGEST_TEXT = 80
/** More pointers than labels fit: a loop. */
const MOST_LABELS = 128
const CUT = '[|domain]'

/** '27646+ [1au] A? echo. (45)', '27646* 1/0/0 A 192.0.2.2 (38)'. */
export function dnsText(bytes: Uint8Array, { at, end, length }: Payload): string {
  if (at + HEADER_LENGTH > end) return CUT
  const flags = get16(bytes, at + 2)
  const isResponse = (flags & Flag.response) !== 0
  const head = `${get16(bytes, at)}${OPERATIONS[(flags >> 11) & 15] ?? ` op${(flags >> 11) & 15}`}`
  return `${head}${isResponse ? responseText(bytes, at, end, flags) : queryText(bytes, at, end, flags)} (${length})`
}

function queryText(bytes: Uint8Array, at: number, end: number, flags: number): string {
  const [questions, answers, authorities, additionals] = counts(bytes, at)
  let text = `${mark(flags, Flag.desired, '+')}${mark(flags, Flag.unchecked, '%')}`
  if (answers > 0) text += ` [${answers}a]`
  if (questions !== 1) text += ` [${questions}q]`
  if (authorities > 0) text += ` [${authorities}n]`
  if (additionals > 0) text += ` [${additionals}au]`
  if (questions === 0) return text
  const [name, next] = readName(bytes, at, at + HEADER_LENGTH, end)
  if (next + 4 > end) return `${text} ${CUT}`
  const kind = get16(bytes, next + 2) & 0x7fff
  return `${text} ${typeName(get16(bytes, next))}${kind === CLASS_IN ? '' : (CLASSES[kind] ?? ` class ${kind}`)}? ${name}`
}

function responseText(bytes: Uint8Array, at: number, end: number, flags: number): string {
  const [questions, answers, authorities, additionals] = counts(bytes, at)
  const code = flags & 15
  let text = `${RCODES[code] ?? ` Resp${code}`}${mark(flags, Flag.authoritative, '*')}${(flags & Flag.available) === 0 ? '-' : ''}`
  text += `${mark(flags, Flag.truncated, '|')}${mark(flags, Flag.authentic, '$')}`
  if (questions !== 1) text += ` [${questions}q]`
  text += ` ${answers}/${authorities}/${additionals}`
  let next = at + HEADER_LENGTH
  for (let index = 0; index < questions; index++) {
    next = readName(bytes, at, next, end)[1] + 4
    if (next > end) return `${text} ${CUT}`
  }
  const shown: string[] = []
  for (let index = 0; index < answers && index < MOST_ANSWERS; index++) {
    const [record, after] = recordText(bytes, at, next, end)
    shown.push(record)
    if (record.endsWith(CUT)) break
    next = after
  }
  if (answers > MOST_ANSWERS) shown.push(' ...')
  return text + shown.join(',')
}

/** A record at `at`, with a blank before it, and the offset behind it. */
function recordText(bytes: Uint8Array, message: number, at: number, end: number): [text: string, next: number] {
  const [, fields] = readName(bytes, message, at, end)
  const data = fields + 10
  if (data > end) return [` ${CUT}`, end]
  const type = get16(bytes, fields)
  const dataEnd = data + get16(bytes, fields + 8)
  if (dataEnd > end) return [` ${typeName(type)} ${CUT}`, end]
  return [` ${typeName(type)}${dataText(bytes, message, type, data, dataEnd)}`, dataEnd]
}

function dataText(bytes: Uint8Array, message: number, type: number, at: number, end: number): string {
  const length = end - at
  const name = (from: number): string => readName(bytes, message, from, end)[0]
  switch (TYPES[type]) {
    case 'A':
      return length === 4 ? ` ${formatIpv4(get32(bytes, at))}` : ` ${CUT}`
    case 'AAAA':
      return length === 16 ? ` ${formatIpv6(bytes, at)}` : ` ${CUT}`
    case 'NS':
    case 'CNAME':
    case 'PTR':
    case 'DNAME':
      return ` ${name(at)}`
    case 'MX':
      return length > 2 ? ` ${name(at + 2)} ${get16(bytes, at)}` : ` ${CUT}`
    case 'SRV':
      return length > 6 ? ` ${name(at + 6)}:${get16(bytes, at + 4)} ${get16(bytes, at)} ${get16(bytes, at + 2)}` : ` ${CUT}`
    case 'TXT': {
      if (length === 0) return ''
      const textEnd = Math.min(end, at + 1 + bytes[at])
      const shownEnd = Math.min(textEnd, at + 1 + LONGEST_TEXT)
      return ` "${printable(bytes, at + 1, shownEnd)}${shownEnd < textEnd ? '...' : ''}"`
    }
    default:
      return ''
  }
}

/** A name with its final dot, and the offset behind it. Pointers are followed within the message (RFC 1035 4.1.4). */
function readName(bytes: Uint8Array, message: number, from: number, end: number): [name: string, next: number] {
  let name = ''
  let next = -1
  let at = from
  for (let count = 0; count < MOST_LABELS; count++) {
    if (at >= end) break
    const length = bytes[at]
    if (length === 0) return [name === '' ? '.' : name, next === -1 ? at + 1 : next]
    if (length >= 0xc0) {
      if (at + 2 > end) break
      if (next === -1) next = at + 2
      const target = message + (get16(bytes, at) & 0x3fff)
      // Forward, or to itself, can only be a loop or the end of the message.
      if (target >= at) break
      at = target
    } else if (length > 63 || at + 1 + length > end) {
      break
    } else {
      name += `${printable(bytes, at + 1, at + 1 + length)}.`
      at += 1 + length
    }
  }
  // Behind everything: whoever goes on from there finds the message at its end.
  return [`${name}<BAD>`, end + 1]
}

function counts(bytes: Uint8Array, at: number): [questions: number, answers: number, authorities: number, additionals: number] {
  return [get16(bytes, at + 4), get16(bytes, at + 6), get16(bytes, at + 8), get16(bytes, at + 10)]
}

function mark(flags: number, bit: number, letter: string): string {
  return (flags & bit) === 0 ? '' : letter
}

function typeName(type: number): string {
  return TYPES[type] ?? `Type${type}`
}
