import type { DnsRecords } from '../../src/dns/dns-options.ts'

/** Zones whose keys are their names, with one station for each name. */
export function zones(
  names: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
): Required<Pick<DnsRecords, 'zones' | 'stations'>> {
  const each = Object.entries(names)
  return {
    zones: Object.fromEntries(each.map(([zone]) => [zone, { name: zone }])),
    stations: Object.fromEntries(
      each.flatMap(([zone, its]) => Object.entries(its).map(([name, addresses]) => [`${zone}/${name}`, { zone, names: [name], addresses }]))
    )
  }
}
