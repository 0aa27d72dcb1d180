/**
 * What would happen to a packet, read from the live tables: nothing is sent, asked, learned, aged or counted.
 */
import { formatMac } from '../../wire/address.ts'
import { addressText } from './address-words.ts'
import { NeighborState, NO_NEIGHBOR } from './neighbor-table.ts'
import type { RouterCore } from './router-core.ts'
import { RouterDrop } from './router-drop.ts'
import type { RouterInterface } from './router-interface.ts'
import { RouterOptionsError, readAddress, readInterfaceNumber } from './router-options.ts'
import { Own } from './routing.ts'

/** A packet in words. */
export interface ExplainedPacket {
  readonly source: string
  readonly destination: string
  /** TTL or hop limit as it comes in; default 64. */
  readonly ttl?: number
  /** Length of the IP packet, bytes; default 60. */
  readonly length?: number
  /** IPv4; default true, as most have it. */
  readonly dontFragment?: boolean
}

export interface ExplainArgument {
  /** Number of the interface where it comes in. */
  readonly ingress: number
  readonly packet: ExplainedPacket
}

export interface Explanation {
  /** `resolve`: it waits until the next hop has answered; `local`: it is for the router itself. */
  readonly verdict: 'forward' | 'resolve' | 'local' | 'drop'
  /** Name of the drop reason. */
  readonly reason: string | null
  /** The ICMP error that its sender gets, in words. */
  readonly error: string | null
  /** Interface by which it leaves: number and name. */
  readonly egress: number | null
  readonly egressName: string | null
  /** The route that was chosen, CIDR. */
  readonly route: string | null
  readonly nextHop: string | null
  /** Of the next hop. */
  readonly mac: string | null
  /** As it leaves. */
  readonly ttl: number
  /** How many frames it leaves in. */
  readonly fragments: number
  /** The walk, a sentence each. */
  readonly steps: readonly string[]
}

const REASONS = new Map<number, string>(Object.entries(RouterDrop).map(([name, number]) => [number, `router.${name}`]))

/** Throws RouterOptionsError. */
export function explain(core: RouterCore, argument: ExplainArgument): Explanation {
  const { packet } = argument ?? {}
  if (packet === undefined) throw new RouterOptionsError('packet', packet, 'is missing')
  const ingress = core.interface(readInterfaceNumber(argument.ingress, 'ingress'))
  const from = readAddress('source', packet.source)
  const to = readAddress('destination', packet.destination)
  if (from.family !== to.family)
    throw new RouterOptionsError('source', packet.source, `is no IPv${to.family} address, as the destination is`)
  const walk = new Walk(packet.ttl ?? 64)
  if (ingress === null) return walk.drop(RouterDrop.noInterface, null, 'no interface has this number')
  walk.step(`comes in by ${ingress.given.name}`)
  const { family, words } = to
  const own = core.routing.own(family, ...words)
  if (core.isMartianSource(family, ...from.words)) return walk.drop(RouterDrop.martianSource, null, `nobody may send from ${from.text}`)
  if (core.isMartianDestination(family, ...words)) return walk.drop(RouterDrop.martianDestination, null, `no packet goes to ${to.text}`)
  if (own === Own.broadcast || words[0] === -1) return walk.drop(RouterDrop.broadcast, null, `${to.text} is a broadcast address`)
  if (own === Own.address || ingress.owns(family, ...words)) return walk.local(ingress, to.text)
  const isGroup = family === 4 ? words[0] >>> 28 === 0xe : words[0] >>> 24 === 0xff
  if (isGroup && !ingress.hears(...words)) return walk.drop(RouterDrop.group, null, `${to.text} is a group; groups are not routed`)
  if (isGroup) return walk.local(ingress, to.text)
  return explainForward(core, walk, ingress, to, packet)
}

function explainForward(
  core: RouterCore,
  walk: Walk,
  ingress: RouterInterface,
  to: ReturnType<typeof readAddress>,
  { length = 60, dontFragment = true }: ExplainedPacket
): Explanation {
  const { family, words } = to
  const route = core.routing.lookup(family, ...words)
  if (route === null)
    return walk.drop(RouterDrop.noRoute, family === 4 ? 'network unreachable (3/0)' : 'no route (1/0)', `no route to ${to.text}`)
  const egress = core.interface(route.interface)!
  const hop = route.via ?? words
  walk.way(route.destination.text, egress, addressText(family, hop))
  if (walk.ttl === 0 || (walk.ttl === 1 && !ingress.noDecrement)) {
    return walk.drop(RouterDrop.ttlExpired, family === 4 ? 'time exceeded (11/0)' : 'time exceeded (3/0)', 'the TTL is used up')
  }
  const mtu = family === 4 ? egress.mtu : egress.mtu6
  if (length > mtu && (family === 6 || dontFragment)) {
    const error = family === 4 ? `fragmentation needed (3/4), MTU ${mtu}` : `packet too big (2/0), MTU ${mtu}`
    return walk.drop(RouterDrop.tooBig, error, `${length} bytes do not fit the MTU of ${egress.given.name}, ${mtu}`)
  }
  if (ingress.noDecrement || egress.noDecrement) walk.step('the TTL stays: router and host are one hop')
  else walk.ttl--
  if (length > mtu) walk.cut(Math.ceil((length - 20) / ((mtu - 20) & ~7)))
  const { table } = core.neighbors
  const slot = table.find(egress.number, family, ...hop)
  const state = slot === NO_NEIGHBOR ? NeighborState.free : table.state[slot]
  if (state === NeighborState.failed && core.context.now < table.until[slot]) {
    const error = family === 4 ? 'host unreachable (3/1)' : 'address unreachable (1/3)'
    return walk.drop(RouterDrop.neighborUnresolved, error, `${addressText(family, hop)} did not answer a moment ago`)
  }
  if (state === NeighborState.free || state === NeighborState.incomplete || state === NeighborState.failed) {
    walk.step(`the MAC of ${addressText(family, hop)} is not known: it would be asked for`)
    return walk.end('resolve')
  }
  walk.mac = formatMac({ hi: table.macHi[slot], lo: table.macLo[slot] })
  walk.step(`leaves by ${egress.given.name} to ${walk.mac}`)
  return walk.end('forward')
}

/** What is found on the way. */
class Walk {
  ttl: number
  mac: string | null = null
  private readonly steps: string[] = []
  private egress: RouterInterface | null = null
  private route: string | null = null
  private nextHop: string | null = null
  private fragments = 1

  constructor(ttl: number) {
    this.ttl = ttl
  }

  step(text: string): void {
    this.steps.push(text)
  }

  way(route: string, egress: RouterInterface, nextHop: string): void {
    this.route = route
    this.egress = egress
    this.nextHop = nextHop
    this.step(`route ${route} by ${egress.given.name}, next hop ${nextHop}`)
  }

  cut(fragments: number): void {
    this.fragments = fragments
    this.step(`is cut into ${fragments} fragments`)
  }

  local(ingress: RouterInterface, address: string): Explanation {
    this.step(`${address} is the router's own${ingress.answers ? '' : ', for which a kernel interface answers'}`)
    return this.end('local')
  }

  drop(reason: number, error: string | null, text: string): Explanation {
    this.step(`is dropped: ${text}`)
    return { ...this.end('drop'), reason: REASONS.get(reason)!, error }
  }

  end(verdict: Explanation['verdict']): Explanation {
    const { egress, route, nextHop, mac, ttl, fragments, steps } = this
    const way = { egress: egress?.number ?? null, egressName: egress?.given.name ?? null, route, nextHop }
    return { verdict, reason: null, error: null, ...way, mac, ttl, fragments, steps }
  }
}
