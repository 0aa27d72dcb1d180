import type { TopologyElement } from '../../engine/index.ts'
import type { TopologyPart } from '../driver.ts'
import type { Parent } from '../parents.ts'

/** An element that stands on a parent by its port 0 and beside the parent's stack by its port 1, with the parent's own elements. */
export function parentLinks(name: string, element: TopologyElement, parent: Parent | undefined): TopologyPart {
  if (parent === undefined) return { elements: { [name]: element }, links: [] }
  const { part, port, stack } = parent
  return {
    elements: { ...part.elements, [name]: element },
    links: [...part.links, { a: [name, 0], b: port }, ...(stack === undefined ? [] : [{ a: [name, 1] as const, b: stack }])]
  }
}
