/** Underlays, hosts, routers and stations against each other. */
import { formatPrefix, parseAddress, prefixContains } from '../wire/cidr.ts'
import type { LabFile } from './lab-file.ts'
import type { Place, Underlay } from './surroundings.ts'
import type { Value } from './value.ts'

type Parts = Pick<LabFile, 'underlays' | 'hosts' | 'routers' | 'services'>

/** Throws LabFileError. */
export function checkSurroundings({ underlays, hosts, routers, services }: Parts): void {
  const byName = new Map(underlays.map((underlay) => [underlay.name, underlay]))
  for (const underlay of underlays) checkVlan(underlay, byName, underlays)
  const places: [what: string, place: Pick<Place, 'underlay' | 'addresses' | 'mac'>][] = [
    ...hosts.flatMap(({ name, eth0 }) => (eth0 === null ? [] : [[`the host '${name}'`, eth0] as [string, Place]])),
    ...routers.flatMap(({ name, interfaces }) => interfaces.map((place) => [`the router '${name}'`, place] as [string, Place])),
    ...services.flatMap(({ name, virtual }) =>
      virtual?.station == null
        ? []
        : [[`the service '${name}'`, virtual.station] as [string, Pick<Place, 'underlay' | 'addresses' | 'mac'>]]
    )
  ]
  checkPlaces(places, byName)
  const names = new Set(hosts.map(({ name }) => name))
  for (const { name, at } of [...routers, ...services.filter(({ virtual }) => virtual?.station != null)]) {
    // `NAME/eth0` is a link of both.
    if (names.has(name)) at.fail(`a host is called '${name}' already`)
  }
  for (const { interfaces, routes, at } of routers) checkRoutes(interfaces, routes, at)
  for (const { eth0 } of hosts) {
    if (eth0?.gateway !== undefined && !isOnLink(eth0, eth0.gateway))
      eth0.addresses[0]!.at.fail(`the gateway ${eth0.gateway} is not in the subnet of this address`)
  }
}

function checkVlan({ vlan, at }: Underlay, byName: ReadonlyMap<string, Underlay>, all: readonly Underlay[]): void {
  if (vlan === null) return
  const trunk = find(vlan.trunk, byName)
  if (trunk.vlan !== null) vlan.trunk.fail(`'${trunk.name}' is a VLAN itself`)
  const twin = all.find(
    (other) => other.at !== at && other.vlan !== null && other.vlan.trunk.text() === trunk.name && other.vlan.id === vlan.id
  )
  if (twin !== undefined) at.fail(`'${twin.name}' is the VLAN ${vlan.id} of '${trunk.name}' too`)
}

function checkPlaces(
  places: readonly [string, Pick<Place, 'underlay' | 'addresses' | 'mac'>][],
  byName: ReadonlyMap<string, Underlay>
): void {
  const taken = new Map<string, string>()
  for (const [what, { underlay: reference, addresses, mac }] of places) {
    const underlay = find(reference, byName)
    const station = `${underlay.name} ${mac}`
    const twin = mac === undefined ? undefined : taken.get(station)
    if (twin !== undefined) reference.fail(`${twin} has the MAC ${mac} on the underlay '${underlay.name}' already`)
    taken.set(station, what)
    for (const { prefix, text, at } of addresses) {
      const subnet = prefix.family === 4 ? underlay.subnet : underlay.subnet6
      if (subnet !== undefined && formatPrefix(subnet) !== formatPrefix(prefix)) {
        at.fail(`${text} is not in the subnet ${formatPrefix(subnet)} of the underlay '${underlay.name}'`)
      }
      const key = `${underlay.name} ${text.split('/')[0]}`
      const other = taken.get(key)
      if (other !== undefined) at.fail(`${other} has ${text.split('/')[0]} on the underlay '${underlay.name}' already`)
      taken.set(key, what)
    }
  }
}

function find(reference: Value, byName: ReadonlyMap<string, Underlay>): Underlay {
  const name = reference.word()
  return byName.get(name) ?? reference.fail(`there is no underlay '${name}'; there is ${[...byName.keys()].join(', ') || 'none'}`)
}

function checkRoutes(interfaces: readonly Place[], routes: Readonly<Record<string, string>>, at: Value): void {
  for (const [prefix, via] of Object.entries(routes)) {
    if (!interfaces.some((place) => isOnLink(place, via))) at.fail(`the next hop ${via} of ${prefix} is on none of its underlays`)
  }
}

function isOnLink({ addresses }: Pick<Place, 'addresses'>, address: string): boolean {
  return addresses.some(({ prefix }) => prefixContains(prefix, parseAddress(address)))
}
