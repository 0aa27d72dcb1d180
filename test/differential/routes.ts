/** Where the flows of a stream go: every way through the gateway, and into it. */
import type { Random } from '../../src/engine/random.ts'
import type { End, Flow } from './stream.ts'
import { A, B, INTERFACES, type PublishedPort, type Slot, UP } from './world.ts'

export interface Route {
  readonly name: string
  readonly client: End
  readonly to: { readonly address: string; readonly port: number }
  readonly server: End
}

type MakeRoute = (slot: Slot, protocol: number, port: number) => Route

const UP_ADDRESS = INTERFACES[UP].address

function outward(name: string, from: (slot: Slot) => [number, string], to: (slot: Slot) => [number, string]): MakeRoute {
  return (slot, _protocol, port) => {
    const [source, client] = from(slot)
    const [interfaceNumber, address] = to(slot)
    const server = { interface: interfaceNumber, address, port: 7000 + (port % 100) }
    return { name, client: { interface: source, address: client, port }, to: { address, port: server.port }, server }
  }
}

function published(
  name: string,
  from: (slot: Slot) => [number, string],
  address: string,
  choose: (slot: Slot, protocol: number) => PublishedPort
): MakeRoute {
  return (slot, protocol, port) => {
    const [source, client] = from(slot)
    const entry = choose(slot, protocol)
    return {
      name,
      client: { interface: source, address: client, port },
      to: { address, port: entry.port },
      server: { interface: entry.interface, address: entry.target, port: entry.targetPort }
    }
  }
}

const first = (slot: Slot): [number, string] => [A, slot.clients[0]]
const second = (slot: Slot): [number, string] => [A, slot.clients[1]]
const neighbor = (slot: Slot): [number, string] => [B, slot.neighbor]
const near = (slot: Slot): [number, string] => [UP, slot.near]
const far = (slot: Slot): [number, string] => [UP, slot.far]
const own = (slot: Slot, protocol: number): PublishedPort => (protocol === 17 ? slot.published.dns : slot.published.web)
const other = (slot: Slot): PublishedPort => slot.published.other

/** Masqueraded. */
export const OUTWARD: readonly MakeRoute[] = [
  outward('a to the uplink LAN', first, near),
  outward('a to far away', second, far),
  outward('b to the uplink LAN', neighbor, near),
  outward('b to far away', neighbor, far)
]

/** To published ports: from outside, from the same network (hairpin), from the target itself, from another network. */
export const PUBLISHED_ROUTES: readonly MakeRoute[] = [
  published('published, from the LAN', near, UP_ADDRESS, own),
  published('published, from far away', far, UP_ADDRESS, own),
  published('hairpin', second, UP_ADDRESS, own),
  published('hairpin to oneself', first, UP_ADDRESS, own),
  published('hairpin by the own gateway address', second, INTERFACES[A].address, own),
  published('published, from the other network', neighbor, UP_ADDRESS, own),
  published('published by the gateway address of the client', neighbor, INTERFACES[B].address, own),
  published('published on the other network', first, INTERFACES[A].address, other)
]

/** Refused, or for the gateway itself. */
export const REFUSED: readonly MakeRoute[] = [
  outward('a to b, isolated', first, neighbor),
  outward('b to a, isolated', neighbor, second),
  outward('outside to a station', near, second),
  outward('outside to another station', far, neighbor),
  outward('within a network', first, second),
  (slot, protocol, port) => {
    const { target, targetPort } = own(slot, protocol)
    const server = { interface: A, address: target, port: targetPort }
    return {
      name: 'outside to a published target',
      client: { interface: UP, address: slot.near, port },
      to: { address: target, port: targetPort },
      server
    }
  },
  gateway('a to its gateway', first, INTERFACES[A].address),
  gateway('a to the gateway of b', first, INTERFACES[B].address),
  gateway('a to the uplink address', second, UP_ADDRESS),
  gateway('outside to the uplink address', near, UP_ADDRESS),
  gateway('far away to the uplink address', far, UP_ADDRESS)
]

function gateway(name: string, from: (slot: Slot) => [number, string], address: string): MakeRoute {
  return (slot, _protocol, port) => {
    const [source, client] = from(slot)
    const to = { address, port: 7000 + (port % 100) }
    // Nobody is behind it; what the "server" sends comes from a third party.
    return {
      name,
      client: { interface: source, address: client, port },
      to,
      server: { interface: source === UP ? A : UP, address: source === UP ? slot.clients[0] : slot.near, port: to.port }
    }
  }
}

/** Mostly what a NAT is for. */
export function pickRoute(random: Random, slot: Slot, protocol: number, port = clientPort(random)): Route {
  const draw = random.next()
  // ICMP queries have no published ports.
  const routes = draw < 0.5 || (protocol === 1 && draw < 0.8) ? OUTWARD : draw < 0.8 ? PUBLISHED_ROUTES : REFUSED
  return routes[random.below(routes.length)](slot, protocol, port)
}

export function flowOf({ client, to, server }: Route, protocol: number): Flow {
  return { protocol, client, to, server }
}

/** Of all classes that Linux keeps apart when it has to choose another. */
export function clientPort(random: Random): number {
  const draw = random.next()
  if (draw < 0.05) return 1 + random.below(511)
  if (draw < 0.1) return 512 + random.below(512)
  return 1024 + random.below(64_512 - 1024)
}
