/**
 * The remote VTEPs by number: address, outer headers, what fits the path to them.
 *
 *   entry, 128 bytes  | outer headers, 18 words | words by name, see `Vtep` |
 *
 * A VTEP is there as long as a record of the control plane names it (`acquire`, `release`), or has been heard lately in a segment
 * that learns (`hear`).
 */
import { formatIpv4, formatIpv6 } from '../../wire/address.ts'
import { put32 } from '../../wire/big-endian.ts'
import { AddressTable, NO_ENTRY } from './address-table.ts'
import { OUTER_WORDS, OVERHEAD, writeTemplate } from './outer-header.ts'
import { type VtepAddress, VxlanOptionError, type VxlanSettings } from './vxlan-options.ts'

/** VTEPs at most: what an entry of the FDB can name. */
export const VTEPS_MAX = 16_384
/** Of them at most those that no record names: whoever invents outer sources leaves the control plane its room. */
export const HEARD_VTEPS_MAX = 4096
export const NO_VTEP = -1
/** Words of an entry. */
export const VTEP_WORDS = 32

/** Words of an entry behind the outer headers. */
export const Vtep = {
  /** 4 or 6; 0: a free entry. */
  family: 18,
  /** Longest inner packet, bytes; 0: this VTEP has no address of that family, or the address is its own. */
  innerMtu: 19,
  /** Of what is constant: over IPv4 sum of the header, over IPv6 of what a UDP checksum covers (`writeTemplate`). */
  sum: 20,
  /** Records that name it. */
  records: 21,
  /** Second in which a frame came from it that was learned from. */
  heard: 22,
  /** Second from which a path MTU that was told no longer counts; 0: none was told. */
  mtuUntil: 23,
  /** Outer packet, bytes. */
  pathMtu: 24,
  address: 25,
  /** 1: the address is this VTEP's own. */
  own: 29
} as const

/** RFC 1191 6.3, Linux's mtu_expires. */
const PATH_MTU_SECONDS = 600
/** Smaller ones are not believed: Linux's min_pmtu, and RFC 8200 5. */
const LEAST_PATH_MTU = { 4: 552, 6: 1280 } as const

export class VtepTable {
  /** Entries by number. */
  words = new Int32Array(16 * VTEP_WORDS)
  /** The same, as bytes. */
  bytes = new Uint8Array(this.words.buffer)
  /** What the outer headers of all VTEPs with IPv4 have in common: a template without destination. */
  readonly common = new Int32Array(OUTER_WORDS[4])
  private readonly numbers = new AddressTable()
  private readonly free: number[] = []
  private used = 0
  /** Those that are there only because they were heard. */
  private heard = 0
  private settings: VxlanSettings

  constructor(settings: VxlanSettings) {
    this.settings = settings
    this.prepareCommon()
  }

  /** Number of the VTEP, or NO_VTEP. */
  find(w0: number, w1: number, w2: number, w3: number): number {
    const place = this.numbers.find(w0, w1, w2, w3)
    return place === NO_ENTRY ? NO_VTEP : this.numbers.first(place)
  }

  /** Whether a record names it: its frames are believed. */
  isKnown(vtep: number): boolean {
    return vtep !== NO_VTEP && this.words[vtep * VTEP_WORDS + Vtep.records] > 0
  }

  /** One more record names it. Throws when there are too many. */
  acquire(address: VtepAddress): number {
    const vtep = this.findOrAdd(address.family, address.words)
    if (vtep === NO_VTEP) throw new VxlanOptionError(`more than ${VTEPS_MAX} VTEPs`)
    const at = vtep * VTEP_WORDS
    if (this.words[at + Vtep.records]++ === 0 && this.words[at + Vtep.heard] >= 0) this.heard--
    return vtep
  }

  /** One record less names it. */
  release(vtep: number): void {
    const at = vtep * VTEP_WORDS
    if (--this.words[at + Vtep.records] > 0) return
    if (this.words[at + Vtep.heard] >= 0) this.heard++
    else this.remove(vtep)
  }

  /** A frame came from it that is learned from; NO_VTEP when there is no room for one more. */
  hear(w0: number, w1: number, w2: number, w3: number, seconds: number): number {
    let vtep = this.find(w0, w1, w2, w3)
    if (vtep === NO_VTEP) {
      if (this.heard >= HEARD_VTEPS_MAX) return NO_VTEP
      vtep = this.findOrAdd((w0 | w1) === 0 && w2 === 0xffff ? 4 : 6, Int32Array.of(w0, w1, w2, w3))
      if (vtep === NO_VTEP) return NO_VTEP
      this.heard++
    }
    this.words[vtep * VTEP_WORDS + Vtep.heard] = seconds
    return vtep
  }

  /** Forgets those that no record names and that were last heard before `second`; and path MTUs that are too old. */
  sweep(second: number, now: number): void {
    for (let vtep = 0; vtep < this.used; vtep++) {
      const at = vtep * VTEP_WORDS
      if (this.words[at + Vtep.family] === 0) continue
      if (this.words[at + Vtep.heard] >= 0 && this.words[at + Vtep.heard] < second) {
        this.words[at + Vtep.heard] = -1
        if (this.words[at + Vtep.records] === 0) this.heard--
      }
      if (this.words[at + Vtep.records] === 0 && this.words[at + Vtep.heard] < 0) this.remove(vtep)
      else if (this.words[at + Vtep.mtuUntil] !== 0 && this.words[at + Vtep.mtuUntil] <= now) this.setPathMtu(vtep, 0, 0)
    }
  }

  /** The second of the next `sweep` that has something to do; Infinity: never. */
  nextSweep(ageing: number): number {
    let next = Number.POSITIVE_INFINITY
    for (let at = 0; at < this.used * VTEP_WORDS; at += VTEP_WORDS) {
      if (this.words[at + Vtep.family] === 0) continue
      if (this.words[at + Vtep.heard] >= 0) next = Math.min(next, this.words[at + Vtep.heard] + ageing + 1)
      if (this.words[at + Vtep.mtuUntil] !== 0) next = Math.min(next, this.words[at + Vtep.mtuUntil])
    }
    return next
  }

  /** A router says what fits, bytes of the outer packet. True when that is less than was known. */
  tellPathMtu(vtep: number, mtu: number, seconds: number): boolean {
    const at = vtep * VTEP_WORDS
    const told = Math.max(mtu, LEAST_PATH_MTU[this.words[at + Vtep.family] as 4 | 6])
    if (told >= this.words[at + Vtep.pathMtu]) return false
    this.setPathMtu(vtep, told, seconds + PATH_MTU_SECONDS)
    return true
  }

  /** New options of the underlay: all headers are made anew. */
  setUnderlay(settings: VxlanSettings): void {
    this.settings = settings
    this.prepareCommon()
    for (let vtep = 0; vtep < this.used; vtep++) if (this.words[vtep * VTEP_WORDS + Vtep.family] !== 0) this.prepare(vtep)
  }

  /** As text. */
  address(vtep: number): string {
    const at = vtep * VTEP_WORDS
    if (this.words[at + Vtep.family] === 4) return formatIpv4(this.words[at + Vtep.address + 3])
    const bytes = new Uint8Array(16)
    for (let i = 0; i < 4; i++) put32(bytes, 4 * i, this.words[at + Vtep.address + i])
    return formatIpv6(bytes)
  }

  /** How many more there can be. */
  get room(): number {
    return VTEPS_MAX - this.used + this.free.length
  }

  /** Numbers of all, for people. */
  list(): number[] {
    return Array.from({ length: this.used }, (_, vtep) => vtep).filter((vtep) => this.words[vtep * VTEP_WORDS + Vtep.family] !== 0)
  }

  private findOrAdd(family: 4 | 6, address: Int32Array): number {
    const found = this.find(address[0], address[1], address[2], address[3])
    if (found !== NO_VTEP) return found
    if (this.free.length === 0 && this.used === VTEPS_MAX) return NO_VTEP
    const vtep = this.free.pop() ?? this.used++
    if ((vtep + 1) * VTEP_WORDS > this.words.length) this.grow()
    const at = vtep * VTEP_WORDS
    this.words[at + Vtep.family] = family
    this.words[at + Vtep.heard] = -1
    this.words.set(address, at + Vtep.address)
    this.numbers.set(address, vtep)
    this.prepare(vtep)
    return vtep
  }

  private remove(vtep: number): void {
    const at = vtep * VTEP_WORDS
    this.numbers.remove(this.words.slice(at + Vtep.address, at + Vtep.address + 4))
    this.words.fill(0, at, at + VTEP_WORDS)
    this.free.push(vtep)
  }

  private prepareCommon(): void {
    const own = this.settings.addresses.find(({ family }) => family === 4)
    const nobody = { family: 4, words: new Int32Array(4) } as const
    if (own !== undefined) writeTemplate(new Uint8Array(this.common.buffer), 0, own, nobody, this.settings)
  }

  private prepare(vtep: number): void {
    const at = vtep * VTEP_WORDS
    const family = this.words[at + Vtep.family] as 4 | 6
    const own = this.settings.addresses.find((address) => address.family === family)
    if (own !== undefined) {
      const remote = { family, words: this.words.slice(at + Vtep.address, at + Vtep.address + 4) }
      this.words[at + Vtep.sum] = writeTemplate(this.bytes, at * 4, own, remote, this.settings)
    }
    const isOwn = this.settings.addresses.some(({ words }) => words.every((word, i) => word === this.words[at + Vtep.address + i]))
    this.words[at + Vtep.own] = isOwn ? 1 : 0
    this.setPathMtu(vtep, 0, 0)
    if (own === undefined || isOwn) this.words[at + Vtep.innerMtu] = 0
  }

  /** 0: as the underlay's. */
  private setPathMtu(vtep: number, mtu: number, until: number): void {
    const at = vtep * VTEP_WORDS
    const path = mtu === 0 ? this.settings.underlayMtu : mtu
    this.words[at + Vtep.pathMtu] = path
    this.words[at + Vtep.mtuUntil] = until
    this.words[at + Vtep.innerMtu] = path - OVERHEAD[this.words[at + Vtep.family] as 4 | 6]
  }

  private grow(): void {
    const old = this.words
    this.words = new Int32Array(old.length * 2)
    this.words.set(old)
    this.bytes = new Uint8Array(this.words.buffer)
  }
}
