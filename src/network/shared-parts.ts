/**
 * Parts of the graph that several networks may have in common: each element and link comes with the first of them and goes with
 * the last.
 */
import type { TopologyElement, TopologyLink, TopologyPatch } from '../engine/index.ts'
import type { TopologyPart } from './driver.ts'

export class SharedParts {
  /** How many parts name an element, by its name. */
  private readonly elements = new Map<string, number>()
  /** The same of links, by their ends. */
  private readonly links = new Map<string, number>()

  /** What of a part is not there yet: nothing is noted before `add`. */
  missing({ elements, links }: TopologyPart): Required<Pick<TopologyPatch, 'elements' | 'linked'>> {
    const fresh = Object.entries(elements).filter(([name]) => !this.elements.has(name))
    return {
      elements: Object.fromEntries(fresh) as Record<string, TopologyElement>,
      linked: links.filter((link) => !this.links.has(keyOf(link)))
    }
  }

  /** What nobody else needs of a part: nothing is noted before `remove`. Links of elements that go are not named. */
  dispensable({ elements, links }: TopologyPart): Required<Pick<TopologyPatch, 'removed' | 'unlinked'>> {
    const removed = Object.keys(elements).filter((name) => this.elements.get(name) === 1)
    const goes = new Set(removed)
    const stays = ({ a, b }: TopologyLink): boolean => !goes.has(a[0]) && !goes.has(b[0])
    return { removed, unlinked: links.filter((link) => this.links.get(keyOf(link)) === 1 && stays(link)) }
  }

  add({ elements, links }: TopologyPart): void {
    for (const name of Object.keys(elements)) count(this.elements, name, 1)
    for (const link of links) count(this.links, keyOf(link), 1)
  }

  remove({ elements, links }: TopologyPart): void {
    for (const name of Object.keys(elements)) count(this.elements, name, -1)
    for (const link of links) count(this.links, keyOf(link), -1)
  }
}

function count(users: Map<string, number>, key: string, step: 1 | -1): void {
  const left = (users.get(key) ?? 0) + step
  if (left === 0) users.delete(key)
  else users.set(key, left)
}

/** Parts name the two ends of a link in the same order whenever they are asked. */
function keyOf({ a, b }: TopologyLink): string {
  return `${a[0]}.${a[1]} ${b[0]}.${b[1]}`
}
