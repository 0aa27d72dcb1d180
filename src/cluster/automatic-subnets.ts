/**
 * Subnets for networks that name none: 10.0.0.0/24, 10.0.1.0/24 and so on, as a Docker daemon with a cluster store gives them.
 *
 * Each daemon goes on from the last one that it gave itself, and skips those that anybody has. A subnet that was just freed, which
 * others may still hold routes to, is thus the last to come back.
 */

import { readPrefix } from '../ipam/address-pool.ts'
import { IpamError } from '../ipam/ipam-error.ts'
import { formatPrefix, type Ipv4Prefix, parseCidr, prefixesOverlap, prefixOf } from '../wire/cidr.ts'

export class AutomaticSubnets {
  private readonly base: Ipv4Prefix
  private readonly length: number
  private position = 0

  /** `base` is cut into prefixes of `length`. */
  constructor(base = '10.0.0.0/8', length = 24) {
    this.base = parseCidr(base) as Ipv4Prefix
    this.length = length
  }

  /** The next one that shares no address with `taken`. Throws IpamError IPAM_NO_POOL. */
  next(taken: readonly string[]): string {
    const others = taken.map(parseCidr)
    const count = 2 ** (this.length - this.base.length)
    for (let step = 0; step < count; step++) {
      const index = (this.position + step) % count
      const candidate = prefixOf(this.base.network + index * 2 ** (32 - this.length), this.length)
      if (others.some((other) => other.length > 0 && prefixesOverlap(other, candidate))) continue
      this.position = index + 1
      return formatPrefix(candidate)
    }
    throw new IpamError(
      'IPAM_NO_POOL',
      'subnet',
      '',
      `all ${count} default subnets of ${formatPrefix(this.base)} are in use; name one, or remove a network`
    )
  }

  /** Takes a place in the round back when the subnet was not given after all. */
  get place(): number {
    return this.position
  }

  set place(position: number) {
    this.position = position
  }
}

/** Throws IpamError when `subnet` shares addresses with one of `taken`. */
export function checkOverlap(subnet: string, taken: readonly string[]): void {
  const prefix = readPrefix('subnet', subnet)
  const other = taken.find((each) => prefixesOverlap(parseCidr(each), prefix))
  if (other !== undefined) throw new IpamError('IPAM_OVERLAP', 'subnet', subnet, `shares addresses with ${other} in the cluster`)
}
