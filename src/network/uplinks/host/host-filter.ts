/**
 * Our table of nf_tables: the host's address for what leaves, and ways in for published ports.
 *
 *   table inet netloom {
 *     map exact4 { ipv4 . protocol . port : ipv4 . port }     published on one address; exact6 alike
 *     map any4   { protocol . port : ipv4 . port }            published on all of a family; any6 alike
 *     chain prerouting  nat, from elsewhere     to an address of this machine: dnat by exact4, any4, exact6, any6
 *     chain output      nat, from this machine  the same, but not to loopback, which sockets serve
 *     chain postrouting nat                     from the router's address, not to netloom0: masquerade
 *     chain forward     filter                  drops what would leave by docker0, br-... (there was no way to netloom0), and what comes
 *   }                                           from the router's address and has no state that could be masqueraded; and, of a family
 *                                               whose forwarding we switched on, what neither comes from nor goes to netloom0, as before
 *                                               (Docker sets the policy of FORWARD to DROP then), but for what the underlay of VXLAN
 *                                               sends by its own TAP
 *
 * The DNAT of what comes from outside is the kernel's: what arrives for an address of the host goes to the host's own sockets unless the
 * destination changes before it is routed. It then reaches our router as a packet to a published target, from the client's address.
 */
import { addressBytes } from '../../../io/netlink/address-bytes.ts'
import { type MapElement, NftablesBatch } from '../../../io/netlink/nftables/batch.ts'
import type { DataTypeName } from '../../../io/netlink/nftables/data-type.ts'
import {
  type Expression,
  lookUp,
  masquerade,
  meta,
  payload,
  Register,
  translate,
  verdict
} from '../../../io/netlink/nftables/expressions.ts'
import {
  address,
  addressFamily,
  inState,
  interfaceName,
  leavingByGroup,
  portBytes,
  toThisMachine
} from '../../../io/netlink/nftables/match.ts'
import { Family, Priority } from '../../../io/netlink/nftables/nf-tables.ts'
import { addressFamily as familyOf } from '../../../wire/address.ts'
import type { UplinkPort } from '../../uplink.ts'
import { FILTER_TABLE, LINK_NAME, STATION_GROUP, UNDERLAY_TAP } from './host-settings.ts'

const PROTOCOL_NUMBER = { tcp: 6, udp: 17 } as const
const { word } = Register
const table = FILTER_TABLE

/** What is in the table beside what is always there. */
export interface FilterContents {
  /** See `dropOtherForwarding`. */
  readonly closedFamilies: Iterable<4 | 6>
  readonly ports: readonly UplinkPort[]
}

/** The whole of it, at once. `routerAddress`: what the router's masquerade gives flows. */
export function filterTable(
  routerAddress: string,
  { closedFamilies, ports }: FilterContents = { closedFamilies: [], ports: [] }
): NftablesBatch {
  const batch = new NftablesBatch().addTable(table)
  for (const family of [4, 6] as const) {
    const type: DataTypeName = family === 4 ? 'ipv4' : 'ipv6'
    batch.addMap(table, `exact${family}`, { key: [type, 'protocol', 'port'], value: [type, 'port'] })
    batch.addMap(table, `any${family}`, { key: ['protocol', 'port'], value: [type, 'port'] })
  }
  batch.addChain(table, 'prerouting', { type: 'nat', hook: 'prerouting', priority: Priority.destinationNat })
  batch.addChain(table, 'output', { type: 'nat', hook: 'output', priority: Priority.destinationNat })
  for (const family of [4, 6] as const) {
    for (const translated of [exact(family), any(family)]) {
      batch.addRule(table, 'prerouting', toThisMachine(), addressFamily(family), translated)
      const loopback = family === 4 ? '127.0.0.0/8' : '::1'
      batch.addRule(table, 'output', toThisMachine(), address('daddr', '!=', loopback), translated)
    }
  }
  batch.addChain(table, 'postrouting', { type: 'nat', hook: 'postrouting', priority: Priority.sourceNat })
  batch.addRule(table, 'postrouting', address('saddr', '==', routerAddress), interfaceName('oifname', '!=', LINK_NAME), [masquerade()])
  batch.addChain(table, 'forward', { type: 'filter', hook: 'forward', priority: Priority.filter })
  // Rules and routes that lead to netloom0 may have been taken away, or be late: then nothing passes, rather than past our filter.
  batch.addRule(table, 'forward', leavingByGroup(STATION_GROUP), [verdict('drop')])
  // The kernel translates no packet of such a state, and a link-local address must not leave its link (RFC 3927, section 2.7).
  batch.addRule(table, 'forward', address('saddr', '==', routerAddress), inState('invalid'), [verdict('drop')])
  batch.addRule(table, 'forward', interfaceName('iifname', '==', LINK_NAME), [verdict('accept')])
  batch.addRule(table, 'forward', interfaceName('oifname', '==', LINK_NAME), [verdict('accept')])
  batch.addRule(table, 'forward', interfaceName('iifname', '==', UNDERLAY_TAP), [verdict('accept')])
  for (const family of closedFamilies) dropOtherForwarding(family, batch)
  return addPorts(ports, batch)
}

/** Before forwarding of a family is switched on for us: nothing but ours is forwarded, as before. */
export function dropOtherForwarding(family: 4 | 6, batch = new NftablesBatch()): NftablesBatch {
  return batch.addRule(table, 'forward', addressFamily(family), [verdict('drop')])
}

export function addPorts(ports: readonly UplinkPort[], batch = new NftablesBatch()): NftablesBatch {
  for (const [map, element] of elementsOf(ports)) batch.addElements(table, map, [element])
  return batch
}

export function deletePorts(ports: readonly UplinkPort[]): NftablesBatch {
  const batch = new NftablesBatch()
  for (const [map, { key }] of elementsOf(ports)) batch.deleteElements(table, map, [{ key }])
  return batch
}

/** With the map that each is in; those that sockets serve are in none. */
function* elementsOf(ports: readonly UplinkPort[]): Generator<[map: string, element: MapElement]> {
  for (const port of ports) {
    const map = mapOf(port)
    if (map !== null) yield [map, elementOf(port)]
  }
}

/** null: packets never carry this address, or it cannot become the target's: a socket serves the port. */
function mapOf({ address: published, target }: UplinkPort): string | null {
  const family = familyOf(target)
  if (familyOf(published) !== family) return null
  if (published === '0.0.0.0' || published === '::') return `any${family}`
  if (published === '::1' || published.startsWith('127.')) return null
  return `exact${family}`
}

function elementOf(port: UplinkPort): MapElement {
  const isExact = mapOf(port)?.startsWith('exact') === true
  const key = [Uint8Array.of(PROTOCOL_NUMBER[port.protocol]), portBytes(port.port)]
  return {
    key: isExact ? [addressBytes(port.address).bytes, ...key] : key,
    value: [addressBytes(port.target).bytes, portBytes(port.targetPort)]
  }
}

/** By destination address, protocol and port. */
function exact(family: 4 | 6): Expression[] {
  // An IPv6 address takes four words.
  const [offset, length, words] = family === 4 ? [16, 4, 1] : [24, 16, 4]
  return [
    payload('network', offset, length, word(0)),
    meta('l4proto', word(words)),
    payload('transport', 2, 2, word(words + 1)),
    lookUp(`exact${family}`, word(0), word(0)),
    translate('dnat', familyNumber(family), word(0), word(words))
  ]
}

/** By protocol and port. */
function any(family: 4 | 6): Expression[] {
  return [
    meta('l4proto', word(0)),
    payload('transport', 2, 2, word(1)),
    lookUp(`any${family}`, word(0), word(0)),
    translate('dnat', familyNumber(family), word(0), word(family === 4 ? 1 : 4))
  ]
}

function familyNumber(family: 4 | 6): number {
  return family === 4 ? Family.ip : Family.ip6
}
