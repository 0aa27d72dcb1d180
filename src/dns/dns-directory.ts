/**
 * Everything that the DNS service knows, changed record by record.
 *
 * A change is checked before anything is touched, and costs what it names; it gives the change that undoes it.
 */
import { encodeName } from './dns-format.ts'
import { type DnsAsker, type DnsChange, DnsOptionsError, type DnsRecords } from './dns-options.ts'
import { type NamedEntry, NameTable, tableKey } from './name-table.ts'
import { type Station, ZoneTable } from './zone-table.ts'

/** Askers of one service: endpoints of one engine. */
export const DNS_PORTS_MAX = 65_536

/** An alias of one asker in one zone. */
export interface LinkEntry extends NamedEntry {
  /** The name that stands for it, in the zone. */
  readonly target: NamedEntry
  /** As in NameEntry. */
  readonly zone: Uint8Array | null
}

/** An asker ready for look-ups. */
export interface AskerTables {
  readonly given: DnsAsker
  readonly zones: readonly ZoneTable[]
  /** By index of the zone; null where the asker has no links at all. */
  readonly links: readonly (NameTable<LinkEntry> | null)[] | null
  readonly forward: boolean
}

export class DnsDirectory {
  private readonly zones = new Map<string, ZoneTable>()
  private readonly stations = new Map<string, Station>()
  /** By port number. */
  readonly askers: (AskerTables | null)[] = []

  /** Throws DnsOptionsError. */
  constructor(records: DnsRecords = {}) {
    this.update(records)
  }

  /** Throws DnsOptionsError, and then nothing has changed. Returns the change that undoes this one. */
  update(change: DnsChange): DnsChange {
    const zones = new Map<string, ZoneTable | null>()
    for (const [key, zone] of Object.entries(change.zones ?? {})) {
      const name = this.zones.get(key)?.given.name
      if (zone !== null && name === zone.name) continue
      if (zone !== null && name !== undefined) throw new DnsOptionsError(`zones.${key}`, zone.name, `is called ${name} already`)
      zones.set(key, zone === null ? null : new ZoneTable(zone))
    }
    const zoneAt = (key: string): ZoneTable | null => (zones.has(key) ? zones.get(key)! : (this.zones.get(key) ?? null))
    const stations = Object.entries(change.stations ?? {}).map(([key, given]): [string, Station | null] => {
      if (given === null) return [key, null]
      const zone = zoneAt(given.zone)
      if (zone === null) throw new DnsOptionsError(`stations.${key}.zone`, given.zone, 'is not one of the zones')
      return [key, zone.read(`stations.${key}`, given)]
    })
    this.checkEmptied(zones, stations)
    const askers = Object.entries(change.askers ?? {}).map(([key, given]): [number, AskerTables | null] => [
      readPort(key),
      given && readAsker(`askers.${key}`, given, zoneAt)
    ])
    // Nothing can fail from here on.
    const undo = { zones: {}, stations: {}, askers: {} } as Record<keyof DnsChange, Record<string, unknown>>
    for (const [key, station] of stations) {
      const before = this.stations.get(key)
      undo.stations[key] = before?.given ?? null
      if (before !== undefined) this.zones.get(before.given.zone)!.remove(before)
      if (station === null) this.stations.delete(key)
    }
    for (const [key, zone] of zones) {
      undo.zones[key] = this.zones.get(key)?.given ?? null
      if (zone === null) this.zones.delete(key)
      else this.zones.set(key, zone)
    }
    for (const [key, station] of stations) {
      if (station === null) continue
      this.stations.set(key, station)
      this.zones.get(station.given.zone)!.add(station)
    }
    for (const [port, asker] of askers) {
      undo.askers[port] = this.askers[port]?.given ?? null
      while (this.askers.length <= port) this.askers.push(null)
      this.askers[port] = asker
    }
    return undo as DnsChange
  }

  /** A zone that goes must have no stations but those that go, or go elsewhere, in this change. */
  private checkEmptied(zones: ReadonlyMap<string, ZoneTable | null>, stations: readonly (readonly [string, Station | null])[]): void {
    for (const [key, zone] of zones) {
      if (zone !== null) continue
      let left = this.zones.get(key)?.members ?? 0
      if (left > 0) for (const [station] of stations) if (this.stations.get(station)?.given.zone === key) left--
      if (left > 0) throw new DnsOptionsError('zones', key, `has ${left} stations and cannot go`)
    }
  }
}

/** Throws DnsOptionsError. */
function readPort(key: string): number {
  const port = Number(key)
  if (Number.isInteger(port) && port >= 0 && port < DNS_PORTS_MAX) return port
  throw new DnsOptionsError('askers', key, `is not a port from 0 to ${DNS_PORTS_MAX - 1}`)
}

/** Throws DnsOptionsError. */
function readAsker(field: string, given: DnsAsker, zoneAt: (key: string) => ZoneTable | null): AskerTables {
  const zones = given.zones.map((key) => {
    const zone = zoneAt(key)
    if (zone === null) throw new DnsOptionsError(`${field}.zones`, key, 'is not one of the zones')
    return zone
  })
  for (const key of Object.keys(given.links ?? {})) {
    if (!given.zones.includes(key)) throw new DnsOptionsError(`${field}.links`, key, "is not one of the asker's zones")
  }
  const links = given.zones.map((key, index) => linkTable(zones[index], Object.entries(given.links?.[key] ?? {})))
  return { given, zones, links: links.every((table) => table === null) ? null : links, forward: given.forward }
}

/** Aliases and targets that can be no domain names are left out: nobody can ask for them. */
function linkTable({ given, suffix }: ZoneTable, links: readonly [alias: string, target: string][]): NameTable<LinkEntry> | null {
  if (links.length === 0) return null
  const table = new NameTable<LinkEntry>()
  const put = (alias: Uint8Array | null, target: NamedEntry, zone: Uint8Array | null): void => {
    if (alias === null) return
    const key = tableKey(alias)
    if (table.get(key) === null) table.add({ ...key, target, zone })
  }
  for (const [alias, name] of links) {
    const target = encodeName(name)
    if (target === null) continue
    put(encodeName(alias), tableKey(target), null)
    if (suffix !== null) put(encodeName(`${alias}.${given.name}`), tableKey(target), suffix)
  }
  return table
}
