/** Reads /proc/net/nf_conntrack (net/netfilter/nf_conntrack_standalone.c, ct_seq_show). */
import type { FlowRecord } from './gateway.ts'

/**
 *   ipv4  2 tcp  6 117 SYN_SENT src=.. dst=.. sport=.. dport=.. [UNREPLIED] src=.. dst=.. sport=.. dport=.. [ASSURED] mark=0 use=1
 *
 * Flows that have one of `addresses` as the source or destination of their original direction.
 */
export function parseConntrack(text: string, addresses: ReadonlySet<string>): FlowRecord[] {
  const records: FlowRecord[] = []
  for (const line of text.split('\n')) {
    const words = line.split(/\s+/)
    if (words[0] !== 'ipv4') continue
    const protocol = Number(words[3])
    const pairs = words.filter((word) => /^(src|dst|sport|dport|type|code|id)=/.test(word)).map((word) => word.slice(word.indexOf('=') + 1))
    // ICMP has type, code and id where the others have two ports; other protocols have neither.
    const size = pairs.length / 2
    const original = pairs.slice(0, size)
    if (!addresses.has(original[0]) && !addresses.has(original[1])) continue
    records.push({
      protocol,
      original: tuple(original),
      reply: tuple(pairs.slice(size)),
      state: protocol === 6 ? words[5] : '',
      replied: !words.includes('[UNREPLIED]'),
      assured: words.includes('[ASSURED]')
    })
  }
  return records
}

/** "source:port > destination:port"; for ICMP "source > destination type/code id". */
function tuple(parts: readonly string[]): string {
  const [source, destination, third, fourth, fifth] = parts
  if (fifth !== undefined) return `${source} > ${destination} ${third}/${fourth} ${fifth}`
  return third === undefined ? `${source} > ${destination}` : `${source}:${third} > ${destination}:${fourth}`
}
