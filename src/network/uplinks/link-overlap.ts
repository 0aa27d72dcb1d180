import { parseCidr, prefixesOverlap } from '../../wire/cidr.ts'
import { NetworkError } from '../network-error.ts'
import type { UplinkNetwork } from '../uplink.ts'

/**
 * Throws NetworkError `conflict` for a network among whose addresses are those of the link to the way out, CIDR: the router would look
 * for its next hop among containers, and no network would have a way out any more.
 */
export function refuseOverlap(
  { name, subnet, subnet6 }: Pick<UplinkNetwork, 'name' | 'subnet' | 'subnet6'>,
  link: readonly string[]
): void {
  for (const wanted of [subnet, subnet6]) {
    const taken = wanted === null ? undefined : link.find((prefix) => prefixesOverlap(parseCidr(wanted), parseCidr(prefix)))
    if (taken === undefined) continue
    const problem = `network ${name} cannot have the subnet ${wanted}: it overlaps ${taken}, by which everything leaves`
    throw new NetworkError('conflict', problem, { fix: 'choose another subnet' })
  }
}
