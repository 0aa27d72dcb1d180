/**
 * Where packets go: the router's own addresses, connected networks and routes, as tables that are asked per packet and as
 * records that change one by one.
 */
import { addressText, type Words } from './address-words.ts'
import { NO_VALUE, PrefixTable } from './prefix-table.ts'
import { RouteRegions } from './route-regions.ts'
import type { OwnAddress, RouterInterface } from './router-interface.ts'
import type { Destination, ParsedRoute, RouteSpec } from './router-options.ts'

/** The way to a destination. */
export interface Route {
  readonly destination: Destination
  readonly kind: 'connected' | 'static'
  /** Number of the interface, which exists. */
  readonly interface: number
  /** Next hop; null: the destination itself. */
  readonly via: Words | null
}

/** What an address of the router's own is. */
export const Own = { none: 0, address: 1, broadcast: 2 } as const

/** For people. */
export interface RouteEntry {
  readonly prefix: string
  readonly kind: 'local' | 'broadcast' | 'connected' | 'static'
  readonly via: string | null
  readonly interface: number
  /** Of the interface; null while there is none. */
  readonly name: string | null
  /** Whether it is the one that is used. */
  readonly active: boolean
}

/** Everyone who says something about one prefix, and who is heard. */
interface Claim {
  readonly destination: Destination
  /** Its value in the table. */
  readonly index: number
  /** Interfaces that are connected to it, ascending. */
  readonly connected: number[]
  route: ParsedRoute | null
  active: Route | null
}

export class Routing {
  private readonly interfaces: readonly (RouterInterface | null)[]
  private readonly table4 = new PrefixTable()
  private readonly table6 = new PrefixTable()
  /** Own addresses and broadcast addresses; value: interface << 1, and 1 for a broadcast address. */
  private readonly own4 = new PrefixTable()
  private readonly own6 = new PrefixTable()
  private readonly claims = new Map<string, Claim>()
  private readonly byIndex: (Claim | undefined)[] = []
  private readonly freeIndices: number[] = []
  /** Static routes by interface, to find those that come and go with it. */
  private readonly byInterface = new Map<number, Set<Claim>>()
  /** Of the IPv4 tables. */
  private readonly regions = new RouteRegions()

  /** `interfaces` by number; the caller changes it and tells by `connect` and `disconnect`. */
  constructor(interfaces: readonly (RouterInterface | null)[]) {
    this.interfaces = interfaces
  }

  /** The way to an address that is not the router's own; null: none. */
  lookup(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): Route | null {
    const index = family === 4 ? this.table4.lookup4(w0) : this.table6.lookup(w0, w1, w2, w3)
    return index === NO_VALUE ? null : this.byIndex[index]!.active
  }

  /** Reach of an IPv4 destination: others that are neither our own nor go by another route. */
  reach(destination: number): number {
    return this.regions.reach(destination)
  }

  /** What an address is to the router: one of Own. Link-local addresses are known by their interface alone. */
  own(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): number {
    const value = family === 4 ? this.own4.find4(w0, 32) : this.own6.find(w0, w1, w2, w3, 128)
    if (value === NO_VALUE) return Own.none
    return (value & 1) === 0 ? Own.address : Own.broadcast
  }

  /** The interface with this address of its own, or null. */
  owner(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): RouterInterface | null {
    const value = family === 4 ? this.own4.find4(w0, 32) : this.own6.find(w0, w1, w2, w3, 128)
    return value === NO_VALUE || (value & 1) !== 0 ? null : this.interfaces[value >> 1]
  }

  /** The interface stands in `interfaces`: its networks are connected and routes by it are used. */
  connect(added: RouterInterface): void {
    for (const own of added.addresses) {
      const claim = this.claim(own.network)
      if (!claim.connected.includes(added.number)) claim.connected.push(added.number)
      claim.connected.sort((a, b) => a - b)
      this.settle(claim)
      this.putOwn(own, added.number)
    }
    for (const claim of this.byInterface.get(added.number) ?? []) this.settle(claim)
  }

  /** The interface is out of `interfaces`. */
  disconnect(removed: RouterInterface): void {
    for (const own of removed.addresses) {
      const claim = this.claims.get(own.network.text)
      if (claim === undefined) continue
      const at = claim.connected.indexOf(removed.number)
      if (at >= 0) claim.connected.splice(at, 1)
      this.settle(claim)
    }
    for (const { family, words, broadcast } of removed.addresses) {
      if (family === 4) this.delete(this.own4, words, 32)
      else this.delete(this.own6, words, 128)
      if (broadcast !== null) this.delete(this.own4, [broadcast, 0, 0, 0], 32)
    }
    // An address that another interface has, too, is that one's now.
    for (const other of this.interfaces) {
      if (other === null || other === undefined) continue
      for (const own of other.addresses) if (removed.addresses.some((gone) => shares(gone, own))) this.putOwn(own, other.number)
    }
    for (const claim of [...(this.byInterface.get(removed.number) ?? [])]) this.settle(claim)
  }

  /** Enters or replaces the route of a prefix; null: it goes. Returns the route that was there. */
  setRoute(destination: Destination, route: ParsedRoute | null): RouteSpec | null {
    const before = this.claims.get(destination.text)?.route ?? null
    if (before === null && route === null) return null
    const claim = this.claim(destination)
    if (before !== null) this.byInterface.get(before.interface)!.delete(claim)
    claim.route = route
    if (route !== null) {
      if (!this.byInterface.has(route.interface)) this.byInterface.set(route.interface, new Set())
      this.byInterface.get(route.interface)!.add(claim)
    }
    this.settle(claim)
    return before?.given ?? null
  }

  /** All that is known, for people: own addresses by interface, then routes, longest prefix first. */
  entries(): RouteEntry[] {
    const entries: RouteEntry[] = []
    const name = (number: number): string | null => this.interfaces[number]?.given.name ?? null
    for (const owner of this.interfaces) {
      for (const { family, words, broadcast } of owner?.addresses ?? []) {
        const common = { via: null, interface: owner!.number, name: owner!.given.name, active: true }
        entries.push({ prefix: `${addressText(family, words)}/${family === 4 ? 32 : 128}`, kind: 'local', ...common })
        if (broadcast !== null) entries.push({ prefix: `${addressText(4, [broadcast, 0, 0, 0])}/32`, kind: 'broadcast', ...common })
      }
    }
    const claims = [...this.claims.values()].sort((a, b) => order(a.destination, b.destination))
    for (const { destination, connected, route, active } of claims) {
      const { text: prefix } = destination
      if (route !== null) {
        const via = route.via === null ? null : addressText(route.family, route.via)
        const isActive = active?.kind === 'static'
        entries.push({ prefix, kind: 'static', via, interface: route.interface, name: name(route.interface), active: isActive })
      }
      for (const number of connected) {
        const isActive = active?.kind === 'connected' && active.interface === number
        entries.push({ prefix, kind: 'connected', via: null, interface: number, name: name(number), active: isActive })
      }
    }
    return entries
  }

  private putOwn({ family, words, broadcast }: OwnAddress, number: number): void {
    const table = family === 4 ? this.own4 : this.own6
    const length = family === 4 ? 32 : 128
    // The first that has an address keeps it.
    if (table.find(...words, length) === NO_VALUE) this.set(table, words, length, number << 1)
    if (broadcast !== null && this.own4.find4(broadcast, 32) === NO_VALUE) {
      this.set(this.own4, [broadcast, 0, 0, 0], 32, (number << 1) | 1)
    }
  }

  private claim(destination: Destination): Claim {
    let claim = this.claims.get(destination.text)
    if (claim !== undefined) return claim
    const index = this.freeIndices.pop() ?? this.byIndex.length
    claim = { destination, index, connected: [], route: null, active: null }
    this.claims.set(destination.text, claim)
    this.byIndex[index] = claim
    return claim
  }

  /** Decides who is heard: a route that was given and whose interface exists, else the connected interface of the lowest number. */
  private settle(claim: Claim): void {
    const { destination, route, connected, index } = claim
    const table = destination.family === 4 ? this.table4 : this.table6
    if (route !== null && (this.interfaces[route.interface] ?? null) !== null) {
      claim.active = { destination, kind: 'static', interface: route.interface, via: route.via }
    } else if (connected.length > 0) {
      claim.active = { destination, kind: 'connected', interface: connected[0], via: null }
    } else claim.active = null
    if (claim.active !== null) this.set(table, destination.words, destination.length, index)
    else this.delete(table, destination.words, destination.length)
    if (route !== null || connected.length > 0) return
    this.claims.delete(destination.text)
    this.byIndex[index] = undefined
    this.freeIndices.push(index)
  }

  private set(table: PrefixTable, words: Words, length: number, value: number): void {
    if (table.set(words, length, value) && this.isIpv4(table)) this.regions.count(words[0], length, 1)
  }

  private delete(table: PrefixTable, words: Words, length: number): void {
    if (table.delete(words, length) && this.isIpv4(table)) this.regions.count(words[0], length, -1)
  }

  private isIpv4(table: PrefixTable): boolean {
    return table === this.table4 || table === this.own4
  }
}

function shares(a: OwnAddress, b: OwnAddress): boolean {
  return a.family === b.family && (a.words.every((word, i) => word === b.words[i]) || (a.broadcast !== null && a.broadcast === b.broadcast))
}

function order(a: Destination, b: Destination): number {
  return a.family - b.family || b.length - a.length || (a.text < b.text ? -1 : 1)
}
