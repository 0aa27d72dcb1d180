/**
 * The records of a router as they change: checked first, then carried through to every part that rests on them, and the change that
 * undoes it.
 */
import type { Mac } from '../../wire/address.ts'
import type { Words } from './address-words.ts'
import type { Claims } from './claims.ts'
import type { RouterAdvertisements } from './router-advertisements.ts'
import type { RouterCore } from './router-core.ts'
import { RouterInterface } from './router-interface.ts'
import {
  type ParsedBinding,
  type RouterChange,
  readAddress,
  readBinding,
  readDestination,
  readInterfaceNumber,
  readRoute
} from './router-options.ts'

export class RouterRecords {
  private readonly core: RouterCore
  private readonly claims: Claims
  private readonly advertisements: RouterAdvertisements
  /** By canonical address: the MAC as it was given. */
  private readonly bindings = new Map<string, string>()

  constructor(core: RouterCore, claims: Claims, advertisements: RouterAdvertisements) {
    this.core = core
    this.claims = claims
    this.advertisements = advertisements
  }

  /** Throws RouterOptionsError, and then nothing has changed. Returns the change that undoes this one. */
  update(change: RouterChange): RouterChange {
    const interfaces = Object.entries(change.interfaces ?? {}).map(([key, spec]) => {
      const number = readInterfaceNumber(key)
      return { number, next: spec === null ? null : new RouterInterface(number, spec) }
    })
    const routes = Object.entries(change.routes ?? {}).map(([prefix, spec]) => ({
      destination: readDestination(prefix),
      route: spec === null ? null : readRoute(prefix, spec)
    }))
    const bindings = Object.entries(change.bindings ?? {}).map(([address, mac]) => {
      return mac === null ? { ...readAddress('bindings', address), mac: null, given: null } : { ...readBinding(address, mac), given: mac }
    })
    // Nothing can fail from here on.
    const undo = { interfaces: {}, routes: {}, bindings: {} } as Record<keyof RouterChange, Record<string, unknown>>
    for (const { number, next } of interfaces) {
      undo.interfaces[number] = this.core.interface(number)?.given ?? null
      this.setInterface(number, next)
    }
    if (interfaces.length > 0)
      this.core.services = this.core.interfaces.filter((link) => link !== null).filter(({ service }) => service !== 0)
    for (const { destination, route } of routes) undo.routes[destination.text] = this.core.routing.setRoute(destination, route)
    for (const binding of bindings) {
      undo.bindings[binding.text] = this.bindings.get(binding.text) ?? null
      this.setBinding(binding, binding.given)
    }
    this.core.cache.invalidate()
    return undo as RouterChange
  }

  private setInterface(number: number, next: RouterInterface | null): void {
    const { core } = this
    const { interfaces, routing } = core
    const before = core.interface(number)
    while (interfaces.length <= number) interfaces.push(null)
    if (before !== null && next !== null && isSameStation(before, next)) {
      interfaces[number] = next
      this.advertisements.replace(before, next)
      return
    }
    if (before !== null) {
      this.advertisements.end(before)
      // While it is still there: its frames are dropped under its name.
      core.neighbors.forget(number)
      interfaces[number] = null
      routing.disconnect(before)
      core.sources.count(before, -1)
    }
    if (next === null) return
    interfaces[number] = next
    routing.connect(next)
    core.sources.count(next, 1)
    this.advertisements.begin(next)
  }

  private setBinding(
    { family, words, text, mac }: ParsedBinding | (Omit<ParsedBinding, 'mac'> & { mac: null }),
    given: string | null
  ): void {
    if (given === null) this.bindings.delete(text)
    else this.bindings.set(text, given)
    this.claims.bind(family, words, mac)
    this.forgetOthers(family, words, mac)
  }

  /** What was believed before the binding was known ends with it. */
  private forgetOthers(family: 4 | 6, words: Words, mac: Mac | null): void {
    const { neighbors, routing } = this.core
    const route = routing.lookup(family, ...words)
    if (route !== null) neighbors.forgetUnless(route.interface, family, words, mac)
  }
}

/** Whether neighbors see the same station: MAC and addresses. What was learned of them stays. */
function isSameStation(a: RouterInterface, b: RouterInterface): boolean {
  const { mac, addresses } = b
  if (a.mac.hi !== mac.hi || a.mac.lo !== mac.lo || a.given.addresses.length !== b.given.addresses.length) return false
  return a.addresses.length === addresses.length && a.given.addresses.every((address, i) => address === b.given.addresses[i])
}
