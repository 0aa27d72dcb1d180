/**
 * What a parent interface is set to, in words that people read in a capture's interface comment, and from which networks on it can be made
 * again:
 *
 *   mtu 1500, address 192.0.2.1/24, route 192.0.2.0/24, route 0.0.0.0/0 via 192.0.2.254
 */
import type { Parent } from '../parents.ts'

export type ParentSetting = Required<Pick<Parent, 'mtu' | 'station'>>

export function parentWords({ mtu, station: { addresses, routes } }: ParentSetting): string {
  return [
    `mtu ${mtu}`,
    ...addresses.map((address) => `address ${address}`),
    ...Object.entries(routes).map(([prefix, { via }]) => `route ${prefix}${via === undefined ? '' : ` via ${via}`}`)
  ].join(', ')
}

/** Of other words there is nothing in it; without an MTU it is 1500. */
export function parseParentWords(text: string): ParentSetting {
  const found = text.split(', ').map((part) => /^(mtu|address|route) (\S+)(?: via (\S+))?$/.exec(part) ?? [])
  const [, , mtu = '1500'] = found.find(([, word]) => word === 'mtu') ?? []
  const addresses = found.flatMap(([, word, address]) => (word === 'address' ? [address!] : []))
  const routes = found.flatMap(([, word, prefix, via]) => (word === 'route' ? [[prefix!, via === undefined ? {} : { via }] as const] : []))
  return { mtu: Number(mtu), station: { addresses, routes: Object.fromEntries(routes) } }
}
