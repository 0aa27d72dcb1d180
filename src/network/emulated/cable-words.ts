/**
 * What stands at the end of a cable, in words that people read in a capture's interface comment, and from which it can be made again:
 *
 *   host, mtu 1500, route 0.0.0.0/0 via 192.0.2.126
 *   router, mtu 9000, vlan 30 of office
 */

import type { EmulatedLan } from './emulated-lan.ts'

/** `host`: an emulated Docker host's `eth0`; `station`: whoever else has one interface. */
const ENDS = ['host', 'router', 'station'] as const

export interface CableSetting {
  readonly end: (typeof ENDS)[number]
  readonly lan: Pick<EmulatedLan, 'mtu' | 'vlan'>
  /** CIDR -> next hop. */
  readonly routes?: Readonly<Record<string, string>>
}

export function cableWords({ end, lan: { mtu, vlan }, routes = {} }: CableSetting): string {
  return [
    end,
    `mtu ${mtu}`,
    ...(vlan === null ? [] : [`vlan ${vlan.id} of ${vlan.trunk}`]),
    ...Object.entries(routes).map(([prefix, via]) => `route ${prefix} via ${via}`)
  ].join(', ')
}

/** Without words it is a station, on a LAN of 1,500 bytes. */
export function parseCableWords(text: string): Required<CableSetting> {
  const [first, ...parts] = text.split(', ')
  const found = parts.map((part) => /^(mtu|vlan|route) (\S+)(?: (?:of|via) (.+))?$/s.exec(part) ?? [])
  const [, , mtu = '1500'] = found.find(([, word]) => word === 'mtu') ?? []
  const [, , id, trunk] = found.find(([, word]) => word === 'vlan') ?? []
  const routes = found.flatMap(([, word, prefix, via]) => (word === 'route' && via !== undefined ? [[prefix!, via] as const] : []))
  const vlan = trunk === undefined ? null : { id: Number(id), trunk }
  return { end: ENDS.find((end) => end === first) ?? 'station', lan: { mtu: Number(mtu), vlan }, routes: Object.fromEntries(routes) }
}
