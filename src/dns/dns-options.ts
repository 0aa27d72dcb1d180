/**
 * What the DNS service is told: how it answers, and its records, which may be given whole or changed in part.
 *
 * Zones are networks, stations are their members, askers are the service's ports. All three go by keys that the control plane
 * chooses; a record that is put replaces the one with its key.
 */

/** The names of one network. */
export interface DnsZone {
  /** The network's name: `web` is known as `web` and, where this is fit for DNS, as `web.NAME`. */
  readonly name: string
}

/** A member of a zone: who is found there, and where. */
export interface DnsStation {
  /** Key of the zone. */
  readonly zone: string
  /** Its names; several stations may have one. What can be no domain name is left out: nobody can ask for it. */
  readonly names: readonly string[]
  /** IPv4 and IPv6. A PTR question for one of them is answered with the first name. */
  readonly addresses: readonly string[]
}

/** Who asks on one port. */
export interface DnsAsker {
  /** Keys of its zones, in the order in which they are asked. */
  readonly zones: readonly string[]
  /**
   * Names for this asker alone, by key of a zone: alias to a name of that zone. An alias comes before the zone's own names, is
   * followed at every question, and hides a name of the zone that is the same.
   */
  readonly links?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Whether unknown names go to the upstream servers: not from internal networks. */
  readonly forward: boolean
}

/** Records by key; askers by port number. */
export interface DnsRecords {
  readonly zones?: Readonly<Record<string, DnsZone>>
  readonly stations?: Readonly<Record<string, DnsStation>>
  readonly askers?: Readonly<Record<string, DnsAsker>>
}

/** Records that come or are replaced; null: that goes. A zone may go with its last station, in one change. */
export interface DnsChange {
  readonly zones?: Readonly<Record<string, DnsZone | null>>
  readonly stations?: Readonly<Record<string, DnsStation | null>>
  readonly askers?: Readonly<Record<string, DnsAsker | null>>
}

/** How the service answers. */
export interface DnsSettings {
  /** Seconds; default 600. */
  readonly ttl?: number
  /**
   * What happens to a question that may not be forwarded, or that no upstream server answered. Default `silent`: the client
   * times out, as with Docker; `servfail` tells it at once.
   */
  readonly unanswered?: 'silent' | 'servfail'
  /** Answer EDNS with EDNS (RFC 6891 6.1.1), the default; Docker's own answers are without. */
  readonly edns?: boolean
  /** Whether `web.NET` is unknown on a network called `net`, as with Docker; default false, letters of either case are equal. */
  readonly exactZones?: boolean
}

/** As Docker's server answers. */
export const DOCKER_DNS: DnsSettings = { edns: false, exactZones: true }

/** New options with any records in them replace all records; without, the records stay. */
export interface DnsServiceOptions extends DnsSettings, DnsRecords {}

export class DnsOptionsError extends Error {
  readonly code = 'ERR_DNS_OPTIONS'

  constructor(field: string, value: unknown, problem: string) {
    super(`${field} ${JSON.stringify(value)}: ${problem}`)
    this.name = 'DnsOptionsError'
  }
}

/** Throws DnsOptionsError. */
export function readDnsSettings({ ttl = 600, unanswered = 'silent', edns = true, exactZones = false }: DnsSettings): Required<DnsSettings> {
  if (!Number.isInteger(ttl) || ttl < 0 || ttl > 0x7fffffff) throw new DnsOptionsError('ttl', ttl, 'is not a number of seconds')
  if (unanswered !== 'silent' && unanswered !== 'servfail')
    throw new DnsOptionsError('unanswered', unanswered, "is not 'silent' or 'servfail'")
  return { ttl, unanswered, edns, exactZones }
}
