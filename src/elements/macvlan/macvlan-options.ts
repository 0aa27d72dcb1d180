/**
 * What a macvlan can be told, checked.
 */
import { formatMac, type Mac, parseMac } from '../../wire/address.ts'
import { childPort, longestFrame } from '../parent/parent-options.ts'

/** As `ip link add type macvlan mode` has them. */
export const MACVLAN_MODES = ['bridge', 'private', 'vepa', 'passthru'] as const
export type MacvlanMode = (typeof MACVLAN_MODES)[number]

const GROUP_BIT = 0x0100

export interface MacvlanOptions {
  /** Default `bridge`. Of all children. */
  readonly mode?: MacvlanMode
  /** The parent's own MAC, which no child may have; default: none is known. */
  readonly mac?: string
  /** The parent's, bytes; default: no limit. */
  readonly mtu?: number
}

/** Part of what an element holds, see Element.update. */
export interface MacvlanChange {
  /** By port: the child's MAC, or null when it is gone. */
  readonly children?: Readonly<Record<string, string | null>>
}

/** Something that a macvlan was told and that cannot be: names the field and the value. */
export class MacvlanOptionError extends Error {
  readonly code = 'ERR_MACVLAN_OPTION'
}

export interface MacvlanSettings {
  readonly mode: MacvlanMode
  readonly mac: Mac | null
  /** Longest plain frame between children, bytes; a number above every length: no limit. */
  readonly longest: number
}

/** Throws MacvlanOptionError. */
export function readMacvlanOptions({ mode = 'bridge', mac, mtu }: MacvlanOptions = {}): MacvlanSettings {
  if (!MACVLAN_MODES.includes(mode)) throw new MacvlanOptionError(`mode is '${mode}': it must be one of ${MACVLAN_MODES.join(', ')}`)
  return { mode, mac: mac === undefined ? null : readMac('mac', mac), longest: longestFrame(mtu, MacvlanOptionError) }
}

/** By port, checked each for itself. Throws MacvlanOptionError. */
export function readChildren({ children = {} }: MacvlanChange): Map<number, Mac | null> {
  return new Map(
    Object.entries(children).map(([key, text]) => [
      childPort(key, MacvlanOptionError),
      text === null ? null : readMac(`children.${key}`, text)
    ])
  )
}

function readMac(field: string, text: string): Mac {
  let mac: Mac
  try {
    mac = parseMac(text)
  } catch (cause) {
    throw new MacvlanOptionError(`${field} '${text}' is no MAC such as 02:42:ac:11:00:02`, { cause })
  }
  if ((mac.hi & GROUP_BIT) === 0 && (mac.hi | mac.lo) !== 0) return mac
  throw new MacvlanOptionError(`${field} ${formatMac(mac)} is no station's address`)
}
