/**
 * The graph as passive data, and what changes between two of them.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Plain } from './element.ts'

export interface TopologyElement {
  readonly type: string
  readonly options?: Plain
}

/** A cable between two ports: both directions. */
export interface TopologyLink {
  /** Element name and port number. */
  readonly a: readonly [element: string, port: number]
  readonly b: readonly [element: string, port: number]
  /** Frames that each direction holds; default LINK_CAPACITY. */
  readonly capacity?: number
}

export interface Topology {
  readonly elements: Readonly<Record<string, TopologyElement>>
  readonly links: readonly TopologyLink[]
}

/** A change of a running graph: costs what it names, not what exists. */
export interface TopologyPatch {
  /** Elements that come, and elements that stay and get new options; by name. */
  readonly elements?: Readonly<Record<string, TopologyElement>>
  /** For elements that stay or come, in this order: see Element.update. */
  readonly updates?: readonly ElementUpdate[]
  /** Links that go between elements that stay; those of elements that go need no mention. */
  readonly unlinked?: readonly TopologyLink[]
  /** Names of elements that go. */
  readonly removed?: readonly string[]
  readonly linked?: readonly TopologyLink[]
}

export interface ElementUpdate {
  readonly element: string
  readonly change: Plain
}

export const EMPTY_TOPOLOGY: Topology = { elements: {}, links: [] }

export class TopologyError extends Error {
  readonly code = 'ERR_TOPOLOGY'
}

export interface TopologyChange {
  /** Names of elements that go, that come, and whose options changed. */
  readonly removed: readonly string[]
  readonly added: readonly string[]
  readonly changed: readonly string[]
  readonly unlinked: readonly TopologyLink[]
  readonly linked: readonly TopologyLink[]
}

/** Names a cable the same way from either end. */
function linkKey({ a, b, capacity }: TopologyLink): string {
  const ends = [`${a[0]}.${a[1]}`, `${b[0]}.${b[1]}`].sort()
  return `${ends[0]} ${ends[1]} ${capacity ?? ''}`
}

/** Most elements of a topology are those of the one before: the same object needs no look inside. */
function sameOptions(a: Plain, b: Plain): boolean {
  return a === b || isDeepStrictEqual(a, b)
}

/** Elements of one name and another type count as removed and added. */
export function diffTopology(before: Topology, after: Topology): TopologyChange {
  const sameType = (name: string): boolean => before.elements[name]?.type === after.elements[name]?.type
  const removed = Object.keys(before.elements).filter((name) => !sameType(name))
  const added = Object.keys(after.elements).filter((name) => !sameType(name))
  const changed = Object.keys(after.elements).filter(
    (name) => sameType(name) && !sameOptions(before.elements[name].options, after.elements[name].options)
  )
  const gone = new Set(removed)
  const old = new Map(before.links.map((link) => [linkKey(link), link]))
  const kept = new Set<string>()
  const linked: TopologyLink[] = []
  for (const link of after.links) {
    const key = linkKey(link)
    if (old.has(key) && !gone.has(link.a[0]) && !gone.has(link.b[0])) kept.add(key)
    else linked.push(link)
  }
  const unlinked = [...old].filter(([key]) => !kept.has(key)).map(([, link]) => link)
  return { removed, added, changed, unlinked, linked }
}

/** What turns `before` into `after`, where no element changes its type. */
export function patchBetween(before: Topology, after: Topology): TopologyPatch {
  const { removed, added, changed, unlinked, linked } = diffTopology(before, after)
  const gone = new Set(removed)
  return {
    elements: Object.fromEntries([...added, ...changed].map((name) => [name, after.elements[name]])),
    unlinked: unlinked.filter(({ a, b }) => !gone.has(a[0]) && !gone.has(b[0])),
    removed,
    linked
  }
}

/** Throws TopologyError where links name elements that are not there or use a port twice. */
export function checkTopology(topology: Topology): void {
  const used = new Set<string>()
  for (const { a, b } of topology.links) {
    for (const [name, port] of [a, b]) {
      if (!Object.hasOwn(topology.elements, name))
        throw new TopologyError(`a link names the element '${name}', which is not in the topology`)
      if (!Number.isInteger(port) || port < 0) throw new TopologyError(`'${name}' has no port ${port}: ports count from 0`)
      const end = `${name}.${port}`
      if (used.has(end)) throw new TopologyError(`port ${end} is linked twice`)
      used.add(end)
    }
  }
}
