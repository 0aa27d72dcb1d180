import { formatIpv4 } from '../wire/address.ts'
import { get16, get32 } from '../wire/big-endian.ts'
import {
  checkIcmp,
  ICMP_HEADER_LENGTH,
  IcmpType,
  IcmpUnreachable,
  icmpCode,
  icmpId,
  icmpMtu,
  icmpSequence,
  icmpType
} from '../wire/icmp.ts'
import { checkIpv4Quoted, IpProtocol, ipv4Destination, ipv4HeaderLength, ipv4Protocol } from '../wire/ipv4.ts'
import type { Payload } from './decode-context.ts'

/** RFC 792, RFC 1122, RFC 1812: what is unreachable by code, `@` for the address that was wanted. */
const UNREACHABLE: Readonly<Record<number, string>> = {
  0: 'net @ unreachable',
  1: 'host @ unreachable',
  5: '@ unreachable - source route failed',
  6: 'net @ unreachable - unknown',
  7: 'host @ unreachable - unknown',
  8: '@ unreachable - source host isolated',
  9: 'net @ unreachable - admin prohibited',
  10: 'host @ unreachable - admin prohibited',
  11: 'net @ unreachable - tos prohibited',
  12: 'host @ unreachable - tos prohibited',
  13: 'host @ unreachable - admin prohibited filter',
  14: 'host @ unreachable - host precedence violation',
  15: 'host @ unreachable - precedence cutoff'
}
const REDIRECTED = ['net', 'host', 'tos-net', 'tos-host']
const NAMES: Readonly<Record<number, string>> = {
  [IcmpType.sourceQuench]: 'source quench',
  [IcmpType.timestampRequest]: 'time stamp query',
  [IcmpType.timestampReply]: 'time stamp reply',
  9: 'router advertisement',
  10: 'router solicitation'
}

/** 'ICMP echo request, id 1, seq 1, length 64'. */
export function icmpText(bytes: Uint8Array, { at, end, length }: Payload): string {
  if (!checkIcmp(bytes, at, end)) return 'ICMP [|icmp]'
  return `ICMP ${messageText(bytes, at, end)}, length ${length}`
}

function messageText(bytes: Uint8Array, at: number, end: number): string {
  const type = icmpType(bytes, at)
  const quoted = at + ICMP_HEADER_LENGTH
  switch (type) {
    case IcmpType.echoRequest:
    case IcmpType.echoReply:
      return `echo ${type === IcmpType.echoRequest ? 'request' : 'reply'}, id ${icmpId(bytes, at)}, seq ${icmpSequence(bytes, at)}`
    case IcmpType.unreachable:
      return checkIpv4Quoted(bytes, quoted, end) ? unreachableText(bytes, at, quoted, end) : 'unreachable [|icmp]'
    case IcmpType.redirect: {
      if (!checkIpv4Quoted(bytes, quoted, end)) return 'redirect [|icmp]'
      const what = REDIRECTED[icmpCode(bytes, at)] ?? `-#${icmpCode(bytes, at)}`
      return `redirect ${formatIpv4(ipv4Destination(bytes, quoted))} to ${what} ${formatIpv4(get32(bytes, at + 4))}`
    }
    case IcmpType.timeExceeded:
      return icmpCode(bytes, at) === 0 ? 'time exceeded in-transit' : 'ip reassembly time exceeded'
    case IcmpType.parameterProblem:
      return `parameter problem - octet ${bytes[at + 4]}`
    default:
      return NAMES[type] ?? `type-#${type}`
  }
}

function unreachableText(bytes: Uint8Array, at: number, quoted: number, end: number): string {
  const code = icmpCode(bytes, at)
  const address = formatIpv4(ipv4Destination(bytes, quoted))
  const protocol = ipv4Protocol(bytes, quoted)
  if (code === IcmpUnreachable.protocol) return `${address} protocol ${protocol} unreachable`
  if (code === IcmpUnreachable.port) {
    const transport = quoted + ipv4HeaderLength(bytes, quoted)
    if (transport + 4 > end) return `${address} port unreachable`
    const name = protocol === IpProtocol.tcp ? 'tcp' : protocol === IpProtocol.udp ? 'udp' : `protocol ${protocol}`
    return `${address} ${name} port ${get16(bytes, transport + 2)} unreachable`
  }
  if (code === IcmpUnreachable.fragmentationNeeded) {
    const mtu = icmpMtu(bytes, at)
    return `${address} unreachable - need to frag${mtu === 0 ? '' : ` (mtu ${mtu})`}`
  }
  return UNREACHABLE[code]?.replace('@', address) ?? `${address} unreachable - #${code}`
}
