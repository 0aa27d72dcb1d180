/** `x-netloom` of a lab file: hosts, and what is between them. */
import { formatPrefix, type Prefix, parseCidr } from '../wire/cidr.ts'
import { isInside, readAddress, readAnyAddress, readMac, readStationAddress, readSubnet, type StationAddress } from './addresses.ts'
import { type LinkSetting, readLink } from './link.ts'
import { joinNat, type NatSetting, readNat } from './nat.ts'
import type { Value } from './value.ts'

/** A LAN, or a VLAN of one. */
export interface Underlay {
  readonly name: string
  readonly at: Value
  readonly subnet: Prefix | undefined
  readonly subnet6: Prefix | undefined
  /** The default next hop of hosts on it. */
  readonly gateway: string | undefined
  readonly gateway6: string | undefined
  readonly mtu: number
  /** Its frames go by another LAN, with this tag. */
  readonly vlan: { readonly trunk: Value; readonly id: number } | null
  /** Of each cable that is plugged in there and says nothing else. */
  readonly link: LinkSetting | undefined
}

/** A station's place: addresses with prefix length. */
export interface Place {
  readonly underlay: Value
  readonly addresses: readonly StationAddress[]
  readonly mac: string | undefined
  /** Of its cable. */
  readonly link: LinkSetting | undefined
}

export interface Host {
  readonly name: string
  readonly at: Value
  /** null: the machine's own way out, which only a lab of one host can have. */
  readonly eth0: (Place & { readonly gateway: string | undefined; readonly gateway6: string | undefined }) | null
  readonly dns: readonly string[]
  /** How its gateway translates: its own words before those of the whole lab. */
  readonly nat: NatSetting
}

export interface LabRouter {
  readonly name: string
  readonly at: Value
  readonly interfaces: readonly Place[]
  /** CIDR -> next hop. */
  readonly routes: Readonly<Record<string, string>>
}

export interface Surroundings {
  /** What the lab is for, in the words of its author; captures tell it. '' without. */
  readonly description: string
  readonly underlays: readonly Underlay[]
  readonly hosts: readonly Host[]
  readonly routers: readonly LabRouter[]
  /** As `netloom daemon --uplink`; undefined: the daemon's default. */
  readonly uplink: Value | undefined
}

/** Beginnings of names of elements that are no host's. */
const RESERVED = ['lan', 'link', 'router', 'station']
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,30}$/

/** What a file without `x-netloom` has: one host with the machine's own way out. */
export const DEFAULT_HOST = 'host1'

/** @param directory of the file */
export function readSurroundings(value: Value | undefined, file: Value, directory: string): Surroundings {
  const members = ['description', 'underlays', 'hosts', 'routers', 'uplink', 'nat'] as const
  const { description, underlays, hosts, routers, uplink, nat: ofAll } = value?.members(members) ?? {}
  const nat = ofAll === undefined ? {} : readNat(ofAll)
  const read = {
    description: description?.text() ?? '',
    underlays: named(underlays, 'an underlay').map(([name, at]) => readUnderlay(name, at, directory)),
    hosts: named(hosts, 'a host').map(([name, at]) => readHost(name, at, nat, directory)),
    routers: named(routers, 'a router').map(([name, at]) => readRouter(name, at, directory)),
    uplink
  }
  if (read.hosts.length === 0) return { ...read, hosts: [{ name: DEFAULT_HOST, at: value ?? file, eth0: null, dns: [], nat }] }
  const cut = read.hosts.find(({ eth0 }) => eth0 === null)
  if (cut !== undefined && read.hosts.length > 1) cut.at.fail('eth0 is missing: one of several hosts is somewhere on an underlay')
  const emulated = read.hosts.find(({ eth0 }) => eth0 !== null)
  if (emulated !== undefined) uplink?.fail('hosts with an eth0 have no way out of the lab: this is for a lab of one host without')
  return read
}

function named(value: Value | undefined, what: string): [name: string, at: Value][] {
  return [...(value?.entries() ?? [])].map(([name, at]) => {
    if (!NAME.test(name)) at.fail(`'${name}' is no name of ${what}: up to 31 letters, digits, '_' and '-'`)
    return [name, at]
  })
}

function readUnderlay(name: string, at: Value, directory: string): Underlay {
  const members = ['subnet', 'subnet6', 'gateway', 'gateway6', 'mtu', 'trunk', 'vlan', 'link'] as const
  const { subnet, subnet6, gateway, gateway6, mtu, trunk, vlan, link } = at.isNull ? {} : at.members(members)
  const prefix = subnet === undefined ? undefined : ofFamily(subnet, 4)
  const prefix6 = subnet6 === undefined ? undefined : ofFamily(subnet6, 6)
  if (trunk !== undefined && vlan === undefined) trunk.fail('which VLAN of it? add vlan: 30')
  if (vlan !== undefined && trunk === undefined) vlan.fail('of which underlay? add trunk: NAME')
  return {
    name,
    at,
    subnet: prefix,
    subnet6: prefix6,
    gateway: gateway === undefined ? undefined : inside(prefix, gateway, readAddress(gateway, 4)),
    gateway6: gateway6 === undefined ? undefined : inside(prefix6, gateway6, readAddress(gateway6, 6)),
    mtu: mtu?.integer(576, 65_535) ?? 1500,
    vlan: trunk === undefined ? null : { trunk, id: vlan!.integer(1, 4094) },
    link: link && readLink(link, directory)
  }
}

function readHost(name: string, at: Value, labNat: NatSetting, directory: string): Host {
  if (RESERVED.includes(name)) at.fail(`no host can be called ${RESERVED.join(', ')}: elements of the lab are`)
  const { eth0, dns, nat } = at.isNull ? {} : at.members(['eth0', 'dns', 'nat'])
  const given = eth0?.members(['underlay', 'address', 'address6', 'gateway', 'gateway6', 'mac', 'link'])
  return {
    name,
    at,
    dns: dns?.list().map(readAnyAddress) ?? [],
    nat: nat === undefined ? labNat : joinNat(labNat, readNat(nat)),
    eth0:
      given === undefined
        ? null
        : {
            ...readPlace(eth0!, given, directory),
            gateway: given.gateway === undefined ? undefined : readAddress(given.gateway, 4),
            gateway6: given.gateway6 === undefined ? undefined : readAddress(given.gateway6, 6)
          }
  }
}

function readRouter(name: string, at: Value, directory: string): LabRouter {
  const { interfaces, routes } = at.members(['interfaces', 'routes'])
  const places = interfaces
    ?.list()
    .map((item) => readPlace(item, item.members(['underlay', 'address', 'address6', 'mac', 'link']), directory))
  if (places === undefined || places.length === 0) at.fail('interfaces are missing: - { underlay: NAME, address: 172.16.0.254/24 }')
  const ways = [...(routes?.entries() ?? [])].map(([prefix, value]) => {
    value.check(() => parseCidr(prefix))
    return [prefix, readAnyAddress(value)]
  })
  return { name, at, interfaces: places!, routes: Object.fromEntries(ways) as Record<string, string> }
}

function readPlace(
  at: Value,
  given: Partial<Record<'underlay' | 'address' | 'address6' | 'mac' | 'link', Value>>,
  directory: string
): Place {
  const { underlay, address, address6, mac, link } = given
  return {
    underlay: underlay ?? at.fail('an underlay is missing: the LAN that it is plugged into'),
    addresses: [
      readStationAddress(address ?? at.fail('an address is missing: address: 172.16.0.1/24'), 4),
      ...(address6 === undefined ? [] : [readStationAddress(address6, 6)])
    ],
    mac: mac === undefined ? undefined : readMac(mac),
    link: link && readLink(link, directory)
  }
}

function ofFamily(value: Value, family: 4 | 6): Prefix {
  const prefix = readSubnet(value)
  return prefix.family === family ? prefix : value.fail(`'${value.text()}' is not IPv${family}`)
}

function inside(prefix: Prefix | undefined, value: Value, address: string): string {
  if (prefix === undefined) return value.fail(`${address} is in no subnet: the underlay has none of IPv${address.includes(':') ? 6 : 4}`)
  return isInside(prefix, address) ? address : value.fail(`${address} is not in the subnet ${formatPrefix(prefix)}`)
}
