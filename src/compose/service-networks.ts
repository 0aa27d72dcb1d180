/** `networks` and `network_mode` of a service. */
import type { EndpointConfig } from '../api/network-json.ts'
import { readAddress, readAnyAddress, readMac } from './addresses.ts'
import { readLink } from './link.ts'
import type { Value } from './value.ts'

/** A network that a service is on. */
export interface ServiceNetwork {
  readonly name: string
  readonly at: Value
  readonly config: EndpointConfig
  /** Where the addresses stand that were asked for. */
  readonly address: Value | undefined
  readonly address6: Value | undefined
  readonly mac: Value | undefined
}

const MEMBERS = [
  'aliases',
  'ipv4_address',
  'ipv6_address',
  'link_local_ips',
  'mac_address',
  'driver_opts',
  'priority',
  'x-netloom'
] as const

/** Compose puts the service on the default network then, which is hardly what such a line means. */
const NO_NETWORK = 'there is no network: write network_mode: none, or leave networks out for the default one'

/**
 * The one with the highest priority first, which the container is started on; then in the order of the file.
 * Throws LabFileError, also where there is none.
 * @param directory of the file
 */
export function readServiceNetworks(value: Value, directory: string): ServiceNetwork[] {
  if (value.isList) {
    const names = value.list().map((item) => ({ name: item.word(), at: item }))
    if (names.length === 0) return value.fail(NO_NETWORK)
    for (const [index, { name, at }] of names.entries()) {
      if (names.findIndex((other) => other.name === name) < index) at.fail(`the network '${name}' is listed twice`)
    }
    return names.map(({ name, at }) => ({ name, at, config: {}, address: undefined, address6: undefined, mac: undefined }))
  }
  const networks = [...value.entries()].map(([name, at]) => readOne(name, at, directory))
  if (networks.length === 0) return value.fail(NO_NETWORK)
  return networks.sort((a, b) => b.priority - a.priority)
}

function readOne(name: string, at: Value, directory: string): ServiceNetwork & { priority: number } {
  if (at.isNull) return { name, at, config: {}, address: undefined, address6: undefined, mac: undefined, priority: 0 }
  const given = at.members(MEMBERS)
  const { ipv4_address: address, ipv6_address: address6, mac_address: mac } = given
  const ours = given['x-netloom']?.members(['link'])
  const link = ours?.link && readLink(ours.link, directory).options
  const linkLocal = given.link_local_ips?.list().map(readAnyAddress)
  const ipam = {
    ...(address !== undefined && { IPv4Address: readAddress(address, 4) }),
    ...(address6 !== undefined && { IPv6Address: readAddress(address6, 6) }),
    ...(linkLocal !== undefined && { LinkLocalIPs: linkLocal })
  }
  const config: EndpointConfig = {
    ...(Object.keys(ipam).length > 0 && { IPAMConfig: ipam }),
    ...(given.aliases !== undefined && { Aliases: given.aliases.texts() }),
    ...(mac !== undefined && { MacAddress: readMac(mac) }),
    ...((given.driver_opts ?? link) !== undefined && {
      DriverOpts: { ...(given.driver_opts === undefined ? {} : readTexts(given.driver_opts)), ...link }
    })
  }
  return { name, at, config, address, address6, mac, priority: given.priority?.integer(-1_000_000, 1_000_000) ?? 0 }
}

/** A mapping, or a list of NAME=VALUE. */
export function readTexts(value: Value): Record<string, string> {
  return Object.fromEntries(value.pairs().map(([name, text]) => [name, text ?? '']))
}
