/**
 * What a capture cannot show of an overlay network's stations on other machines, in words that people read in comments of its name blocks,
 * and from which it can be told again. Each holds from where it stands in the file:
 *
 *   station of overlay network multihost: 02:42:0a:00:09:03 10.0.9.3 behind 192.0.2.12       beside its names
 *   station of overlay network multihost: 02:42:0a:00:09:03 10.0.9.3 gone
 *   VTEPs of other hosts: 192.0.2.12, 192.0.2.13
 */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import type { RemoteEndpoint } from './remote-endpoint.ts'

export interface RemoteSetting extends Pick<RemoteEndpoint, 'mac' | 'address' | 'address6'> {
  readonly network: string
  /** null: it is gone. */
  readonly vtep: string | null
}

const STATION = /^station of overlay network (.+): ((?:[0-9a-f]{2}:){5}[0-9a-f]{2}) ([\d.]+)(?: ([^\s:]*:\S*))? (?:behind (\S+)|gone)$/s
const VTEPS = 'VTEPs of other hosts: '
const NONE = 'none'

export function remoteWords({ network, mac, address, address6, vtep }: RemoteSetting): string {
  const addresses = address6 === '' ? address : `${address} ${address6}`
  return `station of overlay network ${network}: ${mac} ${addresses} ${vtep === null ? 'gone' : `behind ${vtep}`}`
}

/** null for other words, and for addresses that are none. */
export function parseRemoteWords(text: string): RemoteSetting | null {
  const [, network, mac, address, address6 = '', vtep = null] = STATION.exec(text) ?? []
  if (network === undefined || !isIPv4(address) || (address6 !== '' && !isIPv6(address6))) return null
  return vtep === null || isIP(vtep) !== 0 ? { network, mac, address, address6, vtep } : null
}

/** Of all hosts whose frames are believed. */
export function vtepWords(addresses: readonly string[]): string {
  return VTEPS + (addresses.length === 0 ? NONE : addresses.join(', '))
}

/** null for other words, and for addresses that are none. */
export function parseVtepWords(text: string): string[] | null {
  if (!text.startsWith(VTEPS)) return null
  const list = text.slice(VTEPS.length)
  const addresses = list === NONE ? [] : list.split(', ')
  return addresses.every((address) => isIP(address) !== 0) ? addresses : null
}
