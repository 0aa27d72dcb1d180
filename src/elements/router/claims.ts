/**
 * Who may say which MAC an address has. ARP and neighbor discovery carry no proof, so what the router knows from elsewhere decides:
 * its own addresses, the bindings of the control plane, and which addresses are on a link at all.
 */
import type { Words } from './address-words.ts'
import { CLAIM_OK } from './neighbors.ts'
import { NO_VALUE, PrefixTable } from './prefix-table.ts'
import type { RouterCore } from './router-core.ts'
import { RouterDrop } from './router-drop.ts'
import type { RouterInterface } from './router-interface.ts'
import { Own } from './routing.ts'

export class Claims {
  private readonly core: RouterCore
  /** Value: place in `macs`. */
  private readonly bound = { 4: new PrefixTable(), 6: new PrefixTable() }
  /** Two numbers each: the first 16 bits, the last 32. */
  private macs = new Float64Array(64)
  private count = 0
  private readonly freed: number[] = []

  constructor(core: RouterCore) {
    this.core = core
  }

  /** CLAIM_OK, or the reason for which a station on this interface may not have this address with this MAC. */
  check(link: RouterInterface, family: 4 | 6, w0: number, w1: number, w2: number, w3: number, hi: number, lo: number): number {
    const { routing } = this.core
    if (link.owns(family, w0, w1, w2, w3) || routing.own(family, w0, w1, w2, w3) !== Own.none) return RouterDrop.neighborConflict
    const place = this.bound[family].find(w0, w1, w2, w3, family === 4 ? 32 : 128)
    if (place !== NO_VALUE) return this.macs[2 * place] === hi && this.macs[2 * place + 1] === lo ? CLAIM_OK : RouterDrop.neighborConflict
    const isLinkLocal = family === 6 && (w0 & 0xffc00000) === (0xfe800000 | 0)
    if (isLinkLocal) return CLAIM_OK
    if (link.given.bindings === true) return RouterDrop.neighborConflict
    const route = routing.lookup(family, w0, w1, w2, w3)
    return route !== null && route.interface === link.number && route.via === null ? CLAIM_OK : RouterDrop.neighborElsewhere
  }

  /** Binds an address to a MAC; null: it is free again. */
  bind(family: 4 | 6, words: Words, mac: { readonly hi: number; readonly lo: number } | null): void {
    const table = this.bound[family]
    const length = family === 4 ? 32 : 128
    let place = table.find(...words, length)
    if (mac === null) {
      if (place === NO_VALUE) return
      table.delete(words, length)
      this.freed.push(place)
      return
    }
    if (place === NO_VALUE) {
      place = this.freed.pop() ?? this.count++
      if (2 * place >= this.macs.length) {
        const macs = new Float64Array(this.macs.length * 2)
        macs.set(this.macs)
        this.macs = macs
      }
      table.set(words, length, place)
    }
    this.macs[2 * place] = mac.hi
    this.macs[2 * place + 1] = mac.lo
  }
}
