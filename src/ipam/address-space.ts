/**
 * The pools of one scope, by name. No two share an address; a network that names no subnet gets one of the defaults.
 */
import { formatPrefix, type Ipv4Prefix, type Prefix, parseCidr, prefixesOverlap, prefixLast, prefixOf } from '../wire/cidr.ts'
import { AddressPool, type PoolOptions, type PoolState, readPrefix } from './address-pool.ts'
import { IpamError } from './ipam-error.ts'

/** What is cut into subnets: every `length` prefix inside `base`, in order. */
export interface DefaultPool {
  readonly base: string
  readonly length: number
}

/** Docker's own: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in pieces of /20 (libnetwork, ipamutils). */
export const DEFAULT_POOLS: readonly DefaultPool[] = [
  { base: '172.17.0.0/16', length: 16 },
  { base: '172.18.0.0/15', length: 16 },
  { base: '172.20.0.0/14', length: 16 },
  { base: '172.24.0.0/13', length: 16 },
  { base: '192.168.0.0/16', length: 20 }
]

export interface SpaceState {
  readonly pools: Readonly<Record<string, PoolState>>
  /** Where the search for the next automatic subnet begins. */
  readonly next: number
}

export class AddressSpace {
  private readonly pools = new Map<string, AddressPool>()
  /** The pools of each family from low to high; none shares an address with another. */
  private readonly ordered: Readonly<Record<4 | 6, { name: string; pool: AddressPool }[]>> = { 4: [], 6: [] }
  private readonly defaults: readonly Ipv4Prefix[]
  private next = 0

  constructor(defaults: readonly DefaultPool[] = DEFAULT_POOLS) {
    this.defaults = defaults.flatMap(cut)
  }

  get(name: string): AddressPool | undefined {
    return this.pools.get(name)
  }

  get names(): string[] {
    return [...this.pools.keys()]
  }

  /** A pool for a subnet that the user chose. Throws IpamError. */
  addPool(name: string, options: PoolOptions): AddressPool {
    this.checkName(name)
    // Before the pool is made: whoever wants a subnet that is taken is told that, not that its gateway is wrong.
    const prefix = readPrefix('subnet', options.subnet)
    const other = this.overlapping(prefix)
    if (other !== undefined) {
      throw new IpamError('IPAM_OVERLAP', 'subnet', options.subnet, `shares addresses with ${other.pool.subnet} of ${other.name}`)
    }
    const pool = new AddressPool(options)
    this.insert(name, pool)
    return pool
  }

  /**
   * A pool on the next default subnet that overlaps neither a pool nor `avoid` (the host's own routes; a default route says
   * nothing). The search goes on where the last one ended, so that a subnet just freed, which others may still hold routes to,
   * is the last to come back. Throws IpamError.
   */
  addDefaultPool(name: string, avoid: readonly string[] = [], options: Omit<PoolOptions, 'subnet'> = {}): AddressPool {
    this.checkName(name)
    const avoided = avoid.map(parseCidr).filter(({ length }) => length > 0)
    for (let step = 0; step < this.defaults.length; step++) {
      const index = (this.next + step) % this.defaults.length
      const candidate = this.defaults[index]
      if (this.overlapping(candidate) !== undefined || avoided.some((prefix) => prefixesOverlap(prefix, candidate))) continue
      const pool = new AddressPool({ ...options, subnet: formatPrefix(candidate) })
      this.next = (index + 1) % this.defaults.length
      this.insert(name, pool)
      return pool
    }
    throw new IpamError(
      'IPAM_NO_POOL',
      'subnet',
      '',
      `all ${this.defaults.length} default subnets are in use; name one, or remove a network`
    )
  }

  /** False when there is none of this name. */
  removePool(name: string): boolean {
    const pool = this.pools.get(name)
    if (pool === undefined) return false
    this.pools.delete(name)
    this.ordered[pool.family].splice(this.before(pool.prefix), 1)
    return true
  }

  /** The pool that shares addresses with the prefix. */
  private overlapping(prefix: Prefix): { name: string; pool: AddressPool } | undefined {
    // Pools are apart, so of those that begin before the prefix ends only the last can reach into it.
    const below = this.ordered[prefix.family][this.before(prefix)]
    return below !== undefined && prefixesOverlap(below.pool.prefix, prefix) ? below : undefined
  }

  /** Index of the last pool that begins before the prefix ends; -1 when none does. */
  private before(prefix: Prefix): number {
    const ordered = this.ordered[prefix.family]
    const last = prefixLast(prefix)
    let low = 0
    let high = ordered.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (ordered[middle].pool.prefix.network <= last) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  private insert(name: string, pool: AddressPool): void {
    this.pools.set(name, pool)
    this.ordered[pool.family].splice(this.before(pool.prefix) + 1, 0, { name, pool })
  }

  toState(): SpaceState {
    return { pools: Object.fromEntries(Array.from(this.pools, ([name, pool]) => [name, pool.toState()])), next: this.next }
  }

  /** Throws IpamError. */
  static fromState(state: SpaceState, defaults: readonly DefaultPool[] = DEFAULT_POOLS): AddressSpace {
    const space = new AddressSpace(defaults)
    for (const [name, pool] of Object.entries(state.pools)) space.insert(name, AddressPool.fromState(pool))
    space.next = state.next % Math.max(1, space.defaults.length)
    return space
  }

  private checkName(name: string): void {
    if (this.pools.has(name)) throw new IpamError('IPAM_NAME', 'pool', name, 'exists already')
  }
}

function cut({ base, length }: DefaultPool): Ipv4Prefix[] {
  const prefix = parseCidr(base)
  if (prefix.family !== 4 || length < prefix.length || length > 32) {
    throw new IpamError('IPAM_INVALID', 'default pool', `${base} size ${length}`, 'must be an IPv4 prefix and a longer length, at most 32')
  }
  return Array.from({ length: 2 ** (length - prefix.length) }, (_, index) => prefixOf(prefix.network + index * 2 ** (32 - length), length))
}
