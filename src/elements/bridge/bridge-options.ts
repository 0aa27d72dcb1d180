/**
 * What a bridge can be told, with the defaults filled in and everything checked.
 */
import { type Mac, parseMac } from '../../wire/address.ts'

export const BRIDGE_PORTS_MAX = 4096
/** Seconds, IEEE 802.1Q table 8-7. */
export const DEFAULT_AGEING = 300
export const DEFAULT_FDB_CAPACITY = 65_536
/** 2^22 entries need a table of 256 MiB. */
const FDB_CAPACITY_MAX = 4_194_304
/** IEEE 802.1Q table 8-7: the longest ageing time that may be set, seconds. */
const AGEING_MAX = 1_000_000
const MTU_MIN = 68
/** An integer, so that the comparison per frame is one of integers. */
const NO_MTU = 0x3fffffff

export interface LearningBridgeOptions {
  /** Seconds until an address that sends nothing is forgotten; default 300. 0: nothing is learned. */
  readonly ageing?: number
  /** Addresses that can be learned; default 65,536. */
  readonly fdbCapacity?: number
  /** Addresses whose port is known. */
  readonly staticEntries?: readonly { readonly mac: string; readonly port: number }[]
  /** Ports on which nothing is learned. */
  readonly silentPorts?: readonly number[]
  /**
   * Ports from this number on are isolated, as the flag of Linux's bridge has it: they exchange frames with the ports below,
   * not with each other. Default: none is.
   */
  readonly isolatedFrom?: number
  /** Longest payload of a plain frame, bytes; default: no limit. */
  readonly mtu?: number
}

/** An option of a bridge that cannot be: names the option and the value. */
export class BridgeOptionError extends Error {
  readonly code = 'ERR_BRIDGE_OPTION'
}

export interface BridgeSettings {
  readonly ageing: number
  readonly fdbCapacity: number
  readonly staticEntries: readonly { readonly mac: Mac; readonly port: number }[]
  readonly silentPorts: ReadonlySet<number>
  /** BRIDGE_PORTS_MAX: none. */
  readonly isolatedFrom: number
  /** A number above every length: no limit. */
  readonly mtu: number
}

/** Throws BridgeOptionError, or AddressError for a MAC that cannot be read. */
export function readBridgeOptions(options: LearningBridgeOptions = {}): BridgeSettings {
  const {
    ageing = DEFAULT_AGEING,
    fdbCapacity = DEFAULT_FDB_CAPACITY,
    staticEntries = [],
    silentPorts = [],
    isolatedFrom = BRIDGE_PORTS_MAX,
    mtu
  } = options
  whole('ageing', ageing, 0, AGEING_MAX)
  whole('fdbCapacity', fdbCapacity, 0, FDB_CAPACITY_MAX)
  if (mtu !== undefined) whole('mtu', mtu, MTU_MIN, 65_535)
  whole('isolatedFrom', isolatedFrom, 0, BRIDGE_PORTS_MAX)
  for (const port of silentPorts) whole('silentPorts', port, 0, BRIDGE_PORTS_MAX - 1)
  return {
    ageing,
    fdbCapacity,
    mtu: mtu ?? NO_MTU,
    silentPorts: new Set(silentPorts),
    isolatedFrom,
    staticEntries: staticEntries.map(({ mac, port }) => {
      whole('port of a static entry', port, 0, BRIDGE_PORTS_MAX - 1)
      const parsed = parseMac(mac)
      if ((parsed.hi & 0x0100) !== 0) throw new BridgeOptionError(`static entry ${mac} is a group address: groups are always flooded`)
      return { mac: parsed, port }
    })
  }
}

function whole(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  throw new BridgeOptionError(`${name} is ${value}: it must be a whole number from ${least} to ${most}`)
}
