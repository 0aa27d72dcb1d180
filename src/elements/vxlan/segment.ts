/**
 * What a VTEP knows of one VNI: its port, its remote endpoints, where copies go. It is there as soon as a record names the VNI,
 * and carries frames while it has a port.
 */
import { formatMac, type Mac } from '../../wire/address.ts'
import { Fdb } from '../bridge/fdb.ts'
import { AddressTable, NO_ENTRY } from './address-table.ts'
import type { VtepAddress, VxlanSegment, VxlanSettings } from './vxlan-options.ts'

/** Inner packet, bytes: what fits an underlay of 1,500 over IPv4. */
export const DEFAULT_SEGMENT_MTU = 1450

export class Segment {
  readonly vni: number
  /** -1: it carries nothing. */
  port = -1
  mtu = DEFAULT_SEGMENT_MTU
  floods = false
  learns = false
  suppresses = false
  /** MAC to number of the VTEP; peers are static. */
  readonly fdb: Fdb
  /** VTEPs that get copies. */
  remotes = new Int32Array(0)
  /** Remote addresses to MACs. */
  private readonly neighbors = new AddressTable()
  private readonly users = new Map<number, number>()

  constructor(vni: number, { ageing, fdbCapacity }: VxlanSettings) {
    this.vni = vni
    this.fdb = new Fdb(ageing, fdbCapacity)
  }

  get isOpen(): boolean {
    return this.port >= 0
  }

  open({ port, mtu = DEFAULT_SEGMENT_MTU, bum = 'drop', learning = false, suppress = true }: VxlanSegment): void {
    this.port = port
    this.mtu = mtu
    this.floods = bum === 'flood'
    this.learns = learning
    this.suppresses = suppress
    if (!learning) this.fdb.flush(null)
  }

  /** What was learned is forgotten only for good: it names VTEPs, which new options of the segment do not move. */
  close(isForGood: boolean): void {
    this.port = -1
    if (isForGood) this.fdb.flush(null)
  }

  /** A peer, or a record of its own, has this VTEP get copies. */
  addRemote(vtep: number): void {
    this.users.set(vtep, (this.users.get(vtep) ?? 0) + 1)
    this.remotes = Int32Array.from(this.users.keys())
  }

  removeRemote(vtep: number): void {
    const left = (this.users.get(vtep) ?? 1) - 1
    if (left > 0) this.users.set(vtep, left)
    else this.users.delete(vtep)
    this.remotes = Int32Array.from(this.users.keys())
  }

  addPeer({ hi, lo }: Mac, vtep: number, addresses: readonly VtepAddress[]): void {
    this.fdb.addStatic(hi, lo, vtep)
    for (const { words } of addresses) this.neighbors.set(words, hi, lo)
    this.addRemote(vtep)
  }

  removePeer({ hi, lo }: Mac, vtep: number, addresses: readonly VtepAddress[]): void {
    this.fdb.remove(hi, lo)
    for (const { words } of addresses) {
      const place = this.neighbors.find(words[0], words[1], words[2], words[3])
      // Another endpoint may have the address by now.
      if (place !== NO_ENTRY && this.neighbors.first(place) === hi && this.neighbors.second(place) === lo) this.neighbors.remove(words)
    }
    this.removeRemote(vtep)
  }

  /** Whether the address is known; `found` has its MAC then. */
  findNeighbor(w0: number, w1: number, w2: number, w3: number, found: { hi: number; lo: number }): boolean {
    const place = this.neighbors.find(w0, w1, w2, w3)
    if (place === NO_ENTRY) return false
    found.hi = this.neighbors.first(place)
    found.lo = this.neighbors.second(place)
    return true
  }

  describe(addressOf: (vtep: number) => string, seconds: number): unknown {
    const { vni, port, mtu, floods, learns, suppresses } = this
    const entries = this.fdb
      .entries(seconds)
      .map(({ mac, port, static: isStatic, age }) => ({ mac, vtep: addressOf(port), static: isStatic, age }))
    return {
      vni,
      port,
      mtu,
      bum: floods ? 'flood' : 'drop',
      learning: learns,
      suppress: suppresses,
      entries,
      neighbors: this.neighbors.size
    }
  }
}

/** `VNI/MAC`, as records name a peer. */
export function peerKey(vni: number, mac: Mac): string {
  return `${vni}/${formatMac(mac)}`
}
