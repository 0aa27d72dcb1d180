/** Reads /proc/net/nf_conntrack (net/netfilter/nf_conntrack_standalone.c, ct_seq_show). */
import { formatIpv6, parseIpv6 } from '../../src/wire/address.ts'
import type { FlowRecord } from './gateway.ts'
import { ipv6Of } from './ipv6-translation.ts'
import { INTERFACES } from './world.ts'

const OWN = new Set(INTERFACES.flatMap(({ address, broadcast }) => [address, broadcast, ipv6Of(address)]))

/**
 *   ipv4  2 tcp  6 117 SYN_SENT src=.. dst=.. sport=.. dport=.. [UNREPLIED] src=.. dst=.. sport=.. dport=.. [ASSURED] mark=0 use=1
 *
 * Flows that have one of `addresses` as the source or destination of their original direction, and that pass through: who tracks what
 * ends at the gateway itself is not told.
 */
export function parseConntrack(text: string, addresses: ReadonlySet<string>): FlowRecord[] {
  const records: FlowRecord[] = []
  for (const line of text.split('\n')) {
    const words = line.split(/\s+/)
    if (words[0] !== 'ipv4' && words[0] !== 'ipv6') continue
    const protocol = Number(words[3])
    const pairs = words.filter((word) => /^(src|dst|sport|dport|type|code|id)=/.test(word)).map((word) => word.slice(word.indexOf('=') + 1))
    // ICMP has type, code and id where the others have two ports; other protocols have neither.
    const size = pairs.length / 2
    if (words[0] === 'ipv6') for (const at of [0, 1, size, size + 1]) pairs[at] = formatIpv6(parseIpv6(pairs[at]))
    const original = pairs.slice(0, size)
    if (!addresses.has(original[0]) && !addresses.has(original[1])) continue
    const answerer = pairs[size]
    if (OWN.has(answerer) || OWN.has(original[0])) continue
    records.push({
      protocol,
      original: tuple(original),
      reply: tuple(pairs.slice(size)),
      state: protocol === 6 ? words[5] : '',
      replied: !words.includes('[UNREPLIED]'),
      // UDP's comes with time (two seconds), which here is the kernel's own.
      assured: protocol === 6 && words.includes('[ASSURED]')
    })
  }
  return records
}

/** "source:port > destination:port"; for ICMP "source > destination id". */
function tuple(parts: readonly string[]): string {
  const [source, destination, third, fourth, fifth] = parts
  if (fifth !== undefined) return `${source} > ${destination} ${fifth}`
  return third === undefined ? `${source} > ${destination}` : `${source}:${third} > ${destination}:${fourth}`
}
