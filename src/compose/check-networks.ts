/** Networks against each other, host by host. */
import { formatPrefix, prefixesOverlap } from '../wire/cidr.ts'
import type { LabFile, PlacedNetwork } from './lab-file.ts'

/** An interface of an emulated host, or a VLAN of it. */
const EMULATED_PARENT = /^eth0(\.\d+)?$/

/** Throws LabFileError. */
export function checkNetworks({ networks, hosts }: Pick<LabFile, 'networks' | 'hosts'>): void {
  for (const host of hosts) {
    const here = networks.filter(({ placedOn }) => placedOn.includes(host.name))
    checkNames(here, host.name)
    checkParents(here, host.name, host.eth0 !== null)
    checkOverlap(here)
    const overlay = here.find(({ driver }) => driver === 'overlay')
    if (overlay !== undefined && host.eth0 === null) {
      overlay.at.fail(`an overlay network joins hosts: give '${host.name}' an eth0 in x-netloom: { hosts: ... }`)
    }
  }
}

function checkNames(networks: readonly PlacedNetwork[], host: string): void {
  for (const [index, { name, key, at }] of networks.entries()) {
    const other = networks.slice(0, index).find((earlier) => earlier.name === name)
    if (other !== undefined) at.fail(`'${other.key}' and '${key}' are both called '${name}' on ${host}`)
    if (['bridge', 'host', 'none'].includes(name) && !networks[index]!.isExternal)
      at.fail(`'${name}' is a network that every host has: add external: true to use it`)
  }
}

function checkParents(networks: readonly PlacedNetwork[], host: string, isEmulated: boolean): void {
  const taken = new Map<string, string>()
  for (const { parent, key } of networks) {
    if (parent === undefined) continue
    if (isEmulated && !EMULATED_PARENT.test(parent.name)) {
      parent.at.fail(`'${parent.name}': ${host} has the interface eth0, and VLANs of it such as eth0.30`)
    }
    const other = taken.get(parent.name)
    if (other !== undefined) parent.at.fail(`'${other}' stands on ${parent.name} of ${host} already: a parent has one network`)
    taken.set(parent.name, key)
  }
}

/** What the host routes itself: Docker refuses two networks of one address. Overlay networks have an address space of their own. */
function checkOverlap(networks: readonly PlacedNetwork[]): void {
  const seen: { key: string; prefix: PlacedNetwork['subnets'][number]['prefix'] }[] = []
  for (const { key, driver, subnets } of networks) {
    if (driver === 'overlay') continue
    for (const { prefix, at } of subnets) {
      const other = seen.find((earlier) => prefixesOverlap(earlier.prefix, prefix))
      if (other !== undefined)
        at.fail(`${formatPrefix(prefix)} and ${formatPrefix(other.prefix)} of the network '${other.key}' share addresses`)
      seen.push({ key, prefix })
    }
  }
}
