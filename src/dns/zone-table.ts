/**
 * One zone ready for look-ups: its names and addresses, each entry made from the stations that share it.
 */
import { addressBytes, canonicalAddress } from '../stack/ip-packet.ts'
import { encodeName, reverseName } from './dns-format.ts'
import { DnsOptionsError, type DnsStation, type DnsZone } from './dns-options.ts'
import { type NamedEntry, NameTable, tableKey } from './name-table.ts'

export interface NameEntry extends NamedEntry {
  /** IPv4 addresses, 4 bytes each. */
  a: Uint8Array
  /** IPv6 addresses, 16 bytes each. */
  aaaa: Uint8Array
  /** What a PTR question for this name is answered: the wire form of a name, or null. */
  pointer: Uint8Array | null
  /** The zone's name in wire form, where the entry is `name.ZONE` and no station has that as its own name. */
  zone: Uint8Array | null
  readonly holdings: Holding[]
}

/** What one station contributes to one entry. */
interface Holding {
  readonly at: NamedEntry
  readonly addresses: readonly string[]
  readonly pointer: Uint8Array | null
  readonly zone: Uint8Array | null
}

/** A station that was checked; what it was made from is kept to undo a change. */
export interface Station {
  readonly given: DnsStation
  readonly holdings: readonly Holding[]
}

const NONE = new Uint8Array(0)

export class ZoneTable {
  readonly given: DnsZone
  readonly names = new NameTable<NameEntry>()
  /** Stations of the zone. */
  members = 0
  /** The zone's name in wire form; null where it cannot stand in a domain name. */
  readonly suffix: Uint8Array | null

  constructor(given: DnsZone) {
    this.given = given
    this.suffix = encodeName(given.name)
  }

  /** Throws DnsOptionsError for an address that is none. */
  read(field: string, given: DnsStation): Station {
    const addresses = given.addresses.map((address) => readAddress(field, address))
    const holdings: Holding[] = []
    for (const name of new Set(given.names.map((text) => text.toLowerCase().replace(/\.$/, '')))) {
      const plain = encodeName(name)
      if (plain === null) continue
      holdings.push({ at: tableKey(plain), addresses, pointer: null, zone: null })
      const full = this.suffix === null ? null : encodeName(`${name}.${this.given.name}`)
      if (full !== null) holdings.push({ at: tableKey(full), addresses, pointer: null, zone: this.suffix })
    }
    const first = given.names[0]
    const pointer = first === undefined ? null : (encodeName(`${first}.${this.given.name}`) ?? encodeName(first))
    if (pointer !== null) {
      for (const address of addresses) {
        holdings.push({ at: tableKey(encodeName(reverseName(address))!), addresses: [], pointer, zone: null })
      }
    }
    return { given, holdings }
  }

  add({ holdings }: Station): void {
    this.members++
    for (const holding of holdings) {
      let entry = this.names.get(holding.at)
      if (entry === null) {
        entry = { ...holding.at, a: NONE, aaaa: NONE, pointer: null, zone: null, holdings: [] }
        this.names.add(entry)
      }
      entry.holdings.push(holding)
      refill(entry)
    }
  }

  remove({ holdings }: Station): void {
    this.members--
    for (const holding of holdings) {
      const entry = this.names.get(holding.at)!
      entry.holdings.splice(entry.holdings.indexOf(holding), 1)
      if (entry.holdings.length === 0) this.names.delete(entry)
      else refill(entry)
    }
  }
}

function refill(entry: NameEntry): void {
  const { holdings } = entry
  const bytes = [...new Set(holdings.flatMap(({ addresses }) => addresses))].map(addressBytes)
  const ofLength = (wanted: number): Uint8Array =>
    Uint8Array.from(bytes.filter(({ length }) => length === wanted).flatMap((part) => [...part]))
  entry.a = ofLength(4)
  entry.aaaa = ofLength(16)
  entry.pointer = holdings.find(({ pointer }) => pointer !== null)?.pointer ?? null
  entry.zone = holdings.every(({ zone }) => zone !== null) ? holdings[0].zone : null
}

function readAddress(field: string, address: string): string {
  try {
    return canonicalAddress(address)
  } catch {
    throw new DnsOptionsError(field, address, 'is not an IP address')
  }
}
