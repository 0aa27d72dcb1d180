/**
 * What the control plane has told: segments, VTEPs and peers by key, and the tables made of them.
 */
import type { Mac } from '../../wire/address.ts'
import { Segment } from './segment.ts'
import { VtepTable } from './vtep-table.ts'
import {
  checkChange,
  normalAddress,
  normalPeerKey,
  readAddress,
  readPeerKey,
  readVni,
  type VtepAddress,
  type VxlanChange,
  VxlanOptionError,
  type VxlanPeer,
  type VxlanSegment,
  type VxlanSettings
} from './vxlan-options.ts'

interface KnownPeer {
  readonly record: VxlanPeer
  readonly vni: number
  readonly mac: Mac
  readonly vtep: number
  readonly addresses: readonly VtepAddress[]
}

interface KnownSegment {
  readonly record: VxlanSegment
  readonly remotes: readonly number[]
}

export class VxlanRecords {
  readonly vteps: VtepTable
  /** All that records name, by VNI. */
  readonly byVni = new Map<number, Segment>()
  /** Those that are open, by port; null where none is. */
  readonly byPort: (Segment | null)[] = []
  private readonly segments = new Map<number, KnownSegment>()
  private readonly knownVteps = new Map<string, number>()
  private readonly peers = new Map<string, KnownPeer>()
  private settings: VxlanSettings

  constructor(settings: VxlanSettings) {
    this.settings = settings
    this.vteps = new VtepTable(settings)
  }

  applySettings(settings: VxlanSettings): void {
    this.settings = settings
    this.vteps.setUnderlay(settings)
    for (const { fdb } of this.byVni.values()) {
      fdb.ageing = settings.ageing
      fdb.capacity = settings.fdbCapacity
    }
  }

  /** Throws VxlanOptionError or AddressError before anything is changed; returns the change that undoes it. */
  update(change: VxlanChange): VxlanChange {
    checkChange(change)
    const segments = new Map(Object.entries(change.segments ?? {}).map(([text, record]) => [readVni(text), record]))
    this.checkPorts(segments)
    this.checkRoom(change)
    const undo = {
      segments: {} as Record<string, VxlanSegment | null>,
      vteps: {} as Record<string, true | null>,
      peers: {} as Record<string, VxlanPeer | null>
    }
    for (const [vni, record] of segments) {
      undo.segments[vni] = this.segments.get(vni)?.record ?? null
      this.closeSegment(vni, record === null)
    }
    for (const [vni, record] of segments) if (record !== null) this.openSegment(vni, record)
    for (const [text, record] of Object.entries(change.vteps ?? {})) {
      const address = normalAddress(text)
      undo.vteps[address] = this.knownVteps.has(address) ? true : null
      this.setVtep(address, record === true)
    }
    for (const [text, record] of Object.entries(change.peers ?? {})) {
      const key = normalPeerKey(text)
      undo.peers[key] = this.peers.get(key)?.record ?? null
      this.setPeer(key, record)
    }
    for (const vni of segments.keys()) this.forgetUnused(vni)
    return undo
  }

  /** The keys of a change, all to be removed. */
  static removed({ segments, vteps, peers }: VxlanChange): { [K in keyof Required<VxlanChange>]: Record<string, null> } {
    const nulls = (records: object = {}): Record<string, null> => Object.fromEntries(Object.keys(records).map((key) => [key, null]))
    return { segments: nulls(segments), vteps: nulls(vteps), peers: nulls(peers) }
  }

  /** `isForGood`: it is not opened again in the same change. */
  private closeSegment(vni: number, isForGood: boolean): void {
    const known = this.segments.get(vni)
    const segment = this.byVni.get(vni)
    if (known === undefined || segment === undefined) return
    this.byPort[segment.port] = null
    segment.close(isForGood)
    for (const vtep of known.remotes) {
      segment.removeRemote(vtep)
      this.vteps.release(vtep)
    }
    this.segments.delete(vni)
  }

  private openSegment(vni: number, record: VxlanSegment): void {
    const segment = this.segment(vni)
    const remotes = (record.remotes ?? []).map((address) => this.vteps.acquire(readAddress(address)))
    for (const vtep of remotes) segment.addRemote(vtep)
    segment.open(record)
    while (this.byPort.length <= record.port) this.byPort.push(null)
    this.byPort[record.port] = segment
    this.segments.set(vni, { record, remotes })
  }

  private setVtep(address: string, isKnown: boolean): void {
    const vtep = this.knownVteps.get(address)
    if (isKnown && vtep === undefined) this.knownVteps.set(address, this.vteps.acquire(readAddress(address)))
    else if (!isKnown && vtep !== undefined) {
      this.knownVteps.delete(address)
      this.vteps.release(vtep)
    }
  }

  private setPeer(key: string, record: VxlanPeer | null): void {
    const { vni, mac } = readPeerKey(key)
    const before = this.peers.get(key)
    if (before !== undefined) {
      this.peers.delete(key)
      this.segment(vni).removePeer(mac, before.vtep, before.addresses)
    }
    if (record !== null) {
      const addresses = (record.addresses ?? []).map(readAddress)
      const vtep = this.vteps.acquire(readAddress(record.vtep))
      this.segment(vni).addPeer(mac, vtep, addresses)
      this.peers.set(key, { record, vni, mac, vtep, addresses })
    }
    if (before !== undefined) this.vteps.release(before.vtep)
    this.forgetUnused(vni)
  }

  private segment(vni: number): Segment {
    let segment = this.byVni.get(vni)
    if (segment === undefined) this.byVni.set(vni, (segment = new Segment(vni, this.settings)))
    return segment
  }

  private forgetUnused(vni: number): void {
    const segment = this.byVni.get(vni)
    if (segment !== undefined && !segment.isOpen && segment.fdb.statics === 0) this.byVni.delete(vni)
  }

  private checkPorts(changed: ReadonlyMap<number, VxlanSegment | null>): void {
    const owners = new Map<number, number>()
    const all = new Map<number, VxlanSegment | null>([...this.segments].map(([vni, { record }]) => [vni, record]))
    for (const [vni, record] of changed) all.set(vni, record)
    for (const [vni, record] of all) {
      if (record === null) continue
      const other = owners.get(record.port)
      if (other !== undefined) throw new VxlanOptionError(`port ${record.port} is given to VNI ${other} and to VNI ${vni}`)
      owners.set(record.port, vni)
    }
  }

  /** Whether all VTEPs that the change names have room, even if nothing that it removes made any. */
  private checkRoom({ segments = {}, vteps = {}, peers = {} }: VxlanChange): void {
    const named = new Set<string>()
    for (const record of Object.values(segments)) for (const remote of record?.remotes ?? []) named.add(normalAddress(remote))
    for (const [address, record] of Object.entries(vteps)) if (record !== null) named.add(normalAddress(address))
    for (const record of Object.values(peers)) if (record !== null) named.add(normalAddress(record.vtep))
    let added = 0
    for (const address of named) {
      const { words } = readAddress(address)
      if (this.vteps.find(words[0], words[1], words[2], words[3]) < 0) added++
    }
    if (added > this.vteps.room) throw new VxlanOptionError(`${added} more VTEPs do not fit: there is room for ${this.vteps.room}`)
  }
}
