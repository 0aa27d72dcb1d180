/**
 * What the DNS service is told, checked and turned into tables.
 */
import { isDeepStrictEqual } from 'node:util'
import { addressBytes, canonicalAddress } from '../stack/ip-packet.ts'
import { encodeName, reverseName } from './dns-format.ts'
import { type NameEntry, NameTable, nameEntry } from './name-table.ts'

/** Addresses by name. */
export type Names = Readonly<Record<string, readonly string[]>>

/** The names of one network. `web` is known as `web` and, where the network's name is fit for DNS, as `web.NETWORK`. */
export interface DnsZone {
  readonly names: Names
  /** Which of several names a PTR question for an address is answered with; default: the first name that has the address. */
  readonly pointers?: Readonly<Record<string, string>>
}

/** Who asks on one port. */
export interface DnsAsker {
  /** Its networks, first one first. */
  readonly zones: readonly string[]
  /** Names for this asker alone (links), before the zones'; `f` and `f.NETWORK` are two names here. */
  readonly own?: Names
  /** Whether unknown names go to the upstream servers: not from internal networks. */
  readonly forward: boolean
}

export interface DnsServiceOptions {
  readonly zones: Readonly<Record<string, DnsZone>>
  /** By port number. */
  readonly askers: Readonly<Record<string, DnsAsker>>
  /** Seconds; default 600. */
  readonly ttl?: number
  /**
   * What happens to a question that may not be forwarded, or that no upstream server answered. Default `silent`: the client
   * times out, as with Docker; `servfail` tells it at once.
   */
  readonly unanswered?: 'silent' | 'servfail'
  /** Answer EDNS with EDNS (RFC 6891 6.1.1), the default; Docker's own answers are without. */
  readonly edns?: boolean
}

export class DnsOptionsError extends Error {
  readonly code = 'ERR_DNS_OPTIONS'

  constructor(field: string, value: unknown, problem: string) {
    super(`${field} ${JSON.stringify(value)}: ${problem}`)
    this.name = 'DnsOptionsError'
  }
}

/** An asker ready for look-ups. */
export interface AskerTables {
  readonly tables: readonly NameTable[]
  readonly forward: boolean
}

export interface DnsTables {
  readonly options: DnsServiceOptions
  readonly zones: ReadonlyMap<string, NameTable>
  /** By port number; null where nobody is. */
  readonly askers: readonly (AskerTables | null)[]
}

export const DNS_PORTS_MAX = 4096

/** Throws DnsOptionsError. Tables of zones that did not change are taken from `before`. */
export function readDnsOptions(options: DnsServiceOptions, before?: DnsTables): DnsTables {
  const { ttl = 600, unanswered = 'silent' } = options
  if (!Number.isInteger(ttl) || ttl < 0 || ttl > 0x7fffffff) throw new DnsOptionsError('ttl', ttl, 'is not a number of seconds')
  if (unanswered !== 'silent' && unanswered !== 'servfail')
    throw new DnsOptionsError('unanswered', unanswered, "is not 'silent' or 'servfail'")
  const zones = new Map<string, NameTable>()
  for (const [name, zone] of Object.entries(options.zones)) {
    const isSame = before !== undefined && isDeepStrictEqual(before.options.zones[name], zone)
    zones.set(name, isSame ? before.zones.get(name)! : zoneTable(name, zone))
  }
  const askers: (AskerTables | null)[] = []
  for (const [key, asker] of Object.entries(options.askers)) {
    const port = Number(key)
    if (!Number.isInteger(port) || port < 0 || port >= DNS_PORTS_MAX) {
      throw new DnsOptionsError('askers', key, `is not a port from 0 to ${DNS_PORTS_MAX - 1}`)
    }
    const tables = asker.zones.map((name) => {
      const table = zones.get(name)
      if (table === undefined) throw new DnsOptionsError(`askers.${key}.zones`, name, 'is not one of the zones')
      return table
    })
    if (asker.own !== undefined) tables.unshift(ownTable(`askers.${key}.own`, asker.own))
    while (askers.length <= port) askers.push(null)
    askers[port] = { tables, forward: asker.forward }
  }
  return { options, zones, askers }
}

/** Names in lower case, without a final dot, to canonical addresses: names that differ in case only are one. */
type Collected = Map<string, Set<string>>

function zoneTable(zone: string, { names, pointers }: DnsZone): NameTable {
  const field = `zones.${zone}`
  const collected: Collected = new Map()
  const pointerNames = new Map<string, string>()
  for (const [name, given] of Object.entries(names)) {
    const addresses = given.map((address) => readAddress(field, address))
    readName(field, name)
    collect(collected, name, addresses)
    if (encodeName(`${name}.${zone}`) !== null) collect(collected, `${name}.${zone}`, addresses)
    for (const address of addresses) if (!pointerNames.has(address)) pointerNames.set(address, name)
  }
  for (const [address, name] of Object.entries(pointers ?? {})) pointerNames.set(readAddress(`${field}.pointers`, address), name)
  const none = new Uint8Array(0)
  const reverse = Array.from(pointerNames, ([address, name]) =>
    nameEntry(readName(field, reverseName(address)), none, none, encodeName(`${name}.${zone}`) ?? readName(field, name))
  )
  return new NameTable([...forwardEntries(field, collected), ...reverse])
}

function ownTable(field: string, names: Names): NameTable {
  const collected: Collected = new Map()
  for (const [name, addresses] of Object.entries(names)) {
    collect(
      collected,
      name,
      addresses.map((address) => readAddress(field, address))
    )
  }
  return new NameTable(forwardEntries(field, collected))
}

function collect(collected: Collected, name: string, addresses: readonly string[]): void {
  const key = name.toLowerCase().replace(/\.$/, '')
  const known = collected.get(key) ?? new Set()
  for (const address of addresses) known.add(address)
  collected.set(key, known)
}

function forwardEntries(field: string, collected: Collected): NameEntry[] {
  return Array.from(collected, ([name, addresses]) => {
    const bytes = Array.from(addresses, addressBytes)
    const ofLength = (wanted: number): Uint8Array =>
      Uint8Array.from(bytes.filter(({ length }) => length === wanted).flatMap((part) => [...part]))
    return nameEntry(readName(field, name), ofLength(4), ofLength(16), null)
  })
}

function readName(field: string, name: string): Uint8Array {
  const bytes = encodeName(name)
  if (bytes === null) throw new DnsOptionsError(field, name, 'is not a domain name (labels of 1 to 63 bytes, 253 in all)')
  return bytes
}

function readAddress(field: string, address: string): string {
  try {
    return canonicalAddress(address)
  } catch {
    throw new DnsOptionsError(field, address, 'is not an IP address')
  }
}
