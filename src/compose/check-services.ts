/** Services against networks and each other: who is named and is not there, what cannot go together. */
import { isInside } from './addresses.ts'
import type { PlacedService } from './lab-file.ts'
import type { Network } from './network.ts'
import type { ServiceNetwork } from './service-networks.ts'
import type { Surroundings } from './surroundings.ts'
import type { Value } from './value.ts'

/** Networks on which the addresses of all hosts are one space. */
const SHARED_DRIVERS = ['overlay', 'macvlan', 'ipvlan']

/** Throws LabFileError. */
export function checkServices(services: readonly PlacedService[], networks: readonly Network[], surroundings: Surroundings): void {
  const byName = new Map(services.map((service) => [service.name, service]))
  const byKey = new Map(networks.map((network) => [network.key, network]))
  checkNames(services)
  for (const service of services) {
    for (const { service: name, at } of service.dependencies) {
      if (!byName.has(name)) at.fail(`there is no service '${name}'`)
    }
    for (const use of service.networks ?? []) {
      const missing = (): never => use.at.fail(`there is no network '${use.name}'; there is ${[...byKey.keys()].join(', ') || 'none'}`)
      checkUse(use, byKey.get(use.name) ?? missing())
    }
    if (service.networkMode !== undefined) checkMode(service, service.networkMode, byName, surroundings)
    for (const { service: name, at } of service.links) {
      if (byName.get(name)!.placedOn !== service.placedOn) at.fail(`'${name}' runs on another host: a link is for containers of one host`)
    }
    if (service.virtual !== null && service.virtual.station === null && service.networkKeys.length !== 1) {
      service.at.fail('a virtual host is on one network')
    }
  }
  checkAddresses(services, byKey)
}

function checkNames(services: readonly PlacedService[]): void {
  const taken = new Map<string, string>()
  for (const { containerName, placedOn, name, at } of services) {
    const key = `${placedOn}/${containerName}`
    const other = taken.get(key)
    if (other !== undefined) at.fail(`the container of '${other}' is called '${containerName}' too`)
    taken.set(key, name)
  }
}

function checkUse({ address, address6, mac, config }: ServiceNetwork, network: Network): void {
  if (network.isExternal) return
  if (network.driver === 'ipvlan') mac?.fail('containers of an ipvlan network have the MAC of their parent')
  for (const [at, text] of [
    [address, config.IPAMConfig?.IPv4Address],
    [address6, config.IPAMConfig?.IPv6Address]
  ] as const) {
    if (at === undefined || text === undefined) continue
    if (network.subnets.length === 0)
      at.fail(`the network '${network.key}' has no subnet of the file: add ipam: { config: [{ subnet: ... }] }`)
    const subnet = network.subnets.find(({ prefix }) => isInside(prefix, text))
    if (subnet === undefined) at.fail(`${text} is in no subnet of the network '${network.key}'`)
    const gateway = network.request.IPAM?.Config?.find(({ Gateway }) => Gateway === text)
    if (gateway !== undefined) at.fail(`${text} is the gateway of the network '${network.key}'`)
  }
}

function checkMode(service: PlacedService, value: Value, byName: ReadonlyMap<string, PlacedService>, { hosts }: Surroundings): void {
  const mode = value.word()
  const [kind, name = ''] = mode.split(':')
  if (service.virtual !== null) value.fail('a virtual host has no mode')
  if (mode === 'host') {
    const emulated = hosts.some(({ eth0 }) => eth0 !== null)
    if (emulated) value.fail('an emulated host has no namespace that its containers could share')
    return
  }
  if (mode === 'none' || mode === 'bridge') return
  if (kind === 'container' && name !== '') return
  if (kind !== 'service' || name === '') value.fail(`'${mode}' is none of bridge, none, host, service:NAME, container:NAME`)
  const other = byName.get(name) ?? value.fail(`there is no service '${name}'`)
  if (other.placedOn !== service.placedOn) value.fail(`'${name}' runs on another host`)
}

/** No address twice on one network: of one host, or of all where hosts share it. */
function checkAddresses(services: readonly PlacedService[], byKey: ReadonlyMap<string, Network>): void {
  const taken = new Map<string, string>()
  for (const { name, placedOn, networks = [] } of services) {
    for (const { name: key, address, address6, config } of networks) {
      const isShared = SHARED_DRIVERS.includes(byKey.get(key)!.driver)
      for (const [at, text] of [
        [address, config.IPAMConfig?.IPv4Address],
        [address6, config.IPAMConfig?.IPv6Address]
      ] as const) {
        if (at === undefined) continue
        const place = `${isShared ? '' : placedOn} ${key} ${text}`
        const other = taken.get(place)
        if (other !== undefined) at.fail(`'${other}' has ${text} on the network '${key}' already`)
        taken.set(place, name)
      }
    }
  }
}
