/**
 * The setting `uplink`: how frames leave the emulated networks.
 *
 *   auto | none-legacy | none | host | user | interface=NAME[,address=CIDR|dhcp][,gateway=ADDRESS][,mac=MAC]
 *
 * `address` and `gateway` may be there once for each family, and `address=dhcp` beside; without any, an address is leased.
 */
import type { Uplink } from '../network/uplink.ts'
import { addressFamily, parseMac } from '../wire/address.ts'
import { parseCidr } from '../wire/cidr.ts'

/** No router at all: each network's gateway is a virtual host that answers echo. */
export const LEGACY_UPLINK = 'none-legacy'

/** The best that this user can have on this machine. */
export const AUTO_UPLINK = 'auto'

/** In place of an address: it is leased. */
const DHCP = 'dhcp'

const WORDS = [LEGACY_UPLINK, AUTO_UPLINK, 'none', 'host', 'user']

export interface InterfaceSetting {
  readonly interface: string
  /** CIDR, at most one of each family. */
  readonly addresses: readonly string[]
  readonly dhcp: boolean
  /** At most one of each family. */
  readonly gateways: readonly string[]
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
  const members: Record<string, string[]> = { interface: [], address: [], gateway: [], mac: [] }
  for (const part of text.split(',')) {
    const equals = part.indexOf('=')
    const values = equals === -1 ? undefined : members[part.slice(0, equals)]
    if (values === undefined) {
      throw new RangeError(
        `'${text}' is none of ${WORDS.slice(1).join(', ')} and interface=NAME[,address=CIDR|dhcp][,gateway=ADDRESS][,mac=MAC]`
      )
    }
    values.push(part.slice(equals + 1))
  }
  const { interface: names, address: addresses, gateway: gateways, mac: macs } = members as Record<string, string[]>
  const once = (name: string): RangeError => new RangeError(`'${text}' names ${name} twice`)
  if (names!.length === 0 || names![0] === '') throw new RangeError(`'${text}': which interface? begin with interface=NAME`)
  if (names!.length > 1) throw once('interface')
  if (macs!.length > 1) throw once('mac')
  const fixed = addresses!.filter((address) => address !== DHCP)
  const dhcp = fixed.length === 0 || fixed.length < addresses!.length
  if (addresses!.length > fixed.length + 1) throw once(DHCP)
  const families = fixed.map((address) => parseCidr(address).family)
  if (new Set(families).size < families.length) throw once('an address of one family')
  if (dhcp) families.push(4)
  for (const gateway of gateways!) {
    const family = addressFamily(gateway)
    if (family === 0) throw new RangeError(`gateway ${gateway} is not an address`)
    if (!families.includes(family)) throw new RangeError(`gateway ${gateway}: we have no IPv${family} address on that LAN; add ,address=`)
  }
  if (new Set(gateways!.map(addressFamily)).size < gateways!.length) throw once('a gateway of one family')
  const [mac] = macs!
  if (mac !== undefined) parseMac(mac)
  return { interface: names![0]!, addresses: fixed, dhcp, gateways: gateways!, ...(mac !== undefined && { mac }) }
}
