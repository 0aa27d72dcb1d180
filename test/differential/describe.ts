/**
 * Frames as lines of text that are equal when two gateways did the same. What a gateway may choose is named in the order in which the
 * stream shows it; checksums are residues.
 */
import { formatIpv4, formatMac, macAt } from '../../src/wire/address.ts'
import { get16, get32 } from '../../src/wire/big-endian.ts'
import { fold, onesComplementSum, pseudoHeaderSum } from '../../src/wire/checksum.ts'
import { checksumOffset } from '../fuzz/frame-layout.ts'
import type { FlowRecord, OutFrame } from './gateway.ts'
import { joinFragments } from './join-fragments.ts'
import type { Stream } from './stream.ts'
import { INTERFACES } from './world.ts'

const ETHERNET = 14
const DEFAULT_TTL = 64
const OWN = new Set(INTERFACES.map(({ address }) => address))
const IPV4 = 20
/** ICMP messages with an id: echo, timestamp, information, mask. */
const QUERIES = new Set([0, 8, 13, 14, 15, 16, 17, 18])
const TIMESTAMP_REPLY = 14
const ERRORS = new Set([3, 4, 5, 11, 12])

/** What one gateway chose in the course of one stream. */
export class Names {
  /** Ports that were chosen. */
  readonly chosen = new Map<number, string>()
  private readonly ports: ReadonlySet<number>

  constructor({ flows, steps }: Stream) {
    const overrides = steps.flatMap(({ source, destination }) => [source?.port, destination?.port])
    this.ports = new Set([...flows.flatMap(({ client, to, server }) => [client.port, to.port, server.port]), ...overrides, 0] as number[])
  }

  isChosen(port: number): boolean {
    return !this.ports.has(port)
  }

  port(port: number): string {
    if (!this.isChosen(port)) return String(port)
    let name = this.chosen.get(port)
    if (name === undefined) {
      name = `port${this.chosen.size + 1}`
      this.chosen.set(port, name)
    }
    return name
  }
}

/** What came out because of one frame, interface by interface. Fragments of one packet that are all there are told by their whole. */
export function describeFrames(frames: readonly OutFrame[], names: Names): string[] {
  const lines: string[] = []
  for (const { whole, pieces, count } of joinFragments(frames)) {
    const line = describeFrame(whole, names)
    lines.push(count === 1 ? line : `${line}, in ${count} fragments ${pieces}`)
  }
  return lines
}

export function describeFrame({ interface: number, bytes, segment = 0 }: OutFrame, names: Names): string {
  const macs = `${formatMac(macAt(bytes, 6))} > ${formatMac(macAt(bytes, 0))}`
  const type = get16(bytes, 12)
  const name = INTERFACES[number].name
  if (type !== 0x0800) return `${name} ${macs} type ${type.toString(16)} ${digest(bytes, ETHERNET, bytes.length)}`
  const cut = segment > 0 ? `, in segments of ${segment}` : ''
  return `${name} ${macs} ${describePacket(bytes, ETHERNET, bytes.length, names, false)}${cut}`
}

export function describeFlow(flow: FlowRecord, names: Names): string {
  const { protocol, state, replied, assured } = flow
  const tuple = (text: string): string => text.replace(/(?<=:|> \S+ )\d+(?= |$)/g, (port) => names.port(Number(port)))
  return `protocol ${protocol} ${state} ${replied ? 'replied' : 'unreplied'}${assured ? ' assured' : ''} ${tuple(flow.original)} | ${tuple(flow.reply)}`
}

function describePacket(bytes: Uint8Array, at: number, limit: number, names: Names, quoted: boolean): string {
  if (at + IPV4 > limit || bytes[at] >> 4 !== 4) return `cut ${digest(bytes, at, limit)}`
  const head = 4 * (bytes[at] & 15)
  const end = Math.min(limit, at + get16(bytes, at + 2))
  const fragment = get16(bytes, at + 6)
  const protocol = bytes[at + 9]
  const words = [
    `${formatIpv4(get32(bytes, at + 12))} > ${formatIpv4(get32(bytes, at + 16))}`,
    `length ${get16(bytes, at + 2)}`,
    `tos ${bytes[at + 1]} id ${isOwn(bytes, at) ? 'own' : get16(bytes, at + 4)} ttl ${bytes[at + 8]}`
  ]
  if (fragment !== 0) words.push(`fragment ${fragment.toString(16)}`)
  const sum = onesComplementSum(bytes, at, Math.min(head, limit - at), 0)
  // In a quoted packet this field is as its sender saw it, or not: both are said.
  if (sum !== 0xffff) words.push(`header checksum off by ${sum.toString(16)}`)
  if (head > IPV4) words.push(`options ${describeOptions(bytes, at + IPV4, Math.min(limit, at + head))}`)
  const whole = (fragment & 0x3fff) === 0 && at + get16(bytes, at + 2) <= limit
  if ((fragment & 0x1fff) === 0) words.push(describeTransport(bytes, at, head, end, { protocol, whole, names, quoted }))
  else words.push(`protocol ${protocol} ${digest(bytes, at + head, end)}`)
  if (limit > end && !quoted) words.push(`padding ${limit - end}`)
  return words.join(', ')
}

/** Made by the gateway: from an address of its, with a fresh TTL. */
function isOwn(bytes: Uint8Array, at: number): boolean {
  return bytes[at + 8] === DEFAULT_TTL && OWN.has(formatIpv4(get32(bytes, at + 12)))
}

/** In hexadecimal, but for the times that a router writes into a timestamp option (RFC 791: kind 68). */
function describeOptions(bytes: Uint8Array, from: number, to: number): string {
  const plain = Uint8Array.from(bytes.subarray(from, to))
  for (let at = 0; at < plain.length && plain[at] !== 0; at += plain[at] === 1 ? 1 : Math.max(2, plain[at + 1] ?? 2)) {
    if (plain[at] === 68) plain.fill(0, at + 4, at + plain[at + 1])
  }
  return hex(plain, 0, plain.length)
}

interface Transport {
  readonly protocol: number
  /** All of it is there, so its checksum can be judged. */
  readonly whole: boolean
  readonly names: Names
  readonly quoted: boolean
}

function describeTransport(bytes: Uint8Array, ip: number, head: number, end: number, transport: Transport): string {
  const { protocol, names } = transport
  const at = ip + head
  if (at + 8 > end) return `protocol ${protocol} ${digest(bytes, at, end)}`
  if (protocol === 1) return describeIcmp(bytes, at, end, transport)
  if (protocol !== 6 && protocol !== 17) return `protocol ${protocol} ${digest(bytes, at, end)}`
  const ports = [get16(bytes, at), get16(bytes, at + 2)]
  const text = ports.map((port) => `${names.port(port)}${names.isChosen(port) ? classOf(port) : ''}`).join(' > ')
  const check = describeChecksum(bytes, ip, at, end, ports, transport)
  if (protocol === 17) return `udp ${text} length ${get16(bytes, at + 4)} checksum ${check} ${digest(bytes, at + 8, end)}`
  if (at + 20 > end) return `tcp ${text} seq ${get32(bytes, at + 4) >>> 0} ${hex(bytes, at + 8, end)}`
  const data = Math.min(end, Math.max(at + 20, at + 4 * (bytes[at + 12] >> 4)))
  return [
    `tcp ${text} seq ${get32(bytes, at + 4) >>> 0} ack ${get32(bytes, at + 8) >>> 0} ${bytes[at + 12].toString(16)}`,
    `flags ${flagsText(bytes[at + 13])} window ${get16(bytes, at + 14)} urgent ${get16(bytes, at + 18)} options '${hex(bytes, at + 20, data)}'`,
    `checksum ${check} ${digest(bytes, data, end)}`
  ].join(' ')
}

function describeIcmp(bytes: Uint8Array, at: number, end: number, { whole, names, quoted }: Transport): string {
  const type = bytes[at]
  const id = get16(bytes, at + 4)
  const hasId = QUERIES.has(type)
  const check = whole ? residue(onesComplementSum(bytes, at, end - at, 0)) : adjusted(get16(bytes, at + 2), hasId ? [id] : [], names)
  const start = `icmp ${type}/${bytes[at + 1]} checksum ${check}`
  // A timestamp reply may be the gateway's own, with its clock in it: of those only the question's time is compared.
  const dataEnd = type === TIMESTAMP_REPLY ? Math.min(end, at + 12) : end
  if (hasId) return `${start} id ${names.port(id)} sequence ${get16(bytes, at + 6)} ${digest(bytes, at + 8, dataEnd)}`
  if (ERRORS.has(type) && !quoted)
    return `${start} ${hex(bytes, at + 4, at + 8)} about [${describePacket(bytes, at + 8, end, names, true)}]`
  return `${start} ${digest(bytes, at + 4, end)}`
}

/** Of all of it: what the sum is off by. Of a part: the field, less what was chosen. */
function describeChecksum(bytes: Uint8Array, ip: number, at: number, end: number, ports: number[], transport: Transport): string {
  const { protocol, whole, names } = transport
  const field = at + checksumOffset(protocol)
  if (field + 2 > end) return 'missing'
  const value = get16(bytes, field)
  if (protocol === 17 && value === 0) return 'none'
  if (!whole) return adjusted(value, ports, names)
  return residue(onesComplementSum(bytes, at, end - at, pseudoHeaderSum(bytes, ip, protocol, end - at)))
}

/** Linux chooses a port of the class of the one that is taken. */
function classOf(port: number): string {
  return port < 512 ? ' below 512' : port < 1024 ? ' below 1024' : ''
}

function residue(sum: number): string {
  return sum === 0xffff ? 'ok' : `off by ${sum.toString(16)}`
}

/** A checksum is the complement of a sum, so adding a word to it takes that word out. */
function adjusted(field: number, words: readonly number[], names: Names): string {
  const sum = words.reduce((total, word) => (names.isChosen(word) ? fold(total + word) : total), field)
  return (sum % 0xffff).toString(16)
}

function flagsText(flags: number): string {
  return [...'FSRPAUEC'].filter((_, bit) => (flags & (1 << bit)) !== 0).join('') || '-'
}

/** Length and FNV-1a of a stretch of bytes. */
function digest(bytes: Uint8Array, from: number, to: number): string {
  let hash = 0x811c9dc5
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193)
  return `(${Math.max(0, to - from)} bytes ${(hash >>> 0).toString(16)})`
}

function hex(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.subarray(from, Math.max(from, to))).toString('hex')
}
