/** A network of a lab file, as Docker's API is asked for it. */
import type { IpamPoolConfig, NetworkCreateRequest } from '../api/network-json.ts'
import { formatPrefix, type Prefix, prefixIncludes } from '../wire/cidr.ts'
import { isInside, readAddress, readAnyAddress, readSubnet } from './addresses.ts'
import { checkDriverOptions } from './driver-options.ts'
import { readLink } from './link.ts'
import { readTexts } from './service-networks.ts'
import type { Value } from './value.ts'

/** The key under which services name it. */
export interface Network {
  readonly key: string
  readonly at: Value
  /** As Docker calls it. */
  readonly name: string
  readonly driver: string
  /** It is there before the lab, and stays. */
  readonly isExternal: boolean
  /** Where it is made; undefined: where services use it. */
  readonly hosts: readonly Value[] | undefined
  /** `-o parent=eth0.30`: `eth0.30`. */
  readonly parent: { readonly name: string; readonly at: Value } | undefined
  readonly subnets: readonly { readonly prefix: Prefix; readonly at: Value }[]
  readonly request: NetworkCreateRequest
}

const MEMBERS = [
  'name',
  'driver',
  'driver_opts',
  'ipam',
  'internal',
  'attachable',
  'enable_ipv6',
  'external',
  'labels',
  'x-netloom'
] as const
const DRIVERS = ['bridge', 'overlay', 'macvlan', 'ipvlan'] as const
/** Every host has one network of these, and can have no other. */
const SINGLE_DRIVERS = ['host', 'null', 'none']
const WITH_PARENT = ['macvlan', 'ipvlan']
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]*$/

/**
 * `at` may be null in the file: `networks: { front: }`.
 * @param directory of the file
 */
export function readNetwork(key: string, at: Value, directory: string): Network {
  if (!NAME.test(key)) at.fail(`'${key}' is no name of a network: letters, digits, '.', '_' and '-'`)
  const given = at.isNull ? {} : at.members(MEMBERS)
  const name = given.name?.word() ?? key
  const ours = given['x-netloom']?.members(['hosts', 'link'])
  const hosts = ours?.hosts?.list()
  if (given.external !== undefined && readExternal(given.external)) {
    const other = Object.entries(given).find(([member]) => !['name', 'external', 'x-netloom'].includes(member))
    other?.[1]?.fail('an external network is there already: it takes a name and nothing else')
    ours?.link?.fail('an external network is there already: `netloom link set` shapes its links')
    return { key, at, name, driver: '', isExternal: true, hosts, parent: undefined, subnets: [], request: {} }
  }
  const driver = given.driver === undefined ? 'bridge' : readDriver(given.driver)
  const link = ours?.link === undefined ? {} : readLink(ours.link, directory).options
  const options = { ...(given.driver_opts === undefined ? {} : readTexts(given.driver_opts)), ...link }
  const pools = readPools(given.ipam)
  if (given.driver_opts !== undefined)
    checkDriverOptions(given.driver_opts, driver, options, pools.filter(({ prefix }) => prefix.family === 4).length)
  if (hosts?.length === 0) ours!.hosts!.fail('there is no host: leave this out, or name one')
  return {
    key,
    at,
    name,
    driver,
    isExternal: false,
    hosts,
    parent: readParent(given.driver_opts, options, driver),
    subnets: pools.map(({ prefix, at: where }) => ({ prefix, at: where })),
    request: {
      Name: name,
      CheckDuplicate: true,
      Driver: driver,
      Options: options,
      Labels: given.labels === undefined ? {} : readTexts(given.labels),
      Internal: given.internal?.boolean() ?? false,
      Attachable: given.attachable?.boolean() ?? driver === 'overlay',
      EnableIPv6: given.enable_ipv6?.boolean() ?? pools.some(({ prefix }) => prefix.family === 6),
      IPAM: { Driver: readIpamDriver(given.ipam), Options: {}, Config: pools.map(({ config }) => config) }
    }
  }
}

function readDriver(value: Value): (typeof DRIVERS)[number] {
  const text = value.text()
  if (!SINGLE_DRIVERS.includes(text)) return value.oneOf(DRIVERS)
  return value.fail(
    `every host has one network of the driver ${text}: write network_mode: ${text === 'host' ? 'host' : 'none'} in the service`
  )
}

/** `external: true`, or the old form with a name. */
function readExternal(value: Value): boolean {
  return value.isMap ? value.fail("write external: true, and the network's name as name:") : value.boolean()
}

function readIpamDriver(ipam: Value | undefined): string {
  return ipam?.members(['driver', 'config', 'options']).driver?.oneOf(['default']) ?? 'default'
}

interface Pool {
  readonly prefix: Prefix
  readonly at: Value
  readonly config: IpamPoolConfig
}

function readPools(ipam: Value | undefined): Pool[] {
  const { config } = ipam?.members(['driver', 'config', 'options']) ?? {}
  return (config?.list() ?? []).map((item) => {
    const { subnet, gateway, ip_range: range, aux_addresses: auxiliary } = item.members(['subnet', 'gateway', 'ip_range', 'aux_addresses'])
    const prefix = readSubnet(subnet ?? item.fail('a subnet is missing'))
    const inside = (value: Value, address: string): string =>
      isInside(prefix, address) ? address : value.fail(`${address} is not in the subnet ${formatPrefix(prefix)}`)
    const part = range === undefined ? undefined : readSubnet(range)
    if (part !== undefined && !prefixIncludes(prefix, part))
      range!.fail(`${formatPrefix(part)} is not in the subnet ${formatPrefix(prefix)}`)
    const names = [...(auxiliary?.entries() ?? [])].map(([name, value]) => [name, inside(value, readAnyAddress(value))])
    return {
      prefix,
      at: subnet!,
      config: {
        Subnet: formatPrefix(prefix),
        ...(gateway !== undefined && { Gateway: inside(gateway, readAddress(gateway, prefix.family)) }),
        ...(part !== undefined && { IPRange: formatPrefix(part) }),
        ...(names.length > 0 && { AuxiliaryAddresses: Object.fromEntries(names) as Record<string, string> })
      }
    }
  })
}

function readParent(at: Value | undefined, options: Record<string, string>, driver: string): Network['parent'] {
  const name = options['parent']
  if (at === undefined || name === undefined) return undefined
  const where = at.isMap ? at.entries().get('parent')! : at
  if (!WITH_PARENT.includes(driver)) where.fail(`a ${driver} network has no parent: that is for ${WITH_PARENT.join(' and ')}`)
  const vlan = /\.(\d+)$/.exec(name)?.[1] ?? '1'
  if (Number(vlan) < 1 || Number(vlan) > 4094) where.fail(`'${name}': a VLAN is a number from 1 to 4094`)
  return { name, at: where }
}
