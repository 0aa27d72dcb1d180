import { get16, get32 } from '../wire/big-endian.ts'
import {
  TCP_HEADER_LENGTH,
  TcpFlag,
  TcpOption,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderLength,
  tcpSequence,
  tcpSourcePort,
  tcpUrgent,
  tcpWindow
} from '../wire/tcp.ts'
import type { DecodeContext, Payload } from './decode-context.ts'
import { DNS_PORT, dnsText } from './dns-text.ts'
import { printable } from './printable.ts'

/** In tcpdump's order, and with its letters. */
const FLAGS: readonly (readonly [number, string])[] = [
  [TcpFlag.fin, 'F'],
  [TcpFlag.syn, 'S'],
  [TcpFlag.rst, 'R'],
  [TcpFlag.psh, 'P'],
  [TcpFlag.ack, '.'],
  [TcpFlag.urg, 'U'],
  [TcpFlag.ece, 'E'],
  [TcpFlag.cwr, 'W']
]
const HTTP_PORTS = new Set([80, 8080])
const HTTP_FIRST_LINE = /^(?:[A-Z]{3,10} \S+ HTTP\/\d.*|HTTP\/\d\S* \d{3}.*)$/
const LONGEST_LINE = 120

/** 'Flags [P.], seq 1:77, ack 1, win 63, options [...], length 76' and what is known of the payload. `from`, `to`: with ports. */
export function tcpText(bytes: Uint8Array, payload: Payload, from: string, to: string, { sequences }: DecodeContext): string {
  const { at, end } = payload
  if (at + TCP_HEADER_LENGTH > end) return '[|tcp]'
  const headerLength = tcpHeaderLength(bytes, at)
  const length = payload.length - headerLength
  if (headerLength < TCP_HEADER_LENGTH || length < 0) return `tcp, bad header length ${headerLength}`
  const flags = tcpFlags(bytes, at)
  let [sequence, acknowledgment] = [tcpSequence(bytes, at) >>> 0, tcpAcknowledgment(bytes, at) >>> 0]
  if (sequences) [sequence, acknowledgment] = sequences.relative(from, to, (flags & TcpFlag.syn) !== 0, sequence, acknowledgment)
  const letters = FLAGS.map(([bit, letter]) => ((flags & bit) === 0 ? '' : letter)).join('')
  let text = `Flags [${letters || 'none'}]`
  if (length > 0) text += `, seq ${sequence}:${(sequence + length) % 2 ** 32}`
  else if ((flags & (TcpFlag.syn | TcpFlag.fin | TcpFlag.rst)) !== 0) text += `, seq ${sequence}`
  if ((flags & TcpFlag.ack) !== 0) text += `, ack ${acknowledgment}`
  text += `, win ${tcpWindow(bytes, at)}`
  if ((flags & TcpFlag.urg) !== 0) text += `, urg ${tcpUrgent(bytes, at)}`
  if (at + headerLength > end) return `${text}, [|tcp]`
  if (headerLength > TCP_HEADER_LENGTH) text += `, options [${optionsText(bytes, at + TCP_HEADER_LENGTH, at + headerLength)}]`
  return `${text}, length ${length}${contentText(bytes, at, at + headerLength, end)}`
}

/** RFC 9293 3.1, RFC 7323, RFC 2018. */
function optionsText(bytes: Uint8Array, from: number, end: number): string {
  const options: string[] = []
  for (let at = from; at < end; ) {
    const kind = bytes[at]
    if (kind === TcpOption.end || kind === TcpOption.noOperation) {
      options.push(kind === TcpOption.end ? 'eol' : 'nop')
      if (kind === TcpOption.end) break
      at++
      continue
    }
    const length = at + 1 < end ? bytes[at + 1] : 0
    if (length < 2 || at + length > end) {
      options.push('[bad opt]')
      break
    }
    options.push(optionText(bytes, at, kind, length))
    at += length
  }
  return options.join(',')
}

function optionText(bytes: Uint8Array, at: number, kind: number, length: number): string {
  if (kind === TcpOption.maxSegmentSize && length === 4) return `mss ${get16(bytes, at + 2)}`
  if (kind === TcpOption.windowScale && length === 3) return `wscale ${bytes[at + 2]}`
  if (kind === TcpOption.sackPermitted) return 'sackOK'
  if (kind === TcpOption.timestamps && length === 10) return `TS val ${get32(bytes, at + 2) >>> 0} ecr ${get32(bytes, at + 6) >>> 0}`
  if (kind === TcpOption.sack && length > 2 && (length - 2) % 8 === 0) {
    let text = `sack ${(length - 2) / 8} `
    for (let edge = at + 2; edge < at + length; edge += 8) text += `{${get32(bytes, edge) >>> 0}:${get32(bytes, edge + 4) >>> 0}}`
    return text
  }
  return `unknown-${kind}`
}

/** DNS behind its length (RFC 7766), HTTP's first line. */
function contentText(bytes: Uint8Array, header: number, at: number, end: number): string {
  if (at >= end) return ''
  const [from, to] = [tcpSourcePort(bytes, header), tcpDestinationPort(bytes, header)]
  if ((from === DNS_PORT || to === DNS_PORT) && at + 2 < end) {
    const length = get16(bytes, at)
    return ` ${dnsText(bytes, { at: at + 2, end: Math.min(end, at + 2 + length), length })}`
  }
  if (!HTTP_PORTS.has(from) && !HTTP_PORTS.has(to)) return ''
  let lineEnd = at
  while (lineEnd < end && lineEnd < at + LONGEST_LINE && bytes[lineEnd] !== 0x0d && bytes[lineEnd] !== 0x0a) lineEnd++
  const line = printable(bytes, at, lineEnd)
  return HTTP_FIRST_LINE.test(line) ? `: HTTP: ${line}` : ': HTTP'
}
