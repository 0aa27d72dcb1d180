import type { AskerTables } from './dns-directory.ts'
import { DnsType } from './dns-format.ts'
import type { DnsQuery } from './dns-query.ts'
import { endsWith } from './name-table.ts'
import type { NameEntry } from './zone-table.ts'

/** Why there is no entry: the name is known but has no record of the type, or this server knows nothing. */
export const Miss = { noData: 0, unknown: 1 } as const

/**
 * What the tables say to a query, as Docker's server decides: the asker's links first, then the first zone that has an address
 * of the wanted family; a known name without one has no data (so AAAA on an IPv4-only name is not asked elsewhere); MX of a
 * known name likewise; any other type goes to the upstream servers. The class is not looked at.
 * @param exact a zone's name counts only letter for letter
 */
export function lookUp(asker: AskerTables, bytes: Uint8Array, query: DnsQuery, exact: boolean): NameEntry | 0 | 1 {
  const { type, nameAt, nameLength, hash } = query
  if (type !== DnsType.a && type !== DnsType.aaaa && type !== DnsType.ptr && type !== DnsType.mx) return Miss.unknown
  const { zones, links } = asker
  if (links !== null) {
    const found = followLinks(asker, bytes, query, exact)
    if (found !== Miss.unknown) return found
  }
  let isKnown = false
  for (let i = 0; i < zones.length; i++) {
    const entry = zones[i].names.find(bytes, nameAt, nameLength, hash)
    if (entry === null || (exact && entry.zone !== null && !endsWith(bytes, nameAt + nameLength, entry.zone))) continue
    if (links !== null && links[i] !== null && links[i]!.get(entry) !== null) continue // hidden by an alias whose target is away
    if (hasType(entry, type)) return entry
    if (type !== DnsType.ptr && entry.pointer === null) isKnown = true
  }
  return isKnown ? Miss.noData : Miss.unknown
}

function followLinks({ zones, links }: AskerTables, bytes: Uint8Array, query: DnsQuery, exact: boolean): NameEntry | 0 | 1 {
  const { type, nameAt, nameLength, hash } = query
  let isKnown = false
  for (let i = 0; i < zones.length; i++) {
    const link = links![i]?.find(bytes, nameAt, nameLength, hash) ?? null
    if (link === null || (exact && link.zone !== null && !endsWith(bytes, nameAt + nameLength, link.zone))) continue
    const entry = zones[i].names.get(link.target)
    if (entry === null || entry.pointer !== null) continue
    if (hasType(entry, type)) return entry
    if (type !== DnsType.ptr) isKnown = true
  }
  return isKnown ? Miss.noData : Miss.unknown
}

function hasType(entry: NameEntry, type: number): boolean {
  return type === DnsType.a
    ? entry.a.length > 0
    : type === DnsType.aaaa
      ? entry.aaaa.length > 0
      : type === DnsType.ptr && entry.pointer !== null
}
