/**
 * One subnet and who has which of its addresses.
 *
 * Order and refusals are those of a Docker daemon (libnetwork's default IPAM driver): see README.md.
 */
import {
  formatAddress,
  formatPrefix,
  type Prefix,
  parseAddress,
  parseCidr,
  prefixContains,
  prefixIncludes,
  prefixLast
} from '../wire/cidr.ts'
import { IntervalSet } from './interval-set.ts'
import { IpamError } from './ipam-error.ts'

export interface PoolOptions {
  /** `172.25.0.0/16` or `2001:db8::/64`; host bits are allowed and ignored. */
  readonly subnet: string
  /** Where automatic addresses come from; a prefix inside the subnet. Default: the subnet. */
  readonly ipRange?: string
  /** Default: the lowest free address. null: the subnet has none and keeps the address for an endpoint. */
  readonly gateway?: string | null
  /** Addresses by name that no endpoint gets. */
  readonly auxiliary?: Readonly<Record<string, string>>
}

/** A pool as plain data, for a store. */
export interface PoolState {
  readonly subnet: string
  readonly ipRange: string | null
  readonly gateway: string | null
  readonly auxiliary: Readonly<Record<string, string>>
  /** Runs of taken addresses, `first-last`, what nobody may have included. */
  readonly taken: readonly string[]
}

export class AddressPool {
  readonly prefix: Prefix
  /** As text, with host bits cleared. */
  readonly subnet: string
  readonly ipRange: string | null
  /** null when the pool was made without. */
  readonly gateway: string | null
  readonly auxiliary: Readonly<Record<string, string>>
  private readonly range: Prefix
  private readonly taken = new IntervalSet()
  /** What `release` must not give back: network, broadcast, gateway, auxiliary. */
  private readonly reserved = new Set<bigint>()

  /** Throws IpamError. */
  constructor(options: PoolOptions) {
    this.prefix = readPrefix('subnet', options.subnet)
    this.subnet = formatPrefix(this.prefix)
    this.range = options.ipRange === undefined ? this.prefix : readPrefix('ip-range', options.ipRange)
    this.ipRange = options.ipRange === undefined ? null : formatPrefix(this.range)
    if (!prefixIncludes(this.prefix, this.range)) {
      throw new IpamError('IPAM_OUTSIDE', 'ip-range', options.ipRange!, `is not inside the subnet ${this.subnet}`)
    }
    this.reserve(BigInt(this.prefix.network))
    if (this.prefix.family === 4) this.reserve(BigInt(prefixLast(this.prefix)))
    this.gateway = options.gateway === null ? null : this.take('gateway', options.gateway)
    if (this.gateway !== null) this.reserve(BigInt(parseAddress(this.gateway)))
    this.auxiliary = { ...options.auxiliary }
    for (const [name, address] of Object.entries(this.auxiliary)) {
      this.reserve(BigInt(parseAddress(this.take(`aux-address ${name}`, address))))
    }
  }

  /** 4 or 6. */
  get family(): 4 | 6 {
    return this.prefix.family
  }

  /** How many addresses are taken, what nobody may have included. */
  get used(): bigint {
    return this.taken.count
  }

  /** Takes `preferred`, anywhere in the subnet, or else the lowest free address of the range. Throws IpamError. */
  requestAddress(preferred?: string): string {
    return this.take('ip', preferred)
  }

  /** Gives an address back; false when it was not given out (releasing twice does no harm). Throws IpamError on bad text. */
  release(address: string): boolean {
    const value = BigInt(this.read('ip', address))
    return !this.reserved.has(value) && this.taken.delete(value)
  }

  /** Whether somebody has the address, or nobody may. */
  isTaken(address: string): boolean {
    return this.taken.has(BigInt(this.read('ip', address)))
  }

  toState(): PoolState {
    const { subnet, ipRange, gateway, auxiliary } = this
    return {
      subnet,
      ipRange,
      gateway,
      auxiliary,
      taken: Array.from(this.taken, ({ first, last }) => `${this.text(first)}-${this.text(last)}`)
    }
  }

  /** Throws IpamError where the state is not one that `toState` made. */
  static fromState(state: PoolState): AddressPool {
    const { subnet, ipRange, gateway, auxiliary } = state
    const pool = new AddressPool({ subnet, gateway, auxiliary, ...(ipRange === null ? {} : { ipRange }) })
    for (const run of state.taken) {
      const [first, last] = run.split('-').map((address) => BigInt(pool.read('taken', address)))
      if (last === undefined || last < first) throw new IpamError('IPAM_INVALID', 'taken', run, 'is not a run first-last')
      pool.taken.addRun(first, last)
    }
    return pool
  }

  private take(field: string, preferred: string | undefined): string {
    if (preferred === undefined || preferred === '') {
      const free = this.taken.lowestFree(BigInt(this.range.network), BigInt(prefixLast(this.range)))
      if (free === null) {
        throw new IpamError('IPAM_EXHAUSTED', field, '', `no free address is left in ${this.ipRange ?? this.subnet}`)
      }
      this.taken.add(free)
      return this.text(free)
    }
    const value = this.read(field, preferred)
    if (!this.taken.add(BigInt(value))) throw new IpamError('IPAM_IN_USE', field, preferred, `is already in use in ${this.subnet}`)
    return formatAddress(value)
  }

  private reserve(value: bigint): void {
    this.taken.add(value)
    this.reserved.add(value)
  }

  /** An address of this subnet. */
  private read(field: string, text: string): number | bigint {
    let address: number | bigint
    try {
      address = parseAddress(text)
    } catch {
      throw new IpamError('IPAM_INVALID', field, text, 'is not an IP address')
    }
    if (!prefixContains(this.prefix, address)) {
      throw new IpamError('IPAM_OUTSIDE', field, text, `does not belong to the subnet ${this.subnet}`)
    }
    return address
  }

  private text(value: bigint): string {
    return formatAddress(this.prefix.family === 4 ? Number(value) : value)
  }
}

/** Throws IpamError. */
export function readPrefix(field: string, text: string): Prefix {
  try {
    return parseCidr(text)
  } catch {
    throw new IpamError('IPAM_INVALID', field, text, 'is not a prefix such as 172.25.0.0/16 or 2001:db8::/64')
  }
}
