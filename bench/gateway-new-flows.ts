/**
 * Flows that nobody has seen, each by one frame of 64 bytes: which addresses and ports they are between, and their headers.
 *
 * A header is a template with addresses, ports and two checksums put in, words of this machine (little endian): what a sender's
 * own stack would have done. Halves of words are summed as they stand (RFC 1071 section 2(B)).
 *
 *   word   6 source 0-1   7 source 2-3, destination 0-1   8 destination 2-3, source port   9 destination port, ...
 */
import { emitEthernet } from '../src/wire/ethernet.ts'
import { emitIpv4, IpProtocol } from '../src/wire/ipv4.ts'
import { HEADER_WORDS } from './gateway-station.ts'

export const FIRST_PORT = 1024
export const PORTS = 60_000
/** Stations that flows come from: the neighbors that the router knows, 10.0.0.2 and so on. */
export const STATIONS = 200
/** Sources that want one port at the same time, and how many flows each has to one destination. */
const RIVALS = STATIONS
const FLOWS_OF_RIVAL = 200
const PUBLISHED_PORT = 8080

/** Where a flow begins and ends. Addresses have their first byte lowest, ports are numbers. */
interface Ends {
  source: number
  destination: number
  sourcePort: number
  destinationPort: number
}

export interface NewFlowKind {
  readonly protocol: number
  /** The outside begins them. */
  readonly isFromOutside: boolean
  place(number: number, ends: Ends): void
}

const INSIDE = 10

/** 10.0.0.2 and so on. */
function station(number: number): number {
  return INSIDE | (((number % STATIONS) + 2) << 24)
}

/** One of 16 million addresses outside, each once, far from the last one. */
function scattered(number: number): number {
  return 20 | (Math.imul(number, 0x9e3779b1) << 8)
}

/** Another host outside after each `every` flows. */
function host(number: number, every: number): number {
  const which = 256 + Math.floor(number / every)
  return 203 | ((which & 0xff00) << 8) | ((which & 0xff) << 24)
}

function eachToAnother(protocol: number, destinationPort: number): NewFlowKind {
  return {
    protocol,
    isFromOutside: false,
    place(number, ends) {
      ends.source = station(number)
      ends.destination = scattered(number)
      ends.sourcePort = FIRST_PORT + (number % PORTS)
      ends.destinationPort = destinationPort
    }
  }
}

function betweenTwo(protocol: number, destinationPort: number): NewFlowKind {
  return {
    protocol,
    isFromOutside: false,
    place(number, ends) {
      ends.source = station(0)
      ends.destination = host(number, PORTS)
      ends.sourcePort = FIRST_PORT + (number % PORTS)
      ends.destinationPort = destinationPort
    }
  }
}

/** By name, as the suite has them. */
export const NEW_FLOW_KINDS = {
  'UDP, between the same two addresses': betweenTwo(IpProtocol.udp, 9),
  'UDP, each to another address': eachToAnother(IpProtocol.udp, 53),
  'TCP, between the same two addresses': betweenTwo(IpProtocol.tcp, 443),
  'TCP, each to another address': eachToAnother(IpProtocol.tcp, 443),
  'ICMP echo, each to another address': eachToAnother(IpProtocol.icmp, 0),
  'TCP to a published port, each from another address': {
    protocol: IpProtocol.tcp,
    isFromOutside: true,
    place(number, ends) {
      ends.source = scattered(number)
      ends.destination = 198 | (51 << 8) | (100 << 16) | (50 << 24)
      ends.sourcePort = FIRST_PORT + (number % PORTS)
      ends.destinationPort = PUBLISHED_PORT
    }
  },
  'UDP, 199 of 200 need another port': {
    protocol: IpProtocol.udp,
    isFromOutside: false,
    place(number, ends) {
      ends.source = station(number)
      ends.destination = host(number, RIVALS * FLOWS_OF_RIVAL)
      ends.sourcePort = FIRST_PORT + (Math.floor(number / RIVALS) % FLOWS_OF_RIVAL)
      ends.destinationPort = 9
    }
  }
} as const satisfies Readonly<Record<string, NewFlowKind>>

export type NewFlowName = keyof typeof NEW_FLOW_KINDS

/** What is published for flows from outside. */
export const PUBLISHED = {
  web: { protocol: 'tcp' as const, address: null, port: PUBLISHED_PORT, target: '10.0.0.2', targetPort: 80, interface: 0 }
}

/** Puts the header of flow `number` into `words` at `at`. */
export type HeaderMaker = (number: number, words: Int32Array, at: number) => void

/** @param mac of the router, where the flow comes in */
export function newFlowHeaders({ protocol, place }: NewFlowKind, mac: string): HeaderMaker {
  const template = templateOf(protocol, mac)
  const ends: Ends = { source: 0, destination: 0, sourcePort: 0, destinationPort: 0 }
  const ipSum = sumOf(template, 14, 34)
  const isIcmp = protocol === IpProtocol.icmp
  const transportEnd = protocol === IpProtocol.tcp ? 58 : 64
  const pseudo = isIcmp ? 0 : swap16(transportEnd - 34) + (protocol << 8)
  const transportSum = sumOf(template, 34, transportEnd) + pseudo

  return (number, into, at) => {
    for (let i = 0; i < HEADER_WORDS; i++) into[at + i] = template[i]
    place(number, ends)
    const { source, destination } = ends
    const sourcePort = swap16(ends.sourcePort)
    const destinationPort = swap16(ends.destinationPort)
    const addresses = (source & 0xffff) + (source >>> 16) + (destination & 0xffff) + (destination >>> 16)
    into[at + 6] = (~fold(ipSum + addresses) & 0xffff) | (source << 16)
    into[at + 7] = (source >>> 16) | (destination << 16)
    if (isIcmp) {
      // Type and code stand; the identifier is the source port.
      into[at + 8] = (destination >>> 16) | (template[8] & -65_536)
      into[at + 9] = (~fold(transportSum + sourcePort) & 0xffff) | (sourcePort << 16)
      return
    }
    into[at + 8] = (destination >>> 16) | (sourcePort << 16)
    into[at + 9] = destinationPort | (template[9] & -65_536)
    const checksum = ~fold(transportSum + addresses + sourcePort + destinationPort) & 0xffff
    if (protocol === IpProtocol.tcp) into[at + 12] = (template[12] & 0xffff) | (checksum << 16)
    else into[at + 10] = checksum | (template[10] & -65_536)
  }
}

/** A frame with addresses, ports and checksums of 0: a datagram of 22 bytes, a SYN with its MSS (padded), an echo request. */
function templateOf(protocol: number, destination: string): Int32Array {
  const bytes = new Uint8Array(HEADER_WORDS * 4)
  emitEthernet({ source: '02:cc:00:00:00:99', destination, type: 0x0800 }, bytes, 0)
  const payloadLength = protocol === IpProtocol.tcp ? 24 : 30
  emitIpv4({ source: '0.0.0.0', destination: '0.0.0.0', protocol, payloadLength }, bytes, 14)
  bytes.fill(0, 24, 26)
  if (protocol === IpProtocol.udp) bytes.set([0, 30], 38)
  else if (protocol === IpProtocol.icmp) bytes.set([8, 0, 0, 0, 0, 0, 0, 1], 34)
  else bytes.set([0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0x60, 0x02, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4], 38)
  return new Int32Array(bytes.buffer)
}

/** Of the 16-bit halves that make up bytes [from, to). */
function sumOf(words: Int32Array, from: number, to: number): number {
  let sum = 0
  for (let at = from; at < to; at += 2) sum += (words[at >> 2] >>> ((at & 2) << 3)) & 0xffff
  return sum
}

function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16)
  return (once & 0xffff) + (once >>> 16)
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8)
}
