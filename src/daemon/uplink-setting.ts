/**
 * The setting `uplink`: how frames leave the emulated networks.
 *
 *   auto | none-legacy | none | host | user | interface=NAME,address=CIDR[,gateway=ADDRESS][,mac=MAC]
 */
import type { Uplink } from '../network/uplink.ts'
import { addressFamily, parseMac } from '../wire/address.ts'
import { parseCidr } from '../wire/cidr.ts'

/** No router at all: each network's gateway is a virtual host that answers echo. */
export const LEGACY_UPLINK = 'none-legacy'

/** The best that this user can have on this machine. */
export const AUTO_UPLINK = 'auto'

const WORDS = [LEGACY_UPLINK, AUTO_UPLINK, 'none', 'host', 'user']

export interface InterfaceSetting {
  readonly interface: string
  readonly address: string
  readonly gateway?: string
  readonly mac?: string
}

/** Settings to be tried one after the other: for `auto` several, the best one first. */
export function uplinkChoices(setting: string, isRoot: boolean): string[] {
  if (setting !== AUTO_UPLINK) return [setting]
  return isRoot ? ['host', 'user', 'none'] : ['user', 'none']
}

/** Whether published ports are the machine's own, which others may have taken. `kind`: of the uplink that runs; undefined: no router. */
export function isOnHost(kind: Uplink['kind'] | undefined): boolean {
  return kind === undefined || kind === 'host' || kind === 'user'
}

/** Gives the text back when it can be. Throws RangeError, AddressError. */
export function checkUplink(text: string): string {
  if (!WORDS.includes(text)) parseInterface(text)
  return text
}

/** Of `interface=...`. Throws RangeError, AddressError. */
export function parseInterface(text: string): InterfaceSetting {
  const members: Record<string, string> = {}
  for (const part of text.split(',')) {
    const equals = part.indexOf('=')
    const name = part.slice(0, equals)
    if (equals === -1 || !['interface', 'address', 'gateway', 'mac'].includes(name)) {
      throw new RangeError(`'${text}' is none of ${WORDS.slice(1).join(', ')} and interface=NAME,address=CIDR[,gateway=ADDRESS][,mac=MAC]`)
    }
    if (Object.hasOwn(members, name)) throw new RangeError(`'${text}' names ${name} twice`)
    members[name] = part.slice(equals + 1)
  }
  const { interface: device = '', address = '', gateway, mac } = members
  if (device === '') throw new RangeError(`'${text}': which interface? begin with interface=NAME`)
  if (address === '') throw new RangeError(`'${text}': which address is ours on the LAN? add ,address=192.0.2.9/24`)
  if (parseCidr(address).family !== 4) throw new RangeError(`address ${address} is not IPv4`)
  if (gateway !== undefined && addressFamily(gateway) !== 4) throw new RangeError(`gateway ${gateway} is not an IPv4 address`)
  if (mac !== undefined) parseMac(mac)
  return { interface: device, address, ...(gateway !== undefined && { gateway }), ...(mac !== undefined && { mac }) }
}
