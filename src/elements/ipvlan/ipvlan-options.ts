/**
 * What an ipvlan can be told, checked.
 */
import { addressFamily, type Mac, parseIpv4, parseIpv6, parseMac } from '../../wire/address.ts'
import { get32 } from '../../wire/big-endian.ts'
import { childPort, longestFrame } from '../parent/parent-options.ts'

/** As `ip link add type ipvlan mode` has them. */
export const IPVLAN_MODES = ['l2', 'l3', 'l3s'] as const
export type IpvlanMode = (typeof IPVLAN_MODES)[number]
export const IPVLAN_FLAGS = ['bridge', 'private', 'vepa'] as const
export type IpvlanFlag = (typeof IPVLAN_FLAGS)[number]

export interface IpvlanOptions {
  /** The parent's MAC, which all children have. */
  readonly mac: string
  /** Default `l2`. */
  readonly mode?: IpvlanMode
  /** Default `bridge`. */
  readonly flag?: IpvlanFlag
  /** The parent's, bytes; default: no limit. */
  readonly mtu?: number
}

/** Part of what an element holds, see Element.update. */
export interface IpvlanChange {
  /** By port: the child's IPv4 and IPv6 addresses, or null when it is gone. */
  readonly children?: Readonly<Record<string, readonly string[] | null>>
}

/** Something that an ipvlan was told and that cannot be: names the field and the value. */
export class IpvlanOptionError extends Error {
  readonly code = 'ERR_IPVLAN_OPTION'
}

export interface IpvlanSettings {
  readonly mac: Mac
  readonly mode: IpvlanMode
  readonly flag: IpvlanFlag
  /** Longest plain frame between children, bytes; a number above every length: no limit. */
  readonly longest: number
}

/** Throws IpvlanOptionError. */
export function readIpvlanOptions({ mac, mode = 'l2', flag = 'bridge', mtu }: IpvlanOptions): IpvlanSettings {
  if (!IPVLAN_MODES.includes(mode)) throw new IpvlanOptionError(`mode is '${mode}': it must be one of ${IPVLAN_MODES.join(', ')}`)
  if (!IPVLAN_FLAGS.includes(flag)) throw new IpvlanOptionError(`flag is '${flag}': it must be one of ${IPVLAN_FLAGS.join(', ')}`)
  const longest = longestFrame(mtu, IpvlanOptionError)
  try {
    return { mac: parseMac(mac), mode, flag, longest }
  } catch (cause) {
    throw new IpvlanOptionError(`mac '${mac}' is no MAC such as 02:42:ac:11:00:02`, { cause })
  }
}

/** An address as four words of 32 bits; IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
export type AddressWords = readonly [number, number, number, number]

/** By port, checked each for itself. Throws IpvlanOptionError. */
export function readChildren({ children = {} }: IpvlanChange): Map<number, readonly AddressWords[] | null> {
  return new Map(
    Object.entries(children).map(([key, addresses]) => [
      childPort(key, IpvlanOptionError),
      addresses?.map((address) => readAddress(`children.${key}`, address)) ?? null
    ])
  )
}

export function readAddress(field: string, address: string): AddressWords {
  const family = addressFamily(address)
  if (family === 0) throw new IpvlanOptionError(`${field}: '${address}' is no address`)
  if (family === 4) return [0, 0, 0xffff, parseIpv4(address) | 0]
  const bytes = parseIpv6(address)
  return [get32(bytes, 0), get32(bytes, 4), get32(bytes, 8), get32(bytes, 12)]
}
