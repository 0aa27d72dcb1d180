import { formatIpv6 } from '../wire/address.ts'
import { get16 } from '../wire/big-endian.ts'
import {
  checkIcmpv6,
  ICMPV6_HEADER_LENGTH,
  Icmpv6Type,
  Icmpv6Unreachable,
  icmpv6Code,
  icmpv6Id,
  icmpv6Sequence,
  icmpv6Type,
  icmpv6Word
} from '../wire/icmpv6.ts'
import { IpProtocol } from '../wire/ipv4.ts'
import {
  checkIpv6Quoted,
  IPV6_DESTINATION,
  IPV6_SOURCE,
  IPV6_WALK_LENGTH,
  IPV6_WALK_OFFSET,
  IPV6_WALK_PROTOCOL,
  walkIpv6Extensions
} from '../wire/ipv6.ts'
import { ND_TARGET } from '../wire/neighbor-discovery.ts'
import type { Payload } from './decode-context.ts'

const walk = new Int32Array(IPV6_WALK_LENGTH)
/** RFC 2710. */
const MLD_DONE = 132
const MLD: Readonly<Record<number, string>> = { 130: 'query', 131: 'report', [MLD_DONE]: 'done' }

/** 'ICMP6, neighbor solicitation, who has 2001:db8::2, length 32'. */
export function icmpv6Text(bytes: Uint8Array, { at, end, length }: Payload): string {
  if (!checkIcmpv6(bytes, at, end)) return 'ICMP6, [|icmp6]'
  return `ICMP6, ${messageText(bytes, at, end)}, length ${length}`
}

function messageText(bytes: Uint8Array, at: number, end: number): string {
  const type = icmpv6Type(bytes, at)
  switch (type) {
    case Icmpv6Type.echoRequest:
    case Icmpv6Type.echoReply: {
      const kind = type === Icmpv6Type.echoRequest ? 'request' : 'reply'
      return `echo ${kind}, id ${icmpv6Id(bytes, at)}, seq ${icmpv6Sequence(bytes, at)}`
    }
    case Icmpv6Type.unreachable:
      return unreachableText(bytes, at, end)
    case Icmpv6Type.packetTooBig:
      return `packet too big, mtu ${icmpv6Word(bytes, at) >>> 0}`
    case Icmpv6Type.timeExceeded: {
      const quoted = at + ICMPV6_HEADER_LENGTH
      if (icmpv6Code(bytes, at) !== 0) return 'ip reassembly time exceeded'
      return `time exceeded in-transit${checkIpv6Quoted(bytes, quoted, end) ? ` for ${formatIpv6(bytes, quoted + IPV6_DESTINATION)}` : ''}`
    }
    case Icmpv6Type.parameterProblem:
      return `parameter problem, octet ${icmpv6Word(bytes, at) >>> 0}`
    case Icmpv6Type.routerSolicitation:
      return 'router solicitation'
    case Icmpv6Type.routerAdvertisement:
      return 'router advertisement'
    case Icmpv6Type.neighborSolicitation:
      return `neighbor solicitation, who has ${addressText(bytes, at + ND_TARGET, end)}`
    case Icmpv6Type.neighborAdvertisement:
      return `neighbor advertisement, tgt is ${addressText(bytes, at + ND_TARGET, end)}`
    case Icmpv6Type.redirect:
      return `redirect, ${addressText(bytes, at + 24, end)} to ${addressText(bytes, at + 8, end)}`
    case Icmpv6Type.multicastReport:
      return `multicast listener report v2, ${get16(bytes, at + 6)} group record(s)`
    default:
      return MLD[type] === undefined ? `type-#${type}` : `multicast listener ${MLD[type]} ${addressText(bytes, at + 8, end)}`
  }
}

/** RFC 4443 section 3.1. */
function unreachableText(bytes: Uint8Array, at: number, end: number): string {
  const quoted = at + ICMPV6_HEADER_LENGTH
  const code = icmpv6Code(bytes, at)
  if (!checkIpv6Quoted(bytes, quoted, end)) return 'destination unreachable [|icmp6]'
  const address = formatIpv6(bytes, quoted + IPV6_DESTINATION)
  const head = 'destination unreachable,'
  switch (code) {
    case Icmpv6Unreachable.noRoute:
      return `${head} unreachable route ${address}`
    case Icmpv6Unreachable.administratively:
      return `${head} unreachable prohibited ${address}`
    case Icmpv6Unreachable.beyondScope:
      return `${head} beyond scope ${address}, source address ${formatIpv6(bytes, quoted + IPV6_SOURCE)}`
    case Icmpv6Unreachable.address:
      return `${head} unreachable address ${address}`
    case Icmpv6Unreachable.port:
      return `${head} unreachable port, ${address}${portText(bytes, quoted, end)}`
    default:
      return `${head} unknown unreach code (${code})`
  }
}

function portText(bytes: Uint8Array, quoted: number, end: number): string {
  if (!walkIpv6Extensions(bytes, quoted, end, walk) || walk[IPV6_WALK_OFFSET] + 4 > end) return ''
  const protocol = walk[IPV6_WALK_PROTOCOL]
  const name = protocol === IpProtocol.tcp ? 'tcp' : protocol === IpProtocol.udp ? 'udp' : `protocol ${protocol}`
  return ` ${name} port ${get16(bytes, walk[IPV6_WALK_OFFSET] + 2)}`
}

function addressText(bytes: Uint8Array, at: number, end: number): string {
  return at + 16 <= end ? formatIpv6(bytes, at) : '[|icmp6]'
}
