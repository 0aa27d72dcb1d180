import { DnsType } from './dns-format.ts'
import type { DnsQuery } from './dns-query.ts'
import type { NameEntry, NameTable } from './name-table.ts'

/** Why there is no entry: the name is known but has no record of the type, or this server knows nothing. */
export const Miss = { noData: 0, unknown: 1 } as const

/**
 * What the tables say to a query, as Docker's server decides: the first table that has an address of the wanted family;
 * a known name without one has no data (so AAAA on an IPv4-only name is not asked elsewhere); MX of a known name likewise;
 * any other type goes to the upstream servers. The class is not looked at.
 */
export function lookUp(tables: readonly NameTable[], bytes: Uint8Array, query: DnsQuery): NameEntry | 0 | 1 {
  const { type, nameAt, nameLength, hash } = query
  if (type !== DnsType.a && type !== DnsType.aaaa && type !== DnsType.ptr && type !== DnsType.mx) return Miss.unknown
  let isKnown = false
  for (let i = 0; i < tables.length; i++) {
    const entry = tables[i].find(bytes, nameAt, nameLength, hash)
    if (entry === null) continue
    if (
      type === DnsType.a
        ? entry.a.length > 0
        : type === DnsType.aaaa
          ? entry.aaaa.length > 0
          : type === DnsType.ptr && entry.pointer !== null
    )
      return entry
    if (type !== DnsType.ptr && entry.pointer === null) isKnown = true
  }
  return isKnown ? Miss.noData : Miss.unknown
}
