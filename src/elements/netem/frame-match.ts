/** Which frames a setting is for. All fields that are given must match. */
import { ipv6ToBigint } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import { type Prefix, parseAddress, parseCidr, prefixContains } from '../../wire/cidr.ts'
import { EtherType } from '../../wire/ethernet.ts'
import { IpProtocol } from '../../wire/ipv4.ts'
import { PacketView } from '../../wire/packet-view.ts'

export interface FrameMatch {
  /** 'arp', 'ip', 'ip6', 'icmp', 'icmp6', 'tcp', 'udp', or a number of IP's protocols: behind the extension headers of IPv6. */
  readonly protocol?: string | number
  /** An address or a subnet, IPv4 or IPv6. */
  readonly source?: string
  readonly destination?: string
  /** Of TCP and UDP. */
  readonly sourcePort?: number
  readonly destinationPort?: number
  /** Either of the two. */
  readonly port?: number
  /** In libpcap's language. The program is its translation, which the control plane adds. */
  readonly filter?: { readonly text: string; readonly program?: FilterProgram }
}

/** Instructions of classic BPF, as `tcpdump -ddd` prints them. */
export type FilterProgram = readonly { readonly code: number; readonly jt: number; readonly jf: number; readonly k: number }[]

/** Not 0: the frame in [at, at + length) is meant. */
export type FilterFunction = (bytes: Uint8Array, at: number, length: number) => number

/** Makes a function of a program; elements do not know how. Throws for programs that are not sound. */
export type FilterCompiler = (program: FilterProgram) => FilterFunction

const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: IpProtocol.icmp,
  icmp6: IpProtocol.icmpv6,
  tcp: IpProtocol.tcp,
  udp: IpProtocol.udp
}
const TYPES: Readonly<Record<string, number>> = { arp: EtherType.arp, ip: EtherType.ipv4, ip6: EtherType.ipv6 }

const packet = new PacketView()

export class FrameMatcher {
  private readonly etherType: number
  private readonly protocol: number
  private readonly source: Prefix | null
  private readonly destination: Prefix | null
  private readonly match: FrameMatch
  private readonly filter: FilterFunction | null
  /** Whether anything but a filter is given. */
  private readonly hasFields: boolean

  /** Throws RangeError that names what cannot be. Without `compile` all but the filter is checked, and nothing is to be matched. */
  constructor(match: FrameMatch, compile?: FilterCompiler) {
    const { protocol, source, destination, filter } = match
    this.match = match
    this.etherType = typeof protocol === 'string' ? (TYPES[protocol] ?? -1) : -1
    this.protocol = typeof protocol === 'number' ? protocol : typeof protocol === 'string' ? (PROTOCOLS[protocol] ?? -1) : -1
    if (protocol !== undefined && this.etherType < 0 && !(this.protocol >= 0 && this.protocol <= 255)) {
      throw new RangeError(
        `protocol '${protocol}' is unknown: ${[...Object.keys(TYPES), ...Object.keys(PROTOCOLS)].join(', ')} or a number`
      )
    }
    this.source = source === undefined ? null : prefixOf(source)
    this.destination = destination === undefined ? null : prefixOf(destination)
    for (const port of [match.port, match.sourcePort, match.destinationPort]) {
      if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535))
        throw new RangeError(`port ${port} must be 0 to 65535`)
    }
    if (filter !== undefined && filter.program === undefined) throw new RangeError(`the filter '${filter.text}' was not translated`)
    this.filter = filter?.program === undefined || compile === undefined ? null : compile(filter.program)
    this.hasFields = Object.keys(match).some((key) => key !== 'filter')
  }

  /** Whether the frame in [at, end) is meant. */
  matches(bytes: Uint8Array, at: number, end: number): boolean {
    if (this.filter !== null && this.filter(bytes, at, end - at) === 0) return false
    if (!this.hasFields) return true
    packet.readFrame(bytes, at, end)
    if (this.etherType >= 0 && packet.etherType !== this.etherType) return false
    if (this.protocol >= 0 && packet.protocol !== this.protocol) return false
    const { port, sourcePort, destinationPort } = this.match
    if (sourcePort !== undefined && packet.sourcePort !== sourcePort) return false
    if (destinationPort !== undefined && packet.destinationPort !== destinationPort) return false
    if (port !== undefined && packet.sourcePort !== port && packet.destinationPort !== port) return false
    return isIn(this.source, packet.sourceAt) && isIn(this.destination, packet.destinationAt)
  }
}

function isIn(prefix: Prefix | null, at: number): boolean {
  if (prefix === null) return true
  const { bytes, family } = packet
  return family !== 0 && prefix.family === family && prefixContains(prefix, family === 4 ? get32(bytes, at) : ipv6ToBigint(bytes, at))
}

function prefixOf(text: string): Prefix {
  try {
    if (text.includes('/')) return parseCidr(text)
    const address = parseAddress(text)
    return parseCidr(`${text}/${typeof address === 'number' ? 32 : 128}`)
  } catch (error) {
    throw new RangeError(`'${text}' is no address and no subnet`, { cause: error })
  }
}
