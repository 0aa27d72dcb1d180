import { parseMac } from '../../wire/address.ts'
import { NOT_FOUND } from '../bridge/fdb.ts'
import { VTEP_WORDS, Vtep } from './vtep-table.ts'
import type { VxlanRecords } from './vxlan-records.ts'

/** A frame that nobody sends. */
export interface TunnelQuestion {
  /** Of the segment that it comes in by. */
  readonly port: number
  /** MAC of a station. */
  readonly destination: string
}

export interface TunnelAnswer {
  /** Address of the VTEP that it goes to; null: to several, or nowhere. */
  readonly vtep: string | null
  /** Longest inner packet, bytes; null where it goes nowhere. */
  readonly mtu: number | null
  /** Name of the drop reason. */
  readonly reason: string | null
  readonly text: string
}

/** What the VTEP would do with a frame of a segment. Throws AddressError. */
export function explainTunnel(records: VxlanRecords, { port, destination }: TunnelQuestion): TunnelAnswer {
  const { hi, lo } = parseMac(destination)
  const segment = records.byPort[port] ?? null
  const nowhere = (reason: string, text: string): TunnelAnswer => ({ vtep: null, mtu: null, reason: `vxlan.${reason}`, text })
  if (segment === null) return nowhere('noSegment', `port ${port} belongs to no VNI`)
  const isGroup = (hi & 0x0100) !== 0
  const vtep = isGroup ? NOT_FOUND : segment.fdb.lookup(hi, lo)
  if (vtep === NOT_FOUND) {
    if (segment.floods)
      return { vtep: null, mtu: segment.mtu, reason: null, text: `a copy to each of ${segment.remotes.length} VTEPs of VNI ${segment.vni}` }
    if (isGroup) return nowhere('broadcast', `VNI ${segment.vni} does not replicate broadcast and multicast`)
    return nowhere('unknownDestination', `${destination} is no known remote endpoint of VNI ${segment.vni}`)
  }
  const address = records.vteps.address(vtep)
  const entry = vtep * VTEP_WORDS
  const innerMtu = records.vteps.words[entry + Vtep.innerMtu]
  if (innerMtu === 0) {
    if (records.vteps.words[entry + Vtep.own] === 1) return nowhere('hairpin', `${destination} is said to be behind this VTEP itself`)
    return nowhere('noUnderlay', `this VTEP has no address of the family of ${address}`)
  }
  return {
    vtep: address,
    mtu: Math.min(segment.mtu, innerMtu),
    reason: null,
    text: `${destination} is behind ${address}, VNI ${segment.vni}`
  }
}
