import { parseMac } from '../../wire/address.ts'
import type { BridgeSettings } from './bridge-options.ts'
import { type Fdb, NOT_FOUND } from './fdb.ts'

/** A frame that nobody sends. */
export interface RelayQuestion {
  /** Where it comes in. */
  readonly port: number
  /** MAC of a station. */
  readonly destination: string
}

export interface RelayAnswer {
  /** Where it leaves; null: by all other ports, or not at all. */
  readonly port: number | null
  /** Name of the drop reason. */
  readonly reason: string | null
  readonly text: string
}

/** What the bridge would do; nothing is learned. Throws AddressError. */
export function explainRelay(fdb: Fdb, { isolatedFrom }: BridgeSettings, { port, destination }: RelayQuestion): RelayAnswer {
  const { hi, lo } = parseMac(destination)
  const egress = fdb.lookup(hi, lo)
  if (egress === NOT_FOUND) return { port: null, reason: null, text: `${destination} is not known: to all other ports` }
  if (egress === port)
    return { port: null, reason: 'bridge.samePort', text: `${destination} is at port ${port}, where the frame comes from` }
  if (port >= isolatedFrom && egress >= isolatedFrom) {
    return { port: null, reason: 'bridge.isolated', text: 'inter-container communication is off: both ports are isolated' }
  }
  return { port: egress, reason: null, text: `${destination} is at port ${egress}` }
}
